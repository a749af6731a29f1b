"""A method at work on one problem: its networks, their optimisers, and what an epoch does.

`SingleNetwork` trains one network with an `Objective` and serves most methods. A method with
several networks, or that mixes or splits its batches, writes a `Learner` of its own: it overrides
`train_epoch` (or, in a `SingleNetwork`, only `batch_loss`). All randomness comes from
`Learner.generator`, by name, so that a training can be stopped and resumed: the state of a learner
is its networks, optimisers, generators and what `extra_state` adds.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mislabel.learning.checkpoint import tensor_bytes
from mislabel.learning.objective import Objective
from mislabel.learning.problem import HeldOut, TrainingProblem, autocast, predict_logits
from mislabel.learning.recipes import Recipe
from mislabel.seeds import TrainingSeeds, child_seed

ADAM_BETA2 = 0.999


class Pass:
    """What the training passes of one epoch saw; tensors stay on the device.

    predicted: (N,) classes, -1 where an example did not come. probability: (N,) of the given
    label, NaN there.
    """

    def __init__(self, problem: TrainingProblem) -> None:
        self.labels, self._observe = problem.labels, problem.observe
        self.predicted = torch.full_like(problem.labels, -1)
        self.probability = torch.full(problem.labels.shape, torch.nan, device=self.labels.device)
        self._loss = torch.zeros((), device=self.labels.device)
        self._count = 0

    @torch.no_grad()
    def add(self, index: Tensor, logits: Tensor, loss: Tensor) -> None:
        """A batch: its examples (B,), logits (B, C) and mean loss."""
        self._loss += loss.detach() * len(index)
        self._count += len(index)
        self.predicted[index] = logits.argmax(dim=1)
        if self._observe is not None:
            self._observe(index, logits.detach())
        chance = torch.softmax(logits.float(), dim=1)
        self.probability[index] = chance.gather(1, self.labels[index, None]).squeeze(1)

    @property
    def loss(self) -> Tensor:
        """Mean loss over the examples that came."""
        return self._loss / max(1, self._count)


class Learner(ABC):
    """Base class; see the module. `network` is the one that predicts."""

    network: nn.Module

    def __init__(self, problem: TrainingProblem, recipe: Recipe, seeds: TrainingSeeds) -> None:
        self.problem, self.recipe, self.seeds = problem, recipe, seeds
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self._generators: dict[str, torch.Generator] = {}
        self.first_order: Tensor | None = None
        n_examples, device = len(problem.labels), problem.labels.device
        self._given_sum = torch.zeros(n_examples, device=device)
        self._given_count = torch.zeros(n_examples, device=device)

    @abstractmethod
    def train_epoch(self, epoch: int) -> Pass:
        """One pass over the data."""

    def end_epoch(self, epoch: int, seen: Pass) -> None:
        """Called after each epoch; methods that correct labels or reweight override it."""
        came = seen.predicted >= 0
        self._given_sum += torch.where(came, seen.probability, 0)
        self._given_count += came

    def predict_logits(self, held_out: HeldOut) -> Tensor:
        """(M, C) logits, or log-probabilities, of examples that are not trained on."""
        return predict_logits(self.network, held_out.examples, self.recipe)

    def noise_scores(self) -> Tensor:
        """(N,) from 0 to 1, how likely the given label is wrong.

        By default one less the mean over epochs of the probability that the network gave the
        label while it trained ("confidence" in Swayamdipta et al. 2020, Dataset Cartography):
        wrong labels are fitted later, if at all. An example that never came (in short trainings
        that drop their last batches) has 0.5.
        """
        mean = self._given_sum / self._given_count.clamp(min=1)
        return torch.where(self._given_count > 0, 1 - mean, 0.5)

    def corrected_labels(self) -> Tensor | None:
        """(N,) labels after the method's correction, or None where it makes none."""
        return None

    def add_network(self, name: str, network: nn.Module) -> nn.Module:
        """Take a network onto the device and give it an optimiser by the recipe."""
        network = network.to(self.device)
        if self.problem.examples.is_image:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks[name] = network
        self.optimizers[name] = make_optimizer(network, self.recipe)
        return network

    @property
    def device(self) -> torch.device:
        return self.problem.examples.device

    def generator(self, name: str, *, on_device: bool = True) -> torch.Generator:
        """The random stream of that name; made when first asked for."""
        if name not in self._generators:
            own = {"order": self.seeds.order, "augmentation": self.seeds.augmentation}
            seed = own.get(name, child_seed(self.seeds.augmentation, name))
            device = self.device if on_device else torch.device("cpu")
            self._generators[name] = torch.Generator(device).manual_seed(seed)
        return self._generators[name]

    def batches(self, *, drop_last: bool | None = None) -> list[Tensor]:
        """The examples in a random order, cut into batches.

        The order of a part of a set is that of the set, less the others. A single last example
        joins the batch before it, since batch norm cannot do with one; drop_last: a last batch
        that is not full is left out, unless it is the only one; None is what the recipe says.
        """
        drop_last = self.recipe.drop_last if drop_last is None else drop_last
        order = self.generator("order", on_device=False)
        part = self.problem.part
        if part is None:
            shuffled = torch.randperm(len(self.problem.labels), generator=order)
        else:
            shuffled = part.among(torch.randperm(part.n_total, generator=order))
        if self.first_order is None:
            self.first_order = shuffled
        batches = list(torch.split(shuffled.to(self.device), self.recipe.batch_size))
        if len(batches) > 1 and (drop_last and len(batches[-1]) < self.recipe.batch_size):
            del batches[-1]
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def forward(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Logits as float32, in mixed precision where the recipe says so."""
        with autocast(self.device, self.recipe):
            logits: Tensor = network(inputs)
        return logits.float()

    def step(self, name: str, loss: Tensor) -> None:
        """One step of the optimiser of network `name` against `loss`."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def set_learning_rate(self, epoch: int, number: int, count: int) -> None:
        """Of all optimisers, for batch `number` of `count` in an epoch; and the momentum."""
        rate = self.recipe.learning_rate_at(epoch * count + number, count)
        momentum = self.recipe.momentum_at(epoch)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum

    def initial_hash(self) -> str:
        """SHA-256 of all weights, in the order of their names; call it before training."""
        digest = hashlib.sha256()
        for name in sorted(self.networks):
            for key, value in sorted(self.networks[name].state_dict().items()):
                digest.update(f"{name}.{key}".encode())
                digest.update(tensor_bytes(value))
        return digest.hexdigest()

    def extra_state(self) -> dict[str, Any]:
        """What else the rest of the training depends on: tensors, numbers, in nested dicts."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - often nothing
        """Take back what `extra_state` gave; tensors come on the CPU."""

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        paired = self.problem.examples.paired
        return {
            **({} if paired is None else {"augmentation_counts": paired.counts}),
            "networks": {name: dict(n.state_dict()) for name, n in self.networks.items()},
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "generators": {name: g.get_state() for name, g in self._generators.items()},
            "given_sum": self._given_sum,
            "given_count": self._given_count,
            "first_order": self.first_order,
            "extra": self.extra_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; the learner must be of the same problem and settings."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, state["optimizers"][name])
        for name, value in state["generators"].items():
            self.generator(name, on_device=name != "order").set_state(value)
        self._given_sum = state["given_sum"].to(self.device)
        self._given_count = state["given_count"].to(self.device)
        self.first_order = state["first_order"]
        if (paired := self.problem.examples.paired) is not None:
            paired.counts.copy_(state["augmentation_counts"])
        self.load_extra_state(state["extra"])


class SingleNetwork(Learner):
    """One network, one objective."""

    def __init__(
        self,
        network: nn.Module,
        problem: TrainingProblem,
        objective: Objective,
        recipe: Recipe,
        seeds: TrainingSeeds,
    ) -> None:
        super().__init__(problem, recipe, seeds)
        self.network = self.add_network("network", network)
        self.objective = objective

    def train_epoch(self, epoch: int) -> Pass:
        seen = Pass(self.problem)
        self.network.train()
        batches = self.batches()
        for number, index in enumerate(batches):
            self.set_learning_rate(epoch, number, len(batches))
            logits, loss = self.batch_loss(index)
            self.step("network", loss)
            seen.add(index, logits, loss)
        return seen

    def batch_loss(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) and mean loss of the examples at `index` (B,)."""
        inputs = self.problem.examples.batch(index, self.generator("augmentation"))
        logits = self.forward(self.network, inputs)
        return logits, self.objective.loss(logits, index)

    def end_epoch(self, epoch: int, seen: Pass) -> None:
        super().end_epoch(epoch, seen)
        self.objective.end_epoch(epoch, seen.predicted)

    def noise_scores(self) -> Tensor:
        own = self.objective.noise_scores()
        return super().noise_scores() if own is None else own

    def corrected_labels(self) -> Tensor | None:
        return self.objective.corrected_labels()

    def extra_state(self) -> dict[str, Any]:
        return self.objective.state()

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.objective.load_state(state)


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, fused."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.learning_rate,
            betas=(recipe.momentum, ADAM_BETA2),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state that was stored densely; fused steps want moments laid out as the weights."""
    optimizer.load_state_dict(state)
    for weight, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                moments[name] = torch.empty_like(weight).copy_(value)
