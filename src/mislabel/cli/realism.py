"""``mislabel realism``: how human a noise is."""

import typer

from mislabel.cli import realism_fit, realism_profile, realism_test


def build_app() -> typer.Typer:
    """The commands, each in a file of its own."""
    app = typer.Typer(
        no_args_is_help=True,
        help="Measure how human label noise is, and learn from people how they err.",
        rich_markup_mode="rich",
        epilog="Example: mislabel realism profile human:random_label1 symmetric:0.17 "
        "--map map.parquet",
    )
    app.command("profile")(realism_profile.profile)
    app.command("test")(realism_test.test)
    app.command("fit")(realism_fit.fit)
    return app
