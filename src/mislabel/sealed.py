"""JSON files that tell whether they, and the files beside them, are what was written.

A sealed file has two keys more: ``sha256``, the hash of its content, and ``files_sha256``, the
hashes of files that belong to it, if any. A disk that changes a bit is found out when it is read.
Files of earlier versions have no seal and are read as they are.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mislabel.errors import InputError
from mislabel.files import hash_file, hash_json, read_json, reading, write_json
from mislabel.shapes import check_shape

SEAL, FILES = "sha256", "files_sha256"
DAMAGED = "is damaged: it is not what was written"


def write_sealed(path: Path, content: Mapping[str, Any], files: Sequence[str] = ()) -> None:
    """Write JSON atomically, with its hash and those of `files` beside it."""
    whole = json.loads(json.dumps(dict(content), allow_nan=False))
    if files:
        whole[FILES] = {name: hash_file(path.with_name(name)) for name in files}
    write_json(path, whole | {SEAL: hash_json(whole)})


def read_sealed(path: Path, argument: str, *, format: int | None = None) -> Any:
    """The JSON of a file, checked, without its own hash.

    format: that the caller reads, and the file should name; of any other nothing is checked here.
    Errors: `InputError` that names the file that is missing, broken or not what was written.
    """
    content = read_json(path, argument)
    if not isinstance(content, dict):
        return content
    seal = content.pop(SEAL, None)
    if seal is None or content.get("format") != format:
        return content
    if seal != hash_json(content):
        raise InputError(argument, str(path), DAMAGED)
    with reading(argument, path):
        check_shape(content, {f"{FILES}?": {...: str}})
        if others := [
            name for name in content.get(FILES, {}) if not name or Path(name).name != name
        ]:
            raise ValueError(f"{others[0]!r} is no name of a file beside it")
    for name, sha256 in content.get(FILES, {}).items():
        beside = path.with_name(name)
        if not beside.is_file():
            raise InputError(argument, str(beside), "is missing")
        if hash_file(beside) != sha256:
            raise InputError(argument, str(beside), DAMAGED)
    return content
