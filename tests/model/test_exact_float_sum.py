"""The judge of floating-point sums, on sums small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.formats import parse_format
from hwgen.model import INEXACT, INVALID, OVERFLOW, gemm_bits
from hwgen.model.exact_float_sum import Direction, fused_multiply_add
from hwgen.model.float_sum import fused_multiply_add as fused_multiply_add_arrays
from hwgen.spec.datapath import Datapath

INF, NAN = float("inf"), float("nan")
LOST = OVERFLOW | INEXACT
TINY = 2.0**-14  # half of float:3,2's smallest number, 2**-4, is 2**-5; this is far below
# float:3,2: numbers 1, 1.25, 1.5, 1.75 times powers of two; largest 14, smallest 2**-4.


@pytest.mark.parametrize("route", ["exact", "lanes", "fields"])
@pytest.mark.parametrize(
    ("terms", "acc", "out", "expected"),
    [
        # Rounded at every step, ties to even: 8 + 1 is a tie, to 8; 10 + 1 another, to 12.
        ([(8, 1), (1, 1), (1, 1)], "fma:float:3,2", None, (8.0, INEXACT)),
        ([(10, 1), (1, 1)], "fma:float:3,2", None, (12.0, INEXACT)),
        ([(1, 1), (1, 1), (8, 1)], "fma:float:3,2", None, (10.0, 0)),
        # One rounding a step, or two: 1.25 * 1.25 = 1.5625, 4 + 1.5625 to 6 (5 and 6 around it:
        # 5.5625), but 1.5 + 4 is a tie, to 6; -1.5 + 1.5625 is 0.0625 or 0.
        ([(-1.5, 1), (1.25, 1.25)], "fma:float:3,2", None, (0.0625, 0)),
        ([(-1.5, 1), (1.25, 1.25)], "muladd:float:3,2", None, (0.0, INEXACT)),
        # Lanes: (1 + 1) + 8 is exact, (8 + 1) + 1 is not.
        ([(8, 1), (1, 1), (1, 1)], "fma:float:3,2,lanes=1", None, (8.0, INEXACT)),
        ([(8, 1), (1, 1), (0, 1), (1, 1)], "fma:float:3,2,lanes=2", None, (10.0, 0)),
        ([(1, 1), (8, 1), (1, 1)], "fma:float:3,2,lanes=3", None, (8.0, INEXACT)),
        # Four lanes: ((8 + 1) + 1) + 1, each a tie, not (8 + 1) + (1 + 1).
        ([(8, 1), (1, 1), (1, 1), (1, 1)], "fma:float:3,2,lanes=4", None, (8.0, INEXACT)),
        # Signs of zeros.
        ([], "fma:float:3,2", None, (0.0, 0)),
        ([(-1, 0)], "fma:float:3,2", None, (0.0, 0)),
        ([(1, 1), (-1, 1)], "fma:float:3,2", None, (0.0, 0)),
        ([(-TINY, TINY)], "fma:float:3,2", None, (-0.0, INEXACT)),
        ([(-TINY, TINY), (-1, 0)], "fma:float:3,2", None, (-0.0, INEXACT)),
        ([(-TINY, TINY), (1, 0)], "fma:float:3,2", None, (0.0, INEXACT)),
        ([(-TINY, TINY)], "fma:float:3,2,lanes=2", None, (0.0, INEXACT)),
        ([(-TINY, TINY)] * 2, "fma:float:3,2,lanes=2", None, (-0.0, INEXACT)),
        # A rounded product of -0 and a sum of +0 are +0.
        ([(-TINY, TINY)], "muladd:float:3,2", None, (0.0, INEXACT)),
        ([(-TINY, 1)], "fma:fp32", "float:3,2", (-0.0, INEXACT)),
        # Subnormals: half the smallest is a tie, to zero; a little more is the smallest.
        ([(2.0**-4, 0.5)], "fma:float:3,2", None, (0.0, INEXACT)),
        ([(2.0**-4, 0.625)], "fma:float:3,2", None, (2.0**-4, INEXACT)),
        # Overflow: 15 is the tie between 14 and 16.
        ([(14, 1), (1, 0.99)], "fma:float:3,2", None, (14.0, INEXACT)),
        ([(14, 1), (1, 1)], "fma:float:3,2", None, (INF, LOST)),
        ([(-14, 2)], "fma:float:3,2", None, (-INF, LOST)),
        ([(14, 2), (-14, 1)], "fma:float:3,2", None, (INF, LOST)),
        ([(14, 1), (14, 1), (-14, 2)], "fma:float:3,2", None, (INF, LOST)),
        ([(14, 1), (14, 1), (-14, 2)], "muladd:float:3,2", None, (NAN, INVALID | LOST)),
        ([(14, 1), (14, 1)], "fma:float:3,2,lanes=2", None, (INF, LOST)),
        # A fused step may exceed the format by its product alone.
        ([(-14, 1), (14, 2)], "fma:float:3,2", None, (14.0, 0)),
        ([(-14, 1), (14, 2)], "muladd:float:3,2", None, (INF, LOST)),
        # Specials.
        ([(INF, 1), (1, 0.3)], "fma:float:3,2", None, (INF, 0)),
        ([(INF, 1), (1, 0.3)], "muladd:float:3,2", None, (INF, INEXACT)),
        ([(INF, 0)], "fma:float:3,2", None, (NAN, INVALID)),
        ([(INF, 1), (INF, -1)], "fma:float:3,2", None, (NAN, INVALID)),
        ([(INF, 1), (INF, -1)], "fma:float:3,2,lanes=2", None, (NAN, INVALID)),
        ([(NAN, 1), (1, 1)], "fma:float:3,2", None, (NAN, INVALID)),
        ([(1, 0.3), (NAN, 1), (14, 14)], "fma:float:3,2", None, (NAN, INVALID | INEXACT)),
        # Conversion of the result.
        ([(1, 1.0625)], "fma:fp16", "float:3,2", (1.0, INEXACT)),
        ([(1, 1.125)], "fma:fp16", "float:3,2", (1.0, INEXACT)),
        ([(1, 1.375)], "fma:fp16", "float:3,2", (1.5, INEXACT)),
        ([(-1, 15)], "fma:fp16", "float:3,2", (-INF, LOST)),
        ([(-1, 15)], "fma:fp16", "float:3,2,overflow=saturate", (-14.0, LOST)),
        ([(INF, -1)], "fma:fp16", "float:3,2,overflow=saturate", (-INF, 0)),
        ([(1, 500)], "fma:fp16", "e4m3", (448.0, LOST)),
        ([(INF, -1)], "fma:fp16", "e4m3", (-448.0, LOST)),
        ([(INF, -1)], "fma:fp16", "e4m3:overflow=nan", (NAN, INVALID | LOST)),
        ([(NAN, -1)], "fma:fp16", "e2m1", (0.0, INVALID)),
        ([(1, 9)], "fma:fp16", "e2m1", (6.0, LOST)),
    ],
)
def test_sums_follow_the_definition(terms, acc, out, expected, route, monkeypatch):
    monkeypatch.setattr("hwgen.model.float_sum.lanes_are_exact", lambda *_: route == "lanes")
    datapath = Datapath.parse(a="fp32", acc=acc, out=out)
    a = datapath.a.from_float(np.array([[x for x, _ in terms]]).reshape(1, -1))
    b = datapath.b.from_float(np.array([[y] for _, y in terms]).reshape(-1, 1))
    bits, status = gemm_bits(a, b, datapath, engine="exact" if route == "exact" else "numpy")
    value, flags = expected
    nan = np.isnan(value)
    wanted = datapath.out.nan_bits if nan else int(datapath.out.from_float(np.array(value)))
    assert (int(bits[0, 0]), int(status[0, 0])) == (wanted, flags)


@pytest.mark.parametrize("engine", ["exact", "numpy"])
def test_a_zero_product_of_integers_has_the_sign_of_its_operands(engine):
    """After a sum that rounded to -0, which takes operands that go far below the sum's format."""
    datapath = Datapath.parse(a="fixed:2,60", b="int8", acc="fma:fp16")
    lowest = (1 << 62) - 1  # -2**-60
    for second, expected in (((0, 0x85), 0x8000), ((0, 3), 0x0000)):
        a = np.array([[lowest, second[0]]], dtype=np.uint64)
        b = np.array([[1], [second[1]]], dtype=np.uint64)
        bits, status = gemm_bits(a, b, datapath, engine=engine)
        assert (int(bits[0, 0]), int(status[0, 0])) == (expected, INEXACT)


EVEN, AWAY, ZERO, DOWN, UP = (
    Direction.TIES_TO_EVEN,
    Direction.TIES_TO_AWAY,
    Direction.TOWARD_ZERO,
    Direction.DOWN,
    Direction.UP,
)


@pytest.mark.parametrize(
    ("a", "b", "c", "direction", "expected"),
    [
        (8, 1, 1, EVEN, (8.0, INEXACT)),
        (8, 1, 1, AWAY, (10.0, INEXACT)),
        (8, 1, 1, UP, (10.0, INEXACT)),
        (8, 1, 1, ZERO, (8.0, INEXACT)),
        (-8, 1, -1, AWAY, (-10.0, INEXACT)),
        (-8, 1, -1, DOWN, (-10.0, INEXACT)),
        (-8, 1, -1, UP, (-8.0, INEXACT)),
        # The whole number lost below the smallest.
        (0.0625, -0.0625, 0, DOWN, (-0.0625, INEXACT)),
        (0.0625, -0.0625, 0, UP, (-0.0, INEXACT)),
        (0.0625, -0.0625, 0, ZERO, (-0.0, INEXACT)),
        (0.0625, 0.0625, 14, UP, (INF, LOST)),
        (0.0625, 0.0625, 14, DOWN, (14.0, INEXACT)),
        (0.0625, -0.0625, 14, ZERO, (12.0, INEXACT)),
        # Overflow in a direction that stays finite.
        (14, 14, 0, ZERO, (14.0, LOST)),
        (14, -14, 0, ZERO, (-14.0, LOST)),
        (14, 14, 0, DOWN, (14.0, LOST)),
        (14, -14, 0, DOWN, (-INF, LOST)),
        (14, -14, 0, UP, (-14.0, LOST)),
        (14, 1, 1, ZERO, (14.0, INEXACT)),
        (14, 1, 1, AWAY, (INF, LOST)),
        # Signs of exact zeros.
        (1, 1, -1, DOWN, (-0.0, 0)),
        (1, 1, -1, EVEN, (0.0, 0)),
        (1, 1, -1, UP, (0.0, 0)),
        (1, 0, 0, DOWN, (0.0, 0)),
        (-1, 0, -0.0, UP, (-0.0, 0)),
        (-1, 0, 0, UP, (0.0, 0)),
        (-1, 0, 0, DOWN, (-0.0, 0)),
        (INF, 0, NAN, UP, (NAN, INVALID)),
    ],
)
def test_every_direction_follows_ieee_754(a, b, c, direction, expected):
    fmt = parse_format("float:3,2")
    patterns = [int(fmt.from_float(np.array(float(value)))) for value in (a, b, c)]
    nan = np.isnan(expected[0])
    wanted = fmt.nan_bits if nan else int(fmt.from_float(np.array(expected[0])))
    assert fused_multiply_add(*patterns, fmt, direction) == (wanted, expected[1])
    bits, status = fused_multiply_add_arrays(*(np.array([x]) for x in patterns), fmt, direction)
    assert (int(bits[0]), int(status[0])) == (wanted, expected[1])


@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
def test_every_fused_step_of_a_tiny_format_is_the_same_on_both_routes(direction):
    fmt = parse_format("float:2,1")
    patterns = np.arange(1 << fmt.width)
    a, b, c = (axis.ravel() for axis in np.meshgrid(patterns, patterns, patterns))
    bits, status = fused_multiply_add_arrays(a, b, c, fmt, direction)
    expected = [
        fused_multiply_add(*case, fmt, direction)
        for case in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]
    assert list(zip(bits.tolist(), status.tolist(), strict=True)) == expected
