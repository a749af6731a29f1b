"""Which labels networks memorize: held-out studies, scores with errors, cheap estimators.

What trains networks is imported when it is first asked for, so that reading scores stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.agreement import Agreement, compare, reliability
from mislabel.memorization.influence import study_influence
from mislabel.memorization.lift import apply_lift, fit_lift
from mislabel.memorization.match import match
from mislabel.memorization.scores import THRESHOLD, MemorizationScores, load_scores
from mislabel.memorization.store import StudyFolder

if TYPE_CHECKING:
    from mislabel.memorization.design import make_design
    from mislabel.memorization.estimators import ESTIMATORS, make_estimator
    from mislabel.memorization.study import StudyPlan, method_plan, run_study
    from mislabel.memorization.suspects import find_suspects
    from mislabel.memorization.toy import MajorityToy

_LATER = {
    "ESTIMATORS": "estimators",
    "MajorityToy": "toy",
    "StudyPlan": "study",
    "find_suspects": "suspects",
    "make_design": "design",
    "make_estimator": "estimators",
    "method_plan": "study",
    "run_study": "study",
}

__all__ = [
    "ESTIMATORS",
    "THRESHOLD",
    "Agreement",
    "MajorityToy",
    "MemorizationScores",
    "StudyFolder",
    "StudyPlan",
    "apply_lift",
    "compare",
    "find_suspects",
    "fit_lift",
    "load_scores",
    "make_design",
    "make_estimator",
    "match",
    "method_plan",
    "reliability",
    "run_study",
    "study_influence",
    "study_scores",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
