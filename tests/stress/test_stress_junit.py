"""Verdicts for machines: JUnit XML that parses whatever is in it, and JSON without NaN."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from stress_examples import METADATA, stress_results

from mislabel.stress.decisions import Decision, Verdict
from mislabel.stress.intervals import interval
from mislabel.stress.junit import junit_xml, verdict_json
from mislabel.stress.results import StressResults
from mislabel.stress.thresholds import decide

modest = settings(deadline=None, derandomize=True, max_examples=60)

RESULTS = stress_results(
    {"clean": [0.9, 0.91], "symmetric:0.2": [0.7, 0.8], "pair:0.2": [0.6, "killed after 3 s"]},
    {"gce": {"clean": [0.9, "reference failed"]}},
)
THRESHOLDS = ["accuracy >= 0.5 at clean", "accuracy > 0.95 at clean", "accuracy > 70% at pair:0.2",
              "accuracy < 0.75 at symmetric:0.2"]  # fmt: skip


def suite_of(results: StressResults, verdict: Verdict) -> ET.Element:
    """The only test suite of the XML."""
    root = ET.fromstring(junit_xml(verdict, results))
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def test_cases() -> None:
    suite = suite_of(RESULTS, decide(RESULTS, THRESHOLDS, level=0.5))
    assert suite.attrib == {
        "name": "mislabel stress: example v1",
        "tests": "5",
        "failures": "2",
        "errors": "1",
        "skipped": "1",
        "time": "9.000",
    }
    passed, failed, broken, open_, training = suite.findall("testcase")
    assert passed.attrib == {
        "classname": "accuracy/clean",
        "name": "accuracy >= 0.5 at clean",
    }
    assert [child.tag for child in passed] == ["system-out"]
    assert failed.find("failure").attrib == {  # type: ignore[union-attr]
        "message": "accuracy 0.9050 (0.9000 to 0.9100, 2 seeds) is at most 0.95",
        "type": "threshold",
    }
    assert broken.find("failure").text == (  # type: ignore[union-attr]
        "1 of 2 trainings failed, the first at pair:0.2 with seed 2: killed after 3 s"
    )
    assert open_.find("skipped").get("message").startswith("undecided: accuracy 0.750 (")  # type: ignore[union-attr]
    assert training.attrib == {
        "classname": "trainings/pair:0.2",
        "name": "training at pair:0.2 with seed 2",
        "time": "1.500",
    }
    error = training.find("error")
    assert error is not None
    assert error.attrib == {"message": "killed after 3 s", "type": "training"}
    assert error.text == "killed after 3 s\nlog: cells/yours-pair-0.2-2/log.txt"


def test_properties() -> None:
    suite = suite_of(RESULTS, decide(RESULTS, []))
    assert {each.get("name"): each.get("value") for each in suite.iter("property")} == {
        "suite": "example v1",
        "metric": "accuracy",
        "data.name": "digits",
        "data.fingerprint": "d" * 64,
        "seeds": "1,2",
        "version.mislabel": "0.0",
    }


def test_without_failures_one_case_says_so() -> None:
    """A document without any test case is an error to some CI systems."""
    results = stress_results({"clean": [0.9, 0.9]})
    (case,) = suite_of(results, decide(results, [])).findall("testcase")
    assert (case.get("name"), list(case)) == ("every training gives a result", [])


def test_a_test_that_has_not_ended_is_skipped() -> None:
    results = stress_results({"clean": [0.9, None]})
    suite = suite_of(results, decide(results, []))
    assert suite.get("skipped") == "1"
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "undecided: 1 of 2 trainings have not ended"


def test_control_characters_are_written_out() -> None:
    results = stress_results({"clean": [0.9, "\x1b[31m <b>&\x00\ufffe\udc80\u202e]]>"]})
    error = suite_of(results, decide(results, [])).find("testcase/error")
    assert error is not None
    assert error.get("message") == "\\x1b[31m <b>&\\x00\\ufffe\\udc80\\u202e]]>"


@modest
@given(
    st.text(
        st.one_of(st.characters(categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"]), st.characters()),
        min_size=1,
    )
)
def test_any_text_gives_a_document(text: str) -> None:
    """Also one that can be written as UTF-8, and of which the JSON is whole."""
    metadata = {
        "data": {"name": text},
        "suite": {"name": text, "version": 1},
        "versions": {text: text},
    }
    results = stress_results({"clean": [0.9, text]}, metadata=metadata)
    decision = Decision(text=f"a {text}", noise=text, state="fail", found=interval([]), reason=text)
    verdict = Verdict(decisions=[decision, replace(decision, state="undecided")])
    ET.fromstring(junit_xml(verdict, results).encode())
    json.loads(json.dumps(verdict_json(verdict, results), allow_nan=False))


def test_json() -> None:
    verdict = decide(RESULTS, THRESHOLDS, level=0.5)
    value = json.loads(json.dumps(verdict_json(verdict, RESULTS), allow_nan=False))
    assert (value["state"], value["exit_status"], value["n_failed"]) == ("fail", 1, 1)
    assert (value["n_missing"], value["seeds_needed"], value["seeds"]) == (0, None, [1, 2])
    assert [d["state"] for d in value["decisions"]] == ["pass", "fail", "fail", "undecided"]
    assert value["decisions"][0]["text"] == "accuracy >= 0.5 at clean"
    assert value["decisions"][2]["found"] == {
        "mean": 0.6, "low": None, "high": None, "deviation": None, "count": 1, "values": [0.6],
    }  # fmt: skip
    assert value["failures"] == [
        {"noise": "pair:0.2", "seed": 2, "failure": "killed after 3 s",
         "log": "cells/yours-pair-0.2-2/log.txt"},
    ]  # fmt: skip
    assert {name: value[name] for name in METADATA} == METADATA


def test_json_has_every_figure() -> None:
    """One seed of each: drops by hand, and an area that is the mean of both ends."""
    yours, other = ({"clean": [a], "symmetric:0.2": [b]} for a, b in ((0.9, 0.7), (0.8, 0.8)))
    value = verdict_json(decide(results := stress_results(yours, {"elr": other}), []), results)
    clean, noisy = value["noises"]
    assert (clean["noise"], clean["rate"], noisy["rate"]) == ("clean", 0.0, 0.2)
    assert clean["subjects"]["yours"]["drop"] is None
    assert noisy["subjects"]["yours"]["metrics"]["accuracy"]["values"] == [0.7]
    assert round(noisy["subjects"]["yours"]["drop"]["mean"], 9) == 0.2
    assert round(value["areas"]["symmetric"]["yours"]["mean"], 9) == 0.8
    assert round(value["areas"]["symmetric"]["elr"]["mean"], 9) == 0.8


def test_json_of_what_is_not_json() -> None:
    metadata = {"data": {"shape": (3, 4), "mean": math.nan}, "versions": {"a": math.inf}}
    results = stress_results({"clean": [0.9, 0.9]}, metadata=metadata)
    value = verdict_json(decide(results, []), results)
    assert (value["data"], value["versions"]) == ({"shape": [3, 4], "mean": None}, {"a": None})
    assert (value["suite"], value["command"]) == (None, None)
