"""Noise models: one file each, and the registry that the rest of the house reads.

``make_noise("cluster:0.35").corrupt(clean_labels, positions=map, seed=0)`` draws labels.
"""

from mislabel.noise import (
    asymmetric,
    class_dependent,
    clean,
    cluster,
    human,
    human_like,
    hybrid,
    instance,
    pair,
    pmd,
    symmetric,
)
from mislabel.noise.asymmetric import Asymmetric
from mislabel.noise.base import NoiseModel, NoiseRecord, Problem
from mislabel.noise.class_dependent import ClassDependent, estimate_transition_matrix
from mislabel.noise.cluster import Cluster
from mislabel.noise.eta import EtaSource, cross_fitted_probabilities
from mislabel.noise.eta_network import network_probabilities
from mislabel.noise.eta_sources import ETA_SOURCES, canonical_eta, make_eta
from mislabel.noise.human import FromFile, Human
from mislabel.noise.human_like import HumanLike, HumanParameters
from mislabel.noise.human_like_fit import fit_human_like
from mislabel.noise.hybrid import Hybrid
from mislabel.noise.instance import InstanceDependent
from mislabel.noise.pair import PairFlip
from mislabel.noise.pmd import PMD
from mislabel.noise.symmetric import Symmetric
from mislabel.registry import Registry
from mislabel.specs import canonical_spec, parse_parameters, split_spec

NOISE = Registry[NoiseRecord](
    "noise",
    [
        clean.RECORD,
        symmetric.RECORD,
        pair.RECORD,
        asymmetric.RECORD,
        class_dependent.RECORD,
        instance.RECORD,
        pmd.RECORD,
        cluster.RECORD,
        hybrid.RECORD,
        human_like.RECORD,
        human.RECORD,
        human.FILE_RECORD,
    ],
)
"All noise models. A new one is a new file and one line here."


def make_noise(spec: str) -> NoiseModel:
    """The noise model of a spec: ``symmetric:0.2``, ``cluster:n=57,r=2``, ``clean``."""
    name, rest = split_spec(spec, "noise")
    record = NOISE[name]
    parameters = parse_parameters(
        rest, record.model, positional=record.positional, argument="noise", spec=spec
    )
    return record.model(**parameters)


def canonical_noise(spec: str) -> str:
    """The spec of a noise model in its one form."""
    record = NOISE[split_spec(spec, "noise")[0]]
    return canonical_spec(spec, record.model, positional=record.positional, argument="noise")


__all__ = [
    "ETA_SOURCES",
    "NOISE",
    "PMD",
    "Asymmetric",
    "ClassDependent",
    "Cluster",
    "EtaSource",
    "FromFile",
    "Human",
    "HumanLike",
    "HumanParameters",
    "Hybrid",
    "InstanceDependent",
    "NoiseModel",
    "NoiseRecord",
    "PairFlip",
    "Problem",
    "Symmetric",
    "canonical_eta",
    "canonical_noise",
    "cross_fitted_probabilities",
    "estimate_transition_matrix",
    "fit_human_like",
    "make_eta",
    "make_noise",
    "network_probabilities",
]
