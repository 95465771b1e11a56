"""The array route against exact rational arithmetic on wide formats, and its face to the user."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import FormatError, SpecError, UnsupportedError
from hwgen.formats import Format, Kind, parse_format
from hwgen.model import INEXACT, INVALID, OVERFLOW, gemm, gemm_bits
from hwgen.spec.accumulator import Overflow, Rounding, Window
from hwgen.spec.datapath import Datapath

FORMATS = (
    "fp64", "fp32", "tf32", "bf16", "fp16", "float:8,40", "int16", "int32", "int64",
    "uint:63", "fixed:8,24", "e4m3", "int8",
)  # fmt: skip
OUTPUTS = (*FORMATS, None, "e4m3:overflow=nan", "fp16:overflow=saturate", "fixed:1,63")

# Formats of the operands of the bulk test; each makes 21 datapaths of 400 dot products.
BULK = (
    ("fp64", "fp64"), ("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp16"), ("tf32", "tf32"),
    ("int16", "int16"), ("int32", "int32"), ("int64", "uint:63"), ("fixed:8,24", "fixed:4,12"),
    ("int8", "bf16"), ("fp32", "fp64"), ("fp64", "int16"),
)  # fmt: skip
BULK_IDS = [f"{a}-{b}" for a, b in BULK]


def make_datapath(a: str, b: str, out: str | None, window: Window) -> Datapath:
    return Datapath(
        a=parse_format(a), b=parse_format(b), acc=window, out=parse_format(out) if out else None
    )


def random_window(rng: np.random.Generator) -> Window:
    """A window around 1: short or long, so that sums truncate, overflow, or fit."""
    lsb = int(rng.integers(-90, 6))
    msb = lsb + int(rng.integers(2, 40 if rng.random() < 0.5 else 150))
    return Window(
        msb=msb,
        lsb=lsb,
        ovf=int(rng.integers(0, 12)),
        **rounding_options(rng.choice(list(Rounding)), int(rng.integers(1, 25))),
        overflow=rng.choice(list(Overflow)),
        dot=int(rng.choice([1, 1, 2, 4, 5])),
    )


def rounding_options(rounding: Rounding, random_bits: int) -> dict[str, object]:
    """The window's parameters that belong to a rounding mode."""
    if rounding is not Rounding.STOCHASTIC:
        return {"rounding": rounding}
    return {"rounding": rounding, "seed": 77, "random_bits": random_bits}


def corner_patterns(fmt: Format) -> list[int]:
    """Zeros, smallest and largest numbers, the edges of the normal range, ones, specials."""
    sign = 1 << (fmt.width - 1)
    positive = {0, 1, 2, sign - 1, sign - 2, sign >> 1, (sign >> 1) - 1, sign >> 2}
    positive |= {fmt.encode(x).bits for x in (1, 2, 3, 0.5)}
    positive |= {fmt.nan_bits, fmt.infinity_bits(False), fmt.encode(fmt.max_finite).bits}
    mask = (1 << fmt.width) - 1
    return sorted(positive | {(bits | sign) & mask for bits in positive})


def random_patterns(
    rng: np.random.Generator, fmt: Format, shape: tuple[int, int], style: str
) -> np.ndarray:
    """Patterns drawn from the corners, all patterns, or numbers near 1, by style or mixed."""
    corners = rng.choice(np.array(corner_patterns(fmt), dtype=np.uint64), shape)
    anything = rng.integers(0, 1 << fmt.width, shape, dtype=np.uint64)
    near_one = rng.standard_normal(shape) * np.exp2(rng.integers(-8, 9, shape))
    numbers = fmt.from_float(near_one).astype(np.uint64)
    kind = {"numbers": 0.0, "mixed": 0.3, "wild": 0.8}[style]
    draw = rng.random(shape)
    return np.where(draw < kind / 2, corners, np.where(draw < kind, anything, numbers))


def assert_engines_agree(a: np.ndarray, b: np.ndarray, datapath: Datapath) -> None:
    bits, status = gemm_bits(a, b, datapath)
    exact_bits, exact_status = gemm_bits(a, b, datapath, engine="exact")
    np.testing.assert_array_equal(status, exact_status, err_msg=str(datapath))
    np.testing.assert_array_equal(bits, exact_bits, err_msg=str(datapath))


@pytest.mark.parametrize(("a", "b"), BULK, ids=BULK_IDS)
def test_random_dot_products_equal_exact_arithmetic(a, b):
    """12 pairs of formats by 21 datapaths by 400 dot products of 1 to 12 terms: 100 800 in all."""
    rng = np.random.default_rng([ord(c) for c in a + b])
    for index in range(21):
        out = OUTPUTS[int(rng.integers(len(OUTPUTS)))]
        datapath = make_datapath(a, b, out, random_window(rng))
        terms = int(rng.integers(1, 13))
        style = ("numbers", "mixed", "wild")[index % 3]
        left = random_patterns(rng, datapath.a, (20, terms), style)
        right = random_patterns(rng, datapath.b, (terms, 20), style)
        assert_engines_agree(left, right, datapath)


@st.composite
def dot_products(draw) -> tuple[np.ndarray, np.ndarray, Datapath]:
    a, b = draw(st.sampled_from(FORMATS)), draw(st.sampled_from(FORMATS))
    lsb = draw(st.integers(-160, 30))
    window = Window(
        msb=lsb + draw(st.integers(1, 180)),
        lsb=lsb,
        ovf=draw(st.integers(0, 4)),
        **rounding_options(draw(st.sampled_from(Rounding)), draw(st.integers(1, 24))),
        overflow=draw(st.sampled_from(Overflow)),
        dot=draw(st.sampled_from([1, 1, 2, 3, 16])),
    )
    datapath = make_datapath(a, b, draw(st.sampled_from(OUTPUTS)), window)
    terms = draw(st.integers(0, 5))

    def patterns(fmt: Format) -> st.SearchStrategy[list[int]]:
        one = st.sampled_from(corner_patterns(fmt)) | st.integers(0, (1 << fmt.width) - 1)
        return st.lists(one, min_size=terms, max_size=terms)

    left = np.array(draw(patterns(datapath.a)), dtype=np.uint64).reshape(1, terms)
    right = np.array(draw(patterns(datapath.b)), dtype=np.uint64).reshape(terms, 1)
    return left, right, datapath


@settings(max_examples=400, deadline=None)
@given(dot_products())
def test_any_dot_product_equals_exact_arithmetic(case):
    assert_engines_agree(*case)


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), BULK, ids=BULK_IDS)
def test_long_random_dot_products_equal_exact_arithmetic(a, b):
    rng = np.random.default_rng([1, *(ord(c) for c in a + b)])
    for index in range(6):
        out = OUTPUTS[int(rng.integers(len(OUTPUTS)))]
        datapath = make_datapath(a, b, out, random_window(rng))
        left = random_patterns(rng, datapath.a, (9, 700), ("numbers", "mixed")[index % 2])
        right = random_patterns(rng, datapath.b, (700, 9), "numbers")
        assert_engines_agree(left, right, datapath)


@pytest.mark.parametrize("width", [2, 31, 32, 33, 52, 53, 54, 62, 63, 64, 65, 126, 127, 128, 129])
@pytest.mark.parametrize("out", [None, "fp64", "fp32", "int64"])
def test_registers_at_word_boundaries_equal_exact_arithmetic(width, out):
    rng = np.random.default_rng(width)
    for overflow in Overflow:
        for ovf in (0, 1, 9):
            if width - ovf < 1:
                continue
            window = Window(msb=width - ovf - 1 - 20, lsb=-20, ovf=ovf, overflow=overflow)
            datapath = make_datapath("fp32", "fp64", out, window)
            # Sums of a few terms that come near the register's ends.
            size = np.exp2(rng.uniform(width - 26, width - 20, (4, 4)))
            left = datapath.a.from_float(np.ones((4, 4)))
            right = datapath.b.from_float(size * rng.choice([-1, 1], (4, 4)))
            assert_engines_agree(left, right, datapath)


def test_matrices_larger_than_a_tile_equal_their_parts():
    rng = np.random.default_rng(5)
    for fmt, acc in (
        ("bf16", "window:msb=5,lsb=-30,ovf=9"),
        ("fp64", "window:msb=9,lsb=-99,ovf=9"),
    ):
        datapath = Datapath.parse(a=fmt, acc=acc)
        a = datapath.a.from_float(rng.standard_normal((300, 5)))
        b = datapath.b.from_float(rng.standard_normal((5, 260)))
        bits, status = gemm_bits(a, b, datapath)
        corner, corner_status = gemm_bits(a[290:], b[:, 250:], datapath)
        np.testing.assert_array_equal(bits[290:, 250:], corner)
        np.testing.assert_array_equal(status[290:, 250:], corner_status)
        np.testing.assert_array_equal(
            gemm_bits(a[-3:], b[:, -3:], datapath, engine="exact")[0], bits[-3:, -3:]
        )


@pytest.mark.parametrize("acc", ["window:msb=9,lsb=-12,ovf=6", "window:msb=9,lsb=-70,ovf=6"])
@pytest.mark.parametrize("rounding", ["zero", "even"])
def test_without_an_event_the_order_of_terms_does_not_matter(acc, rounding):
    rng = np.random.default_rng(3)
    datapath = Datapath.parse(a="fp32", acc=f"{acc},round={rounding}", out="raw")
    a = datapath.a.from_float(rng.standard_normal((16, 50)))
    b = datapath.b.from_float(rng.standard_normal((50, 16)))
    bits, status = gemm_bits(a, b, datapath)
    assert not (status & (OVERFLOW | INVALID)).any()
    order = rng.permutation(50)
    shuffled, shuffled_status = gemm_bits(a[:, order], b[order], datapath)
    np.testing.assert_array_equal(shuffled, bits)
    np.testing.assert_array_equal(shuffled_status, status)


@pytest.mark.parametrize("fmt", ["bf16", "fp16", "fp32", "fp64", "e4m3", "e5m2"])
@pytest.mark.parametrize("rounding", ["zero", "even"])
def test_a_product_and_its_negation_cancel_in_every_window(fmt, rounding):
    rng = np.random.default_rng(4)
    for lsb in (-60, -9, -2):
        acc = f"window:msb=60,lsb={lsb},ovf=1,round={rounding}"
        datapath = Datapath.parse(a=fmt, acc=acc, out="fp32")
        x = datapath.a.from_float(rng.standard_normal((1, 200)) * 4)
        y = datapath.b.from_float(rng.standard_normal((200, 1)) * 4)
        minus_y = y ^ datapath.b.dtype.type(1 << (datapath.b.width - 1))
        pairs_x, pairs_y = np.repeat(x.T, 2, axis=1), np.stack([y[:, 0], minus_y[:, 0]])
        bits, _ = gemm_bits(pairs_x, pairs_y, datapath)
        assert (np.diagonal(bits) == 0).all()


def test_exact_sums_of_fp32_products_equal_the_correctly_rounded_sum():
    rng = np.random.default_rng(6)
    datapath = Datapath.parse(a="fp32", acc="exact:terms=64", out="fp64")
    spread = np.exp2(rng.integers(-60, 61, (8, 64)))
    a = (rng.standard_normal((8, 64)) * spread).astype(np.float32).astype(np.float64)
    b = rng.standard_normal((64, 8)).astype(np.float32).astype(np.float64)
    c = gemm(a, b, datapath)
    for i in range(8):
        for j in range(8):
            assert c[i, j] == math.fsum(a[i] * b[:, j])  # the products are exact in float64


def test_integer_products_equal_numpy():
    rng = np.random.default_rng(7)
    datapath = Datapath.parse(a="int8", acc="int:32")
    a = rng.integers(-128, 128, (70, 300), dtype=np.int8)
    b = rng.integers(-128, 128, (300, 150), dtype=np.int8)
    bits, status = gemm_bits(a.view(np.uint8), b.view(np.uint8), datapath)
    expected = a.astype(np.int32) @ b.astype(np.int32)
    np.testing.assert_array_equal(bits.view(np.int32), expected)
    assert not status.any()


@pytest.mark.parametrize("bits", [8, 20, 52, 63, 64])
def test_wrapping_integer_sums_equal_numpy_modulo_the_register(bits):
    rng = np.random.default_rng(bits)
    datapath = Datapath.parse(a="int32", acc=f"int:{bits}", out="raw")
    a = rng.integers(-(2**31), 2**31, (9, 40))
    b = rng.integers(-(2**31), 2**31, (40, 9))
    mask = np.uint64((1 << bits) - 1)
    registers, status = gemm_bits(
        a.astype(np.int32).view(np.uint32), b.astype(np.int32).view(np.uint32), datapath
    )
    np.testing.assert_array_equal(registers, (a @ b).view(np.uint64) & mask)
    assert set(np.unique(status)) <= {0, OVERFLOW}
    assert (status == OVERFLOW).any()


@pytest.mark.parametrize("weight", range(-30, 14))
def test_powers_of_two_at_every_place_of_the_register_read_out_exactly(weight):
    datapath = Datapath.parse(a="bf16", acc="window:msb=13,lsb=-30,ovf=1")
    value = 2.0**weight
    np.testing.assert_array_equal(
        gemm([[1.0], [-1.0]], [[value]], datapath), np.array([[value], [-value]])
    )


@pytest.mark.parametrize("engine", ["numpy", "exact"])
@pytest.mark.parametrize("out", ["fp32", "raw"])
def test_an_empty_sum_is_positive_zero(engine, out):
    datapath = Datapath.parse(a="bf16", acc="exact:terms=4", out=out)
    bits, status = gemm_bits(np.zeros((2, 0)), np.zeros((0, 3)), datapath, engine=engine)
    assert bits.shape[:2] == status.shape == (2, 3)
    assert not bits.any()
    assert not status.any()


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0), (0, 0, 0)])
def test_a_result_without_elements_is_empty(shape):
    m, k, n = shape
    datapath = Datapath.parse(a="fp64", acc="window:msb=9,lsb=-99,ovf=9")
    bits, status = gemm_bits(np.zeros((m, k), int), np.zeros((k, n), int), datapath)
    assert bits.shape == status.shape == (m, n)


@pytest.mark.parametrize(
    ("width", "dtype", "shape"),
    [
        (7, np.uint8, (2, 3)),
        (45, np.uint64, (2, 3)),
        (64, np.uint64, (2, 3)),
        (65, np.uint64, (2, 3, 2)),
        (129, np.uint64, (2, 3, 3)),
    ],
)
def test_raw_registers_come_in_the_narrowest_dtype_or_in_words(width, dtype, shape):
    datapath = Datapath.parse(a="bf16", acc=f"window:msb={width - 2},lsb=0,ovf=1", out="raw")
    minus_one = datapath.a.from_float(np.full((2, 1), -1.0))
    one = datapath.b.from_float(np.ones((1, 3)))
    bits, _ = gemm_bits(minus_one, one, datapath)
    assert (bits.dtype, bits.shape) == (dtype, shape)
    words = bits.reshape(2, 3, -1)
    assert sum(int(words[0, 0, i]) << (64 * i) for i in range(words.shape[2])) == 2**width - 1


def test_real_matrices_are_rounded_multiplied_and_decoded():
    datapath = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")
    a, b = [[1.0, 2.0 + 2.0**-20], [-0.5, 0.0]], [[3], [4]]
    np.testing.assert_array_equal(gemm(a, b, datapath), [[11.0], [-1.5]])
    np.testing.assert_array_equal(
        gemm(a, b, datapath, engine="exact"), gemm(a, b, datapath, engine="numpy")
    )


def test_real_results_of_a_raw_register_are_its_value():
    datapath = Datapath.parse(a="fp16", acc="window:msb=5,lsb=-4,ovf=3", out="raw")
    np.testing.assert_array_equal(gemm([[1.5], [-1.5]], [[2.25]], datapath), [[3.375], [-3.375]])


def test_real_results_are_nan_where_invalid_even_without_a_nan_pattern():
    datapath = Datapath.parse(a="fp16", acc="window:msb=5,lsb=-4,ovf=3", out="int8")
    assert np.isnan(gemm([[1.0, 2.0]], [[math.inf], [-math.inf]], datapath)).all()


def test_status_tells_invalid_overflow_and_inexact_apart():
    datapath = Datapath.parse(a="fp32", acc="window:msb=5,lsb=-4,ovf=3,overflow=saturate")
    a = datapath.a.from_float(np.array([[math.nan], [1000.0], [0.01], [1.0]]))
    b = datapath.b.from_float(np.array([[1.0]]))
    _, status = gemm_bits(a, b, datapath)
    assert status[:, 0].tolist() == [INVALID, OVERFLOW, INEXACT, 0]


BF16 = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([[1, 2]], [[1, 2]], SpecError, "a has shape (1, 2) and b has shape (1, 2); the columns"),
        ([1, 2], [[1], [2]], SpecError, "a has shape (2,); it must be a matrix"),
        (
            [[1]],
            [[-1]],
            FormatError,
            "b holds -1, which is no pattern of bf16; allowed is 0 to 65535",
        ),
        ([[65536]], [[1]], FormatError, "a holds 65536, which is no pattern of bf16"),
        (
            [[1.0]],
            [[1]],
            FormatError,
            "a has dtype float64; patterns of bf16 are unsigned integers",
        ),
        ([[True]], [[1]], FormatError, "a has dtype bool"),
        ([[2**70]], [[1]], FormatError, "a has dtype object"),
    ],
)
def test_operands_that_are_no_patterns_are_refused(a, b, error, message):
    with pytest.raises(error, match=re.escape(message)):
        gemm_bits(a, b, BF16)


def test_an_unknown_engine_is_refused():
    with pytest.raises(SpecError, match="unknown engine 'cuda'; known are numpy, exact"):
        gemm_bits([[1]], [[1]], BF16, engine="cuda")


def test_real_results_of_a_wide_raw_register_are_refused():
    datapath = Datapath.parse(a="fp32", acc="exact", out="raw")
    with pytest.raises(UnsupportedError, match="raw register has 567 bits and float64 holds 53"):
        gemm([[1.0]], [[1.0]], datapath)


def test_complex_matrices_are_refused():
    with pytest.raises(FormatError, match="a has dtype complex128; it must hold real numbers"):
        gemm([[1j]], [[1.0]], BF16)


def test_not_a_number_in_an_integer_datapath_is_refused():
    datapath = Datapath.parse(a="int8", acc="int:32")
    with pytest.raises(FormatError, match="NaN"):
        gemm([[math.nan]], [[1.0]], datapath)


def test_corner_patterns_hold_every_kind_of_number():
    kinds = {
        parse_format("fp32").decode(bits).kind for bits in corner_patterns(parse_format("fp32"))
    }
    assert kinds == set(Kind)
