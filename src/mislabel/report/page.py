"""The page of a benchmark: one HTML file that opens anywhere, without network and scripts.

Every string is escaped by the template engine, control characters are written out, and a content
security policy forbids the browser to load anything. The same results give the same bytes.
"""

from pathlib import Path

from mislabel.benchmark.results import (
    EPOCH_CHOICES,
    BenchmarkResults,
    check_epoch,
    epoch_choices,
)
from mislabel.files import write_text
from mislabel.report.receipts import data_name, data_sizes, json_text, run_command, run_facts
from mislabel.report.tables import accuracy_table
from mislabel.report.template import render
from mislabel.report.text import noise_names
from mislabel.report.verdict import write_verdict


def write_benchmark_page(
    results: BenchmarkResults, path: Path, *, epoch: str = "last", explorer: str | None = None
) -> Path:
    """Write the report of a benchmark as one self-contained HTML file, and return its path.

    epoch: how a curve becomes the figure that the verdict, the first table and the rate figures
    show, one of `EPOCH_CHOICES`; anything else is an `InputError`.
    explorer: address, from the page, of the ``index.html`` of an explorer of the results
    (`mislabel.explorer.runs.explore_benchmark`), to which the page links.
    """
    check_epoch(epoch, results)
    path = Path(path)
    write_text(path, render_benchmark_page(results, epoch=epoch, explorer=explorer))
    return path


def render_benchmark_page(
    results: BenchmarkResults, *, epoch: str = "last", explorer: str | None = None
) -> str:
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
        explorer=explorer,
        data=data_name(results.metadata),
        data_line=_data_line(results),
        epoch_words=EPOCH_CHOICES[epoch],
        verdict=write_verdict(results, epoch),
        table=accuracy_table(results, epoch),
        other_tables=[(EPOCH_CHOICES[e], accuracy_table(results, e)) for e in others],
        rates=rate_panels(results, epoch) if results.cells else [],
        has_map=results.map is not None,
        maps=map_panels(results, explorer),
        class_key=class_key(results),
        transitions=transition_panels(results),
        curves=curve_panels(results),
        receipts=_receipts(results),
        facts=run_facts(results.metadata, results.seeds, [c.seconds for c in results.cells]),
        command=run_command(results.metadata),
        metadata=json_text(results.metadata),
    )


def _data_line(results: BenchmarkResults) -> str:
    """Name and sizes of the data, as far as they are known."""
    n_train = len(results.noises[0].labels) if results.noises else None
    return data_sizes(results.metadata, n_train, len(results.class_names))


def _receipts(results: BenchmarkResults) -> list[tuple[str, str, str]]:
    """Name, spec and receipt of each noise column."""
    names = noise_names(results)
    return [(names[c.spec], c.spec, json_text(c.labels.receipt_json())) for c in results.noises]
