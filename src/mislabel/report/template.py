"""Pages from templates: everything is escaped, and control characters are written out."""

from importlib.resources import files
from typing import Any

from mislabel.report.text import visible


def stylesheet() -> str:
    """The one stylesheet of all pages."""
    sheet = files("mislabel.report") / "templates" / "mislabel.css"
    return sheet.read_text(encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """The text of a template of ``report/templates`` with these values.

    Every value is escaped but markup made by `mislabel.report.embed`; a name that is missing is
    an error. The same values give the same text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def tame(value: Any) -> Any:
        return value if isinstance(value, Markup) else visible(str(value))

    environment = Environment(
        loader=PackageLoader("mislabel.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=tame,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
