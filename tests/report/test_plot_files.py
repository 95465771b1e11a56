"""Plots as files, and what stands where in them."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from explorations import call_site, exploration

from hwgen.explore.records import Point
from hwgen.report import draw_plots, standalone
from hwgen.report.svg import inline

pytest.importorskip("matplotlib")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def plots():
    return draw_plots(exploration(windows=10, sites=2))


def places(picture, size="wide") -> dict[str, tuple[float, float]]:
    """Where the designs stand in a plot: right and down."""
    text = re.findall(rf'<svg [^>]*class="plot {size}".*?</svg>', inline(picture), re.DOTALL)[0]
    found = {}
    for link in ElementTree.fromstring(text).iter("a"):
        (use,) = link.iter("use")
        name = link.get("aria-label").split(",")[0]
        found[name] = (float(use.get("x")), float(use.get("y")))
    return found


def test_files_are_svg_that_says_what_it_shows(plots):
    for picture in plots.pictures:
        text = standalone(picture)
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert root.find(f"{SVG}title").text == picture.title
        assert root.find(f"{SVG}desc").text == picture.label
        assert root.get("viewBox")
        assert "var(" not in text
        assert "script" not in text
        assert re.findall(r"https?://(?!www\.w3\.org/(?:2000/svg|1999/xlink))", text) == []


def test_files_have_unique_names(plots):
    names = [picture.name for picture in plots.pictures]
    assert len(set(names)) == len(names) == 7
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_designs_stand_by_their_numbers(plots, size):
    found = {point.name: point for point in exploration(windows=10, sites=2).points}
    energy, width = plots.fronts
    for picture, cost in ((energy, "energy_pj"), (width, "width")):
        spots = places(picture, size)
        measured = [name for name in found if getattr(found[name], cost) is not None]
        assert sorted(spots) == sorted(measured)
        by_error = sorted(measured, key=lambda name: (found[name].error, name))
        assert sorted(measured, key=lambda name: (spots[name][0], name)) == by_error
        by_cost = sorted(measured, key=lambda name: getattr(found[name], cost))
        assert sorted(measured, key=lambda name: -spots[name][1]) == by_cost


def test_an_error_of_zero_stands_left_of_all_others():
    found = exploration(windows=5, sites=0)
    points = [replace(found.points[4], error=0.0, name="exact"), *found.points[:4]]
    spots = places(draw_plots(replace(found, points=points)).fronts[1])
    assert min(spots, key=lambda name: spots[name][0]) == "exact"


def test_a_metric_replaces_the_error_and_grows_to_the_right():
    found = exploration(windows=4, sites=0)
    points = [replace(p, metric=0.9 + n / 100) for n, p in enumerate(found.points)]
    found = replace(found, points=points, metric_name="accuracy", native_metric=0.97)
    energy, width = draw_plots(found).fronts
    assert width.title == "Width against accuracy"
    spots = places(width)
    order = [point.name for point in points]
    assert sorted(order, key=lambda name: spots[name][0]) == order
    assert "unchanged program 0.970" in energy.wide


def test_without_energy_the_width_is_drawn_alone():
    found = exploration(windows=3, sites=0)
    points = [replace(point, energy_pj=None) for point in found.points]
    (only,) = draw_plots(replace(found, points=points)).fronts
    assert only.title == "Width against error seen"


def test_the_tolerance_is_drawn(plots):
    assert "allowed 10⁻⁶" in plots.fronts[0].wide
    assert "allowed 10⁻⁶" in plots.errors.narrow


def test_a_register_names_its_places(plots):
    text = plots.sites[0].wide
    assert re.search(r">ovf 9.{0,2}<", text)
    assert ">msb 5<" in text
    assert re.search(r">lsb −\d+<", text)


@pytest.mark.parametrize(
    "acc",
    [
        "window:msb=5,lsb=4,ovf=0",
        "window:msb=200,lsb=-900,ovf=40",
        "exact:terms=4096",
        "fma:fp32",
    ],
)
def test_registers_of_any_size_are_drawn(acc):
    point = Point(name="p", a="bf16", b="bf16", acc=acc, out="fp32", chosen=True)
    found = replace(exploration(windows=0, sites=0), points=[point], call_sites=[call_site()])
    (picture,) = draw_plots(found).sites
    assert ("msb" in picture.wide) == (acc != "fma:fp32")
