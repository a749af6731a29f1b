"""Downloads: right bytes or none, resumed, refused and explained, against a server on loopback."""

import gzip
import hashlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import (
    Server,
    cut,
    redirect,
    running,
    silent,
    stall,
    status,
    trickle,
    unmeasured,
    whole,
    wrong_range,
)
from mislabel import __version__
from mislabel.download import (
    Content,
    DownloadError,
    Network,
    cache_state,
    check_url,
    download,
    fetch_published,
    published_path,
)
from mislabel.errors import InputError
from mislabel.labels.published import PUBLISHED_FILES, PublishedFile, published_file

DATA = bytes(range(256)) * 40
CONTENT = Content(size=len(DATA), algorithm="sha256", digest=hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        server.files["/file.npy"] = DATA
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "file.npy"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def network(pauses: list[float]) -> Network:
    return Network(timeout=5, sleep=pauses.append)


def left(path: Path) -> list[str]:
    """What lies in the folder of `path`."""
    return sorted(p.name for p in path.parent.iterdir())


def failure(url: str, path: Path, network: Network, content: Content = CONTENT) -> str:
    with pytest.raises(DownloadError) as caught:
        download(url, path, content, network=network)
    return str(caught.value)


# The whole way


def test_the_right_file_is_written_and_progress_is_told(server: Server, path: Path) -> None:
    told: list[tuple[int, int]] = []
    download(f"{server.base}/file.npy", path, CONTENT, progress=lambda *n: told.append(n))
    assert path.read_bytes() == DATA
    assert left(path) == ["file.npy"]
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert server.requests == [("/file.npy", None)]
    assert server.agents == {f"mislabel/{__version__}"}
    assert path.stat().st_mode & 0o777 == (path.parent.stat().st_mode & 0o666)


def test_a_file_that_is_there_is_not_asked_for(server: Server, path: Path) -> None:
    for _ in range(2):
        download(f"{server.base}/file.npy", path, CONTENT)
    assert len(server.requests) == 1


# What is refused


def test_a_wrong_hash_leaves_nothing(server: Server, path: Path, network: Network) -> None:
    server.files["/file.npy"] = DATA[::-1]
    wrong = hashlib.sha256(DATA[::-1]).hexdigest()
    assert failure(f"{server.base}/file.npy", path, network) == (
        f"has SHA-256 {wrong}; {CONTENT.digest} is published; nothing was written"
    )
    assert left(path) == []


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_another_stated_size_is_not_read(
    server: Server, path: Path, network: Network, size: int
) -> None:
    server.files["/file.npy"] = (DATA + b"x")[:size]
    assert failure(f"{server.base}/file.npy", path, network) == (
        f"has {size} bytes; {len(DATA)} are published; nothing was read"
    )
    assert left(path) == []


def test_a_server_that_sends_more_is_stopped(server: Server, path: Path, network: Network) -> None:
    server.script = [unmeasured(b"x" * 1_000_000)]
    told: list[int] = []
    with pytest.raises(DownloadError, match=r"^sends more than the 10240 bytes published$"):
        url = f"{server.base}/file.npy"
        download(url, path, CONTENT, network=network, progress=lambda done, _: told.append(done))
    assert max(told) <= len(DATA)
    assert left(path) == []


def test_a_length_need_not_be_stated(server: Server, path: Path, network: Network) -> None:
    server.script = [unmeasured(b"")]
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("code", [204, 401, 403, 404, 410])
def test_a_final_answer_is_not_asked_for_again(
    server: Server, path: Path, network: Network, pauses: list[float], code: int
) -> None:
    server.script = [status(code)]
    assert failure(f"{server.base}/file.npy", path, network).startswith(f"answers {code} ")
    assert (len(server.requests), pauses, left(path)) == (1, [], [])


def test_an_old_good_file_stays_when_the_new_one_fails(
    server: Server, path: Path, network: Network
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old")
    server.files["/file.npy"] = DATA[::-1]
    failure(f"{server.base}/file.npy", path, network)
    assert path.read_bytes() == b"old"
    server.files["/file.npy"] = DATA
    download(f"{server.base}/file.npy", path, CONTENT)
    assert path.read_bytes() == DATA


# What is tried again


def test_temporary_answers_are_tried_again_with_growing_pauses(
    server: Server, path: Path, network: Network, pauses: list[float]
) -> None:
    server.script = [status(500), status(503, Retry_After=7), status(429)]
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA
    assert pauses == [0.5, 7.0, 2.0]


def test_a_wait_that_a_server_asks_for_is_limited(
    server: Server, path: Path, network: Network, pauses: list[float]
) -> None:
    server.script = [status(503, Retry_After=86400), status(503, Retry_After="tomorrow")]
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert pauses == [30.0, 1.0]


def test_trying_again_ends(
    server: Server, path: Path, network: Network, pauses: list[float]
) -> None:
    server.script = [status(500)] * 9
    url = f"{server.base}/file.npy"
    assert failure(url, path, network) == "answers 500 Internal Server Error"
    assert (len(server.requests), pauses, left(path)) == (4, [0.5, 1.0, 2.0], [])


def test_a_cut_connection_goes_on_from_there(server: Server, path: Path, network: Network) -> None:
    server.script = [cut(1000), cut(500)]
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=1500-"]
    assert left(path) == ["file.npy"]


def test_a_download_cut_for_good_goes_on_in_a_later_run(
    server: Server, path: Path, network: Network
) -> None:
    server.script = [cut(1000), *[cut(0)] * 3]
    url = f"{server.base}/file.npy"
    assert failure(url, path, network) == ("was cut; 1000 of 10240 bytes are kept, to go on from")
    assert left(path) == ["file.npy.part"]
    download(url, path, CONTENT, network=network)
    assert path.read_bytes() == DATA
    assert server.requests[-1] == ("/file.npy", "bytes=1000-")
    assert left(path) == ["file.npy"]


def test_a_large_file_may_be_cut_often_as_long_as_it_grows(
    server: Server, path: Path, network: Network
) -> None:
    data = bytes(9 << 20)
    content = Content(size=len(data), algorithm="md5", digest=hashlib.md5(data).hexdigest())
    server.files["/file.npy"] = data
    server.script = [cut(1 << 20)] * 8
    download(f"{server.base}/file.npy", path, content, network=network)
    assert len(server.requests) == 9


@pytest.mark.parametrize("behaviour", [whole, wrong_range, status(416)])
def test_a_server_without_ranges_starts_again(
    server: Server, path: Path, network: Network, behaviour: object
) -> None:
    server.script = [cut(1000), behaviour]  # type: ignore[list-item]
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("kept", [b"z" * 1000, b"z" * len(DATA), b"z" * 2 * len(DATA)])
def test_what_an_earlier_run_left_may_be_wrong(
    server: Server, path: Path, network: Network, kept: bytes
) -> None:
    path.parent.mkdir()
    path.with_name("file.npy.part").write_bytes(kept)
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA
    assert left(path) == ["file.npy"]


def test_what_an_earlier_run_completed_is_not_asked_for(path: Path, network: Network) -> None:
    path.parent.mkdir()
    path.with_name("file.npy.part").write_bytes(DATA)
    download("https://nowhere.invalid/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA


# Slow and absent servers


@pytest.mark.parametrize(("behaviour", "kept"), [(silent, ""), (stall, "1 of 10240 bytes")])
def test_a_server_that_stops_answering_is_given_up(
    server: Server, path: Path, pauses: list[float], behaviour: object, kept: str
) -> None:
    server.script = [behaviour] * 2  # type: ignore[list-item]
    text = failure(
        f"{server.base}/file.npy", path, Network(timeout=0.2, attempts=2, sleep=pauses.append)
    )
    assert text.startswith("did not answer within 0.2 s")
    assert kept in text
    assert pauses == [0.5]


def test_a_trickle_is_given_up(server: Server, path: Path) -> None:
    server.script = [trickle]
    text = failure(f"{server.base}/file.npy", path, Network(timeout=0.3, attempts=1))
    assert re.match(r"sent only \d+ bytes in 0.3 s; \d+ of 10240 bytes are kept", text)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_no_server_is_said_at_once(path: Path, network: Network, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{closed_port()}/file.npy"
    assert failure(url, path, network) == "cannot be reached (Connection refused)"
    assert (pauses, left(path)) == ([], [])


@pytest.mark.parametrize(("code", "attempts"), [(socket.EAI_AGAIN, 4), (socket.EAI_NONAME, 1)])
def test_without_name_service(
    path: Path, network: Network, monkeypatch: pytest.MonkeyPatch, code: int, attempts: int
) -> None:
    asked = []

    def no_name_service(*address: object, **_: object) -> None:
        asked.append(address)
        raise socket.gaierror(code, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name_service)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    text = failure("https://example.invalid/file.npy", path, network)
    assert text == "cannot be reached (Name or service not known)"
    assert len(asked) == attempts


def test_something_else_than_a_web_server(path: Path, network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        port = listening.getsockname()[1]

        def answer() -> None:
            for _ in range(network.attempts):
                connection, _address = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"\x1b[31m220 mail\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        text = failure(f"http://127.0.0.1:{port}/file.npy", path, network)
        thread.join()
    assert text.startswith("cannot be reached (")
    assert text.isprintable()


def test_two_at_a_time_do_not_mix(server: Server, path: Path, network: Network) -> None:
    fcntl = pytest.importorskip("fcntl")
    path.parent.mkdir()
    with path.with_name("file.npy.part").open("ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        text = failure(f"{server.base}/file.npy", path, network)
    assert text == "is being downloaded by another process"
    download(f"{server.base}/file.npy", path, CONTENT, network=network)


# Which addresses are asked


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://example.com/a", "must be https (plain http only to this machine)"),
        ("http://127.0.0.1.example.com/a", "must be https (plain http only to this machine)"),
        ("http://127.1/a", "must be https (plain http only to this machine)"),
        ("http://0.0.0.0/a", "must be https (plain http only to this machine)"),
        ("ftp://example.com/a", "must be https (plain http only to this machine)"),
        ("file:///etc/passwd", "is no URL with a host"),
        ("https:///a", "is no URL with a host"),
        ("https://example.com:x/a", "is no URL (Port could not be cast to integer value as 'x')"),
        ("https://example.com/a b", "must be plain ASCII without spaces (%20 for a space)"),
        (
            "https://example.com/a\r\nHost: b",
            "must be plain ASCII without spaces (%20 for a space)",
        ),
        ("https://exämple.com/a", "must be plain ASCII without spaces (%20 for a space)"),
    ],
)
def test_urls_that_are_not_asked(url: str, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        check_url(url, "mirror")
    assert (caught.value.argument, caught.value.value, caught.value.rule) == ("mirror", url, rule)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a", "http://localhost:1/a", "http://127.0.0.2/a", "http://[::1]:80/a"],
)
def test_urls_that_are_asked(url: str) -> None:
    assert check_url(url, "mirror") == url


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        check_url("https://me:secret@example.com/a", "mirror")
    assert str(caught.value) == (
        "mirror='https://...@example.com/a': must not have a user name or password"
    )


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http://example.com/a", "must be https (plain http only to this machine)"),
        ("http://127.0.0.1:9/a", "must be https"),
        ("ftp://example.com/a", "must be https (plain http only to this machine)"),
        ("https://me:pw@example.com/a", "must not have a user name or password"),
    ],
)
def test_redirects_that_are_refused(
    server: Server, path: Path, network: Network, pauses: list[float], target: str, why: str
) -> None:
    server.script = [redirect(target)]
    text = failure(f"{server.base}/file.npy", path, network)
    assert text == f"redirects to {target}, which {why}"
    assert (pauses, left(path)) == ([], [])


def test_a_redirect_on_the_same_server_is_followed_with_its_range(
    server: Server, path: Path, network: Network
) -> None:
    server.script = [cut(1000), redirect("/other.npy")]
    server.files["/other.npy"] = DATA
    download(f"{server.base}/file.npy", path, CONTENT, network=network)
    assert path.read_bytes() == DATA
    assert server.requests[1:] == [("/file.npy", "bytes=1000-"), ("/other.npy", "bytes=1000-")]


def test_redirects_in_a_circle_end(server: Server, path: Path, network: Network) -> None:
    server.script = [redirect("/file.npy")] * 20
    assert "infinite loop" in failure(f"{server.base}/file.npy", path, network)


def test_plain_http_goes_past_a_proxy(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    download(f"{server.base}/file.npy", path, CONTENT)
    assert path.read_bytes() == DATA


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    command += f" -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -out {files[0]}"
    subprocess.run([*command.split(), "-keyout", str(files[1])], check=True, capture_output=True)
    return files


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with running(context) as server:
        server.files["/file.npy"] = DATA
        yield server


@pytest.fixture
def trusting(certificate: tuple[Path, Path], pauses: list[float]) -> Network:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    return Network(timeout=5, sleep=pauses.append, context=context)


def test_https(secure: Server, path: Path, trusting: Network) -> None:
    secure.script = [cut(1000)]
    download(f"{secure.base}/file.npy", path, CONTENT, network=trusting)
    assert path.read_bytes() == DATA


def test_a_certificate_that_is_not_trusted(
    secure: Server, path: Path, network: Network, pauses: list[float]
) -> None:
    text = failure(f"{secure.base}/file.npy", path, network)
    assert text.startswith("cannot be trusted (self")
    assert (secure.requests, pauses) == ([], [])


def test_https_to_http_is_refused_even_on_this_machine(
    secure: Server, server: Server, path: Path, trusting: Network
) -> None:
    secure.script = [redirect(f"{server.base}/file.npy")]
    text = failure(f"{secure.base}/file.npy", path, trusting)
    assert text == f"redirects to {server.base}/file.npy, which must be https"
    assert server.requests == []


def test_http_to_https_is_followed(
    secure: Server, server: Server, path: Path, trusting: Network
) -> None:
    server.script = [redirect(f"{secure.base}/file.npy")]
    download(f"{server.base}/file.npy", path, CONTENT, network=trusting)
    assert path.read_bytes() == DATA


# Published files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def known(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedFile:
    """A published file on the loopback server, beside one that only a record describes."""
    file = PublishedFile(
        name="file.npy",
        alias="file",
        source="a test",
        url=f"{server.base}/file.npy",
        size=CONTENT.size,
        sha256=CONTENT.digest,
    )
    scores = PublishedFile(name="scores.npz", source="a test", url=f"{server.base}/records/1")
    monkeypatch.setattr("mislabel.labels.published.PUBLISHED_FILES", (file, scores))
    return file


def test_a_published_file_is_fetched_once(
    server: Server, known: PublishedFile, cache: Path
) -> None:
    assert cache_state(known) == "absent"
    fetched = fetch_published("file")
    assert fetched.path == published_path(known) == cache / "published/file.npy"
    assert (fetched.origin, fetched.content, fetched.copy) == (known.url, CONTENT, None)
    assert fetched.path.read_bytes() == DATA
    assert fetch_published("FILE.npy").origin is None
    assert len(server.requests) == 1
    assert cache_state(known) == "verified"


def test_a_damaged_file_is_fetched_anew(known: PublishedFile) -> None:
    path = fetch_published("file").path
    path.write_bytes(DATA[::-1])
    assert cache_state(known) == "damaged"
    assert fetch_published("file").origin == known.url
    assert path.read_bytes() == DATA


def test_offline_says_what_to_do(
    cache: Path, known: PublishedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(InputError) as caught:
        fetch_published("file", mirror=url)
    assert str(caught.value) == (
        f"name='file.npy': {url}/file.npy cannot be reached (Connection refused); try again, "
        f"give --mirror FOLDER_OR_URL, or put the file at {cache}/published/file.npy"
    )


def test_what_a_cut_download_left_is_told(
    server: Server, known: PublishedFile, network: Network
) -> None:
    server.script = [cut(1000), *[cut(0)] * 3]
    with pytest.raises(InputError, match="was cut; 1000 of 10240 bytes are kept, to go on from"):
        fetch_published("file", network=network)
    assert cache_state(known) == "partial"


@pytest.mark.parametrize("place", ["file.npy", "published/file.npy"])
def test_a_mirror_folder(server: Server, known: PublishedFile, tmp_path: Path, place: str) -> None:
    source = tmp_path / "mirror" / place
    source.parent.mkdir(parents=True)
    source.write_bytes(DATA)
    fetched = fetch_published("file", mirror=tmp_path / "mirror")
    assert fetched.origin == str(source)
    assert fetched.path.read_bytes() == DATA
    assert server.requests == []


def test_a_mirror_folder_is_verified(known: PublishedFile, tmp_path: Path) -> None:
    (tmp_path / "file.npy").write_bytes(DATA[::-1])
    with pytest.raises(InputError, match=r"^mirror='.*/file\.npy': has SHA-256 \w+; \w+ is pub"):
        fetch_published("file", mirror=tmp_path)
    assert not published_path(known).exists()


def test_a_mirror_folder_without_the_file_or_none(known: PublishedFile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^mirror='.*': has no file\.npy$"):
        fetch_published("file", mirror=str(tmp_path))
    with pytest.raises(InputError, match=r"no such folder; or give an https URL$"):
        fetch_published("file", mirror=str(tmp_path / "none"))


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_url(server: Server, known: PublishedFile, slash: str) -> None:
    server.files["/copy/of/file.npy"] = DATA
    fetched = fetch_published("file", mirror=f"{server.base}/copy/of{slash}")
    assert fetched.origin == f"{server.base}/copy/of/file.npy"


@pytest.mark.parametrize("end", ["?a=b", "#a"])
def test_a_mirror_url_is_a_base(known: PublishedFile, end: str) -> None:
    with pytest.raises(InputError, match=r"must be a base URL, without \? and #$"):
        fetch_published("file", mirror=f"https://example.com/{end}")


def test_copies_elsewhere(known: PublishedFile, tmp_path: Path) -> None:
    for _ in range(2):
        fetched = fetch_published("file", to=tmp_path / "else/where")
        assert fetched.copy == tmp_path / "else/where/file.npy"
        assert fetched.copy.read_bytes() == DATA
    copy = tmp_path / "else/where/file.npy"
    copy.write_bytes(b"mine")
    with pytest.raises(InputError, match="is there and is another file; remove it first"):
        fetch_published("file", to=tmp_path / "else/where")
    assert copy.read_bytes() == b"mine"


def test_a_cache_that_cannot_be_written(
    known: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(InputError, match=r"^name='file\.npy': cannot be written \("):
        fetch_published("file")


# Files of a record


def record(server: Server, **changes: object) -> bytes:
    """A record's metadata, as Zenodo writes them."""
    entry = {
        "id": "3c",
        "key": "scores.npz",
        "size": len(DATA),
        "checksum": f"md5:{hashlib.md5(DATA).hexdigest()}",
        "links": {"self": f"{server.base}/records/1/files/scores.npz/content"},
    }
    server.files["/records/1/files/scores.npz/content"] = DATA
    return json.dumps({"id": 1, "files": [{"key": "readme.md"}, entry | changes]}).encode()


def test_a_file_of_a_record(server: Server, known: PublishedFile, cache: Path) -> None:
    server.files["/records/1"] = record(server)
    fetched = fetch_published("scores.npz")
    assert fetched.path.read_bytes() == DATA
    assert fetched.content.algorithm == "md5"
    assert fetched.origin == f"{server.base}/records/1/files/scores.npz/content"
    assert left(fetched.path) == ["scores.npz", "zenodo-1.json"]
    assert fetch_published("scores.npz").origin is None
    assert len(server.requests) == 2
    assert cache_state(published_file("scores.npz")) == "verified"
    (cache / "published/zenodo-1.json").unlink()
    assert cache_state(published_file("scores.npz")) == "unverified"


def test_a_file_of_a_record_is_verified(
    server: Server, known: PublishedFile, tmp_path: Path
) -> None:
    server.files["/records/1"] = record(server)
    (tmp_path / "scores.npz").write_bytes(DATA[::-1])
    with pytest.raises(InputError, match=r"has MD5 \w{32}; \w{32} is published$"):
        fetch_published("scores.npz", mirror=tmp_path)
    server.files["/records/1/files/scores.npz/content"] = DATA[::-1]
    with pytest.raises(InputError, match=r"has MD5 \w{32}; \w{32} is published; nothing was"):
        fetch_published("scores.npz")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": "other.npz"}, "does not describe the file"),
        ({"links": {}}, "does not describe the file"),
        ({"checksum": "sha1:00"}, "does not state the file's size and MD5"),
        ({"size": "10240"}, "does not state the file's size and MD5"),
        ({"size": 0}, "does not state the file's size and MD5"),
        (
            {"links": {"self": "http://example.com/a"}},
            "names http://example.com/a, which must be https (plain http only to this machine)",
        ),
    ],
)
def test_a_record_that_does_not_help(
    server: Server, known: PublishedFile, cache: Path, changes: dict[str, object], why: str
) -> None:
    server.files["/records/1"] = record(server, **changes)
    with pytest.raises(InputError) as caught:
        fetch_published("scores.npz")
    assert str(caught.value) == (
        f"name='scores.npz': {server.base}/records/1 {why}; it states the file's size and MD5: "
        f"try again, or save that page as {cache}/published/zenodo-1.json and put the file at "
        f"{cache}/published/scores.npz"
    )
    assert not (cache / "published").exists()


@pytest.mark.parametrize("text", [b"", b"<html>", b"[1]", b"[" * 100_000, b"\xff\xfe", b"{}"])
def test_a_record_that_is_none(
    server: Server, known: PublishedFile, cache: Path, text: bytes
) -> None:
    server.files["/records/1"] = text
    with pytest.raises(InputError, match="does not describe the file"):
        fetch_published("scores.npz")


def test_a_record_without_end(server: Server, known: PublishedFile) -> None:
    server.files["/records/1"] = bytes(5 << 20)
    with pytest.raises(InputError, match="sends more than 4194304 bytes"):
        fetch_published("scores.npz")


# The table


def test_the_table_is_well_formed() -> None:
    assert len(PUBLISHED_FILES) == 23
    names = [n for file in PUBLISHED_FILES for n in (file.name, file.alias) if n]
    assert len({name.casefold() for name in names}) == len(names)
    for file in PUBLISHED_FILES:
        check_url(file.url, "url")
        assert file.url.startswith("https://")
        assert (file.sha256 is None) == (file.size is None) == ("zenodo" in file.source)
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.alias is None or file.alias == file.alias.casefold()
        assert published_file(file.short_name) is published_file(file.name) is file


def test_human_labels_land_where_they_are_looked_for(cache: Path, tmp_path: Path) -> None:
    from mislabel.noise.human import HUMAN_SETS, find_human_file

    for alias in ("cifar-10n", "CIFAR-100N"):
        path = published_path(published_file(alias))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert path.name in HUMAN_SETS.values()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MISLABEL_DATA", raising=False)
            assert find_human_file(path.name) == path


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(InputError) as caught:
        published_file("cifar10-clutser-0.35")
    assert str(caught.value).startswith(
        "name='cifar10-clutser-0.35': no published file; did you mean 'cifar10-cluster-0.35'? "
    )


@pytest.mark.data
def test_the_files_in_the_data_folder_are_those_of_the_table(data_folder: Path) -> None:
    found = 0
    for file in PUBLISHED_FILES:
        path = data_folder / file.folder / file.name
        packed = path.with_name(f"{file.name}.gz")
        if path.is_file():
            data = path.read_bytes()
        elif packed.is_file():
            data = gzip.decompress(packed.read_bytes())
        else:
            continue
        found += 1
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256), path
    assert found >= 11
