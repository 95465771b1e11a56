"""Summands that are sums of scale blocks: both routes alike, and what they mean."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hwgen.errors import SpecError
from hwgen.formats import parse_format
from hwgen.model import gemm, gemm_bits
from hwgen.model.rounding import INEXACT, OVERFLOW
from hwgen.spec.datapath import Datapath

WIDE = "window:msb=20,lsb=-40,ovf=9,per=block"
DATAPATHS = [
    {"a": "mxfp4", "acc": "window:msb=5,lsb=-30,ovf=9,per=block"},
    {"a": "mxfp4", "acc": "window:msb=3,lsb=-3,ovf=0,round=even,overflow=saturate,per=block"},
    {"a": "mxfp8", "acc": "window:msb=4,lsb=-4,ovf=1,round=odd,per=block", "out": "bf16"},
    {"a": "mxfp8:element=e5m2", "acc": WIDE},
    {"a": "mxfp8:element=e5m2", "b": "mxfp8", "acc": "window:msb=300,lsb=-300,ovf=9,per=block"},
    {"a": "mxfp6", "b": "mxfp6:element=e2m3", "acc": f"{WIDE},overflow=wrap", "out": "raw"},
    {"a": "mxint8", "acc": "window:msb=3,lsb=-9,ovf=2,round=even,overflow=wrap,per=block"},
    {"a": "nvfp4", "acc": "window:msb=12,lsb=-4,ovf=2,round=even,per=block", "out": "raw"},
    {"a": "nvfp4", "b": "mxint8:block=16", "acc": WIDE, "out": "posit16"},
    {"a": "mxfp4:block=1", "acc": "window:msb=5,lsb=-9,ovf=1,overflow=saturate,per=block"},
]


def _random(fmt, shape, axis, rng) -> np.ndarray:
    numbers = fmt.from_float(rng.standard_normal(shape) * 4, axis=axis)
    anything = rng.integers(0, 1 << fmt.width, shape, dtype=np.uint64)
    return np.where(rng.random(shape) < 0.02, anything, numbers)


@pytest.mark.parametrize("names", DATAPATHS, ids=lambda names: "-".join(names.values()))
def test_both_routes_give_the_same_bits(names: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    datapath = Datapath.parse(**names)
    for terms in (0, 1, 3, 32, 77):
        a = _random(datapath.a, (9, terms), 1, rng)
        b = _random(datapath.b, (terms, 9), 0, rng)
        bits, status = gemm_bits(a, b, datapath)
        exact_bits, exact_status = gemm_bits(a, b, datapath, engine="exact")
        np.testing.assert_array_equal(bits, exact_bits)
        np.testing.assert_array_equal(status, exact_status)


@pytest.mark.parametrize("rounding", ["zero", "even", "odd"])
def test_rounding_agrees_at_every_place(rounding: str) -> None:
    # Two terms a block, so that sums end in any number of zeros; scales sweep them over lsb.
    path = Datapath.parse(
        a="mxint8:block=2", acc=f"window:msb=6,lsb=0,ovf=1,round={rounding},per=block", out="raw"
    )
    rng = np.random.default_rng(5)
    elements = rng.integers(0, 256, (60, 2)).astype(np.uint8)
    scales = (127 + rng.integers(-20, 12, (60, 1))).astype(np.uint8)
    a = path.a.join(elements, scales)
    b = path.a.join(rng.integers(0, 256, (2, 20)).astype(np.uint8), np.uint8([[127]]))
    for got, wanted in zip(
        gemm_bits(a, b, path), gemm_bits(a, b, path, engine="exact"), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_a_block_that_cancels_is_not_judged_by_its_products() -> None:
    # 6 * 6 - 6 * 6 + 1 under a scale that puts the products, but not the sum, beyond the window.
    fmt = parse_format("mxfp4")
    one, six, minus_six = 0b0010, 0b0111, 0b1111
    a = fmt.join(np.uint8([[six, minus_six, one]]), np.uint8([[127]]))
    b = fmt.join(np.uint8([[six], [six], [one]]), np.uint8([[127]]))
    acc = "window:msb=3,lsb=-4,ovf=4"
    _, status = gemm_bits(a, b, Datapath.parse(a="mxfp4", acc=acc))
    assert status[0, 0] & OVERFLOW
    path = Datapath.parse(a="mxfp4", acc=f"{acc},per=block", out="fp32")
    bits, status = gemm_bits(a, b, path)
    assert path.out.to_float(bits)[0, 0] == 1.0
    assert status[0, 0] == 0


def test_small_products_of_a_block_add_up_before_they_are_rounded() -> None:
    # Sixteen times a sixteenth of lsb.
    acc = "window:msb=3,lsb=2,ovf=4"
    a = parse_format("mxfp4").from_float(np.full((1, 16), 0.5))
    b = parse_format("mxfp4").from_float(np.full((16, 1), 0.5), axis=0)
    for per, wanted in (("product", 0.0), ("block", 4.0)):
        path = Datapath.parse(a="mxfp4", acc=f"{acc},per={per}", out="fp32")
        bits, status = gemm_bits(a, b, path)
        assert path.out.to_float(bits)[0, 0] == wanted
        assert bool(status[0, 0] & INEXACT) == (wanted == 0)


def test_a_block_has_the_scales_of_its_last_term() -> None:
    fmt = parse_format("mxfp4:block=2")
    one = np.uint8([[0b0010] * 3])
    a = fmt.join(one, np.uint8([[200, 128, 130]]))
    b = fmt.join(one.T, np.uint8([[255], [127], [127]]))
    path = Datapath.parse(a=fmt.name, acc=WIDE, out="fp32")
    for engine in ("numpy", "exact"):
        bits, status = gemm_bits(a, b, path, engine=engine)
        assert path.out.to_float(bits)[0, 0] == 2 * 2 + 8
        assert status[0, 0] == 0


def test_with_a_wide_window_the_result_is_the_exact_one() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((4, 70)), rng.standard_normal((70, 5))
    for name in ("mxfp4", "mxfp8", "mxint8", "nvfp4"):
        results = [
            gemm(a, b, Datapath.parse(a=name, acc=f"window:msb=40,lsb=-60,ovf=9,per={per}"))
            for per in ("block", "product")
        ]
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a": "bf16", "acc": WIDE}, "a is bf16, which has no blocks"),
        ({"a": "mxfp4", "b": "e2m1", "acc": WIDE}, "b is e2m1, which has no blocks"),
        ({"a": "mxfp4", "b": "nvfp4", "acc": WIDE}, "a has blocks of 32 and b of 16"),
        ({"a": "mxfp4", "acc": f"{WIDE},round=stochastic"}, "random numbers belong to products"),
        ({"a": "mxfp4", "acc": "window:msb=5,lsb=-3,per=row"}, "allowed is product, block"),
    ],
)
def test_operands_without_equal_blocks_are_refused(names, message) -> None:
    with pytest.raises(SpecError, match=message):
        Datapath.parse(**names)


def test_the_accumulators_name_comes_back() -> None:
    path = Datapath.parse(a="mxfp4", acc=WIDE)
    assert str(path.acc) == WIDE
    assert path.block_terms == 32
    assert path.elements.a.name == "e2m1"
    # 32 products of at most 36 in units of 1/4: none can leave the register.
    assert Fraction(2) ** path.elements.window.width > 2 * 32 * 36 * 4
