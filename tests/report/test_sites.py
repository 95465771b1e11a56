"""Call sites: what is said of msb, overflow bits and lsb is what the counts say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from explorations import call_site, exploration

from hwgen.explore.records import Histogram, Point
from hwgen.report.sites import MOST_SITES, site_views, window_of

# Products from 2**-3 to below 2**3, one of ten thousand at the lower end; sums below 2**5.
SITE = replace(
    call_site(),
    terms=16,
    products=Histogram(first=-3, counts=[1, 0, 999, 5000, 3000, 1000]),
    sums=Histogram(first=0, counts=[5, 4, 3, 2, 1, 0]),
)


def design(acc: str) -> Point:
    return Point(name="p", a="bf16", b="bf16", acc=acc, out="fp32")


def facts(acc: str, tolerance: float | None = None, sites=(SITE,)) -> str:
    found = replace(exploration(windows=1), call_sites=list(sites), tolerance=tolerance)
    return " ".join(site_views(found, design(acc))[0].facts)


def test_a_window_around_the_data_drops_nothing():
    said = facts("window:msb=2,lsb=-3,ovf=3")
    assert "Products lie from 2⁻³ to below 2³." in said
    assert "Partial sums stay below 2⁵." in said
    assert "msb 2 holds the largest product with no bit to spare." in said
    assert "With ovf 3 the register holds sums below 2⁵: no bit to spare." in said
    assert "No product lies wholly below lsb −3." in said


def test_a_wider_window_has_bits_to_spare():
    said = facts("window:msb=4,lsb=-9,ovf=2")
    assert "with 2 bits to spare" in said
    assert "below 2⁶: 1 bit to spare" in said


@pytest.mark.parametrize(
    ("acc", "says"),
    [
        ("window:msb=1,lsb=-3,ovf=4", "10 % of the products lie above msb 1: each is a range"),
        ("window:msb=2,lsb=-3,ovf=1", "20 % of the partial sums reach the sign bit"),
        ("window:msb=2,lsb=-2,ovf=3", "0.01 % of the products lie wholly below lsb −2 and are dr"),
        ("window:msb=2,lsb=-1,ovf=3,round=even", "0.01 % of the products lie wholly below lsb −1"),
        ("window:msb=2,lsb=0,ovf=3,round=even", "are rounded to it or to 0"),
        ("fma:fp32", "The design has no window"),
        ("nonsense", "The design has no window"),
    ],
)
def test_what_a_window_misses_is_counted(acc, says):
    assert says in facts(acc)


def test_the_allowed_error_is_placed_by_the_largest_sum():
    # The largest sum has the exponent 4, so 2**-10 of it weighs 2**-6: 4 bits above lsb.
    said = facts("window:msb=2,lsb=-10,ovf=3", tolerance=2.0**-10)
    assert "The allowed error weighs about 2⁻⁶, 4 bits above lsb" in said
    assert "up to 16 products may add up to 4 bits" in said


def test_the_error_of_each_call_site_is_told():
    other = replace(SITE, name="other", macs=1)
    found = replace(exploration(windows=1), call_sites=[SITE, other])
    point = replace(
        design("window:msb=2,lsb=-3,ovf=3"), site_errors={SITE.name: 1e-4, "other": None}
    )
    both, first, second = site_views(found, point)
    assert "seen here is at most 10⁻⁴" in " ".join(first.facts)
    assert "seen here is infinite" in " ".join(second.facts)
    assert "seen here" not in " ".join(both.facts)


def test_one_site_needs_no_summary_of_all():
    views = site_views(replace(exploration(windows=1), call_sites=[SITE]), None)
    assert [view.site.name for view in views] == [SITE.name]


def test_all_sites_together_come_first_and_count_everything():
    other = replace(
        SITE, name="other", macs=1, terms=99, products=Histogram(first=-9, counts=[7], zeros=3)
    )
    found = replace(exploration(windows=1), call_sites=[other, SITE])
    both, first, second = (view.site for view in site_views(found, None))
    assert both.name == "All 2 call sites together"
    assert (first, second) == (SITE, other)  # by MACs
    assert (both.calls, both.macs, both.terms) == (SITE.calls * 2, SITE.macs + 1, 99)
    assert both.products.first == -9
    assert both.products.counts == [7, 0, 0, 0, 0, 0, 1, 0, 999, 5000, 3000, 1000]
    assert both.products.zeros == 3


def test_of_many_sites_the_heaviest_are_shown():
    found = replace(exploration(windows=1), call_sites=[call_site(n) for n in range(40)])
    views = site_views(found, None)
    assert len(views) == MOST_SITES + 1
    assert [view.site.macs for view in views[1:]] == sorted(
        (view.site.macs for view in views[1:]), reverse=True
    )


def test_a_site_without_any_number_is_left_out():
    empty = Histogram(first=0, counts=[])
    site = replace(SITE, a=empty, b=empty, products=empty, sums=empty)
    assert site_views(replace(exploration(windows=1), call_sites=[site]), None) == []


def test_every_accumulator_with_a_register_has_a_window():
    assert window_of(replace(design("int:32"), a="int:8", b="int:8")).width == 32
    assert window_of(design("exact:terms=64")).width > 500
    assert window_of(design("muladd:fp32")) is None
    assert window_of(None) is None
