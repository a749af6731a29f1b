"""``mislabel memorize lift``."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_examples import call
from numpy.testing import assert_allclose

from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores, apply_lift, load_scores

N = 40


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemorizationScores:
    """``flat.npz``, whose inclusion is its exclusion, and ``lifted.npz``, with a lift of 2."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    clean, exclusion = np.arange(N) % 3, rng.random(N)
    labels = np.where(np.arange(N) < 15, (clean + 1) % 3, clean)
    noisy = NoisyLabels(labels, clean_labels=clean, n_classes=3)
    flat = MemorizationScores.of(
        noisy, inclusion=exclusion, exclusion=exclusion, provenance={"title": "flat"}
    )
    flat.save("flat.npz")
    apply_lift(flat, 2.0).save("lifted.npz")
    return flat


def test_fitted_to_its_own_inclusion(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "memorize", "lift", "lifted.npz")
    assert called.status == 0
    lines = called.out.splitlines()
    assert lines[0] == "lift 2.000: the odds of the given label times 7.39"
    assert lines[1].startswith("  inclusion, all (40): Spearman 1.000, mean 0.")
    assert sum("memorization, wrong (15)" in line for line in lines) == 1


def test_given_and_matched(here: MemorizationScores, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = apply_lift(here, 2.0).inclusion
    words = ["--lift", "2", "-o", "out.npz", "--json"]
    called = call(capsys, "memorize", "lift", "flat.npz", *words)
    assert called.status == 0 and json.loads(called.out)["lift"] == 2
    assert_allclose(load_scores("out.npz").inclusion, wanted, atol=1e-5)
    words = ["--like", "lifted.npz", "-o", "out.npz"]
    called = call(capsys, "memorize", "match", "flat.npz", *words)
    assert called.status == 0 and "   1.000 x log-odds of flat\n" in called.out
    assert_allclose(load_scores("out.npz").inclusion, wanted, atol=1e-3)
    called = call(capsys, "memorize", "match", "flat.npz", "lifted.npz", *words, "--json")
    assert json.loads(called.out)["examples"] == N


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lift", "-1"], "lift=-1.0: must be between 0 and 30"),
        (["-o", "out.csv"], "output='out.csv': must end in .npz"),
    ],
)
def test_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "memorize", "lift", "flat.npz", *words)
    assert called.status == 2 and f"mislabel: error: {message}" in called.err
    called = call(capsys, "memorize", "match", "flat.npz", "--like", "none.npz", "-o", "out.npz")
    assert called.status == 2 and "like='none.npz': no such file" in called.err
    assert not Path("out.npz").exists() and not Path("out.csv").exists()
