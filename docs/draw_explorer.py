"""Draws docs/images/explorer-*.png: the explorer's page of CIFAR-10, in headless Chromium.

    python docs/draw_explorer.py

Needs the data folder named by MISLABEL_DATA (cifar10/, cifar-n/, published/), Chromium with its
driver, and selenium (pip install 'mislabel[dev]').
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parent
SCORES = HERE.parent / "studies" / "memorization_rand1" / "scores.npz"
LASSO = [(0.30, 0.36), (0.34, 0.27), (0.40, 0.28), (0.43, 0.36), (0.43, 0.46), (0.38, 0.5),
         (0.315, 0.53), (0.305, 0.45)]  # fmt: skip
"Around the ships of the left view, in shares of the map's width and height."
ZOOM = 5
NO_DITHER = Image.Dither.NONE
READY = "return document.documentElement.dataset.ready && document.documentElement.dataset.drawn"


def make_page(folder: Path) -> Path:
    """The explorer of CIFAR-10 by human, cluster-based and PMD labels."""
    data = Path(os.environ["MISLABEL_DATA"])
    place = ["--map", str(data / "cifar10" / "clip_tsne_train.parquet")]
    source = ["--data", f"cifar10:{data / 'cifar10'}"]
    cleaned = str(folder / "cleaned.csv")
    mislabel("clean", *source, *place, "--labels", "human:random_label1", "-o", cleaned)
    sets = {
        "human": "human:random_label1",
        "CBN": "cluster:0.35",
        "PMD": str(data / "published" / "cifar10-pmd-0.35.npy"),
    }
    chosen = [word for name, one in sets.items() for word in ("--labels", one, "--name", name)]
    page = folder / "page"
    beyond = ["--scores", str(SCORES), "--targets", cleaned, "-o", str(page)]
    mislabel("explore", *source, *place, *chosen, *beyond)
    return page / "index.html"


def mislabel(*words: str) -> None:
    """Run the command; what it prints is shown where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "mislabel", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout)


class Page:
    """A page in the browser, at a view."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        driver.get("about:blank")
        driver.get(address)
        WebDriverWait(driver, 60).until(lambda d: d.execute_script(READY))

    def __getitem__(self, name: str) -> WebElement:
        return self.driver.find_element("id", name)

    def lasso(self, corners: list[tuple[float, float]]) -> None:
        """Around corners in shares of the map's width and height."""
        size = self["map"].size
        across, down = size["width"], size["height"]
        moves = ActionChains(self.driver, duration=60)
        for number, (x, y) in enumerate([*corners, corners[0]]):
            place = round((x - 0.5) * across), round((y - 0.5) * down)
            moves.move_to_element_with_offset(self["map"], *place)
            if not number:
                moves.click_and_hold()
        self["lasso"].click()
        moves.release().move_to_element(self["title"]).perform()

    def places(self) -> tuple[int, list[list[float]]]:
        """Row of the chosen example; its place and those of its neighbours on the map."""
        row, places = self.driver.execute_async_script(
            "const i = Number(document.querySelector('#example h2').textContent.split(' ')[1]);"
            "Promise.all([mislabel.load('positions'), mislabel.row('neighbors', i)]).then("
            "([at, near]) => arguments[0]([i, [i, ...near].map((j) => [at[2 * j], at[2 * j + 1]])]"
            "));"
        )
        return row, places

    def picture(self, name: str = "") -> Image.Image:
        """What is seen, or the element of that name, once all is still."""
        self.driver.execute_async_script(
            "Promise.all([...document.querySelectorAll('.thumb')].map((one) => {"
            "  const image = new Image(); image.src = one.style.backgroundImage.slice(5, -2);"
            "  return image.decode(); })).then(() => setTimeout(arguments[0], 700));"
        )
        if not name:
            return self._seen()
        box = self.driver.execute_script(
            "const one = document.getElementById(arguments[0]);"
            "one.scrollIntoView({ behavior: 'instant' });"
            "const { x, y, right, bottom } = one.getBoundingClientRect();"
            "return [x, y, right, Math.min(bottom, innerHeight)];",
            name,
        )
        return self._seen().crop(tuple(map(round, box)))

    def _seen(self) -> Image.Image:
        return Image.open(BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")


@contextmanager
def browser(
    width: int, height: int, *, dark: bool = False, phone: bool = False
) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(word)
    options.add_argument("--enable-unsafe-swiftshader")
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    with webdriver.Chrome(options, service) as driver:
        metrics = {"width": width, "height": height, "mobile": phone}
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            metrics | {"deviceScaleFactor": 2 if phone else 1},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield driver


def save(picture: Image.Image, name: str) -> None:
    """In 256 colours, which is enough and a third of the size."""
    path = HERE / "images" / f"explorer-{name}.png"
    small = picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=NO_DITHER)
    small.save(path, optimize=True)
    print(f"{path.relative_to(HERE.parent)}  {path.stat().st_size / 1000:.0f} kB")


def above(page: Page, name: str) -> Image.Image:
    """What is seen above an element."""
    picture = page.picture()
    return picture.crop((0, 0, picture.width, page[name].location["y"]))


def below(upper: Image.Image, lower: Image.Image, left: int) -> Image.Image:
    """A picture and another under it, so many pixels from the left."""
    whole = Image.new(
        "RGB", (upper.width, upper.height + lower.height + 20), upper.getpixel((0, 0))
    )
    whole.paste(upper, (0, 0))
    whole.paste(lower, (left, upper.height))
    return whole


def main() -> None:
    if "MISLABEL_DATA" not in os.environ:
        sys.exit("MISLABEL_DATA is not set: the folder that holds cifar10/, cifar-n/, published/")
    with tempfile.TemporaryDirectory() as temporary:
        page = make_page(Path(temporary)).as_uri()
        with browser(1360, 900) as driver:
            save(Page(driver, page).picture(), "map")
        with browser(1500, 820) as driver:
            beside = Page(driver, f"{page}#beside=1&colour=flipped&ring=none")
            beside.lasso(LASSO)
            left = beside["matrix"].location["x"]
            save(below(above(beside, "list"), beside.picture("matrix"), left), "beside")
        with browser(1360, 1600) as driver:
            listed = Page(driver, f"{page}#show=incorrect-learned&order=exclusion")
            listed["map"].send_keys("n")
            row, ((x, y), *near) = listed.places()
            example = Page(driver, f"{page}#at={row}&x={x}&y={y}&zoom={ZOOM}")
            right, up = (
                2**ZOOM * (there - here) for there, here in zip(near[-1], (x, y), strict=True)
            )
            moves = ActionChains(driver)
            moves.move_to_element_with_offset(example["map"], round(right), round(-up)).perform()
            save(above(example, "list"), "example")
        with browser(1360, 900, dark=True) as driver:
            save(Page(driver, f"{page}#labels=2&colour=given&ring=none&beside=1").picture(), "dark")
        with browser(390, 844, phone=True) as driver:
            save(Page(driver, page).picture(), "phone")


if __name__ == "__main__":
    main()
