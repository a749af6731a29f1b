"""Checkpoints: the state of a training in one file, written atomically, without pickle.

Tensors are stored by safetensors; the nesting around them, numbers, strings, lists and None, as
JSON in the file's header. A checkpoint of another training (data, labels, method, recipe, seeds,
versions) is refused.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mislabel.errors import InputError
from mislabel.files import UNREADABLE, atomic_path, check_plain

TENSOR, MAPPING = "__tensor__", "__mapping__"


class Checkpoint:
    """The file of one training.

    identity: JSON values that must be the same for a training to go on. every: seconds between
    two checkpoints; the end of the training is always saved.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, every: float = 30.0) -> None:
        self.path, self.every = path, every
        self.identity = json.loads(json.dumps(identity))
        self._saved = time.monotonic()

    def due(self, *, last: bool) -> bool:
        """Whether it is time to save."""
        return last or time.monotonic() - self._saved >= self.every

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state; what was there before stays until it is complete."""
        save_state(self.path, {"identity": self.identity, "state": state})
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The state, or None where there is no file; of another training an `InputError`."""
        if not self.path.exists():
            return None
        found = load_state(self.path)
        if found.get("identity") != self.identity:
            different = sorted(
                name
                for name in {*self.identity, *found.get("identity", {})}
                if found.get("identity", {}).get(name) != self.identity.get(name)
            )
            rule = f"is of another training (different: {', '.join(different)})"
            raise InputError("checkpoint", str(self.path), rule)
        state: dict[str, Any] = found["state"]
        return state


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of tensors and JSON values to a file, atomically."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    outline = _outline(state, tensors)
    with atomic_path(path) as temporary:
        text = json.dumps(outline)
        metadata = {"state": text, "sha256": _hash(text, tensors)}
        save_file(tensors, temporary, metadata=metadata)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; tensors come on the CPU."""
    from safetensors import SafetensorError, safe_open

    try:
        check_plain(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            outline = json.loads(metadata["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("sha256") not in (None, _hash(metadata["state"], tensors)):
            raise ValueError("it is not what was written")
        state: dict[str, Any] = _filled(outline, tensors)
    except (SafetensorError, *UNREADABLE) as error:
        rule = f"cannot be read ({type(error).__name__}); delete it to start afresh"
        raise InputError("checkpoint", str(path), rule) from error
    return state


def _hash(outline: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a state."""
    digest = hashlib.sha256(outline.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def _outline(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` with each tensor replaced by its name; dicts as pairs, so that keys keep types."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {TENSOR: name}
    if isinstance(value, Mapping):
        return {MAPPING: [[key, _outline(v, tensors)] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_outline(v, tensors) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _filled(outline: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(outline, dict):
        if TENSOR in outline:
            return tensors[outline[TENSOR]]
        return {key: _filled(v, tensors) for key, v in outline[MAPPING]}
    return [_filled(v, tensors) for v in outline] if isinstance(outline, list) else outline


def tensor_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor of any kind, as they lie in memory."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    return flat.view(torch.uint8).numpy().tobytes()
