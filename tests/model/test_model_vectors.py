"""Two exact products summed and rounded once are a fused multiply-add: TestFloat is the judge."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwgen.formats import Kind
from hwgen.model import INEXACT, INVALID, OVERFLOW, gemm_bits
from hwgen.model.exact import dot
from hwgen.spec.datapath import Datapath

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
TESTFLOAT_OVERFLOW, TESTFLOAT_INEXACT = 4, 1
BATCH = 8


def read_vectors(name: str) -> np.ndarray:
    """(cases, 5) array: a, b, c, a * b + c, flags."""
    path = VECTORS / f"{name}_mulAdd_near_even.txt.gz"
    if not path.exists():
        pytest.skip("the TestFloat vectors lie beside a developer's checkout only")
    with gzip.open(path, "rt") as file:
        return np.array([[int(item, 16) for item in line.split()] for line in file], np.uint64)


@pytest.mark.parametrize("route", ["numpy", "exact"])
@pytest.mark.parametrize(("name", "fmt"), [("f16", "fp16"), ("f32", "fp32"), ("f64", "fp64")])
def test_two_terms_equal_testfloats_fused_multiply_add(name, fmt, route):
    cases = read_vectors(name)
    datapath = Datapath.parse(a=fmt, acc="exact:terms=2", out=fmt)
    one = int(datapath.b.encode(1).bits)
    a, b, c, expected, flags = cases.T
    if route == "exact":
        terms = zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
        results = [dot([x, z], [y, one], datapath) for x, y, z in terms]
        bits = np.array([result for result, _ in results], dtype=np.uint64)
        status = np.array([raised for _, raised in results])
    else:
        bits, status = diagonals(a, b, c, one, datapath)
    nan = np.array([datapath.out.decode(int(x)).kind is Kind.NAN for x in expected])
    assert (bits[nan] == datapath.out.nan_bits).all()
    np.testing.assert_array_equal(status & INVALID != 0, nan)
    # An exact zero sum is +0 in hwgen, whatever the signs of its terms.
    minus_zero = expected == 1 << (datapath.out.width - 1)
    exact_zero = minus_zero & (flags == 0)
    expected = np.where(exact_zero, 0, expected)
    np.testing.assert_array_equal(bits[~nan], expected[~nan])
    np.testing.assert_array_equal(
        status[~nan] & OVERFLOW != 0, flags[~nan] & TESTFLOAT_OVERFLOW != 0
    )
    np.testing.assert_array_equal(status[~nan] & INEXACT != 0, flags[~nan] & TESTFLOAT_INEXACT != 0)


def diagonals(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, one: int, datapath: Datapath
) -> tuple[np.ndarray, np.ndarray]:
    """Results of ``a[i] * b[i] + c[i] * 1``, from the diagonals of small matrix products."""
    results = []
    for start in range(0, len(a), BATCH):
        part = slice(start, start + BATCH)
        left = np.stack([a[part], c[part]], axis=1)
        right = np.stack([b[part], np.full_like(b[part], one)])
        bits, status = gemm_bits(left, right, datapath)
        results.append((np.diagonal(bits), np.diagonal(status)))
    return (
        np.concatenate([bits for bits, _ in results]).astype(np.uint64),
        np.concatenate([status for _, status in results]),
    )
