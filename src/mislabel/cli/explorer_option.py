"""``--explorer FOLDER``: an explorer beside a page, which several commands write."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.errors import InputError

if TYPE_CHECKING:
    from mislabel.data import Dataset
    from mislabel.explorer import Exploration

ExplorerFolder = Annotated[
    Path | None,
    typer.Option(
        "--explorer",
        help="Also write an explorer of every label to this folder; the page links to it.",
    ),
]
RunData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="With --explorer: where the run's examples come from, for their images. Not needed "
        "for digits, nor for a CIFAR set that is found without a path.",
    ),
]


def check_explorer(folder: Path | None, *files: Path | None, **others: Any) -> None:
    """Raise `InputError` where no explorer can be written, before any work.

    files: that the command writes, which may not lie in the folder, since it is replaced as a
    whole. others: options that only go with an explorer, None where they are not given.
    """
    from mislabel.explorer.page import check_explorer_folder

    if folder is None:
        for name, value in others.items():
            if value is not None:
                shown = str(value) if isinstance(value, Path) else value
                raise InputError(name, shown, "goes with --explorer")
        return
    check_explorer_folder(folder, "explorer")
    place = folder.resolve()
    for file in files:
        if file is not None and (
            place in file.resolve().parents or file.resolve() in (place, *place.parents)
        ):
            raise InputError("explorer", str(folder), f"must be a folder apart from {file}")


def examples_again(
    metadata: Mapping[str, Any], data: str | None, image_size: int | None
) -> "Dataset | None":
    """The examples of a run; None, and a line on stderr, where they are not found without a path.

    Errors: `InputError` for data that were given and are not the run's.
    """
    from mislabel.cli.options import warn
    from mislabel.explorer.runs import load_again

    try:
        return load_again(metadata, data, image_size=image_size)
    except InputError as error:
        if data is not None:
            raise
        warn(f"the explorer has no images, for want of --data ({error})")
        return None


def write_explorer_beside(exploration: "Exploration", folder: Path, page: Path | None) -> str:
    """Write an explorer, and return its address from the page."""
    from mislabel.explorer import write_explorer
    from mislabel.report.links import explorer_address

    write_explorer(exploration, folder)
    return "" if page is None else explorer_address(folder, page)


def print_pages(page: Path, folder: Path | None, json: bool) -> None:
    """The page of a run and its explorer's on stdout."""
    pages = {"page": str(page)}
    if folder is not None:
        pages["explorer"] = str(folder / "index.html")
    if json:
        import json as json_module

        print(json_module.dumps(pages))
    else:
        print("\n".join(pages.values()))
