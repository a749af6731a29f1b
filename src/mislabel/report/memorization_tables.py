"""Tables of memorization as text, for the terminal and for pages."""

import math
from collections.abc import Sequence

from mislabel.memorization import Agreement
from mislabel.report.text import MISSING


def agreement_rows(agreements: Sequence[Agreement]) -> list[tuple[str, ...]]:
    """The table as text: score, labels, count, correlation, both ends of its interval, ceiling,
    share of the ceiling in percent, mean of the first and of the second."""
    return [
        (
            entry.score,
            entry.group,
            f"{entry.count:,}",
            number(entry.spearman),
            number(entry.low),
            number(entry.high),
            number(entry.ceiling),
            MISSING if entry.share_of_ceiling is None else f"{100 * entry.share_of_ceiling:.0f} %",
            number(entry.mean_a),
            number(entry.mean_b),
        )
        for entry in agreements
    ]


def number(value: float | None) -> str:
    """Three decimals, or a dash."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3f}"
