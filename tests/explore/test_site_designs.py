"""Designs for single call sites: windows narrowed by what a site needs less, and what they save."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hwgen.explore.candidates import BASELINE, Sizes, parse_operands
from hwgen.explore.profile import Profile, SiteProfile
from hwgen.explore.records import Histogram, Point
from hwgen.explore.site_designs import saving, site_designs, site_windows, worth_measuring
from hwgen.spec.accumulator import Overflow

ONE = Histogram(first=0, counts=[9])
WIDE = SiteProfile(
    **dict.fromkeys(("a", "b", "products", "sums"), ONE),
    symbol="cblas_sgemm",
    m=8,
    n=4,
    k=20,
    calls=1,
    macs=3000,
    terms=20,
    special_a=0,
    special_b=0,
    samples=1,
    largest_a=8.0,
    largest_b=8.0,
    largest_product=60.0,
    largest_total=500.0,
    cancellation=4.0,
    largest_result=12.0,
    least_result=1.0,
    lowest_a=-30,
    lowest_b=-30,
)
# An eighth of the range, a quarter of the work.
SMALL = replace(WIDE, k=21, macs=1000, largest_product=7.0, largest_total=60.0)


def chosen(acc: str = "window:msb=5,lsb=-14,ovf=4", **change: object) -> Point:
    """A design whose error is eight times as large at the wide site."""
    values = {"name": acc, "a": "bf16", "b": "bf16", "acc": acc, "out": "fp32", "width": 24}
    errors = {WIDE.name: 8e-3, SMALL.name: 1e-3}
    return Point(**{**values, "energy_pj": 10.0, "site_errors": errors, **change})


def sizes(*sites: SiteProfile) -> Sizes:
    return Sizes(operands=parse_operands("bf16")[0], profile=Profile.merged((), sites), margin=2.0)


def windows(point: Point, *sites: SiteProfile):
    return site_windows(point, sizes(*(sites or (WIDE, SMALL))))


def test_a_site_loses_the_bits_that_it_does_not_need():
    (wide, same), (small, candidate) = windows(chosen())
    assert (wide.name, small.name) == (WIDE.name, SMALL.name)
    # The largest sums and the largest errors are in one site: it needs all of it.
    assert same.acc == chosen().acc
    window = candidate.window
    assert window.msb + window.ovf == 9 - 3
    assert window.lsb == -14 + 3


def test_saturation_stays_saturation():
    _, (_, candidate) = windows(chosen("window:msb=5,lsb=-14,ovf=4,overflow=saturate"))
    assert candidate.window.overflow is Overflow.SATURATE


def test_savings_are_weighted_by_work():
    found = windows(chosen())
    ((_, narrow),) = found[1:]
    assert worth_measuring(found, chosen()) == [narrow]
    designs = site_designs(found, chosen(), {narrow: 6.0})
    assert [(one.share, one.energy_pj) for one in designs] == [(0.75, 10.0), (0.25, 6.0)]
    assert designs[1].width == narrow.width == 24 - 6
    assert saving(designs, chosen()) == pytest.approx(0.1)


@pytest.mark.parametrize("energies", [[], [12.0]], ids=["not measured", "no less"])
def test_a_site_without_a_cheaper_window_is_counted_with_the_recommended_one(energies):
    found = windows(chosen())
    designs = site_designs(found, chosen(), dict(zip([found[1][1]], energies, strict=False)))
    assert {one.acc for one in designs} == {chosen().acc}
    assert saving(designs, chosen()) == 0.0


def test_few_windows_are_measured_those_with_the_most_work():
    sites = [replace(WIDE, k=20 + i, macs=1000 - i, largest_total=500 / 2.1**i) for i in range(8)]
    point = chosen(site_errors={site.name: 1e-3 for site in sites})
    found = windows(point, *sites)
    assert worth_measuring(found, point) == [candidate for _, candidate in found[1:4]]
    negligible = [sites[0], replace(sites[1], macs=1)]
    assert worth_measuring(windows(point, *negligible), point) == []


def test_sites_that_did_not_run_on_it_are_left_out():
    other = replace(WIDE, k=99)
    found = windows(chosen(), WIDE, SMALL, other)
    assert [site.name for site, _ in found] == [WIDE.name, SMALL.name]


@pytest.mark.parametrize(
    "change",
    [{"sites": (WIDE,)}, {"point": chosen(BASELINE)}, {"point": chosen(site_errors={})}],
    ids=["one site", "no window", "no errors"],
)
def test_what_cannot_be_told_is_not(change):
    assert windows(change.get("point", chosen()), *change.get("sites", ())) == []
    assert saving([], chosen()) is None


def test_unknown_sums_are_no_reason_to_fail():
    assert windows(chosen(), WIDE, replace(SMALL, largest_total=math.inf)) == []


@pytest.mark.parametrize("errors", [(8e-3, 1e-30), (8e-3, 0.0), (8e-3, None), (0.0, 0.0)])
def test_windows_stay_windows_however_little_a_site_needs(errors):
    tiny = replace(SMALL, largest_product=2.0**-20, largest_total=2.0**-18)
    point = chosen(site_errors=dict(zip((WIDE.name, tiny.name), errors, strict=True)))
    for _, candidate in windows(point, WIDE, tiny):
        assert candidate.window.width >= 2
        assert candidate.datapath
