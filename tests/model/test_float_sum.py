"""Floating-point sums: the array routes against exact arithmetic and NumPy's own floats."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.formats import Format, parse_format
from hwgen.model import exact_float_sum, gemm, gemm_bits
from hwgen.model import float_sum as float_sum_module
from hwgen.model.exact_float_sum import Direction
from hwgen.model.float_lanes import lanes_are_exact
from hwgen.model.float_sum import fused_multiply_add
from hwgen.model.operands import Operand
from hwgen.spec.datapath import Datapath

OPERANDS = (
    "bf16", "fp16", "fp32", "fp64", "tf32", "e4m3", "e5m2", "e2m1", "int8", "int4", "int64",
    "uint:63", "fixed:1,63", "float:5,2", "float:11,10", "posit8", "posit16", "mxfp4",
)  # fmt: skip
SUMS = (
    "fp16", "fp32", "fp64", "bf16", "tf32", "e5m2", "float:2,1", "float:5,2", "float:3,3",
    "float:10,50", "float:10,51", "float:11,20", "float:8,40",
)  # fmt: skip
OUTPUTS = ("fp32", "fp16", "e4m3", "e4m3:overflow=nan", "e2m1", "e5m2:overflow=saturate", "fp64")


def corner_patterns(fmt: Format) -> list[int]:
    """The patterns around the ends of everything, and of either sign."""
    mask, sign = (1 << fmt.width) - 1, 1 << (fmt.width - 1)
    positive = {0, 1, 2, 3, sign - 1, sign - 2, sign >> 1, (sign >> 1) - 1, sign >> 2, sign >> 3}
    positive |= {fmt.nan_bits, fmt.infinity_bits(False)}
    if fmt.is_result_format:
        positive |= {fmt.encode(x).bits for x in (1, 2, 3, 0.5, fmt.max_finite)}
    return sorted({bits & mask for bits in positive | {bits | sign for bits in positive}})


def random_patterns(rng: np.random.Generator, fmt: Format, shape, wild: float) -> np.ndarray:
    """Numbers near 1, and in a share of places patterns of any kind."""
    corners = rng.choice(np.array(corner_patterns(fmt), dtype=np.uint64), shape)
    anything = rng.integers(0, 1 << fmt.width, shape, dtype=np.uint64)
    if not fmt.is_result_format:
        return anything.astype(fmt.dtype)
    spread = rng.standard_normal(shape) * np.exp2(rng.integers(-8, 9, shape))
    numbers = fmt.from_float(spread).astype(np.uint64)
    draw = rng.random(shape)
    return np.where(draw < wild / 2, corners, np.where(draw < wild, anything, numbers))


def assert_routes_agree(a: np.ndarray, b: np.ndarray, datapath: Datapath) -> None:
    bits, status = gemm_bits(a, b, datapath)
    exact_bits, exact_status = gemm_bits(a, b, datapath, engine="exact")
    np.testing.assert_array_equal(status, exact_status, err_msg=str(datapath))
    np.testing.assert_array_equal(bits, exact_bits, err_msg=str(datapath))


@pytest.mark.parametrize("kind", ["fma", "muladd"])
@pytest.mark.parametrize("fmt", SUMS)
def test_random_sums_equal_exact_arithmetic(fmt, kind):
    """14 datapaths of 25 dot products of up to 9 terms, of random operands, lanes and results."""
    rng = np.random.default_rng([ord(c) for c in fmt + kind])
    for index in range(14):
        a, b = (str(name) for name in rng.choice(OPERANDS, 2))
        out = fmt if index % 2 else str(rng.choice(OUTPUTS))
        lanes = int(rng.integers(1, 6))
        datapath = Datapath.parse(a=a, b=b, acc=f"{kind}:{fmt},lanes={lanes}", out=out)
        terms, wild = int(rng.integers(0, 10)), (0.0, 0.1, 0.7)[index % 3]
        left = random_patterns(rng, datapath.a, (5, terms), wild)
        right = random_patterns(rng, datapath.b, (terms, 5), wild)
        assert_routes_agree(left, right, datapath)


@st.composite
def dot_products(draw) -> tuple[np.ndarray, np.ndarray, Datapath]:
    fmt = draw(st.sampled_from(SUMS))
    kind, lanes = draw(st.sampled_from(["fma", "muladd"])), draw(st.integers(1, 5))
    datapath = Datapath.parse(
        a=draw(st.sampled_from(OPERANDS)),
        b=draw(st.sampled_from(OPERANDS)),
        acc=f"{kind}:{fmt},lanes={lanes}",
        out=draw(st.just(fmt) | st.sampled_from(OUTPUTS)),
    )
    terms = draw(st.integers(0, 6))

    def patterns(operand: Format) -> st.SearchStrategy[list[int]]:
        one = st.sampled_from(corner_patterns(operand)) | st.integers(0, (1 << operand.width) - 1)
        return st.lists(one, min_size=terms, max_size=terms)

    left = np.array(draw(patterns(datapath.a)), dtype=np.uint64).reshape(1, terms)
    right = np.array(draw(patterns(datapath.b)), dtype=np.uint64).reshape(terms, 1)
    return left, right, datapath


@settings(max_examples=400, deadline=None)
@given(dot_products())
def test_any_dot_product_equals_exact_arithmetic(case):
    assert_routes_agree(*case)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("float:2,1", "float:2,2"),
        pytest.param("float:3,2", "float:3,3", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kind", ["fma", "muladd"])
def test_every_step_of_a_tiny_sum_equals_exact_arithmetic(small, large, kind, monkeypatch):
    """Every sum (the first product, c * 1) with the product of every two smaller numbers."""
    datapath = Datapath.parse(a=large, b=small, acc=f"{kind}:{large}")
    sums, factors = 1 << datapath.a.width, 1 << datapath.b.width
    c, a = np.meshgrid(np.arange(sums), np.arange(factors) << 1, indexing="ij")
    left = np.stack([c.ravel(), a.ravel()], axis=1)
    one = int(datapath.b.encode(1).bits)
    right = np.stack([np.full(factors, one), np.arange(factors)])
    exact_bits, exact_status = gemm_bits(left, right, datapath, engine="exact")
    for fast in (True, False):
        monkeypatch.setattr(float_sum_module, "lanes_are_exact", lambda *_, fast=fast: fast)
        bits, status = gemm_bits(left, right, datapath)
        np.testing.assert_array_equal(bits, exact_bits)
        np.testing.assert_array_equal(status, exact_status)


NUMPY_TYPES = {
    "fp64": np.float64, "fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16,
    "e5m2": ml_dtypes.float8_e5m2,
}  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("fmt", NUMPY_TYPES)
def test_rounding_products_and_sums_equals_numpys_arithmetic(fmt, lanes):
    """A multiplication, then an addition.

    The 16- and 8-bit types are rounded through float32, whose 24 bits are at least twice theirs and
    two more, so that the second rounding is innocuous.
    """
    dtype = NUMPY_TYPES[fmt]
    rng = np.random.default_rng(1)
    datapath = Datapath.parse(a=fmt, acc=f"muladd:{fmt},lanes={lanes}")
    a = random_patterns(rng, datapath.a, (40, 25), 0.1)
    b = random_patterns(rng, datapath.b, (25, 40), 0.1)
    x, y = (bits.astype(datapath.a.dtype).view(dtype) for bits in (a, b))
    with np.errstate(all="ignore"):
        sums = [np.zeros((40, 40), dtype=dtype) for _ in range(lanes)]
        for k in range(25):
            sums[k % lanes] = sums[k % lanes] + np.multiply.outer(x[:, k], y[k]).astype(dtype)
        total = sums[0]
        for lane in sums[1:]:
            total = total + lane
    nan = np.isnan(total.astype(np.float64))
    expected = np.where(nan, datapath.out.nan_bits, total.view(datapath.out.dtype))
    bits, _ = gemm_bits(a, b, datapath)
    np.testing.assert_array_equal(bits, expected)
    assert nan.any()
    assert not nan.all()


def test_a_sum_of_exact_products_in_fp64_equals_numpys_arithmetic():
    rng = np.random.default_rng(2)
    datapath = Datapath.parse(a="fp32", acc="fma:fp64")
    a, b = (rng.standard_normal((30, 30)).astype(np.float32).astype(np.float64) for _ in "ab")
    total = np.zeros((30, 30))
    for k in range(30):
        total = total + np.multiply.outer(a[:, k], b[k])
    np.testing.assert_array_equal(gemm(a, b, datapath), total)


@pytest.mark.parametrize("kind", ["fma", "muladd"])
@pytest.mark.parametrize(
    ("operand", "fmt"),
    [("bf16", "fp32"), ("fp32", "fp32"), ("e4m3", "fp16"), ("bf16", "fp64"), ("fp16", "bf16")],
)
def test_lanes_and_fields_give_the_same_bits(operand, fmt, kind, monkeypatch):
    """Matrices larger than a tile of either way."""
    rng = np.random.default_rng(3)
    datapath = Datapath.parse(a=operand, acc=f"{kind}:{fmt},lanes=2")
    a = random_patterns(rng, datapath.a, (135, 11), 0.02)
    b = random_patterns(rng, datapath.b, (11, 131), 0.02)
    operands = Operand.unpack(a, datapath.a), Operand.unpack(b, datapath.b)
    assert lanes_are_exact(*operands, datapath.float_sum.format)
    bits, status = gemm_bits(a, b, datapath)
    monkeypatch.setattr(float_sum_module, "lanes_are_exact", lambda *_: False)
    field_bits, field_status = gemm_bits(a, b, datapath)
    np.testing.assert_array_equal(field_bits, bits)
    np.testing.assert_array_equal(field_status, status)


@pytest.mark.parametrize(
    ("a", "b", "fmt", "expected"),
    [
        (1.0, 1.0, "fp32", True),
        (1.0, 1.0, "fp64", True),
        (0.0, 0.0, "fp32", True),
        (1.0, 1.0, "float:10,50", True),
        (1.0, 1.0, "float:10,51", False),  # float64 has only one bit more
        (1.0, 1.0, "float:11,10", False),  # sums reach float64's own ends
        (1 + 2.0**-26, 1 + 2.0**-25, "fp32", True),  # 27 + 26 bits
        (1 + 2.0**-26, 1 + 2.0**-26, "fp32", False),
        (2.0**-537, 2.0**-537, "fp32", True),
        (2.0**-537, 2.0**-538, "fp32", False),
        (2.0**499, 2.0**499, "fp32", True),
        (2.0**501, 2.0**499, "fp32", False),
    ],
)
def test_lanes_are_chosen_only_where_float64_is_exact(a, b, fmt, expected):
    fp64 = parse_format("fp64")
    operands = [Operand.unpack(fp64.from_float(np.array([[value]])), fp64) for value in (a, b)]
    assert lanes_are_exact(*operands, parse_format(fmt)) is expected


@pytest.mark.parametrize("direction", Direction, ids=lambda direction: direction.value)
def test_summands_at_every_distance_equal_exact_arithmetic(direction):
    """Sums above, beside and below a product of 106 bits, powers of two and full significands."""
    rng = np.random.default_rng(4)
    fmt = parse_format("fp64")
    distance = np.repeat(np.arange(-190, 191), 8)
    full = rng.integers(2**52, 2**53, (3, distance.size), dtype=np.int64) * 2.0**-52
    power = rng.random(full.shape) < 0.4
    factor = np.where(power, 1.0, full) * rng.choice([-1.0, 1.0], full.shape)
    a, b, c = (fmt.from_float(x) for x in (factor[0], factor[1], factor[2] * np.exp2(distance)))
    bits, status = fused_multiply_add(a, b, c, fmt, direction)
    expected = [
        exact_float_sum.fused_multiply_add(*case, fmt, direction)
        for case in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]
    assert list(zip(bits.tolist(), status.tolist(), strict=True)) == expected


def test_the_fused_step_serves_arrays_of_any_shape():
    fmt = parse_format("fp16")
    values = fmt.from_float(np.arange(6.0).reshape(2, 3))
    bits, status = fused_multiply_add(values, values, values, fmt)
    np.testing.assert_array_equal(
        fmt.to_float(bits), np.arange(6.0).reshape(2, 3) ** 2 + [[0, 1, 2], [3, 4, 5]]
    )
    assert (bits.dtype, status.shape) == (np.uint16, (2, 3))


@pytest.mark.parametrize("engine", ["numpy", "exact"])
@pytest.mark.parametrize("fmt", ["fp32", "float:11,20"])
def test_an_empty_sum_is_positive_zero(engine, fmt):
    datapath = Datapath.parse(a="bf16", acc=f"fma:{fmt},lanes=3")
    bits, status = gemm_bits(np.zeros((2, 0)), np.zeros((0, 3)), datapath, engine=engine)
    assert bits.shape == status.shape == (2, 3)
    assert not bits.any()
    assert not status.any()
