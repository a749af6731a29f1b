"""The explorer's page: writing it, its size, and its speed in a browser without a graphics card.

    python benchmarks/explorer.py    # prints the tables, writes explorer.json and explorer.md

Two pages: CIFAR-10 (50,000 images, three sets of labels, scores and cleaned labels) from the folder
that MISLABEL_DATA names, else as many blobs with blurred images; and 1,000,000 points without
images. Each is written in a process of its own, so that its memory is its own, and opened from the
disk in headless Chromium, which draws in software here (SwiftShader): the worst case. Twins: the
same columns as JSON, in size and in time to read in the browser; and a PNG file per image.

Needs Chromium with its driver (chromium, chromedriver) and selenium (pip install 'mislabel[dev]').
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor
from numpy.typing import NDArray
from PIL import Image

from mislabel.cleaning import clean_labels
from mislabel.explorer import Exploration, serve, write_explorer
from mislabel.explorer.sprites import write_sheets
from mislabel.files import write_json, write_text
from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores, load_scores
from mislabel.noise import make_noise
from mislabel.versions import library_versions

HERE = Path(__file__).parent
SCORES = HERE.parent / "studies" / "memorization_rand1" / "scores.npz"
PROGRAM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PAGES = {"cifar10": 50_000, "million": 1_000_000}
LOADS, STEPS, REPEATS = 3, 60, 5
SAMPLE = 5_000
"Images that are written as PNG files too."
TWIN_COLUMNS = ("positions", "labels0", "clean", "inclusion", "exclusion")
"Written as JSON too."
Row = dict[str, Any]
Arrays = NDArray[Any]


# The data


def explored(name: str) -> Exploration:
    """What a page shows."""
    data = os.environ.get("MISLABEL_DATA")
    if name == "cifar10" and data:
        return cifar10(Path(data))
    return blobs(PAGES[name], images=name == "cifar10")


def cifar10(data: Path) -> Exploration:
    """CIFAR-10 by human, cluster-based and random labels."""
    from mislabel.benchmark.inputs import InputOptions, LabelInputs

    place = data / "cifar10" / "clip_tsne_train.parquet"
    inputs = LabelInputs.load(InputOptions(data=f"cifar10:{data / 'cifar10'}", map=place))
    noises = ("human:random_label1", "cluster:0.35", "symmetric:0.35")
    labels = {noise: inputs.draw(noise) for noise in noises}
    human = labels[noises[0]]
    return Exploration.of_dataset(
        inputs.dataset,
        inputs.map,
        labels,
        scores=load_scores(SCORES),
        cleaned=clean_labels(human, inputs.map, class_names=inputs.dataset.class_names),
    )


def blobs(count: int, *, images: bool) -> Exploration:
    """Ten Gaussian blobs, two sets of labels, scores of the first; blurred images."""
    rng = np.random.default_rng(0)
    clean = rng.integers(10, size=count)
    middles = 40 * np.stack([np.cos(np.arange(10)), np.sin(np.arange(10))], axis=1)
    places = (middles[clean] + rng.normal(scale=8, size=(count, 2))).astype(np.float32)
    labels = {
        noise: make_noise(noise).corrupt(clean, n_classes=10, seed=seed)
        for seed, noise in enumerate(("symmetric:0.2", "pair:0.2"))
    }
    return Exploration.of(
        places,
        labels,
        scores=scores_of(labels["symmetric:0.2"], rng),
        images=blurred(count, rng) if images else None,
    )


def scores_of(labels: NoisyLabels, rng: np.random.Generator) -> MemorizationScores:
    inclusion, share = rng.beta(8, 1, size=len(labels)), rng.beta(2, 1, size=len(labels))
    about = {"estimator": "made", "title": "made scores"}
    return MemorizationScores.of(
        labels, inclusion=inclusion, exclusion=inclusion * share, provenance=about
    )


def blurred(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(N, 32, 32, 3) patches of colour."""
    small = rng.integers(256, size=(count, 8, 8, 3), dtype=np.uint8)
    return small.repeat(4, axis=1).repeat(4, axis=2)


# Writing


def write(name: str, folder: Path) -> Row:
    """Write a page: seconds of neighbours and of files, and peak memory before and after."""
    source = explored(name)
    before = peak_mib()
    start = time.perf_counter()
    page = write_explorer(source, folder)
    spent = time.perf_counter() - start
    files = [path for path in page.parent.rglob("*") if path.is_file()]
    return {
        "seconds": spent, "before_mib": before, "peak_mib": peak_mib(), "files": len(files),
        "megabytes": sum(path.stat().st_size for path in files) / 1e6,
        "deck_megabytes": (page.parent / "deck.gl.js").stat().st_size / 1e6,
    }  # fmt: skip


def thumbnails(name: str, folder: Path) -> Row:
    """A sample of the images as sheets, and as one PNG file each."""
    source = explored(name)
    part = slice(0, SAMPLE)
    images = source.images
    assert images is not None
    few = Exploration.of(
        source.positions[part],
        {"labels": NoisyLabels(next(iter(source.labels.values())).labels[part], n_classes=10)},
        images=images[part],
    )
    found = {}
    for kind in ("sheets", "png"):
        place = folder / kind
        place.mkdir(parents=True)
        start = time.perf_counter()
        if kind == "sheets":
            write_sheets(few, place)
        else:
            for number, image in enumerate(images[part]):
                Image.fromarray(image).save(place / f"{number}.png")
        sizes = [path.stat().st_size for path in place.iterdir()]
        spent = time.perf_counter() - start
        found[kind] = {"seconds": spent, "files": len(sizes), "megabytes": sum(sizes) / 1e6}
    return found


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


LINES = {"write": write, "thumbnails": thumbnails}


def child(line: str, name: str, folder: Path) -> Row:
    """A line, measured in a process of its own."""
    command = [sys.executable, __file__, "--child", line, name, str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: Row = json.loads(answer.stdout.splitlines()[-1])
    print(line, name, row, flush=True)
    return row


# In the browser

WATCH = """
// When the first picture is on the screen: the frame after the one that was drawn.
new MutationObserver((_, watcher) => {
  if (!document.documentElement?.dataset.drawn) return;
  watcher.disconnect();
  const seen = () => { window.firstPicture = performance.now(); };
  requestAnimationFrame(() => requestAnimationFrame(seen));
}).observe(document, { subtree: true, childList: true, attributes: true });
// How long frames take in which the map was moved.
window.frameTimes = [];
{
  let moved = false, last = NaN, counted = false;
  for (const type of ["pointermove", "wheel"]) {
    addEventListener(type, () => { moved = true; }, { capture: true, passive: true });
  }
  const tick = (now) => {
    if (counted) window.frameTimes.push(now - last);
    counted = moved; moved = false; last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
// Milliseconds until what `change` does is on the screen.
window.shownAfter = async (change) => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  const start = performance.now();
  await change();
  await frame(); await frame();
  return performance.now() - start;
};
window.choose = (id, value, type = "change") => shownAfter(() => {
  const element = document.getElementById(id);
  element.value = value;
  element.dispatchEvent(new Event(type, { bubbles: true }));
});
"""
RELEASE = """
window.lassoed = new Promise((done) => addEventListener("pointerup", () => {
  const start = performance.now();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
}, { capture: true, once: true }));
"""
HOVER = """
const map = document.getElementById("map"), tip = document.getElementById("tip");
const { x, y, width, height } = map.getBoundingClientRect();
const spent = [];
for (let k = 0; k < 40; k++) {
  const place = { clientX: x + width * (0.3 + 0.01 * k), clientY: y + height * 0.5 };
  const start = performance.now();
  map.dispatchEvent(new PointerEvent("pointermove", { ...place, bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  if (!tip.hidden) spent.push(performance.now() - start);
}
return spent;
"""
TWIN = """<!doctype html><meta charset="utf-8"><script src="columns.js"></script>"""
READ_OURS = """
const start = performance.now();
await mislabel.loadAbout();
await Promise.all(arguments[0].map((name) => mislabel.load(name)));
return performance.now() - start;
"""
READ_JSON = """
const kinds = { f4: Float32Array, f8: Float64Array, u1: Uint8Array };
const start = performance.now();
await Promise.all(Object.entries(arguments[0]).map(async ([name, kind]) =>
  new kinds[kind](JSON.parse(await (await fetch(`${name}.json`)).text()))));
return performance.now() - start;
"""


def browser() -> Any:
    """Headless Chromium that draws in software."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAM
    for word in ("--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader"):
        options.add_argument(word)
    options.add_argument("--window-size=1400,1000")
    service = webdriver.ChromeService(DRIVER)
    driver = webdriver.Chrome(options, service)
    driver.set_script_timeout(300)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return driver


def opened(driver: Any, address: str) -> Row:
    """Open a page; milliseconds to the first picture, since the start and since the script's."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get("about:blank")
    driver.get(address)
    first = "return document.documentElement.dataset.ready && window.firstPicture"
    WebDriverWait(driver, 300, 0.2).until(lambda d: d.execute_script(first))
    drawn = driver.execute_script("return Number(document.documentElement.dataset.drawn)")
    return {"first": driver.execute_script("return firstPicture"), "drawn": drawn}


def look(page: Path) -> Row:
    """All that is measured of a page in a browser."""
    found: Row = {}
    with browser() as driver:
        loads = [opened(driver, page.as_uri()) for _ in range(LOADS)]
        found["cold_ms"] = loads[0]["first"]
        found["first_ms"] = float(np.median([row["first"] for row in loads]))
        found["drawn_ms"] = float(np.median([row["drawn"] for row in loads]))
        renderer = (
            "const gl = document.createElement('canvas').getContext('webgl2');"
            "return gl.getParameter(gl.getExtension('WEBGL_debug_renderer_info')"
            ".UNMASKED_RENDERER_WEBGL);"
        )
        found["renderer"] = driver.execute_script(renderer)
        found["browser"] = driver.capabilities["browserVersion"]
        found["pan"], found["zoom"] = moving(driver)
        found["ms"] = acting(driver)
    print(page.parent.name, found, flush=True)
    return found


def moving(driver: Any) -> tuple[Row, Row]:
    """Milliseconds per frame while the map is dragged, and zoomed by the wheel."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    place = driver.find_element("id", "map")
    drag = ActionChains(driver, duration=16).move_to_element(place).click_and_hold()
    for step in range(STEPS):
        angle = 2 * np.pi * step / STEPS
        drag.move_by_offset(round(12 * np.cos(angle)), round(12 * np.sin(angle)))
    pan = frames(driver, drag.release())
    wheel = ActionChains(driver, duration=16)
    origin = ScrollOrigin.from_element(place)
    for step in range(STEPS):
        wheel.scroll_from_origin(origin, 0, -60 if step < STEPS / 2 else 60)
    return pan, frames(driver, wheel)


def frames(driver: Any, moves: Any) -> Row:
    driver.execute_script("frameTimes.length = 0")
    moves.perform()
    times = driver.execute_script("return frameTimes")
    return {"frames": len(times), "median": float(np.median(times)),
            "p95": float(np.percentile(times, 95))}  # fmt: skip


def acting(driver: Any) -> Row:
    """Milliseconds from an action until it is on the screen."""
    driver.find_element("id", "fit").click()

    def timed(id_: str, values: list[str], type_: str = "change") -> float:
        call = "return choose(...arguments)"
        spent = [driver.execute_script(call, id_, values[k % 2], type_) for k in range(REPEATS + 1)]
        return float(np.median(spent[1:]))

    found = {
        "colour": timed("colour", ["memorization", "given"]),
        "ring": timed("ring", ["memorized", "flipped"]),
        "ring slider": timed("memorization", ["0.3", "0.7"], "input"),
        "filter": timed("show", ["flipped", "all"]),
        "size slider": timed("size", ["2", "1"], "input"),
        "second set": timed("beside", ["1", "-1"]),
    }
    driver.execute_script("return choose('beside', '-1')")
    found["lasso of half"] = lasso(driver)
    found["hover"] = float(np.median(driver.execute_script(HOVER)))
    return found


def lasso(driver: Any) -> float:
    """Draw a lasso around the left half; milliseconds since the button is let go."""
    from selenium.webdriver.common.action_chains import ActionChains

    place = driver.find_element("id", "map")
    width, height = place.size["width"], place.size["height"]
    corners = [(-0.48, -0.48), (0, -0.48), (0, 0.48), (-0.48, 0.48)]
    driver.find_element("id", "lasso").click()
    moves = ActionChains(driver, duration=50)
    for number, (x, y) in enumerate([*corners, corners[0]]):
        moves.move_to_element_with_offset(place, round(x * width), round(y * height))
        if not number:
            moves.click_and_hold()
    moves.perform()
    driver.execute_script(RELEASE)
    ActionChains(driver).release().perform()
    spent = driver.execute_script("return await lassoed")
    status = driver.find_element("id", "status").text
    assert "selected" in status, status
    return float(spent)


def twin(page: Path) -> Row:
    """Columns of ours against the same as JSON: bytes, and milliseconds to read, on loopback."""
    folder = page.parent
    (folder / "twin.html").write_text(TWIN)
    about = (folder / "data" / "about.js").read_text()
    columns = json.loads(about[len("mislabel.about(") : -len(");\n")])["columns"]
    kinds = {name: columns[name]["type"] for name in TWIN_COLUMNS}
    ours = sum(path.stat().st_size for name in kinds for path in folder.glob(f"data/{name}-*.js"))
    json_bytes = 0
    for name, values in plain_columns(folder.name).items():
        path = folder / f"{name}.json"
        path.write_text(values)
        json_bytes += path.stat().st_size
    found: Row = {"ours_ms": [], "json_ms": []}
    with serve(folder) as server, browser() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(LOADS):
            driver.get(f"http://127.0.0.1:{server.server_port}/twin.html")
            found["ours_ms"].append(driver.execute_script(READ_OURS, list(kinds)))
            driver.get(f"http://127.0.0.1:{server.server_port}/twin.html")
            found["json_ms"].append(driver.execute_script(READ_JSON, kinds))
        server.shutdown()
    medians = {key: float(np.median(values)) for key, values in found.items()}
    return {"ours_megabytes": ours / 1e6, "json_megabytes": json_bytes / 1e6, **medians}


def plain_columns(name: str) -> dict[str, str]:
    """The columns as JSON."""
    source = explored(name)
    assert source.clean_labels is not None
    values = {
        "positions": source.positions.ravel().astype(str).astype(float),
        "labels0": next(iter(source.labels.values())).labels,
        "clean": source.clean_labels,
        "inclusion": source.column("inclusion"),
        "exclusion": source.column("exclusion"),
    }
    return {key: json.dumps(known(column.tolist())) for key, column in values.items()}


def known(values: list[Any]) -> list[Any]:
    """NaN as null."""
    return [None if value != value else value for value in values]


# The whole


def measure(folder: Path) -> Row:
    """All lines."""
    found: Row = {"pages": {}}
    for name, count in PAGES.items():
        row = {"examples": count, "write": child("write", name, folder / name)}
        row["look"] = look(folder / name / "index.html")
        row["twin"] = twin(folder / name / "index.html")
        found["pages"][name] = row
    return found | {"thumbnails": child("thumbnails", "cifar10", folder / "thumbnails")}


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    pages = list(content["pages"].values())
    return "\n".join([
        "# The explorer's page",
        "",
        *heading(content),
        "",
        "| | " + " | ".join(f"{row['examples']:,} points" for row in pages) + " |",
        "|---|" + "---:|" * len(pages),
        *lines_of_pages(pages),
        "",
        "An action is measured from its event until the second frame after it, when it is on the "
        "screen; two frames take 33 ms at least. Hovering: until the tip is there.",
        "",
        "| ours | plain twin | ratio |",
        "|---|---|---:|",
        *lines_of_twins(content, pages),
        "",
    ])  # fmt: skip


def heading(content: Row) -> list[str]:
    seen = next(iter(content["pages"].values()))["look"]
    versions = ", ".join(f"{k} {v}" for k, v in content["versions"].items())
    return [
        f"`python benchmarks/explorer.py` on {content['processor']}, {content['cores']} cores, "
        f"load {content['load'][0]:.1f} at the start and {content['load'][1]:.1f} at the end. "
        f"Chromium {seen['browser']}, headless, without a graphics card: {seen['renderer']} draws "
        f"on these cores, which is the worst case; none was at hand. Versions: {versions}.",
        "",
        f"The page with images is of {content['data']}, from the disk; the million are blobs.",
    ]


def lines_of_pages(pages: list[Row]) -> list[str]:
    lines = [
        ("writing, neighbours not counted, s", ("write", "seconds"), 1),
        ("memory of the process before writing, MiB", ("write", "before_mib"), 0),
        ("its peak, MiB", ("write", "peak_mib"), 0),
        ("folder, MB", ("write", "megabytes"), 1),
        ("of which deck.gl, MB", ("write", "deck_megabytes"), 1),
        ("files", ("write", "files"), 0),
        ("first picture since the start, in a fresh browser, ms", ("look", "cold_ms"), 0),
        (f"the same, median of {LOADS} loads, ms", ("look", "first_ms"), 0),
        ("frame while dragging the map, median, ms", ("look", "pan", "median"), 0),
        ("the same, 95th percentile, ms", ("look", "pan", "p95"), 0),
        ("frame while zooming by the wheel, median, ms", ("look", "zoom", "median"), 0),
        ("the same, 95th percentile, ms", ("look", "zoom", "p95"), 0),
        *((f"{action}, ms", ("look", "ms", action), 0) for action in pages[0]["look"]["ms"]),
    ]
    return [
        f"| {what} | " + " | ".join(f"{within(row, path):,.{digits}f}" for row in pages) + " |"
        for what, path, digits in lines
    ]


def within(row: Row, path: tuple[str, ...]) -> float:
    found: Any = row
    for key in path:
        found = found[key]
    return float(found)


def lines_of_twins(content: Row, pages: list[Row]) -> list[str]:
    lines = []
    for row in pages:
        pair, what = row["twin"], f"{len(TWIN_COLUMNS)} columns of {row['examples']:,}"
        for unit, key in (("MB", "megabytes"), ("ms", "ms")):
            ours, plain = pair[f"ours_{key}"], pair[f"json_{key}"]
            doing = "" if unit == "MB" else "read in the browser, from loopback: "
            lines.append(
                f"| {what}: {doing}{ours:,.1f} {unit} | JSON: {plain:,.1f} {unit} | "
                f"{plain / ours:.1f} |"
            )
    sheets, single = content["thumbnails"]["sheets"], content["thumbnails"]["png"]
    for unit, key in (("files", "files"), ("MB", "megabytes"), ("s to write", "seconds")):
        digits = 0 if key == "files" else 1
        lines.append(
            f"| thumbnails of {SAMPLE:,} images: {sheets[key]:,.{digits}f} {unit} | a PNG file "
            f"each: {single[key]:,.{digits}f} {unit} | {single[key] / sheets[key]:.1f} |"
        )
    return lines


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        line, name, folder = asked.child
        print(json.dumps(LINES[line](name, Path(folder))))
        return
    if not (PROGRAM and DRIVER):
        sys.exit("Chromium and its driver were not found (chromium, chromedriver)")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        content = measure(Path(folder))
    content |= {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "data": "CIFAR-10" if os.environ.get("MISLABEL_DATA") else "blobs, with blurred images",
        "versions": library_versions("numpy", "pillow", "pydeck", "selenium"),
        "load": [load, os.getloadavg()[0]],
    }
    write_json(HERE / "explorer.json", content)
    write_text(HERE / "explorer.md", to_markdown(content))
    print(to_markdown(content))


if __name__ == "__main__":
    main()
