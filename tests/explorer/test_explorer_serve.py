"""The server: files of the folder to this machine, and nothing else."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from explorer_examples import exploration

from mislabel.errors import InputError
from mislabel.explorer import serve, write_explorer
from mislabel.explorer.page import MARKER


@contextmanager
def running(folder: Path) -> Iterator[ThreadingHTTPServer]:
    with serve(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadingHTTPServer]:
    root = tmp_path_factory.mktemp("served")
    (root / "secret.txt").write_text("nobody's business")
    write_explorer(exploration(), root / "page")
    (root / "page" / "leak.txt").symlink_to(root / "secret.txt")
    (root / "page" / "leaks").symlink_to(root)
    with running(root / "page") as found:
        yield found


Answer = tuple[int, dict[str, str], bytes]


def ask(
    server: ThreadingHTTPServer, path: str, host: str | None = None, how: str = "GET"
) -> Answer:
    """What the server says to a path that is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest(how, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/index.html?x=1", "text/html"),
        ("/explorer.js", "text/javascript"),
        ("/data/about.js", "text/javascript"),
        ("/mislabel.css", "text/css"),
        ("/images/0.webp", "image/webp"),
    ],
)
def test_files_with_their_types(server: ThreadingHTTPServer, path: str, kind: str) -> None:
    status, headers, body = ask(server, path)
    assert status == 200 and headers["content-type"].split(";")[0] == kind
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-cache"
    assert len(body) == int(headers["content-length"]) > 0
    assert ask(server, path, how="HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/missing", "/data", "/data/", "/images/", "/leak.txt", "/leaks", "/leaks/",
        "/leaks/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/data/../../secret.txt",
        "/..%2fsecret.txt", "/%2e%2e%5csecret.txt", "//etc/passwd", "/etc/passwd", "/%00",
        "/index.html%00.txt", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_nothing_else(
    server: ThreadingHTTPServer, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for how in ("GET", "HEAD"):
        status, _, body = ask(server, path, how=how)
        assert status == 404
        assert b"nobody" not in body and b"secret" not in body and b"<li>" not in body
    assert capsys.readouterr() == ("", "")  # the terminal is the command's


@pytest.mark.parametrize("how", ["POST", "PUT", "DELETE"])
def test_nothing_is_taken(server: ThreadingHTTPServer, how: str) -> None:
    assert ask(server, "/index.html", how=how)[0] == 501


@pytest.mark.parametrize("host", ["localhost", "localhost:{}", "127.0.0.1", "127.0.0.1:{}"])
def test_names_of_this_machine(server: ThreadingHTTPServer, host: str) -> None:
    assert ask(server, "/", host=host.format(server.server_port))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:{}", "127.0.0.1.evil.example:{}", "localhost.evil:{}",
     "evil.example:80:localhost", "[::1]:{}", "0.0.0.0:{}", "127.0.0.1@evil.example"],
)  # fmt: skip
def test_other_names_are_refused(server: ThreadingHTTPServer, host: str) -> None:
    status, _, body = ask(server, "/index.html", host=host.format(server.server_port))
    assert status == 421 and b"Labels" not in body


def test_loopback_alone(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_page_without_its_index_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("{}")
    (tmp_path / "secret.txt").touch()
    with running(tmp_path) as server:
        status, _, body = ask(server, "/")
    assert status == 404 and b"secret" not in body


def test_what_cannot_be_served(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=r"folder='.*': holds no explorer"):
            serve(folder)
    (tmp_path / MARKER).write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port={port}: cannot be listened on") as caught:
            serve(tmp_path, port)
        assert caught.value.argument == "port"
    for wrong in (-1, 65_536):
        with pytest.raises(InputError, match=f"port={wrong}: cannot be listened on"):
            serve(tmp_path, wrong)


def test_the_port_is_free_again(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("{}")
    with running(tmp_path) as server:
        port = server.server_port
    with serve(tmp_path, port) as again:
        assert again.server_port == port
