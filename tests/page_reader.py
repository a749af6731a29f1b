"""Reading a page back: its tags, its text, and that it loads nothing and runs nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class Page(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)

    def links(self) -> list[str]:
        """Addresses outside of the page, in order."""
        found = [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]
        return [address for address in found if not address.startswith("#")]

    def sections(self) -> list[str | None]:
        return [attributes.get("id") for tag, attributes in self.tags if tag == "section"]


def check_self_contained(text: str, explorer: str = "#") -> Page:
    """No script, no address but data, no handler, no control character, no id twice.

    explorer: the one address outside of the page to which links may go.
    """
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "form"}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png")
        assert tag in ("a", "use") or "href" not in attributes
        assert (attributes.get("href") or "#").startswith(("#", explorer))
    idents = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(idents) == len(set(idents))
    assert "default-src 'none'" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    return page


def follow(page: Path, address: str) -> tuple[Path, dict[str, str]]:
    """The file that a relative link of a page leads to, and the view that it opens there."""
    parts = urlsplit(address)
    assert not parts.scheme and not parts.netloc and not parts.query
    return page.parent / unquote(parts.path), dict(parse_qsl(parts.fragment))


def explorer_about(folder: Path) -> dict[str, Any]:
    """What an explorer's page knows of its data."""
    text = (folder / "data" / "about.js").read_text()
    found: dict[str, Any] = json.loads(text.removeprefix("mislabel.about(").removesuffix(");\n"))
    return found
