"""A file server on this machine that can be told to misbehave, request by request."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext

Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.agents.add(self.headers["User-Agent"])
        behaviour = self.server.script.pop(0) if self.server.script else serve
        if self.path not in self.server.files:
            behaviour = status(404) if behaviour is serve else behaviour
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            behaviour(self, self.server.files.get(self.path, b""))

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def start(self) -> int:
        return int(re.sub(r"\D", "", self.headers.get("Range", "0")))

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """files: what it has, by path. script: what it does first, before it serves as it should."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[Behaviour] = []
        self.requests: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()
        self.stopped = threading.Event()
        self.scheme = "http"

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def running(context: SSLContext | None = None) -> Iterator[Server]:
    """A server, over TLS where a context is given."""
    with Server() as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()


def serve(handler: Handler, data: bytes) -> None:
    """As it should be, ranges included."""
    start = handler.start()
    if start and start >= len(data):
        handler.head(416)
        return
    length = len(data) - start
    if start:
        stated = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.head(206, Content_Length=length, Content_Range=stated)
    else:
        handler.head(200, Content_Length=length)
    handler.wfile.write(data[start:])


def whole(handler: Handler, data: bytes) -> None:
    """Ranges are ignored."""
    handler.head(200, Content_Length=len(data))
    handler.wfile.write(data)


def cut(length: int) -> Behaviour:
    """The connection ends after `length` bytes of what was promised."""

    def behaviour(handler: Handler, data: bytes) -> None:
        start = handler.start()
        stated = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.head(206 if start else 200, Content_Length=len(data) - start, Content_Range=stated)
        handler.wfile.write(data[start : start + length])

    return behaviour


def status(code: int, **headers: object) -> Behaviour:
    return lambda handler, _: handler.head(code, Content_Length=0, **headers)


def redirect(url: str) -> Behaviour:
    return status(302, Location=url)


def unmeasured(extra: bytes) -> Behaviour:
    """No length is stated, and `extra` follows."""

    def behaviour(handler: Handler, data: bytes) -> None:
        handler.head(200)
        handler.wfile.write(data + extra)

    return behaviour


def wrong_range(handler: Handler, data: bytes) -> None:
    handler.head(206, Content_Length=len(data), Content_Range=f"bytes 0-9/{len(data)}")
    handler.wfile.write(data)


def stall(handler: Handler, data: bytes) -> None:
    """A first byte, then nothing."""
    handler.head(200, Content_Length=len(data))
    handler.wfile.write(data[:1])
    handler.server.stopped.wait(10)


def silent(handler: Handler, _: bytes) -> None:
    handler.server.stopped.wait(10)


def trickle(handler: Handler, data: bytes) -> None:
    """A byte now and then, for ever."""
    handler.head(200, Content_Length=len(data))
    for byte in data:
        handler.wfile.write(bytes([byte]))
        if handler.server.stopped.wait(0.02):
            return
