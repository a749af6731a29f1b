"""`early`: what one training says about each label while it goes on.

Per epoch the training pass gives each example a probability and a margin before the step that
learns from it. From these (`run_early` returns all of them):

    aum                area under the margin: mean over epochs of the given label's logit less the
                       largest other one (Pleiss et al. 2020); low for labels that others contradict
    forgetting events  how often an example that was right in a pass is wrong in the next one
                       (Toneva et al. 2019)
    first learned      first epoch in whose pass the given label is predicted, -1 for never

exclusion is, by `statistic`: "probability", the mean probability of the given label in the passes
of the first quarter of the epochs (`early`), when the network goes by what it has learned from
other examples (Arpit et al. 2017): in the first pass no example has been trained on, in pass e
each only e times; "margin", 1 / (1 + exp(-aum)); "correctness", the share of all passes in which
the label is predicted (Swayamdipta et al. 2020), low for what is learned late or forgotten.
inclusion is the probability of the given label by the trained network, without augmentation. Both
are of a single run and have no error.

Pitfalls: the more epochs count as early and the larger the learning rate, the more exclusion has of
what was fitted. Methods with two networks are observed in the second, those that mix examples or
pick among them in the passes that they report.

Cost: `COST`. Agreement with held-out studies: docs/memorization-estimates.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from mislabel.errors import InputError, did_you_mean
from mislabel.labels import NoisyLabels
from mislabel.learning import Evaluation, NoisyLabelClassifier, make_method
from mislabel.learning.problem import choose_device
from mislabel.memorization.estimator import (
    Estimate,
    Estimator,
    EstimatorRecord,
    Problem,
    Progress,
    check_number,
)
from mislabel.memorization.scores import Floats, MemorizationScores

STATISTICS = ("probability", "margin", "correctness")
COST = "one training"


@dataclass(frozen=True, kw_only=True, eq=False)
class EarlyRun:
    """Of one training, at the examples of `scores` (M,): see the module.

    An example that came in no pass has NaN, 0 and -1.
    """

    scores: MemorizationScores
    aum: Floats
    forgetting_events: NDArray[np.int64]
    first_learned: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Early(Estimator):
    """Statistics of a single training.

    method: a spec. recipe, network, epochs: of the training, unless the method's spec says
    otherwise. statistic: see the module. early: share of the epochs, at least one, that the
    probability is taken from. augment: "none", or "crop-flip" for images that bear it. device:
    "auto", "cpu" or "cuda".
    """

    name: ClassVar[str] = "early"
    title: ClassVar[str] = "Early probability in one training"
    takes_images: ClassVar[bool] = True
    method: str = "standard"
    recipe: str = "auto"
    network: str | None = None
    epochs: int | None = None
    statistic: str = "probability"
    early: float = 0.25
    augment: str = "none"
    device: str = "auto"

    def __post_init__(self) -> None:
        check_number("early", self.early, below=1.0)
        if self.statistic not in STATISTICS:
            rule = f"unknown choice; {did_you_mean(str(self.statistic), STATISTICS)}"
            raise InputError("statistic", self.statistic, rule)
        self._classifier(0).check_parameters()

    def _classifier(self, seed: int) -> NoisyLabelClassifier:
        return make_method(
            self.method,
            seed=seed,
            recipe=self.recipe,
            network=self.network,
            epochs=self.epochs,
            augment=self.augment,
            device=self.device,
        )

    def _estimate(self, problem: Problem) -> Estimate:
        return self._train(problem)[0]

    def _train(self, problem: Problem) -> tuple[Estimate, "PassRecord"]:
        classifier = self._classifier(problem.seed)
        recipe = classifier.resolve_recipe(problem.features.shape[1:])
        labels = torch.from_numpy(problem.labels).to(choose_device(self.device))
        record = PassRecord(labels, n_early=max(1, round(self.early * recipe.epochs)))

        def watch(epoch: int, _: Any) -> None:
            record.end_epoch(epoch)
            problem.progress(epoch + 1, recipe.epochs)

        classifier.fit(
            problem.features,
            problem.labels,
            classes=np.arange(problem.n_classes),
            evaluation=Evaluation(observe=record.observe),
            watch=watch,
        )
        chances = classifier.predict_proba(problem.features)
        estimate = Estimate(
            inclusion=chances[np.arange(len(chances)), problem.labels].astype(np.float64),
            exclusion=record.exclusion(self.statistic),
            notes={"recipe": recipe.to_json(), "early_epochs": record.n_early},
        )
        return estimate, record


def run_early(
    settings: Early,
    labels: NoisyLabels,
    features: NDArray[Any],
    *,
    index: NDArray[np.int64] | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> EarlyRun:
    """Train once; scores and statistics. The arguments are those of a call of an estimator."""
    problem = settings.problem(labels, features, index=index, seed=seed, progress=progress)
    estimate, record = settings._train(problem)
    scores = settings.scores(problem, estimate, class_names)
    return EarlyRun(
        scores=scores,
        aum=record.aum[scores.index],
        forgetting_events=record.forgotten.cpu().numpy()[scores.index],
        first_learned=record.first_learned.cpu().numpy()[scores.index],
    )


class PassRecord:
    """Statistics of N examples over the passes of a training; tensors stay on the device.

    labels: (N,) as given. n_early: epochs whose probabilities are averaged.
    """

    def __init__(self, labels: Tensor, *, n_early: int) -> None:
        self.labels, self.n_early = labels, n_early
        unknown = torch.full(labels.shape, torch.nan, device=labels.device)
        self._margin, self._chance = unknown, unknown.clone()
        self._margin_sum, self._chance_sum = torch.zeros(
            (2, len(labels)), dtype=torch.float64, device=labels.device
        )
        self._margin_count, self._chance_count, self.forgotten = torch.zeros(
            (3, len(labels)), dtype=torch.int64, device=labels.device
        )
        self.first_learned = torch.full_like(labels, -1)
        self._right_count = torch.zeros_like(labels)
        self._was_right = torch.zeros_like(labels, dtype=torch.bool)

    def observe(self, index: Tensor, logits: Tensor) -> None:
        """A batch: positions (B,) and logits (B, C)."""
        own, logits = self.labels[index, None], logits.float()
        others = logits.scatter(1, own, -torch.inf).amax(dim=1)
        self._margin[index] = logits.gather(1, own).squeeze(1) - others
        self._chance[index] = logits.softmax(dim=1).gather(1, own).squeeze(1)

    def end_epoch(self, epoch: int) -> None:
        """Take in what was observed since the last epoch."""
        came, right = self._margin.isfinite(), self._margin > 0
        self._margin_sum += torch.where(came, self._margin, 0)
        self._margin_count += came
        if epoch < self.n_early:
            self._chance_sum += torch.where(came, self._chance, 0)
            self._chance_count += came
        self._right_count += came & right
        self.forgotten += came & self._was_right & ~right
        self._was_right = torch.where(came, right, self._was_right)
        self.first_learned[(self.first_learned < 0) & right] = epoch
        self._margin.fill_(torch.nan)

    @property
    def aum(self) -> Floats:
        """(N,) mean margin; NaN for an example that never came."""
        return _mean(self._margin_sum, self._margin_count)

    @property
    def early_probability(self) -> Floats:
        """(N,) mean probability of the given label in the early epochs."""
        return np.clip(_mean(self._chance_sum, self._chance_count), 0, 1)

    def exclusion(self, statistic: str) -> Floats:
        """(N,) from 0 to 1: one of `STATISTICS`."""
        if statistic == "probability":
            return self.early_probability
        if statistic == "margin":
            found: Floats = expit(self.aum)
            return found
        return _mean(self._right_count, self._margin_count)


def _mean(total: Tensor, count: Tensor) -> Floats:
    found: Floats = (total / count).cpu().numpy()  # 0 / 0 is NaN
    return found


RECORD = EstimatorRecord(
    name=Early.name,
    title=Early.title,
    paper="Arpit et al. 2017; Pleiss et al. 2020; Toneva et al. 2019; Swayamdipta et al. 2020",
    build=Early,
    positional="epochs",
    uses="training",
    cost=COST,
    example="early:epochs=4",
)
