"""``mislabel memorize``: which labels networks memorize."""

import typer

from mislabel.cli import memorize_estimate, memorize_lift, memorize_look, memorize_study


def build_app() -> typer.Typer:
    """The commands, each in a file of its own."""
    app = typer.Typer(
        no_args_is_help=True,
        help="Estimate which labels networks memorize, and look at them.",
        rich_markup_mode="rich",
        epilog="Example: mislabel memorize compare published.npz ours.npz --page agreement.html",
    )
    app.command("figures")(memorize_look.figures)
    app.command("compare")(memorize_look.compare)
    app.command("list")(memorize_look.list_examples)
    app.command("estimate")(memorize_estimate.estimate)
    app.command("lift")(memorize_lift.lift)
    app.command("match")(memorize_lift.match)
    app.command("run")(memorize_study.run)
    app.command("scores")(memorize_study.scores)
    app.command("influence")(memorize_study.influence)
    app.command("merge")(memorize_study.merge)
    app.command("export")(memorize_study.export)
    app.command("import")(memorize_study.import_)
    return app
