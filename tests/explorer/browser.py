"""A real browser without a window, and what a test asks of the explorer's page in it."""

import json
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

PROGRAM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "" if PROGRAM and DRIVER else "needs Debian's chromium and chromium-driver"
WORDS = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "enable-unsafe-swiftshader",
         "force-prefers-reduced-motion")  # fmt: skip
WIDTH, HEIGHT = 1150, 720
PATIENCE = 30
"Seconds until something that a page does is late."
_ANOTHER = count()


class Browser:
    """Chromium with one tab; `url` is where the explorer is shown."""

    def __init__(self) -> None:
        options = Options()
        options.binary_location = str(PROGRAM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for word in (*WORDS, f"window-size={WIDTH},{HEIGHT}"):
            options.add_argument(f"--{word}")
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.url = ""

    def close(self) -> None:
        self.driver.quit()

    def cdp(self, command: str, **values: Any) -> None:
        self.driver.execute_cdp_cmd(command, values)

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """The text of an element, whether it is in sight or not."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def texts(self, selector: str) -> list[str]:
        """The text of each element, in the order of the page."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(self.run(script, selector))

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """The first true value of `holds`."""
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < end, f"{what}; {self.text('#problem')}"
            time.sleep(0.02)
        return found

    # The explorer

    def open(self, url: str, address: str = "") -> None:
        """Load the page at `url`, with a view."""
        self.driver.get("about:blank")  # else only the part after # would change
        self.driver.get(f"{url}#{address}" if address else url)
        self.url = url
        self.loaded()

    def loaded(self) -> None:
        stands = "const {ready, drawn} = document.documentElement.dataset; return ready && drawn"
        self.until(lambda: self.run(stands), "the page does not stand")

    def view(self, **values: Any) -> str:
        """Change the address in the same tab; all that is not named is as by default.

        Returns the status line.
        """
        # What the page does not know changes the address, even if the view is the same.
        address = urlencode({**values, "another": next(_ANOTHER)})
        self.driver.execute_async_script(
            "addEventListener('hashchange', () => setTimeout(arguments[1]), {once: true});"
            "location.hash = arguments[0]",
            address,
        )
        return self.status

    @property
    def status(self) -> str:
        return self.text("#status")

    @property
    def address(self) -> dict[str, str]:
        """The view that the address names, once the page has written it."""
        time.sleep(0.3)  # the page waits for a quarter of a second
        found = dict(parse_qsl(str(self.run("return location.hash.slice(1)"))))
        found.pop("another", None)
        return found

    def listed(self) -> list[int]:
        """Indices in the rows of the list."""
        return [int(text) for text in self.texts("#list tbody th")]

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.driver, duration=0).send_keys(key).perform()

    def leave_fields(self) -> None:
        """Give the keyboard back to the page."""
        self.run("document.activeElement.blur()")

    def pointer(self, *corners: tuple[float, float]) -> None:
        """Press at the first of points that are so many pixels right of and above the middle of
        the map, go through the others, and let go at the last."""
        box = self.run(
            "const map = document.getElementById('map'); map.scrollIntoView({block: 'center'});"
            "return map.getBoundingClientRect().toJSON()"
        )
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        actions = ActionBuilder(self.driver, duration=0)
        for number, (right, up) in enumerate(corners):
            actions.pointer_action.move_to_location(round(x + right), round(y - up))
            if number == 0:
                actions.pointer_action.pointer_down()
        actions.pointer_action.pointer_up()
        actions.perform()

    def type(self, selector: str, text: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def download(self, selector: str, folder: Path, *names: str) -> list[str]:
        """Click, and return the text of the files that it saves."""
        folder.mkdir(exist_ok=True)
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.run("document.querySelector(arguments[0]).click()", selector)
        paths = [folder / name for name in names]
        self.until(lambda: all(path.exists() for path in paths), f"no {names} was saved")
        return [path.read_text(encoding="utf-8") for path in paths]

    # What it did meanwhile

    def errors(self) -> list[str]:
        """Errors on the console since it was asked last."""
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Addresses that were asked for since it was asked last."""
        log = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in log]
        sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]


def foreign(urls: list[str], page: str) -> list[str]:
    """Those that are not of the folder of a page; what is in the address itself is no request."""
    own = (page.rpartition("/")[0] + "/", "data:", "blob:", "about:blank")
    return [url for url in urls if not url.startswith(own)]
