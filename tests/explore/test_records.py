"""Records of explorations: what is written can be read, whatever was measured."""

from __future__ import annotations

import json
import math

import pytest

from hwgen.explore.profile import SiteProfile
from hwgen.explore.records import LARGEST, Exploration, Histogram, Point, SiteDesign

HISTOGRAM = Histogram(first=0, counts=[1])
POINT = Point(
    name="p",
    a="bf16",
    b="bf16",
    acc="exact",
    out="fp32",
    site_errors={"s": 0.5, "t": None},
    energies={"relu": 2.0, "recorded": 3.0},
)


def site(**change: object) -> SiteProfile:
    numbers = ("largest_a", "largest_b", "largest_product", "largest_result", "least_result")
    counts = ("m", "n", "k", "calls", "macs", "terms", "special_a", "special_b", "samples")
    values = {
        **dict.fromkeys(("a", "b", "products", "sums"), HISTOGRAM),
        **dict.fromkeys(numbers, 1.0),
        **dict.fromkeys(counts, 1),
        "symbol": "cblas_sgemm",
        "largest_total": 1.0,
        "cancellation": 1.0,
        "lowest_a": 0,
        "lowest_b": 0,
    }
    return SiteProfile(**{**values, **change})


def found(**change: object) -> Exploration:
    values = {"title": "t", "command": ["c"], "points": [POINT], "call_sites": []}
    return Exploration(**{**values, "commands": [], "versions": {}, **change})


def test_what_was_written_is_read(tmp_path):
    design = SiteDesign(name="s", share=1.0, acc="exact", width=9, energy_pj=2.0)
    whole = found(
        rows=3,
        cols=4,
        metric_name="loss",
        metric_smaller_is_better=True,
        site_designs=[design],
        site_saving=0.1,
    )
    whole.write(tmp_path / "e.json")
    assert Exploration.read(tmp_path / "e.json") == whole


@pytest.mark.parametrize("name", ["cancellation", "largest_total"])
def test_infinite_numbers_of_a_site_are_written_as_very_large_ones(tmp_path, name):
    call_site = site(**{name: math.inf}).call_site()
    assert getattr(call_site, name) == LARGEST
    whole = found(call_sites=[call_site])
    whole.write(tmp_path / "e.json")
    assert Exploration.read(tmp_path / "e.json") == whole


def test_a_record_of_the_first_version_is_read(tmp_path):
    path = tmp_path / "e.json"
    found().write(path)
    table = json.loads(path.read_text())
    new = "metric_smaller_is_better", "rows", "cols", "site_designs", "site_saving"
    old = {name: value for name, value in table.items() if name not in new} | {"version": 1}
    for point in old["points"]:
        del point["site_errors"], point["energies"]
    path.write_text(json.dumps(old))
    (point,) = Exploration.read(path).points
    assert (point.name, point.site_errors, point.energies) == ("p", {}, {})
