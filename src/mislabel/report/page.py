"""The page of a benchmark: one HTML file that opens anywhere, without network and scripts.

Every string is escaped by the template engine, control characters are written out, and a content
security policy forbids the browser to load anything. The same results give the same bytes.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mislabel.benchmark.results import (
    EPOCH_CHOICES,
    BenchmarkResults,
    check_epoch,
    epoch_choices,
)
from mislabel.files import write_text
from mislabel.report.tables import accuracy_table
from mislabel.report.template import render
from mislabel.report.text import noise_names, plural
from mislabel.report.verdict import write_verdict


def write_benchmark_page(results: BenchmarkResults, path: Path, *, epoch: str = "last") -> Path:
    """Write the report of a benchmark as one self-contained HTML file, and return its path.

    epoch: how a curve becomes the figure that the verdict, the first table and the rate figures
    show, one of `EPOCH_CHOICES`; anything else is an `InputError`.
    """
    check_epoch(epoch, results)
    path = Path(path)
    write_text(path, render_benchmark_page(results, epoch=epoch))
    return path


def render_benchmark_page(results: BenchmarkResults, *, epoch: str = "last") -> str:
    """The page as text; see `write_benchmark_page`."""
    from mislabel.report.panels import (
        class_key,
        curve_panels,
        map_panels,
        rate_panels,
        transition_panels,
    )

    check_epoch(epoch, results)
    others = [choice for choice in epoch_choices(results) if choice != epoch]
    return render(
        "benchmark.html.j2",
        data=_data_name(results.metadata),
        data_line=_data_line(results),
        epoch_words=EPOCH_CHOICES[epoch],
        verdict=write_verdict(results, epoch),
        table=accuracy_table(results, epoch),
        other_tables=[(EPOCH_CHOICES[e], accuracy_table(results, e)) for e in others],
        rates=rate_panels(results, epoch) if results.cells else [],
        has_map=results.map is not None,
        maps=map_panels(results),
        class_key=class_key(results),
        transitions=transition_panels(results),
        curves=curve_panels(results),
        receipts=_receipts(results),
        facts=_facts(results),
        command=_command(results.metadata),
        metadata=_json(results.metadata),
    )


def _data(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the metadata says of the data: a mapping, or a name alone."""
    data = metadata.get("data")
    return data if isinstance(data, Mapping) else {"name": data}


def _data_name(metadata: Mapping[str, Any]) -> str:
    return str(_data(metadata).get("name") or "the data")


def _data_line(results: BenchmarkResults) -> str:
    """Name and sizes of the data, as far as they are known."""
    data = _data(results.metadata)
    parts = []
    if results.noises:
        parts.append(plural(len(results.noises[0].labels), "training example"))
    if data.get("n_test") is not None:
        parts.append(plural(int(data["n_test"]), "test example"))
    parts.append(f"{len(results.class_names):,} classes")
    subset, total = data.get("subset"), data.get("n_train_total")
    if subset is not None:
        whole = f" of {int(total):,}" if total is not None else ""
        parts.append(f"subset of {int(subset):,}{whole}")
    return f"{_data_name(results.metadata)}: {', '.join(parts)}."


def _receipts(results: BenchmarkResults) -> list[tuple[str, str, str]]:
    """Name, spec and receipt of each noise column."""
    names = noise_names(results)
    return [(names[c.spec], c.spec, _json(c.labels.receipt_json())) for c in results.noises]


def _facts(results: BenchmarkResults) -> list[tuple[str, str]]:
    """Seeds, cost, versions and the command, for the list above the receipts."""
    metadata = results.metadata
    facts = [("Seeds", ", ".join(map(str, results.seeds)))]
    seconds = sum(cell.seconds for cell in results.cells)
    facts.append(("Trainings", f"{len(results.cells):,}, {_duration(seconds)} in all"))
    versions = metadata.get("versions")
    if isinstance(versions, Mapping):
        facts.append(("Versions", ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))))
    return facts


def _command(metadata: Mapping[str, Any]) -> str:
    """The command line of the run, given as text or as its words; empty when not recorded."""
    command = metadata.get("command") or ""
    return command if isinstance(command, str) else shlex.join(map(str, command))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _json(value: Any) -> str:
    """Indented JSON for reading; what JSON has no word for is written as text."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
