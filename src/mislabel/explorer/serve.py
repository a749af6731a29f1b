"""An explorer's folder on loopback, for browsers that restrict pages from the disk."""

import functools
import http.server
from pathlib import Path

from mislabel.errors import InputError
from mislabel.explorer.page import MARKER

HOST = "127.0.0.1"


def serve(folder: str | Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of the files in `folder` on this machine alone, not yet running.

    port: 0 takes a free one; ``server.server_port`` is it. ``server.serve_forever()`` runs it, and
    ``server.server_close()`` frees the port. Errors: `InputError` where the folder is no
    explorer's, or the port is taken.
    """
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        raise InputError("folder", str(folder), "holds no explorer")
    handler = functools.partial(_Files, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer((HOST, port), handler)
    except (OSError, OverflowError) as error:
        raise InputError("port", port, f"cannot be listened on ({error})") from error


class _Files(http.server.SimpleHTTPRequestHandler):
    """Files below the folder, to requests that name this machine; no lists of folders."""

    def send_head(self):  # type: ignore[no-untyped-def]
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in (HOST, "localhost"):
            # another name for this machine: a page elsewhere that had its name point here
            self.send_error(421)
        elif not self._is_there():
            self.send_error(404)
        else:
            return super().send_head()
        return None

    def _is_there(self) -> bool:
        """Whether the path leads to a file, or to the page, and no link to elsewhere."""
        root = Path(self.directory).resolve()
        try:
            file = Path(self.translate_path(self.path)).resolve()
            file = file / "index.html" if file == root else file
            return file.is_relative_to(root) and file.is_file()
        except (OSError, ValueError):  # too long, or no path at all
            return False

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the terminal is the command's."""
