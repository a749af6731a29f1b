"""The page of a stress test: the verdict first, then what to do, and then the figures.

One HTML file that loads nothing and runs no script. Names, reasons and logs come from the code
under test: every string is escaped, and control characters are written out. The same results give
the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mislabel.files import write_text
from mislabel.report.links import view_link
from mislabel.report.receipts import data_sizes, json_text, run_command, run_data, run_facts
from mislabel.report.stress_tables import (
    area_rows,
    failed_rows,
    stress_caption,
    stress_rows,
    subject_names,
    verdict_line,
)
from mislabel.report.template import render
from mislabel.stress.advice import findings
from mislabel.stress.decisions import Verdict
from mislabel.stress.intervals import LEVEL
from mislabel.stress.results import YOURS, StressResults
from mislabel.stress.wording import level_words, metric_scale
from mislabel.words import one_line

LOG_LINES = 20
"Last lines of a failed training's output that are shown."
_NO_LOGS: Mapping[str, str] = {}


def write_stress_page(
    results: StressResults,
    verdict: Verdict,
    path: Path,
    *,
    logs: Mapping[str, str] = _NO_LOGS,
    level: float = LEVEL,
    explorer: str | None = None,
) -> Path:
    """Write the page of a stress test, and return its path.

    logs: the end of the output of trainings, by `StressCell.log`; shown for those that failed.
    level: of the intervals; take that of the verdict. explorer: address, from the page, of the
    ``index.html`` of an explorer of the test (`mislabel.explorer.runs.explore_stress`), to which
    the page links.
    """
    path = Path(path)
    page = render_stress_page(results, verdict, logs=logs, level=level, explorer=explorer)
    write_text(path, page)
    return path


def render_stress_page(
    results: StressResults,
    verdict: Verdict,
    *,
    logs: Mapping[str, str] = _NO_LOGS,
    level: float = LEVEL,
    explorer: str | None = None,
) -> str:
    """The page as text; see `write_stress_page`."""
    from mislabel.report.stress_panels import class_panels, fitted_panels, loss_panels, rate_panels

    shows_state = bool(verdict.decisions) or verdict.state != "pass"
    return render(
        "stress.html.j2",
        explorer=explorer,
        code=_code(results),
        test_line=_test_line(results),
        state=verdict.state if shows_state else "",
        verdict_line=verdict_line(verdict),
        decisions=verdict.decisions,
        found=findings(results, verdict, level=level),
        level=level_words(level),
        metric=metric_scale(results).name,
        losses=loss_panels(results, level=level),
        rates=rate_panels(results, level=level),
        classes=class_panels(results),
        fitted=fitted_panels(results, level=level),
        subjects=subject_names(results),
        rows=stress_rows(results, level=level),
        seed=results.seeds[0],
        label_links=_label_links(results, explorer),
        caption=stress_caption(results, level=level),
        areas=area_rows(results, level=level),
        failed=[(name, why, _tail(logs.get(c.log, ""))) for c, name, why in failed_rows(results)],
        facts=_facts(results),
        command=run_command(results.metadata),
        metadata=json_text(results.metadata),
    )


def _label_links(results: StressResults, explorer: str | None) -> dict[str, str]:
    """Where an explorer shows the labels of each noise, by its spec."""
    shown = [] if explorer is None else results.rates
    return {
        noise.spec: view_link(explorer, labels=number, ring="flipped")
        for number, noise in enumerate(shown)
    }


def _code(results: StressResults) -> str:
    """What the code under test is called."""
    titles = [subject.title for subject in results.subjects if subject.name == YOURS]
    return one_line(titles[0], 200) if titles else "your code"


def _test_line(results: StressResults) -> str:
    """Suite and data."""
    data = run_data(results.metadata)
    sizes = data_sizes(results.metadata, data.get("n_train"), len(results.class_names))
    suite = _suite(results)
    return f"Suite {suite}. {sizes}" if suite else sizes


def _suite(results: StressResults) -> str:
    """Name and version of the suite, as far as they are known."""
    suite = results.metadata.get("suite")
    if not isinstance(suite, Mapping):
        return ""
    version = suite.get("version")
    return f"{suite.get('name')}" + (f" v{version}" if version is not None else "")


def _tail(log: str) -> str:
    """The last lines of a training's output."""
    return "\n".join(log.rstrip().splitlines()[-LOG_LINES:])


def _facts(results: StressResults) -> list[tuple[str, Any]]:
    """Suite, data, metric, thresholds, cost and versions."""
    data = run_data(results.metadata)
    metric = f"{results.metric}{', lower is better' if results.lower_is_better else ''}"
    facts = [
        ("Suite", _suite(results)),
        ("Data", f"{data.get('name') or ''} {data.get('fingerprint') or ''}".strip()),
        ("Metric", metric),
        ("Thresholds", "; ".join(results.thresholds)),
    ]
    facts += run_facts(results.metadata, results.seeds, [c.seconds for c in results.cells])
    return [(term, fact) for term, fact in facts if fact]
