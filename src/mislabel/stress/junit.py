"""A verdict for machines: JUnit XML, which CI systems show, and JSON.

JUnit knows no undecided test. It is *skipped* here, with its reason: a failure would say that the
code is bad, and a pass that it is good, where neither was shown. A build that must not go on while
a threshold is undecided reads the exit status, which is 3.

Names and reasons come from users' code and files: control characters are written out, since XML
has no place for them.
"""

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mislabel.stress.decisions import Decision, Verdict
from mislabel.stress.results import YOURS, StressCell, StressNoise, StressResults
from mislabel.stress.suite import CLEAN
from mislabel.stress.summary import area_interval, drop_interval, families, metric_interval
from mislabel.words import visible


def junit_xml(verdict: Verdict, results: StressResults) -> str:
    """A JUnit XML document of one test suite.

    A test case is a decision, of the class ``FIGURE/NOISE``, or a training that failed, which is an
    error; where none failed, one case says so. Times are in seconds of training.
    """
    own = _own(results)
    cases = [_decision(each) for each in verdict.decisions] + _trainings(own, verdict.n_missing)
    endings = Counter(child.tag for case in cases for child in case)
    suite = _element(
        "testsuite",
        name=f"mislabel stress: {_suite(results)}",
        tests=len(cases),
        failures=endings["failure"],
        errors=endings["error"],
        skipped=endings["skipped"],
        time=f"{sum(cell.seconds for cell in own):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(results).items():
        properties.append(_element("property", name=name, value=value))
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def verdict_json(verdict: Verdict, results: StressResults) -> dict[str, Any]:
    """The verdict and what it is of, as JSON values; None for what is not finite."""
    value = {
        "state": verdict.state,
        "exit_status": verdict.exit_status,
        "n_failed": verdict.n_failed,
        "n_missing": verdict.n_missing,
        "seeds_needed": verdict.seeds_needed,
        "decisions": [{**vars(d), "found": d.found.to_json()} for d in verdict.decisions],
        "failures": [
            {"noise": cell.noise, "seed": cell.seed, "failure": cell.failure, "log": cell.log}
            for cell in _failed(_own(results))
        ],
        "noises": [_noise(results, noise) for noise in results.noises],
        "areas": _areas(results),
        "metric": results.metric,
        "lower_is_better": results.lower_is_better,
        "seeds": results.seeds,
        **{name: results.metadata.get(name) for name in ("data", "suite", "versions", "command")},
    }
    found: dict[str, Any] = _plain(value)
    return found


def _noise(results: StressResults, noise: StressNoise) -> dict[str, Any]:
    """Every metric and the drop of every subject under one noise."""
    subjects = {}
    for subject in results.subjects:
        cells = results.select(noise=noise.spec, subject=subject.name).values()
        names = sorted({name for cell in cells for name in cell.metrics})
        found = {
            name: metric_interval(results, noise.spec, subject.name, metric=name).to_json()
            for name in names
        }
        drop = drop_interval(results, noise.spec, subject.name).to_json()
        subjects[subject.name] = {"metrics": found, "drop": None if noise.spec == CLEAN else drop}
    return {"noise": noise.spec, "rate": noise.rate, "subjects": subjects}


def _areas(results: StressResults) -> dict[str, Any]:
    """Area under the curve of every subject by family of noises."""
    return {
        family: {s.name: area_interval(results, family, s.name).to_json() for s in results.subjects}
        for family in families(results)
    }


def _own(results: StressResults) -> list[StressCell]:
    return [cell for cell in results.cells if cell.subject == YOURS]


def _failed(cells: Sequence[StressCell]) -> list[StressCell]:
    return [cell for cell in cells if cell.failure is not None]


def _decision(decision: Decision) -> ET.Element:
    figure = decision.text.split()[0]
    case = _element("testcase", classname=f"{figure}/{decision.noise}", name=decision.text)
    if decision.state == "fail":
        case.append(_element("failure", decision.reason, message=decision.reason, type="threshold"))
    elif decision.state == "undecided":
        case.append(_element("skipped", message=f"undecided: {decision.reason}"))
    else:
        case.append(_element("system-out", decision.reason))
    return case


def _trainings(cells: Sequence[StressCell], n_missing: int) -> list[ET.Element]:
    """A case per failed training; where there is none, one that says so."""
    failed = [_failed_training(cell) for cell in _failed(cells)]
    if failed:
        return failed
    case = _element("testcase", classname="trainings", name="every training gives a result")
    if n_missing:
        words = f"undecided: {n_missing} of {n_missing + len(cells)} trainings have not ended"
        case.append(_element("skipped", message=words))
    return [case]


def _failed_training(cell: StressCell) -> ET.Element:
    case = _element(
        "testcase",
        classname=f"trainings/{cell.noise}",
        name=f"training at {cell.noise} with seed {cell.seed}",
        time=f"{cell.seconds:.3f}",
    )
    reason = cell.failure or ""
    log = f"{reason}\nlog: {cell.log}" if cell.log else reason
    case.append(_element("error", log, message=reason, type="training"))
    return case


def _element(tag: str, text: str | None = None, /, **attributes: object) -> ET.Element:
    """An element whose text and attributes XML can hold."""
    element = ET.Element(tag, {name: visible(str(v)) for name, v in attributes.items()})
    element.text = None if text is None else visible(text)
    return element


def _suite(results: StressResults) -> str:
    """Name and version of the suite."""
    suite = results.metadata.get("suite")
    return f"{suite['name']} v{suite['version']}" if isinstance(suite, Mapping) else ""


def _properties(results: StressResults) -> dict[str, str]:
    data, versions = (results.metadata.get(name) for name in ("data", "versions"))
    found = {"suite": _suite(results), "metric": results.metric}
    if isinstance(data, Mapping):
        named = {name: data.get(name) for name in ("name", "fingerprint")}
        found |= {f"data.{name}": str(v) for name, v in named.items() if v is not None}
    found["seeds"] = ",".join(map(str, results.seeds))
    if isinstance(versions, Mapping):
        found |= {f"version.{name}": str(version) for name, version in versions.items()}
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it: what is not finite is None, what JSON has no form for is text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
