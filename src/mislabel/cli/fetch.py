"""``mislabel noise fetch``: published label files, verified, into the cache."""

import contextlib
import json as json_module
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import Json
from mislabel.errors import InputError

if TYPE_CHECKING:
    from mislabel.download import Fetched
    from mislabel.labels.published import PublishedFile


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="Published files; --list shows them.", show_default=False
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror",
            help="Folder or https base URL that has the files, in place of their source.",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder to copy the files into, besides the cache.")
    ] = None,
    list_files: Annotated[
        bool,
        typer.Option("--list", help="List the files (NAME...: these) and what is in the cache."),
    ] = False,
    json: Json = False,
) -> None:
    """Download published label files into the cache, and verify them.

    A cut download goes on where it was; a file that is there and verified is not asked for.

    Example: mislabel noise fetch cifar10-cluster-0.35 cifar-10n
    """
    from mislabel.labels.published import PUBLISHED_FILES, published_file

    files = list(dict.fromkeys(published_file(name) for name in names or []))
    if list_files:
        if mirror is not None or to is not None:
            option, value = ("to", str(to)) if mirror is None else ("mirror", mirror)
            raise InputError(option, value, "cannot be combined with --list")
        _list(files or list(PUBLISHED_FILES), json)
    elif not files:
        raise InputError("name", None, "name a published file; --list shows them")
    else:
        _fetch(files, mirror, to, json)


def _fetch(files: "list[PublishedFile]", mirror: str | None, to: Path | None, json: bool) -> None:
    from mislabel.download import fetch_published

    found = []
    for file in files:
        with _progress(file.name) as progress:
            fetched = fetch_published(file.name, mirror=mirror, to=to, progress=progress)
        found.append(_fetched_json(fetched))
        if not json:
            came = f"from {fetched.origin}" if fetched.origin else "in the cache already"
            print(f"{fetched.copy or fetched.path}: verified, {came}", flush=True)
    if json:
        print(json_module.dumps(found, indent=2))


def _fetched_json(fetched: "Fetched") -> dict[str, Any]:
    return {
        "name": fetched.name,
        "path": str(fetched.path),
        "copy": None if fetched.copy is None else str(fetched.copy),
        "origin": fetched.origin,
        "bytes": fetched.content.size,
        fetched.content.algorithm: fetched.content.digest,
    }


def _list(files: "list[PublishedFile]", json: bool) -> None:
    from mislabel.download import cache_state, published_path

    rows = [
        {
            "name": file.name,
            "alias": file.alias,
            "source": file.source,
            "url": file.url,
            "bytes": file.size,
            "sha256": file.sha256,
            "cache": cache_state(file),
            "path": str(published_path(file)),
        }
        for file in files
    ]
    if json:
        print(json_module.dumps(rows, indent=2))
        return
    line = "{:<30} {:<26} {:>9}  {:<10} {}".format
    print(line("name", "short name", "bytes", "cache", "source"))
    for row in rows:
        size = row["bytes"] or "?"
        print(line(row["name"], row["alias"] or "", size, row["cache"], row["source"]))


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
