"""Learning with noisy labels: one file per method, and the registry.

``make_method("gce:q=0.5", seed=1).fit(X, y)`` trains; methods are scikit-learn estimators.
"""

from typing import Any

from mislabel.errors import InputError, did_you_mean
from mislabel.learning import (
    adaptive,
    coteaching,
    coteaching_plus,
    dividemix,
    elr,
    gce,
    lra_diffusion,
    mixup,
    plc,
    sce,
    snls,
    standard,
)
from mislabel.learning.adaptive import Adaptive, UndeterminedWarning
from mislabel.learning.base import Evaluation, MethodRecord, NoisyLabelClassifier
from mislabel.learning.coteaching import CoTeaching
from mislabel.learning.coteaching_plus import CoTeachingPlus
from mislabel.learning.dividemix import DivideMix
from mislabel.learning.elr import ELR
from mislabel.learning.gce import GCE
from mislabel.learning.lra_diffusion import LRADiffusion, LRADiffusionAdaptive, LRADiffusionSNLS
from mislabel.learning.mixup import Mixup
from mislabel.learning.networks import NETWORKS
from mislabel.learning.noise_rate import NoiseRate, estimate_noise_rate
from mislabel.learning.plc import PLC, correct_labels
from mislabel.learning.recipes import RECIPES, Recipe, make_recipe
from mislabel.learning.saved import load_method, save_method
from mislabel.learning.sce import SCE
from mislabel.learning.snls import SNLS
from mislabel.learning.standard import Standard
from mislabel.learning.targets import soft_neighbor_targets
from mislabel.registry import Registry
from mislabel.specs import parse_parameters, split_spec

METHODS = Registry[MethodRecord](
    "method",
    [
        standard.RECORD,
        gce.RECORD,
        snls.RECORD,
        sce.RECORD,
        elr.RECORD,
        mixup.RECORD,
        coteaching.RECORD,
        coteaching_plus.RECORD,
        plc.RECORD,
        dividemix.RECORD,
        lra_diffusion.RECORD,
        lra_diffusion.SNLS_RECORD,
        adaptive.RECORD,
        lra_diffusion.ADAPTIVE_RECORD,
    ],
)
"All methods. A new one is a new file and one line here."

SHARED_PARAMETERS = frozenset({"seed", "device", "augment"})
"What the caller sets for all methods alike, and a spec may not."


SIBLINGS = {
    "standard": {"labels": "standard", "snls": "snls", "adaptive": "adaptive"},
    "lra-diffusion": {
        "labels": "lra-diffusion",
        "snls": "lra-diffusion-snls",
        "adaptive": "lra-diffusion-adaptive",
    },
}
"Methods that take targets, and what they are called with each."
TARGETS = tuple(SIBLINGS["standard"])


def method_with_targets(spec: str, targets: str | None) -> str:
    """The spec of a method on other targets: ``standard:epochs=9`` on snls is ``snls:epochs=9``.

    targets: one of `TARGETS`, or None for the spec as it is. Parameters of the spec are kept.
    """
    if targets is None:
        return spec
    if targets not in TARGETS:
        raise InputError("targets", targets, f"unknown choice; {did_you_mean(targets, TARGETS)}")
    name, rest = split_spec(spec, "method")
    if METHODS[name].name not in SIBLINGS:
        rule = f"method {name!r} takes none; methods that do: {', '.join(SIBLINGS)}"
        raise InputError("targets", targets, rule)
    return ":".join(filter(None, (SIBLINGS[name][targets], rest)))


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
    "ELR",
    "GCE",
    "METHODS",
    "NETWORKS",
    "PLC",
    "RECIPES",
    "SCE",
    "SIBLINGS",
    "SNLS",
    "TARGETS",
    "Adaptive",
    "CoTeaching",
    "CoTeachingPlus",
    "DivideMix",
    "Evaluation",
    "LRADiffusion",
    "LRADiffusionAdaptive",
    "LRADiffusionSNLS",
    "MethodRecord",
    "Mixup",
    "NoiseRate",
    "NoisyLabelClassifier",
    "Recipe",
    "Standard",
    "UndeterminedWarning",
    "correct_labels",
    "estimate_noise_rate",
    "load_method",
    "make_method",
    "make_recipe",
    "method_with_targets",
    "save_method",
    "soft_neighbor_targets",
]
