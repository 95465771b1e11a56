"""Products of block-scaled matrices: both routes alike, blocks along k, and the sum they mean."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from hwgen.formats import parse_format
from hwgen.model import INVALID, gemm, gemm_bits
from hwgen.spec.datapath import Datapath

WINDOW = "window:msb=20,lsb=-40,ovf=9"
DATAPATHS = [
    {"a": "mxfp8", "acc": WINDOW},
    {"a": "mxfp8:element=e5m2", "b": "mxfp8", "acc": WINDOW, "out": "bf16"},
    {"a": "mxfp4", "b": "mxfp8", "acc": WINDOW},
    {"a": "mxfp6", "b": "mxfp6:element=e2m3", "acc": f"{WINDOW},overflow=saturate"},
    {"a": "mxint8", "acc": "window:msb=3,lsb=-9,ovf=2,round=even,overflow=wrap", "out": "raw"},
    {"a": "nvfp4", "acc": "exact"},
    {"a": "nvfp4", "b": "mxint8", "acc": WINDOW, "out": "posit16"},
    {"a": "mxfp4", "acc": "exact:terms=64", "out": "fp64"},
    {"a": "int4", "b": "mxfp8", "acc": WINDOW},
]


@pytest.mark.parametrize("names", DATAPATHS, ids=lambda names: "-".join(names.values()))
def test_dot_products_equal_exact_arithmetic(names: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    datapath = Datapath.parse(**names)
    for terms in (1, 3, 40):
        sides = {}
        for side, fmt, shape in (("a", datapath.a, (9, terms)), ("b", datapath.b, (terms, 9))):
            values = rng.standard_normal(shape) * 4
            numbers = fmt.from_float(values, axis=1 if side == "a" else 0)
            anything = rng.integers(0, 1 << fmt.width, shape, dtype=np.uint64)
            sides[side] = np.where(rng.random(shape) < 0.02, anything, numbers)
        bits, status = gemm_bits(sides["a"], sides["b"], datapath)
        exact_bits, exact_status = gemm_bits(sides["a"], sides["b"], datapath, engine="exact")
        np.testing.assert_array_equal(bits, exact_bits)
        np.testing.assert_array_equal(status, exact_status)


@pytest.mark.parametrize("name", ["mxfp8", "mxfp4", "mxint8", "nvfp4"])
def test_real_matrices_are_quantised_along_k(name: str) -> None:
    fmt = parse_format(name)
    datapath = Datapath.parse(a=name, acc=WINDOW, out="fp64")
    rng = np.random.default_rng(2)
    # Rows of a and columns of b of very different size: a scale a row, or all is lost.
    a = rng.standard_normal((5, 70)) * np.exp2(rng.integers(-6, 6, (5, 1)))
    b = rng.standard_normal((70, 4)) * np.exp2(rng.integers(-6, 6, (1, 4)))
    expected = fmt.to_float(fmt.from_float(a, axis=1)) @ fmt.to_float(fmt.from_float(b, axis=0))
    np.testing.assert_allclose(gemm(a, b, datapath), expected, rtol=1e-12)
    assert not np.allclose(
        expected, fmt.to_float(fmt.from_float(a, axis=0)) @ fmt.to_float(fmt.from_float(b, axis=1))
    )


def test_a_dot_product_is_the_one_of_the_mx_specification() -> None:
    # Section 6.1: the product of the scales times the dot product of the elements, block by block.
    rng = np.random.default_rng(3)
    fmt = parse_format("mxfp4")
    datapath = Datapath.parse(a="mxfp4", acc="exact", out="fp64")
    a, b = fmt.from_float(rng.standard_normal((1, 64))), fmt.from_float(rng.standard_normal(64))
    (elements_a, _), (elements_b, _) = fmt.split(a), fmt.split(b)
    total = 0.0
    for block in range(2):
        part = slice(32 * block, 32 * block + 32)
        left = elements_a[0, part].view(ml_dtypes.float4_e2m1fn).astype(np.float64)
        right = elements_b[part].view(ml_dtypes.float4_e2m1fn).astype(np.float64)
        scales = [
            float(scale.view(ml_dtypes.float8_e8m0fnu))
            for scale in (fmt.block_scales(a)[0, block], fmt.block_scales(b)[block])
        ]
        total += scales[0] * scales[1] * float(left @ right)
    bits, status = gemm_bits(a, b[:, np.newaxis], datapath)
    assert datapath.out.to_float(bits)[0, 0] == total
    assert status[0, 0] == 0


def test_a_nan_scale_makes_the_result_nan() -> None:
    datapath = Datapath.parse(a="mxfp4", acc=WINDOW)
    values = np.ones((2, 40))
    values[1, 35] = np.nan
    bits = datapath.a.from_float(values, axis=1)
    _, status = gemm_bits(bits, datapath.b.from_float(np.ones((40, 1)), axis=0), datapath)
    assert (status & INVALID).ravel().tolist() == [0, INVALID]
