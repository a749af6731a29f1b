"""Learning with noisy labels: one file per method, and the registry.

``make_method("gce:q=0.5", seed=1).fit(X, y)`` trains; methods are scikit-learn estimators.
"""

from typing import Any

from mislabel.learning import gce, snls, standard
from mislabel.learning.base import Evaluation, MethodRecord, NoisyLabelClassifier
from mislabel.learning.gce import GCE
from mislabel.learning.networks import NETWORKS
from mislabel.learning.recipes import RECIPES, Recipe, make_recipe
from mislabel.learning.snls import SNLS
from mislabel.learning.standard import Standard
from mislabel.learning.targets import soft_neighbor_targets
from mislabel.registry import Registry
from mislabel.specs import parse_parameters, split_spec

METHODS = Registry[MethodRecord]("method", [standard.RECORD, gce.RECORD, snls.RECORD])
"All methods. A new one is a new file and one line here."

SHARED_PARAMETERS = frozenset({"seed", "device", "augment"})
"What the caller sets for all methods alike, and a spec may not."


def make_method(spec: str, **shared: Any) -> NoisyLabelClassifier:
    """The estimator of a spec (``standard``, ``gce:q=0.5``, ``snls:k=20,epochs=10``).

    shared: seed, device, augment, recipe, network, epochs; what the spec sets goes before.
    """
    name, rest = split_spec(spec, "method")
    record = METHODS[name]
    parameters = parse_parameters(
        rest,
        record.estimator,
        positional=record.positional,
        argument="method",
        spec=spec,
        hidden=SHARED_PARAMETERS,
    )
    return record.estimator(**{**shared, **parameters})


__all__ = [
    "GCE",
    "METHODS",
    "NETWORKS",
    "RECIPES",
    "SNLS",
    "Evaluation",
    "MethodRecord",
    "NoisyLabelClassifier",
    "Recipe",
    "Standard",
    "make_method",
    "make_recipe",
    "soft_neighbor_targets",
]
