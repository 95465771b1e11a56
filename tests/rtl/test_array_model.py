"""The circuit does in every cycle what the cycle-level model says."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from hwgen.model import pack_beats
from hwgen.model.array import ArrayModel, Beat
from hwgen.rtl.core import Core
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

INT4 = Datapath.parse(a="int4", acc="int:16")
E4M3 = Datapath.parse(a="e4m3", acc="window:msb=8,lsb=-9,ovf=4", out="bf16")


def _blocks(design: Design, lengths: list[tuple[int, int]], seed: int):
    """Beats of both streams; a pair of lengths that differ is a malformed block."""
    generator = np.random.default_rng(seed)
    streams: dict[str, list[Beat]] = {"a": [], "b": []}
    path = design.datapath
    for pair in lengths:
        for (side, lanes, fmt), terms in zip(
            (("a", design.rows * path.dot, path.a), ("b", design.cols * path.dot, path.b)),
            pair,
            strict=True,
        ):
            patterns = generator.integers(0, 1 << fmt.width, size=(terms, lanes)).astype(fmt.dtype)
            streams[side] += [Beat(row, k == terms - 1) for k, row in enumerate(patterns)]
    return streams


def compare_cycles(design: Design, lengths, *, stalls: float, seed: int, cycles: int):
    """Drive circuit and model alike; return the number of rows that came out."""
    core = Core(design)
    model = ArrayModel(design)
    streams = _blocks(design, lengths, seed)
    widths = {"a": design.datapath.a.width, "b": design.datapath.b.width}
    chance = random.Random(seed)
    position = {"a": 0, "b": 0}
    offering = {"a": False, "b": False}
    rows = 0

    async def bench(ctx) -> None:
        nonlocal rows
        for cycle in range(cycles):
            offered = {}
            for side in "ab":
                more = position[side] < len(streams[side])
                offering[side] = more and (offering[side] or chance.random() >= stalls)
                offered[side] = streams[side][position[side]] if offering[side] else None
                ctx.set(getattr(core, f"s_axis_{side}_tvalid"), offering[side])
                if offering[side]:
                    beat = offered[side]
                    (word,) = pack_beats(beat.elements[None, :], widths[side])
                    ctx.set(getattr(core, f"s_axis_{side}_tdata"), word)
                    ctx.set(getattr(core, f"s_axis_{side}_tlast"), beat.last)
            c_ready = chance.random() >= stalls
            ctx.set(core.m_axis_c_tready, c_ready)
            shown = model.step(offered["a"], offered["b"], c_ready=c_ready)
            assert ctx.get(core.s_axis_a_tready) == shown.a_ready, cycle
            assert ctx.get(core.s_axis_b_tready) == shown.b_ready, cycle
            assert ctx.get(core.protocol_error) == shown.protocol_error, cycle
            assert ctx.get(core.m_axis_c_tvalid) == (shown.row is not None), cycle
            if shown.row is not None:
                (word,) = pack_beats(shown.row.bits[None, :], design.datapath.out_width)
                (status,) = pack_beats(shown.row.status[None, :], 3)
                user = ctx.get(core.m_axis_c_tuser)
                assert ctx.get(core.m_axis_c_tdata) == word, cycle
                assert user == status & ((1 << 3 * design.cols) - 1), cycle
                assert ctx.get(core.m_axis_c_tlast) == shown.row.last, cycle
                rows += c_ready
            for side, ready in (("a", shown.a_ready), ("b", shown.b_ready)):
                if offering[side] and ready:
                    position[side] += 1
                    offering[side] = False
            await ctx.tick()

    sim = Simulator(core)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert position == {side: len(beats) for side, beats in streams.items()}, "beats left over"
    return rows


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3)], ids=str)
def test_every_cycle_of_mixed_blocks_is_as_the_model_says(size, stalls):
    design = Design(datapath=INT4, rows=size[0], cols=size[1])
    terms = [3, 1, 1, 2, size[0], 2 * size[0], 17, 1, 30]
    rows = compare_cycles(design, [(k, k) for k in terms], stalls=stalls, seed=7, cycles=700)
    assert rows == size[0] * len(terms)


def test_every_cycle_of_malformed_blocks_is_as_the_model_says():
    design = Design(datapath=INT4, rows=3, cols=2)
    lengths = [(4, 4), (2, 5), (3, 3), (6, 1), (1, 1), (1, 2), (2, 2)]
    rows = compare_cycles(design, lengths, stalls=0.2, seed=3, cycles=300)
    assert rows == 3 * 4, "only the well-formed blocks make rows"


def test_every_cycle_of_a_float_datapath_is_as_the_model_says():
    design = Design(datapath=E4M3, rows=2, cols=3)
    rows = compare_cycles(design, [(k, k) for k in (5, 1, 9, 4)], stalls=0.3, seed=11, cycles=200)
    assert rows == 2 * 4


def test_every_cycle_of_beats_of_several_terms_is_as_the_model_says():
    path = Datapath.parse(a="e4m3", b="int4", acc="window:msb=8,lsb=-9,ovf=1,dot=3", out="bf16")
    design = Design(datapath=path, rows=3, cols=2)
    lengths = [(5, 5), (1, 1), (2, 3), (9, 9), (1, 1), (4, 4)]
    rows = compare_cycles(design, lengths, stalls=0.3, seed=12, cycles=300)
    assert rows == 3 * 5, "only the well-formed blocks make rows"
