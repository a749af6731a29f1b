"""The benchmark: a grid of data x noise x method x seed, its store and its tables.

``run_benchmark(Grid(data="digits", noises=["symmetric:0.2"], methods=["standard", "gce"],
seeds=[1, 2, 3]), "runs/digits")`` runs it, and ``load_results("runs/digits")`` reads it again.
`train_to_folder` is a single training with a folder of its own.
"""

from mislabel.benchmark.grid import Grid
from mislabel.benchmark.inputs import InputOptions
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
from mislabel.benchmark.training import TrainingPlan, train_to_folder
from mislabel.benchmark.training_folder import TrainedFolder, load_training

__all__ = [
    "EPOCH_CHOICES",
    "TABLE_STYLES",
    "BenchmarkResults",
    "CellResult",
    "Grid",
    "InputOptions",
    "MethodRow",
    "NoiseColumn",
    "Summary",
    "TrainedFolder",
    "TrainingPlan",
    "format_table",
    "load_results",
    "load_training",
    "run_benchmark",
    "summarise",
    "table_caption",
    "train_to_folder",
]
