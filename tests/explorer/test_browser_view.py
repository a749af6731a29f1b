"""The page in a real browser: what it loads, counts, filters, selects and keeps in its address."""

import csv
import io
import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, foreign
from explorer_examples import (
    CLASSES,
    EDGES,
    HTML,
    SETS,
    N,
    clean,
    cleaned,
    exploration,
    label_sets,
    memorization,
    places,
)
from numpy.typing import NDArray

from loopback import running
from mislabel.explorer import RINGS, Exploration, serve
from mislabel.labels import NoisyLabels

SHOWN = {
    "flipped": "flipped",
    "incorrect-learned": "incorrect learned",
    "memorized": "memorized",
    "changed": "changed by cleaning",
    "noisy": "probably wrong",
}
"What the status line calls the rings."
INDICES = 3 * np.arange(N) + 5
PER_PAGE = 50


@pytest.fixture(scope="module")
def shown() -> Exploration:
    return exploration()


def flipped(name: str) -> int:
    return int(label_sets()[name].flipped.sum())


def test_from_the_disk(browser: Browser, folder: Path) -> None:
    browser.requests()
    browser.open((folder / "index.html").as_uri())
    learned = int(exploration().rings(SETS[0])["incorrect-learned"].sum())
    assert learned > 3
    assert browser.status == f"300 of 300 shown; ringed: {learned} incorrect learned"
    assert browser.text("#problem") == cleaned().warning  # and no error
    assert browser.text("#facts").startswith("300 examples, 4 classes · labels: human, -cluster")
    asked = browser.requests()
    assert foreign(asked, browser.url) == []
    assert {f"{folder.as_uri()}/{name}" for name in ("deck.gl.js", "data/about.js")} <= set(asked)
    assert f"{folder.as_uri()}/images/0.webp" in asked


def test_from_the_server(browser: Browser, folder: Path) -> None:
    with serve(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            browser.requests()
            browser.open(f"http://127.0.0.1:{server.server_port}/index.html", "ring=flipped")
            assert browser.status == f"300 of 300 shown; ringed: {flipped(SETS[0])} flipped"
            assert len(asked := browser.requests()) > 10 and foreign(asked, browser.url) == []
        finally:
            server.shutdown()
            thread.join()


def test_nothing_else_can_be_loaded(page: Browser) -> None:
    """The policy of the page stands, in the browser: scripts that are put in do not run."""
    with running() as other:
        other.files["/x.js"] = b"document.title = 'owned'"
        page.run(
            """
            for (const [tag, name] of [["img", "src"], ["script", "src"], ["iframe", "src"]]) {
              const element = document.createElement(tag);
              element[name] = arguments[0];
              document.body.append(element);
              setTimeout(() => element.remove(), 300);
            }
            const inline = document.createElement("script");
            inline.textContent = "document.title = 'owned'";
            document.body.append(inline);
            document.body.insertAdjacentHTML("beforeend", "<p onclick='0' style='top: 9px'></p>");
            fetch(arguments[0]).catch(() => {});
            """,
            f"{other.base}/x.js",
        )
        page.until(lambda: page.run("return !document.querySelector('iframe')"), "it stays")
        assert other.requests == []
    assert page.run("return document.title") == f"Labels of {exploration().name}"
    assert len([line for line in page.errors() if "Content Security Policy" in line]) >= 4
    page.requests()  # that were refused


def test_ring_counts_are_pythons(page: Browser, shown: Exploration) -> None:
    for number, name in enumerate(SETS):
        for level in (None, *EDGES):
            high = {} if level is None else dict.fromkeys(
                ("inclusion", "exclusion", "memorization", "noise"), level
            )  # fmt: skip
            for ring, mask in shown.rings(name, **high).items():
                status = page.view(labels=number, ring=ring, **high)
                wanted = f"300 of 300 shown; ringed: {mask.sum()} {SHOWN[ring]}"
                assert status == wanted, (name, high)
    assert list(SHOWN) == list(RINGS)


def test_linked_views_ring_each_their_own(page: Browser, shown: Exploration) -> None:
    left, right = (shown.rings(name)["flipped"].sum() for name in (SETS[0], SETS[2]))
    assert left != right
    status = page.view(labels=0, beside=2, ring="flipped")
    assert status == f"300 of 300 shown; ringed: {left} flipped and {right} beside"
    names = page.texts("#names span")
    assert names == [SETS[0], SETS[2]]
    learned = shown.rings(SETS[0])["incorrect-learned"].sum()
    status = page.view(beside=1, ring="incorrect-learned")  # of which nothing is known beside
    assert status == f"300 of 300 shown; ringed: {learned} incorrect learned and 0 beside"
    # Both show what is filtered in the first.
    mask = shown.rings(SETS[0])["flipped"]
    both = (mask & shown.rings(SETS[2])["flipped"]).sum()
    status = page.view(beside=2, ring="flipped", show="flipped")
    assert status == f"{left} of 300 shown; ringed: {left} flipped and {both} beside"


def test_filters_are_pythons_masks(page: Browser, shown: Exploration) -> None:
    pairs = [(-1, -1), (0, 1), (-1, 2), (3, -1), (2, 2)]
    for (number, name), (source, target) in product(enumerate(SETS), pairs):
        labels = label_sets()[name].labels
        mask = np.ones(N, dtype=bool)
        mask &= (clean() == source) | (source < 0)
        mask &= (labels == target) | (target < 0)
        for show, ring in {"all": np.ones(N, dtype=bool), **shown.rings(name)}.items():
            wanted = np.flatnonzero(mask & ring)
            view = {"labels": number, "ring": "none", "show": show, "from": source, "to": target}
            assert page.view(**view) == f"{len(wanted)} of 300 shown", view
            assert page.listed() == INDICES[wanted[:PER_PAGE]].tolist(), view


def test_controls_do_what_the_address_does(page: Browser, shown: Exploration) -> None:
    """A threshold is moved and a list is chosen from, by their events."""
    for name, value in (("ring", "memorized"), ("show", "flipped"), ("from", "1")):
        page.run(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change'))", name, value,
        )  # fmt: skip
    page.run("const e = document.getElementById('memorization'); e.value = 0.3;"
             "e.dispatchEvent(new Event('input'))")  # fmt: skip
    part = shown.rings(SETS[0])["flipped"] & (clean() == 1)
    ringed = (shown.rings(SETS[0], memorization=0.3)["memorized"] & part).sum()
    assert page.status == f"{part.sum()} of 300 shown; ringed: {ringed} memorized"
    assert page.text("#memorization-value") == "0.30"
    wanted = {"ring": "memorized", "show": "flipped", "from": "1", "memorization": "0.3"}
    assert page.address == wanted
    page.find("#reset").click()
    assert page.status.startswith("300 of 300 shown; ringed:") and page.address == {}


def test_a_click_takes_the_nearest_example(page: Browser) -> None:
    x, y, zoom = 5.0, 3.0, 5.0
    place = places().astype(float)
    pixels = (place - (x, y)) * 2**zoom
    inside = np.flatnonzero((np.abs(pixels) < 200).all(axis=1))
    assert len(inside) > 5
    page.view(x=x, y=y, zoom=zoom)
    for i in inside[:4]:
        # not quite on it: the nearest to the pixel is worked out anew
        right, up = round(pixels[i, 0]) + 2, round(pixels[i, 1]) - 1
        nearest = int(np.hypot(*(pixels - (right, up)).T).argmin())
        page.pointer((right, up))
        label = CLASSES[label_sets()[SETS[0]].labels[nearest]]
        assert page.status.endswith(f"; example {INDICES[nearest]}: {label}")
        assert page.text("#example h2") == f"Example {INDICES[nearest]}"
    # In the right one of two views the same place is a quarter of the width to the right.
    page.view(x=x, y=y, zoom=zoom, beside=1)
    width = page.find("#map").rect["width"]
    i = inside[np.abs(pixels[inside, 0]).argmin()]
    page.pointer((round(pixels[i, 0] + width / 4), round(pixels[i, 1])))
    nearest = int(np.hypot(*(pixels - np.round(pixels[i])).T).argmin())
    assert page.text("#example h2") == f"Example {INDICES[nearest]}"
    far = max(product(range(-200, 201, 20), repeat=2),
              key=lambda at: np.hypot(*(pixels - at).T).min())  # fmt: skip
    assert np.hypot(*(pixels - far).T).min() > 12
    page.view(x=x, y=y, zoom=zoom, at=3)
    page.pointer(far)
    assert "; example" not in page.status


def inside(polygon: list[tuple[float, float]]) -> NDArray[np.bool_]:
    """The twin: a point is inside where the corners turn once around it."""
    x, y = places().astype(float).T
    angles = np.array([np.arctan2(b - y, a - x) for a, b in [*polygon, polygon[0]]])
    turns = np.diff(angles, axis=0)
    turns = (turns + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(np.abs(turns.sum(axis=0)) > np.pi)


def test_a_lasso_takes_what_is_inside(page: Browser, shown: Exploration, tmp_path: Path) -> None:
    x, y, zoom = 15.0, 15.0, 3.0
    corners = [(-160, -150), (160, -170), (40, 0), (150, 150), (-150, 170), (-190, 10)]
    page.view(x=x, y=y, zoom=zoom, show="flipped", ring="none")
    page.find("#lasso").click()
    assert page.find("#lasso").get_attribute("aria-pressed") == "true"
    page.pointer(*corners)
    assert page.find("#lasso").get_attribute("aria-pressed") == "false"
    numbers = [float(text) for text in page.address["lasso"].split(",")]
    polygon = list(zip(numbers[::2], numbers[1::2], strict=True))
    drawn = [(x + right / 2**zoom, y + up / 2**zoom) for right, up in corners]
    assert np.abs(np.subtract(polygon, drawn)).max() <= 1 / 2**zoom  # a pixel
    mask = shown.rings(SETS[0])["flipped"]
    chosen = np.flatnonzero(mask & inside(polygon))
    assert PER_PAGE > len(chosen) > 10 and mask.sum() > len(chosen)
    assert page.status == f"{mask.sum()} of 300 shown, {len(chosen)} selected"
    assert page.listed() == INDICES[chosen].tolist()
    [text] = page.download("#export-list", tmp_path / "lasso", "examples.csv")
    assert [int(row["index"]) for row in csv.DictReader(io.StringIO(text))] == page.listed()
    check_matrix(page, label_sets()[SETS[0]].take(chosen))
    page.view(lasso=page.address["lasso"])  # the same region without the filter, from the address
    check_matrix(page, label_sets()[SETS[0]].take(np.flatnonzero(inside(polygon))))
    page.find("#unselect").click()
    assert "selected" not in page.status and page.address == {}


def check_matrix(page: Browser, labels: NoisyLabels) -> None:
    cells: list[list[str]] = page.run(
        "return [...document.querySelectorAll('#matrix tbody tr')].map((row) =>"
        "[...row.querySelectorAll('td')].map((cell) => cell.querySelector('button')?.textContent"
        " ?? cell.textContent))"
    )
    found = [[int(text or 0) for text in row] for row in cells]
    counts = labels.counts
    assert [row[:-1] for row in found] == counts.tolist()
    assert [row[-1] for row in found] == counts.sum(axis=1).tolist()


def test_shift_and_drag_is_a_lasso_in_the_right_view_too(page: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.view(x=15, y=15, zoom=2, beside=1, ring="none")
    quarter = round(page.find("#map").rect["width"] / 4)
    ActionChains(page.driver).key_down(Keys.SHIFT).perform()
    page.pointer(*((quarter + x, y) for x, y in ((-60, -60), (60, -60), (60, 60), (-60, 60))))
    ActionChains(page.driver).key_up(Keys.SHIFT).perform()
    numbers = [float(text) for text in page.address["lasso"].split(",")]
    polygon = list(zip(numbers[::2], numbers[1::2], strict=True))
    wanted = [(0, 0), (30, 0), (30, 30), (0, 30)]
    assert np.abs(np.subtract(polygon, wanted)).max() <= 0.25
    assert page.status == f"300 of 300 shown, {inside(polygon).sum()} selected"
    page.leave_fields()
    page.press(Keys.ESCAPE)
    assert page.status == "300 of 300 shown"


def test_the_list_as_a_table_file(page: Browser, tmp_path: Path) -> None:
    page.view(show="flipped", order="memorization")
    [text] = page.download("#export-list", tmp_path / "list", "examples.csv")
    header, *rows = csv.reader(io.StringIO(text))
    assert header == [
        "index", "x", "y", "clean_label", "human", "'-cluster", "pmd", "corrected_label",
        "inclusion", "inclusion_error", "exclusion", "exclusion_error", "noise_score", "mark",
        "new_label",
    ]  # fmt: skip
    chosen = np.flatnonzero(label_sets()[SETS[0]].flipped)
    whole = exploration()
    value = whole.column("inclusion") - whole.column("exclusion")
    order = sorted(chosen, key=lambda i: (-value[i] if value[i] == value[i] else np.inf, i))
    assert [int(row[0]) for row in rows] == INDICES[order].tolist()
    safe = [f"'{name}" if name.startswith("=") else name for name in CLASSES]
    for row, i in zip(rows, order, strict=True):
        assert [float(v) for v in row[1:3]] == places()[i].tolist()
        known = [
            clean(),
            *(one.labels for one in label_sets().values()),
            cleaned().corrected_labels,
        ]
        assert row[3:8] == [safe[labels[i]] for labels in known]
        columns = ("inclusion", "inclusion_error", "exclusion", "exclusion_error")
        numbers = [whole.column(name)[i] for name in columns]
        assert row[8:12] == ["" if np.isnan(v) else str(v).removesuffix(".0") for v in numbers]
        assert float(row[12]) == cleaned().noise_scores[i] and row[13:] == ["", ""]
    assert "'=cat" in text and '"dog, brown"' in text and HTML.replace('"', '""') in text


def everything(page: Browser) -> dict[str, Any]:
    """What the page says."""
    parts = ("#status", "#list", "#matrix", "#example h2", "#legend", "#marking", "#names")
    chosen = ("labels", "beside", "colour", "ring", "show", "from", "to", "size", "inclusion")
    values = {name: page.run(f"return document.getElementById('{name}').value") for name in chosen}
    return {**{part: page.text(part) for part in parts}, **values, "address": page.address}


VIEW = {
    "labels": 1, "beside": 0, "colour": "corrected", "ring": "changed", "size": 2, "show": "noisy",
    "to": 2, "inclusion": 0.25, "noise": 0.55, "at": 7, "x": 12.5, "y": -3.25, "zoom": 2.5,
    "lasso": "-30,-30,60,-30,60,60,-30,60", "order": "noise",
}  # fmt: skip


def test_the_address_shows_the_same_in_a_fresh_tab(page: Browser) -> None:
    page.view(**VIEW)
    page.find("#fit").click()
    assert "x" not in page.address  # the whole map has no place
    page.view(**VIEW)
    page.leave_fields()
    page.press("n", "n")
    before = everything(page)
    assert before["address"].keys() == VIEW.keys()
    url = page.run("return location.href")
    tab = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.driver.get(url)
        page.loaded()
        assert everything(page) == before
    finally:
        page.driver.close()
        page.driver.switch_to.window(tab)


def test_another_address_in_the_same_tab(page: Browser, shown: Exploration) -> None:
    plain = everything(page)
    page.view(**VIEW)
    assert everything(page)["address"] == {k: str(v) for k, v in VIEW.items()}
    mask = shown.rings(SETS[1], noise=0.55)["noisy"] & (label_sets()[SETS[1]].labels == 2)
    polygon = [(-30.0, -30.0), (60.0, -30.0), (60.0, 60.0), (-30.0, 60.0)]
    selected = (mask & inside(polygon)).sum()
    assert page.status.startswith(f"{mask.sum()} of 300 shown, {selected} selected; ringed: ")
    page.view()
    assert everything(page) == plain
    page.run("document.getElementById('map').focus()")
    page.press("+")  # nearer to the middle of the whole map
    low, high = places().astype(float).min(axis=0), places().astype(float).max(axis=0)
    middle = [float(page.address[name]) for name in ("x", "y")]
    np.testing.assert_allclose(middle, (low + high) / 2, atol=1e-3)


NONSENSE = (
    "ring=evil&at=1e9&lasso=1,2&labels=-3&beside=99&colour=__proto__&show=constructor&from=1.5"
    "&to=-7&order=toString&page=-1&size=1e9&inclusion=NaN&exclusion=&noise=high&x=Infinity&y=%00"
    "&zoom=1e400&__proto__=1&toString=2&hasOwnProperty=3&%=&a=b=c&<img src=x onerror=alert(1)>"
)


def test_nonsense_in_the_address_is_left_out(browser: Browser, folder: Path) -> None:
    browser.open((folder / "index.html").as_uri(), NONSENSE)
    assert browser.status == "300 of 300 shown"
    assert browser.text("#problem") == cleaned().warning
    assert browser.listed() == INDICES[:PER_PAGE].tolist()
    value = {name: browser.run(f"return document.getElementById('{name}').value")
             for name in ("labels", "beside", "colour", "show", "inclusion", "noise")}  # fmt: skip
    assert value == {
        "labels": "0", "beside": "-1", "colour": "given", "show": "all", "inclusion": "0.6",
        "noise": "0.5",
    }  # fmt: skip
    # The same in a page that stands, and numbers that are numbers but far away.
    browser.view(labels=2, ring="memorized", show="noisy", lasso="1,2,x,4,5,6", at=N)
    assert browser.status == "300 of 300 shown"
    browser.view(x=1e30, y=-1e30, zoom=900, page=299, ring="none")
    assert browser.status == "300 of 300 shown"
    assert browser.listed() == INDICES[-(N % PER_PAGE or PER_PAGE) :].tolist()


def test_find_an_index(page: Browser) -> None:
    for index in (5, 17, int(INDICES[-1])):
        page.type("#find", f" {index} ")
        label = CLASSES[label_sets()[SETS[0]].labels[(index - 5) // 3]]
        assert page.status.endswith(f"; example {index}: {label}")
        assert page.run("return document.getElementById('find').validity.valid")
    before = page.status
    for text in ("6", "0", "-1", "1e99", "5.5", "horse", "902.0001", str(INDICES[-1] + 3)):
        page.type("#find", text)
        message = page.run("return document.getElementById('find').validationMessage")
        assert message == "There is no example of that index." and page.status == before, text
    page.find("#find").clear()


def test_names_are_text(page: Browser) -> None:
    page.view(at=int(np.flatnonzero(clean() == 0)[0]), colour="clean")
    page.until(lambda: page.run("return document.querySelectorAll('.near li').length"), "no near")
    assert page.run("return document.querySelectorAll('main img, main script, main b').length") == 0
    assert page.run("return document.title") == f"Labels of {exploration().name}"
    for part in ("#legend", "#list", "#matrix", "#example", "#from"):
        assert HTML in page.text(part)
    assert memorization().title in page.text("#facts")
    assert page.run("return [...document.querySelectorAll('*')].some((e) => "
                    "[...e.attributes].some((a) => a.name.startsWith('on')))") is False  # fmt: skip


def test_a_chosen_example_is_told_of(page: Browser, shown: Exploration) -> None:
    i = int(np.flatnonzero(~np.isnan(shown.column("exclusion")) & label_sets()[SETS[0]].flipped)[0])
    page.view(at=i)
    near = "return [...document.querySelectorAll('.near button')].map((e) => e.lastChild.innerText)"
    found = page.until(lambda: page.run(near), "no neighbours")
    assert [int(text) for text in found] == INDICES[shown.neighbors[i]].tolist()
    said = page.text("#example")
    inclusion, exclusion = shown.column("inclusion")[i], shown.column("exclusion")[i]
    for text in (f"{inclusion:.3f} ± 0.030", f"{exclusion:.3f} ± 0.040",
                 f"{inclusion - exclusion:.3f} ± 0.050", " flipped"):  # fmt: skip
        assert text in said
    target = page.run("return [...document.querySelectorAll('#target .figures')]"
                      ".map((e) => e.textContent)")  # fmt: skip
    wanted = np.sort(cleaned().targets[i].astype(float))[::-1]
    assert target == [f"{100 * share:.1f} %" for share in wanted]


def test_dark(page: Browser) -> None:
    def lightness(of: str, selector: str) -> float:
        script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        text = page.run(script, selector, of).removeprefix("rgb(").removesuffix(")")
        return sum(map(float, text.split(","))) / 765

    assert lightness("backgroundColor", "body") > 0.9 and lightness("color", "body") < 0.3
    preference = {"name": "prefers-color-scheme", "value": "dark"}
    page.cdp("Emulation.setEmulatedMedia", features=[preference])
    try:
        page.view(colour="inclusion", at=3)
        for selector in ("body", "#map", "#controls", "#example", "#list th"):
            assert lightness("backgroundColor", selector) < 0.25, selector
        for selector in ("body", "#status", "#example h2", "#controls select", "#list button"):
            assert lightness("color", selector) > 0.5, selector
    finally:
        page.cdp("Emulation.setEmulatedMedia", features=[])


def test_a_phone_shows_the_list_first(browser: Browser, folder: Path) -> None:
    browser.cdp("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1,
                mobile=True)  # fmt: skip
    try:
        browser.open((folder / "index.html").as_uri(), "at=3")
        fits = "return [document.documentElement.scrollWidth, innerWidth]"
        for view in ({}, {"at": 3}, {"beside": 1, "at": 7, "lasso": "-9,-9,9,-9,9,9"}):
            browser.view(**view)
            scrolled, width = browser.run(fits)
            assert scrolled <= width == 390, view
        top = {name: browser.run("return document.querySelector(arguments[0])"
                                 ".getBoundingClientRect().top + scrollY", name)
               for name in ("#list", "#place", "#example", "#matrix", "#marking")}  # fmt: skip
        assert sorted(top, key=lambda name: top[name]) == list(top)
        assert top["#list"] < 500  # on the first screen
        assert not browser.run("return document.getElementById('controls').open")
    finally:
        browser.cdp("Emulation.clearDeviceMetricsOverride")
        browser.open((folder / "index.html").as_uri())


def test_everything_is_reached_by_keyboard(page: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    page.run("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
    page.view(at=int(np.flatnonzero(clean() == 0)[0]))
    where = "const e = document.activeElement; return e.id || e.closest('[id]')?.id || e.className"
    reached = []
    for _ in range(80):
        page.press(Keys.TAB)
        reached.append(page.run(where))
        if reached[-1] == "list":
            break
    order = ["labels", "beside", "colour", "ring", "show", "inclusion", "find", "lasso", "map",
             "example", "list"]  # fmt: skip
    found = [name for k, name in enumerate(reached) if name in order and name not in reached[:k]]
    assert found == order
    page.run("document.querySelector('.skip').focus()")
    page.press(Keys.ENTER)
    page.until(lambda: page.run(where) == "list", "the list has no focus")


def test_keys_go_through_the_list(page: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    page.view(page=0)
    wanted = INDICES.tolist()
    for key, place in (("n", 0), ("n", 1), ("n", 2), ("p", 1), ("p", 0), ("p", 0)):
        page.press(key)
        assert page.text("#example h2") == f"Example {wanted[place]}"
    page.view(at=PER_PAGE - 1)
    page.press("n")  # on to the next page of the list
    assert page.listed()[0] == wanted[PER_PAGE] and page.text("tr.best th") == str(wanted[PER_PAGE])
    page.press("/")
    assert page.run("return document.activeElement.id") == "find"
    page.press("n")  # is typed now
    assert page.text("#example h2") == f"Example {wanted[PER_PAGE]}"
    page.find("#find").clear()
    page.leave_fields()
    page.press("?")
    assert page.find("#keys").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.find("#keys").is_displayed()


def test_the_map_moves_by_keyboard_and_wheel(page: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.keys import Keys

    page.view(x=10, y=10, zoom=3)
    page.run("document.getElementById('map').focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_UP, "+")
    assert page.address == {"x": "20", "y": "20", "zoom": "3.5"}  # 80 pixels are 10
    origin = ScrollOrigin.from_element(page.find("#map"))
    ActionChains(page.driver).scroll_from_origin(origin, 0, -200).perform()
    page.until(lambda: float(page.address["zoom"]) > 3.5, "the wheel does nothing")
    page.leave_fields()
    page.press("f")
    assert page.address == {}
