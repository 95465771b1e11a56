"""Builds to run as devices, and the array model driven as the devices are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwgen.emit import generate
from hwgen.emit.folder import Build, open_build
from hwgen.flow.patterns import random_patterns
from hwgen.model.array import ArrayModel, Beat
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

DATAPATHS = {
    "bf16": {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "fp32"},
    "e4m3": {"a": "e4m3", "acc": "exact"},
    "int8": {"a": "int8", "acc": "int:32"},
    "posit8": {"a": "posit8", "acc": "exact"},
    "fma": {"a": "bf16", "acc": "fma:fp32,lanes=4"},
    "mxfp4": {"a": "mxfp4", "acc": "window:msb=30,lsb=-30,ovf=4", "out": "fp32"},
    "scales": {"a": "mxfp4:block=8", "acc": "window:msb=20,lsb=-30,ovf=4,per=block"},
    "raw131": {"a": "fp32", "acc": "window:msb=50,lsb=-60,ovf=20", "out": "raw"},
    "fp64": {"a": "fp64", "b": "int5", "acc": "window:msb=9,lsb=-9,ovf=9", "out": "fixed:20,9"},
    "dot": {"a": "e5m2", "acc": "window:msb=12,lsb=-9,ovf=1,dot=3"},
    "int3": {"a": "int3", "acc": "window:msb=8,lsb=0,ovf=4,overflow=wrap", "out": "raw"},
}


def make_design(name: str, rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**DATAPATHS[name]), rows=rows, cols=cols)


def make_build(design: Design, folder: Path) -> Build:
    generate(design, folder / design.name)
    return open_build(folder / design.name)


def random_blocks(
    design: Design, blocks: int, terms: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Operands as a device takes them, every other block with infinities and NaN.

    ``terms`` are beats of them where a beat has several.
    """
    path = design.datapath
    shapes = ((path.a, design.rows * path.dot), (path.b, design.cols * path.dot))
    return tuple(
        np.stack(
            [random_patterns(fmt, (terms, lanes), rng, specials=bool(i % 2)) for i in range(blocks)]
        )
        for fmt, lanes in shapes
    )


def model_cycles(design: Design, a: np.ndarray, b: np.ndarray) -> int:
    """Cycles that the array model takes for blocks at full rate, from a state of rest."""
    model, when = ArrayModel(design), timing(design)
    for _ in range(when.clearing + when.block_interval + 1):
        model.step(None, None, c_ready=True)
    beats = {
        side: [
            Beat(row, last=term == len(block) - 1)
            for block in blocks
            for term, row in enumerate(block)
        ]
        for side, blocks in (("a", a), ("b", b))
    }
    cycles, rows = 0, 0
    while rows < len(a) * design.rows:
        offered = {side: waiting[0] if waiting else None for side, waiting in beats.items()}
        shown = model.step(offered["a"], offered["b"], c_ready=True)
        for side, ready in (("a", shown.a_ready), ("b", shown.b_ready)):
            if ready and beats[side]:
                beats[side].pop(0)
        rows += shown.row is not None
        cycles += 1
    return cycles
