"""Scores of memorization and noise suspects for cleanlab's Datalab, the extra ``cleanlab``.

``lab = to_datalab(scores, suspects=suspects)`` gives a `cleanlab.Datalab` that has these issues
beside its own, so that ``lab.report()``, ``lab.get_issues("memorized")`` and a later
``lab.find_issues(...)`` work as ever. As in Datalab a score is from 0, severe, to 1, harmless:

- ``memorized``: 1 - memorization; flagged above the threshold.
- ``unsupported``: the exclusion probability, which is low where others do not support the
  label; flagged below 1 - threshold.
- ``wrong_looking``, where `suspects` are given: flagged are the listed ones, with a score of 1
  less their memorization or, of a learned one, less its smaller probability; 1 for all others.
- ``noisy``, where `noise_scores` are given: 1 - noise score; flagged above 0.5.

Source: Datalab's way for issue types of one's own, an `IssueManager` that is registered. No name
is part of another's or holds one of Datalab's own: ``get_issues`` finds columns by parts of names.
Pitfall: an example without a score has the score 1 and no flag; ``lab.get_info(name)["unknown"]``
counts them.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.memorization.scores import THRESHOLD, Floats, MemorizationScores
from mislabel.memorization.suspects import Suspects

EXTRA = "is not installed; pip install 'mislabel[cleanlab]'"
NOISE_THRESHOLD = 0.5
ISSUES = {
    "memorized": "The label is predicted only when the example is trained on.",
    "unsupported": "Models that were not trained on the example predict another label.",
    "wrong_looking": "The label looks wrong, and it is memorized or learned.",
    "noisy": "A method of learning with noisy labels takes the label for wrong.",
}
"Issue types and what they say."


def to_datalab(
    scores: MemorizationScores,
    *,
    lab: Any = None,
    suspects: Suspects | None = None,
    noise_scores: ArrayLike | None = None,
    threshold: float = THRESHOLD,
) -> Any:
    """A `cleanlab.Datalab` with these scores as issues.

    scores: of M examples. lab: the Datalab of the full training set (n_total examples) that gets
    the issues; without one, a new one of the M examples with columns ``label`` and ``index``.
    suspects: what `find_suspects` found in the scores. noise_scores: (M,) from 0 to 1, high where
    a label is likely wrong. Errors: `InputError`, also where cleanlab is not installed.
    """
    for module in ("cleanlab", "datasets", "pandas"):
        _import(module)
    if not 0 <= threshold < 1:
        raise InputError("threshold", threshold, "must be from 0 to below 1")
    if lab is None:
        place, lab = np.arange(len(scores)), _new_lab(scores)
    elif len(lab.data) != scores.n_total:
        rule = f"must be of the full training set: {scores.n_total} examples"
        raise InputError("lab", f"{len(lab.data)} examples", rule)
    else:
        place = scores.index
    found = _issues(scores, suspects, noise_scores, threshold)
    arguments = {}
    for name, (severity, flagged) in found.items():
        _register(name)
        arguments[name] = _whole(len(lab.data), place, severity, flagged)
    lab.find_issues(issue_types=arguments)
    return lab


def _import(module: str) -> Any:
    """A module of the extra, or an `InputError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError("cleanlab", error.name, EXTRA) from error


def _new_lab(scores: MemorizationScores) -> Any:
    names = np.array(scores.class_names, dtype=object)
    content = {"label": names[scores.labels].tolist(), "index": scores.index.tolist()}
    return _import("cleanlab").Datalab(data=content, label_name="label", verbosity=0)


def _issues(
    scores: MemorizationScores,
    suspects: Suspects | None,
    noise_scores: ArrayLike | None,
    threshold: float,
) -> dict[str, tuple[Floats, NDArray[np.bool_]]]:
    """(M,) severities, NaN where not known, and flags of each issue type."""
    with np.errstate(invalid="ignore"):
        found = {
            "memorized": (1 - scores.memorization, scores.memorized(threshold)),
            "unsupported": (scores.exclusion, scores.exclusion < 1 - threshold),
        }
    if suspects is not None:
        found["wrong_looking"] = _suspect_issue(scores, suspects)
    if noise_scores is not None:
        noise = _check_noise_scores(noise_scores, len(scores))
        found["noisy"] = (1 - noise, noise > NOISE_THRESHOLD)
    return found


def _suspect_issue(
    scores: MemorizationScores, suspects: Suspects
) -> tuple[Floats, NDArray[np.bool_]]:
    severity, flagged = np.ones(len(scores)), np.zeros(len(scores), dtype=bool)
    index = np.array([s.index for s in suspects.examples], dtype=np.int64)
    missing = index[~np.isin(index, scores.index)]
    if len(missing):
        raise InputError("suspects", int(missing[0]), "is an example that has no scores here")
    places = np.searchsorted(scores.index, index)
    smaller = np.minimum(scores.inclusion, scores.exclusion)
    memorized = np.array([s.kind == "memorized" for s in suspects.examples], dtype=bool)
    sure = np.where(memorized, scores.memorization[places], smaller[places])
    flagged[places] = True
    np.minimum.at(severity, places, 1 - sure)  # an example may be in both lists
    return severity, flagged


def _check_noise_scores(noise_scores: ArrayLike, count: int) -> Floats:
    noise = np.asarray(noise_scores, dtype=np.float64)
    if noise.shape != (count,):
        rule = f"must be ({count},), one per example with scores"
        raise InputError("noise_scores", f"shape {noise.shape}", rule)
    if not ((noise >= 0) & (noise <= 1)).all():
        raise InputError("noise_scores", "values", "must be from 0 to 1")
    return noise


def _whole(
    size: int, place: NDArray[np.int64], severity: Floats, flagged: NDArray[np.bool_]
) -> dict[str, Any]:
    """What the issue's manager is told, of all `size` examples of the Datalab."""
    all_severities, all_flags = np.ones(size), np.zeros(size, dtype=bool)
    known = np.isfinite(severity)
    all_severities[place[known]] = np.clip(severity[known], 0, 1)
    all_flags[place] = flagged
    return {
        "severity": all_severities,
        "flagged": all_flags,
        "unknown": size - int(known.sum()),
    }


def _register(name: str) -> None:
    """Make the issue type known to Datalab, once."""
    factory = _import("cleanlab.datalab.internal.issue_manager_factory")
    task = _import("cleanlab.datalab.internal.task").Task.CLASSIFICATION
    if name not in factory.list_possible_issue_types(task):
        factory.register(_manager(name))


def _manager(name: str) -> Any:
    """The class of an issue type that takes its severities as they are given."""
    data_frame = _import("pandas").DataFrame

    def find_issues(
        self: Any, *, severity: Floats, flagged: NDArray[np.bool_], unknown: int, **_: Any
    ) -> None:
        self.issues = data_frame(
            {f"is_{name}_issue": flagged, self.issue_score_key: severity},
        )
        self.summary = self.make_summary(score=float(severity.mean()))
        self.info = self.collect_info(unknown)

    def collect_info(self: Any, unknown: int) -> Mapping[str, Any]:
        return {"unknown": unknown, "average_severity": float(self.summary["score"].iloc[0])}

    base = _import("cleanlab").IssueManager
    content = {
        "issue_name": name,
        "description": ISSUES[name],
        "find_issues": find_issues,
        "collect_info": collect_info,
        "__module__": __name__,
    }
    return type(base)(f"{name.title().replace('_', '')}IssueManager", (base,), content)
