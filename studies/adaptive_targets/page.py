"""README.md of the study: its tables, and whether the bars are met."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import fmean

from mislabel.cleaning.adaptive import STABLE

HERE = Path(__file__).parent
Row = dict[str, str]
Line = Callable[[str, str, str, bool], list[str]]
CBN, PMD = "CBN 35 %, published", "PMD 35 %, published"
COLUMNS = (("given", "given"), ("snls", "SNLS"), ("vote_10", "k = 10"), ("vote_100", "100"),
           ("vote_300", "300"), ("vote_1000", "1,000"), ("vote_4000", "4,000"),
           ("region", "region"), ("adaptive", "**adaptive**"),
           ("corrected", "**corrected**"))  # fmt: skip
CALIBRATION = (("log_loss_snls", "log-loss, SNLS"), ("log_loss_adaptive", "adaptive"),
               ("error_snls", "error of the largest entry, SNLS"), ("error_adaptive", "adaptive"),
               ("error_snls_noise_score", "error of the noise score, SNLS"),
               ("error_noise_score", "adaptive"), ("rate", "rate"),
               ("estimated_rate", "estimated"))  # fmt: skip


def page(tables: dict[str, list[Row]], versions: dict[str, str]) -> str:
    """The page, from the rows of all tables."""
    reading = HERE / "reading.md"
    on_map, others = tables["map"], tables["features"]
    parts = [
        "# Adaptive soft neighbour targets\n",
        reading.read_text().rstrip() + "\n" if reading.is_file() else "",
        "## The bars\n",
        "From the noisy labels alone. Shares are of examples whose target's largest entry is the "
        "clean label; of those drawn, the worst seed counts.\n",
        table(("bar", "asked", "found", ""), bars(on_map, others), "lllc"),
        "## Share right, on the map of CIFAR-10\n",
        "50,000 examples on the published map of CLIP's embedding. Votes are of k neighbours "
        "without the own label; corrected labels are the given ones where the labels do not "
        "determine the classes. Fresh draws: mean of two seeds. Stability is "
        "the agreement of regions with wider ones, or with those of labels drawn once more, "
        f"whichever is less; below {STABLE} classes are not determined.\n",
        shares(on_map),
        "![Share right by rate](rates.png)\n",
        "## Calibration, on the map\n",
        "Mean log-loss against the clean labels (entries clipped at 1e-9), expected calibration "
        "error of the largest entry and of noise scores (one less the own label's entry; 15 bins "
        "of equal width), and the rate of wrong labels that the scores add up to. The lower "
        "log-loss is bold.\n",
        calibration(on_map),
        "![Reliability of the largest entry](reliability.png)\n",
        "![Reliability of noise scores](reliability-noise-score.png)\n",
        "## In other features\n",
        "Votes of more than half of all examples are left out.\n",
        *(f"### {name}\n\n{shares(rows)}\n{calibration(rows)}"
          for name, rows in grouped(others, "data")),
        "## Where it is worse\n",
        "Every set and seed, of all data above, on which corrected labels are fewer right than "
        "the given ones, or the targets' log-loss is not below SNLS's.\n",
        worse([*on_map, *others]),
        "## What each part does\n",
        "Share right of the targets' largest entry, log-loss in brackets, on the map; fresh draws "
        "at seed 1. (u): not determined. Without the region, no place is a patch, and the region "
        "drops out; the ball is a vote of as many nearest examples as a region has, with the "
        "walk's stability.\n",
        ablations(tables["ablations"]),
        "## cleanlab\n",
        "Wrong labels found, and all labels ranked by how wrong they look, on the map. cleanlab "
        "gets out-of-sample probabilities from the same map and labels. *As it comes*: the "
        "house's cross-fitted classifier (RBF kernel, logistic regression), "
        "`find_label_issues` and `get_label_quality_scores` with their defaults. *Best of all*: "
        "the best on that very set and measure among six classifiers (cross-fitted, and votes of "
        "10 to 4,000 neighbours), five filters and three scores, which only the clean labels "
        "tell. Ours: corrected label is not the given one; noise score.\n",
        cleanlab_lists(tables["found"]),
        cleanlab_differences(tables["differences"]),
        "Differences are ours less cleanlab's, paired, with 95 % intervals from resampled blocks "
        "of the map (150 k-means blocks).\n",
        "## Pictures\n",
        "![CBN 35 %: given, regions, corrected, still wrong](map-cbn35.png)\n",
        "![Cluster 70 %: labels, regions, and where wider ones differ](map-undetermined.png)\n",
        "## How\n",
        "    MISLABEL_DATA=/path/to/data python studies/adaptive_targets/run.py\n",
        "needs cifar10/, cifar-n/ and published/ in that folder, and the extra `cleanlab`. "
        "[map.csv](map.csv) and [features.csv](features.csv) have every set and seed, "
        "[reliability.csv](reliability.csv) the bins, [ablations.csv](ablations.csv) the "
        "ablations, [cleanlab-found.csv](cleanlab-found.csv) and "
        "[cleanlab-ranked.csv](cleanlab-ranked.csv) every way of cleanlab. Versions: "
        + ", ".join(f"{k} {v}" for k, v in versions.items())
        + ". Most processor time of one set of 50,000 labels, neighbours known: "
        f"{max(number(r, 'seconds') for r in on_map):.1f} s, one thread.\n",
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def number(row: Row, name: str) -> float:
    return float(row[name])


def worst(rows: Iterable[Row], noise: str, name: str) -> float:
    """The least value over seeds."""
    return min(number(r, name) for r in rows if r["noise"] == noise)


def bars(on_map: list[Row], others: list[Row]) -> Iterator[list[str]]:
    """What is asked, what was found, and whether that is enough."""

    def line(what: str, asked: str, found: str, met: bool) -> list[str]:
        return [what, asked, found, "met" if met else "**not met**"]

    for noise, least in ((CBN, 0.84), (PMD, 0.89), ("random_label1", 0.925)):
        value = worst(on_map, noise, "adaptive")
        yield line(noise, f"at least {least}", f"{value:.4f}", value >= least)
    value, vote = (worst(on_map, "worse_label", n) for n in ("adaptive", "vote_100"))
    yield line("worse_label", f"vote of 100: {vote:.4f}", f"{value:.4f}", value >= vote)
    for data, rows in grouped([*on_map, *others], "data"):
        even = [r for r in rows if r["noise"] == "symmetric:0.4"]
        gap = min(number(r, "adaptive") - number(r, "best_vote") for r in even)
        asked = "best fixed k, less 0.01"
        yield line(f"symmetric 40 %, {data}", asked, f"{gap:+.4f}", gap >= -0.01)
    for data, rows in grouped([*on_map, *others], "data"):
        clean = [r for r in rows if r["noise"] == "clean"]
        value = min(number(r, "corrected") for r in clean)
        yield line(f"clean labels, {data}", "none is corrected", f"{value:.4f} right", value == 1)
    yield from _losses(on_map, others, line)
    for data, rows in grouped([*on_map, *others], "data"):
        said = [r["determined"] == "False" for r in rows if r["noise"] == "cluster:0.7"]
        if said:
            found = f"{sum(said)} of {len(said)} draws"
            yield line(f"cluster 70 %, {data}", "said to be undetermined", found, all(said))
    slowest = max(number(r, "seconds") for r in on_map)
    yield line("50,000 examples", "under 60 s on two cores", f"{slowest:.1f} s on one",
               slowest < 60)  # fmt: skip


def _losses(on_map: list[Row], others: list[Row], line: Line) -> Iterator[list[str]]:
    for data, rows in grouped([*on_map, *others], "data"):
        noisy = [r for r in rows if r["noise"] != "clean"]
        lost = [r for r in noisy if number(r, "log_loss_adaptive") >= number(r, "log_loss_snls")]
        names = ", ".join(dict.fromkeys(r["noise"] for r in lost))
        found = f"{len(noisy) - len(lost)} of {len(noisy)}" + (f"; not {names}" if lost else "")
        yield line(f"log-loss, {data}", "below SNLS's at every noise", found, not lost)


def shares(rows: list[Row]) -> str:
    """Share right by noise: a line for each, mean over seeds; the best of a line is bold."""
    columns = [(name, title) for name, title in COLUMNS if any(r[name] for r in rows)]

    def lines() -> Iterator[list[str]]:
        for noise, group in grouped(rows, "noise"):
            yes = sum(r["determined"] == "True" for r in group)
            determined = "yes" if yes == len(group) else f"{yes} of {len(group)}" if yes else "no"
            yield [
                noise, mean(group, "rate", 3), *(mean(group, name, 3) for name, _ in columns),
                mean(group, "stability", 3), determined,
            ]  # fmt: skip

    heads = ("labels", "rate", *(title for _, title in columns), "stability", "determined")
    return table(heads, lines(), "l" + "r" * (len(heads) - 2) + "l")


def calibration(rows: list[Row]) -> str:
    """Log-loss and calibration errors by noise."""

    def lines() -> Iterator[list[str]]:
        for noise, group in grouped(rows, "noise"):
            cells = [mean(group, name, 3) for name, _ in CALIBRATION]
            better = 0 if float(cells[0]) < float(cells[1]) else 1
            cells[better] = f"**{cells[better]}**"
            yield [noise, *cells]

    heads = ("labels", *(title for _, title in CALIBRATION))
    return table(heads, lines(), "l" + "r" * len(CALIBRATION))


def worse(rows: list[Row]) -> str:
    """Sets that are harmed, and sets where SNLS has the better log-loss."""

    def lines() -> Iterator[list[str]]:
        for row in rows:
            given, corrected, snls, ours = (
                number(row, name)
                for name in ("given", "corrected", "log_loss_snls", "log_loss_adaptive")
            )
            if corrected < given or ours >= snls:
                yes = "yes" if row["determined"] == "True" else "no"
                yield [
                    row["data"], row["noise"], row["seed"], f"{given:.4f}", f"{corrected:.4f}",
                    f"{snls:.3f}", f"{ours:.3f}", f"{number(row, 'stability'):.3f}", yes,
                ]  # fmt: skip

    heads = ("data", "labels", "seed", "given", "corrected", "log-loss, SNLS", "adaptive",
             "stability", "determined")  # fmt: skip
    return table(heads, lines(), "llrrrrrrl")


def ablations(rows: list[Row]) -> str:
    """A line for each variant, a column for each set."""
    sets = list(dict.fromkeys(r["noise"] for r in rows))

    def cell(row: Row) -> str:
        lost = " (u)" if row["determined"] == "False" else ""
        return f"{number(row, 'right'):.3f} ({number(row, 'log_loss'):.3f}){lost}"

    lines = (
        [variant, *(next((cell(r) for r in group if r["noise"] == s), "") for s in sets)]
        for variant, group in grouped(rows, "variant")
    )
    return table(("variant", *sets), lines, "l" + "r" * len(sets))


def cleanlab_lists(rows: list[Row]) -> str:
    """Precision, recall and F1: ours, cleanlab as it comes, and its best by F1."""

    def lines() -> Iterator[list[str]]:
        for noise, group in grouped(rows, "noise"):
            theirs = [r for r in group if r["way"]]
            default = next(r for r in theirs if (r["source"], r["way"])
                           == ("cross-fitted", "prune_by_noise_rate"))  # fmt: skip
            best = max(theirs, key=lambda r: number(r, "f1"))
            ours = next(r for r in group if not r["way"])
            for name, row in (("adaptive targets", ours), ("cleanlab, as it comes", default),
                              ("cleanlab, best of all", best)):  # fmt: skip
                how = f"{row['source']}, `{row['way']}`" if row["way"] else ""
                yield [noise, name, *(f"{number(row, m):.3f}" for m in
                                      ("precision", "recall", "f1")), how]  # fmt: skip

    return table(("labels", "found by", "precision", "recall", "F1", "way"), lines(), "llrrrl")


def cleanlab_differences(rows: list[Row]) -> str:
    """Paired differences for each measure."""
    names = {"f1": "F1", "auc": "area under the ROC curve", "average_precision":
             "average precision"}  # fmt: skip
    lines = (
        [r["noise"], names[r["measure"]], r["against"], f"{number(r, 'ours'):.3f}",
         f"{number(r, 'cleanlab'):.3f}",
         f"{number(r, 'ours') - number(r, 'cleanlab'):+.3f} "
         f"[{number(r, 'low'):+.3f}, {number(r, 'high'):+.3f}]",
         f"{r['source']}, `{r['way']}`"]
        for r in rows
    )  # fmt: skip
    heads = ("labels", "measure", "cleanlab", "ours", "cleanlab's", "difference", "its way")
    return table(heads, lines, "lllrrrl")


def mean(rows: list[Row], name: str, digits: int) -> str:
    return f"{fmean(number(r, name) for r in rows):.{digits}f}"


def grouped(rows: list[Row], name: str) -> Iterator[tuple[str, list[Row]]]:
    """Rows by the value of a column, in the order of the first of each."""
    for value in dict.fromkeys(r[name] for r in rows):
        yield value, [r for r in rows if r[name] == value]


def table(heads: Iterable[str], lines: Iterable[list[str]], align: str) -> str:
    """A Markdown table; align: a letter for each column, l, r or c."""
    marks = {"l": "---", "r": "---:", "c": ":---:"}
    rows = [heads, [marks[a] for a in align], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
