"""The kernels on machine numbers: conversions, strides, both types, against the model."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from hwgen import model
from hwgen.errors import FormatError, SpecError, UnsupportedError
from hwgen.formats import parse_format
from hwgen.runtime import describe, gemm
from hwgen.runtime.library import FLOAT64, Matrix, kernels, read_datapath
from hwgen.spec.datapath import Datapath

FLOAT32 = 0
FORMATS = [
    *("fp64", "fp32", "tf32", "bf16", "fp16", "e4m3", "e4m3:overflow=nan", "e5m2"),
    *("e5m2:overflow=saturate", "e3m2", "e2m3", "e2m1", "float:2,1", "float:11,3", "posit8"),
    *("posit16", "posit32", "posit:9,4", "int8", "int:60", "uint8", "fixed:3,9", "ufixed:0,7"),
]
BLOCKS = ["mxfp8", "mxfp8:element=e5m2", "mxfp6", "mxfp4:block=5", "mxint8", "nvfp4"]


def plain_path(fmt: str) -> Datapath:
    """A datapath with operands and results of a format, for its conversions."""
    return Datapath.parse(a=fmt, acc="window:msb=9,lsb=-9,ovf=9", out=fmt)


def wild_values(rng: np.random.Generator, count: int) -> np.ndarray:
    """Numbers of every magnitude, many of them ties or near one."""
    values = np.ldexp(rng.standard_normal(count), rng.integers(-60, 60, size=count))
    ties = rng.integers(-4000, 4000, size=count) * np.ldexp(1.0, rng.integers(-40, 4, size=count))
    everywhere = rng.integers(0, 1 << 63, size=count, dtype=np.uint64).view(np.float64)
    values = np.where(rng.random(count) < 0.4, ties, values)
    values = np.where(rng.random(count) < 0.1, everywhere, values)
    values[:4] = [0.0, -0.0, np.inf, -np.inf]
    return np.where(np.isnan(values), 1.0, values)


def encode(fmt: str, values: np.ndarray, side: int = 0) -> tuple[np.ndarray, int]:
    datapath = plain_path(fmt) if not fmt.startswith(("mx", "nv")) else block_path(fmt)
    patterns = np.zeros(values.size, dtype=parse_format(fmt).dtype)
    scalar = FLOAT64 if values.dtype == np.float64 else FLOAT32
    failure = kernels().hwgen_encode(
        read_datapath(describe(datapath)),
        *(side, scalar, values.size, values.ctypes.data, 1, patterns.ctypes.data),
    )
    return patterns, failure


def block_path(fmt: str) -> Datapath:
    return Datapath.parse(a=fmt, acc="exact:terms=4", out="fp32")


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("side", [0, 1, 2])
def test_numbers_are_encoded_as_the_formats_say(fmt, side, rng):
    values = wild_values(rng, 3000)
    patterns, failure = encode(fmt, values, side)
    assert failure == 0
    assert np.array_equal(patterns, parse_format(fmt).from_float(values))


@pytest.mark.parametrize("fmt", BLOCKS)
def test_blocks_are_quantised_as_the_formats_say(fmt, rng):
    for scale in (-130, -20, 0, 100):
        values = np.ldexp(wild_values(rng, 200).clip(-1e3, 1e3), scale)
        values[40:80] = 0.0
        values[100] = np.inf
        # Ties of e2m1 under a scale of 1, and of scales.
        values[160:168] = [6, 5, 3.5, 2.5, -1.75, 1.25, 0.75, -0.25]
        values[176:184] = 6 * (1 + np.arange(8) / 16)
        patterns, failure = encode(fmt, values)
        assert failure == 0
        assert np.array_equal(patterns, parse_format(fmt).from_float(values))


def test_single_numbers_are_encoded_too(rng):
    values = rng.standard_normal(500).astype(np.float32)
    patterns, _ = encode("bf16", values)
    assert np.array_equal(patterns, parse_format("bf16").from_float(values))


@pytest.mark.parametrize("fmt", ["int8", "e2m1"])
def test_nan_without_a_pattern_is_told(fmt):
    patterns, failure = encode(fmt, np.array([1.0, np.nan]))
    assert (patterns[1], failure) == (0, 1)


@pytest.mark.parametrize("fmt", [*FORMATS, *BLOCKS])
def test_patterns_are_decoded_as_the_formats_say(fmt, rng):
    known = parse_format(fmt)
    count = 1 << known.width if known.width <= 16 else 5000
    patterns = np.arange(count, dtype=np.uint64)
    if known.width > 16:
        patterns = rng.integers(0, 1 << known.width, size=count, dtype=np.uint64)
    patterns = patterns.astype(known.dtype)
    values = np.zeros(count)
    datapath = block_path(fmt) if fmt in BLOCKS else plain_path(fmt)
    kernels().hwgen_decode(
        read_datapath(describe(datapath)),
        *(0, FLOAT64, count, patterns.ctypes.data, values.ctypes.data, 1),
    )
    expected = known.to_float(patterns)
    assert np.array_equal(values, expected, equal_nan=True)
    finite = ~np.isnan(expected)
    assert np.array_equal(np.signbit(values[finite]), np.signbit(expected[finite]))


@pytest.mark.parametrize("fmt", [*FORMATS, *BLOCKS])
@pytest.mark.parametrize("acc", ["window:msb=20,lsb=-20,ovf=9", "fma:fp32"])
def test_products_of_numbers_are_the_models(fmt, acc, instructions, rng):
    datapath = Datapath.parse(a=fmt, acc=acc, out="fp32")
    a = np.ldexp(rng.standard_normal((11, 40)), rng.integers(-3, 4, size=(11, 40)))
    b = np.ldexp(rng.standard_normal((40, 19)), rng.integers(-3, 4, size=(40, 19)))
    a[1, 1], a[2, 2], a[3, 3], a[4, 4], b[5, 5] = np.inf, -np.inf, 0.0, -0.0, np.inf
    if datapath.a.has_nan:
        a[5, 3] = np.nan
    expected = model.gemm(a, b, datapath)
    assert np.array_equal(gemm(a, b, datapath, engine=instructions), expected, equal_nan=True)


@pytest.mark.parametrize(
    "out", ["fp64", "bf16", "e4m3:overflow=nan", "posit8", "int8", "fixed:9,3"]
)
def test_results_are_values_of_the_output_format(out, instructions, rng):
    datapath = Datapath.parse(a="bf16", acc="window:msb=20,lsb=-20,ovf=9", out=out)
    a, b = 9 * rng.standard_normal((8, 30)), 3 * rng.standard_normal((30, 8))
    a[2, 2] = np.nan
    expected = model.gemm(a, b, datapath)
    assert np.isnan(expected[2]).all()
    assert np.array_equal(gemm(a, b, datapath, engine=instructions), expected, equal_nan=True)


def multiply(
    datapath: Datapath, a: np.ndarray, b: np.ndarray, c: np.ndarray, status: ctypes.c_uint8 | None
) -> int:
    """Call hwgen_gemm_values on arrays as they lie in memory."""
    scalar = FLOAT64 if a.dtype == np.float64 else FLOAT32
    size = a.dtype.itemsize
    return kernels().hwgen_gemm_values(
        read_datapath(describe(datapath)),
        *(scalar, a.shape[0], b.shape[1], a.shape[1]),
        *(Matrix(x.ctypes.data, *(stride // size for stride in x.strides)) for x in (a, b)),
        *(c.ctypes.data, c.strides[0] // size),
        *(None if status is None else ctypes.addressof(status), None, 1),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", ["fp32", "bf16", "int8", "posit8", "mxfp8"])
def test_strides_of_all_kinds_are_followed(dtype, fmt, rng):
    datapath = Datapath.parse(a=fmt, acc="window:msb=20,lsb=-20,ovf=9", out="fp32")
    store = (4 * rng.standard_normal((60, 90))).astype(dtype)
    for a in (store[:12, :30], store[30:0:-1, :12].T, store[1:25:2, 5:65:2]):
        for b in (store[:30, 40:57], store[20:37, 50:80].T, store[59:29:-1, 1:52:3]):
            c = np.full((a.shape[0], b.shape[1] + 3), 7, dtype=dtype)
            assert multiply(datapath, a, b, c, None) == 0
            expected = model.gemm(a, b, datapath)
            assert np.array_equal(c[:, :-3], expected.astype(dtype))
            assert (c[:, -3:] == 7).all()


@pytest.mark.parametrize("specials", ["nan", "none"])
@pytest.mark.parametrize("acc", ["fma:fp64", "window:msb=1020,lsb=990,ovf=5"])
def test_operands_above_all_float64_numbers_count_in_full(acc, specials, instructions):
    datapath = Datapath.parse(a=f"float:11,8,specials={specials}", b="fp64", acc=acc, out="fp64")
    a, b = np.zeros((9, 9)), np.full((9, 9), 2.0**-10)
    a[0, 0] = np.finfo(np.float64).max  # rounds to 2**1024
    c = gemm(a, b, datapath, engine=instructions)
    assert (c[0] == 2.0**1014).all() and not c[1:].any()


def test_results_longer_than_float64_are_rounded_to_float32_once():
    datapath = Datapath.parse(a="fp32", acc="window:msb=61,lsb=0,ovf=1", out="int:62")
    # Half way between two float32 numbers, but for a one that float64 does not hold.
    a = np.array([[2.0**54, 2.0**30, 1.0], [-(2.0**54), -(2.0**30), -1.0]], dtype=np.float32)
    c = np.zeros((2, 1), dtype=np.float32)
    assert multiply(datapath, a, np.ones((3, 1), dtype=np.float32), c, None) == 0
    assert c[:, 0].tolist() == [2.0**54 + 2.0**31, -(2.0**54) - 2.0**31]


def test_the_status_of_all_results_is_their_union(rng):
    datapath = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-20,ovf=9", out="fp32")
    for a, b, expected in (
        (np.full((9, 9), 0.5), np.full((9, 9), 0.5), 0),
        (np.full((9, 9), 2.0**-9), np.full((9, 9), 2.0**-12), 4),
        (np.full((9, 9), 8.0), np.full((9, 9), 8.0), 3),
    ):
        status = ctypes.c_uint8(255)
        c = np.zeros((9, 9))
        assert multiply(datapath, a, b, c, status) == 0
        assert status.value == expected


def test_wrapped_sums_are_the_models_without_status(instructions, rng):
    for names in (
        {"a": "int8", "acc": "int:12", "out": "int:12"},
        {"a": "bf16", "acc": "window:msb=4,lsb=-6,ovf=0,overflow=wrap", "out": "fp32"},
        {"a": "fp32", "acc": "window:msb=4,lsb=-70,ovf=0,overflow=wrap", "out": "fp32"},
        {"a": "bf16", "acc": "window:msb=-30,lsb=-60,ovf=9,overflow=wrap", "out": "fixed:4,60"},
        {"a": "bf16", "acc": "window:msb=-60,lsb=-70,ovf=9,overflow=wrap", "out": "int8"},
        {"a": "mxfp8", "acc": "window:msb=-60,lsb=-70,ovf=9,overflow=wrap,per=block"},
    ):
        datapath = Datapath.parse(**names)
        a, b = 20 * rng.standard_normal((9, 200)), 20 * rng.standard_normal((200, 18))
        expected = model.gemm(a, b, datapath)
        assert np.array_equal(gemm(a, b, datapath, engine=instructions), expected)


def test_raw_results_and_faulty_operands_are_treated_as_the_model_treats_them():
    raw = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-10,ovf=9", out="raw")
    ones = np.ones((2, 2))
    assert (gemm(ones, ones, raw) == 2).all()
    assert multiply(raw, ones, ones, np.zeros((2, 2)), None) == 2
    with pytest.raises(UnsupportedError, match="float64 holds 53"):
        gemm(ones, ones, Datapath.parse(a="bf16", acc="exact", out="raw"))
    with pytest.raises(FormatError, match="1 of 4 values are NaN"):
        gemm(np.array([[1, np.nan], [0, 0]]), ones, Datapath.parse(a="int8", acc="int:32"))
    with pytest.raises(SpecError, match="the columns of a"):
        gemm(np.ones((2, 3)), ones, raw if raw.out else Datapath.parse(a="bf16", acc="exact"))
    with pytest.raises(SpecError, match="must be a matrix"):
        gemm(np.ones(2), ones, Datapath.parse(a="bf16", acc="exact"))


def test_a_nan_that_the_format_lacks_makes_results_nan():
    datapath = Datapath.parse(a="int8", acc="int:32")
    a, c = np.array([[1.0, np.nan], [1.0, 2.0]]), np.zeros((2, 2))
    assert multiply(datapath, a, np.ones((2, 2)), c, None) == 0
    assert np.isnan(c[0]).all() and (c[1] == 3).all()
