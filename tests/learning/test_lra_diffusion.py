"""LRA-Diffusion: the process against its closed form, its targets, and what it is for."""

from collections import Counter
from dataclasses import replace
from math import cos, pi, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, make, pictures, recipe, weights
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.features import nearest_neighbors
from mislabel.learning import (
    METHODS,
    SNLS,
    Evaluation,
    LRADiffusion,
    LRADiffusionSNLS,
    Recipe,
    Standard,
    soft_neighbor_targets,
)
from mislabel.learning.diffusion import LabelProcess, antithetic_times, cosine_schedule
from mislabel.learning.lra_diffusion import DiffusionLearner, DiffusionRecipe, drawn_labels
from mislabel.learning.networks import build_network
from mislabel.learning.networks.label_diffuser import (
    WIDTH,
    ConditionalLinear,
    LabelDiffuser,
    feature_network,
    label_logits,
)

BOTH = [LRADiffusion, LRADiffusionSNLS]
EPS = 2.0**-24


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_signal(t: int, steps: int) -> float:
    """The slow twin: the product of 1 - beta_i for i = 1 to t, as in Nichol & Dhariwal, eq. 17."""

    def f(i: int) -> float:
        return cos((i / steps + 0.008) / 1.008 * pi / 2) ** 2

    product = 1.0
    for i in range(1, t + 1):
        product *= 1 - min(1 - f(i) / f(i - 1), 0.999)
    return product


def test_the_schedule_by_hand() -> None:
    """Two steps: abar_1 = cos^2(508/1008 * 90 deg) / cos^2(8/1008 * 90 deg) = 0.49385.

    508/1008 * 90 deg = 45.3571 deg, whose squared cosine is (1 + cos 90.7143 deg)/2 = 0.493767;
    8/1008 * 90 deg = 0.714286 deg: 0.999845. The second beta would be 1 and is 0.999.
    """
    found = cosine_schedule(2)
    assert found[0].item() == pytest.approx(0.493767 / 0.999845, abs=2e-6)
    assert found[1].item() == pytest.approx(found[0].item() / 1000, rel=1e-9)


def test_the_schedule_equals_its_plain_twin_and_closed_form() -> None:
    found = cosine_schedule(1000)
    for t in (1, 2, 101, 500, 901, 1000):
        assert found[t - 1].item() == pytest.approx(plain_signal(t, 1000), rel=1e-11)
    # Before the first capped beta the product telescopes to f(t) / f(0).
    share = cos((901 / 1000 + 0.008) / 1.008 * pi / 2) ** 2 / cos(0.008 / 1.008 * pi / 2) ** 2
    assert found[900].item() == pytest.approx(share, rel=1e-9)
    assert (found.diff() < 0).all() and found[0] > 0.9999 and 0 < found[-1] < 1e-8


@pytest.mark.parametrize("time", [0, 300, 900])
def test_the_forward_process_has_the_mean_and_variance_of_its_closed_form(time: int) -> None:
    """n = 200,000 draws of y_t, which is normal.

    The mean errs by more than 6 sqrt(v / n), and the variance by more than 6 v sqrt(2 / n), with
    probability below 2e-9 each.
    """
    n, process = 200_000, LabelProcess()
    clean = torch.tensor([1.0, 0.0, 0.25])
    noise = torch.randn((n, 3), generator=seeded(3))
    found = process.noised(clean.expand(n, 3), torch.full((n,), time), noise).double()
    left = plain_signal(time + 1, 1000)
    variance = 1 - left
    mean_error = found.mean(dim=0) - sqrt(left) * clean
    # EPS: the process computes in float32.
    assert (mean_error.abs() < 6 * sqrt(variance / n) + EPS).all()
    assert ((found.var(dim=0) - variance).abs() < 6 * variance * sqrt(2 / n) + EPS).all()


def test_steps_add_up_to_the_closed_form() -> None:
    """The chain y_t = sqrt(1 - beta) y + sqrt(beta) e has the moments that `noised` jumps to."""
    signal = cosine_schedule(1000)
    mean, variance, before = 1.0, 0.0, 1.0
    process = LabelProcess()
    for time in range(700):
        beta = 1 - signal[time].item() / before
        before = signal[time].item()
        mean, variance = sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    assert process.signal[699].item() == pytest.approx(mean, rel=1e-6)
    assert process.noise[699].item() ** 2 == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize(("steps", "sampling"), [(1000, 10), (1000, 1), (50, 50), (7, 3)])
def test_ddim_recovers_labels_from_a_perfect_noise_predictor(steps: int, sampling: int) -> None:
    """Soft labels too, from any start. Each step divides float32 rounding by the signal left."""
    process = LabelProcess(steps, sampling)
    clean = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0.2, 0.5, 0.3]])
    asked = []

    def perfect(noised: Tensor, time: int) -> Tensor:
        asked.append(time)
        return (noised - process.signal[time] * clean) / process.noise[time]

    for start in (torch.zeros(3, 3), torch.randn((3, 3), generator=seeded())):
        asked.clear()
        found = process.denoised(perfect, start)
        bound = 16 * EPS * float(start.abs().max() + 1) / float(process.signal[asked[0]])
        torch.testing.assert_close(found, clean, atol=bound, rtol=0)
        assert asked == sorted(asked, reverse=True) and len(asked) == sampling and asked[-1] == 0
        early = process.denoised(perfect, start, steps=1)
        torch.testing.assert_close(early, clean, atol=bound, rtol=0)


def test_ddim_by_hand() -> None:
    """Two steps with a constant told noise of 1: y_0 = (0 - s1)/a1, then (a0 y_0 + s0 - s0)/a0."""
    process = LabelProcess(1000, 2)
    assert process.times == [0, 500]
    found = process.denoised(lambda noised, _: torch.ones_like(noised), torch.zeros(1, 1))
    ratio = sqrt((1 - plain_signal(501, 1000)) / plain_signal(501, 1000))
    assert found.item() == pytest.approx(-ratio, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_times_come_in_antithetic_pairs(count: int) -> None:
    times = antithetic_times(count, 1000, seeded(1))
    half = (count + 1) // 2
    assert times.shape == (count,) and times.min() >= 0 and times.max() < 1000
    assert (times[: count - half] + times[half:] == 999).all()


def test_all_times_come() -> None:
    """Of 40 times, in 4,000 draws; one is missing with probability below 40 exp(-100)."""
    times = antithetic_times(4_000, 40, seeded())
    assert set(times.tolist()) == set(range(40))


def test_drawn_labels_and_weights_by_hand() -> None:
    """Eleven labels of which all, then 8 and 3 agree; certain rows have weight 1 each."""
    certain = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    labels, weight = drawn_labels(certain, seeded())
    assert torch.equal(labels, certain) and weight.tolist() == [0.5, 0.5]
    soft = torch.tensor([[1.0, 0, 0], [0, 8 / 11, 3 / 11]])
    seen = set()
    for seed in range(20):
        labels, weight = drawn_labels(soft, seeded(seed))
        drawn = int(labels[1].argmax())
        share = {1: 8, 2: 3}[drawn]
        expected = [11 / (11 + share), share / (11 + share)]
        assert weight.tolist() == pytest.approx(expected, abs=4 * EPS)
        assert labels.sum(dim=1).tolist() == [1, 1]
        seen.add(drawn)
    assert seen == {1, 2}


def plain_retrieval(labels: Any, neighbors: Any, i: int, slot: int) -> tuple[int, int]:
    """The slow twin, as published: the label in a slot of k + 1, and how many agree with it."""
    retrieved = [int(labels[j]) for j in neighbors[i]] + [int(labels[i])]
    return retrieved[slot], Counter(retrieved)[retrieved[slot]]


def test_drawing_equals_the_retrieval_of_the_paper() -> None:
    """A label by slot of k + 1 has the chances, and its weight the size, that ours have.

    Frequencies of 60,000 draws err by more than 6 sqrt(p (1 - p) / n) with probability 2e-9.
    """
    x, clean = blobs(40, 3, spread=4.0)
    labels = np.random.default_rng(0).permutation(clean)
    k, n = 4, 60_000
    _, neighbors = nearest_neighbors(x, k)
    soft = soft_neighbor_targets(labels, neighbors, 3, alpha=1 / (k + 1))
    for i in (0, 1, 2):
        plain = [plain_retrieval(labels, neighbors, i, slot) for slot in range(k + 1)]
        chances = Counter(label for label, _ in plain)
        rows = torch.from_numpy(soft[i]).expand(n, 3)
        drawn, weight = drawn_labels(rows, seeded(i))
        for label in range(3):
            p, came = chances[label] / (k + 1), drawn[:, label] == 1
            assert abs(came.double().mean().item() - p) <= 6 * sqrt(p * (1 - p) / n) + 1e-6
            if p:
                expected = dict(plain)[label] / max(agree for _, agree in plain)
                found = (weight[came] / weight.max()).unique()
                assert found.tolist() == [pytest.approx(expected, abs=4 * EPS)]
        assert weight.sum().item() == pytest.approx(1, abs=n * EPS)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_targets_of_snls_are_those_of_snls(
    alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mislabel.learning import snls as module

    x, y = blobs(60, 3, spread=3.0)
    places = np.random.default_rng(1).normal(size=(60, 2))
    options: Any = {"epochs": 1, "device": "cpu", "alpha": alpha}
    plain = SNLS(k=7, **options).fit(x, y, features=places)
    made = []
    original = module.neighbor_targets
    monkeypatch.setattr(
        module, "neighbor_targets", lambda *a, **k: made.append(original(*a, **k)) or made[-1]
    )
    method = LRADiffusionSNLS(k=7, **options).fit(x, y, features=places)
    _, neighbors = nearest_neighbors(places, 7)
    expected = soft_neighbor_targets(y, neighbors, 3, alpha=alpha)
    assert len(made) == 1  # once, not for every batch
    np.testing.assert_allclose(made[0].targets.numpy(), expected, atol=2 * EPS)
    assert method.k_ == plain.k_ == 7
    np.testing.assert_array_equal(method.noise_scores_, plain.noise_scores_)
    np.testing.assert_array_equal(method.corrected_labels_, plain.corrected_labels_)


@pytest.mark.parametrize("method", BOTH)
def test_what_is_diffused(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One class with its share as weight, or the soft target itself with the same weight for all.

    Eight batches of 15, of which each example comes nine times: 128 rows or more.
    """
    x, y = blobs(120, 3, spread=3.0)
    drawn = []
    original = DiffusionLearner.drawn

    def kept(self: DiffusionLearner, rows: Tensor) -> tuple[Tensor, Tensor]:
        labels, weight = original(self, rows)
        drawn.append((self.targets[rows], labels, weight))
        return labels, weight

    monkeypatch.setattr(DiffusionLearner, "drawn", kept)
    method(epochs=1, device="cpu").fit(x, y)
    assert len(drawn) == 8 and all(len(weight) >= 128 for *_, weight in drawn)
    for soft, labels, weight in drawn:
        assert weight.sum().item() == pytest.approx(1, abs=len(weight) * EPS)
        if method is LRADiffusionSNLS:
            assert torch.equal(labels, soft) and weight.unique().numel() == 1
        else:
            share = (labels * soft).sum(dim=1)
            torch.testing.assert_close(weight, share / share.sum())
            assert labels.unique().tolist() == [0, 1] and share.unique().numel() > 1


def test_lra_corrects_by_the_majority_of_the_neighbours_and_itself() -> None:
    x, y = blobs(60, 3, spread=3.0)
    method = make(METHODS["lra-diffusion"], epochs=1, k=5).fit(x, y)
    _, neighbors = nearest_neighbors(x, 5)
    for i in range(60):
        votes = Counter([*y[neighbors[i]].tolist(), int(y[i])])
        assert votes[int(method.corrected_labels_[i])] == max(votes.values())
        assert method.noise_scores_[i] == pytest.approx(
            np.mean(y[neighbors[i]] != y[i]), abs=4 * EPS
        )


@pytest.mark.parametrize("method", BOTH)
def test_the_first_loss_by_hand(method: Any) -> None:
    """The last layer starts at zero, so the first loss is the mean square of the noise drawn.

    It has mean 1. 6,400 labels of three entries with weights that sum to 1, none above 11 / 6,400
    since the least of them is a label that one of k + 1 = 11 has: a variance of at most
    2/3 * 11 / 6,400, six deviations are 0.21.
    """
    x, y = blobs(64, 3)
    one = DiffusionRecipe(
        network="mlp", epochs=1, batch_size=64, rows=6_400, learning_rate=1e-12, optimizer="adam"
    )
    untrained = method(recipe=one, device="cpu").fit(x, y)
    assert untrained.curves_["train_loss"] == [pytest.approx(1, abs=0.21)]
    # A last layer of zero tells no noise: DDIM goes from zero to zero, and all classes tie.
    np.testing.assert_allclose(untrained.predict_proba(x), 1 / 3, atol=1e-6)


def test_the_logits_prefer_the_entry_nearest_to_one() -> None:
    found = label_logits(torch.tensor([[0.9, 0.2, 1.3], [2.5, 0.4, 0.1]]))
    assert found.argmax(dim=1).tolist() == [0, 1]
    assert found[0].tolist() == pytest.approx([-0.1, -6.4, -0.9], abs=1e-5)


def test_a_conditional_layer_by_hand() -> None:
    layer = ConditionalLinear(2, 2, 3)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 0], [1, 1]]))
        layer.linear.bias.copy_(torch.tensor([0.0, 1]))
        layer.scale.weight.copy_(torch.tensor([[1.0, 1], [2, 3], [0, 0]]))
    found = layer(torch.tensor([[1.0, 2], [1, 2], [1, 2]]), torch.tensor([0, 1, 2]))
    assert found.tolist() == [[1, 4], [2, 12], [0, 0]]


def test_guidance_is_centred_and_scaled_by_one_number() -> None:
    """Columns with variances 1 and 9 have the mean variance 5; a constant column stays finite."""
    network = LabelDiffuser(nn.Linear(2, WIDTH), 2, 3, LabelProcess(10, 2))
    guidance = torch.tensor([[1.0, -3, 7], [-1, 3, 7]])
    network.measure(guidance)
    assert network.centre.tolist() == [0, 0, 7]
    assert network.spread.item() == pytest.approx(sqrt(10 / 3), rel=1e-6)
    network.measure(torch.full((2, 3), 7.0))
    assert network.spread.item() == 1


class Own(nn.Module):
    """Its last linear layer in code is not the last that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.first = nn.Linear(5, 4)
        self.gate = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.first(x)) * self.gate(x)
        return logits


@pytest.mark.parametrize(
    ("network", "shape", "tail"),
    [
        (build_network("mlp", (5,), 3), (5,), "5"),
        (build_network("cnn", (8, 8, 1), 3), (8, 8, 1), "20"),
        (nn.Linear(5, 3), (5,), ""),
        (nn.Sequential(nn.Linear(5, 3), nn.Tanh()), (5,), "0"),
        (Own(), (5,), "1"),  # a product of 3 with 512 fails: the logits, and a layer behind them
    ],
)
def test_any_network_makes_a_feature(network: nn.Module, shape: Any, tail: str) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = feature_network(network, shape, 3)
    side = (2, shape[2], *shape[:2]) if len(shape) == 3 else (2, *shape)
    assert found(torch.ones(side)).shape == (2, WIDTH)
    layer = found.get_submodule(tail) if tail else found
    assert isinstance(layer, nn.Linear) and layer.out_features == WIDTH
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_network_as_wide_as_the_feature_stays() -> None:
    network = nn.Linear(5, WIDTH)
    assert feature_network(network, (5,), WIDTH) is network


@pytest.mark.parametrize(
    ("options", "trained"),
    [
        ({}, True),
        ({"train_image_network": False}, False),
        ({"recipe": "lim2025", "network": "mlp"}, False),
        ({"recipe": "lim2025", "network": "mlp", "train_image_network": True}, True),
    ],
    ids=str,
)
def test_the_image_network_is_trained_or_not(options: Any, trained: bool) -> None:
    x, y = blobs(40, 2)
    short = make(METHODS["lra-diffusion"], seed=1, epochs=1, **options).fit(x, y)
    longer = make(METHODS["lra-diffusion"], seed=1, epochs=2, **options).fit(x, y)
    for name, value in weights(short).items():
        if name.startswith("image."):
            assert torch.equal(value, weights(longer)[name]) is not trained, name
    assert not torch.equal(
        weights(short)["denoiser.head.weight"], weights(longer)["denoiser.head.weight"]
    )


def test_the_norms_of_an_untrained_image_network_still_measure() -> None:
    x, y = pictures(40, 3, 16, 3)
    method = make(METHODS["lra-diffusion"], train_image_network=False).fit(x, y)
    found = {name: value for name, value in weights(method).items() if "image" in name}
    moved = [bool((v != 0).any()) for name, v in found.items() if name.endswith("running_mean")]
    assert moved and all(moved)


def test_the_recipes() -> None:
    study = LRADiffusion(recipe="lim2025").resolve_recipe((32, 32, 3))
    assert isinstance(study, DiffusionRecipe)
    wanted = {"network": "resnet34", "epochs": 200, "batch_size": 200, "optimizer": "adam"}
    wanted |= {"learning_rate": 1e-3, "weight_decay": 0.0, "fewest_batches": 1, "rows": 1}
    assert {name: getattr(study, name) for name in wanted} == wanted
    assert study.for_examples(50_000) == study
    quick = LRADiffusion(epochs=7).resolve_recipe((16, 16, 3))
    assert (quick.network, quick.epochs, quick.optimizer) == ("cnn", 7, "adam")
    own = Recipe(network="mlp", epochs=3, batch_size=5, learning_rate=0.1)
    assert LRADiffusion(recipe=own).resolve_recipe((5,)) == own


def test_the_warm_up_and_the_cosine_by_hand() -> None:
    """200 epochs of 10 steps: up over 50 steps, then a cosine that ends at step 10,000."""
    study = LRADiffusion(recipe="lim2025").resolve_recipe((32, 32, 3))
    rates = [study.learning_rate_at(step, 10) for step in (0, 24, 49, 50, 1_999)]
    ends = 1e-3 * (1 + cos(pi * 1_949 / 9_950)) / 2
    assert rates == pytest.approx([1e-3 / 50, 5e-4, 1e-3, 1e-3, ends], rel=1e-12)
    quick = replace(study, horizon=1.0)
    assert quick.learning_rate_at(1_999, 10) < 1e-3 * 1e-6
    assert quick.learning_rate_at(0, 1) > 0
    single = replace(study, epochs=1)
    assert single.learning_rate_at(0, 1) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("count", "size"), [(3, 8), (40, 8), (200, 25), (512, 64), (9_999, 64)])
def test_small_data_have_small_batches(count: int, size: int) -> None:
    quick = LRADiffusion().resolve_recipe((5,))
    assert isinstance(quick, DiffusionRecipe)
    assert quick.for_examples(count).batch_size == size


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_a_batch_of_one_and_few_examples(method: Any, n: int) -> None:
    x, y = blobs(n, 2)
    one = recipe(batch_size=1, optimizer="adam", epochs=2)
    for options in ({"recipe": one}, {"epochs": 2}):
        found = method(device="cpu", **options).fit(x, y)
        assert np.isfinite(found.predict_proba(x)).all()
        assert np.isfinite(found.curves_["train_loss"]).all()


def test_prediction_takes_features_or_refuses() -> None:
    x, y = blobs(40, 2)
    places = np.random.default_rng(0).normal(size=(40, 3))
    method = make(METHODS["lra-diffusion"]).fit(x, y, features=places)
    assert method.n_guidance_ == 3
    one, other = method.predict_proba(x, features=places), method.predict_proba(x, features=-places)
    assert not np.array_equal(one, other)
    with pytest.raises(InputError) as caught:
        method.predict(x)
    rule = "must have 3 columns, as the features in fit"
    assert str(caught.value) == f"features='shape (40, 5)': {rule}"
    with pytest.raises(InputError) as caught:
        method.predict(x, features=np.where(np.arange(40)[:, None] == 7, np.nan, places))
    assert str(caught.value) == "features='row 7': must be finite"


def test_guidance_may_be_other_than_where_neighbours_are() -> None:
    x, y = blobs(40, 2)
    rng = np.random.default_rng(0)
    places, guide = rng.normal(size=(40, 2)), rng.normal(size=(40, 3))
    seen = Evaluation(x_test=x[:9], y_test=y[:9], test_features=guide[:9])
    make_it = METHODS["lra-diffusion"]
    both = make(make_it).fit(x, y, features=places, guidance=guide, evaluation=seen)
    near = make(make_it).fit(x, y, features=places)
    assert both.n_guidance_ == 3
    np.testing.assert_array_equal(both.noise_scores_, near.noise_scores_)
    answers = both.predict(x[:9], features=guide[:9])
    np.testing.assert_array_equal(both.classes_[both.test_predictions_], answers)
    with pytest.raises(InputError) as caught:
        make(make_it).fit(x, y, guidance=guide[:4])
    rule = "must be a matrix (N, d) with one row per example: 40"
    assert str(caught.value) == f"guidance='shape (4, 3)': {rule}"
    plain = Standard(epochs=1, device="cpu").fit(x, y, guidance=guide)
    assert plain.n_guidance_ == 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (LRADiffusion(k=0), "k=0: must be a whole number of at least 1"),
        (LRADiffusionSNLS(k=1.5), "k=1.5: must be a whole number of at least 1"),
        (LRADiffusionSNLS(alpha=1.2), "alpha=1.2: must be between 0 and 1"),
    ],
    ids=str,
)
def test_bad_parameters(method: Any, message: str) -> None:
    for attempt in (method.check_parameters, lambda: method.fit(*blobs(12, 2))):
        with pytest.raises(InputError) as caught:
            attempt()
        assert str(caught.value) == message


@pytest.mark.parametrize("method", BOTH)
def test_label_diffusion_beats_standard_where_features_know_the_class(method: Any) -> None:
    """Tight clusters in the features, 40 % of the labels wrong; examples that say nothing.

    Standard sees the examples alone, which are noise here: chance on new examples, a third. The
    diffusion is guided by the features, whose neighbours vote for the clean class everywhere
    (checked): the noise it learns to tell is that in labels of the clean class.
    """
    places, clean = blobs(240, 3, spread=0.3)
    fresh_places, truth = blobs(600, 3, spread=0.3, seed=1)
    rng = np.random.default_rng(0)
    x, fresh = rng.normal(size=(240, 8)), rng.normal(size=(600, 8))
    labels = np.where(rng.permutation(240) < 96, (clean + rng.integers(1, 3, 240)) % 3, clean)
    _, neighbors = nearest_neighbors(places, 40)
    np.testing.assert_array_equal(
        soft_neighbor_targets(labels, neighbors, 3, alpha=0).argmax(axis=1), clean
    )
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean, test_features=fresh_places)
    trained = method(epochs=15, k=40, device="cpu").fit(x, labels, features=places, evaluation=seen)
    standard = Standard(epochs=15, device="cpu").fit(x, labels, features=places, evaluation=seen)
    assert standard.curves_["test_accuracy"][-1] < 0.5
    assert trained.curves_["test_accuracy"][-1] > 0.9
