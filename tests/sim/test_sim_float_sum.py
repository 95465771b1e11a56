"""Floating-point sums in the emitted Verilog: streams, all two-term sums of a small format, and
TestFloat's fused multiply-adds."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwgen.flow.simulators import run_phases
from hwgen.flow.traffic import Beats, Phase
from hwgen.formats import Kind
from hwgen.model import INEXACT, INVALID, OVERFLOW, gemm_bits
from hwgen.spec.datapath import Datapath

pytestmark = pytest.mark.sim

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
TESTFLOAT_OVERFLOW, TESTFLOAT_INEXACT = 4, 1
SUMS = {
    "bf16": {"a": "bf16", "acc": "fma:fp32"},
    "fp16_lanes": {"a": "fp16", "b": "bf16", "acc": "fma:fp32,lanes=3", "out": "fp16"},
    "e5m2_rounded_lanes": {"a": "e5m2", "acc": "muladd:e5m2,lanes=2"},
}


@pytest.mark.parametrize("name", SUMS)
def test_streams_of_blocks_equal_the_model(name, make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(**SUMS[name]), 3, 2)
    traffic = traffic_of(build, 5)
    run_checked(
        build,
        [
            traffic.stream([1, 7, 2, 3, 30, 1, 4]),
            traffic.stream([9, 1, 1, 6], stalls=0.4),
            traffic.reset([6, 8], cut=9, stalls=0.2),
            traffic.mismatched([(3, 3), (2, 5), (4, 4), (6, 1), (5, 5)], stalls=0.2),
        ],
    )


def sums(build, terms: np.ndarray, simulator: str) -> tuple[np.ndarray, np.ndarray]:
    """Send (blocks, k, 2) patterns, each block's pairs of a and b, through one element; return
    results and status."""
    pairs = terms.reshape(-1, 2)
    last = np.arange(1, len(pairs) + 1) % terms.shape[1] == 0
    phase = Phase(a=Beats(pairs[:, :1], last), b=Beats(pairs[:, 1:], last), blocks=len(terms))
    (outcome,) = run_phases(build, [phase], simulator=simulator).outcomes
    assert outcome.fault == ""
    return outcome.c_bits.ravel(), outcome.status.ravel()


@pytest.mark.slow
@pytest.mark.parametrize("acc", ["fma:float:3,2", "fma:float:3,2,lanes=2", "muladd:float:3,2"])
def test_every_sum_of_a_number_and_a_product_equals_exact_arithmetic(acc, make_build, usable):
    usable("verilator")
    build = make_build(Datapath.parse(a="float:3,2", acc=acc), 1, 1)
    path = build.design.datapath
    one = int(path.b.encode(1).bits)
    numbers = np.arange(1 << path.a.width, dtype=path.a.dtype)
    c, a, b = (grid.ravel() for grid in np.meshgrid(numbers, numbers, numbers, indexing="ij"))
    terms = np.stack([c, np.full_like(c, one), a, b], axis=1).reshape(-1, 2, 2)
    bits, status = sums(build, terms, "verilator")
    # All c and a against all b: rows (c, a), columns (1, b).
    rows = np.stack([grid.ravel() for grid in np.meshgrid(numbers, numbers, indexing="ij")], axis=1)
    columns = np.stack([np.full_like(numbers, one), numbers])
    expected, expected_status = gemm_bits(rows, columns, path, engine="exact")
    np.testing.assert_array_equal(bits, expected.ravel())
    np.testing.assert_array_equal(status, expected_status.ravel())


@pytest.mark.parametrize(
    ("name", "fmt", "one_in", "simulator"),
    [
        ("f16", "fp16", 101, "icarus"),
        ("f32", "fp32", 101, "icarus"),
        pytest.param("f16", "fp16", 1, "verilator", marks=pytest.mark.slow),
        pytest.param("f32", "fp32", 1, "verilator", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("lanes", [1, 4])
def test_a_product_added_to_a_number_equals_testfloats_fused_multiply_add(
    name, fmt, one_in, simulator, lanes, make_build, usable
):
    vectors = VECTORS / f"{name}_mulAdd_near_even.txt.gz"
    if not vectors.exists():
        pytest.skip("the TestFloat vectors lie beside a developer's checkout only")
    usable(simulator)
    path = Datapath.parse(a=fmt, acc=f"fma:{fmt},lanes={lanes}")
    with gzip.open(vectors, "rt") as file:
        cases = [[int(word, 16) for word in line.split()] for line in file][::one_in]
    a, b, c, expected, flags = np.array(cases, dtype=np.uint64).T
    one = np.full_like(c, int(path.b.encode(1).bits))
    # c * 1, zeros to the other lanes, and then a * b to the lane that holds c.
    zeros = [np.zeros_like(c)] * (2 * (lanes - 1))
    terms = np.stack([c, one, *zeros, a, b], axis=1).reshape(len(c), -1, 2)
    bits, status = sums(make_build(path, 1, 1), terms.astype(path.a.dtype), simulator)
    nan = np.array([path.out.decode(int(pattern)).kind is Kind.NAN for pattern in expected])
    # An exact zero is +0 here whatever the signs of its terms: a block starts at +0. What was
    # rounded to -0 stays so, unless another lane's +0 is added to it.
    minus_zero = (expected == 1 << (path.out.width - 1)) & ((flags == 0) | (lanes > 1))
    expected = np.where(nan, path.out.nan_bits, np.where(minus_zero, 0, expected))
    np.testing.assert_array_equal(bits, expected)
    np.testing.assert_array_equal(status & INVALID != 0, nan)
    for ours, theirs in ((OVERFLOW, TESTFLOAT_OVERFLOW), (INEXACT, TESTFLOAT_INEXACT)):
        np.testing.assert_array_equal((status & ours != 0)[~nan], (flags & theirs != 0)[~nan])
