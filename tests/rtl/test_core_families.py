"""Small arrays of every family of number formats, against the exact-rational judge."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hwgen.formats import BlockScaled, Format
from hwgen.model import gemm_bits, operand_beats, pack_beats
from hwgen.rtl.core import Core
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from sim.pysim import Axis, receive, send, simulate

W45 = "window:msb=5,lsb=-30,ovf=9"
FAMILIES = {
    "posit8_quire": {"a": "posit8", "acc": "exact"},
    "posit8_quire_raw": {"a": "posit8", "acc": "exact", "out": "raw"},
    "posit16_quire": {"a": "posit16", "acc": "exact"},
    "posit16_window": {"a": "posit16", "acc": "window:msb=20,lsb=-20,ovf=5", "out": "posit8"},
    "posit32_bf16": {"a": "posit32", "b": "bf16", "acc": f"{W45},overflow=saturate"},
    "posit_old": {"a": "posit:8,0", "acc": "exact:terms=64", "out": "posit:16,1"},
    "posit_even_wrap": {
        "a": "posit8",
        "acc": "window:msb=3,lsb=-5,ovf=1,round=even,overflow=wrap",
        "out": "raw",
    },
    "mxfp4_mxfp8": {"a": "mxfp4", "b": "mxfp8", "acc": W45},
    "mxfp8_e5m2": {"a": "mxfp8:element=e5m2", "acc": f"{W45},round=even,overflow=saturate"},
    "mxfp6": {"a": "mxfp6", "b": "mxfp6:element=e2m3", "acc": W45, "out": "bf16"},
    "mxint8": {"a": "mxint8", "acc": W45, "out": "posit16"},
    "nvfp4_exact": {"a": "nvfp4", "acc": "exact"},
    "nvfp4_narrow": {"a": "nvfp4", "acc": "window:msb=2,lsb=-4,ovf=1,overflow=wrap", "out": "raw"},
    "int4_bf16": {"a": "int4", "b": "bf16", "acc": W45, "out": "bf16"},
    "int4_nvfp4": {"a": "int4", "b": "nvfp4", "acc": W45},
    "bf16_cells": {"a": "bf16", "acc": W45, "target": "asic"},
    "e4m3_e5m2": {"a": "e4m3", "b": "e5m2", "acc": W45},
    "bf16_dot2": {"a": "bf16", "acc": f"{W45},dot=2"},
    "e5m2_dot3": {"a": "e5m2", "acc": "window:msb=1,lsb=-6,ovf=0,round=even,overflow=wrap,dot=3"},
    "e4m3_dot4": {
        "a": "e4m3",
        "acc": "window:msb=2,lsb=-6,ovf=0,round=odd,overflow=saturate,dot=4",
        "out": "raw",
    },
    "fp32_dot2_wide": {"a": "fp32", "acc": "window:msb=40,lsb=-60,ovf=3,dot=2"},
    "posit8_dot5": {"a": "posit8", "acc": "exact:terms=64,dot=5"},
    "int8_dot16": {"a": "int8", "acc": "int:16,dot=16"},
    "mxint8_dot2": {"a": "mxint8", "acc": f"{W45},dot=2"},
}
ROWS, COLS = 3, 2


def patterns(rng: np.random.Generator, fmt: Format, shape: tuple[int, int]) -> np.ndarray:
    """Numbers of ordinary size, and in some blocks a few patterns of any kind."""
    anything = rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64).astype(fmt.dtype)
    spread = float(min(fmt.max_finite / 3, 2))
    numbers = fmt.from_float(rng.normal(scale=spread, size=shape))
    if isinstance(fmt, BlockScaled):  # scales that differ from element to element
        elements, scales = fmt.split(numbers)
        numbers = fmt.join(elements, scales + rng.integers(-3, 4, size=shape).astype(np.uint8))
    share = rng.choice([0.0, 0.0, 0.1, 1.0])
    return np.where(rng.random(shape) < share, anything, numbers)


def results(
    design: Design, blocks: list[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[int, int, int]]:
    """Send blocks through the core, with stalls; return (tdata, tlast, tuser) of every row."""
    core = Core(design)
    beats: dict[str, list[tuple[int, bool]]] = {"a": [], "b": []}
    for a, b in blocks:
        path = design.datapath
        a_beats, b_beats = operand_beats(a, b, path.dot)
        for side, elements, fmt in (("a", a_beats, path.a), ("b", b_beats, path.b)):
            words = pack_beats(elements, fmt.width)
            beats[side] += [(word, index == len(words) - 1) for index, word in enumerate(words)]
    rows: list = []

    def sender(side: str):
        async def testbench(ctx) -> None:
            port = Axis(core, f"s_axis_{side}")
            await send(ctx, port, beats[side], rng=random.Random(side), stalls=0.1)

        return testbench

    async def receiver(ctx) -> None:
        count = len(blocks) * design.rows
        rows.extend(await receive(ctx, Axis(core, "m_axis_c"), count, rng=random.Random(0)))

    simulate(core, sender("a"), sender("b"), receiver, max_cycles=20_000)
    return [(beat.data, beat.last, beat.user) for beat in rows]


def judged(design: Design, blocks: list[tuple[np.ndarray, np.ndarray]], engine: str):
    """The rows that the model expects."""
    rows = []
    for a, b in blocks:
        bits, status = gemm_bits(a, b, design.datapath, engine=engine)
        last = [row == design.rows - 1 for row in range(design.rows)]
        data = pack_beats(bits, design.datapath.out_width)
        rows += zip(data, last, pack_beats(status, 3), strict=True)
    return rows


@pytest.mark.parametrize("name", FAMILIES)
def test_a_small_array_of_every_family_equals_exact_arithmetic(name):
    design = Design(datapath=Datapath.parse(**FAMILIES[name]), rows=ROWS, cols=COLS)
    rng = np.random.default_rng(1)
    blocks = [
        (
            patterns(rng, design.datapath.a, (ROWS, terms)),
            patterns(rng, design.datapath.b, (terms, COLS)),
        )
        for terms in [3, 1, 2, 5, 20, 1, 1, 9] * 3
    ]
    assert results(design, blocks) == judged(design, blocks, "exact")


PAIRS = {
    "posit_quire": {"a": "posit:6,2", "acc": "exact", "out": "raw"},
    "posit_truncating": {"a": "posit:6,1", "acc": "window:msb=3,lsb=-3,ovf=0", "out": "raw"},
    "posit_even_wrap": {
        "a": "posit:6,0",
        "b": "e3m2",
        "acc": "window:msb=0,lsb=-5,ovf=0,round=even,overflow=wrap",
        "out": "raw",
    },
    "posit_saturate": {
        "a": "posit:5,3",
        "acc": "window:msb=4,lsb=0,ovf=1,round=even,overflow=saturate",
        "out": "raw",
    },
    "posit_int": {"a": "posit:6,1", "b": "int4", "acc": "exact", "out": "posit:6,1"},
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_of_small_posits_equals_exact_arithmetic(name):
    side = 8
    datapath = Datapath.parse(**PAIRS[name])
    design = Design(datapath=datapath, rows=side, cols=side)
    a, b = (np.arange(1 << fmt.width).astype(fmt.dtype) for fmt in (datapath.a, datapath.b))
    blocks = [
        (a[top : top + side, np.newaxis], b[np.newaxis, left : left + side])
        for top in range(0, len(a), side)
        for left in range(0, len(b), side)
    ]
    assert results(design, blocks) == judged(design, blocks, "exact")


@pytest.mark.parametrize("name", ["posit8", "posit16", "posit:12,1"])
def test_the_quire_of_posits_neither_drops_nor_exceeds(name):
    spec = align(Datapath.parse(a=name, acc="exact"))
    assert not (spec.can_drop or spec.can_exceed or spec.rounds)
    assert spec.magnitude_bits == spec.window.summand_bits
