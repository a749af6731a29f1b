"""The three long commands that faults are tried on, of trainings that take a moment."""

from dataclasses import dataclass
from pathlib import Path

from tiny_data import write_data

FUNCTION = """
import numpy as np

def train(x, y, *, seed):
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    return lambda t: classes[((t[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)]
"""
SUITE = "seeds: 2\nnoises:\n  - symmetric:0.2\n"


@dataclass(frozen=True)
class Kind:
    """A command; `size` is how many independent runs it has."""

    name: str
    size: int

    def words(self, data: Path, out: Path, workers: int = 1) -> list[str]:
        """The command on what `write_inputs` wrote in `data`, which is the current folder."""
        given = ["--data", f"npz:{data / 'tiny.npz'}", "--device", "cpu"]
        given += ["--workers", str(workers), "--out", str(out)]
        seeds = ["--seeds", str(self.size // 2)]
        return {
            "benchmark": ["bench", "run", *given, *seeds, "--map", str(data / "map.npy"),
                          "--noise", "symmetric:0.2", "--noise", "pair:0.3",
                          "--method", "standard", "--epochs", "3"],
            "study": ["memorize", "run", *given, "--labels", "symmetric:0.2",
                      "--runs", str(self.size), "--epochs", "3"],
            "stress": ["stress", "run", *given, "--train", "mine:train",
                       "--suite", str(data / "suite.yaml")],
        }[self.name]  # fmt: skip

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return {"study": "held-out study", "stress": "stress run"}.get(self.name, self.name)


BENCHMARK, STUDY, STRESS = Kind("benchmark", 8), Kind("study", 8), Kind("stress", 4)
KINDS = (BENCHMARK, STUDY, STRESS)


def write_inputs(folder: Path) -> Path:
    """Data, a map, code under test and a suite."""
    write_data(folder)
    (folder / "mine.py").write_text(FUNCTION)
    (folder / "suite.yaml").write_text(SUITE)
    return folder
