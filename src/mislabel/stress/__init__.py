"""Stress tests of training code: what do wrong labels do to it?

``run(train, data, suite="human-like")`` trains the user's code on one data set with clean labels
and with every noise of a suite, each training in a process of its own, and returns what was found;
`decide` holds that against thresholds.

What trains is loaded when first used, so that reading and judging a test stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mislabel.stress.diff import Comparison, compare
from mislabel.stress.results import StressCell, StressNoise, StressResults, Subject
from mislabel.stress.store import load_stress
from mislabel.stress.subjects import Command
from mislabel.stress.suite import SUITES, Suite, make_suite
from mislabel.stress.thresholds import decide

__all__ = [
    "SUITES",
    "Command",
    "Comparison",
    "StressCell",
    "StressNoise",
    "StressResults",
    "StressTest",
    "Subject",
    "Suite",
    "compare",
    "decide",
    "load_stress",
    "make_suite",
    "make_test",
    "run",
    "run_test",
]

_ENGINE = ("StressTest", "make_test", "run", "run_test")

if TYPE_CHECKING:
    from mislabel.stress.engine import StressTest, make_test, run, run_test


def __getattr__(name: str) -> Any:
    if name in _ENGINE:
        return getattr(import_module("mislabel.stress.engine"), name)
    raise AttributeError(f"module 'mislabel.stress' has no attribute {name!r}")
