"""The IEEE family: both routes against each other, against NumPy and against ml_dtypes."""

from __future__ import annotations

import functools
import re
import warnings
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import FormatError
from hwgen.formats import Float, FloatOverflow, Kind, Number, Specials, parse_format

LIBRARY_TYPES = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3:overflow=nan": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "float:4,3": ml_dtypes.float8_e4m3,
    "float:3,4": ml_dtypes.float8_e3m4,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}
TINY = (  # small enough to take every pattern through the exact route
    "e4m3",
    "e4m3:overflow=nan",
    "e5m2",
    "e5m2:overflow=saturate",
    "float:2,1",
    "float:2,1,specials=nan",
    "float:2,5",
    "float:3,2,specials=nan,overflow=nan",
    "float:6,1",
    "float:11,1",
    "e3m2",
    "e2m3",
    "e2m1",
    "float:4,3,specials=none",
)
SMALL = (
    *TINY,
    *LIBRARY_TYPES,
    "float:2,13",
    "float:6,9",
    "float:10,5,overflow=saturate",
    "float:11,4",
    "float:8,7,specials=nan",
)
LARGE = ("fp64", "fp32", "tf32", "fp32:overflow=saturate", "float:11,20", "float:2,52")


def all_patterns(fmt: Float) -> np.ndarray:
    return np.arange(1 << fmt.width, dtype=np.uint64).astype(fmt.dtype)


def library_cast(values: np.ndarray, dtype: type) -> np.ndarray:
    """Convert with NumPy's own cast; it warns of overflow and of NaN."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return values.astype(dtype)


def same_numbers(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal values, signs of zero included; any NaN equals any NaN."""
    nan = np.isnan(a)
    return bool(
        np.array_equal(nan, np.isnan(b))
        and np.array_equal(a[~nan], b[~nan])
        and np.array_equal(np.signbit(a[~nan]), np.signbit(b[~nan]))
    )


@functools.cache
def rounding_cases(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Float64 values around every number and midpoint, and the patterns they round to."""
    fmt = parse_format(name)
    patterns = np.arange(fmt.max_finite_bits + 1, dtype=np.uint64)
    numbers = fmt.to_float(patterns)
    steps = np.diff(numbers)
    steps = np.append(steps, steps[-1])  # the step that would follow the largest number
    middles = numbers + steps / 2
    with np.errstate(over="ignore"):  # infinite where the exponent range is float64's
        first_beyond = numbers[-1] + steps[-1]
    above = patterns + np.uint64(1)
    even = np.where(patterns % 2 == 0, patterns, above)
    values = np.concatenate(
        [
            numbers,
            middles,
            np.nextafter(middles, 0),
            np.nextafter(middles, np.inf),
            [first_beyond, np.finfo(np.float64).max, np.inf],
        ]
    )
    beyond = np.full(3, fmt.max_finite_bits + 1, dtype=np.uint64)
    expected = np.concatenate([patterns, even, patterns, above, beyond])
    signs = np.concatenate([np.zeros(len(values), bool), np.ones(len(values), bool)])
    values = np.concatenate([values, -values])
    expected = np.concatenate([expected, expected])
    overflow = expected > fmt.max_finite_bits
    expected = expected | (signs.astype(np.uint64) << np.uint64(fmt.width - 1))
    infinite = np.isinf(values)
    for negative in (False, True):
        chosen = overflow & (signs == negative)
        expected[chosen & infinite] = fmt.infinity_bits(negative)
        expected[chosen & ~infinite] = overflow_pattern(fmt, negative=negative)
    return values, expected.astype(fmt.dtype)


def overflow_pattern(fmt: Float, *, negative: bool) -> int:
    sign = 1 << (fmt.width - 1) if negative else 0
    return {
        FloatOverflow.INFINITY: fmt.max_finite_bits + 1 | sign,
        FloatOverflow.SATURATE: fmt.max_finite_bits | sign,
        FloatOverflow.NAN: fmt.nan_bits,
    }[fmt.overflow]


@pytest.mark.parametrize("name", LIBRARY_TYPES)
def test_every_pattern_decodes_as_in_numpy_and_ml_dtypes(name: str) -> None:
    fmt = parse_format(name)
    patterns = all_patterns(fmt)
    reference = library_cast(patterns.view(LIBRARY_TYPES[name]), np.float64)
    assert same_numbers(fmt.to_float(patterns), reference)


@pytest.mark.parametrize("name", SMALL)
def test_every_pattern_decodes_alike_on_both_routes(name: str) -> None:
    fmt = parse_format(name)
    patterns = all_patterns(fmt)
    parts = fmt.unpack(patterns)
    values = fmt.to_float(patterns)
    for bits in range(1 << fmt.width):
        number = fmt.decode(bits)
        assert (number.kind is Kind.NAN) == parts.nan[bits]
        assert (number.kind is Kind.INFINITE) == parts.inf[bits]
        assert number.sign == parts.sign[bits]
        assert number.significand == parts.significand[bits]
        assert number.exponent == parts.exponent[bits]
        if number.kind is Kind.FINITE:
            assert float(number.fraction) == values[bits]


@pytest.mark.parametrize("name", SMALL)
def test_array_route_rounds_correctly_around_every_number_and_midpoint(name: str) -> None:
    fmt = parse_format(name)
    values, expected = rounding_cases(name)
    actual = fmt.from_float(values)
    assert actual.dtype == fmt.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", SMALL)
def test_exact_route_rounds_correctly_around_numbers_and_midpoints(name: str) -> None:
    fmt = parse_format(name)
    values, expected = rounding_cases(name)
    step = 1 if name in TINY else 61  # a prime, so that every kind of case comes up
    for value, bits in zip(values[::step].tolist(), expected[::step].tolist(), strict=True):
        assert fmt.encode(value).bits == bits, value


@pytest.mark.parametrize("name", LIBRARY_TYPES)
def test_rounding_agrees_with_the_casts_of_numpy_and_ml_dtypes(name: str) -> None:
    fmt = parse_format(name)
    # Casts of ml_dtypes from float64 go through float32, so only float32 values are comparable.
    values = library_cast(rounding_cases(name)[0], np.float32)
    reference = library_cast(library_cast(values, LIBRARY_TYPES[name]), np.float64)
    assert same_numbers(fmt.to_float(fmt.from_float(values)), reference)


@pytest.mark.parametrize("name", [name for name in TINY if not name.startswith("float:11")])
def test_flags_of_pack_equal_those_of_encode(name: str) -> None:
    fmt = parse_format(name)
    significands = np.arange(1 << (fmt.precision + 3), dtype=np.uint64)
    for exponent in range(fmt.min_exponent - fmt.precision - 6, fmt.max_exponent + 3):
        packed = fmt.pack(np.array(True), significands, np.array(exponent))
        for significand in significands.tolist():
            encoding = fmt.encode(Number(Kind.FINITE, 1, significand, exponent))
            assert packed.bits[significand] == encoding.bits
            assert packed.overflow[significand] == encoding.overflow
            assert packed.inexact[significand] == encoding.inexact


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_encoding_a_decoded_pattern_gives_it_back(name: str) -> None:
    fmt = parse_format(name)
    generator = np.random.default_rng(1)
    patterns = generator.integers(0, 1 << fmt.width, 500, dtype=np.uint64).astype(fmt.dtype)
    finite = [fmt.infinity_bits(False), fmt.max_finite_bits, 0, 1 << (fmt.width - 1)]
    patterns = np.append(patterns, np.array(finite, dtype=np.uint64).astype(fmt.dtype))
    patterns = patterns[~fmt.unpack(patterns).nan]
    np.testing.assert_array_equal(fmt.from_float(fmt.to_float(patterns)), patterns)
    for bits in patterns.tolist():
        assert fmt.encode(fmt.decode(bits)).bits == bits


@settings(max_examples=300, deadline=None)
@given(st.floats(width=64))
def test_fp32_rounds_as_numpy(value: float) -> None:
    fmt = parse_format("fp32")
    reference = library_cast(np.array([value]), np.float32)
    assert same_numbers(fmt.to_float(fmt.from_float(np.array([value]))), reference.astype(float))
    assert same_numbers(fmt.to_float(np.array([fmt.encode(value).bits])), reference.astype(float))


def test_fp32_rounds_as_numpy_around_random_midpoints() -> None:
    fmt = parse_format("fp32")
    patterns = np.random.default_rng(2).integers(0, 0x7F800000, 200_000).astype(np.uint32)
    lower = patterns.view(np.float32).astype(np.float64)
    middles = lower + (np.nextafter(lower.astype(np.float32), np.float32(np.inf)) - lower) / 2
    middles = middles[np.isfinite(middles)]
    for values in (middles, np.nextafter(middles, 0), np.nextafter(middles, np.inf)):
        expected = library_cast(values, np.float32).view(np.uint32)
        np.testing.assert_array_equal(fmt.from_float(values), expected)


@settings(max_examples=300, deadline=None)
@given(st.floats(width=64))
def test_fp64_keeps_every_float64(value: float) -> None:
    fmt = parse_format("fp64")
    values = np.array([value])
    assert same_numbers(fmt.to_float(fmt.from_float(values)), values)
    assert same_numbers(fmt.to_float(np.array([fmt.encode(value).bits], dtype=np.uint64)), values)


def test_tf32_rounds_fp32_values_as_integer_arithmetic_on_their_patterns() -> None:
    fmt = parse_format("tf32")
    patterns = np.random.default_rng(3).integers(0, 0xFF800000, 200_000, dtype=np.uint64)
    patterns = patterns[(patterns & 0x7FFFFFFF) < 0x7F800000]
    # tf32 is the upper 19 bits of fp32, so that rounding is an addition that may carry.
    expected = (patterns + 0xFFF + (patterns >> 13 & 1)) >> 13
    values = patterns.astype(np.uint32).view(np.float32)
    np.testing.assert_array_equal(fmt.from_float(values), expected)


@pytest.mark.parametrize("name", LARGE)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_large_formats_round_alike_on_both_routes(name: str, data: st.DataObject) -> None:
    fmt = parse_format(name)
    value = data.draw(
        st.floats(allow_nan=False)
        | st.floats(-float(fmt.max_finite), float(fmt.max_finite))
        | st.floats(-1e-36, 1e-36)
    )
    assert fmt.from_float(np.array([value]))[0] == fmt.encode(value).bits


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pack_rounds_any_significand_as_encode(name: str, data: st.DataObject) -> None:
    fmt = parse_format(name)
    significand = data.draw(st.integers(0, (1 << 64) - 1))
    ends = (fmt.min_exponent - significand.bit_length(), fmt.max_exponent + 2)
    exponent = data.draw(
        st.integers(*ends) | st.integers(-4, 4).map(ends[0].__add__) | st.integers(-1200, 1200)
    )
    sign = data.draw(st.booleans())
    encoding = fmt.encode(Number(Kind.FINITE, int(sign), significand, exponent))
    packed = fmt.pack(
        np.array([sign]), np.array([significand], dtype=np.uint64), np.array([exponent])
    )
    assert packed.bits[0] == encoding.bits
    assert packed.overflow[0] == encoding.overflow
    assert packed.inexact[0] == encoding.inexact


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sticky_stands_for_any_fraction_below_the_significand(
    name: str, data: st.DataObject
) -> None:
    fmt = parse_format(name)
    pattern = data.draw(st.integers(0, fmt.max_finite_bits))
    number = fmt.decode(pattern)
    # Numbers, midpoints and their neighbours, where one unit of the significand decides.
    near = ((2 * number.significand + data.draw(st.integers(0, 1))) << 64) + data.draw(
        st.integers(-2, 2)
    )
    near = max(near, 1 << 62)
    surplus = near.bit_length() - data.draw(st.sampled_from([63, 64]))
    significand = near >> surplus if surplus > 0 else near << -surplus
    exponent = number.exponent - 65 + surplus
    exponent += data.draw(st.sampled_from([0, 0, 0, -1, -40, 3]))
    packed = fmt.pack(
        np.array([False]),
        np.array([significand], dtype=np.uint64),
        np.array([exponent]),
        np.array([True]),
    )
    for fraction in (Fraction(1, 1000), Fraction(1, 2), Fraction(999, 1000)):
        encoding = fmt.encode((significand + fraction) * Fraction(2) ** exponent)
        assert packed.bits[0] == encoding.bits
        assert packed.overflow[0] == encoding.overflow
        assert packed.inexact[0] == encoding.inexact


@pytest.mark.parametrize("name", (*SMALL, *LARGE))
def test_pack_bears_the_extreme_exponents_of_int64(name: str) -> None:
    fmt = parse_format(name)
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    significands = np.array([1, 1, (1 << 64) - 1, (1 << 64) - 1, 0, 0], dtype=np.uint64)
    exponents = np.array([least, most, least, most, least, most])
    packed = fmt.pack(np.zeros(6, dtype=bool), significands, exponents)
    beyond = overflow_pattern(fmt, negative=False)
    assert packed.bits.tolist() == [0, beyond, 0, beyond, 0, 0]
    assert packed.overflow.tolist() == [False, True, False, True, False, False]
    assert packed.inexact.tolist() == [True, True, True, True, False, False]


@pytest.mark.parametrize("name", ("bf16", "e4m3", "fp64", "float:11,1"))
def test_zero_keeps_its_sign(name: str) -> None:
    fmt = parse_format(name)
    sign_bit = 1 << (fmt.width - 1)
    assert fmt.encode(0).bits == fmt.encode(Fraction(0)).bits == fmt.encode(0.0).bits == 0
    assert fmt.encode(-0.0).bits == sign_bit
    assert fmt.encode(Number(Kind.FINITE, 1, 0, 7)).bits == sign_bit
    assert fmt.encode(Fraction(-1, 1 << 2000)).bits == sign_bit
    packed = fmt.pack(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([5, 5, -5000]))
    assert packed.bits.tolist() == [0, sign_bit, sign_bit]
    assert packed.inexact.tolist() == [False, False, True]


def test_infinities_and_nan_encode_as_documented() -> None:
    for name, infinity, nan in (
        ("bf16", 0xFF80, 0x7FC0),
        ("e5m2:overflow=saturate", 0xFC, 0x7E),
        ("e4m3", 0xFE, 0x7F),
        ("e4m3:overflow=nan", 0x7F, 0x7F),
    ):
        fmt = parse_format(name)
        missing = not fmt.has_inf
        encoding = fmt.encode(Number(Kind.INFINITE, 1))
        assert encoding.bits == infinity == fmt.infinity_bits(True)
        assert (encoding.overflow, encoding.inexact) == (missing, missing)
        assert encoding.invalid == (name == "e4m3:overflow=nan")
        for value in (Number(Kind.NAN, 1), float("nan")):
            encoding = fmt.encode(value)
            assert (encoding.bits, encoding.invalid) == (nan, True)
            assert (encoding.overflow, encoding.inexact) == (False, False)
        floats = np.array([-np.inf, np.nan, np.inf])
        expected = [infinity, nan, fmt.infinity_bits(False)]
        assert fmt.from_float(floats).tolist() == expected


def test_properties_that_the_circuit_is_built_from() -> None:
    e4m3, bf16 = parse_format("e4m3"), parse_format("bf16")
    assert (e4m3.bias, e4m3.max_exponent, e4m3.min_exponent) == (7, 8, -9)
    assert (e4m3.max_finite, e4m3.max_finite_bits, e4m3.precision) == (448, 0x7E, 4)
    assert (bf16.bias, bf16.max_exponent, bf16.min_exponent) == (127, 127, -133)
    assert (bf16.max_finite_bits, bf16.width, bf16.dtype) == (0x7F7F, 16, np.uint16)
    assert parse_format("tf32").width == 19
    assert (bf16.has_inf, e4m3.has_inf, e4m3.has_nan, e4m3.signed) == (True, False, True, True)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_arrays_keep_their_shape(shape: tuple[int, ...]) -> None:
    fmt = parse_format("e5m2")
    bits = fmt.from_float(np.ones(shape))
    assert isinstance(bits, np.ndarray) and bits.shape == shape
    assert fmt.to_float(bits).shape == shape
    parts = fmt.unpack(bits)
    packed = fmt.pack(parts.sign, parts.significand, parts.exponent)
    for array in (parts.nan, parts.inf, parts.sign, packed.bits, packed.overflow, packed.inexact):
        assert isinstance(array, np.ndarray) and array.shape == shape
    np.testing.assert_array_equal(packed.bits, bits)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"exponent_bits": 1}, "a float has 1 exponent bits; allowed is 2 to 11"),
        ({"exponent_bits": 12}, "a float has 12 exponent bits; allowed is 2 to 11"),
        ({"exponent_bits": True}, "a float has True exponent bits; allowed is 2 to 11"),
        ({"fraction_bits": 0}, "a float has 0 fraction bits; allowed is 1 to 52"),
        ({"fraction_bits": 53}, "a float has 53 fraction bits; allowed is 1 to 52"),
        (
            {"overflow": FloatOverflow.NAN},
            "bf16 has overflow=nan; allowed is infinity or saturate",
        ),
        (
            {"overflow": FloatOverflow.INFINITY, "specials": Specials.NAN_ONLY},
            "float:8,7,specials=nan has overflow=infinity; allowed is saturate or nan",
        ),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        Float(**({"exponent_bits": 8, "fraction_bits": 7} | parameters))


def test_wrong_patterns_and_values_are_refused() -> None:
    fmt = parse_format("e4m3")
    for bits in (256, -1):
        with pytest.raises(FormatError, match="does not fit e4m3; allowed is 0 to 0xff$"):
            fmt.decode(bits)
    with pytest.raises(FormatError, match=r"a pattern of e4m3 must be an int, got 1\.0$"):
        fmt.decode(1.0)
    with pytest.raises(
        FormatError, match=r"^cannot encode 'one' of type str; give an int, a float"
    ):
        fmt.encode("one")
    with pytest.raises(
        FormatError, match="^pattern 0x100 does not fit e4m3; allowed is 0 to 0xff$"
    ):
        fmt.unpack(np.array([1, 256]))
    with pytest.raises(FormatError, match=r"a pattern of e4m3 is negative \(-1\)"):
        fmt.to_float(np.array([-1]))
    with pytest.raises(FormatError, match="must be an unsigned integer array, got dtype float64$"):
        fmt.unpack(np.array([1.0]))
    with pytest.raises(FormatError, match="cannot convert an array of dtype complex128 to e4m3"):
        fmt.from_float(np.array([1j]))
    with pytest.raises(FormatError, match=r"integer 9007199254740993 may not be exact in float64"):
        fmt.from_float(np.array([2**53 + 1]))
