"""The figures of a stress test's page: each with a title, a note and its markup."""

from markupsafe import Markup
from matplotlib.figure import Figure

from mislabel.report.embed import svg_markup
from mislabel.report.panels import Panel
from mislabel.report.stress_figures import (
    MOST_CLASSES,
    curve_families,
    fitted_subjects,
    has_classes,
    stress_class_figure,
    stress_fitted_figure,
    stress_loss_figure,
    stress_rate_figure,
)
from mislabel.stress.intervals import LEVEL
from mislabel.stress.results import StressResults
from mislabel.stress.suite import CLEAN
from mislabel.stress.wording import capital, family_titles, metric_scale, subject_titles
from mislabel.words import visible


def loss_panels(results: StressResults, *, level: float = LEVEL) -> list[Panel]:
    """Losses by noise, of everyone."""
    if not any(cell.noise != CLEAN and cell.failure is None for cell in results.cells):
        return []
    metric = metric_scale(results).name
    alt = f"Loss of {metric} by noise: a row per noise, a dot with its interval per subject."
    figure = stress_loss_figure(results, level=level)
    return [_panel(figure, "Loss by noise", ident="losses", alt=alt)]


def rate_panels(results: StressResults, *, level: float = LEVEL) -> list[Panel]:
    """The metric against the rate, for families of several rates."""
    metric, titles, panels = metric_scale(results).name, family_titles(results), []
    for number, family in enumerate(curve_families(results)):
        figure = stress_rate_figure(results, family, level=level)
        alt = f"{metric} against the rate of wrong labels, {titles[family]}: a line per subject."
        panels.append(_panel(figure, titles[family], ident=f"rate{number}", alt=alt))
    return panels


def class_panels(results: StressResults) -> list[Panel]:
    """Losses of classes, where test examples were predicted."""
    if not has_classes(results):
        return []
    alt = "Loss of accuracy of every class under every noise, for your code: a heat map."
    few = len(results.class_names) <= MOST_CLASSES
    note = "" if few else f"The {MOST_CLASSES} classes that lose most."
    figure = stress_class_figure(results)
    return [_panel(figure, "Points lost, your code", ident="classes", alt=alt, note=note)]


def fitted_panels(results: StressResults, *, level: float = LEVEL) -> list[Panel]:
    """Wrong labels fitted against the rate, a panel per subject that has them."""
    names, panels = subject_titles(results), []
    for number, subject in enumerate(fitted_subjects(results)):
        title = capital(names[subject])
        alt = f"{title}: share of the wrong labels that are predicted as given, against the rate."
        figure = stress_fitted_figure(results, subject, level=level)
        panels.append(_panel(figure, title, ident=f"fitted{number}", alt=alt))
    return panels


def _panel(figure: Figure, title: str, *, ident: str, alt: str, note: str = "") -> Panel:
    image: Markup = svg_markup(figure, ident=ident, alt=visible(alt))
    return Panel(title=title, note=note, image=image)
