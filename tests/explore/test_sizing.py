"""Sized windows hold their data, keep to their bound, and are no wider than they need to be."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwgen import Datapath, SpecError
from hwgen.explore import Ranges, error_bound, size_window
from hwgen.formats import parse_format
from hwgen.model import exact, gemm_bits
from hwgen.spec.accumulator import Rounding

ROUNDINGS = (Rounding.ZERO, Rounding.EVEN, Rounding.ODD)


def run(a_bits, b_bits, fmt, window, out="raw"):
    """Results as exact numbers, and their status."""
    datapath = Datapath.parse(a=fmt.name, acc=str(window), out=out)
    bits, status = gemm_bits(a_bits, b_bits, datapath)
    if datapath.out is not None:
        return [datapath.out.decode(int(b)).fraction for b in bits.ravel()], status
    width = window.width
    words = bits.reshape(bits.shape[0], bits.shape[1], -1)
    numbers = [
        sum(int(word) << 64 * place for place, word in enumerate(element))
        for element in words.reshape(-1, words.shape[2])
    ]
    signed = [n - (n >> (width - 1) << width) for n in numbers]
    return [n * Fraction(2) ** window.lsb for n in signed], status


def exact_products(a_bits, b_bits, fmt):
    rows = [[fmt.decode(int(x)).fraction for x in row] for row in a_bits]
    columns = [[fmt.decode(int(x)).fraction for x in column] for column in b_bits.T]
    return [
        sum(x * y for x, y in zip(row, column, strict=True)) for row in rows for column in columns
    ]


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.value)
@pytest.mark.parametrize("name", ["bf16", "fp16", "e4m3", "posit16", "int8", "mxfp6"])
# Sums are computed between draws, which a busy machine takes for slow draws.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_data_within_the_declared_ranges_keeps_to_the_bound(name, rounding, data):
    fmt = parse_format(name)
    terms = data.draw(st.integers(1, 40))
    limits = [Fraction(data.draw(st.integers(1, 60)), data.draw(st.integers(1, 9))) for _ in "ab"]
    ranges = Ranges.declared(fmt, fmt, terms=terms, a_max=limits[0], b_max=limits[1])
    tolerance = ranges.total * Fraction(2) ** -data.draw(st.integers(1, 30))
    sizing = size_window(ranges, tolerance, rounding=rounding)
    assert sizing.bound <= tolerance
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    # Adversarial data among it: everything at the limit, of one sign.
    scale = rng.choice([1.0, 1.0, -1.0, 0.37, 2.0**-9], (2, 3, terms)) if rng.integers(3) else 1.0
    a = np.broadcast_to(scale * np.float64(limits[0]), (2, 3, terms))[0]
    b = np.broadcast_to(scale * np.float64(limits[1]), (2, 3, terms))[1].T
    a_bits, b_bits = fmt.from_float(a, axis=1), fmt.from_float(b, axis=0)
    results, status = run(a_bits, b_bits, fmt, sizing.window)
    assert not (status & 3).any()
    for result, right in zip(results, exact_products(a_bits, b_bits, fmt), strict=True):
        assert abs(result - right) <= sizing.bound


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.value)
def test_the_bound_is_nearly_reached(rounding):
    # Of squares of these numbers some lose almost all that a product can lose.
    fmt = parse_format("bf16")
    ranges = Ranges.declared(fmt, fmt, terms=64, a_max=1, b_max=1)
    worst = Fraction(0)
    sizing = size_window(ranges, Fraction(1, 1000), rounding=rounding)
    for step in range(128, 256):
        a_bits = fmt.from_float(np.full((1, 64), step / 2048))
        results, _ = run(a_bits, a_bits.T, fmt, sizing.window)
        worst = max(worst, abs(results[0] - exact_products(a_bits, a_bits.T, fmt)[0]))
    assert worst <= sizing.bound <= 8 * worst


@pytest.mark.parametrize("name", ["bf16", "e5m2", "int8"])
def test_a_bit_less_of_any_part_would_not_do(name):
    fmt = parse_format(name)
    ranges = Ranges.declared(fmt, fmt, terms=24, a_max=3, b_max=5)
    tolerance = Fraction(1, 500)
    window = size_window(ranges, tolerance).window
    a_bits = fmt.from_float(np.full((1, 24), 3.0))
    b_bits = fmt.from_float(np.full((24, 1), 5.0))
    if name != "int8":
        assert error_bound(replace(window, lsb=window.lsb + 1), ranges) > tolerance
    for tight in (
        replace(window, msb=window.msb - 1, ovf=window.ovf + 1),
        replace(window, ovf=window.ovf - 1),
    ):
        assert run(a_bits, b_bits, fmt, window)[1][0, 0] & 2 == 0
        assert run(a_bits, b_bits, fmt, tight)[1][0, 0] & 2 == 2


def test_the_final_rounding_counts():
    fmt = parse_format("bf16")
    ranges = Ranges.declared(fmt, fmt, terms=100, a_max=1, b_max=1)
    sizing = size_window(ranges, Fraction(1, 2**10), out=parse_format("fp32"))
    rng = np.random.default_rng(5)
    a_bits = fmt.from_float(rng.uniform(-1, 1, (8, 100)))
    b_bits = fmt.from_float(rng.uniform(-1, 1, (100, 8)))
    results, status = run(a_bits, b_bits, fmt, sizing.window, out="fp32")
    assert not (status & 3).any()
    errors = [abs(x - y) for x, y in zip(results, exact_products(a_bits, b_bits, fmt), strict=True)]
    assert 0 < max(errors) <= sizing.bound <= Fraction(1, 2**10)


def test_what_the_result_format_holds_costs_no_rounding():
    # Sums of e4m3's products in float32: multiples of 2**-18 below 2**6.
    fmt, out = parse_format("e4m3"), parse_format("fp32")
    ranges = Ranges.declared(fmt, fmt, terms=60, a_max=1, b_max=1)
    assert size_window(ranges, out=out).bound == 0
    # With 2**7 terms as many bits more than float32 has are in use.
    wide = Ranges.declared(fmt, fmt, terms=129, a_max=1, b_max=1)
    assert size_window(wide, out=out).bound == Fraction(2) ** (7 - 24)


def test_without_a_tolerance_nothing_is_dropped():
    fmt = parse_format("e4m3")
    sizing = size_window(Ranges.declared(fmt, fmt, terms=4096))
    assert sizing.bound == 0
    assert sizing.window.width <= Datapath.parse(a="e4m3", acc="exact").window.width


def test_observed_ranges_are_those_of_the_data():
    fmt = parse_format("bf16")
    rng = np.random.default_rng(1)
    a_bits = fmt.from_float(rng.normal(size=(20, 300)))
    b_bits = fmt.from_float(rng.normal(size=(300, 20)))
    ranges = Ranges.observed(a_bits, b_bits, fmt, fmt)
    declared = Ranges.declared(
        fmt,
        fmt,
        terms=300,
        a_max=np.abs(fmt.to_float(a_bits)).max(),
        b_max=np.abs(fmt.to_float(b_bits)).max(),
    )
    assert ranges.product <= declared.product * Fraction(1001, 1000)
    assert ranges.total < declared.total / 4
    window = size_window(ranges).window
    results, status = run(a_bits, b_bits, fmt, window)
    assert not status.any()
    assert results == exact_products(a_bits, b_bits, fmt)


def test_merged_ranges_hold_for_both():
    fmt = parse_format("bf16")
    one = Ranges.declared(fmt, fmt, terms=10, a_max=4, b_max=1)
    two = replace(one, terms=3, lowest=one.lowest - 5, product=Fraction(1), total=Fraction(3))
    both = one.merge(two)
    assert both == Ranges(terms=10, product=one.product, total=one.total, lowest=one.lowest - 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: Ranges.declared(f, f, terms=0), ["0 terms", "1 or more"]),
        (lambda f: Ranges.declared(f, f, terms=1, a_max=-1), ["magnitude of a is -1"]),
        (lambda f: Ranges.declared(f, f, terms=1, b_max=float("nan")), ["magnitude of b is nan"]),
        (lambda f: Ranges.declared(f, f, terms=1, b_max=1e6), ["1e+06", "fp16", "65504"]),
        (
            lambda f: size_window(Ranges.declared(f, f, terms=8), 1e-6, out=f),
            ["beyond out=fp16", "wider"],
        ),
        (
            lambda f: size_window(Ranges.declared(f, f, terms=8, a_max=1, b_max=1), 1e-9, out=f),
            ["1e-09", "rounding to out=fp16 alone", "allow more"],
        ),
    ],
)
def test_what_cannot_be_sized_is_said(call, words):
    with pytest.raises(SpecError) as caught:
        call(parse_format("fp16"))
    for word in words:
        assert word in str(caught.value)


def test_the_judge_is_asked_too():
    # The same bound over dot products of the exact route, which shares no code with the model.
    fmt = parse_format("fp32")
    rng = np.random.default_rng(3)
    ranges = Ranges.declared(fmt, fmt, terms=50, a_max=8, b_max=8)
    sizing = size_window(ranges, 1e-5)
    datapath = Datapath.parse(a="fp32", acc=str(sizing.window), out="fp64")
    for _ in range(30):
        a, b = (fmt.from_float(np.clip(rng.normal(size=50), -8, 8)) for _ in "ab")
        bits, status = exact.dot(a.tolist(), b.tolist(), datapath)
        assert not status & 3
        right = sum(
            fmt.decode(int(x)).fraction * fmt.decode(int(y)).fraction
            for x, y in zip(a, b, strict=True)
        )
        slack = Fraction(1, 2**40)  # fp64's own rounding
        assert abs(datapath.out.decode(bits).fraction - right) <= sizing.bound + slack


def test_a_negative_tolerance_is_refused_with_what_is_allowed():
    ranges = Ranges(terms=8, product=Fraction(4), total=Fraction(32), lowest=-10)
    with pytest.raises(SpecError, match="tolerance is -1; it must be 0"):
        size_window(ranges, tolerance=-1)
