"""`neighbors`: how many of the nearest other examples have the same given label.

``exclusion(i) = s_i``, the share of the k nearest other examples that have i's given label: what
a vote of the k nearest neighbours gives that label when i itself has no vote.

``inclusion(i) = (k s_i + w) / (k + w)``: the same vote when i, its own nearest neighbour, votes too
and counts as much as w others. With w = 1 these are the probabilities of a plain k-nearest
neighbour rule; memorization is then at most 1 / (k + 1), since such a rule hardly memorizes. A
network does: a larger w makes the size, never the order, more like a network's.

The errors are binomial, as if the neighbours were independent draws: ``sqrt(s (1 - s) / k)``; they
say how coarse the vote is, not how far it is from a network.

Source: the neighbour vote of Fix & Hodges 1951; as a measure of label noise Zhu et al. 2022.
Pitfall: it is as good as the distances. On a map of a pretrained embedding it is a strong floor, on
the pixels of natural images it is poor.

Cost: `COST`. Agreement with held-out studies: docs/memorization-estimates.md.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mislabel.features import nearest_neighbors
from mislabel.labels import check_count
from mislabel.memorization.estimator import (
    Estimate,
    Estimator,
    EstimatorRecord,
    Problem,
    check_number,
)

COST = "one search of nearest neighbours, much the quickest on a map"


@dataclass(frozen=True, kw_only=True)
class Neighbors(Estimator):
    """Vote of the k nearest other examples.

    k: neighbours, at most N - 1. weight: how many votes an example has on itself.
    """

    name: ClassVar[str] = "neighbors"
    title: ClassVar[str] = "Neighbour vote"
    k: int = 100
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_count(self.k, "k")
        check_number("weight", self.weight)

    def _estimate(self, problem: Problem) -> Estimate:
        _, neighbors = nearest_neighbors(problem.features, self.k)
        votes = (problem.labels[neighbors] == problem.labels[:, None]).sum(axis=1)
        share = votes / self.k
        error = np.sqrt(share * (1 - share) / self.k)
        voters = np.full(len(share), self.k)
        total = self.k + self.weight
        return Estimate(
            inclusion=(votes + self.weight) / total,
            exclusion=share,
            more={
                "inclusion_error": error * self.k / total,
                "exclusion_error": error,
                "inclusion_count": voters,
                "exclusion_count": voters,
            },
        )


RECORD = EstimatorRecord(
    name=Neighbors.name,
    title=Neighbors.title,
    paper="Fix & Hodges 1951",
    build=Neighbors,
    positional="k",
    uses="map",
    cost=COST,
    example="neighbors:k=100",
)
