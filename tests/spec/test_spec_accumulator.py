"""Accumulators: names, limits, and the windows they resolve to."""

from __future__ import annotations

import re

import pytest

from hwgen.errors import HwgenError, SpecError
from hwgen.formats import parse_format
from hwgen.spec.accumulator import (
    Exact,
    FloatSum,
    IntegerSum,
    Overflow,
    Rounding,
    Window,
    parse_accumulator,
)

BF16 = parse_format("bf16")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("window:msb=5,lsb=-30,ovf=9", Window(msb=5, lsb=-30, ovf=9)),
        (" window: lsb=-30 , msb=5 ", Window(msb=5, lsb=-30, ovf=1)),
        ("window:msb=0,lsb=0", Window(msb=0, lsb=0)),
        (
            "window:msb=5,lsb=-3,round=even,overflow=wrap",
            Window(msb=5, lsb=-3, rounding=Rounding.EVEN, overflow=Overflow.WRAP),
        ),
        ("window:msb=+5,lsb=4,ovf=0", Window(msb=5, lsb=4, ovf=0)),
        ("window:msb=5,lsb=-3,round=odd", Window(msb=5, lsb=-3, rounding=Rounding.ODD)),
        (
            "window:msb=5,lsb=-3,round=stochastic",
            Window(msb=5, lsb=-3, rounding=Rounding.STOCHASTIC, seed=1, random_bits=8),
        ),
        (
            "window:msb=5,lsb=-3,round=stochastic,seed=65535,bits=24",
            Window(msb=5, lsb=-3, rounding=Rounding.STOCHASTIC, seed=65535, random_bits=24),
        ),
        ("window:msb=5,lsb=-3,dot=4", Window(msb=5, lsb=-3, dot=4)),
        ("fma:fp32", FloatSum(format=parse_format("fp32"))),
        ("fma:float:8,12,lanes=4", FloatSum(format=parse_format("float:8,12"), lanes=4)),
        ("muladd:bf16", FloatSum(format=BF16, fused=False)),
        ("exact", Exact(terms=4096)),
        ("exact:terms=7", Exact(terms=7)),
        ("exact:dot=2", Exact(terms=4096, dot=2)),
        ("int:32", IntegerSum(bits=32, overflow=Overflow.WRAP)),
        ("int:12,overflow=saturate", IntegerSum(bits=12, overflow=Overflow.SATURATE)),
        ("int:12,dot=16", IntegerSum(bits=12, dot=16)),
    ],
)
def test_names_are_understood(text, expected):
    assert parse_accumulator(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "window:msb=5,lsb=-30,ovf=9",
        "window:msb=5,lsb=-30,ovf=0,round=even",
        "window:msb=-5,lsb=-30,ovf=1,overflow=saturate",
        "window:msb=5,lsb=-30,ovf=1,round=even,overflow=wrap",
        "window:msb=5,lsb=-30,ovf=9,round=odd,overflow=saturate",
        "window:msb=5,lsb=-30,ovf=9,round=stochastic,seed=7,bits=12,overflow=wrap",
        "window:msb=5,lsb=-30,ovf=9,round=stochastic,seed=4294967295,bits=8",
        "window:msb=5,lsb=-30,ovf=1,overflow=wrap,dot=2",
        "fma:fp64",
        "fma:float:8,12,lanes=16",
        "muladd:e5m2,lanes=2",
        "exact:terms=1",
        "exact:terms=999999",
        "exact:terms=4096,dot=3",
        "int:2",
        "int:8192,overflow=saturate",
        "int:20,overflow=saturate,dot=4",
    ],
)
def test_a_normalised_name_reads_back_as_itself(text):
    assert str(parse_accumulator(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window:msb=-31,lsb=-30", "msb=-31 below lsb=-30; msb must be at least lsb"),
        ("window:msb=5", "lacks lsb; write window:msb=M,lsb=L[,ovf=V]"),
        ("window", "lacks msb; write window:"),
        ("window:msb=5,lsb=-30,ovf=-1", "ovf=-1; it must be 0 or more"),
        ("window:msb=0,lsb=0,ovf=0", "1 bits wide (ovf + msb - lsb + 1); allowed is 2 to 8192"),
        ("window:msb=9000,lsb=0", "9002 bits wide"),
        ("window:msb=16385,lsb=16384", "msb=16385; allowed is -16384 to 16384"),
        ("window:msb=0,lsb=-16385", "lsb=-16385; allowed is -16384 to 16384"),
        ("window:msb=5,lsb=-3,ovf=99999", "allowed is 2 to 8192"),
        ("window:msb=5,lsb=-3,round=up", "round=up; allowed is zero, even, odd, stochastic"),
        ("window:msb=5,lsb=-3,overflow=inf", "overflow=inf; allowed is nan, saturate, wrap"),
        ("window:msb=5,lsb=-3,width=3", "has no option 'width'; write window:"),
        ("window:msb=5,lsb=-3,bits=3", "bits=3 with round=zero; bits belongs to round=stochastic"),
        ("window:msb=5,lsb=-3,round=odd,seed=3", "seed=3 with round=odd; seed belongs to"),
        ("window:msb=5,lsb=-3,round=stochastic,seed=0", "seed=0; allowed is 1 to 4294967295"),
        (
            "window:msb=5,lsb=-3,round=stochastic,seed=4294967296",
            "seed=4294967296; allowed is 1 to",
        ),
        ("window:msb=5,lsb=-3,round=stochastic,seed=99999999999", "integer of at most 10 digits"),
        (
            "window:msb=1234567,lsb=-3",
            "is '1234567'; it must be a decimal integer of at most 6 digits",
        ),
        ("window:msb=5,lsb=-3,round=stochastic,bits=0", "bits=0; allowed is 1 to 24"),
        ("window:msb=5,lsb=-3,round=stochastic,bits=25", "bits=25; allowed is 1 to 24"),
        ("window:msb=5,lsb=-3,dot=0", "window has dot=0; allowed is 1 to 16 products at once"),
        ("window:msb=5,lsb=-3,per=block,dot=2", "dot=2 with per=block, which adds one scale block"),
        ("exact:dot=17", "exact has dot=17; allowed is 1 to 16"),
        ("int:32,dot=-1", "int accumulator has dot=-1; allowed is 1 to 16"),
        ("fma:fp32,dot=2", "has no option 'dot'; write fma:FORMAT[,lanes=L]"),
        ("fma:e4m3", "fma has the format e4m3; it must be an IEEE-like float"),
        ("fma:int8", "fma has the format int8; it must be an IEEE-like float"),
        ("muladd:fp16:overflow=saturate", "has no option 'fp16:overflow'; write muladd:FORMAT"),
        ("fma", "is malformed; write fma:FORMAT[,lanes=L]"),
        ("fma:fp32,lanes=0", "fma has lanes=0; allowed is 1 to 16"),
        ("muladd:fp32,lanes=17", "muladd has lanes=17; allowed is 1 to 16"),
        ("fma:fp32,round=odd", "has no option 'round'; write fma:FORMAT[,lanes=L]"),
        ("window:5,lsb=-3,msb=5", "is malformed; write window:"),
        ("window:msb=5.0,lsb=-3", "is '5.0'; it must be a decimal integer"),
        ("window:msb=5,msb=6,lsb=0", "gives msb twice"),
        ("window:msb=,lsb=0", "has an empty item"),
        ("exact:terms=0", "terms=0; allowed is 1 to 999999"),
        ("exact:7", "is malformed; write exact"),
        ("int", "is malformed; write int:"),
        ("int:1", "1 bits; allowed is 2 to 8192"),
        ("int:32,overflow=nan", "overflow=nan; allowed is wrap or saturate"),
        ("int:x", "is 'x'; it must be a decimal integer"),
        ("kulisch:msb=5,lsb=1", "unknown accumulator 'kulisch:msb=5,lsb=1'; known are window:"),
        ("Window:msb=5,lsb=1", "does not start with a name in lower case"),
        ("", "does not start with a name"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_allowed(text, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        parse_accumulator(text)


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(HwgenError, match="expected a name such as"):
        parse_accumulator(32)


def test_the_register_has_the_bits_that_the_definition_counts():
    window = Window(msb=5, lsb=-30, ovf=9)
    assert (window.width, window.summand_bits) == (45, 36)
    assert window.resolve(BF16, BF16) is window


@pytest.mark.parametrize(
    ("window", "width", "summand_bits"),
    [
        (Window(msb=0, lsb=0, ovf=1), 2, 1),  # the least that there is
        (Window(msb=1, lsb=0, ovf=0), 2, 2),  # without overflow bits
        (Window(msb=-9, lsb=-9, ovf=1), 2, 1),
    ],
)
def test_the_smallest_windows_exist(window, width, summand_bits):
    assert (window.width, window.summand_bits) == (width, summand_bits)


@pytest.mark.parametrize("seed", [0, 2**32])
def test_a_seed_has_32_bits_and_is_not_zero(seed):
    with pytest.raises(SpecError, match="allowed is 1 to 4294967295"):
        Window(msb=5, lsb=-3, rounding=Rounding.STOCHASTIC, seed=seed, random_bits=1)


def test_a_floating_point_sum_resolves_to_itself():
    fma = FloatSum(format=parse_format("fp32"), lanes=3)
    assert fma.resolve(BF16, parse_format("int8")) is fma


def test_a_floating_point_sum_that_saturates_is_refused():
    with pytest.raises(SpecError, match="its sums overflow to infinity, so write the format"):
        FloatSum(format=parse_format("fp16:overflow=saturate"))


@pytest.mark.parametrize(
    ("name", "width"),
    # arithmetic.md section 3, for 4096 terms
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
def test_exact_windows_have_the_widths_of_the_definition(name, width):
    fmt = parse_format(name)
    window = Exact(terms=4096).resolve(fmt, fmt)
    assert window.width == width
    assert window.ovf == 13


@pytest.mark.parametrize(
    ("a", "b"), [("e4m3", "e5m2"), ("int4", "bf16"), ("uint4", "uint8"), ("fixed:2,3", "fp16")]
)
def test_a_mixed_exact_window_ends_at_the_products_ends(a, b):
    a, b = parse_format(a), parse_format(b)
    window = Exact(terms=1).resolve(a, b)
    assert window.lsb == a.min_exponent + b.min_exponent
    assert 2 ** (window.msb + 1) > a.max_finite * b.max_finite >= 2**window.msb
    assert window.ovf == 1


@pytest.mark.parametrize(("terms", "ovf"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (4096, 13)])
def test_an_exact_window_has_overflow_bits_for_its_terms(terms, ovf):
    assert Exact(terms=terms).resolve(BF16, BF16).ovf == ovf  # 1 + ceil(log2 terms)


@pytest.mark.parametrize("text", ["window:msb=5,lsb=-3,dot=3", "exact:dot=3", "int:32,dot=3"])
def test_every_window_adds_as_many_products_at_once_as_its_name_says(text):
    fmt = parse_format("int8")
    assert parse_accumulator(text).resolve(fmt, fmt).dot == 3


def test_an_integer_sum_is_a_window_of_as_many_bits():
    int8 = parse_format("int8")
    window = IntegerSum(bits=32, overflow=Overflow.SATURATE).resolve(int8, int8)
    assert window == Window(msb=31, lsb=0, ovf=0, overflow=Overflow.SATURATE)
    assert window.width == 32


@pytest.mark.parametrize("names", [("bf16", "int8"), ("int8", "bf16"), ("fixed:4,4", "int8")])
def test_an_integer_sum_takes_integers_only(names):
    a, b = map(parse_format, names)
    with pytest.raises(
        SpecError, match="acc=int:32 needs integer operands but . is .*; use window"
    ):
        IntegerSum(bits=32).resolve(a, b)
