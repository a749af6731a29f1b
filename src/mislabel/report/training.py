"""The curves of one training: accuracies above, the loss of training below."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mislabel.report.style import drawing, method_styles, new_figure

NAMES = {
    "test_accuracy": "right on test examples",
    "validation_accuracy": "noisy label of validation examples predicted",
    "train_accuracy": "given label of training examples predicted",
    "wrong_fitted": "wrong labels fitted",
    "wrong_corrected": "wrong labels seen through (clean class predicted)",
}
"The curves that are shares of examples, as the legend calls them."
_LEGEND_LINE = 0.17
"Inches that one line of the legend takes."


@drawing()
def training_figure(curves: Mapping[str, Sequence[float | None]]) -> Figure:
    """Curves as `mislabel.benchmark.results.CURVES` describes them; those without values left out.

    Epochs count from 1.
    """
    values = {name: _array(curves[name]) for name in NAMES if name in curves}
    shown = {name: curve for name, curve in values.items() if np.isfinite(curve).any()}
    figure = new_figure(height=3.7 + _LEGEND_LINE * len(shown))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
    styles = dict(zip(NAMES, method_styles(len(NAMES)), strict=True))
    for name, curve in shown.items():
        style, epochs = styles[name], np.arange(1, len(curve) + 1)
        step = max(len(curve) // 5, 1)
        above.plot(epochs, 100 * curve, color=style.colour, linestyle=style.line,
                   marker=style.marker, markevery=step, label=NAMES[name])  # fmt: skip
    above.set_ylabel("share, %")
    above.set_ylim(-3, 103)
    loss = _array(curves["train_loss"])
    below.plot(np.arange(1, len(loss) + 1), loss, color=styles["train_accuracy"].colour)
    below.set_ylabel("training loss")
    below.set_xlabel("epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
    figure.align_ylabels([above, below])
    if shown:
        figure.legend(loc="outside lower center", ncols=1)
    return figure


def _array(curve: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(curve, dtype=float)
