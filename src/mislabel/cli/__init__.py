"""The command line: one file per command, which parses, calls the library and prints.

Results go to stdout, progress and errors to stderr. Bad input is one line on stderr and exit
status 2; ``--debug`` shows the traceback instead. Ctrl-C and SIGTERM end a command in the same
way, after it has cleaned up, with status 130 and 143.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import typer

from mislabel.errors import InputError, LostRunsError, did_you_mean, printable

# The base class of all of Typer's own complaints about arguments; not exported by itself.
UsageProblem: type[Exception] = typer.BadParameter.__mro__[2]
INTERRUPTED = 130
"Exit status after Ctrl-C, which Typer returns."
TERMINATED = 143
"Exit status after SIGTERM."


def build_app() -> typer.Typer:
    """The whole command line as a Typer application."""
    from mislabel.cli import (
        bench,
        clean,
        demo,
        embed,
        explore,
        memorize,
        noise,
        realism,
        stress,
        train,
    )

    app = typer.Typer(
        name="mislabel",
        help="Test deep learning under human label noise.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        epilog="Example: mislabel demo",
    )
    app.callback()(_options)
    app.command("demo")(demo.demo)
    app.command("train")(train.train)
    app.command("predict")(train.predict)
    app.command("clean")(clean.clean)
    app.command("embed")(embed.embed)
    app.command("explore")(explore.explore)
    app.add_typer(bench.app, name="bench")
    app.add_typer(noise.build_app(), name="noise")
    app.add_typer(memorize.build_app(), name="memorize")
    app.add_typer(realism.build_app(), name="realism")
    app.add_typer(stress.build_app(), name="stress")
    return app


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks of errors."),
    version: bool = typer.Option(
        False,
        "--version",
        is_eager=True,
        callback=lambda wanted: _print_version() if wanted else None,
        help="Print the version and exit.",
    ),
) -> None:
    """Options of the command as a whole; ``--debug`` is taken out by `main`."""


def _print_version() -> None:
    from mislabel import __version__

    print(__version__)
    raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``mislabel`` command."""
    with _interrupted_by_sigterm():
        _run(arguments)


def _run(arguments: list[str] | None) -> NoReturn:
    """Run a command to its exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        status = build_app()(arguments, standalone_mode=False)
    except (InputError, OSError) as error:
        if debug:
            raise
        _fail(_system_message(error) if isinstance(error, OSError) else str(error))
    except LostRunsError as error:
        if debug:
            raise
        _fail(str(error), status=1)
    except UsageProblem as error:
        _fail(_usage_message(error))
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        print("mislabel: stopped; the same command goes on from here", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and be told from it by the exit status.

    A handler that is there already, and a thread that is not the main one, are left as they are.
    """
    told: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        if told:
            sys.exit(TERMINATED)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _system_message(error: OSError) -> str:
    """What the system says, after the file it says it of."""
    text = error.strerror or " ".join(str(error).split())
    return text if error.filename is None else f"{error.filename}: {text}"


def _usage_message(error: BaseException) -> str:
    """Typer's complaint on one line, with a hint where a name is nearly right."""
    text: str = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    possible = getattr(error, "possibilities", None)
    if possible and "ossible" not in text and "mean" not in text:
        text += f" {did_you_mean(str(getattr(error, 'option_name', '')), possible)}"
    return text


def _fail(message: str, *, status: int = 2) -> NoReturn:
    """One line and a status; no line where the help was printed for want of arguments."""
    if message:
        print(f"mislabel: error: {printable(message)}", file=sys.stderr)
    sys.exit(status)
