"""Block-scaled formats: patterns against ml_dtypes, quantisation against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import FormatError
from hwgen.formats import BlockScaled, FixedPoint, Float, Kind, Scale, parse_format

E8M0, E4M3FN = ml_dtypes.float8_e8m0fnu, ml_dtypes.float8_e4m3fn
LIBRARY_TYPES = {  # of element and scale
    "mxfp8": (E4M3FN, E8M0),
    "mxfp8:element=e5m2": (ml_dtypes.float8_e5m2, E8M0),
    "mxfp6": (ml_dtypes.float6_e3m2fn, E8M0),
    "mxfp6:element=e2m3": (ml_dtypes.float6_e2m3fn, E8M0),
    "mxfp4": (ml_dtypes.float4_e2m1fn, E8M0),
    "nvfp4": (ml_dtypes.float4_e2m1fn, E4M3FN),
}
POWERS = [name for name in LIBRARY_TYPES if name != "nvfp4"] + ["mxint8"]
ALL = (*POWERS, "nvfp4")


def all_patterns(fmt: BlockScaled) -> np.ndarray:
    return np.arange(1 << fmt.width, dtype=np.uint64).astype(fmt.dtype)


def library_values(name: str, patterns: np.ndarray) -> np.ndarray:
    """Element times scale, both decoded by ml_dtypes (mxint8's elements by NumPy)."""
    width = parse_format(name).element.width
    elements = (patterns & ((1 << width) - 1)).astype(np.uint8)
    scales = (patterns >> width).astype(np.uint8)
    if name == "mxint8":
        return elements.view(np.int8) / 64 * scales.view(E8M0).astype(np.float64)
    element_type, scale_type = LIBRARY_TYPES[name]
    return elements.view(element_type).astype(np.float64) * scales.view(scale_type).astype(float)


def element_numbers(fmt: BlockScaled) -> list[tuple[Fraction, int]]:
    """The element's nonnegative numbers with their patterns, ascending."""
    numbers = (fmt.element.decode(bits) for bits in range(1 << (fmt.element.width - 1)))
    return [
        (number.fraction, bits) for bits, number in enumerate(numbers) if number.kind is Kind.FINITE
    ]


def nearest(numbers: list[tuple[Fraction, int]], value: Fraction) -> int:
    """The pattern of the nearest number; of two equally near ones the even pattern."""
    return min(numbers, key=lambda entry: (abs(entry[0] - value), entry[1] % 2))[1]


def quantised(fmt: BlockScaled, values: list[float]) -> tuple[int, list[int]]:
    """One block's scale and elements, from the definition in rational arithmetic."""
    exact = [Fraction(value) for value in values]
    peak = max(abs(value) for value in exact)
    numbers = element_numbers(fmt)
    largest = numbers[-1][0]
    if fmt.scale is Scale.E8M0:
        exponent = -127
        if peak:
            emax = math.floor(math.log2(largest))
            exponent = max(-127, math.frexp(peak)[1] - 1 - emax)
        scale_bits, scale = min(exponent, 127) + 127, Fraction(2) ** min(exponent, 127)
    else:
        e4m3 = parse_format("e4m3")
        scales = [(e4m3.decode(bits).fraction, bits) for bits in range(0x7F)]
        scale_bits = max(1, nearest(scales, peak / largest)) if peak else 0
        scale = e4m3.decode(scale_bits or 1).fraction
    patterns = []
    for value, original in zip(exact, values, strict=True):
        bits = nearest(numbers, abs(value) / scale)
        if isinstance(fmt.element, FixedPoint):
            bits = -bits % 256 if value < 0 else bits
        elif math.copysign(1, original) < 0:
            bits |= 1 << (fmt.element.width - 1)
        patterns.append(bits)
    return scale_bits, patterns


@pytest.mark.parametrize("name", ALL)
def test_every_pattern_is_the_librarys_element_times_its_scale(name: str) -> None:
    fmt = parse_format(name)
    patterns = all_patterns(fmt)
    actual, expected = fmt.to_float(patterns), library_values(name, patterns)
    np.testing.assert_array_equal(actual, expected)
    finite = np.isfinite(expected) & (expected != 0)
    np.testing.assert_array_equal(np.signbit(actual[finite]), np.signbit(expected[finite]))


@pytest.mark.parametrize("name", ALL)
def test_patterns_decode_alike_on_both_routes(name: str) -> None:
    fmt = parse_format(name)
    patterns = all_patterns(fmt)[:: 1 if fmt.width < 16 else 5]
    parts = fmt.unpack(patterns)
    values = fmt.to_float(patterns)
    for index, bits in enumerate(patterns.tolist()):
        number = fmt.decode(bits)
        assert (number.kind is Kind.NAN) == parts.nan[index]
        assert (number.kind is Kind.INFINITE) == parts.inf[index]
        assert number.sign == parts.sign[index]
        assert number.significand == parts.significand[index]
        assert number.exponent == parts.exponent[index]
        if number.kind is Kind.FINITE:
            assert float(number.fraction) == values[index]
            assert number.significand.bit_length() <= fmt.precision
            assert number.exponent >= fmt.min_exponent
            assert abs(number.fraction) <= fmt.max_finite


@pytest.mark.parametrize("name", ALL)
def test_the_pattern_of_no_bits_is_zero_and_nan_is_nan(name: str) -> None:
    fmt = parse_format(name)
    assert fmt.decode(0).fraction == 0
    assert fmt.decode(fmt.nan_bits).kind is Kind.NAN
    assert fmt.has_nan
    infinite = fmt.decode(fmt.infinity_bits(True))
    assert infinite.kind is (Kind.INFINITE if fmt.has_inf else Kind.NAN)
    assert infinite.sign == 1 or not fmt.has_inf


@st.composite
def blocks(draw: st.DrawFn, fmt: BlockScaled) -> list[float]:
    """Values of one block: of any size, and many at ties of the elements or next to one."""
    scale = draw(st.integers(-140, 140) if fmt.scale is Scale.E8M0 else st.integers(-14, 12))
    numbers = [float(number) for number, _ in element_numbers(fmt)]
    values = []
    for _ in range(draw(st.integers(1, fmt.block))):
        place = draw(st.integers(0, len(numbers) - 2))
        value = draw(
            st.sampled_from([numbers[place], (numbers[place] + numbers[place + 1]) / 2])
            | st.floats(0, 2 * numbers[-1])
        )
        value = math.ldexp(value * draw(st.sampled_from([1, 1, 9 / 8, 15])), scale)
        value = draw(st.sampled_from([value, np.nextafter(value, 0), np.nextafter(value, np.inf)]))
        values.append(float(draw(st.sampled_from([value, -value]))))
    return values


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_block_is_quantised_as_rational_arithmetic_says(name: str, data: st.DataObject) -> None:
    fmt = parse_format(name)
    values = data.draw(blocks(fmt))
    scale, elements = quantised(fmt, values)
    actual_elements, actual_scales = fmt.split(fmt.from_float(np.array(values)))
    assert set(actual_scales.tolist()) == {scale}
    assert actual_elements.tolist() == elements


@pytest.mark.parametrize("name", [name for name in LIBRARY_TYPES if name != "nvfp4"])
def test_elements_round_as_in_ml_dtypes(name: str) -> None:
    fmt = parse_format(name)
    values = np.random.default_rng(1).normal(size=(200, fmt.block)).astype(np.float32)
    elements, scales = fmt.split(fmt.from_float(values))
    scaled = (values / scales.view(E8M0).astype(np.float32)).clip(
        -float(fmt.element.max_finite), float(fmt.element.max_finite)
    )
    expected = scaled.astype(LIBRARY_TYPES[name][0]).view(np.uint8)
    np.testing.assert_array_equal(elements, expected)


@pytest.mark.parametrize("name", POWERS)
def test_quantised_values_keep_their_patterns(name: str) -> None:
    fmt = parse_format(name)
    rng = np.random.default_rng(2)
    values = rng.normal(size=(60, fmt.block)) * np.exp2(rng.integers(-150, 120, size=(60, 1)))
    bits = fmt.from_float(values)
    np.testing.assert_array_equal(fmt.from_float(fmt.to_float(bits)), bits)
    np.testing.assert_array_equal(fmt.to_float(fmt.from_float(-values)), -fmt.to_float(bits))


def test_the_scale_is_that_of_ocp_mx_section_6_3() -> None:
    # The largest magnitude is 5 = 1.25 * 2**2 and e2m1's largest number 6 = 1.5 * 2**2.
    fmt = parse_format("mxfp4")
    elements, scales = fmt.split(fmt.from_float(np.array([5.0, -0.25, 0.75, 1.0])))
    assert scales.tolist() == [127] * 4
    assert elements.tolist() == [0b110, 0b1000, 0b010, 0b010]  # 4, -0, 1, 1: ties to even
    elements, scales = fmt.split(fmt.from_float(np.array([7.9, 2.0**-140])))
    assert (scales.tolist(), elements.tolist()) == ([127, 127], [0b111, 0])  # saturates


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_blocks_extend_along_the_axis_and_the_last_may_be_shorter(axis: int) -> None:
    fmt = parse_format("mxfp4:block=4")
    values = np.random.default_rng(3).normal(size=(10, 7)) * 100
    bits = fmt.from_float(values, axis=axis)
    assert bits.shape == values.shape
    lines, patterns = np.moveaxis(values, axis, -1), np.moveaxis(bits, axis, -1)
    for line, pattern in zip(lines, patterns, strict=True):
        for start in range(0, len(line), 4):
            expected = fmt.from_float(line[start : start + 4])
            np.testing.assert_array_equal(pattern[start : start + 4], expected)
    scales = fmt.block_scales(bits, axis=axis)
    assert scales.shape == tuple(
        -(-size // 4) if index == axis % 2 else size for index, size in enumerate(values.shape)
    )
    elements, _ = fmt.split(bits)
    spread = np.repeat(scales, 4, axis=axis)[: values.shape[0], : values.shape[1]]
    np.testing.assert_array_equal(fmt.join(elements, spread), bits)


def test_a_single_number_is_a_block() -> None:
    fmt = parse_format("mxint8")
    bits = fmt.from_float(np.array(-1.5))
    assert bits.shape == ()
    assert fmt.to_float(bits) == -1.5
    assert fmt.from_float(np.zeros((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_special_value_makes_its_block_nan_and_no_other(name: str, special: float) -> None:
    fmt = parse_format(name)
    values = np.ones(3 * fmt.block)
    values[fmt.block + 2] = special
    nan = np.isnan(fmt.to_float(fmt.from_float(values)))
    assert nan.tolist() == [False] * fmt.block + [True] * fmt.block + [False] * fmt.block


@pytest.mark.parametrize("name", ALL)
def test_a_block_of_zeros_is_all_zero_bits(name: str) -> None:
    fmt = parse_format(name)
    assert not fmt.from_float(np.zeros(5)).any()
    assert (fmt.to_float(fmt.from_float(np.array([0.0, -0.0]))) == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_scales_saturate_at_their_ends(name: str) -> None:
    fmt = parse_format(name)
    huge = fmt.to_float(fmt.from_float(np.array([1e300, -1e300])))
    largest = float(fmt.max_finite)
    if name == "mxint8":
        largest *= 127 / 128  # its least element, -2, is not used
    assert huge.tolist() == [largest, -largest]
    assert fmt.to_float(fmt.from_float(np.array([1e-300]))).tolist() == [0.0]
    least = 2.0**fmt.min_exponent
    assert fmt.to_float(fmt.from_float(np.array([least])))[0] == least


def test_scales_that_differ_within_a_block_are_told() -> None:
    fmt = parse_format("mxfp4:block=2")
    bits = fmt.from_float(np.array([[1.0, 100.0], [1.0, 100.0]]), axis=0)
    assert fmt.block_scales(bits, axis=0).shape == (1, 2)
    with pytest.raises(FormatError, match=r"^elements of one block of 2 have different scales"):
        fmt.block_scales(bits, axis=1)


@pytest.mark.parametrize("name", ALL)
def test_no_number_can_be_encoded_by_itself(name: str) -> None:
    fmt = parse_format(name)
    assert not fmt.is_result_format
    for call in (lambda: fmt.encode(1), lambda: fmt.pack(np.array(0), np.array(1), np.array(0))):
        with pytest.raises(FormatError, match=r"shares scales between elements.* use from_float"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: BlockScaled(element=Float(exponent_bits=5, fraction_bits=10)),
            r"^blocks with scale e8m0 have element fp16; allowed is e4m3, e5m2, .*, fixed:2,6$",
        ),
        (
            lambda: BlockScaled(element=parse_format("e4m3"), scale=Scale.E4M3),
            r"^blocks with scale e4m3 have element e4m3; allowed is e2m1$",
        ),
        (
            lambda: parse_format("mxfp4").from_float(np.zeros((2, 2)), axis=2),
            r"^blocks along axis 2 of an array of shape \(2, 2\); allowed is -2 to 1$",
        ),
        (
            lambda: parse_format("mxfp4").join(np.array([16]), np.array([1], dtype=np.uint8)),
            r"^pattern 0x10 does not fit e2m1; allowed is 0 to 0xf$",
        ),
        (
            lambda: parse_format("mxfp4").join(np.array([1]), np.array([300])),
            r"^scales have dtype int64; they must be uint8$",
        ),
        (lambda: parse_format("mxfp4").decode(1 << 12), "pattern 0x1000 does not fit mxfp4"),
        (lambda: parse_format("nvfp4").unpack(np.array([1 << 12])), "does not fit nvfp4"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_cure(call, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        call()
