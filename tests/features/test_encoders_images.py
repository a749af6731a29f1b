"""Preprocessing in batches against the library's own, one image at a time."""

from typing import Any

import numpy as np
import pytest
import torch

from mislabel.errors import InputError
from mislabel.features.images import TOLERANCE, Preprocessing, read_preprocessing
from tiny_models import clip_processor, images, vit_processor


def convnext_processor(side: int) -> Any:
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    return ConvNextImageProcessorPil(size={"shortest_edge": side})


PROCESSORS = {
    "clip": lambda: clip_processor(),
    "clip crop larger than size": lambda: clip_processor(crop_size={"height": 41, "width": 37}),
    "clip no crop": lambda: clip_processor(do_center_crop=False),
    "clip not normalised": lambda: clip_processor(do_normalize=False),
    "clip nearest": lambda: clip_processor(resample=0),
    "vit": vit_processor,
    "convnext cropped": lambda: convnext_processor(32),
    "convnext warped": lambda: convnext_processor(384),
}


@pytest.mark.parametrize("size", [(32, 32), (20, 24), (75, 50), (9, 130)])
@pytest.mark.parametrize("name", PROCESSORS)
def test_equals_the_librarys_processor_within_rounding(name: str, size: tuple[int, int]) -> None:
    processor = PROCESSORS[name]()
    batch = images(4, height=size[0], width=size[1])
    ours = read_preprocessing(processor.to_dict(), "m")
    found = ours(torch.from_numpy(batch)).numpy()
    expected = [
        processor(images=[image], return_tensors="np", input_data_format="channels_last")
        for image in batch
    ]
    expected = np.concatenate([output["pixel_values"] for output in expected])
    assert found.shape == expected.shape
    deviation = np.array(ours.deviation)[:, None, None]
    steps = np.abs(found - expected) * deviation / ours.scale
    # Steps of 1/255. Pillow sometimes takes columns before rows, and rounds in between.
    assert steps.max() <= 2 + 1e-3
    assert steps.mean() < (0.25 if (name, size) == ("vit", (75, 50)) else 0.01)
    ours.check(processor, size, "m")


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    ours = read_preprocessing(clip_processor().to_dict(), "m")
    batch = images(2, height=32, width=32)
    mean, deviation = (np.array(v, dtype=np.float32) for v in (ours.mean, ours.deviation))
    expected = ((batch / np.float32(255) - mean) / deviation).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours(torch.from_numpy(batch)).numpy(), expected, atol=1e-6)


def test_a_processor_with_steps_of_its_own_is_refused() -> None:
    class Flipping:
        def __call__(self, images: Any, **options: Any) -> Any:
            return clip_processor()([images[0][:, :, ::-1]], **options)

    ours = read_preprocessing(clip_processor().to_dict(), "m")
    with pytest.raises(InputError, match=r"processor \(Flipping\) has steps not known here"):
        ours.check(Flipping(), (20, 24), "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resample": 1}, "encoder='m': resizes by a filter not known here (1)"),
        (
            {"size": {"shortest_edge": 8, "longest_edge": 9}},
            "encoder='m': resizes to a size not known here "
            "({'shortest_edge': 8, 'longest_edge': 9})",
        ),
    ],
)
def test_unknown_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_preprocessing(clip_processor().to_dict() | change, "m")
    assert str(caught.value) == message


def test_one_channel_becomes_three_by_repetition() -> None:
    ours = Preprocessing(
        size=8,
        crop=None,
        filter="bilinear",
        scale=1.0,
        mean=(0.0,) * 3,
        deviation=(1.0,) * 3,
    )
    grey = torch.from_numpy(images(2, channels=1)).expand(-1, -1, -1, 3)
    found = ours(grey)
    assert found.shape == (2, 3, 8, 9)
    assert torch.equal(found[:, 0], found[:, 2])
    assert TOLERANCE >= 2
