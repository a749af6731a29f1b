"""A network of the user's own, as a module or as a function, under every method."""

from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import RECORDS, blobs, make, pictures
from sklearn.base import clone
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.learning import MethodRecord, NoisyLabelClassifier, Standard

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
PROBLEMS = {
    "features": (blobs(40, 3), {}),
    "images": (pictures(40, 3, 12, 2), {"augment": "crop-flip"}),
}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
X, Y = blobs(40, 3)


class Own(nn.Module):
    """Two layers, dropout and a learnt scale, on inputs of any shape."""

    def __init__(self, example_shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.inner = nn.Linear(int(np.prod(example_shape)), 8)
        self.scale = nn.Parameter(torch.ones(1))
        self.outer = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.outer(torch.relu(self.scale * self.inner(x.flatten(1))))
        return logits


def own_function(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    return Own(example_shape, n_classes)


KINDS = {
    "module": lambda x: Own(x.shape[1:], 3),
    "function": lambda _: own_function,
    "class": lambda _: Own,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def holds_own(method: NoisyLabelClassifier) -> bool:
    """Whether the network of the user is in what was trained."""
    return any(isinstance(m, Own) for n in method.networks_.values() for m in n.modules())


@every_method
@every_problem
@every_kind
def test_every_method_trains_it(record: MethodRecord, problem: Any, kind: str) -> None:
    (x, y), options = problem
    method = make(record, network=KINDS[kind](x), **options).fit(x, y)
    assert holds_own(method)
    assert method.recipe_.network == f"own:{'own_function' if kind == 'function' else 'Own'}"
    probabilities = method.predict_proba(x[:7])
    assert probabilities.shape == (7, 3) and np.isfinite(probabilities).all()
    assert method.noise_scores_.shape == (len(x),)


@every_method
@every_kind
def test_the_seed_decides_its_weights(record: MethodRecord, kind: str) -> None:
    network = KINDS[kind](X)
    before = _weights(network) if isinstance(network, nn.Module) else {}
    found = [
        make(record, network=network, seed=seed, epochs=1).fit(X, Y).provenance_
        for seed in (1, 1, 2)
    ]
    initial = [provenance["initial_weights_sha256"] for provenance in found]
    assert initial[0] == initial[1] != initial[2]
    after = _weights(network) if isinstance(network, nn.Module) else {}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)  # it is copied


def initial_hash(method: NoisyLabelClassifier) -> str:
    """Of all weights before training."""
    found: str = method.fit(X, Y).provenance_["initial_weights_sha256"]
    return found


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@every_method
@every_kind
def test_clones_train_alike(record: MethodRecord, kind: str) -> None:
    method = make(record, network=KINDS[kind](X), epochs=1)
    copy = clone(method)
    assert copy.get_params().keys() == method.get_params().keys()
    assert (copy.network is method.network) is (kind != "module")
    found = [m.fit(X, Y).predict_proba(X) for m in (method, copy)]
    np.testing.assert_array_equal(*found)


@every_method
@pytest.mark.parametrize("kind", ["module", "function"])
def test_a_wrong_number_of_outputs_is_one_line(record: MethodRecord, kind: str) -> None:
    wrong: Any = Own((5,), 4) if kind == "module" else lambda shape, _: Own(shape, 4)
    with pytest.raises(InputError) as caught:
        make(record, network=wrong).fit(X, Y)
    rule = "gives (2, 4) for 2 examples; logits (2, 3) are needed"
    assert str(caught.value) == f"network='Own': {rule}"


class PerPixel(nn.Module):
    """Takes images alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class NoOutput(nn.Module):
    def forward(self, x: Tensor) -> None:
        return None


@pytest.mark.parametrize(
    ("network", "start"),
    [
        (lambda shape, n: Own, "network='type': must be a name, a torch.nn.Module or a function"),
        (lambda shape, n: 3, "network='int': must be a name, a torch.nn.Module or a function"),
        (Own((4,), 3), "network='Own': fails on a batch (2, 5): mat1 and mat2 shapes cannot be"),
        (PerPixel(), "network='PerPixel': fails on a batch (2, 5): Dimension out of range"),
        (NoOutput(), "network='NoOutput': fails on a batch (2, 5): 'NoneType' object has no"),
        (nn.Module(), "network='Module': fails on a batch (2, 5): Module [Module] is missing"),
        (3, "network='int': must be a name"),
    ],
    ids=["class", "number made", "wrong input", "wrong shape", "no output", "no forward", "number"],
)
def test_what_is_no_network_is_one_line(network: Any, start: str) -> None:
    with pytest.raises(InputError) as caught:
        Standard(network=network, device="cpu").fit(X, Y)
    assert str(caught.value).startswith(start) and "\n" not in str(caught.value)


class Token(nn.Module):
    """A weight that no layer draws."""

    def __init__(self, token: Tensor) -> None:
        super().__init__()
        self.token = nn.Parameter(token)
        self.linear = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x + self.token)
        return logits


def test_weights_that_no_seed_would_change_are_refused() -> None:
    """Constant ones are right for every seed, drawn ones would be shared by all."""
    Standard(network=Token(torch.zeros(5)), epochs=1, device="cpu").fit(X, Y)
    rule = (
        "would be the same for every seed, for want of a reset_parameters; "
        "give a function that makes the module"
    )
    for network, name in (
        (Token(torch.randn(5)), "token"),
        (nn.Sequential(nn.Identity(), Token(torch.arange(5.0))), "1.token"),
    ):
        with pytest.raises(InputError) as caught:
            Standard(network=network, epochs=1, device="cpu").fit(X, Y)
        assert str(caught.value) == f"network={type(network).__name__!r}: its {name} {rule}"
    made = Standard(network=lambda *_: Token(torch.randn(5)), epochs=1, device="cpu")
    hashes = [
        made.set_params(seed=seed).fit(X, Y).provenance_["initial_weights_sha256"]
        for seed in (1, 2)
    ]
    assert hashes[0] != hashes[1]


class Attentive(nn.Module):
    """Attention, whose outer layer sets a bias of its inner one."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.linear = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.attention(x[:, None], x[:, None], x[:, None])
        logits: Tensor = self.linear(seen.squeeze(1))
        return logits


def test_all_of_attention_is_drawn_anew() -> None:
    network = Attentive()
    built = []
    for seed in (1, 2):
        method = Standard(network=network, seed=seed, epochs=1, device="cpu")
        method.fit(X, Y)
        built.append(method._build("network").state_dict())
    fresh = Attentive().state_dict()
    for name, value in network.state_dict().items():
        constant = bool((fresh[name] == fresh[name].flatten()[0]).all())
        assert torch.equal(built[0][name], built[1][name]) is constant, name
        assert torch.equal(built[0][name], value) is constant, name


def test_lazy_layers_draw_from_the_seed_too() -> None:
    def lazy(*_: Any) -> nn.Module:
        return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))

    for network in (lazy, lazy()):
        hashes = []
        for seed in (1, 1, 2):
            torch.manual_seed(len(hashes))
            before = torch.get_rng_state()
            hashes.append(initial_hash(Standard(network=network, seed=seed, device="cpu")))
            assert torch.equal(before, torch.get_rng_state())
        assert hashes[0] == hashes[1] != hashes[2]
