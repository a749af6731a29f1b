"""One browser for all tests of a process, and the page that most of them look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import MISSING, Browser, foreign
from explorer_examples import exploration

from mislabel.explorer import write_explorer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An explorer's folder."""
    return write_explorer(exploration(), tmp_path_factory.mktemp("explorer") / "page").parent


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; a test ends with no error on the console and no request to elsewhere."""
    yield chromium
    assert chromium.errors() == []
    assert foreign(chromium.requests(), chromium.url) == []


@pytest.fixture
def page(browser: Browser, folder: Path) -> Browser:
    """The browser with the explorer from the disk, in the default view and without marks.

    It is loaded only where it is not there yet: views are changed by the address.
    """
    url = (folder / "index.html").as_uri()
    if browser.run("return document.URL").partition("#")[0] != url:
        browser.open(url)
    if browser.run("return localStorage.length"):
        browser.run("localStorage.clear()")
        browser.open(url)
    browser.url = url
    browser.leave_fields()
    browser.view()
    return browser
