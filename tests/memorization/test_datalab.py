"""cleanlab's Datalab gets scores and suspects as issues of its own."""

import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from memorization_examples import drawn, scores
from mislabel.errors import InputError
from mislabel.memorization.datalab import ISSUES, to_datalab
from mislabel.memorization.suspects import find_suspects


@pytest.mark.parametrize("module", ["cleanlab", "datasets"])
def test_without_cleanlab_the_error_says_how_to_get_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module == "datasets":
        pytest.importorskip("cleanlab")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as caught:
        to_datalab(drawn())
    rule = f"cleanlab='{module}': is not installed; pip install 'mislabel[cleanlab]'"
    assert str(caught.value) == rule


@pytest.fixture
def cleanlab() -> Any:
    pytest.importorskip("datasets")
    return pytest.importorskip("cleanlab")


LABELS = {"labels": [0, 1, 2, 1], "clean_labels": [0, 0, 1, 1]}


def test_issues_worked_by_hand(cleanlab: Any) -> None:
    found = scores([0.9, 0.9, 0.9, 0.2], [0.9, 0.1, 0.8, np.nan], **LABELS)
    suspects = find_suspects(found)  # 1 is memorized, 2 is learned
    lab = to_datalab(found, suspects=suspects, noise_scores=[0, 0.9, 0.4, 0.5])
    expected = {
        "memorized": ([1, 0.2, 0.9, 1], [False, True, False, False]),
        "unsupported": ([0.9, 0.1, 0.8, 1], [False, True, False, False]),
        "wrong_looking": ([1, 0.2, 0.2, 1], [False, True, True, False]),
        "noisy": ([1, 0.1, 0.6, 0.5], [False, True, False, False]),
    }
    assert expected.keys() == ISSUES.keys()
    for name, (severity, flagged) in expected.items():
        issues = lab.get_issues(name)
        assert list(issues.columns) == [f"is_{name}_issue", f"{name}_score"]
        assert_allclose(issues[f"{name}_score"], severity, atol=1e-12)
        assert issues[f"is_{name}_issue"].tolist() == flagged
    assert lab.get_info("memorized")["unknown"] == 1
    assert lab.get_info("noisy")["unknown"] == 0
    assert lab.data["label"] == ["ant", "bee", "cat", "bee"]
    summary = dict(zip(lab.issue_summary["issue_type"], lab.issue_summary["num_issues"],
                       strict=True))  # fmt: skip
    assert summary == {"memorized": 1, "unsupported": 1, "wrong_looking": 2, "noisy": 1}


def test_an_example_in_both_lists_counts_by_the_worse(cleanlab: Any) -> None:
    found = scores([0.9] * 4, [0.3] * 4, **LABELS)  # memorization 0.6, smaller probability 0.3
    suspects = find_suspects(found, threshold=0.2)
    assert suspects.totals == {"memorized": 2, "learned": 2}
    severity = to_datalab(found, suspects=suspects).get_issues("wrong_looking")
    assert_allclose(severity["wrong_looking_score"], [1, 0.4, 0.4, 1], atol=1e-12)


def test_a_datalab_with_issues_of_its_own_gets_more(
    cleanlab: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = drawn(60, seed=3)
    some = whole.select(np.arange(0, 60, 2))
    lab = cleanlab.Datalab(data={"y": whole.labels.tolist()}, label_name="y", verbosity=0)
    lab.find_issues(issue_types={"class_imbalance": {}})
    assert to_datalab(some, lab=lab, threshold=0.5) is lab
    types = ["class_imbalance", "memorized", "unsupported"]
    assert lab.issue_summary["issue_type"].tolist() == types
    flagged = lab.get_issues("memorized")["is_memorized_issue"].to_numpy()
    assert np.flatnonzero(flagged).tolist() == some.index[some.memorized(0.5)].tolist()
    assert (lab.get_issues("memorized")["memorized_score"].to_numpy()[1::2] == 1).all()
    assert lab.get_info("memorized")["unknown"] == 31  # 30 of no score, one never held out
    assert lab.issues.notna().all().all()
    lab.report()
    printed = capsys.readouterr().out
    assert "memorized issues" in printed and ISSUES["memorized"] in printed


def test_issue_names_do_not_hold_those_of_others(cleanlab: Any) -> None:
    """Datalab finds the columns of an issue by parts of their names."""
    known = {"label", "outlier", "near_duplicate", "non_iid", "class_imbalance", "null",
             "underperforming_group", "data_valuation"}  # fmt: skip
    for name in ISSUES:
        assert not any(other in name or name in other for other in (known | {*ISSUES}) - {name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_scores": [0.5]}, "noise_scores='shape (1,)': must be (4,)"),
        ({"noise_scores": [0, 1, 2, 0]}, "noise_scores='values': must be from 0 to 1"),
        ({"noise_scores": [0, 1, np.nan, 0]}, "noise_scores='values': must be from 0 to 1"),
        ({"threshold": 1}, "threshold=1: must be from 0 to below 1"),
    ],
)
def test_bad_input_is_an_input_error(cleanlab: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        to_datalab(scores([1] * 4, [0] * 4, **LABELS), **changes)
    assert message in str(caught.value)


def test_a_datalab_or_suspects_of_others_are_refused(cleanlab: Any) -> None:
    found = scores([1] * 4, [0] * 4, **LABELS)
    lab = cleanlab.Datalab(data={"y": [0, 1]}, label_name="y", verbosity=0)
    with pytest.raises(InputError, match="must be of the full training set: 4 examples"):
        to_datalab(found, lab=lab)
    with pytest.raises(InputError, match="suspects=1: is an example that has no scores here"):
        to_datalab(found.select(np.array([0, 2])), suspects=find_suspects(found))
