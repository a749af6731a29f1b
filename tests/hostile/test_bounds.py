"""Files that would fill the memory, never end, or land elsewhere: refused, within bounds."""

import contextlib
import gzip
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hostile_readers import READERS, Reader
from mutations import packed
from PIL import Image
from pyarrow import parquet

from mislabel import files
from mislabel.data import load_data
from mislabel.data.images import read_headers
from mislabel.errors import InputError
from mislabel.features import load_features
from mislabel.labels import load_labels
from tiny_data import snapshot

MIB = 2**20


def refusal(read: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        read()
    return caught.value.rule


# Bombs: made here, read by a process of its own whose memory is measured


def zipped(name: str, content: bytes, declared: int) -> bytes:
    """A zip archive with one compressed member, and another size declared for it."""
    whole = packed({name: content}, zipfile.ZIP_DEFLATED)
    own, other = struct.pack("<I", len(content)), struct.pack("<I", declared)
    return whole.replace(own, other)


def _npz(path: Path) -> None:
    """Honest: 96 MiB of zeros."""
    np.savez_compressed(path, features=np.zeros((96, MIB), np.uint8))


def _npz_declares(path: Path) -> None:
    """A member said to be of 3 GiB."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 4)))
    path.write_bytes(zipped("features.npy", stream.getvalue(), 3 * 2**30))


def _npz_hides(path: Path) -> None:
    """96 MiB in a member that is said to be small."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((96, MIB), np.uint8))
    path.write_bytes(zipped("features.npy", stream.getvalue(), 200))


def _npz_shape(path: Path) -> None:
    """A header that promises 8 TiB."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1048576, 1048576), }".ljust(117)
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + b"\n" + bytes(64)
    path.write_bytes(packed({"features.npy": array}))


def _npy_shape(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1048576, 1048576), }".ljust(117)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + b"\n" + bytes(64))


def _gzip(path: Path) -> None:
    """272 MiB of lines, as 272 members of one."""
    path.write_bytes(gzip.compress(b"1,1\n" * (MIB // 4)) * 272)


def _columns(path: Path) -> None:
    """Half a million columns in a line."""
    path.write_bytes(b"," * (MIB // 2) + b"\n" + b"," * (MIB // 2) + b"\n")


def _rows(path: Path) -> None:
    """A hundred million rows in a few kilobytes."""
    zeros = pa.table({"noisy_label": np.zeros(MIB, np.int8)})
    with parquet.ParquetWriter(path, zeros.schema) as writer:
        for _ in range(100):
            writer.write_table(zeros)


def _text(path: Path) -> None:
    """One text of a mebibyte to which a hundred thousand rows refer."""
    column = pa.DictionaryArray.from_arrays(np.zeros(100_000, np.int32), ["x" * MIB])
    table = pa.table({"noisy_label": np.zeros(100_000, np.int8), "about": column})
    parquet.write_table(table, path, store_schema=False)


def _lists(path: Path) -> None:
    """A row with ten million items."""
    items = pa.ListArray.from_arrays([0, 10 * MIB], np.zeros(10 * MIB, np.int8))
    parquet.write_table(pa.table({"noisy_label": [0], "about": items}), path)


def _torch(path: Path) -> None:
    """A member said to be of 3 GiB."""
    path.write_bytes(zipped("archive/data.pkl", b"\x80\x02}." * 100, 3 * 2**30))


def _json(path: Path) -> None:
    path.write_bytes(b'{"a":' * 200_000)


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "npz": ("x.npz", _npz, "unpacks to"),
    "npz declares": ("x.npz", _npz_declares, "unpacks to"),
    "npz hides": ("x.npz", _npz_hides, "cannot be read"),
    "npz shape": ("x.npz", _npz_shape, "cannot be read"),
    "npy shape": ("x.npy", _npy_shape, "cannot be read"),
    "gzip": ("labels.csv.gz", _gzip, "unpacks to more than"),
    "columns": ("labels.csv", _columns, "columns; at most"),
    "rows": ("labels.parquet", _rows, "unpacks to"),
    "text": ("labels.parquet", _text, "unpacks to"),
    "lists": ("labels.parquet", _lists, ""),
    "torch": ("labels.pt", _torch, "at most|cannot be read"),
    "json": ("human.json", _json, "cannot be read as JSON"),
}
CHILD = """
import json, resource, sys
from pathlib import Path
from mislabel import files
from mislabel.errors import InputError
from mislabel.features import load_features
from mislabel.labels import load_labels
from mislabel.noise.human_like import HumanParameters
import pyarrow.csv, pyarrow.parquet
files.UNPACKED_FREE = 64 * 2**20
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
for line in sys.stdin:
    path = Path(line.strip())
    name = path.name.split(".")[0]
    read = {"x": load_features, "labels": load_labels, "human": HumanParameters.load}[name]
    before = peak()
    try:
        read(path)
        said = ""
    except InputError as error:
        said = error.rule
    print(json.dumps([said, peak() - before]), flush=True)
"""


def test_bombs_do_not_go_off(tmp_path: Path) -> None:
    """Each is read or refused while the memory grows by less than 600 MiB, most by far less."""
    paths = []
    for name, (file, make, _) in BOMBS.items():
        paths.append(tmp_path / name.replace(" ", "-") / file)
        paths[-1].parent.mkdir()
        make(paths[-1])
        assert paths[-1].stat().st_size < 2 * MIB, name
    given = "\n".join(map(str, paths))
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=given, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for (name, (_, _, words)), line in zip(BOMBS.items(), done.stdout.splitlines(), strict=True):
        said, grown = json.loads(line)
        assert grown < 600 * 1024, (name, grown)
        if words:
            assert any(word in said for word in words.split("|")), (name, said)


# Images


def png_header(width: int, height: int) -> bytes:
    """A PNG of this size, as its header says, with nothing in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _patched(kind: str, at: int, form: str, *, size: int = 50_000) -> bytes:
    stream = io.BytesIO()
    Image.new("P" if kind == "GIF" else "RGB", (8, 8)).save(stream, kind)
    content = bytearray(stream.getvalue())
    struct.pack_into(form, content, at, size, size)
    return bytes(content)


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    content = bytearray(stream.getvalue())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 50_000, 50_000)
    return bytes(content)


HUGE = {
    "a.png": png_header(50_000, 50_000),
    "a.bmp": _patched("BMP", 18, "<ii"),
    "a.gif": _patched("GIF", 6, "<HH"),
    "a.ppm": b"P6\n50000 50000\n255\n" + bytes(100),
    "a.jpg": _jpeg(),
    "a.pgm.ppm": b"P5\n2147483647 2147483647\n255\n",
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("image_size", [None, 8])
def test_images_of_50000_by_50000_pixels(tmp_path: Path, name: str, image_size: int | None) -> None:
    for folder in ("ant", "bee"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "small.png")
        (tmp_path / folder / name).write_bytes(HUGE[name])
    said = refusal(lambda: load_data(f"folder:{tmp_path}", image_size=image_size))
    assert said == "has more than 64 megapixels" or "not a readable image" in said


def test_a_huge_image_in_parquet(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [{"bytes": HUGE["a.png"], "path": None}]
        path = tmp_path / f"{split}-00000-of-00001.parquet"
        parquet.write_table(pa.table({"img": rows, "label": [0]}), path)
    said = refusal(lambda: load_data(f"cifar10:{tmp_path}"))
    assert said == "has more than 64 megapixels"


def test_damaged_exif_is_no_warning() -> None:
    """Whatever byte of it is changed, the image is read, or said to be none."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(stream, "JPEG", exif=exif)
    content = stream.getvalue()
    start = content.index(b"Exif")
    damaged = [
        content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
        for at in range(start, start + 32)
    ]
    for one in damaged:
        with contextlib.suppress(InputError):
            (header,) = read_headers(1, lambda _, one=one: one, str)
            assert sorted(header[:2]) == [4, 8]


def test_many_images_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is allowed; together they unpack to 250 times their size."""
    for folder in ("ant", "bee"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            Image.new("RGB", (1000, 1000)).save(tmp_path / folder / f"{number}.png")
    monkeypatch.setattr(files, "UNPACKED_FREE", MIB)
    assert "it unpacks to 18,000,000 bytes" in refusal(lambda: load_data(f"folder:{tmp_path}"))


# What lies outside, and what is no file


MEMBERS = ("../../{}.npy", "/{}.npy", "a/../../{}.npy", "..\\{}.npy", "{}.npy/../x", "C:{}.npy")


@pytest.mark.parametrize("member", MEMBERS)
def test_zip_members_outside_the_target(tmp_path: Path, member: str) -> None:
    """Archives are read in memory; the names in them are never paths."""
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    stream = io.BytesIO()
    np.save(stream, np.zeros((3, 2)))
    link = zipfile.ZipInfo(member.format("link"))
    link.external_attr = 0o120777 << 16
    for name, read in (("x.npz", load_features), ("labels.pt", load_labels)):
        with zipfile.ZipFile(inside / name, "w") as archive:
            archive.writestr(member.format("features"), stream.getvalue())
            archive.writestr(link, "/etc/passwd")
        before = snapshot(tmp_path)
        with pytest.raises(InputError):
            read(inside / name)
        assert snapshot(tmp_path) == before


def test_tar_archives_are_not_unpacked(tmp_path: Path) -> None:
    """With a device, links and members outside in it."""
    inside = tmp_path / "a"
    inside.mkdir()
    with tarfile.open(inside / "labels.pt", "w") as archive:
        for name, kind in (
            ("../x", tarfile.REGTYPE), ("/x", tarfile.REGTYPE), ("l", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE), ("d", tarfile.CHRTYPE),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "../../x"
            archive.addfile(member)
    before = snapshot(tmp_path)
    assert "archive of torch.save" in refusal(lambda: load_labels(inside / "labels.pt"))
    for name in ("x.npz", "x.npy"):
        (inside / "labels.pt").rename(inside / name)
        with pytest.raises(InputError):
            load_features(inside / name)
        (inside / name).rename(inside / "labels.pt")
    assert snapshot(tmp_path) == before


@pytest.fixture
def limits() -> Iterator[None]:
    """An end to what would wait for ever, and to what would fill the memory."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    before, room = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 2**30, room[1]))
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_AS, room)


# The record of a download comes as bytes.
FILES = [reader for reader in READERS if reader.name != "record of downloads"]


@pytest.mark.usefixtures("limits")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("reader", FILES, ids=lambda reader: reader.name.replace(" ", "-"))
def test_pipes_and_devices_are_not_read(reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    reader.make(folder)
    for path in reader.files(folder)[:3]:
        content = path.read_bytes()
        for replace in (os.mkfifo, lambda at: at.symlink_to("/dev/zero")):
            path.unlink()
            replace(path)
            with contextlib.suppress(*reader.errors):
                reader.read(folder)
            path.unlink()
            path.write_bytes(content)
