"""From curves to figures to tables: exact contents on results made up by hand."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from benchmark_examples import cell, made_up

from mislabel.benchmark import (
    EPOCH_CHOICES,
    TABLE_STYLES,
    Summary,
    format_table,
    summarise,
    table_caption,
)
from mislabel.benchmark.results import epoch_choices, reduce_curve
from mislabel.errors import InputError

CURVE = [0.1, 0.9, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.2, 0.1, 0.4, 0.6]
"""Twelve epochs; the last ten sum to 4.6."""


@pytest.mark.parametrize(
    ("curve", "last", "last10", "best"),
    [
        (CURVE, 0.6, 0.46, 0.9),
        (CURVE[2:], 0.6, 0.46, 0.8),
        ([0.2, 0.6, 0.4], 0.4, 0.4, 0.6),  # fewer than ten: the mean of all
        ([0.25], 0.25, 0.25, 0.25),
    ],
)
def test_one_figure_of_a_curve(curve: list[float], last: float, last10: float, best: float) -> None:
    found = [reduce_curve(np.array(curve), epoch) for epoch in ("last", "last10", "best")]
    assert found == pytest.approx([last, last10, best], abs=1e-15)
    assert [cell("n", "m", 1, curve).accuracy(e) for e in ("last", "last10", "best")] == found


def test_summaries_are_mean_and_population_deviation() -> None:
    cells = [cell("n", "m", seed, [0.9, end]) for seed, end in enumerate((0.2, 0.4, 0.9))]
    found = summarise(cells)
    assert found.mean == pytest.approx(0.5, abs=1e-15)
    # (0.09 + 0.01 + 0.16) / 3, not / 2
    assert found.deviation == pytest.approx((0.26 / 3) ** 0.5, abs=1e-15)
    assert found.count == 3
    assert summarise(cells, "best") == Summary(mean=pytest.approx(0.9), deviation=0.0, count=3)
    assert summarise([]) == Summary(mean=None, deviation=None, count=0)
    assert summarise(cells[:1]) == Summary(mean=0.2, deviation=0.0, count=1)


def test_markdown() -> None:
    assert format_table(made_up(), "markdown") == (
        "| method | symmetric:0.25 | file:a_b&c\\|d.npy |\n"
        "|---|---:|---:|\n"
        "| Standard | 60.00 ± 10.00 | 25.00 ± 0.00 |\n"
        "| GCE (q_1=50%\\|x) | **85.00 ± 5.00** | **62.50 ± 12.50** |\n"
        "\n"
        "Test accuracy in percent, last epoch; mean ± population deviation over 2 seeds.\n"
    )


def test_latex() -> None:
    assert format_table(made_up(), "latex") == (
        "% Test accuracy in percent, last epoch; mean ± population deviation over 2 seeds.\n"
        "\\begin{tabular}{lrr}\n"
        "\\hline\n"
        "method & symmetric:0.25 & file:a\\_b\\&c|d.npy \\\\\n"
        "\\hline\n"
        "Standard & 60.00 $\\pm$ 10.00 & 25.00 $\\pm$ 0.00 \\\\\n"
        "GCE (q\\_1=50\\%|x) & \\textbf{85.00 $\\pm$ 5.00} & \\textbf{62.50 $\\pm$ 12.50} \\\\\n"
        "\\hline\n"
        "\\end{tabular}\n"
    )


def test_latex_escapes_every_special_character() -> None:
    from mislabel.benchmark.tables import _tex

    assert _tex(r"&%$#_{}~^\a") == (
        r"\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}a"
    )


def test_csv() -> None:
    rows = list(csv.reader(io.StringIO(format_table(made_up(complete=False), "csv"))))
    assert rows[0] == [
        "method", "noise", "realised_rate", "seeds", "last_mean", "last_deviation",
        "last10_mean", "last10_deviation", "best_mean", "best_deviation",
    ]  # fmt: skip
    assert rows[2] == ["standard", "file:a_b&c|d.npy", "0.5", "0", "", "", "", "", "", ""]
    assert rows[1][:4] == ["standard", "symmetric:0.25", "0.25", "2"]
    # last 0.5 and 0.7; means of the whole curves 1.5 / 3 and 1.7 / 3; best 0.95 twice
    expected = [0.6, 0.1, 1.6 / 3, 0.1 / 3, 0.95, 0]
    assert [float(v) for v in rows[1][4:]] == pytest.approx(expected, abs=1e-15)
    assert rows[3][:4] == ["gce:q=0.5", "symmetric:0.25", "0.25", "1"]
    assert [row[3] for row in rows[1:]] == ["2", "0", "1", "2"]


def test_json() -> None:
    content = json.loads(format_table(made_up(complete=False), "json", epoch="best"))
    assert content["shown"] == "best" and content["missing"] == 3
    assert content["caption"] == table_caption(made_up(complete=False), "best")
    assert content["data"] == {"name": "made up"}
    assert [(e["method"], e["noise"], e["seeds"]) for e in content["table"]] == [
        ("standard", "symmetric:0.25", 2),
        ("standard", "file:a_b&c|d.npy", 0),
        ("gce:q=0.5", "symmetric:0.25", 1),
        ("gce:q=0.5", "file:a_b&c|d.npy", 2),
    ]
    nothing = content["table"][1]
    assert nothing["last"] == nothing["best"] == {"mean": None, "deviation": None}
    assert nothing["training_seconds"] == 0 and nothing["realised_rate"] == 0.5
    assert content["table"][0]["training_seconds"] == 3.0
    assert content["table"][0]["last"] == {
        "mean": pytest.approx(0.6),
        "deviation": pytest.approx(0.1),
    }


def test_terminal() -> None:
    lines = format_table(made_up(), "terminal").splitlines()
    cells_of = [[part.strip() for part in line.split("│")[1:-1]] for line in lines]
    assert ["symmetric:0.25", "60.00 ± 10.00", "85.00 ± 5.00"] in cells_of
    assert ["file:a_b&c|d.npy", "25.00 ± 0.00", "62.50 ± 12.50"] in cells_of
    caption = " ".join(" ".join(lines[-2:]).split())
    assert caption.endswith(table_caption(made_up(), "last"))
    assert "\x1b" not in "".join(lines)


def test_brackets_are_no_markup() -> None:
    results = made_up()
    object.__setattr__(results.methods[0], "title", "[red]Standard[/red]")
    assert "[red]Standard[/red]" in format_table(results, "terminal").replace("\n", "")


@pytest.mark.parametrize(
    ("style", "row"),
    [
        ("markdown", "| Standard | 60.00 ± 10.00 | – |"),
        ("latex", "Standard & 60.00 $\\pm$ 10.00 & -- \\\\"),
        ("terminal", "│ file:a_b&c|d.npy │             – │   62.50 ± 12.50 │"),
    ],
)
def test_missing_cells_are_dashes(style: str, row: str) -> None:
    """A dash where there is no seed, the mean of one where there is one; the caption counts."""
    text = format_table(made_up(complete=False), style)
    assert row in text.splitlines()
    assert "90.00" in text and "85.00" not in text
    assert "3 trainings are missing." in " ".join(text.split())


@pytest.mark.parametrize(
    ("epoch", "words"),
    [
        ("last", "last epoch"),
        ("last10", "mean of the last ten epochs"),
        ("best", "best epoch, selected on the test set (optimistic)"),
    ],
)
def test_the_caption_names_the_epoch(epoch: str, words: str) -> None:
    expected = f"Test accuracy in percent, {words}; mean ± population deviation over 2 seeds."
    assert table_caption(made_up(), epoch) == expected
    assert EPOCH_CHOICES[epoch] == words
    for style in ("markdown", "latex"):
        assert expected in format_table(made_up(), style, epoch=epoch)


def test_the_caption_counts_in_english() -> None:
    results = made_up()
    less = type(results)(**{**vars(results), "cells": results.cells[1:]})
    assert table_caption(less, "last").endswith("over 2 seeds. 1 training is missing.")
    single = type(results)(**{**vars(results), "seeds": [1], "cells": results.cells[::2]})
    assert table_caption(single, "last").endswith("deviation over 1 seed.")


def test_the_best_is_marked_where_there_is_a_choice() -> None:
    results = made_up()
    alone = type(results)(
        **{**vars(results), "methods": results.methods[:1], "cells": results.cells[:4]}
    )
    assert "**" not in format_table(alone, "markdown")
    tie = format_table(made_up(), "markdown", epoch="best")
    assert tie.count("**95.00 ± 0.00**") == 4


def test_every_style_takes_every_epoch_and_no_other() -> None:
    for style in TABLE_STYLES:
        texts = {format_table(made_up(), style, epoch=epoch) for epoch in epoch_choices(made_up())}
        assert len(texts) == (1 if style == "csv" else 3)  # csv holds all three figures
        with pytest.raises(InputError) as caught:
            format_table(made_up(), style, epoch="bset")
        assert str(caught.value) == (
            "epoch='bset': unknown choice; did you mean 'best'? Known: best, last, last10, selected"
        )


def test_unknown_style() -> None:
    with pytest.raises(InputError) as caught:
        format_table(made_up(), "tex")
    assert str(caught.value) == (
        "format='tex': unknown format; did you mean 'latex'? "
        "Known: csv, json, latex, markdown, terminal"
    )


def test_cells_are_selected_by_place_and_ordered_by_seed() -> None:
    results: Any = made_up()
    shuffled = type(results)(**{**vars(results), "cells": results.cells[::-1]})
    found = shuffled.select(noise="symmetric:0.25", method="standard")
    assert [(c.seed, c.accuracy()) for c in found] == [(1, 0.5), (2, 0.7)]
    assert shuffled.select(noise="symmetric:0.25", method="snls") == []
    assert results.n_missing == 0 and made_up(complete=False).n_missing == 3
