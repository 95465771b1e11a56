"""Fused multiply-adds and conversions of Berkeley TestFloat, which is the judge here."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwgen.formats import Kind, parse_format
from hwgen.model import INEXACT, INVALID, OVERFLOW, exact_float_sum, gemm_bits
from hwgen.model.exact import dot
from hwgen.model.exact_float_sum import Direction
from hwgen.model.float_sum import fused_multiply_add
from hwgen.spec.datapath import Datapath

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
TESTFLOAT_INVALID, TESTFLOAT_OVERFLOW, TESTFLOAT_INEXACT = 16, 4, 1
BATCH = 8
NAMES = [("f16", "fp16"), ("f32", "fp32"), ("f64", "fp64")]
CONVERSIONS = [("f32", "bf16"), ("f32", "f16"), ("f64", "f16"), ("f64", "f32")]
FORMATS = {**dict(NAMES), "bf16": "bf16"}


def read_vectors(name: str) -> np.ndarray:
    """(cases, columns) array: operands, result, flags."""
    path = VECTORS / f"{name}.txt.gz"
    if not path.exists():
        pytest.skip("the TestFloat vectors lie beside a developer's checkout only")
    with gzip.open(path, "rt") as file:
        return np.array([[int(item, 16) for item in line.split()] for line in file], np.uint64)


def check(
    bits: np.ndarray, status: np.ndarray, expected: np.ndarray, flags: np.ndarray, fmt: str
) -> None:
    """Compare patterns and flags; a NaN is a NaN, and no other flag matters then."""
    out = parse_format(fmt)
    nan = np.array([out.decode(int(pattern)).kind is Kind.NAN for pattern in expected])
    assert nan[flags & TESTFLOAT_INVALID != 0].all()
    np.testing.assert_array_equal(bits, np.where(nan, out.nan_bits, expected))
    np.testing.assert_array_equal(status & INVALID != 0, nan)
    for ours, theirs in ((OVERFLOW, TESTFLOAT_OVERFLOW), (INEXACT, TESTFLOAT_INEXACT)):
        np.testing.assert_array_equal((status & ours != 0)[~nan], (flags & theirs != 0)[~nan])


@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
@pytest.mark.parametrize(("name", "fmt"), NAMES)
def test_a_fused_step_equals_testfloats_in_every_direction(name, fmt, direction):
    a, b, c, expected, flags = read_vectors(f"{name}_mulAdd_{direction.value}").T
    bits, status = fused_multiply_add(a, b, c, parse_format(fmt), direction)
    check(bits, status, expected, flags, fmt)


@pytest.mark.parametrize("one_in", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
@pytest.mark.parametrize(("name", "fmt"), NAMES)
def test_the_judges_fused_step_equals_testfloats_in_every_direction(name, fmt, direction, one_in):
    cases = read_vectors(f"{name}_mulAdd_{direction.value}")[::one_in]
    results = [
        exact_float_sum.fused_multiply_add(*case, parse_format(fmt), direction)
        for case in cases[:, :3].tolist()
    ]
    bits = np.array([pattern for pattern, _ in results], dtype=np.uint64)
    check(bits, np.array([raised for _, raised in results]), cases[:, 3], cases[:, 4], fmt)


@pytest.mark.parametrize("route", ["numpy", "exact"])
@pytest.mark.parametrize("acc", ["exact:terms=2", "fma"])
@pytest.mark.parametrize(("name", "fmt"), NAMES)
def test_two_terms_equal_testfloats_fused_multiply_add(name, fmt, acc, route):
    """c * 1 and then a * b, in a window that loses nothing and in a floating-point sum."""
    fused = acc == "fma"
    datapath = Datapath.parse(a=fmt, acc=f"fma:{fmt}" if fused else acc, out=fmt)
    one = int(datapath.b.encode(1).bits)
    a, b, c, expected, flags = read_vectors(f"{name}_mulAdd_near_even").T
    if route == "exact":
        judge = exact_float_sum.dot if fused else dot
        terms = zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
        results = [judge([z, x], [one, y], datapath) for x, y, z in terms]
        bits = np.array([result for result, _ in results], dtype=np.uint64)
        status = np.array([raised for _, raised in results])
    else:
        bits, status = diagonals(np.stack([c, a], 1), np.stack([np.full_like(b, one), b]), datapath)
    # An exact zero is +0 here whatever the signs of its terms: a block starts at +0.
    minus_zero = expected == 1 << (datapath.out.width - 1)
    check(bits, status, np.where(minus_zero & (flags == 0), 0, expected), flags, fmt)


@pytest.mark.parametrize("route", ["numpy", "exact"])
@pytest.mark.parametrize("acc", ["exact:terms=1", "fma"])
@pytest.mark.parametrize(("source", "target"), CONVERSIONS)
def test_the_rounding_of_a_result_equals_testfloats_conversion(source, target, acc, route):
    operand, out = FORMATS[source], FORMATS[target]
    datapath = Datapath.parse(a=operand, acc=f"fma:{operand}" if acc == "fma" else acc, out=out)
    x, expected, flags = read_vectors(f"{source}_to_{target}_near_even").T
    one = np.array([[int(datapath.b.encode(1).bits)]])
    engine = {"engine": "exact" if route == "exact" else "numpy"}
    bits, status = gemm_bits(x[:, np.newaxis], one, datapath, **engine)
    minus_zero = (expected == 1 << (datapath.out.width - 1)) & (flags == 0)
    check(bits[:, 0], status[:, 0], np.where(minus_zero, 0, expected), flags, out)


def diagonals(
    left: np.ndarray, right: np.ndarray, datapath: Datapath
) -> tuple[np.ndarray, np.ndarray]:
    """Dot products of the rows of (cases, k) with the columns of (k, cases)."""
    results = []
    for start in range(0, len(left), BATCH):
        part = slice(start, start + BATCH)
        bits, status = gemm_bits(left[part], right[:, part], datapath)
        results.append((np.diagonal(bits), np.diagonal(status)))
    return (
        np.concatenate([bits for bits, _ in results]).astype(np.uint64),
        np.concatenate([status for _, status in results]),
    )
