"""Which kind of noise predicts accuracy under human labels? From a finished run; no training.

    python studies/realism_matters/findings.py RUN

Writes findings.json, predictions.png and README.md beside this file; reading.md is by people.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import kendalltau, spearmanr

from mislabel.benchmark import load_results
from mislabel.benchmark.results import BenchmarkResults, summarise
from mislabel.files import write_json, write_text
from mislabel.specs import split_spec

HERE = Path(__file__).parent
HUMAN = {"worse_label": "human:worse_label", "random_label1": "human:random_label1"}
RESAMPLES = 2000
MARKERS = {
    "human random_label2": "o", "human-like": "^", "human-like, class effects fitted": "v",
    "class-dependent": "D", "PMD": "s", "instance": "P", "symmetric": "*", "CBN": "X",
}  # fmt: skip
"The same in both pictures."


def kind(spec: str) -> str:
    """A short name of a noise, the same at both rates."""
    name, rest = split_spec(spec, "noise")
    if name == "human-like":
        return "human-like, class effects fitted" if "effects=fitted" in rest else "human-like"
    names = {"cluster": "CBN", "pmd": "PMD", "human": f"human {rest}"}
    return names.get(name, name)


def accuracies(results: BenchmarkResults, epoch: str) -> dict[str, dict[str, float]]:
    """Per noise spec and method title: mean test accuracy in percent over seeds."""
    found: dict[str, dict[str, float]] = {}
    for noise in results.noises:
        for method in results.methods:
            summary = summarise(results.select(noise=noise.spec, method=method.spec), epoch)
            if summary.mean is not None:
                found.setdefault(noise.spec, {})[method.name] = 100 * summary.mean
    return found


def prediction(human: dict[str, float], made: dict[str, float]) -> dict[str, Any]:
    """How well accuracies under `made` noise tell those under `human` labels, over methods."""
    methods = [m for m in human if m in made]
    x, y = np.array([made[m] for m in methods]), np.array([human[m] for m in methods])
    away = x - y
    rng = np.random.default_rng(0)
    draws = np.array([_figures(x[i], y[i]) for i in rng.integers(0, len(x), (RESAMPLES, len(x)))])
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    names = ("spearman", "mean_absolute_difference", "difference_without_offset")
    values = _figures(x, y)
    return {
        "methods": len(methods),
        "kendall": float(kendalltau(x, y)[0]),
        "mean_difference": float(away.mean()),
        "same_best": methods[int(x.argmax())] == methods[int(y.argmax())],
    } | {
        n: {"value": v, "low": a, "high": b}
        for n, v, a, b in zip(names, values, low, high, strict=True)
    }


def _figures(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    if len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan"), float(np.abs(x - y).mean()), float("nan")
    away = x - y
    rest = np.abs(away - away.mean()).mean()
    return float(spearmanr(x, y)[0]), float(np.abs(away).mean()), float(rest)


def picture(
    human: dict[str, float], kinds: dict[str, dict[str, float]], title: str, axes: Any
) -> None:
    """Accuracy under each kind against accuracy under the human labels."""
    low = min(min(v.values()) for v in (human, *kinds.values())) - 2
    high = max(max(v.values()) for v in (human, *kinds.values())) + 2
    axes.plot([low, high], [low, high], color="0.6", lw=1, ls=":")
    for number, (name, marker) in enumerate(MARKERS.items()):
        made = kinds.get(name, {})
        methods = [m for m in human if m in made]
        if methods:
            x, y = [human[m] for m in methods], [made[m] for m in methods]
            axes.plot(x, y, marker, ms=5, color=f"C{number}", label=name)
    axes.set(xlabel=f"test accuracy under {title}, %", ylabel="under generated noise, %",
             xlim=(low, high), ylim=(low, high))  # fmt: skip
    axes.legend(fontsize=7)


def main() -> None:
    results = load_results(Path(sys.argv[1]))
    rates = {noise.spec: noise.labels.rate for noise in results.noises}
    content: dict[str, Any] = {"seeds": list(results.seeds), "missing": results.n_missing}
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (set_, spec) in zip(panels, HUMAN.items(), strict=True):
        near = [s for s in rates if s != spec and abs(rates[s] - rates[spec]) < 0.03]
        for epoch in ("last", "best"):
            found = accuracies(results, epoch)
            if spec in found:
                content.setdefault(set_, {})[epoch] = {
                    kind(s): prediction(found[spec], found[s]) for s in near if s in found
                }
            if epoch == "last" and spec in found:
                kinds = {kind(s): found[s] for s in near if s in found}
                picture(found[spec], kinds, f"human {set_}", axes)
                content[set_]["accuracy"] = {f"human {set_}": found[spec]} | kinds
                cells = [c for c in results.cells if c.noise == spec and "standard" in c.method]
                last = [c.curves["wrong_fitted"][-1] for c in cells]
                content[set_]["fitted"] = float(np.mean(last))
                content[set_]["rates"] = {kind(s): rates[s] for s in [spec, *near]}
    figure.savefig(HERE / "predictions.png", dpi=110)
    write_json(HERE / "findings.json", content)
    write_text(HERE / "README.md", page(content, results))


def page(content: dict[str, Any], results: BenchmarkResults) -> str:
    """README.md from the figures."""
    lines = [
        "# Does realism matter?",
        "",
        "`studies/realism_matters/run.sh`: CIFAR-10, a small convolutional network without "
        "augmentation. Under the human labels Standard fits "
        + " and ".join(f"{content[s]['fitted']:.2f} of the wrong ones ({s})" for s in HUMAN)
        + " by its last epoch. "
        f"Seeds {', '.join(map(str, content['seeds']))}; {len(results.methods)} methods are "
        "trained on human labels and on each kind of noise at the human rate. How well does a "
        "method's test accuracy under a kind of noise tell its accuracy under the human labels?",
        "",
        "Rank correlation (Spearman) over methods, mean absolute difference (MAD) in points, and "
        "MAD once the mean difference is taken away; 95 % intervals resample methods. Last epoch.",
    ]  # fmt: skip
    for set_ in HUMAN:
        found = content.get(set_, {})
        if "last" not in found:
            continue
        lines += ["", f"## {set_} (rate {found['rates'][f'human {set_}']:.3f} in these images)", "",
                  "| noise | rate | Spearman | Kendall | MAD | mean difference | MAD less mean "
                  "| best method the same |",
                  "|---|---:|---:|---:|---:|---:|---:|---|"]  # fmt: skip
        order = sorted(
            found["last"].items(), key=lambda i: i[1]["mean_absolute_difference"]["value"]
        )
        for name, p in order:
            lines.append(
                f"| {name} | {found['rates'][name]:.3f} | {_span(p['spearman'], 2)} | "
                f"{p['kendall']:.2f} | {_span(p['mean_absolute_difference'], 1)} | "
                f"{p['mean_difference']:+.1f} | {_span(p['difference_without_offset'], 1)} | "
                f"{'yes' if p['same_best'] else 'no'} |"
            )
        methods = list(found["accuracy"][f"human {set_}"])
        lines += ["", "Test accuracy, last epoch, percent:", "",
                  "| noise | " + " | ".join(methods) + " |",
                  "|---|" + "---:|" * len(methods)]  # fmt: skip
        for name, row in found["accuracy"].items():
            cells = [f"{row[m]:.1f}" if m in row else "" for m in methods]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "![Accuracy under generated noise against accuracy under human labels]"
              "(predictions.png)", ""]  # fmt: skip
    if (HERE / "reading.md").is_file():
        lines += [(HERE / "reading.md").read_text().rstrip(), ""]
    lines += ["All figures: [findings.json](findings.json); by training: [table.csv](table.csv), "
              "[table-best.md](table-best.md)."]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _span(figure: dict[str, float], digits: int) -> str:
    return "{value:.{d}f} ({low:.{d}f} to {high:.{d}f})".format(**figure, d=digits)


if __name__ == "__main__":
    main()
