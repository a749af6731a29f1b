"""Tiny CLIP and ViT models with random weights, saved as folders, and small images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

SIDE = 32


def images(count: int, *, height: int = 20, width: int = 24, channels: int = 3) -> Any:
    """Images (count, height, width, channels): noise around a grey of their own."""
    rng = np.random.default_rng(5)
    grey = rng.integers(40, 216, (count, 1, 1, channels))
    noise = rng.integers(-40, 40, (count, height, width, channels))
    return (grey + noise).astype(np.uint8)


def save_clip(folder: Path, *, vision_only: bool = False) -> Path:
    """A CLIP of 24 projected features with its image processor; the same weights every time."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionModelWithProjection

    vision: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8, "projection_dim": 24,
    }  # fmt: skip
    text: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "vocab_size": 50, "max_position_embeddings": 8,
        "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "projection_dim": 24,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model: Any = CLIPModel(
            CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        )
        if vision_only:
            whole, model = model, CLIPVisionModelWithProjection(model.config.vision_config)
            model.vision_model.load_state_dict(whole.vision_model.state_dict())
            model.visual_projection.load_state_dict(whole.visual_projection.state_dict())
    model.save_pretrained(folder, safe_serialization=True)
    clip_processor().save_pretrained(folder)
    return folder


def save_vit(folder: Path, *, pooler: bool = True) -> Path:
    """A ViT of 32 features with its image processor."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=SIDE, patch_size=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = ViTModel(config, add_pooling_layer=pooler)
    model.save_pretrained(folder, safe_serialization=True)
    vit_processor().save_pretrained(folder)
    return folder


def clip_processor(**settings: Any) -> Any:
    """CLIP's: shortest edge, bicubic, centre crop."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    return CLIPImageProcessorPil(**(sizes | settings))


def vit_processor() -> Any:
    """ViT's: warped to a square, bilinear."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return ViTImageProcessorPil(size={"height": SIDE, "width": SIDE})
