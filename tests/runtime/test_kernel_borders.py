"""Events and lost bits right at the border of what the kernels may take for granted."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_cases import check

from hwgen.runtime import gemm_bits
from hwgen.spec.datapath import Datapath

INVALID, OVERFLOW, INEXACT = 1, 2, 4
ROWS, COLUMNS = 9, 18  # more than a panel of any instruction set


def operands(
    datapath: Datapath, a: list[float], b: list[float], rest: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Operands whose element (3, 5) is the sum of a * b; elsewhere numbers are ``rest``."""
    left = np.full((ROWS, len(a)), rest)
    right = np.full((len(a), COLUMNS), rest)
    left[3], right[:, 5] = a, b
    return datapath.a.from_float(left), datapath.b.from_float(right)


def status_at(datapath: Datapath, a: list[float], b: list[float], engine: str) -> int:
    left, right = operands(datapath, a, b)
    check(left, right, datapath, engine)
    _, status = gemm_bits(left, right, datapath, engine=engine)
    assert not np.delete(np.delete(status, 3, axis=0), 5, axis=1).any()
    return int(status[3, 5])


@pytest.mark.parametrize("overflow", ["nan", "wrap", "saturate"])
def test_a_product_is_out_of_range_from_its_bound_on(overflow, instructions):
    datapath = Datapath.parse(a="bf16", acc=f"window:msb=3,lsb=-8,ovf=6,overflow={overflow}")
    largest = 16 - 2.0**-3  # times 1 is the largest product below 2**4
    assert status_at(datapath, [largest, 0, 0], [1, 0, 0], instructions) == 0
    out_of_range = OVERFLOW | (INVALID if overflow == "nan" else 0)
    assert status_at(datapath, [4.0, 0, 0], [-4.0, 0, 0], instructions) == out_of_range
    # A product whose factors' leading bits leave it in doubt.
    assert status_at(datapath, [3.0, 0, 0], [5.0, 0, 0], instructions) == 0
    assert status_at(datapath, [3.0, 0, 0], [5.5, 0, 0], instructions) == out_of_range


@pytest.mark.parametrize("overflow", ["nan", "wrap", "saturate"])
@pytest.mark.parametrize("terms", [2, 300])
def test_a_sum_leaves_the_register_from_its_bound_on(overflow, terms, instructions):
    datapath = Datapath.parse(a="fp32", acc=f"window:msb=3,lsb=-8,ovf=1,overflow={overflow}")
    zeros = [0.0] * (terms - 2)
    one = [1.0, *zeros, 1.0]
    left = OVERFLOW | (INVALID if overflow == "nan" else 0)
    # The register holds -2**4 to 2**4 - 2**-8.
    assert status_at(datapath, [8.0, *zeros, 8 - 2.0**-8], one, instructions) == 0
    assert status_at(datapath, [8.0, *zeros, 8.0], one, instructions) == left
    assert status_at(datapath, [-8.0, *zeros, -8.0], one, instructions) == 0
    assert status_at(datapath, [-8.0, *zeros, -8 - 2.0**-8], one, instructions) == left


def test_a_partial_sum_counts_though_the_end_is_in_range(instructions):
    datapath = Datapath.parse(a="fp32", acc="window:msb=3,lsb=-8,ovf=1")
    ones = [1.0] * 4
    assert status_at(datapath, [8.0, 8.0, -8.0, 1.0], ones, instructions) == INVALID | OVERFLOW
    assert status_at(datapath, [8.0, -8.0, 8.0, 1.0], ones, instructions) == 0


@pytest.mark.parametrize("overflow", ["nan", "wrap", "saturate"])
@pytest.mark.parametrize("rounding", ["zero", "even"])
@pytest.mark.parametrize("fmt", ["bf16", "fp32", "int8", "fp64"])
def test_sums_that_wander_out_and_back_are_judged_alike(fmt, rounding, overflow, instructions, rng):
    """Runs of equal signs, that leave the register by little and for few terms."""
    lsb = {"int8": 0, "fp64": -90}.get(fmt, -7)
    acc = f"window:msb=5,ovf=3,lsb={lsb},round={rounding},overflow={overflow}"
    datapath = Datapath.parse(a=fmt, acc=acc, out="fp32")
    a = np.empty((40, 300))
    for row in a:
        # Eight units a step; the register holds 32 steps to either side.
        turns = np.cumsum(rng.integers(1, 12, size=300))
        row[:] = 8.0 * (-1.0) ** np.searchsorted(turns, np.arange(300))
    a -= 0 if fmt == "int8" else 2.0**-12
    b = np.ones((300, COLUMNS))
    left, right = datapath.a.from_float(a), datapath.b.from_float(b)
    check(left, right, datapath, instructions)
    _, status = gemm_bits(left, right, datapath, engine=instructions)
    assert 0 < np.count_nonzero(status[:, 0] & OVERFLOW) < 40


def test_rounding_up_may_leave_the_register(instructions):
    datapath = Datapath.parse(a="fp32", acc="window:msb=3,lsb=-4,ovf=1,round=even")
    # Each rounds up to 8; the sum of the exact products would stay in.
    up = 8 - 2.0**-10
    status = status_at(datapath, [up, up], [1.0] * 2, instructions)
    assert status == INVALID | OVERFLOW | INEXACT


@pytest.mark.parametrize("rounding", ["zero", "even", "odd", "stochastic"])
def test_one_bit_below_the_register_is_told(rounding, instructions):
    datapath = Datapath.parse(a="fp32", acc=f"window:msb=9,lsb=-20,ovf=8,round={rounding}")
    ones = [1.0] * 100
    exact = [2.0**-20] * 99
    assert status_at(datapath, [*exact, 3 * 2.0**-20], ones, instructions) == 0
    assert status_at(datapath, [*exact, 3 * 2.0**-21], ones, instructions) == INEXACT


@pytest.mark.parametrize("rounding", ["zero", "even", "odd"])
def test_a_blocks_bits_are_lost_as_its_sum_has_them(rounding, instructions):
    """Products below the register that make a whole unit together lose nothing."""
    acc = f"window:msb=9,lsb=-4,ovf=5,round={rounding},per=block"
    datapath = Datapath.parse(a="mxfp8:block=4", acc=acc, out="fp32")
    quarters = [2.0**-6, 2.0**-6, 2.0**-6]
    for last, expected in ((2.0**-6, 0), (2.0**-5, INEXACT), (0.0, INEXACT)):
        a = [*quarters, last] * 8
        assert status_at(datapath, a, [1.0] * 32, instructions) == expected


@pytest.mark.parametrize("overflow", ["nan", "wrap", "saturate"])
def test_a_blocks_sum_is_out_of_range_by_itself(overflow, instructions):
    acc = f"window:msb=3,lsb=-4,ovf=5,overflow={overflow},per=block"
    datapath = Datapath.parse(a="mxfp8:block=4", acc=acc, out="fp32")
    raised = OVERFLOW | (INVALID if overflow == "nan" else 0)
    ones = [1.0] * 8
    assert status_at(datapath, [4, 4, 4, 3.5, 1, 1, 1, 1], ones, instructions) == 0
    assert status_at(datapath, [4, 4, 4, 4, -1, -1, -1, -1], ones, instructions) == raised
    assert status_at(datapath, [8, 8, 8, -12, 1, 1, 1, 1], ones, instructions) == 0


@pytest.mark.parametrize("fmt", ["bf16", "fp32", "fp64"])
@pytest.mark.parametrize("lsb", [-3, -40, -90])
def test_ties_are_broken_alike(fmt, lsb, instructions):
    """Products half way between multiples of the register's unit, of either sign."""
    acc = f"window:msb={lsb + 60},lsb={lsb},ovf=20,round=even"
    datapath = Datapath.parse(a=fmt, acc=acc, out="fp64")
    halves = [k * 2.0 ** (lsb - 1) for k in (1, 3, 5, -1, -3, -5, 2, 7)]
    left, right = operands(datapath, halves, [1.0] * 8, rest=2.0**lsb)
    check(left, right, datapath, instructions)


@pytest.mark.parametrize("scale", [-1000, -540, 0, 500])
@pytest.mark.parametrize(
    "acc", ["window:msb=9,lsb=-30,ovf=8", "window:msb=9,lsb=-120,ovf=8", "exact"]
)
@pytest.mark.parametrize("rounding", ["zero", "even", "odd"])
def test_the_ends_of_float64_are_no_trap(scale, acc, rounding, instructions, rng):
    """Operands that are subnormal, or whose products are, or whose squares overflow."""
    if acc != "exact" and rounding != "zero":
        acc += f",round={rounding}"
    datapath = Datapath.parse(a="fp64", acc=acc, out="fp64")
    a = np.ldexp(rng.standard_normal((ROWS, 20)), scale)
    b = np.ldexp(rng.standard_normal((20, COLUMNS)), -scale)
    a[2, 3], a[4] = 5e-324, 0.0
    b[7, 1] = np.finfo(np.float64).max / 4
    check(datapath.a.from_float(a), datapath.b.from_float(b), datapath, instructions)


@pytest.mark.parametrize("lsb", [-1100, -1000, -980, 850, 975, 1000])
@pytest.mark.parametrize("rounding", ["zero", "odd"])
def test_windows_at_the_ends_of_float64_are_no_trap(lsb, rounding, instructions, rng):
    acc = f"window:msb={lsb + 70},lsb={lsb},ovf=9,round={rounding}"
    datapath = Datapath.parse(a="fp64", acc=acc, out="raw")
    for above in (10, 50):
        a = np.ldexp(rng.standard_normal((ROWS, 20)), (lsb + above) // 2)
        b = np.ldexp(rng.standard_normal((20, COLUMNS)), lsb + above - (lsb + above) // 2)
        if lsb < 0:  # a product below all numbers of float64
            a[3], b[:, 5], a[3, 4], b[4, 5] = 0.0, 0.0, 2.0**-540, 2.0**-540
        check(datapath.a.from_float(a), datapath.b.from_float(b), datapath, instructions)


def test_subnormal_operands_lose_no_bits_that_they_have_not(instructions):
    datapath = Datapath.parse(a="fp64", acc="window:msb=9,lsb=-40,ovf=9", out="fp64")
    assert status_at(datapath, [2.0**-1030, 0.0], [2.0**1000, 0.0], instructions) == 0
    assert status_at(datapath, [2.0**-1050, 0.0], [2.0**1000, 0.0], instructions) == INEXACT


@pytest.mark.parametrize("tiny", [-85, -100, -115])
def test_little_is_left_of_much(tiny, instructions):
    """Sums of three slices that cancel but for a small negative rest."""
    datapath = Datapath.parse(a="fp64", acc="window:msb=40,lsb=-120,ovf=9", out="fp32")
    a = [3.5, -3.5, -(2.0**tiny), 2.0**-125]
    left, right = operands(datapath, a, [1.0] * 4, rest=2.0**20)
    check(left, right, datapath, instructions)


@pytest.mark.parametrize("rounding", ["zero", "even", "odd", "stochastic"])
@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
@pytest.mark.parametrize("top", [*range(49, 55), *range(93, 99), 138, 143])
def test_sums_as_long_as_slices_hold_give_the_models_bits(top, fmt, rounding, instructions, rng):
    """Few products whose leading bits stand so many places above the register's lowest bit."""
    acc = f"window:msb={top + 5},lsb=0,ovf=9,round={rounding}"
    datapath = Datapath.parse(a=fmt, acc=acc, out="raw")
    a = np.ldexp(rng.uniform(1, 2, size=(ROWS, 2)), top // 2)
    b = np.ldexp(rng.uniform(1, 2, size=(2, COLUMNS)), top - top // 2 - 1)
    a *= rng.choice([-1, 1], size=a.shape)
    check(datapath.a.from_float(a), datapath.b.from_float(b), datapath, instructions)


@pytest.mark.parametrize("fmt", ["fp32", "fp64"])
@pytest.mark.parametrize("lsb", [-40, -60, -90, -110])
def test_many_terms_of_one_sign_fill_no_slice(lsb, fmt, instructions, rng):
    datapath = Datapath.parse(a=fmt, acc=f"window:msb=20,lsb={lsb},ovf=12", out="raw")
    a, b = rng.uniform(1, 4, size=(6, 3000)), rng.uniform(1, 4, size=(3000, 2))
    a *= 2.0 ** rng.integers(-6, 3, size=a.shape)
    check(datapath.a.from_float(a), datapath.b.from_float(b), datapath, instructions)


@pytest.mark.parametrize("slices", range(1, 9))
def test_every_number_of_slices_gives_the_models_bits(slices, instructions, rng):
    """Exact sums of products over more and more binades, long products among them."""
    for fmt in ("fp32", "fp64"):
        datapath = Datapath.parse(a=fmt, acc="exact", out="fp32")
        binades = min(20 * slices, 120 if fmt == "fp32" else 400)
        a, b = (
            np.ldexp(rng.standard_normal(shape), rng.integers(-binades, 2, size=shape))
            for shape in ((ROWS, 40), (40, COLUMNS))
        )
        check(datapath.a.from_float(a), datapath.b.from_float(b), datapath, instructions)


@pytest.mark.parametrize("out", ["fp32", "bf16", "fp64", "float:8,21"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_tie_and_a_far_rest_are_no_tie(out, sign, instructions):
    """Results half way between two numbers, but for a bit that float64 does not reach."""
    datapath = Datapath.parse(a="fp32", acc="exact", out=out)
    half = 2.0 ** (-1 - datapath.out.fraction_bits)
    for first in (1.0, 1.0 + 2 * half):
        for rest in (2.0**-100, -(2.0**-100), 2.0**-54, 2.0**-140):
            a = [sign * first / 2, sign * first / 2, sign * half, rest]
            check(*operands(datapath, a, [1.0] * 4, rest=1.0), datapath, instructions)


@pytest.mark.parametrize("out", ["float:11,49", "float:11,50", "float:11,51", "fp64"])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("rest", [1.0, -1.0, 2.0**34 + 1])
def test_slices_that_cancel_a_leading_bit_are_rounded_once(out, sign, rest, instructions):
    """The upper two of three slices leave half a unit, of which the lowest takes a little more."""
    datapath = Datapath.parse(a="float:11,40", b="float:11,10", acc="exact", out=out)
    for odd in (3, 5, 7):
        a = [1.5 * 2.0**88, -(2.0**88), -(odd * 2.0**34 + rest)]
        left, right = operands(datapath, [sign * x for x in a], [1.0] * 3, rest=2.0**20)
        check(left, right, datapath, instructions)


def product_just_below_a_tie() -> tuple[float, float]:
    """Two fp32 numbers with a product of 2**-24 - 2**-52 and a little more, below 2**-53."""
    first = np.arange(1 << 23, 1 << 24, dtype=np.int64)
    bound = (1 << 47) - (1 << 19)
    second = (bound + (1 << 17)) // first
    found = np.flatnonzero((first * second > bound) & (second < 1 << 24))[0]
    return float(first[found]) * 2.0**-35, float(second[found]) * 2.0**-36


@pytest.mark.parametrize("acc", ["fma:fp32", "fma:fp32,lanes=2", "fma:float:9,23"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_sum_next_to_a_tie_in_float64_is_no_tie(acc, sign, instructions):
    datapath = Datapath.parse(a="fp32", acc=acc, out="fp32")
    a, b = product_just_below_a_tie()
    for first in (1.0, 1 + 2.0**-23):
        left, right = [first, 0.0, a, 0.0], [sign, 0.0, sign * b, 0.0]
        check(*operands(datapath, left, right, rest=1.0), datapath, instructions)


@pytest.mark.parametrize("specials", ["nan", "none"])
@pytest.mark.parametrize("acc", ["fma:fp64", "muladd:fp64", "exact"])
def test_a_result_above_all_float64_numbers_keeps_its_bits(acc, specials, instructions):
    """2**1024 is a number where 11 exponent bits hold no infinity."""
    datapath = Datapath.parse(a="fp64", acc=acc, out=f"float:11,8,specials={specials}")
    largest = np.finfo(np.float64).max
    left, right = operands(datapath, [largest, 0.0, 0.0], [1.0] * 3)
    check(left, right, datapath, instructions)
    bits, _ = gemm_bits(left, right, datapath, engine=instructions)
    assert bits[3, 5] == 0x7FF << 8


@pytest.mark.parametrize("acc", ["fma:fp32", "muladd:bf16", "fma:fp64"])
def test_products_beyond_float64_overflow_the_sum_once(acc, instructions):
    datapath = Datapath.parse(a="float:11,20", acc=acc, out="fp32")
    for a in ([2.0**1000, -(2.0**1000)], [-(2.0**1000), 2.0**1000], [2.0**-1000, -(2.0**-1000)]):
        check(*operands(datapath, a, [abs(x) for x in a], rest=1.0), datapath, instructions)


@pytest.mark.parametrize("rest", [0.0, 2.0**-400, -(2.0**-400), 2.0**-1070])
def test_a_long_product_that_is_a_tie_and_a_far_rest_are_no_tie(rest, instructions):
    datapath = Datapath.parse(a="fp64", acc="fma:fp64", out="fp64")
    # (1 + 2**-20) * (1 + 2**-33) ends with 2**-53, half of the last place.
    a, b = [rest, 1 + 2.0**-20], [1.0, 1 + 2.0**-33]
    check(*operands(datapath, a, b, rest=1.0), datapath, instructions)


@pytest.mark.parametrize("acc", ["fma:fp32", "fma:float:8,22", "fma:float:9,23"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_product_close_to_a_tie_is_no_tie(acc, sign, instructions):
    datapath = Datapath.parse(a="fp32", acc=acc, out="fp32")
    half = 2.0 ** (-1 - datapath.float_sum.format.fraction_bits)
    for first in (1.0, 1 + 2 * half, -1.0, -1 - 2 * half):
        # The product is half * (1 - 2**-40).
        a, b = [first, sign * half * (1 + 2.0**-20)], [1.0, 1 - 2.0**-20]
        check(*operands(datapath, [*a, 0.0], [*b, 0.0], rest=1.0), datapath, instructions)


@pytest.mark.parametrize("acc", ["fma:fp32", "muladd:fp32", "fma:bf16", "muladd:fp16"])
def test_sums_overflow_and_lose_bits_alike(acc, instructions):
    datapath = Datapath.parse(a="fp32", acc=acc, out="fp32")
    largest = float(datapath.float_sum.format.max_finite)
    tiny = 2.0 ** float(datapath.float_sum.format.min_exponent)
    for a in (
        [largest, largest, -largest],  # infinite on the way
        [largest, largest / 2**30, 0.0],  # rounded away
        [2.0 ** (datapath.float_sum.format.precision), 1.0, 0.0],  # a bit too long
        [tiny, tiny, tiny],  # subnormal, exact
        [1.5, 0.75, -2.25],  # zero, exact
        [-0.0, -0.0, -0.0],
    ):
        check(*operands(datapath, a, [1.0] * 3, rest=1.0), datapath, instructions)


def test_integers_at_their_ends_give_the_models_bits(instructions):
    for names in (
        {"a": "int8", "acc": "int:32"},
        {"a": "int8", "acc": "int:20"},
        {"a": "int8", "acc": "int:20,overflow=saturate"},
        {"a": "uint8", "acc": "int:32"},
        {"a": "int16", "acc": "int:32"},
    ):
        datapath = Datapath.parse(**names)
        ends = [0, 1, (1 << (datapath.a.width - 1)) - 1, 1 << (datapath.a.width - 1)]
        ends.append((1 << datapath.a.width) - 1)
        a = np.resize(np.array(ends), (ROWS, 1500)).astype(datapath.a.dtype)
        b = np.resize(np.array(ends), (1500, COLUMNS)).astype(datapath.b.dtype)
        check(a, b, datapath, instructions)
