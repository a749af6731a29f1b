"""``mislabel embed``, end to end on the embedded digits and a tiny CLIP."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.cli import main
from mislabel.data import load_data
from mislabel.features import encode, load_features
from tiny_models import save_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"clip:{save_clip(tmp_path_factory.mktemp('models') / 'tiny-clip')}"


def run(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as exit_:
        main(["embed", "--data", "digits", "--subset", "30", *arguments])
    return exit_.value.code


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_writes_features_that_can_be_read_back(
    clip: str, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"features{suffix}"
    assert run("--encoder", clip, "-o", str(output)) == 0
    assert capsys.readouterr().out == f"{output}: 30 x 24 features (clip)\n"
    data = load_data("digits", subset=30)
    found = load_features(output)
    assert found.dtype == np.float32
    assert np.array_equal(found, encode(clip, data.x_train))
    assert np.array_equal(data.align(found, "features"), found)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        output.name,
        f"{output.name}.receipt.json",
    ]


def test_the_receipt_says_where_features_come_from(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "features.npy"
    run("--encoder", clip, "-o", str(output), "--json", "--device", "cpu")
    printed = json.loads(capsys.readouterr().out)
    receipt = json.loads((tmp_path / "features.npy.receipt.json").read_text())
    assert printed == {"features": str(output)} | receipt
    assert receipt["encoder"] == "clip"
    assert receipt["settings"]["model"] == "tiny-clip"
    assert set(receipt["settings"]["files"]) >= {"config.json", "model.safetensors"}
    assert set(receipt["versions"]) == {"python", "mislabel", "numpy", "torch", "transformers"}
    assert receipt["data_sha256"] == load_data("digits", subset=30).fingerprint
    assert (receipt["device"], receipt["split"], receipt["shape"]) == ("cpu", "train", [30, 24])
    assert str(tmp_path) not in json.dumps(receipt)


@pytest.mark.parametrize("encoder", ["pixels", "simclr:epochs=1,network=mlp"])
def test_test_examples_by_an_encoder_that_learned_from_the_training_examples(
    encoder: str, tmp_path: Path
) -> None:
    output = tmp_path / "test.npy"
    assert run("--encoder", encoder, "-o", str(output), "--split", "test") == 0
    data = load_data("digits", subset=30)
    found = np.load(output)
    assert len(found) == len(data.x_test)
    assert np.array_equal(found, encode(encoder, data.x_test, fit_on=data.x_train))
    # Training examples among those to embed lie where they lay.
    train = encode(encoder, data.x_train)
    again = encode(encoder, data.x_train[:7].copy(), fit_on=data.x_train)
    np.testing.assert_allclose(again, train[:7], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--encoder", "pixel", "-o", "x.npy"],
            "encoder='pixel': unknown name; did you mean 'pixels'? "
            "Known: clip, hf, patches, pixels, simclr",
        ),
        (
            ["--encoder", "pixels", "-o", "x.csv"],
            "output='x.csv': unknown format; use .npy or .safetensors",
        ),
        (
            ["--encoder", "pixels", "-o", "x.npy", "--split", "tests"],
            "split='tests': unknown choice; did you mean 'test'? Known: test, train",
        ),
        (
            ["--encoder", "pixels", "-o", "x.npy", "--batch-size", "0"],
            "batch_size=0: must be a whole number, at least 1",
        ),
        (["--encoder", "hf:/no/such", "-o", "x.npy"], "encoder='/no/such': no such folder"),
        (
            ["--encoder", "simclr", "-o", "x.npy", "--device", "gpu"],
            "device='gpu': must be auto, cpu or cuda",
        ),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert capsys.readouterr().err == f"mislabel: error: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_help_and_import_load_no_heavy_library() -> None:
    code = (
        "import sys, mislabel, mislabel.cli, mislabel.features\n"
        "try: mislabel.cli.main(['embed', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'safetensors', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
