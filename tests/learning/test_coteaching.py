"""Co-teaching and Co-teaching+: selection by hand and by a plain twin, edges, and their use."""

from math import exp, floor, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import blobs, equal_weights, pictures, recipe
from memorising import noisy_blobs, train_long
from sklearn.metrics import roc_auc_score
from torch import nn

from mislabel.errors import InputError
from mislabel.learning import CoTeaching, CoTeachingPlus, Recipe, Standard, make_method
from mislabel.learning.base import Task
from mislabel.learning.coteaching import (
    NETWORKS,
    CoTeachingLearner,
    exchanged_losses,
    remembered,
    share_of,
    smallest_losses,
)
from mislabel.learning.coteaching_plus import CoTeachingPlusLearner
from mislabel.learning.learner import Learner, SingleNetwork, make_optimizer
from mislabel.learning.objective import CrossEntropy
from mislabel.seeds import TrainingSeeds

TRUE, FALSE = True, False
both = pytest.mark.parametrize("method", [CoTeaching, CoTeachingPlus], ids=lambda m: m.name)


def test_the_share_that_is_kept_by_hand() -> None:
    """tau = 0.4 over 4 epochs: 0.1 less each, then 0.6."""
    found = [remembered(epoch, 0.4, 4) for epoch in range(7)]
    assert found == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.6, 0.6], abs=1e-15)
    assert [remembered(epoch, 0.0, 4) for epoch in (0, 3, 99)] == [1, 1, 1]
    assert [remembered(epoch, 1.0, 2) for epoch in (0, 1, 2, 3)] == [1, 0.5, 0, 0]
    assert [share_of(epochs, 10 / 200) for epochs in (200, 60, 12, 1)] == [10, 3, 1, 1]


@pytest.mark.parametrize(
    ("remember", "among", "kept"),
    [
        (0.5, [1, 1, 1, 1, 1], [1, 2, 4]),  # 2.5 up to 3; of two equal losses the first counts
        (0.4, [1, 1, 1, 1, 1], [1, 4]),
        (0.8, [1, 1, 1, 1, 1], [0, 1, 2, 4]),  # 4.0 and not, by float32, a little more
        (0.0, [1, 1, 1, 1, 1], [4]),  # at least one
        (1.0, [1, 1, 1, 1, 1], [0, 1, 2, 3, 4]),
        (0.5, [1, 0, 0, 1, 1], [0, 4]),  # 1.5 of three up to 2
        (0.0, [0, 0, 0, 1, 0], [3]),
        (0.5, [0, 0, 0, 0, 0], []),  # none to choose from
    ],
)
def test_selection_by_hand(remember: float, among: list[int], kept: list[int]) -> None:
    losses = torch.tensor([2.0, 1.0, 1.0, 3.0, 0.5])
    found = smallest_losses(losses, remember, torch.tensor(among).bool())
    assert found.nonzero().squeeze(1).tolist() == kept


def test_one_example_is_kept_whatever_the_rate() -> None:
    for remember in (0.0, 0.3, 1.0):
        found = smallest_losses(torch.tensor([7.0]), remember, torch.tensor([TRUE]))
        assert found.tolist() == [True]


def plain_chosen(losses: list[float], remember: float, among: list[int]) -> list[int]:
    """The slow twin: positions of the smallest losses among some."""
    wanted = remember * len(among)
    count = max(1, floor(wanted) + (wanted - floor(wanted) > 1e-9))
    return sorted(among, key=lambda i: (losses[i], i))[:count]


def plain_losses(
    logits: list[list[list[float]]], labels: list[int], remember: float, among: list[int]
) -> list[float]:
    """The slow twin of what the networks learn from."""
    own = [
        [log(sum(exp(v) for v in row)) - row[z] for row, z in zip(rows, labels, strict=True)]
        for rows in logits
    ]
    found = []
    for mine, other in ((0, 1), (1, 0)):
        chosen = plain_chosen(own[other], remember, among) if among else []
        found.append(sum(own[mine][i] for i in chosen) / len(chosen) if chosen else 0.0)
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 9),
    remember=st.floats(0, 1),
    disagreeing=st.booleans(),
)
def test_selection_equals_its_plain_twin(
    seed: int, size: int, remember: float, disagreeing: bool
) -> None:
    rng = np.random.default_rng(seed)
    logits = [torch.from_numpy(rng.normal(scale=2, size=(size, 3))) for _ in range(2)]
    labels = torch.from_numpy(rng.integers(0, 3, size))
    differ = logits[0].argmax(1) != logits[1].argmax(1)
    among = differ.nonzero().squeeze(1).tolist() if disagreeing else list(range(size))
    found = exchanged_losses(logits, labels, remember, differ if disagreeing else None)
    expected = plain_losses([v.tolist() for v in logits], labels.tolist(), remember, among)
    assert [float(v) for v in found] == pytest.approx(expected, abs=1e-12)


def test_losses_by_hand() -> None:
    """p of the label is .9, .5, .2 for f and .1, .4, .8 for g; half of three is two.

    f calls examples 0 and 1 easy, so g learns from them: -(log .1 + log .4) / 2; g calls 2 and 1
    easy, so f learns from those: -(log .2 + log .5) / 2. Not their own choice, nor divided again.
    """
    f = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], dtype=torch.float64).log()
    g = torch.tensor([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2]], dtype=torch.float64).log()
    labels = torch.zeros(3, dtype=torch.long)
    first, second = exchanged_losses([f, g], labels, 0.5)
    assert float(first) == pytest.approx(-(log(0.2) + log(0.5)) / 2, abs=1e-15)
    assert float(second) == pytest.approx(-(log(0.1) + log(0.4)) / 2, abs=1e-15)
    alone = torch.tensor([TRUE, FALSE, FALSE])
    first, second = exchanged_losses([f, g], labels, 0.5, alone)
    assert float(first) == pytest.approx(-log(0.9), abs=1e-15)
    assert float(second) == pytest.approx(-log(0.1), abs=1e-15)


def test_only_what_the_other_chose_has_a_gradient() -> None:
    logits = [torch.randn(6, 3, generator=torch.Generator().manual_seed(i)) for i in (0, 1)]
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    everything = torch.ones(6, dtype=torch.bool)
    for values in logits:
        values.requires_grad_()
    losses = exchanged_losses(logits, labels, 0.5)
    torch.autograd.backward(losses)
    for mine, other in ((0, 1), (1, 0)):
        own = nn.functional.cross_entropy(logits[other], labels, reduction="none")
        chosen = smallest_losses(own.detach(), 0.5, everything)
        gradient = logits[mine].grad
        assert gradient is not None
        assert torch.equal(gradient.abs().sum(1) > 0, chosen) and int(chosen.sum()) == 3


class Second(Standard):
    """Standard training of the network that is Co-teaching's second."""

    def _learner(self, task: Task) -> Learner:
        objective = CrossEntropy(task.problem.labels)
        return SingleNetwork(task.build("second"), task.problem, objective, task.recipe, task.seeds)


@pytest.mark.parametrize("kind", ["features", "augmented images"])
@pytest.mark.parametrize("selection", ["last", "noisy-validation"])
def test_with_rate_0_it_is_two_standard_trainings(kind: str, selection: str) -> None:
    """Bit for bit: the same initial weights, orders and crops as Standard with this seed."""
    x, y = blobs(61, 3, spread=4.0) if kind == "features" else pictures(40, 3, 16, 3)
    options: dict[str, Any] = {"epochs": 4, "seed": 5, "device": "cpu", "selection": selection}
    options["augment"] = "none" if kind == "features" else "crop-flip"
    pair = CoTeaching(noise_rate=0, **options).fit(x, y)
    first, second = Standard(**options).fit(x, y), Second(**options).fit(x, y)
    assert equal_weights(pair, first) and pair.curves_ == first.curves_
    assert not equal_weights(first, second)
    if selection == "last":  # else only the network that predicts goes back to its best epoch
        found, wanted = pair.networks_["second"].state_dict(), second.network_.state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
        scores = (first.noise_scores_ + second.noise_scores_) / 2
        np.testing.assert_allclose(pair.noise_scores_, scores, atol=8 * 2**-24)


@both
def test_a_training_equals_its_plain_twin(method: type[CoTeaching]) -> None:
    """Six epochs of two linear networks, stepped by hand: w <- w - rate * gradient."""
    x, y = blobs(23, 3, spread=3.0)
    still = recipe(
        epochs=6, batch_size=6, schedule="constant", momentum=0.0, weight_decay=0.0,
        learning_rate=0.2,
    )  # fmt: skip
    given: dict[str, Any] = {"noise_rate": 0.5, "ramp_epochs": 3, "seed": 2, "device": "cpu"}
    if method is CoTeachingPlus:
        given["warmup_epochs"] = 2
    found = method(recipe=still, network=linear, **given).fit(x, y)
    inputs = torch.from_numpy((x - x.mean(0)) / x.std(0))
    fresh = [found._build(name) for name in NETWORKS]  # as the training began
    order = torch.Generator().manual_seed(TrainingSeeds.spawn(2).order)
    empty = 0
    for epoch in range(6):
        keep = 1 - 0.5 * min(epoch / 3, 1)
        for index in torch.split(torch.randperm(23, generator=order), 6):
            logits = [network(inputs[index]) for network in fresh]
            among = list(range(len(index)))
            if method is CoTeachingPlus and epoch >= 2:
                guesses = [v.argmax(1).tolist() for v in logits]
                among = [i for i in among if guesses[0][i] != guesses[1][i]]
            if not among:
                empty += 1
                continue
            labels = torch.from_numpy(y)[index]
            own = [nn.functional.cross_entropy(v, labels, reduction="none") for v in logits]
            chosen = [plain_chosen(v.tolist(), keep, among) for v in own]
            for mine, other in ((0, 1), (1, 0)):
                weights = list(fresh[mine].parameters())
                gradients = torch.autograd.grad(own[mine][chosen[other]].mean(), weights)
                with torch.no_grad():
                    for weight, gradient in zip(weights, gradients, strict=True):
                        weight -= 0.2 * gradient
    for network, twin in zip(found.networks_.values(), fresh, strict=True):
        for weight, wanted in zip(network.parameters(), twin.parameters(), strict=True):
            # 24 steps, each off by a few roundings of values around 1.
            torch.testing.assert_close(weight, wanted, atol=24 * 10 * 2**-23, rtol=0)
    assert method is CoTeaching or empty > 0


def linear(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    return nn.Linear(shape[0], n_classes)


def twins(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Networks that start alike, see the same batches, and so never disagree."""
    torch.manual_seed(0)
    return nn.Linear(shape[0], n_classes)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("warmup", [0, 2])
def test_without_disagreement_nothing_moves(optimizer: str, warmup: int) -> None:
    """Not even by momentum or weight decay: the weights are those that the warm-up leaves."""
    x, y = blobs(30, 3, spread=4.0)
    steady = recipe(schedule="constant", optimizer=optimizer, weight_decay=0.1, epochs=5)
    method = CoTeachingPlus(
        recipe=steady, network=twins, noise_rate=0.2, warmup_epochs=warmup, device="cpu",
        ramp_epochs=50,
    ).fit(x, y)  # fmt: skip
    if warmup:
        short = CoTeaching(
            recipe=steady, epochs=warmup, network=twins, noise_rate=0.2, device="cpu",
            ramp_epochs=50,
        ).fit(x, y)  # fmt: skip
        assert equal_weights(method, short)
        assert not torch.equal(short.network_.weight, twins((5,), 3).weight)
    else:
        assert torch.equal(method.network_.weight, twins((5,), 3).weight)
    assert method.curves_["train_loss"][warmup:] == [0.0] * (5 - warmup)


def learner_of(method: CoTeachingPlus, n_classes: int) -> CoTeachingPlusLearner:
    """What the method makes for a problem, before it trains."""
    found: list[Learner] = []

    class Probe(type(method)):  # type: ignore[misc]
        def _learner(self, task: Task) -> Learner:
            found.append(super()._learner(task))
            raise KeyboardInterrupt

    x, y = blobs(4, n_classes, width=n_classes)
    with pytest.raises(KeyboardInterrupt):
        Probe(**method.get_params()).fit(x, y, classes=range(n_classes))
    assert isinstance(found[0], CoTeachingPlusLearner)
    return found[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_left_out_leaves_no_trace(optimizer: str) -> None:
    """Steps before, between and after are as if it had not been: moments and their counts too."""
    settings = recipe(optimizer=optimizer)
    learner = learner_of(CoTeachingPlus(recipe=settings, network=twins, device="cpu"), 3)
    network, plain = learner.networks["network"], twins((3,), 3)
    own = make_optimizer(plain, settings)
    x, y = (torch.from_numpy(part) for part in blobs(12, 3, width=3))
    for wanted in (False, True, False, False, True, True):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        loss = nn.functional.cross_entropy(network(x), y)
        learner.step_if("network", loss, torch.tensor(wanted))
        same = all(torch.equal(before[key], v) for key, v in network.state_dict().items())
        assert same is not wanted
        if wanted:
            own.zero_grad()
            nn.functional.cross_entropy(plain(x), y).backward()
            own.step()
    for weight, expected in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(weight, expected)


@both
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("n", "batch_size"), [(9, 1), (9, 4), (3, 64)])
def test_rates_and_batches_at_the_edge(
    method: type[CoTeaching], rate: float, n: int, batch_size: int
) -> None:
    x, y = blobs(n, 3)
    short = recipe(epochs=4, batch_size=batch_size)
    found = method(recipe=short, noise_rate=rate, ramp_epochs=1, device="cpu").fit(x, y)
    for network in found.networks_.values():
        assert all(bool(torch.isfinite(weight).all()) for weight in network.parameters())
    assert np.isfinite(found.noise_scores_).all()
    assert all(value is not None and np.isfinite(value) for value in found.curves_["train_loss"])
    assert (found.noise_rate_, found.noise_rate_source_) == (rate, "given")


def test_with_rate_1_one_example_of_a_batch_is_learned() -> None:
    """After the ramp of one epoch, the smallest of the other's losses alone."""
    logits = [torch.randn(8, 3, generator=torch.Generator().manual_seed(i)) for i in (2, 3)]
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    losses = exchanged_losses(logits, labels, remembered(1, 1.0, 1))
    own = [nn.functional.cross_entropy(v, labels, reduction="none") for v in logits]
    assert float(losses[0]) == float(own[0][own[1].argmin()])
    assert float(losses[1]) == float(own[1][own[0].argmin()])


@both
def test_all_labels_wrong_is_another_problem_learned(method: type[CoTeaching]) -> None:
    """Nothing in the labels says so: the wrong classes are learned, and nothing breaks."""
    x, y = blobs(90, 3)
    found = method(epochs=20, noise_rate=0.2, device="cpu").fit(x, (y + 1) % 3)
    assert (found.predict(x) == (y + 1) % 3).mean() > 0.9


def test_both_beat_standard_where_wrong_labels_are_learned_by_heart() -> None:
    """Blobs eight deviations apart, 40 % of the labels wrong, time and room to memorise them.

    The 60 % that agree with their blob are fitted first. From then on wrong labels have the larger
    losses in both networks, and with tau = 0.4 just as many are left out; Standard goes on to fit
    them. So they must fit fewer, predict better, and rank wrong labels higher.
    """
    methods = [Standard(), CoTeaching(noise_rate=0.4), CoTeachingPlus(noise_rate=0.4)]
    (_, standard), *others = train_long(*methods, n=400, epochs=80)
    _, labels, clean = noisy_blobs(400)
    usual = roc_auc_score(labels != clean, methods[0].noise_scores_)
    assert standard["wrong_fitted"] > 0.7  # it had the time
    for method, found in others:
        assert found["wrong_fitted"] < 0.5 * standard["wrong_fitted"]
        assert found["test_accuracy"] > standard["test_accuracy"] + 0.1
        assert roc_auc_score(labels != clean, method.noise_scores_) > usual + 0.03


def test_the_rate_is_given_estimated_or_the_presets() -> None:
    x, labels, _ = noisy_blobs(200)
    short = {"epochs": 20, "device": "cpu"}
    found = CoTeaching(**short).fit(x, labels)
    assert found.noise_rate_source_ == "estimated on 40 held-out labels"
    # Four deviations of 40 draws at 0.4: 4 * sqrt(0.24 / 40) = 0.31.
    assert abs(found.noise_rate_ - 0.4) < 0.31
    again = CoTeaching(**short).fit(x, labels)
    assert again.noise_rate_ == found.noise_rate_ and equal_weights(found, again)
    other = CoTeaching(noise_rate=found.noise_rate_, **short).fit(x, labels)
    assert equal_weights(found, other) and other.noise_rate_source_ == "given"
    held = CoTeaching(selection="noisy-validation", **short).fit(x, labels)
    assert held.noise_rate_source_ == "estimated on 36 held-out labels"
    study = CoTeaching(recipe="lim2025", network="mlp", epochs=2, device="cpu")
    assert study.fit(x, labels).noise_rate_source_ == "preset lim2025"
    assert study.noise_rate_ == 0
    study.set_params(noise_rate=0.1).fit(x, labels)
    assert (study.noise_rate_, study.noise_rate_source_) == (0.1, "given")


def test_labels_that_say_nothing() -> None:
    x, _ = blobs(10, 2)
    same = CoTeaching(epochs=1, device="cpu").fit(x, np.zeros(10, int), classes=[0, 1])
    assert same.noise_rate_ == 0
    with pytest.raises(InputError) as caught:
        CoTeaching(epochs=1).fit(x[:1], [0], classes=[0, 1])
    rule = "cannot be estimated on 1 example; give it"
    assert str(caught.value) == f"noise_rate=None: {rule}"


def test_the_preset_is_the_studys() -> None:
    for method in (CoTeaching(recipe="lim2025"), CoTeachingPlus(recipe="lim2025")):
        found = method.resolve_recipe((32, 32, 3)).to_json()
        wanted = {
            "network": "lenet_or_conv6", "epochs": 200, "batch_size": 128, "optimizer": "adam",
            "learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "linear", "decay_start": 80,
            "momentum": 0.9, "decay_momentum": 0.1, "drop_last": True, "precision": "float32",
            "augment": "auto",
        }  # fmt: skip
        assert wanted.items() <= found.items()
        assert method.recipe == "lim2025"
    own = CoTeaching(recipe="lim2025", network=linear, epochs=3).resolve_recipe((5,))
    assert (own.network, own.epochs, own.optimizer) == ("own:linear", 3, "adam")
    assert CoTeaching().resolve_recipe((5,)) == Standard().resolve_recipe((5,))


@pytest.mark.parametrize(
    ("n_classes", "parameters", "warmup"),
    [
        (20, {"recipe": "lim2025"}, 20),
        (21, {"recipe": "lim2025"}, 5),
        (21, {"recipe": "lim2025", "warmup_epochs": 7}, 7),
        (21, {"recipe": Recipe(network="mlp", epochs=60, batch_size=9, learning_rate=1)}, 6),
        (3, {"recipe": "mlp", "epochs": 4}, 1),
        (3, {"warmup_epochs": 0}, 0),
    ],
)
def test_how_long_the_warm_up_is(n_classes: int, parameters: Any, warmup: int) -> None:
    method = CoTeachingPlus(network="mlp", noise_rate=0, **parameters)
    assert learner_of(method, n_classes).warmup_epochs == warmup


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (CoTeaching(noise_rate=-0.1), "noise_rate=-0.1: must be between 0 and 1"),
        (CoTeaching(noise_rate=1.1), "noise_rate=1.1: must be between 0 and 1"),
        (CoTeaching(noise_rate=float("nan")), "noise_rate=nan: must be between 0 and 1"),
        (CoTeaching(ramp_epochs=0),
         "ramp_epochs=0: must be a whole number of at least 1, or None"),
        (CoTeachingPlus(ramp_epochs=1.5),  # type: ignore[arg-type]
         "ramp_epochs=1.5: must be a whole number of at least 1, or None"),
        (CoTeachingPlus(warmup_epochs=-1),
         "warmup_epochs=-1: must be a whole number of at least 0, or None"),
        (CoTeachingPlus(warmup_epochs=True),
         "warmup_epochs=True: must be a whole number of at least 0, or None"),
    ],
    ids=str,
)  # fmt: skip
def test_parameters(method: Any, message: str) -> None:
    x, y = blobs(12, 2)
    for attempt in (method.check_parameters, lambda: method.fit(x, y)):
        with pytest.raises(InputError) as caught:
            attempt()
        assert str(caught.value) == message


def test_specs() -> None:
    method = make_method("coteaching-plus:0.3,warmup_epochs=4,ramp_epochs=2")
    assert isinstance(method, CoTeachingPlus)
    assert (method.noise_rate, method.warmup_epochs, method.ramp_epochs) == (0.3, 4, 2)
    assert make_method("coteaching").get_params()["noise_rate"] is None


def test_an_estimate_survives_a_resume(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of the checkpoint and not made again."""
    x, labels, _ = noisy_blobs(60)
    file: dict[str, Any] = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}

    def end(epoch: int, _: Any) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    whole = CoTeaching(epochs=5, device="cpu").fit(x, labels)
    with pytest.raises(KeyboardInterrupt):
        CoTeaching(epochs=5, device="cpu").fit(x, labels, watch=end, **file)
    monkeypatch.delattr("mislabel.learning.coteaching.estimate_noise_rate")
    resumed = CoTeaching(epochs=5, device="cpu").fit(x, labels, **file)
    assert equal_weights(whole, resumed)
    assert resumed.noise_rate_ == whole.noise_rate_
    assert resumed.noise_rate_source_ == whole.noise_rate_source_


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@both
def test_no_batch_waits_for_the_device(method: type[CoTeaching]) -> None:
    x, y = blobs(30, 3)
    short = recipe(epochs=3, batch_size=8)
    found: list[Learner] = []

    class Probe(method):  # type: ignore[misc, valid-type]
        def _learner(self, task: Task) -> Learner:
            found.append(super()._learner(task))
            return found[0]

    Probe(recipe=short, noise_rate=0.4, device="cuda").fit(x, y)
    learner = found[0]
    assert isinstance(learner, CoTeachingLearner)
    labels = learner.problem.labels
    inputs = learner.problem.examples.slice(0, 30)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        logits = [learner.forward(network, inputs) for network in learner.networks.values()]
        learner.update(5, logits, labels, 0.6)
    finally:
        torch.cuda.set_sync_debug_mode("default")
