"""Profiles of programs: what the BLAS library counts, against NumPy's count of the same."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from hwgen.errors import HwgenError, SpecError, ToolError
from hwgen.explore import Ranges
from hwgen.explore.profile import Profile, SiteProfile, read_folder, rounding_bound
from hwgen.explore.records import Histogram
from hwgen.formats import parse_format
from hwgen.runtime.library import library_path
from hwgen.runtime.session import RunSettings, environment

GOLDEN = 0x9E3779B97F4A7C15
# Spread over many binades, with zeros and subnormals of float32.
MAKE = """
import numpy as np
def make(seed, shape, dtype, spread):
    r = np.random.default_rng(seed)
    x = r.normal(size=shape) * 2.0 ** r.integers(-spread, spread + 1, size=shape)
    x[r.random(size=shape) < 0.1] = 0
    return x.astype(dtype)
"""
NAMES: dict = {}
exec(MAKE, NAMES)
make = NAMES["make"]


def profiled(folder: Path, source: str, *, check: bool = True) -> Profile:
    """Run Python code natively with a profile."""
    try:
        library_path("hwgen_blas")
    except ToolError as error:
        pytest.skip(str(error))
    (folder / "config").write_text(RunSettings(profile=True, min_mnk=3).config(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", MAKE + source],
        env={**environment(folder, os.environ), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not check or done.returncode == 0, done.stderr
    return Profile.merged(("python",), read_folder(folder))


def site_of(profile: Profile, word: str) -> SiteProfile:
    (site,) = (site for site in profile.sites if word in site.symbol)
    return site


def exponents(x: np.ndarray) -> np.ndarray:
    return np.frexp(np.asarray(x, np.float64))[1] - 1


def histogram(values: np.ndarray, zeros: int) -> Histogram:
    if not values.size:
        return Histogram(first=0, counts=[], zeros=zeros)
    low = int(values.min())
    return Histogram(first=low, counts=np.bincount(values - low).tolist(), zeros=zeros)


def counted(x: np.ndarray) -> Histogram:
    return histogram(exponents(x[x != 0]).ravel(), int((x == 0).sum()))


def counted_products(a: np.ndarray, b: np.ndarray) -> Histogram:
    sums = exponents(a)[:, :, None] + exponents(b)[None]
    there = (a != 0)[:, :, None] & (b != 0)[None]
    return histogram(sums[there].ravel(), int((~there).sum()))


def sampled(m: int, n: int) -> list[tuple[int, int]]:
    """The elements whose sums are followed, as profile.c picks them."""
    count = min(64, -(-m * n // 256))
    places = [((t * GOLDEN) % 2**64 * m * n) >> 64 for t in range(count)]
    return [divmod(place, n) for place in places]


def lowest_bit(x: np.ndarray) -> int:
    ratios = [Fraction(float(value)) for value in x.ravel() if value]
    return min(
        (r.numerator & -r.numerator).bit_length() - 1 - (r.denominator.bit_length() - 1)
        for r in ratios
    )


@pytest.mark.parametrize(
    ("m", "k", "n", "dtype", "spread"),
    [
        (5, 7, 4, "float32", 3),
        (70, 33, 41, "float32", 10),
        (19, 300, 23, "float32", 40),
        (40, 20, 35, "float32", 60),
        (9, 40, 31, "float64", 8),
        (12, 17, 20, "float64", 300),
    ],
)
def test_a_product_is_counted_as_numpy_counts_it(tmp_path, m, k, n, dtype, spread):
    a, b = make(1, (m, k), dtype, spread), make(2, (k, n), dtype, spread)
    code = f"make(1, ({m}, {k}), '{dtype}', {spread}) @ make(2, ({k}, {n}), '{dtype}', {spread})"
    site = site_of(profiled(tmp_path, code), "gemm")
    assert (site.k, site.terms, site.calls, site.macs) == (k, k, 1, m * n * k)
    assert (site.a, site.b) == (counted(a), counted(b))
    assert site.products == counted_products(a, b)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(wide_a)[:, :, None] * np.abs(wide_b)[None]
    assert largest.max() <= site.largest_product <= np.nextafter(largest.max(), math.inf)
    total = (np.abs(wide_a) @ np.abs(wide_b)).max()
    assert total <= site.largest_total * (1 + 1e-13)
    assert site.largest_total <= total * 1.002
    assert (site.lowest_a, site.lowest_b) == (lowest_bit(a), lowest_bit(b))
    assert (site.special_a, site.special_b) == (0, 0)


def test_partial_sums_are_those_of_the_elements_picked(tmp_path):
    m, k, n = 40, 30, 50
    a, b = make(1, (m, k), "float32", 3), make(2, (k, n), "float32", 3)
    code = f"make(1, ({m}, {k}), 'float32', 3) @ make(2, ({k}, {n}), 'float32', 3)"
    site = site_of(profiled(tmp_path, code), "gemm")
    terms = [a[i].astype(np.float64) * b[:, j].astype(np.float64) for i, j in sampled(m, n)]
    sums = np.array([np.cumsum(each) for each in terms])
    assert site.samples == len(terms) == 8
    assert site.sums == counted(sums)
    results = np.abs(sums[:, -1])
    assert site.largest_result == site.least_result == results.max()
    ratios = [np.abs(each).sum() / abs(each.sum()) for each in terms]
    assert site.cancellation == pytest.approx(max(ratios), rel=1e-12)


def test_calls_of_a_site_are_added_and_counts_beyond_the_first_are_scaled(tmp_path):
    code = "x = make(1, (8, 8), 'float32', 2); y = make(2, (8, 8), 'float32', 2)"
    profile = profiled(tmp_path, f"{code}\nfor i in range(48): x @ y")
    site = site_of(profile, "gemm")
    # 32 one by one, then the 33rd and the 41st for eight each.
    assert site.calls == 48
    assert sum(site.a.counts) + site.a.zeros == 48 * 64
    assert sum(site.products.counts) + site.products.zeros == 48 * 512


def test_infinities_and_nan_are_counted_apart(tmp_path):
    code = """
x = make(1, (6, 5), 'float32', 2); x[0, 0] = np.inf; x[3, 2] = np.nan; x[3, 3] = -np.inf
with np.errstate(all="ignore"):
    x @ make(2, (5, 4), 'float32', 2)
"""
    site = site_of(profiled(tmp_path, code), "gemm")
    assert (site.special_a, site.special_b) == (3, 0)
    assert sum(site.a.counts) + site.a.zeros == 27
    assert math.isfinite(site.largest_total)


def test_the_program_computes_as_without_a_profile(tmp_path):
    code = """
a, b = make(1, (30, 20), 'float64', 5), make(2, (20, 25), 'float64', 5)
c = a @ b; g = a @ a.T; v = a @ b[:, 0]; z = (a + 1j * a) @ (b - 2j * b)
found = [float(abs(x).sum()) for x in (c, g, v, z)] + [float(a[0] @ b[:, 1])]
"""
    plain = subprocess.run(
        [sys.executable, "-c", f"{MAKE}{code}print(found)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    profiled(tmp_path, f"{code}open({str(tmp_path / 'out')!r}, 'w').write(str(found))")
    assert (tmp_path / "out").read_text() == plain.stdout.strip()


def test_triangular_solves_are_profiled_and_left_to_the_original(tmp_path):
    pytest.importorskip("scipy")
    code = """
from scipy.linalg.blas import dtrsm
a = np.tril(make(1, (70, 70), 'float64', 1)) + 20 * np.eye(70)
b = make(2, (70, 3), 'float64', 1)
assert np.allclose(a @ dtrsm(1.0, a, b, lower=1), b, atol=1e-9)
"""
    site = site_of(profiled(tmp_path, code), "trsm")
    assert site.k == 70
    assert 0 < site.terms < 70


def test_a_crash_loses_nothing_and_processes_are_merged(tmp_path):
    code = """
import os, multiprocessing
x = np.ones((4, 4), np.float32)
def work():
    x @ x
    os.abort()
work_process = multiprocessing.get_context("fork").Process(target=work)
x @ x
work_process.start(); work_process.join()
os.abort()
"""
    profile = profiled(tmp_path, code, check=False)
    assert len(list(tmp_path.glob("profile.*"))) == 2
    assert site_of(profile, "gemm").calls == 2


def test_sites_beyond_the_room_are_gathered(tmp_path):
    code = "for k in range(2, 300): np.ones((3, k), np.float32) @ np.ones((k, 3), np.float32)"
    profile = profiled(tmp_path, code)
    (other,) = (site for site in profile.sites if site.k < 0)
    assert len(profile.sites) == 257
    assert other.name == "other products"
    assert sum(site.calls for site in profile.sites) == 298


# --- in Python alone ------------------------------------------------------------------------------


def site(**change: object) -> SiteProfile:
    plain = Histogram(first=0, counts=[1])
    values = {
        **dict.fromkeys(("a", "b", "products", "sums"), plain),
        "symbol": "cblas_sgemm",
        "m": 4,
        "n": 4,
        "k": 8,
        "calls": 1,
        "macs": 128,
        "terms": 8,
        "special_a": 0,
        "special_b": 0,
        "samples": 1,
        "largest_a": 3.0,
        "largest_b": 2.0,
        "largest_product": 5.0,
        "largest_total": 20.0,
        "largest_result": 7.0,
        "least_result": 4.0,
        "cancellation": 1.5,
        "lowest_a": -3,
        "lowest_b": -2,
    }
    return SiteProfile(**{**values, **change})


def test_merging_adds_counts_and_keeps_the_extremes():
    one = site(a=Histogram(first=-2, counts=[1, 2], zeros=1))
    other = site(
        a=Histogram(first=1, counts=[4]), largest_total=30.0, least_result=math.inf, lowest_a=None
    )
    both = one.merge(other)
    assert both.a == Histogram(first=-2, counts=[1, 2, 0, 4], zeros=1)
    assert (both.calls, both.largest_total, both.least_result) == (2, 30.0, 4.0)
    assert both.lowest_a == -3


def test_a_profile_written_and_read_is_the_same(tmp_path):
    sites = [site(), site(k=9, least_result=math.inf, largest_total=math.inf, lowest_b=None)]
    profile = Profile.merged(("python", "x.py"), sites)
    profile.write(tmp_path / "p.json")
    assert Profile.read(tmp_path / "p.json") == profile


@pytest.mark.parametrize("text", ["", "{}", '{"profile": 99}', '{"profile": 1, "sites": [3]}'])
def test_what_is_no_profile_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(HwgenError, match="holds no profile"):
        Profile.read(tmp_path / "p.json")


@pytest.mark.parametrize("name", ["fp32", "bf16", "e4m3", "fixed:4,4", "posit8", "mxfp8"])
def test_ranges_cover_the_data_after_rounding(name):
    fmt = parse_format(name)
    random = np.random.default_rng(5)
    a, b = random.normal(size=(9, 32)), random.normal(size=(32, 7))
    known = site(
        terms=32,
        a=counted(a),
        b=counted(b),
        largest_a=np.abs(a).max(),
        largest_b=np.abs(b).max(),
        largest_product=(np.abs(a)[:, :, None] * np.abs(b)[None]).max(),
        largest_total=(np.abs(a) @ np.abs(b)).max(),
        lowest_a=lowest_bit(a),
        lowest_b=lowest_bit(b),
    )
    bits = fmt.from_float(a, axis=1), fmt.from_float(b, axis=0)
    exact = Ranges.observed(*bits, fmt, fmt)
    told = known.ranges(fmt, fmt)
    assert told.product >= exact.product
    assert told.total >= exact.total
    assert told.lowest <= exact.lowest
    wider = known.ranges(fmt, fmt, margin=4)
    assert wider.product >= told.product
    assert wider.lowest <= told.lowest


def test_rounding_moves_no_element_further_than_told():
    fmt = parse_format("bf16")
    random = np.random.default_rng(6)
    a, b = random.normal(size=(9, 32)), random.normal(size=(32, 7))
    known = site(
        terms=32,
        largest_a=np.abs(a).max(),
        largest_b=np.abs(b).max(),
        largest_total=(np.abs(a) @ np.abs(b)).max(),
    )
    profile = Profile(program=(), sites=(known,))
    rounded = [fmt.to_float(fmt.from_float(x)) for x in (a, b)]
    seen = np.abs(rounded[0] @ rounded[1] - a @ b).max()
    bound = rounding_bound(profile, fmt, fmt, margin=1)
    assert seen <= bound < 0.3
    assert rounding_bound(profile, parse_format("posit8"), fmt, margin=1) is None


def test_margins_below_one_and_unknown_sums_are_refused():
    fmt = parse_format("bf16")
    with pytest.raises(SpecError, match="margin is 0.5"):
        site().ranges(fmt, fmt, margin=0.5)
    with pytest.raises(SpecError, match="beyond what float64 holds"):
        site(largest_total=math.inf).ranges(fmt, fmt)
    with pytest.raises(SpecError, match="called no BLAS"):
        Profile(program=(), sites=()).ranges(fmt, fmt)
