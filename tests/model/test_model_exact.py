"""The judge itself, on sums small enough to work out by hand."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from hwgen.errors import SpecError
from hwgen.model import INEXACT, INVALID, OVERFLOW
from hwgen.model.exact import dot
from hwgen.spec.datapath import Datapath

INF, MINUS_INF, NAN = float("inf"), float("-inf"), float("nan")


def run(
    terms: list[tuple[float, float]], acc: str, out: str = "fp32", fmt: str = "fp32"
) -> tuple[float | str, int]:
    """The result's value (or kind) and its status."""
    datapath = Datapath.parse(a=fmt, acc=acc, out=out)
    a = [datapath.a.encode(x).bits for x, _ in terms]
    b = [datapath.b.encode(y).bits for _, y in terms]
    bits, status = dot(a, b, datapath)
    if datapath.out is None:
        width = datapath.window.width
        return (bits ^ 1 << (width - 1)) - (1 << (width - 1)), status
    number = datapath.out.decode(bits)
    if number.kind.value != "finite":
        return ("-" if number.sign else "") + number.kind.value, status
    return float(number.fraction), status


# A register of 8 bits: in units of 1/4, -128 to 127; summands below 16, that is below 64 units.
SMALL = "window:msb=3,lsb=-2,ovf=2"
TIGHT = "window:msb=3,lsb=-2,ovf=1"  # 7 bits: -64 to 63 units
NARROW = "window:msb=3,lsb=-2,ovf=0"  # 6 bits: -32 to 31 units


@pytest.mark.parametrize(
    ("terms", "acc", "units", "status"),
    [
        ([], SMALL, 0, 0),
        ([(1.5, 1.5)], SMALL, 9, 0),
        # The magnitude is truncated, not the two's complement value.
        ([(1, 0.4375)], SMALL, 1, INEXACT),
        ([(-1, 0.4375)], SMALL, -1, INEXACT),
        ([(1, 0.1875), (1, 0.1875)], SMALL, 0, INEXACT),
        # Nearest, ties to even: 1.5 and 2.5 units become 2; a little more than 2.5 becomes 3.
        ([(1, 0.375)], SMALL + ",round=even", 2, INEXACT),
        ([(1, 0.625)], SMALL + ",round=even", 2, INEXACT),
        ([(-1, 0.625)], SMALL + ",round=even", -2, INEXACT),
        ([(1, 0.6251)], SMALL + ",round=even", 3, INEXACT),
        ([(1, 0.125)], SMALL + ",round=even", 0, INEXACT),
        # In range before rounding, at the limit after it: no event while the register holds it.
        ([(1, 15.9)], SMALL + ",round=even", 64, INEXACT),
        ([(1, 15.9)], TIGHT + ",round=even,overflow=wrap", -64, INEXACT | OVERFLOW),
        ([(1, 15.9)], TIGHT + ",round=even,overflow=saturate", 63, INEXACT | OVERFLOW),
        ([(-1, 15.9)], TIGHT + ",round=even", -64, INEXACT),
        # Out of range: nan, clamped, or modulo 2**W.
        ([(1, 16)], SMALL, 0, INVALID | OVERFLOW),
        ([(1, 16)], SMALL + ",overflow=saturate", 63, OVERFLOW),
        ([(-1, 99.1)], SMALL + ",overflow=saturate", -63, OVERFLOW | INEXACT),
        ([(1, 33.3)], SMALL + ",overflow=wrap", 133 - 256, OVERFLOW | INEXACT),
        ([(-1, 33.3)], SMALL + ",overflow=wrap", 256 - 133, OVERFLOW | INEXACT),
        ([(1, 64)], SMALL + ",overflow=wrap", 0, OVERFLOW),
        # The sum leaves the register: judged at every step, in order.
        ([(1, 15), (1, 15), (1, -15)], SMALL, 60, 0),
        ([(1, 15), (1, 15), (1, 2)], SMALL, 0, INVALID | OVERFLOW),
        ([(1, 15), (1, 15), (1, 2), (1, -8)], SMALL, 0, INVALID | OVERFLOW),
        ([(1, 15), (1, 15), (1, 2), (1, -8)], SMALL + ",overflow=saturate", 95, OVERFLOW),
        ([(1, 15), (1, 15), (1, 2), (1, -8)], SMALL + ",overflow=wrap", 96, OVERFLOW),
        ([(1, -8), (1, 15), (1, 15), (1, 2)], SMALL + ",overflow=saturate", 96, 0),
        ([(1, -15), (1, -15), (1, -2)], SMALL, -128, 0),
        ([(1, -15), (1, -15), (1, -2), (1, -0.25)], SMALL + ",overflow=saturate", -128, OVERFLOW),
        # Without overflow bits the register is narrower than a summand.
        ([(1, 8)], NARROW + ",overflow=wrap", -32, OVERFLOW),
        ([(1, -8)], NARROW, -32, 0),
        ([(1, 15), (1, 15)], NARROW + ",overflow=saturate", 31, OVERFLOW),
        ([(1, 100), (1, -1)], NARROW + ",overflow=saturate", 27, OVERFLOW),
        # Bits of an out-of-range product below lsb count as dropped, also when the result is nan.
        ([(1, 99.1)], SMALL, 0, INVALID | OVERFLOW | INEXACT),
        # raw holds neither infinity nor NaN.
        ([(1, 1), (INF, 1)], SMALL, 0, INVALID),
    ],
)
def test_the_register_follows_the_definition(terms, acc, units, status):
    assert run(terms, acc, out="raw") == (units, status)


@pytest.mark.parametrize(
    ("terms", "out", "expected"),
    [
        ([(NAN, 0)], "fp32", ("nan", INVALID)),
        ([(INF, 0)], "fp32", ("nan", INVALID)),
        ([(0, MINUS_INF)], "fp32", ("nan", INVALID)),
        ([(INF, 1), (INF, -1)], "fp32", ("nan", INVALID)),
        ([(INF, 1), (1, INF)], "fp32", ("infinite", 0)),
        ([(INF, -1)], "fp32", ("-infinite", 0)),
        ([(MINUS_INF, MINUS_INF)], "fp32", ("infinite", 0)),
        ([(INF, 1), (1, 0.3)], "fp32", ("infinite", INEXACT)),
        ([(INF, 1), (1, 16)], "fp32", ("nan", INVALID | OVERFLOW)),
        ([(INF, -1)], "e4m3", (-448.0, OVERFLOW | INEXACT)),
        ([(INF, 1)], "e4m3:overflow=nan", ("nan", INVALID | OVERFLOW | INEXACT)),
        ([(INF, -1)], "int8", (-128.0, OVERFLOW | INEXACT)),
        ([(NAN, 1)], "int8", (0.0, INVALID)),
        ([(1, -1)], "uint8", (0.0, OVERFLOW | INEXACT)),
    ],
)
def test_specials_follow_the_definition(terms, out, expected):
    assert run(terms, SMALL, out=out) == expected


def test_an_infinity_survives_an_event_of_a_saturating_register():
    assert run([(1, 99), (INF, 1)], SMALL + ",overflow=saturate") == ("infinite", OVERFLOW)


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("e4m3", (448.0, OVERFLOW | INEXACT)),
        ("e4m3:overflow=nan", ("nan", INVALID | OVERFLOW | INEXACT)),
        ("int:12", (480.0, 0)),
        ("int8", (127.0, OVERFLOW | INEXACT)),
        ("float:3,2", ("infinite", OVERFLOW | INEXACT)),
        ("e5m2", (512.0, INEXACT)),
    ],
)
def test_a_register_beyond_the_output_format_follows_the_format(out, expected):
    assert run([(24, 20)], "window:msb=9,lsb=0,ovf=2", out=out) == expected


def test_an_exact_zero_is_positive_and_an_underflow_keeps_its_sign():
    acc = "window:msb=0,lsb=-160,ovf=2"
    zero = Datapath.parse(a="fp32", acc=acc, out="fp16")
    one, minus_one, tiny = (zero.a.encode(x).bits for x in (1.0, -1.0, 2.0**-70))
    assert dot([one, one], [one, minus_one], zero) == (0x0000, 0)
    assert dot([minus_one], [0], zero) == (0x0000, 0)
    assert dot([tiny], [tiny], zero) == (0x0000, INEXACT)
    assert dot([tiny], [tiny | 1 << 31], zero) == (0x8000, INEXACT)


def test_the_result_is_rounded_once_with_ties_to_even():
    # 1 + 2**-11 is a tie in fp16; 2**-30 more, kept by the register, decides it.
    acc = "window:msb=1,lsb=-40,ovf=2"
    tie = [(1, 1), (1, 2.0**-11)]
    assert run(tie, acc, out="fp16") == (1.0, INEXACT)
    assert run([*tie, (1, 2.0**-30)], acc, out="fp16") == (1 + 2.0**-10, INEXACT)


@pytest.mark.parametrize("fmt", ["e4m3", "e5m2", "fp16", "bf16", "fp32", "fp64", "int8"])
def test_the_exact_window_loses_nothing_over_its_terms(fmt):
    datapath = Datapath.parse(a=fmt, acc="exact:terms=4096", out="raw")
    largest = datapath.a.encode(datapath.a.max_finite).bits
    smallest = datapath.a.encode(Fraction(2) ** datapath.a.min_exponent).bits
    bits, status = dot([largest] * 4095 + [smallest], [largest] * 4095 + [smallest], datapath)
    quantum = Fraction(2) ** datapath.window.lsb
    peak = datapath.a.decode(largest).fraction ** 2
    assert bits * quantum == 4095 * peak + Fraction(4) ** datapath.a.min_exponent
    assert status == 0


@pytest.mark.parametrize(
    ("fmt", "width"),
    # arithmetic.md section 3
    [
        ("e2m1", 21),
        ("e4m3", 49),
        ("e5m2", 77),
        ("fp16", 93),
        ("bf16", 535),
        ("fp32", 567),
        ("fp64", 4209),
    ],
)
def test_exact_windows_have_the_widths_of_the_definition(fmt, width):
    assert Datapath.parse(a=fmt, acc="exact:terms=4096").window.width == width


def test_unequal_lengths_are_refused():
    datapath = Datapath.parse(a="bf16", acc=SMALL)
    with pytest.raises(SpecError, match=re.escape("a has 2 terms and b has 1")):
        dot([0, 0], [0], datapath)
