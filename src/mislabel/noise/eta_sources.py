"""Sources of class probabilities by name: ``--eta cross-fitted``, ``--eta network:epochs=25``."""

from mislabel.noise import eta, eta_network
from mislabel.noise.eta import EtaRecord, EtaSource
from mislabel.registry import Registry
from mislabel.specs import canonical_spec, parse_parameters, split_spec

DEFAULT_ETA = "cross-fitted"
ETA_SOURCES = Registry[EtaRecord]("eta", [eta.RECORD, eta_network.RECORD])
"All sources. A new one is a new file and one line here."


def make_eta(spec: str) -> EtaSource:
    """The source of a spec: ``cross-fitted``, ``network``, ``network:cnn,epochs=10``."""
    name, rest = split_spec(spec, "eta")
    record = ETA_SOURCES[name]
    parameters = parse_parameters(
        rest, record.source, positional=record.positional, argument="eta", spec=spec
    )
    return record.source(**parameters)


def canonical_eta(spec: str) -> str:
    """The spec in its one form; an `InputError` where there is no such source."""
    record = ETA_SOURCES[split_spec(spec, "eta")[0]]
    return canonical_spec(spec, record.source, positional=record.positional, argument="eta")
