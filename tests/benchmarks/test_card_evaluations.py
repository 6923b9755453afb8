"""Numbers of reports on cards of weights."""

import json

import pytest

from benchmarks.card_evaluations import Settings, tell


def report(folder, data, accuracy):
    path = folder / f"{data}.json"
    measures = {"z/SO3": {"linear_svm": {"accuracy": accuracy, "accuracies": [accuracy]}}}
    told = {"kind": "linear", "about": {"data": data}, "measures": measures}
    path.write_text(json.dumps(told))
    return path


def test_a_report_replaces_the_one_of_its_kind_and_data_and_nothing_else(tmp_path):
    other = {"kind": "clustering", "data": "tens", "measures": {}}
    older = [
        {"kind": "linear", "data": data, "measures": {"old": 1}} for data in ("tens", "forties")
    ]
    card = {"name": "mine", "sha256": "0", "evaluations": [other, *older]}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    reports = report(tmp_path, "tens", 0.8), report(tmp_path, "new", 0.7)
    written = tell(Settings("mine", reports, tmp_path))
    found = json.loads(written.read_text())
    assert found | {"evaluations": 0} == card | {"evaluations": 0}
    assert found["evaluations"][:2] == [other, older[1]]
    told = [(each["kind"], each["data"], each["measures"]) for each in found["evaluations"][2:]]
    assert told == [
        ("linear", "tens", {"z/SO3": {"linear_svm": {"accuracy": 0.8}}}),
        ("linear", "new", {"z/SO3": {"linear_svm": {"accuracy": 0.7}}}),
    ]


def test_weights_and_reports_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mine\.json"):
        tell(Settings("mine", (), tmp_path))
