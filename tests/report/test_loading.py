"""Reading explorations: what is wrong with a file is one line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from explorations import exploration

from hwgen.errors import HwgenError
from hwgen.report import load


def written(tmp_path, change):
    path = tmp_path / "exploration.json"
    exploration(windows=2, sites=1).write(path)
    table = json.loads(path.read_text(encoding="utf-8"))
    change(table)
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def test_what_was_written_is_read(tmp_path):
    path = written(tmp_path, lambda table: None)
    assert load(path) == exploration(windows=2, sites=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t["points"][1].update(width="wide"), "points[1].width is 'wide', not a number"),
        (lambda t: t["points"][0].update(name=None), "points[0].name is None, not a str"),
        (lambda t: t["points"][0].update(front=1), "points[0].front is 1, not a bool"),
        (lambda t: t["points"][0].update(energy_pj=True), "energy_pj is True, not a number"),
        (lambda t: t["call_sites"][0]["a"].update(counts=[1, "x"]), "a.counts[1] is 'x'"),
        (lambda t: t.update(versions=[]), "versions is [], not a dict"),
        (lambda t: t.update(versions={"Yosys": 0.7}), "versions['Yosys'] is 0.7, not a str"),
        (lambda t: t.update(title={"a": "b" * 99}), "..., not a str"),
        (lambda t: t["points"][0].update(site_errors={"s": "x"}), "site_errors['s'] is 'x'"),
        (lambda t: t.update(site_designs=[{}]), "holds no exploration of this version"),
        (lambda t: t.update(version=99), "holds no exploration of this version"),
        (lambda t: t.pop("points"), "holds no exploration"),
        (lambda t: t.update(points=7), "holds no exploration"),
        (lambda t: t["points"][0].update(more=1), "holds no exploration"),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path, change, says):
    path = written(tmp_path, change)
    with pytest.raises(HwgenError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_the_first_version_is_read(tmp_path):
    def age(table):
        table["version"] = 1
        for name in ("metric_smaller_is_better", "rows", "cols", "site_designs", "site_saving"):
            del table[name]
        for point in table["points"]:
            del point["site_errors"], point["energies"]

    found = load(written(tmp_path, age))
    assert found == replace(exploration(windows=2, sites=1), rows=None, cols=None)
    assert (found.metric_smaller_is_better, found.site_designs) == (False, [])


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, "\0", '"text"'])
def test_a_file_that_is_something_else_is_refused(tmp_path, text):
    path = tmp_path / "exploration.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HwgenError):
        load(path)


def test_a_file_of_other_bytes_is_refused(tmp_path):
    path = tmp_path / "exploration.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HwgenError):
        load(path)


def test_text_becomes_printable(tmp_path):
    def change(table):
        table["title"] = "a\x00b\ud800c\nd\x1b[31m"

    assert load(written(tmp_path, change)).title == "a\ufffdb\ufffdc d\ufffd[31m"
