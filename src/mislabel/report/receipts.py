"""What a run says of itself at the end of its page: data, cost, versions, command, metadata."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mislabel.words import plural


def run_data(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the metadata says of the data: a mapping, or a name alone."""
    data = metadata.get("data")
    return data if isinstance(data, Mapping) else {"name": data}


def data_name(metadata: Mapping[str, Any]) -> str:
    """The name of the data, or words in its place."""
    return str(run_data(metadata).get("name") or "the data")


def run_command(metadata: Mapping[str, Any]) -> str:
    """The command line of the run, given as text or as its words; empty when not recorded."""
    command = metadata.get("command") or ""
    return command if isinstance(command, str) else shlex.join(map(str, command))


def run_facts(
    metadata: Mapping[str, Any], seeds: Sequence[int], seconds: Sequence[float]
) -> list[tuple[str, str]]:
    """Seeds, trainings with their seconds, and versions, for the list above the receipts."""
    facts = [("Seeds", ", ".join(map(str, seeds)))]
    facts.append(("Trainings", f"{len(seconds):,}, {duration(sum(seconds))} in all"))
    versions = metadata.get("versions")
    if isinstance(versions, Mapping):
        facts.append(("Versions", ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))))
    return facts


def data_sizes(metadata: Mapping[str, Any], n_train: int | None, n_classes: int) -> str:
    """Name and sizes of the data, as far as they are known."""
    data, parts = run_data(metadata), []
    if n_train is not None:
        parts.append(plural(n_train, "training example"))
    if data.get("n_test") is not None:
        parts.append(plural(int(data["n_test"]), "test example"))
    parts.append(f"{n_classes:,} classes")
    subset, total = data.get("subset"), data.get("n_train_total")
    if subset is not None:
        whole = f" of {int(total):,}" if total is not None else ""
        parts.append(f"subset of {int(subset):,}{whole}")
    return f"{data_name(metadata)}: {', '.join(parts)}."


def duration(seconds: float) -> str:
    """A time in a unit that fits: ``3.5 minutes``."""
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def json_text(value: Any) -> str:
    """Indented JSON for reading; what JSON has no word for is written as text."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
