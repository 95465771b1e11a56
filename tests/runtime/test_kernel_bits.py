"""Bits and status of the C kernels are those of the golden model, whatever the datapath."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import (
    any_bits,
    assert_same,
    check,
    moderate_bits,
    spread_bits,
    with_specials,
)

from hwgen import model
from hwgen.runtime import gemm_bits, instruction_sets
from hwgen.spec.datapath import Datapath

# a, acc, out; b is a. Each kernel and each way out of it is among them.
DATAPATHS = [
    ("bf16", "window:msb=10,lsb=-29,ovf=8", "fp32"),
    ("bf16", "window:msb=10,lsb=-12,ovf=8", "bf16"),
    ("bf16", "window:msb=10,lsb=-12,ovf=8,round=even", "fp16"),
    ("bf16", "window:msb=10,lsb=-12,ovf=8,round=odd", "fp32"),
    ("bf16", "window:msb=10,lsb=-12,ovf=8,round=stochastic,seed=7,bits=5", "fp32"),
    ("bf16", "window:msb=10,lsb=-12,ovf=8", "raw"),
    ("bf16", "window:msb=3,lsb=-12,ovf=1", "fp32"),
    ("bf16", "window:msb=3,lsb=-12,ovf=1,overflow=saturate", "fp32"),
    ("bf16", "window:msb=3,lsb=-12,ovf=1,overflow=wrap", "raw"),
    ("bf16", "exact", "raw"),
    ("bf16", "exact", "posit16"),
    ("fp16", "exact", "e4m3"),
    ("tf32", "window:msb=12,lsb=-20,ovf=8", "tf32"),
    ("fp32", "window:msb=30,lsb=-30,ovf=30", "fp32"),
    ("fp32", "window:msb=30,lsb=-60,ovf=30", "fp32"),
    ("fp32", "window:msb=30,lsb=-60,ovf=30,round=even", "fp32"),
    ("fp32", "exact", "fp32"),
    ("fp64", "window:msb=30,lsb=-30,ovf=30", "fp64"),
    ("fp64", "window:msb=30,lsb=-60,ovf=30,round=even", "fp64"),
    ("fp64", "window:msb=40,lsb=-120,ovf=30", "fp64"),
    ("fp64", "window:msb=40,lsb=-90,ovf=30,round=odd", "fp32"),
    ("fp64", "exact", "fp64"),
    ("e4m3", "exact", "fp32"),
    ("e4m3:overflow=nan", "window:msb=8,lsb=-4,ovf=6", "e4m3:overflow=nan"),
    ("e5m2", "window:msb=6,lsb=-14,ovf=9", "e5m2:overflow=saturate"),
    ("e3m2", "exact", "e3m2"),
    ("e2m1", "exact", "e2m1"),
    ("float:4,9", "exact", "float:6,12"),
    ("posit8", "exact", "posit8"),
    ("posit16", "window:msb=8,lsb=-30,ovf=9", "posit:12,1"),
    ("posit32", "exact", "posit32"),
    ("int8", "int:32", "int32"),
    ("int8", "int:16,overflow=saturate", "int8"),
    ("int16", "int:24", "int:24"),
    ("uint8", "int:20,overflow=saturate", "uint:16"),
    ("int:60", "int:100", "raw"),
    ("fixed:4,8", "window:msb=7,lsb=-9,ovf=6", "fixed:6,9"),
    ("fixed:4,8", "window:msb=7,lsb=-12,ovf=6", "fixed:6,4"),
    ("mxfp8", "exact", "fp32"),
    ("mxfp8:element=e5m2", "window:msb=10,lsb=-30,ovf=8,per=block", "fp32"),
    ("mxfp4:block=16", "window:msb=10,lsb=-10,ovf=8", "bf16"),
    ("mxint8", "window:msb=10,lsb=-20,ovf=8,per=block", "fp32"),
    ("nvfp4", "window:msb=12,lsb=-12,ovf=8,round=even,per=block", "fp32"),
    ("bf16", "fma:fp32", "fp32"),
    ("bf16", "fma:fp32,lanes=4", "bf16"),
    ("fp32", "fma:fp32", "fp32"),
    ("fp32", "muladd:fp32,lanes=3", "fp32"),
    ("fp64", "fma:fp64,lanes=2", "fp64"),
    ("fp64", "muladd:fp64", "fp32"),
    ("fp64", "fma:fp32", "e4m3"),
    ("bf16", "fma:bf16", "bf16"),
    ("fp16", "muladd:fp16,lanes=5", "fp16"),
    ("e5m2", "fma:e5m2", "e4m3:overflow=nan"),
    ("int8", "fma:fp16", "e2m1"),
]
IDS = [" ".join(names) for names in DATAPATHS]


def parse(names: tuple[str, str, str]) -> Datapath:
    a, acc, out = names
    return Datapath.parse(a=a, acc=acc, out=out)


@pytest.mark.parametrize("names", DATAPATHS, ids=IDS)
def test_moderate_numbers_give_the_models_bits(names, instructions, rng):
    datapath = parse(names)
    a = moderate_bits(datapath.a, (13, 70), rng)
    b = moderate_bits(datapath.b, (70, 37), rng)
    check(a, b, datapath, instructions)


@pytest.mark.parametrize("names", DATAPATHS, ids=IDS)
def test_any_patterns_give_the_models_bits(names, instructions, rng):
    datapath = parse(names)
    check(
        any_bits(datapath.a, (5, 9), rng),
        any_bits(datapath.b, (9, 11), rng),
        datapath,
        instructions,
    )


@pytest.mark.parametrize("names", DATAPATHS, ids=IDS)
def test_special_lines_leave_the_others_alone(names, instructions, rng):
    datapath = parse(names)
    a = with_specials(moderate_bits(datapath.a, (18, 20), rng), datapath.a, rng)
    b = with_specials(moderate_bits(datapath.b, (20, 34), rng), datapath.b, rng)
    check(a, b, datapath, instructions)


@pytest.mark.parametrize("binades", [20, 60, 140])
@pytest.mark.parametrize(
    "names",
    [names for names in DATAPATHS if names[0] in ("bf16", "tf32", "fp32", "fp64")],
    ids=" ".join,
)
def test_exponents_far_apart_give_the_models_bits(names, binades, instructions, rng):
    datapath = parse(names)
    a = spread_bits(datapath.a, (9, 40), rng, binades)
    b = spread_bits(datapath.b, (40, 17), rng, binades)
    check(a, b, datapath, instructions)


@pytest.mark.parametrize("names", DATAPATHS, ids=IDS)
def test_the_judge_agrees(names, rng):
    datapath = parse(names)
    a = with_specials(moderate_bits(datapath.a, (4, 30), rng), datapath.a, rng)
    b = moderate_bits(datapath.b, (30, 3), rng)
    check(a, b, datapath, "c", reference="exact")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 1), (100, 3, 1), (1, 3, 200), (97, 5, 193)])
def test_odd_shapes_give_the_models_bits(shape, instructions, rng):
    rows, terms, columns = shape
    for names in (
        ("bf16", "window:msb=10,lsb=-12,ovf=8", "bf16"),
        ("fp32", "window:msb=30,lsb=-60,ovf=30", "fp32"),
        ("int8", "int:32", "int32"),
        ("mxfp4:block=5", "window:msb=10,lsb=-1,ovf=8,per=block", "fp32"),
        ("bf16", "fma:fp32", "fp32"),
    ):
        datapath = parse(names)
        a = moderate_bits(datapath.a, (rows, terms), rng)
        b = moderate_bits(datapath.b, (terms, columns), rng)
        check(a, b, datapath, instructions)


@pytest.mark.parametrize("names", DATAPATHS, ids=IDS)
@pytest.mark.parametrize("shape", [(3, 0, 4), (0, 5, 4), (3, 5, 0)])
def test_empty_products_give_zeros_of_the_right_shape(names, shape):
    datapath = parse(names)
    a = np.zeros(shape[:2], dtype=datapath.a.dtype)
    b = np.zeros(shape[1:], dtype=datapath.b.dtype)
    check(a, b, datapath, "c")


@pytest.mark.parametrize("lanes", [(1, 1), (4, 8), (3, 5)])
@pytest.mark.parametrize("terms", [3, 200])
@pytest.mark.parametrize("fmt", ["bf16", "fp64"])
def test_random_numbers_follow_the_arrays_lanes(fmt, lanes, terms, instructions, rng):
    """Of float64 operands some products are too long for the kernels: those are judged."""
    lsb = {"bf16": -9, "fp64": -60}[fmt]
    acc = f"window:msb=9,lsb={lsb},ovf=8,round=stochastic,bits=9"
    datapath = Datapath.parse(a=fmt, acc=acc, out="raw")
    a = moderate_bits(datapath.a, (21, terms), rng)
    b = moderate_bits(datapath.b, (terms, 35), rng)
    check(a, b, datapath, instructions, lanes=lanes)


def test_terms_beyond_a_carry_give_the_models_bits(instructions, rng):
    datapath = Datapath.parse(a="fp32", acc="window:msb=30,lsb=-60,ovf=30", out="fp32")
    a = np.abs(spread_bits(datapath.a, (2, 5000), rng, 40) & 0x7FFF_FFFF)
    b = np.abs(spread_bits(datapath.b, (5000, 3), rng, 40) & 0x7FFF_FFFF)
    check(a, b, datapath, instructions)


def operands_in_blocks(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """More terms than are packed at once: rows and columns are taken in two blocks each."""
    # Numbers of bf16 from 0.5 to 2, of both signs.
    a, b = (
        rng.integers(0x3F00, 0x4000, size=shape, dtype=np.uint16)
        | rng.integers(0, 2, size=shape, dtype=np.uint16) << np.uint16(15)
        for shape in ((98, 44_000), (44_000, 258))
    )
    a[::2, 5:] = 0
    return a, b


def test_products_too_large_to_pack_at_once_are_whole(rng):
    datapath = Datapath.parse(a="bf16", acc="window:msb=9,lsb=-14,ovf=2", out="fp32")
    a, b = operands_in_blocks(rng)
    bits, status = gemm_bits(a, b, datapath)
    assert len(np.unique(status)) > 1
    for rows in (slice(0, 2), slice(96, 98)):
        for columns in (slice(0, 3), slice(255, 258)):
            part = gemm_bits(a[rows], b[:, columns], datapath)
            assert_same((bits[rows, columns], status[rows, columns]), part)


@pytest.mark.slow
def test_random_numbers_count_lanes_through_large_products(rng):
    acc = "window:msb=9,lsb=-9,ovf=20,round=stochastic,bits=4"
    datapath = Datapath.parse(a="bf16", acc=acc, out="fp32")
    a, b = operands_in_blocks(rng)
    bits, status = gemm_bits(a, b, datapath)
    down = model.gemm_bits(a, b[:, :1], datapath)
    assert_same((bits[:, :1], status[:, :1]), down)
    across = model.gemm_bits(a[:1], b, datapath)
    assert_same((bits[:1], status[:1]), across)


def test_a_start_value_is_added(rng):
    datapath = parse(DATAPATHS[0])
    a, b = moderate_bits(datapath.a, (3, 9), rng), moderate_bits(datapath.b, (9, 4), rng)
    start = np.full((3, 4), 5 << 29, dtype=np.uint64)
    bits, _ = gemm_bits(a, b, datapath, start=start)
    plain, _ = gemm_bits(a, b, datapath)
    assert np.allclose(datapath.out.to_float(bits), datapath.out.to_float(plain) + 5)


FORMATS = ["bf16", "fp16", "fp32", "fp64", "e4m3", "e5m2", "e2m1", "posit8", "posit:10,1", "int8"]


@st.composite
def products(draw):
    """A datapath with a window or a sum, and operands of any patterns."""
    fmt = draw(st.sampled_from(FORMATS))
    lsb, bits = draw(st.integers(-60, 10)), draw(st.integers(1, 90))
    rounding = draw(st.sampled_from(["zero", "even", "odd"]))
    overflow = draw(st.sampled_from(["nan", "saturate", "wrap"]))
    window = (
        f"window:msb={lsb + bits},lsb={lsb},ovf={draw(st.integers(0, 12))},round={rounding},"
        f"overflow={overflow}"
    )
    window += f",dot={draw(st.sampled_from([1, 1, 2, 3, 16]))}"
    sums = ["fma:fp32", "muladd:bf16", "fma:float:5,6,lanes=3"]
    acc = draw(st.sampled_from([window, window, window, *sums]))
    out = draw(st.sampled_from(["fp32", "bf16", "e4m3", "fp64"]))
    datapath = Datapath.parse(a=fmt, acc=acc, out=out)
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(1, 9)))
    # Patterns near a few centres, so that exponents neither all differ nor all agree.
    centre = draw(st.integers(0, (1 << datapath.a.width) - 1))
    spread = draw(st.integers(0, datapath.a.width))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    mask = np.uint64((1 << spread) - 1)
    a, b = (
        ((any_bits(datapath.a, size, rng).astype(np.uint64) & mask) ^ np.uint64(centre))
        for size in (shape[:2], shape[1:])
    )
    return datapath, a.astype(datapath.a.dtype), b.astype(datapath.b.dtype)


@settings(max_examples=150, deadline=None)
@given(products(), st.integers(0, 2))
def test_any_datapath_gives_the_models_bits(product, choice):
    datapath, a, b = product
    names = instruction_sets()
    check(a, b, datapath, f"c:{names[choice % len(names)]}")


@pytest.mark.slow
@settings(max_examples=4000, deadline=None)
@given(products(), st.integers(0, 2))
def test_very_many_datapaths_give_the_models_bits(product, choice):
    datapath, a, b = product
    names = instruction_sets()
    check(a, b, datapath, f"c:{names[choice % len(names)]}")
