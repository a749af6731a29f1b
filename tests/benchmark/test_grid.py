"""The grid: one form for equal content, the command that runs it, and bad inputs."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from mislabel import benchmark
from mislabel.benchmark import Grid
from mislabel.cli import main
from mislabel.errors import InputError
from mislabel.learning import NETWORKS, RECIPES


def grid(**changes: Any) -> Grid:
    settings = {"data": "digits", "noises": ["clean"], "methods": ["standard"], "seeds": [1]}
    return Grid(**settings | changes)


def test_equal_specs_become_one() -> None:
    found = grid(
        noises=["symmetric:rate=0.20", "clean", "symmetric:0.2", "cluster:r=2,n=57"],
        methods=["snls:20", "standard", "snls:k=20", "snls:epochs=3,alpha=0.50"],
        seeds=[3, 1, 3],
    )
    assert found.noises == ("symmetric:0.2", "clean", "cluster:n=57,r=2.0")
    assert found.methods == ("snls:k=20", "standard", "snls:alpha=0.5,epochs=3")
    assert found.seeds == (3, 1)


def test_a_default_that_is_spelled_out_is_no_other_noise_or_method() -> None:
    found = grid(noises=["pmd:0.35", "pmd:rate=0.35,type=1"], methods=["gce", "gce:q=0.7"])
    assert (found.noises, found.methods) == (("pmd:0.35",), ("gce",))


def test_what_goes_before_the_grids_own_stays_spelled_out() -> None:
    """``recipe=auto`` is the default of a method, but not of one in this grid."""
    specs = ("standard", "standard:recipe=auto", "standard:network=none,epochs=none")
    found = grid(methods=specs, recipe="fast", network="cnn", epochs=9)
    assert found.methods == specs
    methods = [found.method(spec, 1, "none") for spec in specs]
    assert [(m.recipe, m.network, m.epochs) for m in methods] == [
        ("fast", "cnn", 9),
        ("auto", "cnn", 9),
        ("fast", None, None),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noises": []}, "noises=[]: needs at least one"),
        ({"methods": []}, "methods=[]: needs at least one"),
        ({"seeds": []}, "seeds=[]: needs at least one"),
        ({"seeds": [-1]}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        ({"seed": -5}, "seed=-5: must be a whole number from 0 to 2**63 - 1"),
        ({"noises": ["symmetric:rat=0.2"]}, "noise='symmetric:rat=0.2': unknown parameter 'rat'; "
         "did you mean 'rate'? Known: per_class, rate"),
        ({"noises": ["symmetric"]}, "noise='symmetric': needs a rate, as in symmetric:rate=..."),
        ({"noises": ["symmetric:x"]}, "rate='x': must be a number"),
        ({"eta": "netwrok"}, "eta='netwrok': unknown name; did you mean 'network'? "
         "Known: cross-fitted, network"),
        ({"eta": "network:epochs=x"}, "epochs='x': must be a whole number"),
        ({"eta": "network", "probabilities": Path("p.npy")},
         "eta='network': goes without a file of probabilities; give one"),
        ({"methods": ["standard:augment=none"]}, "method='standard:augment=none': unknown "
         "parameter 'augment'; Known: epochs, network, precision, recipe, selection"),
        ({"methods": ["gce:q=0.5,q=0.6"]},
         "method='gce:q=0.5,q=0.6': parameter 'q' is given twice"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_inputs(changes: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        grid(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"methods": ["gce:q=2"]}, (5,), "q=2.0: must be above 0 and at most 1"),
        ({"methods": ["standard", "snls:k=0"]}, (5,), "k=0: must be a whole number of at least 1"),
        ({"epochs": 0}, (5,), "epochs=0: must be a whole number, at least 1"),
        ({"recipe": "nlp"}, (5,), "recipe='nlp': unknown; did you mean 'mlp'? "
         f"Known: {', '.join(sorted(['auto', *RECIPES]))}"),
        ({"network": "nlp"}, (5,), "network='nlp': unknown name; did you mean 'mlp'? "
         f"Known: {', '.join(sorted(NETWORKS.names))}"),
        ({"methods": ["standard:network=cnn"]}, (5,),
         "network='cnn': takes images; for feature vectors use 'mlp'"),
        ({"recipe": "fast"}, (6, 8, 1),
         "network='cnn': takes images of at least 8 x 8, not 6 x 8"),
    ],
    ids=str,
)  # fmt: skip
def test_methods_are_checked_before_any_work(
    changes: Any, shape: tuple[int, ...], message: str
) -> None:
    found = grid(**changes)
    with pytest.raises(InputError) as caught:
        found.check_methods(shape)
    assert str(caught.value) == message
    grid().check_methods(shape)


def test_the_spec_of_a_method_goes_before_the_grid() -> None:
    found = grid(methods=["gce:epochs=5"], epochs=9, recipe="fast")
    method = found.method("gce:epochs=5", 3, "crop-flip")
    assert (method.epochs, method.recipe, method.seed) == (5, "fast", 3)
    assert method.augment == "crop-flip"


GRIDS = [
    grid(),
    grid(seeds=[4]),
    grid(seeds=[4, 2], seed=7, subset=100, epochs=3, network="cnn", recipe="fast"),
    grid(noises=["cluster:n=57,r=2", "file:my labels.npy"], methods=["snls:k=20", "gce:q=0.5"]),
    grid(data="npz:/some where/my data.npz", map=Path("/x/my map.npy"), features=Path("f.npy")),
    grid(probabilities=Path("/x/my eta.npy")),
    grid(features=Path("/x/f.npy"), test_features=Path("/x/t.npy"), methods=["lra-diffusion"]),
    grid(eta="network:mlp,epochs=5", noises=['file:"a,b.npy"']),
    grid(data="folder:/images", image_size=48),
    grid(noises=["file:a'b$(c).npy"]),
]


@pytest.mark.parametrize("wanted", GRIDS, ids=lambda g: g.command())
def test_the_command_runs_the_same_grid(wanted: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for ``--out`` and the folders of files, which it leaves to the reader."""
    words = shlex.split(wanted.command())
    assert words[:3] == ["mislabel", "bench", "run"]
    ran: list[Grid] = []

    def record(found: Grid, *_: Any, **__: Any) -> None:
        ran.append(found)
        raise InputError("ran", True, "as it should")

    monkeypatch.setattr(benchmark, "run_benchmark", record)
    with pytest.raises(SystemExit):
        main([*words[1:], "--out", "somewhere"])
    name, _, path = wanted.data.partition(":")
    changes: dict[str, Any] = {"data": f"{name}:{Path(path).name}" if path else name}
    for option in ("map", "features", "test_features", "probabilities"):
        value = getattr(wanted, option)
        changes[option] = None if value is None else Path(value.name)
    assert ran == [Grid(**vars(wanted) | changes)]


def test_the_command_by_hand() -> None:
    found = grid(noises=["cluster:0.35", "clean"], seeds=[1, 2, 3], subset=500)
    assert found.command() == (
        "mislabel bench run --data digits --subset 500 --noise cluster:0.35 --noise clean "
        "--method standard --seeds 1,2,3 --seed 0"
    )
    assert grid(seeds=[4]).command().endswith("--method standard --seeds 4, --seed 0")
