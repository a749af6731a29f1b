"""Folders of images."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_load_data import check_dataset

from mislabel.data import images as images_module
from mislabel.data import load_data
from mislabel.errors import InputError

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, size=shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return array


def rule(spec: str, **arguments: int) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        load_data(spec, **arguments)
    assert caught.value.argument == "data"
    return str(caught.value.value), caught.value.rule


def fill(root: Path, n: int = 5, shape: tuple[int, ...] = (6, 7, 3)) -> dict[str, list[np.ndarray]]:
    return {c: [save(root / c / f"{i}.png", pixels(*shape)) for i in range(n)] for c in "ab"}


@pytest.mark.parametrize("shape", [(6, 7, 3), (30, 24, 3), (8, 8)])
def test_round_trip_with_a_test_folder(tmp_path: Path, shape: tuple[int, ...]) -> None:
    train, test = fill(tmp_path / "train", 5, shape), fill(tmp_path / "test", 2, shape)
    data = load_data(f"folder:{tmp_path}")
    check_dataset(data)
    assert data.class_names == ("a", "b") and data.name == "folder"
    for found, expected in ((data.x_train, train), (data.x_test, test)):
        np.testing.assert_array_equal(
            found.reshape(-1, *shape), np.array(expected["a"] + expected["b"])
        )
    assert data.y_train.tolist() == [0] * 5 + [1] * 5 and data.y_test.tolist() == [0, 0, 1, 1]
    assert data.augment == ("crop-flip" if min(shape[:2]) >= 24 else "none")
    assert data.x_train.shape[3] == (1 if len(shape) == 2 else 3)


def test_a_fifth_is_held_out(tmp_path: Path) -> None:
    saved = fill(tmp_path, 10)
    data = load_data(f"folder:{tmp_path}")
    check_dataset(data)
    assert np.bincount(data.y_test).tolist() == [2, 2]
    for label, name in enumerate("ab"):
        x = np.concatenate([data.x_train[data.y_train == label], data.x_test[data.y_test == label]])
        assert sorted(map(bytes, x)) == sorted(map(bytes, saved[name]))
    assert load_data(f"folder:{tmp_path}", seed=9).fingerprint == data.fingerprint


def test_suffixes_and_what_is_left_out(tmp_path: Path) -> None:
    for i, suffix in enumerate(["png", "PNG", "jpg", "JPEG", "bmp", "webp", "gif", "ppm"]):
        save(tmp_path / "a" / f"{i}.{suffix}", np.full((5, 5, 3), 10 * i, np.uint8))
        save(tmp_path / "b" / f"{i}.{suffix}", np.full((5, 5, 3), 100 + 10 * i, np.uint8))
    for name in ("a/.hidden.png", "a/notes.txt", ".git/x.png", "a/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "a" / "deeper.png").mkdir()
    data = load_data(f"folder:{tmp_path}")
    assert len(data) + len(data.y_test) == 16
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    means = x.reshape(16, -1).mean(axis=1)
    expected = [*range(0, 80, 10), *range(100, 180, 10)]
    np.testing.assert_allclose(np.sort(means), expected, atol=4)
    np.testing.assert_array_equal(means > 90, y == 1)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    fill(tmp_path, 2, (5, 5, 3))
    frames = [Image.fromarray(np.full((5, 5, 3), v, np.uint8)) for v in (50, 200)]
    frames[0].save(tmp_path / "a" / "z.gif", save_all=True, append_images=frames[1:])
    data = load_data(f"folder:{tmp_path}")
    x = np.concatenate([data.x_train, data.x_test])
    assert (x == 50).all(axis=(1, 2, 3)).sum() == 1


def test_colour_modes_become_rgb(tmp_path: Path) -> None:
    grey = save(tmp_path / "a" / "0.png", pixels(4, 4))
    rgb = save(tmp_path / "a" / "1.png", pixels(4, 4, 3))
    rgba = save(tmp_path / "b" / "0.png", pixels(4, 4, 4))
    palette = Image.fromarray(pixels(4, 4, 3)).quantize(8)
    palette.save(tmp_path / "b" / "1.png", transparency=bytes(range(8)))
    data = load_data(f"folder:{tmp_path}")
    found = {x.tobytes() for x in np.concatenate([data.x_train, data.x_test])}
    expected = [
        np.repeat(grey[..., None], 3, 2),
        rgb,
        rgba[..., :3],
        np.array(palette.convert("RGB")),
    ]
    assert found == {x.tobytes() for x in expected}


def test_sizes(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", pixels(30, 40, 3))
    save(tmp_path / "a" / "1.png", pixels(30, 40, 3))
    save(tmp_path / "b" / "0.png", pixels(30, 40, 3))
    save(tmp_path / "b" / "1.png", pixels(32, 32, 3))
    value, text = rule(f"folder:{tmp_path}")
    assert value == str(tmp_path)
    assert text.startswith("images differ in size: ") and text.endswith("; give image_size")
    assert "40x30 (" in text and "32x32 (b/1.png)" in text
    data = load_data(f"folder:{tmp_path}", image_size=24)
    check_dataset(data)
    assert data.x_train.shape[1:] == (24, 24, 3) and data.augment == "crop-flip"


def test_the_shorter_side_is_resized_and_the_centre_kept(tmp_path: Path) -> None:
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 12:28] = 255
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        save(tmp_path / name, wide if name[0] == "a" else wide.T.copy())
    data = load_data(f"folder:{tmp_path}", image_size=5)
    assert data.x_train.shape[1:] == (5, 5, 1) and data.x_train.min() == 255


def test_exif_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    array = pixels(4, 6, 3)
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        save(tmp_path / name, array, exif=exif)
    data = load_data(f"folder:{tmp_path}")
    np.testing.assert_array_equal(data.x_train[0], np.rot90(array, -1))


def test_the_cache_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    first = load_data(f"folder:{tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(images_module, "_open", None)  # decoding would fail
        assert load_data(f"folder:{tmp_path}").fingerprint == first.fingerprint
    changed = save(tmp_path / "a" / "0.png", pixels(6, 7, 3))
    second = load_data(f"folder:{tmp_path}")
    x = np.concatenate([second.x_train, second.x_test])
    assert (x == changed).all(axis=(1, 2, 3)).sum() == 1


@pytest.mark.parametrize(
    ("files", "value", "text"),
    [
        ([], "", "needs a folder of images for each of at least 2 classes; has 0"),
        (["a/0"], "", "needs a folder of images for each of at least 2 classes; has 1"),
        (["a/0", "a/1", "b/note"], "b", "has no image (.bmp .gif .jpeg .jpg .png .ppm .webp)"),
        (
            ["train/a/0", "train/b/0", "test/a/0", "test/c/0"],
            "",
            "train and test differ in classes: 'b', 'c'",
        ),
        (
            ["train/a/0", "test/a/0"],
            "train",
            "needs a folder of images for each of at least 2 classes; has 1",
        ),
        (
            ["a/0", "a/1", "b/0"],
            None,
            "has 1 example; a held-out test set needs at least 2 of each class",
        ),
    ],
)
def test_bad_layouts(tmp_path: Path, files: list[str], value: str | None, text: str) -> None:
    for name in files:
        if name.endswith("note"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("no image")
        else:
            save(tmp_path / f"{name}.png", pixels(3, 3, 3))
    named = "class 'b'" if value is None else str(tmp_path / value)
    assert rule(f"folder:{tmp_path}") == (named, text)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(root)
    (root / "a" / "inside.png").symlink_to(root / "b" / "0.png")
    assert len(load_data(f"folder:{root}")) == 9
    outside = tmp_path / "outside.png"
    save(outside, pixels(6, 7, 3))
    (root / "a" / "link.png").symlink_to(outside)
    assert rule(f"folder:{root}") == (
        str(root / "a" / "link.png"),
        "is a link that leads out of the folder",
    )
    alias = tmp_path / "alias"
    (root / "a" / "link.png").unlink()
    alias.symlink_to(root)
    assert len(load_data(f"folder:{alias}")) == 9


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + crc + end


@pytest.mark.parametrize("size", [(8001, 8000), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    fill(tmp_path)
    bomb = tmp_path / "a" / "bomb.png"
    bomb.write_bytes(png_header(*size))
    for arguments in ({}, {"image_size": 8}):
        found = rule(f"folder:{tmp_path}", **arguments)
        assert found == (str(bomb), "has more than 64 megapixels")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0garbage", b"%!PS-Adobe-3.0"])
def test_a_broken_image_is_named(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path)
    (tmp_path / "b" / "broken.jpg").write_bytes(content)
    value, text = rule(f"folder:{tmp_path}")
    assert value == str(tmp_path / "b" / "broken.jpg")
    assert text.startswith("is not a readable image (")


def test_a_cut_image_is_named(tmp_path: Path) -> None:
    fill(tmp_path, shape=(40, 40, 3))
    for suffix in ("png", "jpg"):
        buffer = io.BytesIO()
        Image.fromarray(pixels(40, 40, 3)).save(buffer, "PNG" if suffix == "png" else "JPEG")
        path = tmp_path / "a" / f"cut.{suffix}"
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 3 // 4])
        value, text = rule(f"folder:{tmp_path}")
        assert value == str(path) and text.startswith("is not a readable image (")
        path.unlink()


def test_sixteen_bits_are_not_clipped_silently(tmp_path: Path) -> None:
    fill(tmp_path)
    save(tmp_path / "a" / "deep.png", np.arange(42, dtype=np.uint16).reshape(6, 7) * 1000)
    value, text = rule(f"folder:{tmp_path}")
    assert value == str(tmp_path / "a" / "deep.png")
    assert text == "has pixels of mode I;16; save it with 8 bits per channel"
