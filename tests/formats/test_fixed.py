"""Fixed point and integers: both routes against plain rational arithmetic and against NumPy."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import FormatError
from hwgen.formats import FixedPoint, Integer, Kind, Number, parse_format

SMALL = ("int2", "int4", "uint4", "int8", "uint8", "uint1", "fixed:1,3", "fixed:3,4", "ufixed:0,5")
MIDDLE = ("int16", "uint16", "fixed:4,12", "ufixed:9,7")
LARGE = (
    "int32",
    "int53",
    "int62",
    "int63",
    "int64",
    "uint62",
    "uint63",
    "fixed:1,63",
    "ufixed:0,63",
)
LIBRARY_TYPES = {
    "int4": ml_dtypes.int4,
    "uint4": ml_dtypes.uint4,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "uint16": np.uint16,
}


def extremes(fmt: FixedPoint) -> tuple[int, int]:
    if fmt.signed:
        return -(1 << (fmt.width - 1)), (1 << (fmt.width - 1)) - 1
    return 0, (1 << fmt.width) - 1


def nearest(fmt: FixedPoint, value: Fraction) -> tuple[int, bool, bool]:
    """Return pattern, overflow and inexact by counting halves; shares nothing with the package."""
    scaled = value * 2**fmt.fraction_bits
    below = math.floor(scaled)
    twice = 2 * (scaled - below)
    chosen = below + (1 if twice > 1 or (twice == 1 and below % 2 == 1) else 0)
    low, high = extremes(fmt)
    kept = min(max(chosen, low), high)
    return kept & ((1 << fmt.width) - 1), kept != chosen, kept != scaled


@pytest.mark.parametrize("name", LIBRARY_TYPES)
def test_every_pattern_decodes_as_in_numpy_and_ml_dtypes(name: str) -> None:
    fmt = parse_format(name)
    patterns = np.arange(1 << fmt.width).astype(fmt.dtype)
    reference = patterns.view(LIBRARY_TYPES[name]).astype(np.float64)
    np.testing.assert_array_equal(fmt.to_float(patterns), reference)
    np.testing.assert_array_equal(fmt.from_float(reference), patterns)


@pytest.mark.parametrize("name", (*SMALL, *MIDDLE))
def test_every_pattern_decodes_alike_on_both_routes(name: str) -> None:
    fmt = parse_format(name)
    parts = fmt.unpack(np.arange(1 << fmt.width))
    values = fmt.to_float(np.arange(1 << fmt.width))
    assert not parts.nan.any() and not parts.inf.any()
    for bits in range(1 << fmt.width):
        signed = bits - (1 << fmt.width) if fmt.signed and bits >> (fmt.width - 1) else bits
        number = fmt.decode(bits)
        assert number.fraction == Fraction(signed, 1 << fmt.fraction_bits) == values[bits]
        assert number.sign == parts.sign[bits]
        assert number.significand == parts.significand[bits]
        assert number.exponent == parts.exponent[bits] == fmt.min_exponent


@pytest.mark.parametrize("name", SMALL)
def test_every_quarter_step_rounds_to_even_on_both_routes(name: str) -> None:
    fmt = parse_format(name)
    low, high = extremes(fmt)
    for quarters in range(4 * low - 9, 4 * high + 10):
        value = Fraction(quarters, 4 << fmt.fraction_bits)
        expected = nearest(fmt, value)
        encoding = fmt.encode(value)
        assert (encoding.bits, encoding.overflow, encoding.inexact) == expected
        assert fmt.from_float(np.array([float(value)]))[0] == expected[0]
        packed = fmt.pack(
            np.array([quarters < 0]),
            np.array([abs(quarters)]),
            np.array([-2 - fmt.fraction_bits]),
        )
        assert (packed.bits[0], packed.overflow[0], packed.inexact[0]) == expected


@pytest.mark.parametrize("name", ("int8", "uint8", "int16", "uint16", "fixed:4,12"))
def test_from_float_is_right_one_ulp_around_every_midpoint(name: str) -> None:
    fmt = parse_format(name)
    low, high = extremes(fmt)
    numbers = np.arange(low - 1, high + 2).astype(np.float64)
    middles = numbers + 0.5
    values = np.concatenate(
        [middles, np.nextafter(middles, -np.inf), np.nextafter(middles, np.inf)]
    )
    even = np.where(numbers % 2 == 0, numbers, numbers + 1)
    expected = np.clip(np.concatenate([even, numbers, numbers + 1]), low, high).astype(np.int64)
    actual = fmt.from_float(values * 2.0**-fmt.fraction_bits)
    np.testing.assert_array_equal(actual, expected & ((1 << fmt.width) - 1))


@pytest.mark.parametrize("name", (*SMALL, *MIDDLE, *LARGE))
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_pack_and_encode_round_any_number_as_rational_arithmetic(
    name: str, data: st.DataObject
) -> None:
    fmt = parse_format(name)
    significand = data.draw(
        st.integers(0, (1 << 64) - 1)
        | st.integers(0, 64).map(lambda bits: (1 << bits) - 1)
        | st.integers(0, 63).map(lambda bits: 1 << bits)
    )
    shift = data.draw(st.integers(-70, 70) | st.integers(-2, 2))
    sign = data.draw(st.booleans())
    exponent = shift - fmt.fraction_bits
    number = Number(Kind.FINITE, int(sign), significand, exponent)
    expected = nearest(fmt, number.fraction)
    encoding = fmt.encode(number)
    assert (encoding.bits, encoding.overflow, encoding.inexact) == expected
    packed = fmt.pack(
        np.array([sign]), np.array([significand], dtype=np.uint64), np.array([exponent])
    )
    assert (int(packed.bits[0]), packed.overflow[0], packed.inexact[0]) == expected


@pytest.mark.parametrize("name", (*SMALL, *MIDDLE, *LARGE))
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_sticky_stands_for_any_fraction_below_the_significand(
    name: str, data: st.DataObject
) -> None:
    fmt = parse_format(name)
    low, high = extremes(fmt)
    halves = data.draw(st.integers(1, 2 * high) | st.integers(max(1, 2 * high - 4), 2 * high + 6))
    shift = data.draw(st.sampled_from([63, 64])) - halves.bit_length()
    shift = max(shift, 0)
    significand = (halves << shift) + (data.draw(st.integers(-1, 1)) if shift else 0)
    significand = min(max(significand, 1 << 62), (1 << 64) - 1)
    exponent = -1 - shift - fmt.fraction_bits
    sign = data.draw(st.booleans())
    packed = fmt.pack(
        np.array([sign]),
        np.array([significand], dtype=np.uint64),
        np.array([exponent]),
        np.array([True]),
    )
    for fraction in (Fraction(1, 1000), Fraction(1, 2), Fraction(999, 1000)):
        magnitude = (significand + fraction) * Fraction(2) ** exponent
        expected = nearest(fmt, -magnitude if sign else magnitude)
        assert (int(packed.bits[0]), packed.overflow[0], packed.inexact[0]) == expected


def test_sticky_without_a_bit_below_the_lowest_is_refused() -> None:
    fmt = parse_format("int64")
    one = np.array([True])
    message = "^a sticky significand reaches down to the lowest bit of int64"
    with pytest.raises(ValueError, match=message):
        fmt.pack(~one, np.array([1 << 62]), np.array([0]), one)
    packed = fmt.pack(~one, np.array([1 << 63], dtype=np.uint64), np.array([0]), one)
    assert (packed.bits[0], packed.overflow[0]) == ((1 << 63) - 1, True)


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_pack_bears_the_extreme_exponents_of_int64(name: str) -> None:
    fmt = parse_format(name)
    ends = np.iinfo(np.int64)
    packed = fmt.pack(
        np.array([False, True, False, False, True]),
        np.array([1, 1, (1 << 64) - 1, 0, 0], dtype=np.uint64),
        np.array([ends.max, ends.max, ends.min, ends.max, ends.min]),
    )
    assert packed.bits.tolist() == [fmt.infinity_bits(False), fmt.infinity_bits(True), 0, 0, 0]
    assert packed.overflow.tolist() == [True, True, False, False, False]
    assert packed.inexact.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", (*SMALL, *MIDDLE, *LARGE))
def test_encoding_a_decoded_pattern_gives_it_back(name: str) -> None:
    fmt = parse_format(name)
    patterns = np.random.default_rng(4).integers(0, 1 << fmt.width, 300, dtype=np.uint64)
    patterns[:2] = [(1 << fmt.width) - 1, 1 << (fmt.width - 1)]
    parts = fmt.unpack(patterns.astype(fmt.dtype))
    packed = fmt.pack(parts.sign, parts.significand, parts.exponent)
    np.testing.assert_array_equal(packed.bits, patterns)
    assert not packed.overflow.any() and not packed.inexact.any()
    for bits in patterns.tolist():
        assert fmt.encode(fmt.decode(bits)).bits == bits


@pytest.mark.parametrize("name", ("int53", "int63", "int64", "fixed:1,63"))
def test_to_float_rounds_once(name: str) -> None:
    fmt = parse_format(name)
    patterns = np.random.default_rng(5).integers(0, 1 << fmt.width, 500, dtype=np.uint64)
    # The quotient of two ints is correctly rounded in Python.
    exact = [fmt.decode(bits).fraction for bits in patterns.tolist()]
    expected = [value.numerator / value.denominator for value in exact]
    assert fmt.to_float(patterns).tolist() == expected


def test_zero_has_no_sign() -> None:
    for name in ("int8", "fixed:2,6", "uint8"):
        fmt = parse_format(name)
        for value in (-0.0, Number(Kind.FINITE, 1, 0, 3), Fraction(-1, 10**6)):
            assert fmt.encode(value).bits == 0
        packed = fmt.pack(np.array([True, True]), np.array([0, 1]), np.array([0, -100]))
        assert packed.bits.tolist() == [0, 0]
        assert packed.inexact.tolist() == [False, True]
        assert not np.signbit(fmt.to_float(np.array([0])))[0]


def test_infinities_saturate_and_nan_is_refused_or_flagged() -> None:
    for name, largest, least in (("int8", 0x7F, 0x80), ("uint8", 0xFF, 0), ("fixed:2,2", 7, 8)):
        fmt = parse_format(name)
        for value, bits in ((math.inf, largest), (-math.inf, least)):
            encoding = fmt.encode(value)
            assert (encoding.bits, encoding.overflow, encoding.inexact) == (bits, True, True)
        encoding = fmt.encode(math.nan)
        assert (encoding.bits, encoding.invalid, encoding.overflow) == (0, True, False)
        assert fmt.from_float(np.array([np.inf, -np.inf])).tolist() == [largest, least]
        message = (
            f"2 of 3 values are NaN, which {name} does not have;"
            " remove them or choose a format that has"
        )
        with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
            fmt.from_float(np.array([np.nan, 1.0, np.nan]))


def test_integers_are_fixed_point_without_fraction_bits() -> None:
    int8 = Integer(integer_bits=8)
    assert int8 == parse_format("int8") != Integer(integer_bits=8, signed=False)
    assert isinstance(int8, FixedPoint) and int8.fraction_bits == 0
    assert int8 != FixedPoint(integer_bits=8, fraction_bits=0)
    assert (int8.max_finite, int8.precision, int8.min_exponent) == (128, 8, 0)
    uint8 = parse_format("uint8")
    assert (uint8.max_finite, uint8.signed, uint8.has_inf, uint8.has_nan) == (
        255,
        False,
        False,
        False,
    )


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_arrays_keep_their_shape(shape: tuple[int, ...]) -> None:
    fmt = parse_format("fixed:3,5")
    bits = fmt.from_float(np.full(shape, -1.0))
    assert isinstance(bits, np.ndarray) and bits.shape == shape and bits.dtype == fmt.dtype
    values, parts = fmt.to_float(bits), fmt.unpack(bits)
    for array in (values, parts.nan, parts.inf, parts.sign, parts.significand, parts.exponent):
        assert isinstance(array, np.ndarray) and array.shape == shape
    np.testing.assert_array_equal(values, np.full(shape, -1.0))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((1, 0, True), "fixed:1,0 is 1 bits wide; allowed is 2 to 64"),
        ((60, 5, True), "fixed:60,5 is 65 bits wide; allowed is 2 to 64"),
        ((64, 0, False), "ufixed:64,0 is 64 bits wide; allowed is 1 to 63"),
        ((0, 0, False), "ufixed:0,0 is 0 bits wide; allowed is 1 to 63"),
        ((0, 8, True), "fixed:0,8 has 0 integer bits; it must be at least 1"),
        ((4, -1, True), "fixed:4,-1 has -1 fraction bits; it must be at least 0"),
        ((2.5, 1, True), "fixed:2.5,1 has 2.5 integer bits; it must be at least 1"),
    ],
)
def test_wrong_parameters_are_refused(parameters: tuple, message: str) -> None:
    integer_bits, fraction_bits, signed = parameters
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        FixedPoint(integer_bits=integer_bits, fraction_bits=fraction_bits, signed=signed)


def test_wrong_patterns_and_arguments_are_refused() -> None:
    fmt = parse_format("int4")
    with pytest.raises(FormatError, match="^pattern 0x10 does not fit int4; allowed is 0 to 0xf$"):
        fmt.decode(16)
    with pytest.raises(FormatError, match="^pattern 0x10 does not fit int4; allowed is 0 to 0xf$"):
        fmt.unpack(np.array([16]))
    with pytest.raises(
        ValueError, match=r"^a significand is negative \(-3\); it must be unsigned$"
    ):
        fmt.pack(np.array([True]), np.array([-3]), np.array([0]))
