"""`hf`: features by any vision model of the Hugging Face Hub, or of a local folder.

The pooled output: image features where the model has a tower for text too (projected, as CLIP's),
else its pooler's output, else the mean over tokens or places. A pooler whose weights are not in
the files would be random and is not used; other missing weights are an error.

Images go through the network in batches on the device, in bfloat16 on a GPU. Weights are read
from safetensors only, and no code of a model's repository runs.

Source: Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", EMNLP 2020.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.features.base import EncoderRecord, EncoderRun, Features, check_choice
from mislabel.features.rows import encode_rows
from mislabel.features.weights import ModelFiles, extra, find_model

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16")
CPU_BATCH, GPU_BATCH = 64, 256
LIBRARIES = ("numpy", "torch", "transformers")
LOADING_ERRORS = (OSError, ValueError, RuntimeError, ImportError, KeyError)


@dataclass(frozen=True)
class PooledNetwork:
    """A network that gives one vector per image.

    uses_pooler: whether its pooler has weights of its own.
    """

    network: Any
    uses_pooler: bool
    source: str

    def __call__(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """(B, d) float32 features of preprocessed images (B, 3, H, W)."""
        import torch

        read = getattr(self.network, "get_image_features", self.network)
        found = read(pixel_values=pixels)
        if not isinstance(found, torch.Tensor):
            found = self._pooled(found)
        if found is None or found.ndim != 2 or len(found) != len(pixels):
            raise InputError("encoder", self.source, "gives no pooled features of images")
        features: torch.Tensor = found.float()
        return features

    def _pooled(self, output: Any) -> "torch.Tensor | None":
        projected: torch.Tensor | None = getattr(output, "image_embeds", None)
        if projected is not None:
            return projected
        pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
        if pooled is not None and self.uses_pooler:
            return pooled.flatten(1)
        hidden: torch.Tensor | None = getattr(output, "last_hidden_state", None)
        if hidden is None:
            return None
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.flatten(2).mean(dim=2)


@dataclass(frozen=True, kw_only=True)
class HuggingFace:
    """A vision model of the Hub by its id, or of a local folder.

    revision: branch, tag or commit on the Hub. precision: "auto" is bfloat16 mixed precision on
    a GPU and float32 on a CPU.
    """

    model: str
    revision: str | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)

    @cached_property
    def files(self) -> ModelFiles:
        """The model's files, downloaded when first asked for."""
        return find_model(self.model, self.revision)

    def key(self) -> dict[str, Any]:
        """Settings, and the content of the model's files."""
        return {
            "model": self.files.name,
            "revision": self.files.revision,
            "files": self.files.hashes,
            "precision": self.precision,
        }

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, d) float32 of images (N, h, w, 3 or 1)."""
        return embed_images(self.files, examples, run or EncoderRun(), precision=self.precision)


def check_images(examples: NDArray[Any], encoder: str) -> None:
    """Raise `InputError` for anything but uint8 images (N, h, w, 3 or 1)."""
    if examples.ndim != 4 or examples.dtype != np.uint8 or examples.shape[3] not in (1, 3):
        found = f"{examples.dtype} {examples.shape[1:]}"
        raise InputError("encoder", encoder, f"takes images of 1 or 3 channels, not {found}")


def embed_images(
    files: ModelFiles,
    images: NDArray[np.uint8],
    run: EncoderRun,
    *,
    precision: str = "auto",
    normalised: bool = False,
) -> Features:
    """(N, d) float32 features by the model in `files`. normalised: on the unit sphere."""
    import torch

    from mislabel.learning.problem import choose_device

    check_images(images, files.name)
    device = choose_device(run.device)
    preprocess = load_preprocessing(files, images.shape[1:3])
    network = load_network(files, device)
    mixed = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")

    def encode(start: int, stop: int) -> Features:
        batch = torch.from_numpy(np.array(images[start:stop])).to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            found = network(preprocess(batch.expand(-1, -1, -1, 3)))
        if normalised:
            found = torch.nn.functional.normalize(found, dim=1)
        return np.asarray(found.cpu().numpy(), dtype=np.float32)

    size = run.batch_size or (GPU_BATCH if device.type == "cuda" else CPU_BATCH)
    with torch.inference_mode(), _refused_sizes(files):
        return encode_rows(len(images), size, encode, folder=run.folder, progress=run.progress)


def load_preprocessing(files: ModelFiles, shape: tuple[int, ...]) -> Any:
    """The preprocessing of a model, checked against its image processor on one image (h, w)."""
    from mislabel.features.images import read_preprocessing

    transformers = extra("transformers")
    try:
        with _quiet(transformers):
            processor = transformers.AutoImageProcessor.from_pretrained(str(files.folder))
    except (OSError, ValueError, ImportError) as error:
        raise InputError("encoder", files.name, f"image processor: {_line(error)}") from error
    preprocessing = read_preprocessing(processor.to_dict(), files.name)
    preprocessing.check(processor, (shape[0], shape[1]), files.name)
    return preprocessing


def load_network(files: ModelFiles, device: "torch.device") -> PooledNetwork:
    """The network of a model on a device, from safetensors."""
    import torch

    transformers = extra("transformers")
    try:
        with _quiet(transformers), torch.random.fork_rng(devices=[]):
            kind = transformers.AutoConfig.from_pretrained(str(files.folder)).model_type
            projected = kind == "clip_vision_model"
            model = (
                transformers.CLIPVisionModelWithProjection if projected else transformers.AutoModel
            )
            network, loading = model.from_pretrained(
                str(files.folder), use_safetensors=True, output_loading_info=True
            )
    except (*LOADING_ERRORS, extra("safetensors").SafetensorError) as error:
        raise InputError("encoder", files.name, f"cannot be loaded ({_line(error)})") from error
    missing = sorted(loading["missing_keys"])
    if any("pooler" not in name for name in missing):
        raise InputError("encoder", files.name, f"its files lack weights: {', '.join(missing)}")
    return PooledNetwork(network.eval().to(device), not missing, files.name)


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's reports and progress bars."""
    logging = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _refused_sizes(files: ModelFiles) -> Iterator[None]:
    """What a network says of images of a size that it does not take, as an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError("encoder", files.name, _line(error)) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


RECORD = EncoderRecord(
    name="hf",
    title="Vision model of the Hugging Face Hub",
    paper="Wolf et al. 2020 (Transformers); the model's own card",
    build=HuggingFace,
    positional="model",
    example="hf:facebook/dinov2-base",
    libraries=LIBRARIES,
    neural=True,
)
