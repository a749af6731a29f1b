"""DivideMix: two networks that tell each other which labels to believe, and guess the others.

After a warm-up with cross-entropy, each epoch::

    divide   w = P(clean | loss): a mixture of two Gaussians on the losses of each network; the
             other network trains on X = {w > p_threshold} with labels, on U = the rest without
    refine   on X: y = sharpen(w onehot(z) + (1 - w) p), p what the network itself says
    guess    on U: q = sharpen(mean of what both networks say)
    mix      x' = l x + (1 - l) x2, targets alike, l ~ Beta(alpha, alpha), at least 1/2, x2 any
             example of the same X and U batches together (MixMatch)
    L        = CE on X' + lambda_u(t) * mean squared error of probabilities on U'
               + sum_c pi_c log(pi_c / mean p_c), pi uniform

with sharpen(p) = p^(1/T), normalised. An epoch goes over X once; as large a batch from U comes with
every batch from X. lambda_u(t) rises linearly from 0 after the warm-up. Prediction is by the mean
of both networks' probabilities.

Source: Li, Socher and Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning",
ICLR 2020, Algorithm 1 and section 3. Chosen since it is the semi-supervised method that others are
measured against, needs neither the noise rate nor pretrained features, and, seen with one view of
each example, costs little enough for a CPU.

What we take otherwise than the paper:

- One augmented view of each example rather than two (``views=2`` is the paper's). With a share s
  of the labels believed, an epoch then costs about 6 s + 2/3 epochs of Standard: for each network
  one pass of X and two of U without gradient, a step on both, and a pass for all losses. Measured
  for the small CNN on one core: 4.9 times Standard at s = 0.92, 2 in the warm-up, and 9.7 with two
  views.
- Feature vectors are not augmented, so views would be equal, and one is taken. No noise is added
  to them, whose scale only the user knows; mixing and the second network are what varies.
- Warm-up (10 of 300 epochs on CIFAR-10) and the rise of lambda_u (16 epochs) take a quarter of a
  short recipe's epochs each, where that is less.
- The mixture is fitted by 50 steps of EM in float64 on the device (the code: 10 at most).

And where the original code differs from its paper:

- The squared error is divided by the number of classes too, as in the code and in MixMatch. The
  paper's formula is not, but lambda_u = 25 was found with the code.
- The code adds up the networks' logits to predict; we average probabilities, as the paper says.
- The code fails where X or U is empty. Without U there is only X; where no label is believed, all
  losses being alike, all are trained on, each by its w.
- Its mean over the losses of 5 epochs, for 90 % noise only, is left out.

Pitfalls: a warm-up in which wrong labels are fitted leaves nothing to divide. Noise that is
systematic in a region, as CBN's is, has low losses and is believed. The last term pulls
predictions towards equal classes: with very unequal ones set ``prior_weight=0``. Weight lambda_u is
for many wrong labels; the paper takes 0 for 20 %.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, isfinite, log
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.labels import check_count
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier, Task
from mislabel.learning.learner import Learner, Pass
from mislabel.learning.mixup import mixing_share
from mislabel.learning.problem import HeldOut, predict_logits
from mislabel.learning.warmup import SHARE, default_warmup

NAMES = ("network", "second network")
WARMUP, RISE = 10, 16
SMALLEST_VARIANCE = 5e-4
EM_STEPS = 50
MIXING = "mixing share"


@dataclass(kw_only=True, eq=False, repr=False)
class DivideMix(NoisyLabelClassifier):
    """DivideMix, two networks. Else as `NoisyLabelClassifier`.

    p_threshold: how probably clean a label must be to be kept. temperature: of sharpening.
    lambda_u: weight of the loss on examples without labels. alpha: of the Beta distribution of
    mixing shares. prior_weight: of the pull towards equal classes. views: augmented versions of an
    example in a batch. warmup: epochs of cross-entropy; None takes 10, or a quarter of the epochs
    where that is less (and at least 50 steps of the optimiser); `warmup_` says how many.
    entropy_penalty: subtract the entropy of predictions from the loss of the warm-up, as the paper
    does where wrong labels go from class to class.

    `noise_scores_` are 1 - w, mean of both networks; `corrected_labels_` the likeliest class of
    w onehot(z) + (1 - w) p where w passes the threshold, of p elsewhere.
    """

    name: ClassVar[str] = "dividemix"
    p_threshold: float = 0.5
    temperature: float = 0.5
    lambda_u: float = 25.0
    alpha: float = 4.0
    prior_weight: float = 1.0
    views: int = 1
    warmup: int | None = None
    entropy_penalty: bool = False

    def check_parameters(self) -> None:
        super().check_parameters()
        if not 0 <= self.p_threshold < 1:
            raise InputError("p_threshold", self.p_threshold, "must be at least 0 and below 1")
        for name in ("temperature", "alpha"):
            value = getattr(self, name)
            if not (value > 0 and isfinite(value)):
                raise InputError(name, value, "must be a finite number above 0")
        for name in ("lambda_u", "prior_weight"):
            value = getattr(self, name)
            if not (value >= 0 and isfinite(value)):
                raise InputError(name, value, "must be a finite number from 0")
        check_count(self.views, "views")
        if self.warmup is not None:
            check_count(self.warmup, "warmup")

    def _learner(self, task: Task) -> "DivideMixLearner":
        default = default_warmup(WARMUP, task.recipe, len(task.problem.labels))
        self.warmup_ = default if self.warmup is None else self.warmup
        rise = min(RISE, ceil(SHARE * task.recipe.epochs))
        return DivideMixLearner(task, self, warmup=self.warmup_, rise=rise)

    def _predictor(self, build: Callable[[str], nn.Module], n_features: int) -> nn.Module:
        return MeanOfNetworks(*map(build, NAMES))


class MeanOfNetworks(nn.Module):
    """Log of the mean of two networks' class probabilities."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, inputs: Tensor) -> Tensor:
        return mean_log_probability(self.first(inputs), self.second(inputs))


def mean_log_probability(logits: Tensor, other: Tensor) -> Tensor:
    """(B, C) log of the mean of two softmaxes, in float32 at least, without underflow."""
    both = torch.stack((logits, other))
    both = both.float() if both.dtype in (torch.float16, torch.bfloat16) else both
    return torch.log_softmax(both, dim=2).logsumexp(dim=0) - log(2)


def clean_probability(losses: Tensor) -> Tensor:
    """(N,) how likely each loss is of the lower of two Gaussians, float32.

    losses: (N,); they are brought to [0, 1] first. The Gaussians start from the two means that
    k-means finds, and no variance is below 5e-4, since 1 is the whole range. Losses that are all
    alike leave both Gaussians the same, and 1/2 for each example.
    """
    x = losses.double()
    low, high = torch.aminmax(x)
    x = (x - low) / (high - low).clamp(min=torch.finfo(x.dtype).tiny)
    share = _halves(x)
    for _ in range(EM_STEPS):
        share = _expectation(x, *_maximisation(x, share))
    _, means, _ = _maximisation(x, share)
    return torch.where(means[0] <= means[1], share[0], share[1]).float()


def _halves(x: Tensor) -> Tensor:
    """(2, N) ones and zeros: the two clusters of x, (N,) in [0, 1], by k-means from its ends."""
    cut = x.new_tensor(0.5)
    for _ in range(EM_STEPS):
        upper = (x > cut).to(x.dtype)
        n_upper = upper.sum()
        mean = (x * upper).sum() / n_upper.clamp(min=1)
        lower_mean = (x * (1 - upper)).sum() / (len(x) - n_upper).clamp(min=1)
        cut = torch.where(n_upper > 0, (mean + lower_mean) / 2, cut)
    upper = (x > cut).to(x.dtype)
    found = torch.stack((1 - upper, upper))
    return torch.where(upper.sum() > 0, found, torch.full_like(found, 0.5))


def _maximisation(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and variances (2,) of two Gaussians; share: (2, N) of each example."""
    count = share.sum(dim=1) + 10 * torch.finfo(x.dtype).eps
    means = (share @ x) / count
    variances = (share * (x - means[:, None]) ** 2).sum(dim=1) / count + SMALLEST_VARIANCE
    return count / len(x), means, variances


def _expectation(x: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """(2, N) posterior shares of the two Gaussians."""
    distance = (x - means[:, None]) ** 2 / variances[:, None]
    return torch.softmax((weights.log() - variances.log() / 2)[:, None] - distance / 2, dim=0)


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """(B, C) p^(1/T), normalised; the largest entry of a row is taken out first."""
    scaled = probabilities / probabilities.amax(dim=1, keepdim=True)
    powers = scaled ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


def semi_supervised_loss(
    logits: Tensor, targets: Tensor, n_labelled: int, *, weight: Tensor | float, prior_weight: float
) -> Tensor:
    """Cross-entropy of the first rows, squared error of the others, pull to equal classes.

    logits, targets: (B, C). n_labelled: rows with labels, maybe none or all. weight: of the mean
    squared error of the other rows' probabilities.
    """
    logs = torch.log_softmax(logits, dim=1)
    loss = prior_weight * prior_penalty(logs)
    if n_labelled:
        loss = loss - (targets[:n_labelled] * logs[:n_labelled]).sum(dim=1).mean()
    if n_labelled < len(logits):
        loss = loss + weight * functional.mse_loss(logs[n_labelled:].exp(), targets[n_labelled:])
    return loss


def prior_penalty(logs: Tensor) -> Tensor:
    """Sum of pi log(pi / mean p) over classes, pi = 1/C; logs: (B, C) log p. 0 where equal."""
    mean = logs.logsumexp(dim=0) - log(len(logs))
    return -log(logs.shape[1]) - mean.mean()


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the softmax of (B, C) logits."""
    logs = torch.log_softmax(logits, dim=1)
    return -(logs.exp() * logs).sum(dim=1).mean()


class DivideMixLearner(Learner):
    """Two networks; see the module.

    At the end of the last epoch of warm-up, and of each later one, all examples are predicted
    without augmentation, which gives w for the next epoch, what the curves show, the scores and
    the corrected labels. clean: (2, N), w by each network, or None in the warm-up.
    """

    def __init__(self, task: Task, method: DivideMix, *, warmup: int, rise: int) -> None:
        super().__init__(task.problem, task.recipe, task.seeds)
        self.method, self.warmup, self.rise = method, warmup, rise
        self.n_classes = task.n_classes
        self.views = method.views if task.problem.examples.augment else 1
        pair = [self.add_network(name, task.build(name)) for name in NAMES]
        self.network = MeanOfNetworks(*pair)
        self.clean: Tensor | None = None
        self._corrected = task.problem.labels
        # Made before a state is loaded, and on the CPU, where its numbers are asked for.
        self.generator(MIXING, on_device=False)

    def train_epoch(self, epoch: int) -> Pass:
        if self.clean is None:
            seen = self._warm_up(epoch)
            if epoch + 1 >= self.warmup:
                self._evaluate()
            return seen
        total, count = torch.zeros((), device=self.device), 0
        for name, other, clean in zip(NAMES, NAMES[::-1], self.clean.flip(0), strict=True):
            self.networks[name].train()
            self.networks[other].eval()
            batches = self._divided(clean)
            for number, (labelled, unlabelled) in enumerate(batches):
                self.set_learning_rate(epoch, number, len(batches))
                weight = self._weight(epoch + number / len(batches))
                loss = self._mixed_loss((name, other), labelled, unlabelled, clean, weight)
                self.step(name, loss)
                total += loss.detach()
            count += len(batches)
        seen = Pass(self.problem)
        everyone = torch.arange(len(self.problem.labels), device=self.device)
        seen.add(everyone, self._evaluate(), total / count)
        return seen

    def _warm_up(self, epoch: int) -> Pass:
        """Cross-entropy for both networks, each in an order of its own; the first one is shown."""
        seen, labels = Pass(self.problem), self.problem.labels
        for name in NAMES:
            self.networks[name].train()
            batches = self.batches()
            for number, index in enumerate(batches):
                self.set_learning_rate(epoch, number, len(batches))
                inputs = self.problem.examples.batch(index, self.generator("augmentation"))
                logits = self.forward(self.networks[name], inputs)
                loss = functional.cross_entropy(logits, labels[index])
                if self.method.entropy_penalty:
                    loss = loss - entropy(logits)
                self.step(name, loss)
                if name == NAMES[0]:
                    seen.add(index, logits, loss)
        return seen

    def _evaluate(self) -> Tensor:
        """Predict all examples: sets w and the corrected labels, returns (N, C) log-probability."""
        labels, both = self.problem.labels, []
        for name in NAMES:
            both.append(predict_logits(self.networks[name], self.problem.examples, self.recipe))
        self.clean = torch.stack(
            [clean_probability(functional.cross_entropy(z, labels, reduction="none")) for z in both]
        )
        logs = mean_log_probability(*both)
        w = self.clean.mean(dim=0)
        w = torch.where(w > self.method.p_threshold, w, 0)[:, None]
        onehot = functional.one_hot(labels, self.n_classes)
        self._corrected = (w * onehot + (1 - w) * logs.exp()).argmax(dim=1)
        return logs

    def _divided(self, clean: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Batches of labelled examples, each with as many others, or none where there are none.

        Labelled are those with clean, (N,), above the threshold; all, where none is.
        """
        believed = clean > self.method.p_threshold
        believed = believed | ~believed.any()
        labelled = believed.nonzero().squeeze(1)
        others = (~believed).nonzero().squeeze(1)
        order = self.generator("order", on_device=False)
        labelled = labelled[torch.randperm(len(labelled), generator=order).to(self.device)]
        others = others[rounds(len(others), len(labelled), order).to(self.device)]
        cuts = batch_bounds(len(labelled), self.recipe.batch_size)
        return [(labelled[a:b], others[a:b]) for a, b in pairwise(cuts)]

    def _mixed_loss(
        self,
        names: tuple[str, str],
        labelled: Tensor,
        unlabelled: Tensor,
        clean: Tensor,
        weight: float,
    ) -> Tensor:
        """The loss of a pair of batches; names: the network that learns, and the other."""
        index, n_labelled = torch.cat((labelled, unlabelled)), len(labelled)
        augmentation = self.generator("augmentation")
        shown = [self.problem.examples.batch(index, augmentation) for _ in range(self.views)]
        targets = self._targets(names, shown, labelled, clean)
        parts = [view[:n_labelled] for view in shown] + [view[n_labelled:] for view in shown]
        inputs = torch.cat(parts)
        targets = torch.cat(
            (
                targets[:n_labelled].repeat(self.views, 1),
                targets[n_labelled:].repeat(self.views, 1),
            )
        )
        share = mixing_share(self.method.alpha, self.generator(MIXING, on_device=False))
        partner = torch.randperm(
            len(inputs), generator=self.generator("mixing partner"), device=self.device
        )
        inputs = torch.lerp(inputs[partner], inputs, share)
        targets = torch.lerp(targets[partner], targets, share)
        return semi_supervised_loss(
            self.forward(self.networks[names[0]], inputs),
            targets,
            self.views * n_labelled,
            weight=weight,
            prior_weight=self.method.prior_weight,
        )

    @torch.no_grad()
    def _targets(
        self, names: tuple[str, str], shown: list[Tensor], labelled: Tensor, clean: Tensor
    ) -> Tensor:
        """(B, C): refined labels of the labelled, then guesses of the others, sharpened."""
        own, other = (self.networks[name] for name in names)
        n_labelled = len(labelled)
        said = torch.stack([self.forward(own, view).softmax(dim=1) for view in shown]).mean(dim=0)
        w = clean[labelled, None]
        onehot = functional.one_hot(self.problem.labels[labelled], self.n_classes)
        refined = w * onehot + (1 - w) * said[:n_labelled]
        if n_labelled == len(said):
            return sharpen(refined, self.method.temperature)
        theirs = [self.forward(other, view[n_labelled:]).softmax(dim=1) for view in shown]
        guessed = (said[n_labelled:] + torch.stack(theirs).mean(dim=0)) / 2
        return sharpen(torch.cat((refined, guessed)), self.method.temperature)

    def _weight(self, time: float) -> float:
        """lambda_u at `time` in epochs: from 0 at the end of the warm-up."""
        return self.method.lambda_u * min(1.0, max(0.0, (time - self.warmup) / self.rise))

    def predict_logits(self, held_out: HeldOut) -> Tensor:
        return predict_logits(self.network, held_out.examples, self.recipe)

    def noise_scores(self) -> Tensor:
        """One less w, mean of both networks."""
        return super().noise_scores() if self.clean is None else 1 - self.clean.mean(dim=0)

    def corrected_labels(self) -> Tensor:
        return self._corrected

    def extra_state(self) -> dict[str, Any]:
        return {"clean": self.clean, "corrected": self._corrected}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.clean = None if state["clean"] is None else state["clean"].to(self.device)
        self._corrected = state["corrected"].to(self.device)


def rounds(n: int, wanted: int, order: torch.Generator) -> Tensor:
    """(wanted,) positions below n: one random permutation after another; none where n is 0."""
    if n == 0:
        return torch.empty(0, dtype=torch.long)
    return torch.rand(ceil(wanted / n), n, generator=order).argsort(dim=1).flatten()[:wanted]


def batch_bounds(n: int, batch_size: int) -> list[int]:
    """Where batches of `n` begin and the last ends; a single last example joins the one before."""
    bounds = [*range(0, n, batch_size), n]
    if len(bounds) > 2 and bounds[-1] - bounds[-2] == 1:
        del bounds[-2]
    return bounds


RECORD = MethodRecord(
    name=DivideMix.name,
    title="DivideMix",
    paper="Li, Socher & Hoi 2020",
    estimator=DivideMix,
    positional="p_threshold",
    example="dividemix:p_threshold=0.5",
    advice="drops labels with high losses and guesses anew; for unsystematic noise, many epochs",
)
