"""How long a method trains plainly before it trusts what its network says about labels."""

from math import ceil

from mislabel.learning.recipes import Recipe

SHARE = 0.25
LEAST_STEPS = 50
"After fewer steps a small network may still say one class everywhere."


def default_warmup(published: int, recipe: Recipe, n_examples: int) -> int:
    """Epochs: as published, or a quarter of the recipe's where that is less.

    It is longer where an epoch has so few batches that these are not 50 steps of the optimiser.
    """
    steps = ceil(n_examples / recipe.batch_size)
    return max(min(published, ceil(SHARE * recipe.epochs)), ceil(LEAST_STEPS / steps))
