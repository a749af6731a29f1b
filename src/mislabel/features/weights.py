"""Files of pretrained models: a local folder, or one of the Hub; safetensors only.

Nothing of a model's repository is executed: no pickled weights, no remote code. A repository of
the Hub that has only pickled weights is served by the conversion that the Hub's own bot
(SFconvertbot) has proposed for it, when there is one.
"""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mislabel.errors import InputError
from mislabel.files import hash_file

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
CONVERTER = "SFconvertbot"
EXTRA = "is not installed; pip install 'mislabel[embed]'"


def extra(module: str) -> Any:
    """A module of the optional extra ``embed``, or an `InputError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError("encoder", error.name, EXTRA) from error


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model: `name` as to be reported, `folder` where they lie."""

    name: str
    folder: Path
    revision: str | None = None

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file that the features depend on, by name."""
        paths = sorted({p for pattern in (*WEIGHTS, *SETTINGS) for p in self.folder.glob(pattern)})
        return {path.name: hash_file(path) for path in paths}

    def check(self) -> None:
        """Raise `InputError` where weights or settings are missing, or weights are a pickle."""
        pickles = [p.name for pattern in PICKLES for p in sorted(self.folder.glob(pattern))]
        if not _has_weights(self.folder):
            rule = "has no model.safetensors"
            if pickles:
                rule += f"; its weights are a pickle ({pickles[0]}), which is never loaded"
            raise InputError("encoder", str(self.name), rule)
        for name in SETTINGS[:1]:
            if not (self.folder / name).is_file():
                raise InputError("encoder", str(self.name), f"has no {name}")
        if not any((self.folder / name).is_file() for name in SETTINGS[1:]):
            rule = "has no preprocessor_config.json; is it a model for images?"
            raise InputError("encoder", str(self.name), rule)


def find_model(model: str, revision: str | None = None) -> ModelFiles:
    """The files of a local folder, or of a model of the Hub by its id, downloaded if need be.

    revision: branch, tag or commit on the Hub. Errors: one `InputError` line each.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        files = ModelFiles(path.resolve().name, path)
    elif path.is_absolute() or model.startswith((".", "~")):
        raise InputError("encoder", model, "no such folder")
    else:
        files = _from_hub(model, revision)
    files.check()
    return files


def _from_hub(model: str, revision: str | None) -> ModelFiles:
    folder = _download(model, revision)
    if revision is None and not _has_weights(folder):
        proposed = _proposed_conversion(model)
        folder = folder if proposed is None else _download(model, proposed)
    return ModelFiles(model, folder, folder.name)


def _download(model: str, revision: str | None) -> Path:
    hub = extra("huggingface_hub")
    try:
        folder = hub.snapshot_download(
            model, revision=revision, allow_patterns=[*WEIGHTS, *SETTINGS]
        )
    except (OSError, ValueError) as error:
        raise InputError("encoder", model, _why(error)) from error
    return Path(folder)


def _proposed_conversion(model: str) -> str | None:
    """The revision of the bot's proposal to add safetensors, if there is one."""
    hub = extra("huggingface_hub")
    try:
        proposals = hub.HfApi().get_repo_discussions(
            model, author=CONVERTER, discussion_type="pull_request"
        )
        found = [p for p in proposals if p.author == CONVERTER and "safetensors" in p.title]
    except (OSError, ValueError):
        return None
    return str(found[-1].git_reference) if found else None


def _why(error: Exception) -> str:
    """What went wrong with the Hub, in a line."""
    reasons = {
        "LocalEntryNotFoundError": "no such folder, and the Hub cannot be reached from here",
        "OfflineModeIsEnabled": "no such folder, and not in the Hub's cache (offline mode)",
        "GatedRepoError": "the Hub asks you to accept this model's terms and log in first",
        "RepositoryNotFoundError": "no such folder, and no such model on the Hub (or private)",
        "RevisionNotFoundError": "the Hub has no such revision of it",
        "HFValidationError": "no such folder, and not the form of an id on the Hub (OWNER/NAME)",
    }
    for kind in type(error).__mro__:
        if kind.__name__ in reasons:
            return reasons[kind.__name__]
    return " ".join(str(error).split())[:160]


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in WEIGHTS[:2])
