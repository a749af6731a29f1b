"""``mislabel memorize``: which labels networks memorize."""

import typer


def build_app() -> typer.Typer:
    """The commands, each in a file of its own."""
    app = typer.Typer(
        no_args_is_help=True,
        help="Estimate which labels networks memorize, and look at them.",
        rich_markup_mode="rich",
    )
    return app
