"""CLIP and other pretrained networks, on tiny models with random weights."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mislabel.errors import InputError
from mislabel.features import canonical_encoder, encode, hf, make_encoder, rows, weights
from mislabel.features.base import EncoderRun
from mislabel.features.clip import VARIANTS, Clip
from mislabel.features.hf import HuggingFace
from tiny_models import clip_processor, images, save_clip, save_vit, vit_processor


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vit(tmp_path_factory.mktemp("models") / "tiny-vit")


def one_by_one(folder: Path, batch: Any, read: Any) -> Any:
    """Features by the library alone, one image at a time, as its documentation says."""
    from transformers import AutoModel

    processor = vit_processor() if "vit" in folder.name else clip_processor()
    with hf._quiet(sys.modules["transformers"]):
        network = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    found = []
    with torch.inference_mode():
        for image in batch:
            inputs = processor([image], return_tensors="pt", input_data_format="channels_last")
            found.append(read(network, inputs["pixel_values"])[0].numpy())
    return np.stack(found)


def clip_read(network: Any, pixels: Any) -> Any:
    found = network.get_image_features(pixel_values=pixels)
    found = found if isinstance(found, torch.Tensor) else found.pooler_output
    return found / found.norm(dim=1, keepdim=True)


def test_clip_features_are_the_librarys_one_by_one(clip_folder: Path) -> None:
    # As large as the network's images, so that preprocessing is exact.
    batch = images(9, height=32, width=32)
    found = Clip(model=str(clip_folder))(batch)
    expected = one_by_one(clip_folder, batch, clip_read)
    assert found.shape == (9, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_clip_features_of_resized_images_are_the_librarys_within_rounding(
    clip_folder: Path,
) -> None:
    batch = images(9)
    found = Clip(model=str(clip_folder))(batch)
    expected = one_by_one(clip_folder, batch, clip_read)
    assert (found * expected).sum(axis=1).min() > 0.9999


def test_a_clip_without_its_text_tower_gives_the_same(clip_folder: Path, tmp_path: Path) -> None:
    batch = images(5)
    vision = save_clip(tmp_path / "vision", vision_only=True)
    np.testing.assert_allclose(
        Clip(model=str(vision))(batch), Clip(model=str(clip_folder))(batch), atol=1e-6
    )


def test_hf_takes_the_pooler_where_there_is_one(vit_folder: Path) -> None:
    batch = images(5, height=32, width=32)
    found = HuggingFace(model=str(vit_folder))(batch)
    expected = one_by_one(
        vit_folder, batch, lambda network, pixels: network(pixel_values=pixels).pooler_output
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_hf_takes_the_mean_over_tokens_where_the_pooler_has_no_weights(tmp_path: Path) -> None:
    batch = images(5, height=32, width=32)
    folder = save_vit(tmp_path / "tiny-vit", pooler=False)
    found = HuggingFace(model=str(folder))(batch)
    expected = one_by_one(
        folder,
        batch,
        lambda network, pixels: network(pixel_values=pixels).last_hidden_state.mean(dim=1),
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_hf_takes_projected_features_of_a_model_with_a_text_tower(clip_folder: Path) -> None:
    batch = images(3)
    found = HuggingFace(model=str(clip_folder))(batch)
    normalised = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(normalised, Clip(model=str(clip_folder))(batch), atol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 11, 100])
def test_batch_size_does_not_matter(clip_folder: Path, size: int) -> None:
    batch = images(11)
    found = Clip(model=str(clip_folder))(batch, run=EncoderRun(batch_size=size))
    np.testing.assert_allclose(found, Clip(model=str(clip_folder))(batch), atol=1e-5)


def test_the_same_again_is_the_same_and_touches_no_global_state(clip_folder: Path) -> None:
    before = torch.get_rng_state()
    first, second = (Clip(model=str(clip_folder))(images(4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_grey_images_are_taken_as_grey_colours(clip_folder: Path) -> None:
    grey = images(4, channels=1)
    encoder = Clip(model=str(clip_folder))
    assert np.array_equal(encoder(grey), encoder(np.repeat(grey, 3, axis=3)))


@pytest.mark.parametrize("encoder", ["clip", "simclr"])
def test_images_that_cannot_be_written_are_taken_without_a_warning(
    clip_folder: Path, encoder: str
) -> None:
    spec = f"clip:{clip_folder}" if encoder == "clip" else "simclr:epochs=1"
    # As memory-mapped data are. PyTorch warns once per process, so a process of its own.
    code = (
        "import warnings, numpy as np; warnings.simplefilter('error', UserWarning)\n"
        "from mislabel.features import make_encoder\n"
        "batch = np.zeros((4, 20, 24, 3), np.uint8); batch.setflags(write=False)\n"
        f"print(len(make_encoder({spec!r})(batch)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["4"], result.stderr


def test_bfloat16_is_near(clip_folder: Path) -> None:
    batch = images(6)
    exact = Clip(model=str(clip_folder))(batch)
    mixed = Clip(model=str(clip_folder), precision="bfloat16")(batch)
    assert (exact * mixed).sum(axis=1).min() > 0.999
    assert not np.array_equal(exact, mixed)


@pytest.mark.parametrize("shape", [(3, 5), (3, 8, 8, 4), (3, 8, 8, 2)])
def test_what_is_no_image_is_refused(clip_folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="takes images of 1 or 3 channels"):
        Clip(model=str(clip_folder))(np.zeros(shape, dtype=np.uint8))


# ---- cache and resumption


class KilledError(Exception):
    pass


def counted(monkeypatch: pytest.MonkeyPatch, fail_after: int | None = None) -> list[int]:
    """Count the images that go through the network; raise after so many batches."""
    seen: list[int] = []
    original = hf.PooledNetwork.__call__

    def call(self: hf.PooledNetwork, pixels: Any) -> Any:
        if fail_after is not None and len(seen) == fail_after:
            raise KilledError
        seen.append(len(pixels))
        return original(self, pixels)

    monkeypatch.setattr(hf.PooledNetwork, "__call__", call)
    return seen


@pytest.mark.parametrize("second_size", [4, 3])
def test_a_killed_embedding_goes_on(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, second_size: int
) -> None:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path))
    monkeypatch.setattr(rows, "KEEP_SECONDS", 0.0)
    batch, spec = images(22), f"clip:{clip_folder}"
    with monkeypatch.context() as first:
        seen = counted(first, fail_after=3)
        with pytest.raises(KilledError):
            encode(spec, batch, batch_size=4)
    assert sum(seen) == 12
    with monkeypatch.context() as second:
        seen = counted(second)
        resumed = encode(spec, batch, batch_size=second_size)
    assert sum(seen) == 10
    np.testing.assert_allclose(resumed, Clip(model=str(clip_folder))(batch), atol=1e-5)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]  # no rows left behind


def test_rows_are_kept_when_the_process_is_killed_without_notice(tmp_path: Path) -> None:
    kept = rows._KeptRows(tmp_path)
    kept._written = -1e9
    kept.add(0, np.ones((3, 2), dtype=np.float32))  # time has passed: written at once
    kept.add(3, np.ones((3, 2), dtype=np.float32))  # lost
    seen = []

    def compute(start: int, stop: int) -> Any:
        seen.append((start, stop))
        return np.full((stop - start, 2), 2, dtype=np.float32)

    found = rows.encode_rows(8, 4, compute, folder=tmp_path)
    assert seen == [(3, 7), (7, 8)]
    assert found[:, 0].tolist() == [1, 1, 1, 2, 2, 2, 2, 2]


def test_damaged_rows_are_computed_again(tmp_path: Path) -> None:
    (tmp_path / "0-4.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "0-99.npy", np.zeros((99, 2)))  # of more rows than there are
    found = rows.encode_rows(4, 4, lambda a, b: np.ones((b - a, 2), np.float32), folder=tmp_path)
    assert found.tolist() == [[1, 1]] * 4


def test_rows_that_cannot_be_kept_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "rows"

    def fail_late(start: int, stop: int) -> Any:
        if start:
            raise KilledError
        return np.ones((1, 1), np.float32)

    with pytest.raises(KilledError):
        rows.encode_rows(2, 1, fail_late, folder=folder)


def test_a_hit_in_the_cache_computes_nothing(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path))
    batch, spec = images(7), f"clip:{clip_folder}"
    first = encode(spec, batch)
    seen = counted(monkeypatch)
    assert np.array_equal(encode(spec, batch), first)
    assert seen == []
    encode(spec, batch[::-1])
    assert sum(seen) == 7


def test_other_weights_in_the_same_folder_are_another_encoder(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(clip_folder, tmp_path / "copy"))
    first = encode(f"clip:{folder}", images(4))
    path = folder / "model.safetensors"
    changed = {name: tensor * 1.1 for name, tensor in load_file(path).items()}
    save_file(changed, path, metadata={"format": "pt"})
    assert not np.allclose(encode(f"clip:{folder}", images(4)), first)


# ---- refusals


def test_pickled_weights_are_refused_by_name(clip_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip_folder, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for spec in (f"clip:{folder}", f"hf:{folder}"):
        with pytest.raises(InputError) as caught:
            encode(spec, images(2))
        assert str(caught.value) == (
            "encoder='pickled': has no model.safetensors; its weights are a pickle "
            "(pytorch_model.bin), which is never loaded"
        )


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("model.safetensors", "has no model.safetensors"),
        ("preprocessor_config.json", "has no preprocessor_config.json; is it a model for images?"),
        ("config.json", "has no config.json"),
    ],
)
def test_missing_files_are_named(vit_folder: Path, tmp_path: Path, name: str, rule: str) -> None:
    folder = Path(shutil.copytree(vit_folder, tmp_path / "partial"))
    (folder / name).unlink()
    with pytest.raises(InputError) as caught:
        encode(f"hf:{folder}", images(2))
    assert str(caught.value) == f"encoder='partial': {rule}"


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_damaged_files_are_one_line(vit_folder: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(vit_folder, tmp_path / "damaged"))
    (folder / name).write_bytes(b"{ no")
    for encoder in ("hf", "clip"):
        with pytest.raises(InputError) as caught:
            encode(f"{encoder}:{folder}", images(2))
        assert "\n" not in str(caught.value)


def test_weights_that_are_missing_would_be_random(vit_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(vit_folder, tmp_path / "lacking"))
    path = folder / "model.safetensors"
    left = {k: v for k, v in load_file(path).items() if k != "layernorm.weight"}
    save_file(left, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"its files lack weights: layernorm\.weight"):
        encode(f"hf:{folder}", images(2))


def test_clip_refuses_other_models(vit_folder: Path) -> None:
    with pytest.raises(InputError, match="is no CLIP but 'vit'; use hf:"):
        encode(f"clip:{vit_folder}", images(2))


def test_images_of_a_size_the_network_does_not_take(clip_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip_folder, tmp_path / "sizes"))
    clip_processor(do_center_crop=False, do_resize=False).save_pretrained(folder)
    with pytest.raises(InputError, match="encoder='sizes'"):
        encode(f"clip:{folder}", images(2))


@pytest.mark.parametrize("module", ["transformers", "huggingface_hub"])
def test_without_the_extra_the_error_says_what_to_install(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    spec = f"clip:{clip_folder}" if module == "transformers" else "hf:owner/name"
    with pytest.raises(InputError) as caught:
        make_encoder(spec)(images(2))
    rule = "is not installed; pip install 'mislabel[embed]'"
    assert str(caught.value) == f"encoder='{module}': {rule}"


# ---- the Hub


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Hub and an empty cache of it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ("hf:owner/name", "encoder='owner/name': no such folder, and "),
        ("clip", "encoder='openai/clip-vit-base-patch32': no such folder, and "),
        ("hf:a/b/c", "encoder='a/b/c': no such folder, and not the form of an id on the Hub"),
        ("hf:/no/such", "encoder='/no/such': no such folder"),
        ("hf:./such", "encoder='./such': no such folder"),
    ],
)
def test_what_cannot_be_had_is_one_line(spec: str, start: str) -> None:
    with pytest.raises(InputError) as caught:
        encode(spec, images(2))
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)


class Proposal:
    def __init__(self, author: str, title: str, number: int) -> None:
        self.author, self.title, self.git_reference = author, title, f"refs/pr/{number}"


@pytest.mark.parametrize("proposed", [True, False])
def test_a_model_of_the_hub_with_pickles_only_is_served_by_the_hubs_own_conversion(
    clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proposed: bool
) -> None:
    import huggingface_hub

    pickled = Path(shutil.copytree(clip_folder, tmp_path / "abc"))
    (pickled / "model.safetensors").unlink()
    asked: list[Any] = []

    def download(model: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        assert not any(fnmatch(pattern) for pattern in allow_patterns)
        asked.append((model, revision))
        return str(pickled if revision is None else clip_folder)

    def fnmatch(pattern: str) -> bool:
        return Path("pytorch_model.bin").match(pattern)

    def proposals(self: Any, model: str, **options: Any) -> list[Proposal]:
        title = "Adding `safetensors` variant of this model"
        stranger, bot = Proposal("stranger", title, 1), Proposal("SFconvertbot", title, 2)
        return [stranger, bot] if proposed else [stranger]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "get_repo_discussions", proposals)
    name = VARIANTS["ViT-B/32"]
    if proposed:
        assert Clip().files.folder == clip_folder
        assert asked == [(name, None), (name, "refs/pr/2")]
    else:
        with pytest.raises(InputError, match=r"has no model\.safetensors"):
            Clip().key()


# ---- specs


def test_specs_with_slashes_and_colons() -> None:
    assert make_encoder("clip") == Clip(model="ViT-B/32")
    assert make_encoder("clip:ViT-L/14@336px") == Clip(model="ViT-L/14@336px")
    assert make_encoder("clip:laion/CLIP-ViT-B-32,precision=float32") == Clip(
        model="laion/CLIP-ViT-B-32", precision="float32"
    )
    assert make_encoder("hf:/a:b/c") == HuggingFace(model="/a:b/c")
    assert make_encoder("hf:model=/a=b") == HuggingFace(model="/a=b")
    assert canonical_encoder("clip:model=ViT-B/16") == "clip:ViT-B/16"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("clp:ViT-B/32", "encoder='clp': unknown name; did you mean 'clip'? Known: clip, hf, "),
        ("clip:ViT-B/33", "encoder='clip:ViT-B/33': unknown variant; did you mean 'ViT-B/32'? "),
        ("hf", "encoder='hf': needs a model, as in hf:model=..."),
        ("clip:precision=half", "precision='half': unknown choice; "),
        ("hf:a/b,pool=x", "encoder='hf:a/b,pool=x': unknown parameter 'pool'; "),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_encoder(spec)
    assert str(caught.value).startswith(message)


def test_model_files_are_hashed_by_content(clip_folder: Path) -> None:
    hashes = weights.find_model(str(clip_folder)).hashes
    assert set(hashes) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert all(len(value) == 64 for value in hashes.values())
