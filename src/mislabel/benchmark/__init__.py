"""The benchmark: a grid of data x noise x method x seed, its store and its tables.

``run_benchmark(Grid(data="digits", noises=["symmetric:0.2"], methods=["standard", "gce"],
seeds=[1, 2, 3]), "runs/digits")`` runs it, and ``load_results("runs/digits")`` reads it again.
"""

from mislabel.benchmark.grid import Grid
from mislabel.benchmark.results import (
    EPOCH_CHOICES,
    BenchmarkResults,
    CellResult,
    MethodRow,
    NoiseColumn,
    Summary,
    summarise,
)
from mislabel.benchmark.run import load_results, run_benchmark
from mislabel.benchmark.tables import TABLE_STYLES, format_table, table_caption

__all__ = [
    "EPOCH_CHOICES",
    "TABLE_STYLES",
    "BenchmarkResults",
    "CellResult",
    "Grid",
    "MethodRow",
    "NoiseColumn",
    "Summary",
    "format_table",
    "load_results",
    "run_benchmark",
    "summarise",
    "table_caption",
]
