"""The figure of a two-sample test shows what the result says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose

from mislabel.realism.two_sample_result import Importance, TwoSampleResult
from mislabel.report.figures import save_figure
from mislabel.report.realism_test_figure import MOST_CLASSES, two_sample_figure

RESULT = TwoSampleResult(
    auc=0.7,
    interval=(0.6, 0.8),
    level=0.95,
    p_value=0.001,
    p_method="exchange",
    n_permutations=999,
    fold_aucs=(0.7, 0.7),
    auc_per_class=np.array([0.4, 0.9, np.nan]),
    importance={"flips nearby": Importance(drop=0.2, standard_error=0.01)},
    n_examples=100,
    n_blocks=10,
    n_folds=2,
    buffer=30,
    n_dropped=(1, 2),
    reference_rate=0.2,
    candidate_rate=0.2,
    n_thinned=0,
    discriminator="boosting",
    seed=0,
    versions={},
    inputs={},
)


def test_three_panels(tmp_path: Path) -> None:
    figure = two_sample_figure(RESULT, ["cat", "dog", "emu"])
    whole, importance, classes = figure.axes
    assert_allclose(whole.lines[0].get_xdata(), [0.6, 0.8])
    assert [bar.get_width() for bar in importance.patches] == [0.2]
    assert_allclose(classes.lines[0].get_xdata(), [0.4, 0.9, np.nan])
    assert [tick.get_text() for tick in classes.get_yticklabels()] == ["cat", "dog", "emu"]
    assert whole.get_xlim() == classes.get_xlim()
    low, high = whole.get_xlim()
    assert low < 0.4 and high > 0.9
    assert save_figure(figure, tmp_path / "f.png").stat().st_size > 0


def test_without_importance_and_with_many_classes() -> None:
    aucs = np.linspace(0.3, 0.9, 100)
    figure = two_sample_figure(replace(RESULT, importance=None, auc_per_class=aucs))
    _, classes = figure.axes
    shown = [tick.get_text() for tick in classes.get_yticklabels()]
    assert len(shown) == MOST_CLASSES and (shown[0], shown[-1]) == ("class 99", "class 0")


def test_verdict() -> None:
    said = "AUC 0.700 (95 % interval 0.600 to 0.800): "
    told = "the candidate can be told from the reference"
    assert RESULT.verdict == f"{said}{told}, most by 'flips nearby'"
    assert replace(RESULT, importance=None).verdict == said + told
    unclear = replace(RESULT, interval=(0.45, 0.95))
    assert "this test cannot tell the candidate from the reference" in unclear.verdict
