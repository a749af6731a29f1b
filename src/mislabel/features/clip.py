"""`clip`: image features of CLIP, projected and on the unit sphere.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021. Variants by the paper's names (`VARIANTS`), any other CLIP by its id on the Hub or by a
local folder. Preprocessing is the model's own: resize (bicubic), centre crop, normalise.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.features.base import EncoderRecord, EncoderRun, Features, check_choice
from mislabel.features.hf import LIBRARIES, PRECISIONS, embed_images
from mislabel.features.weights import ModelFiles, find_model
from mislabel.files import read_json

VARIANTS = {
    "ViT-B/32": "openai/clip-vit-base-patch32",
    "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-L/14": "openai/clip-vit-large-patch14",
    "ViT-L/14@336px": "openai/clip-vit-large-patch14-336",
}
"Models of OpenAI by their names in the paper."


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Image features of a CLIP.

    model: a name in `VARIANTS`, an id on the Hub, or a local folder. revision: branch, tag or
    commit on the Hub. precision: "auto" is bfloat16 mixed precision on a GPU and float32 on a
    CPU.
    """

    model: str = "ViT-B/32"
    revision: str | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        short = self.model.lower().startswith("vit-") and not Path(self.model).is_dir()
        if short and self.model not in VARIANTS:
            known = {name.lower(): name for name in VARIANTS}
            hint = did_you_mean(known.get(self.model.lower(), self.model), VARIANTS)
            raise InputError("encoder", f"clip:{self.model}", f"unknown variant; {hint}")

    @cached_property
    def files(self) -> ModelFiles:
        """The model's files, downloaded when first asked for."""
        files = find_model(VARIANTS.get(self.model, self.model), self.revision)
        config = read_json(files.folder / "config.json", "encoder")
        kind = config.get("model_type") if isinstance(config, dict) else None
        if "clip" not in str(kind):
            rule = f"is no CLIP but {kind!r}; use hf:{self.model}"
            raise InputError("encoder", f"clip:{self.model}", rule)
        return files

    def key(self) -> dict[str, Any]:
        """Settings, and the content of the model's files."""
        return {
            "model": self.files.name,
            "revision": self.files.revision,
            "files": self.files.hashes,
            "precision": self.precision,
            "normalised": True,
        }

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, d) float32 rows of length 1 of images (N, h, w, 3 or 1)."""
        return embed_images(
            self.files,
            examples,
            run or EncoderRun(),
            precision=self.precision,
            normalised=True,
        )


RECORD = EncoderRecord(
    name="clip",
    title="CLIP",
    paper="Radford et al. 2021, Learning Transferable Visual Models From Natural Language "
    "Supervision",
    build=Clip,
    positional="model",
    example="clip:ViT-B/32",
    libraries=LIBRARIES,
    neural=True,
)
