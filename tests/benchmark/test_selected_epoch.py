"""The figure at the epoch that held-out noisy labels select."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_examples import made_up, tiny_grid

from mislabel.benchmark import (
    BenchmarkResults,
    CellResult,
    Summary,
    format_table,
    run_benchmark,
    summarise,
    table_caption,
)
from mislabel.benchmark.results import CURVES, check_epoch, epoch_choices
from mislabel.benchmark.run import check_shown
from mislabel.errors import InputError
from mislabel.report import write_benchmark_page
from mislabel.report.accuracy import dots_figure
from tiny_data import write_data

NOTHING = "epoch='selected': no training holds labels out; give a method selection=noisy-validation"


def with_held_out(cell: CellResult, curve: list[float]) -> CellResult:
    return replace(cell, curves={**cell.curves, "validation_accuracy": curve})


def selecting(*, methods: tuple[str, ...] = ("standard", "gce:q=0.5")) -> BenchmarkResults:
    """`made_up`, whose `methods` were best on held-out labels in the first of three epochs.

    The test accuracy there is 0.05, in the second epoch 0.95.
    """
    results = made_up()
    cells = [with_held_out(c, [0.6, 0.5, 0.6]) if c.method in methods else c for c in results.cells]
    return replace(results, cells=cells)


def test_the_figure_is_at_the_first_best_epoch() -> None:
    cell = made_up().cells[0]
    assert with_held_out(cell, [0.1, 0.3, 0.3]).accuracy("selected") == 0.95
    assert with_held_out(cell, [0.2, 0.1, 0.1]).accuracy("selected") == 0.05
    kept = with_held_out(cell, [0.2, 0.1, 0.1])
    others = ("last", "last10", "best")
    assert [kept.accuracy(e) for e in others] == [cell.accuracy(e) for e in others]
    with pytest.raises(InputError) as caught:
        cell.accuracy("selected")
    assert str(caught.value) == (
        "epoch='selected': standard under symmetric:0.25 held no labels out to select an epoch by"
    )


def test_curves_and_choices_name_it() -> None:
    assert "validation_accuracy" in CURVES
    assert epoch_choices(made_up()) == ["last", "last10", "best"]
    assert epoch_choices(selecting()) == ["last", "last10", "best", "selected"]
    assert epoch_choices(selecting(methods=("standard",)))[-1] == "selected"
    assert check_epoch("selected") == check_epoch("selected", selecting()) == "selected"


def test_summaries_are_of_the_cells_that_held_out() -> None:
    cells = selecting(methods=("gce:q=0.5",)).cells
    assert summarise(cells[:2], "selected") == Summary(mean=None, deviation=None, count=0)
    found = summarise(cells[:2] + cells[4:6], "selected")
    assert found == Summary(mean=pytest.approx(0.05), deviation=0, count=2)


@pytest.mark.parametrize("style", ["terminal", "markdown", "latex", "csv", "json"])
def test_tables_refuse_it_where_nothing_was_held_out(style: str) -> None:
    with pytest.raises(InputError) as caught:
        format_table(made_up(), style, epoch="selected")
    assert str(caught.value) == NOTHING


def test_tables_show_it() -> None:
    assert format_table(selecting(), "markdown", epoch="selected") == (
        "| method | symmetric:0.25 | file:a_b&c\\|d.npy |\n"
        "|---|---:|---:|\n"
        "| Standard | **5.00 ± 0.00** | **5.00 ± 0.00** |\n"
        "| GCE (q_1=50%\\|x) | **5.00 ± 0.00** | **5.00 ± 0.00** |\n"
        "\n"
        "Test accuracy in percent, epoch selected on held-out noisy labels; "
        "mean ± population deviation over 2 seeds.\n"
    )
    for style in ("terminal", "markdown", "latex"):
        last = format_table(selecting(), style)
        assert last == format_table(made_up(), style) and "60.00" in last


def test_methods_that_held_nothing_out_have_no_figure() -> None:
    mixed = selecting(methods=("gce:q=0.5",))
    text = format_table(mixed, "markdown", epoch="selected")
    assert "| Standard | – | – |" in text and "**5.00 ± 0.00**" in text
    assert table_caption(mixed, "selected").endswith(
        "over 2 seeds. No figure where no labels were held out."
    )
    assert table_caption(mixed, "last").endswith("over 2 seeds.")


def test_csv_and_json_have_it_where_it_is() -> None:
    rows = list(csv.DictReader(io.StringIO(format_table(selecting(methods=("standard",)), "csv"))))
    assert [row["selected_mean"] for row in rows] == ["0.05", "0.05", "", ""]
    plain = next(csv.reader(io.StringIO(format_table(made_up(), "csv"))))
    assert not [name for name in plain if name.startswith("selected")]
    content = json.loads(format_table(selecting(), "json", epoch="selected"))
    assert content["shown"] == "selected"
    assert content["table"][0]["selected"] == {"mean": pytest.approx(0.05), "deviation": 0}
    assert "selected" not in json.loads(format_table(made_up(), "json"))["table"][0]


def test_the_page_has_it(tmp_path: Path) -> None:
    mixed = selecting(methods=("gce:q=0.5",))
    for epoch in ("selected", "last"):
        page = write_benchmark_page(mixed, tmp_path / "page.html", epoch=epoch).read_text()
        assert "epoch selected on held-out noisy labels" in page
    dots_figure(mixed, "selected")
    page = write_benchmark_page(made_up(), tmp_path / "page.html").read_text()
    assert "held-out" not in page
    with pytest.raises(InputError) as caught:
        write_benchmark_page(made_up(), tmp_path / "page.html", epoch="selected")
    assert str(caught.value) == NOTHING


def test_a_run_selects_by_its_held_out_labels(tmp_path: Path, one_thread: None) -> None:
    write_data(tmp_path)
    spec = "gce:selection=noisy-validation"
    grid = tiny_grid(tmp_path, methods=["standard", spec], noises=["symmetric:0.2"], epochs=6)
    assert list(grid.methods) == ["standard", spec]
    check_shown(grid, "selected")
    check_shown(tiny_grid(tmp_path), "last")
    with pytest.raises(InputError) as caught:
        check_shown(tiny_grid(tmp_path), "selected")
    assert str(caught.value) == NOTHING
    results = run_benchmark(grid, tmp_path / "run", workers=1)
    for cell in results.cells:
        assert cell.selects is (cell.method == spec)
        assert set(cell.curves) <= set(CURVES)
    figures = []
    truth = np.load(tmp_path / "tiny.npz")["y_test"]
    share = np.bincount(truth) / len(truth)
    for cell in results.select(noise="symmetric:0.2", method=spec):
        held_out = cell.curves["validation_accuracy"]
        place = held_out.index(max(held_out))  # type: ignore[type-var]
        figures.append(cell.curves["test_accuracy"][place])
        # What the training left is the selected network.
        kept = share @ np.array(cell.test_accuracy_per_class, dtype=float)
        assert kept == pytest.approx(cell.accuracy("selected"), abs=1e-6)
    found = summarise(results.select(noise="symmetric:0.2", method=spec), "selected")
    assert found.mean == pytest.approx(np.mean(figures)) and found.count == 2
