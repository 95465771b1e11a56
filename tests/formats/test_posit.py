"""Posits: both routes against each other, against softposit and against the definition."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
import softposit
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import FormatError
from hwgen.formats import Kind, Number, Posit, parse_format

# softposit has the exponent sizes of the draft before the standard.
LIBRARY_TYPES = {
    "posit:8,0": softposit.posit8,
    "posit:16,1": softposit.posit16,
    "posit32": softposit.posit32,
}
TINY = ("posit8", "posit:8,0", "posit:3,0", "posit3", "posit:5,4", "posit:6,1", "posit:9,3")
SMALL = (*TINY, "posit16", "posit:16,1", "posit:12,4")
LARGE = ("posit32", "posit:32,0", "posit:32,4", "posit:27,3")


def all_patterns(fmt: Posit) -> np.ndarray:
    return np.arange(1 << fmt.width, dtype=np.uint64).astype(fmt.dtype)


def some_patterns(fmt: Posit, count: int) -> np.ndarray:
    """Every pattern of a narrow format; corners and random patterns of a wide one."""
    if fmt.width <= 16:
        return all_patterns(fmt)
    ends = np.arange(-500, 500)
    corners = np.concatenate([ends, ends + fmt.nan_bits]) % (1 << fmt.width)
    drawn = np.random.default_rng(1).integers(0, 1 << fmt.width, count)
    return np.concatenate([corners, drawn]).astype(fmt.dtype)


@functools.cache
def rounding_cases(name: str) -> tuple[list[Fraction], list[int]]:
    """Positive values around every number and tie, and the patterns that they round to.

    The tie between two neighbours is the posit of one bit more that lies between them, since it is
    the bit string that is rounded.
    """
    fmt = parse_format(name)
    finer = Posit(width=fmt.width + 1, exponent_bits=fmt.exponent_bits)
    tiny = Fraction(1, 1 << 80)
    values, expected = [], []
    for bits in range(1, fmt.nan_bits - 1):
        number = fmt.decode(bits).fraction
        tie = finer.decode(2 * bits + 1).fraction
        even = bits + bits % 2
        values += [number, number * (1 + tiny), tie * (1 - tiny), tie, tie * (1 + tiny)]
        expected += [bits, bits, bits, even, bits + 1]
    least, largest = fmt.decode(1).fraction, fmt.max_finite
    values += [least / 2, least / 2**1000, largest, largest * (1 + tiny), largest * 2**1000]
    expected += [1, 1] + 3 * [fmt.nan_bits - 1]
    return values, expected


@pytest.mark.parametrize(
    ("name", "bits", "value"),
    [
        ("posit8", 0x40, 1),
        ("posit8", 0xC0, -1),
        ("posit8", 0x48, 2),
        ("posit8", 0x60, 16),
        ("posit8", 0x44, Fraction(3, 2)),
        ("posit8", 0xBC, Fraction(-3, 2)),
        ("posit8", 0x7F, 1 << 24),
        ("posit8", 0x81, -(1 << 24)),
        ("posit8", 0x01, Fraction(1, 1 << 24)),
        ("posit8", 0xFF, Fraction(-1, 1 << 24)),
        ("posit16", 0x7FFF, 1 << 56),
        ("posit32", 0x00000001, Fraction(1, 1 << 120)),
        # Gustafson's example: 0 0001 101 11011101 with three exponent bits.
        ("posit:16,3", 0x0DDD, Fraction(477, 1 << 27)),
    ],
)
def test_known_patterns_have_their_known_values(name: str, bits: int, value: Fraction) -> None:
    fmt = parse_format(name)
    assert fmt.decode(bits).fraction == value
    assert fmt.to_float(np.array([bits]))[0] == value
    assert fmt.encode(value).bits == bits


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_negation_is_twos_complement_and_zero_and_nar_are_single(name: str) -> None:
    fmt = parse_format(name)
    patterns = some_patterns(fmt, 5000)
    negated = (-patterns.astype(np.int64)) % (1 << fmt.width)
    np.testing.assert_array_equal(fmt.to_float(patterns), -fmt.to_float(negated) + 0.0)
    assert patterns[np.isnan(fmt.to_float(patterns))].tolist().count(fmt.nan_bits) >= 1
    assert set(patterns[np.isnan(fmt.to_float(patterns))].tolist()) == {fmt.nan_bits}
    assert set(patterns[fmt.to_float(patterns) == 0].tolist()) == {0}


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_patterns_are_ordered_as_their_numbers(name: str) -> None:
    fmt = parse_format(name)
    patterns = np.unique(some_patterns(fmt, 5000)).astype(np.int64)
    order = np.where(patterns >= fmt.nan_bits, patterns - (1 << fmt.width), patterns)
    patterns = patterns[np.argsort(order)][1:]  # NaR comes first
    assert np.all(np.diff(fmt.to_float(patterns)) > 0)


@pytest.mark.parametrize("name", LIBRARY_TYPES)
def test_patterns_decode_as_in_softposit(name: str) -> None:
    fmt = parse_format(name)
    patterns = some_patterns(fmt, 20_000)
    library = LIBRARY_TYPES[name]()
    for bits, value in zip(patterns.tolist(), fmt.to_float(patterns).tolist(), strict=True):
        library.fromBits(bits)
        assert library.isNaR() if np.isnan(value) else float(library) == value


@pytest.mark.parametrize("name", LIBRARY_TYPES)
def test_values_round_as_in_softposit(name: str) -> None:
    fmt = parse_format(name)
    generator = np.random.default_rng(2)
    spread = generator.normal(size=4000) * np.exp2(generator.integers(-135, 135, 4000))
    numbers = fmt.to_float(generator.integers(0, 1 << fmt.width, 2000))
    numbers = numbers[~np.isnan(numbers)]
    middles = (numbers + np.roll(numbers, 1)) / 2
    values = np.concatenate([spread, numbers, middles, [0.0, 1e300, -1e300, 1e-300]])
    rounded = fmt.to_float(fmt.from_float(values))
    for value, result in zip(values.tolist(), rounded.tolist(), strict=True):
        assert float(LIBRARY_TYPES[name](value)) == result, value


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_patterns_decode_alike_on_both_routes(name: str) -> None:
    fmt = parse_format(name)
    patterns = some_patterns(fmt, 5000)
    parts = fmt.unpack(patterns)
    for index, bits in enumerate(patterns.tolist()):
        number = fmt.decode(bits)
        assert (number.kind is Kind.NAN) == parts.nan[index]
        assert not parts.inf[index]
        assert number.sign == parts.sign[index]
        assert number.significand == parts.significand[index]
        assert number.exponent == parts.exponent[index]
        assert number.exponent >= fmt.min_exponent or number.kind is Kind.NAN
        assert number.significand.bit_length() <= fmt.precision


@pytest.mark.parametrize("name", TINY)
def test_exact_route_rounds_the_bit_string_around_every_number_and_tie(name: str) -> None:
    fmt = parse_format(name)
    for value, bits in zip(*rounding_cases(name), strict=True):
        for sign in (1, -1):
            encoding = fmt.encode(sign * value)
            assert encoding.bits == sign * bits % (1 << fmt.width), value
            assert encoding.overflow == (value > fmt.max_finite)
            assert encoding.inexact == (value != fmt.decode(bits).fraction)


@pytest.mark.parametrize("name", (*TINY, "posit16", "posit:12,4"))
def test_array_route_rounds_the_bit_string_around_every_number_and_tie(name: str) -> None:
    fmt = parse_format(name)
    values, expected = rounding_cases(name)
    step = 1 if fmt.width < 16 else 7
    significands, exponents, sticky = [], [], []
    for value in values[::step]:
        places = 63 - (value.numerator.bit_length() - value.denominator.bit_length())
        scaled = value * Fraction(2) ** places  # its leading one is bit 62 or bit 63
        significands.append(int(scaled))
        exponents.append(-places)
        sticky.append(int(scaled) != scaled)
    significands = np.array(significands, dtype=np.uint64)
    for sign in (0, 1):
        packed = fmt.pack(np.array(sign), significands, np.array(exponents), np.array(sticky))
        wanted = np.array(expected[::step]) * (-1) ** sign % (1 << fmt.width)
        np.testing.assert_array_equal(packed.bits, wanted)
        beyond = [value > fmt.max_finite for value in values[::step]]
        np.testing.assert_array_equal(packed.overflow, beyond)


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_pack_rounds_any_significand_as_encode(name: str, data: st.DataObject) -> None:
    fmt = parse_format(name)
    significand = data.draw(
        st.integers(0, (1 << 64) - 1)
        | st.tuples(st.integers(1, (1 << 30) - 1), st.integers(0, 34)).map(lambda x: x[0] << x[1])
    )
    ends = (fmt.min_exponent - significand.bit_length() - 2, fmt.max_exponent + 2)
    exponent = data.draw(st.integers(*ends) | st.integers(-3000, 3000))
    sticky = data.draw(st.booleans()) and significand >= 1 << 62
    sign = data.draw(st.booleans())
    packed = fmt.pack(
        np.array([sign]),
        np.array([significand], dtype=np.uint64),
        np.array([exponent]),
        np.array([sticky]),
    )
    fractions = (Fraction(1, 1000), Fraction(999, 1000)) if sticky else (Fraction(0),)
    for fraction in fractions:
        value = (significand + fraction) * Fraction(2) ** exponent
        encoding = fmt.encode(-value if sign else value)
        assert packed.bits[0] == encoding.bits
        assert packed.overflow[0] == encoding.overflow
        assert packed.inexact[0] == encoding.inexact


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_encoding_a_decoded_pattern_gives_it_back(name: str) -> None:
    fmt = parse_format(name)
    patterns = some_patterns(fmt, 2000)
    patterns = patterns[patterns != fmt.nan_bits]
    np.testing.assert_array_equal(fmt.from_float(fmt.to_float(patterns)), patterns)
    for bits in patterns[:: max(1, len(patterns) // 1000)].tolist():
        encoding = fmt.encode(fmt.decode(bits))
        assert (encoding.bits, encoding.inexact, encoding.overflow) == (bits, False, False)


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_pack_bears_the_extreme_exponents_of_int64(name: str) -> None:
    fmt = parse_format(name)
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    significands = np.array([1, 1, (1 << 64) - 1, (1 << 64) - 1, 0, 0], dtype=np.uint64)
    packed = fmt.pack(np.zeros(6, dtype=bool), significands, np.array([least, most] * 3))
    assert packed.bits.tolist() == [1, fmt.nan_bits - 1] * 2 + [0, 0]
    assert packed.overflow.tolist() == [False, True] * 2 + [False, False]
    assert packed.inexact.tolist() == [True] * 4 + [False] * 2


def test_what_is_no_real_number_becomes_nar() -> None:
    fmt = parse_format("posit16")
    values = np.array([np.nan, np.inf, -np.inf])
    assert fmt.from_float(values).tolist() == [0x8000] * 3
    for value in values.tolist():
        encoding = fmt.encode(value)
        assert (encoding.bits, encoding.invalid) == (0x8000, True)
        assert encoding.overflow == np.isinf(value)
    assert fmt.infinity_bits(True) == fmt.infinity_bits(False) == fmt.nan_bits
    assert fmt.encode(Number(Kind.INFINITE, 1)) == fmt.encode(float("-inf"))


def test_zero_has_no_sign() -> None:
    fmt = parse_format("posit8")
    assert fmt.encode(-0.0).bits == fmt.from_float(np.array(-0.0)) == 0
    assert fmt.pack(np.array([True]), np.array([0]), np.array([5])).bits.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "precision", "exponent"),
    [("posit8", 4, 24), ("posit16", 12, 56), ("posit32", 28, 120), ("posit:8,0", 6, 6)],
)
def test_sizes_are_those_of_the_standard(name: str, precision: int, exponent: int) -> None:
    fmt = parse_format(name)
    assert fmt.precision == precision
    assert fmt.max_finite == Fraction(2) ** exponent
    assert fmt.min_exponent == -exponent
    assert fmt.dtype == np.dtype(f"uint{fmt.width}")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 2}, r"^a posit has 2 bits; allowed is 3 to 32$"),
        ({"width": 33}, r"^a posit has 33 bits; allowed is 3 to 32$"),
        ({"width": 8, "exponent_bits": 5}, r"^a posit has 5 exponent bits; allowed is 0 to 4$"),
        ({"width": True}, r"^a posit has True bits; allowed is 3 to 32$"),
    ],
)
def test_sizes_out_of_range_are_refused(sizes: dict, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Posit(**sizes)


def test_patterns_too_wide_are_refused_on_both_routes() -> None:
    fmt = parse_format("posit8")
    for call in (fmt.decode, lambda bits: fmt.unpack(np.array([bits]))):
        with pytest.raises(FormatError, match="pattern 0x100 does not fit posit8"):
            call(0x100)
