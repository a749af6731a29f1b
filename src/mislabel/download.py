"""Downloads that are verified: the published files come into the cache, or nothing does.

A file is asked for over https (plain http only on this machine), into a ``.part`` file beside its
place. A cut download goes on from there, also in a later run. Only when size and checksum are the
published ones is the file renamed to its place; until then an older file stays as it is. A mirror
(a folder, or a base URL) supplies bytes and nothing else: they are verified by the same sums.

Of a Zenodo record's files, size and MD5 are in the record's metadata, asked for once and kept
beside the files as ``zenodo-NUMBER.json``.

Temporary failures (no answer, a cut connection, 429, 5xx) are tried again; an attempt that
brings a mebibyte that was not there before is no failure.
"""

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from functools import cache, partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from mislabel.cache import cache_folder
from mislabel.errors import InputError
from mislabel.files import atomic_path
from mislabel.labels.published import PublishedFile, published_file
from mislabel.outputs import check_folder

T = TypeVar("T")
Progress = Callable[[int, int], None]
"Called with the bytes that are there and the bytes of the whole file."

_BLOCK = 1 << 16
_ADVANCE = 1 << 20
"An attempt that brings this many new bytes is no failure."
_SLOWEST = 1 << 10
"Bytes that must come within the time-out."
_RECORD_LIMIT = 1 << 22
_TEMPORARY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_RANGE_REFUSED = 416


class DownloadError(Exception):
    """Why a download failed. temporary: another attempt may succeed, after `wait` seconds."""

    def __init__(self, text: str, *, temporary: bool = False, wait: float | None = None) -> None:
        super().__init__(_printable(text))
        self.temporary, self.wait = temporary, wait


class _RangeError(DownloadError):
    """The server does not send the range that it was asked for; the next attempt asks for all."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """How to ask.

    timeout: seconds within which something must come. attempts: in a row that bring nothing new.
    pause: seconds before the second attempt; doubled each time. context: of TLS, by default the
    system's.
    """

    timeout: float = 20.0
    attempts: int = 4
    pause: float = 0.5
    sleep: Callable[[float], None] = time.sleep
    context: ssl.SSLContext | None = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file must be: its size in bytes and its checksum ("sha256" or "md5", in hex)."""

    size: int
    algorithm: str
    digest: str

    def problem(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, if anything."""
        size = path.stat().st_size
        if size != self.size:
            return f"is {size} bytes long; {self.size} are published"
        with path.open("rb") as file:
            new = partial(hashlib.new, self.algorithm, usedforsecurity=False)
            digest = hashlib.file_digest(file, new).hexdigest()
        if digest != self.digest:
            name = self.algorithm.upper().replace("SHA", "SHA-")
            return f"has {name} {digest}; {self.digest} is published"
        return None

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` is this one."""
        return path.is_file() and self.problem(path) is None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A published file, verified, and where it lies.

    origin: the URL or file that it came from; None where it was in the cache.
    copy: where `to` put it.
    """

    name: str
    path: Path
    origin: str | None
    content: Content
    copy: Path | None = None


def fetch_published(
    name: str,
    *,
    mirror: str | Path | None = None,
    to: Path | None = None,
    network: Network | None = None,
    progress: Progress = lambda done, total: None,
) -> Fetched:
    """Bring a published file into the cache, unless it is there and verified.

    name: a name or short name of `mislabel.labels.published`.
    mirror: a folder or base URL that has the file, by its name, in place of its source.
    to: a folder to copy the file into, too. Errors: `InputError`.
    """
    file = published_file(name)
    network = network or Network()
    place = None if mirror is None else _mirror(mirror)
    if to is not None:
        check_folder(to, "to")
    path = published_path(file)
    try:
        url, content = _where(file, network)
        origin = None
        if not content.is_at(path):
            origin = _bring(file, place, url, content, network, progress)
        copied = None if to is None else _copy_to(to / file.name, path, content)
    except OSError as error:
        raise InputError("name", file.name, f"cannot be written ({error})") from error
    return Fetched(name=file.name, path=path, origin=origin, content=content, copy=copied)


def published_path(file: PublishedFile) -> Path:
    """Where the cache has a published file."""
    return cache_folder() / file.folder / file.name


def cache_state(file: PublishedFile) -> str:
    """``verified``, ``damaged``, ``partial`` or ``absent``; ``unverified`` without a known sum."""
    path = published_path(file)
    if not path.is_file():
        return "partial" if _part(path).is_file() else "absent"
    known = _known(file)
    if known is None:
        return "unverified"
    return "verified" if known[1].is_at(path) else "damaged"


def download(
    url: str,
    path: Path,
    content: Content,
    *,
    network: Network | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Download `url` to `path`, which is written only when it is exactly `content`.

    Errors: `InputError` for a URL that is not asked, else `DownloadError`; what has come of a cut
    download stays in ``path.part``.
    """
    check_url(url, "url")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    with _held(part):
        try:
            if content.is_at(path):
                os.truncate(part, 0)
            else:
                _complete(url, part, content, network or Network(), progress)
                part.replace(path)
        except DownloadError as error:
            if kept := part.stat().st_size:
                text = f"{error}; {kept} of {content.size} bytes are kept, to go on from"
                raise DownloadError(text) from error
            raise
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def check_url(url: str, argument: str) -> str:
    """`url`, if it may be asked: https, or plain http to this machine; else `InputError`."""
    if rule := _url_problem(url):
        raise InputError(argument, re.sub(r"//.*@", "//...@", url), rule)
    return url


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL ({error})"
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "must be plain ASCII without spaces (%20 for a space)"
    if "@" in parts.netloc:
        return "must not have a user name or password"
    if not host:
        return "is no URL with a host"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return None
    return "must be https (plain http only to this machine)"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _link_problem(url: str, target: str) -> str | None:
    """What is wrong with going from `url` to `target`: only https, or the same plain server."""
    if problem := _url_problem(target):
        return problem
    old, new = urlsplit(url), urlsplit(target)
    if new.scheme == "https" or (old.scheme, old.netloc) == (new.scheme, new.netloc):
        return None
    return "must be https"


# Published files: where they come from


def _mirror(mirror: str | Path) -> str | Path:
    """A base URL that may be asked, or a folder that is there."""
    if isinstance(mirror, str) and "://" in mirror:
        check_url(mirror, "mirror")
        if urlsplit(mirror).query or urlsplit(mirror).fragment:
            raise InputError("mirror", mirror, "must be a base URL, without ? and #")
        return mirror
    if not Path(mirror).is_dir():
        raise InputError("mirror", str(mirror), "no such folder; or give an https URL")
    return Path(mirror)


def _where(file: PublishedFile, network: Network) -> tuple[str, Content]:
    """Address and content of a file; a record that is not kept yet is asked for."""
    if found := _known(file):
        return found
    kept = _record_path(file)
    try:
        text = _retry(lambda: _read_all(file.url, _RECORD_LIMIT, network), network)
        found = _from_record(file, text)
    except DownloadError as error:
        rule = (
            f"{file.url} {error}; it states the file's size and MD5: try again, "
            f"or save that page as {kept} and put the file at {published_path(file)}"
        )
        raise InputError("name", file.name, rule) from error
    with atomic_path(kept) as temporary:
        temporary.write_bytes(text)
    return found


def _known(file: PublishedFile) -> tuple[str, Content] | None:
    """Address and content of a file, from the table or a record that is kept."""
    if file.size is not None and file.sha256 is not None:
        return file.url, Content(size=file.size, algorithm="sha256", digest=file.sha256)
    try:
        return _from_record(file, _record_path(file).read_bytes())
    except (OSError, DownloadError):
        return None


def _record_path(file: PublishedFile) -> Path:
    return published_path(file).with_name(f"zenodo-{file.url.rpartition('/')[2]}.json")


def _from_record(file: PublishedFile, text: bytes) -> tuple[str, Content]:
    """Address and content of a file, from the metadata of its record."""
    try:
        entry: Any = next(e for e in json.loads(text)["files"] if e["key"] == file.name)
        url, size, checksum = entry["links"]["self"], entry["size"], entry["checksum"]
    except (ValueError, LookupError, TypeError, RecursionError, StopIteration) as error:
        raise DownloadError("does not describe the file") from error
    match = re.fullmatch(r"md5:([0-9a-f]{32})", str(checksum))
    if match is None or type(size) is not int or size < 1:
        raise DownloadError("does not state the file's size and MD5")
    if problem := _link_problem(file.url, str(url)):
        raise DownloadError(f"names {url}, which {problem}")
    return str(url), Content(size=size, algorithm="md5", digest=match[1])


def _bring(
    file: PublishedFile,
    mirror: str | Path | None,
    url: str,
    content: Content,
    network: Network,
    progress: Progress,
) -> str:
    """Bring a file from where it is into the cache; return where that was."""
    path = published_path(file)
    if isinstance(mirror, Path):
        return str(_copy_from(mirror, file, path, content))
    if mirror is not None:
        url = f"{mirror.rstrip('/')}/{quote(file.name)}"
    try:
        download(url, path, content, network=network, progress=progress)
    except DownloadError as error:
        advice = f"try again, give --mirror FOLDER_OR_URL, or put the file at {path}"
        raise InputError("name", file.name, f"{url} {error}; {advice}") from error
    return url


def _copy_from(folder: Path, file: PublishedFile, path: Path, content: Content) -> Path:
    """Copy a file from a mirror: from the folder, or from the cache's folder names below it."""
    places = (folder / file.name, folder / file.folder / file.name)
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        raise InputError("mirror", str(folder), f"has no {file.name}")
    if problem := content.problem(source):
        raise InputError("mirror", str(source), problem)
    _copy(source, path, content)
    return source


def _copy_to(target: Path, path: Path, content: Content) -> Path:
    if target.exists() and not content.is_at(target):
        raise InputError("to", str(target), "is there and is another file; remove it first")
    if not target.exists():
        _copy(path, target, content)
    return target


def _copy(source: Path, target: Path, content: Content) -> None:
    """Copy a file atomically; what is written is verified too."""
    with atomic_path(target) as temporary:
        with source.open("rb") as old, temporary.open("wb") as new:
            left = content.size + 1
            while block := old.read(min(_BLOCK, left)):
                new.write(block)
                left -= len(block)
        if problem := content.problem(temporary):
            raise InputError("name", source.name, f"{source}, copied to {target}, {problem}")


# One download, in attempts


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@contextlib.contextmanager
def _held(part: Path) -> Iterator[None]:
    """Make the part file if need be, and keep other processes from it (not on Windows)."""
    while True:
        with part.open("ab") as file:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise DownloadError("is being downloaded by another process") from error
                except OSError:
                    pass  # a file system without locks
                if not _is_same(part, os.fstat(file.fileno())):
                    continue  # another process has just finished with it
            else:
                file.close()
            yield
            return


def _is_same(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


def _complete(url: str, part: Path, content: Content, network: Network, progress: Progress) -> None:
    """Fill the part file and verify it; a part of an earlier run that is wrong is not kept."""
    resumed = part.stat().st_size > 0
    _fill(url, part, content, network, progress)
    if resumed and content.problem(part):
        os.truncate(part, 0)
        _fill(url, part, content, network, progress)
    if problem := content.problem(part):
        os.truncate(part, 0)
        raise DownloadError(f"{problem}; nothing was written")
    with part.open("rb") as file:
        os.fsync(file.fileno())


def _fill(url: str, part: Path, content: Content, network: Network, progress: Progress) -> None:
    if part.stat().st_size > content.size:
        os.truncate(part, 0)
    if part.stat().st_size < content.size:

        def attempt() -> None:
            try:
                _append(url, part, content, network, progress)
            except _RangeError:
                os.truncate(part, 0)
                raise

        _retry(attempt, network, lambda: part.stat().st_size)


def _retry(attempt: Callable[[], T], network: Network, size: Callable[[], int] = lambda: 0) -> T:
    """Call `attempt` until it succeeds, fails for good, or often in a row brings nothing new."""
    failures, best = 0, size()
    while True:
        try:
            return attempt()
        except DownloadError as error:
            if size() >= best + _ADVANCE:
                failures, best = 0, size()
            failures += 1
            if not error.temporary or failures >= network.attempts:
                raise
            pause = network.pause * 2 ** (failures - 1)
            network.sleep(pause if error.wait is None else error.wait)


def _append(url: str, part: Path, content: Content, network: Network, progress: Progress) -> None:
    """One attempt: ask for what is missing and write it."""
    have = part.stat().st_size
    with _opened(url, network, have) as response, part.open("r+b") as file:
        done = _start(response, have, content.size)
        file.truncate(done)
        file.seek(done)
        progress(done, content.size)
        for block in _blocks(response, content.size - done + 1, network.timeout):
            done += len(block)
            if done > content.size:
                file.truncate(0)
                raise DownloadError(f"sends more than the {content.size} bytes published")
            file.write(block)
            progress(done, content.size)
    if done < content.size:
        raise DownloadError("was cut", temporary=True)


def _start(response: HTTPResponse, have: int, size: int) -> int:
    """Where what the server sends begins; a `DownloadError` where it does not fit the file."""
    start, total = 0, None
    length = response.headers.get("Content-Length", "")
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        stated = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", stated)
        if match is None or int(match[1]) != have:
            text = f"was asked from byte {have}, but sends {stated or 'no range'}"
            raise _RangeError(text, temporary=True)
        start, total = have, None if match[2] == "*" else int(match[2])
    elif response.status != http.HTTPStatus.OK:
        raise DownloadError(f"answers {response.status} {response.reason}")
    if total is None and re.fullmatch("[0-9]{1,18}", length):
        total = start + int(length)
    if total is not None and total != size:
        raise DownloadError(f"has {total} bytes; {size} are published; nothing was read")
    return start


def _read_all(url: str, limit: int, network: Network) -> bytes:
    with _opened(url, network) as response:
        text = b"".join(_blocks(response, limit + 1, network.timeout))
    if len(text) > limit:
        raise DownloadError(f"sends more than {limit} bytes")
    return text


# One request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https, and on the same plain server of this machine."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # so that no more of its body is read
        if problem := _link_problem(req.full_url, newurl):
            raise DownloadError(f"redirects to {newurl}, which {problem}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _system_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _opener(network: Network) -> urllib.request.OpenerDirector:
    """Only http and https; a proxy only for https, since plain http stays on this machine."""
    opener = urllib.request.OpenerDirector()
    proxies = {k: v for k, v in urllib.request.getproxies().items() if k == "https"}
    context = network.context or _system_context()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


@contextlib.contextmanager
def _opened(url: str, network: Network, start: int = 0) -> Iterator[HTTPResponse]:
    """The answer to a request for a file from byte `start`."""
    from mislabel import __version__

    headers = {"User-Agent": f"mislabel/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    with _plain_errors(network.timeout):
        response = _opener(network).open(request, timeout=network.timeout)
    with response:
        yield response


def _blocks(response: HTTPResponse, limit: int, timeout: float) -> Iterator[bytes]:
    """The body, `limit` bytes at most, as it comes."""
    since, got = time.monotonic(), 0
    while limit > 0:
        with _plain_errors(timeout):
            block = response.read1(min(_BLOCK, limit))
        if not block:
            return
        limit -= len(block)
        yield block
        got += len(block)
        if (now := time.monotonic()) > since + timeout:
            if got < _SLOWEST:
                raise DownloadError(f"sent only {got} bytes in {timeout:g} s", temporary=True)
            since, got = now, 0


@contextlib.contextmanager
def _plain_errors(timeout: float) -> Iterator[None]:
    """Whatever the network raises, as a `DownloadError`."""
    try:
        yield
    except HTTPError as error:
        error.close()
        raise _status_error(error.code, error.reason, error.headers) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _network_error(reason, timeout) from error


def _status_error(status: int, reason: str, headers: Message) -> DownloadError:
    wait = headers.get("Retry-After", "")
    seconds = min(float(wait), 30.0) if re.fullmatch("[0-9]{1,9}", wait) else None
    text = f"answers {status} {reason}"
    if status == _RANGE_REFUSED:
        return _RangeError(text, temporary=True)
    return DownloadError(text, temporary=status in _TEMPORARY_STATUS, wait=seconds)


def _network_error(reason: object, timeout: float) -> DownloadError:
    if isinstance(reason, TimeoutError):
        return DownloadError(f"did not answer within {timeout:g} s", temporary=True)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(f"cannot be trusted ({reason.verify_message})")
    again: tuple[type[BaseException], ...] = (
        ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError,
        http.client.IncompleteRead, http.client.BadStatusLine,
    )  # fmt: skip
    temporary = isinstance(reason, again) or (
        isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_AGAIN
    )
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return DownloadError(f"cannot be reached ({text})", temporary=temporary)


def _printable(text: str) -> str:
    """One line without control characters, which a server may send."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in line)
