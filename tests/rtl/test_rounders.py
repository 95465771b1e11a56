"""Rounders above the mesh: neighbours take turns, and each row leaves at its column's time."""

from __future__ import annotations

import random

import pytest

from hwgen.rtl.records import partial_layout
from hwgen.rtl.rounders import SharedRounders
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import rounding_stages
from sim.pysim import simulate

# A register's value fits the result format, so that rounding changes nothing.
DATAPATH = Datapath.parse(a="e4m3", acc="window:msb=3,lsb=0,ovf=4", out="fp16")
LAYOUT = partial_layout(align(DATAPATH))


def run(cols: int, rows: int, starts: list[int]) -> None:
    """Drain blocks that start in given cycles; check every result where the core takes it."""
    dut = SharedRounders(DATAPATH, cols)
    rng = random.Random(cols)
    values = [
        [[rng.randrange(-100, 100) for _ in range(cols)] for _ in range(rows)] for _ in starts
    ]
    latency = rounding_stages(DATAPATH)
    # Row i of column j is at the rounders' input 2*i + j cycles after its block's start.
    arrivals = {
        (start + 2 * row + col, col): values[block][row][col]
        for block, start in enumerate(starts)
        for row in range(rows)
        for col in range(cols)
    }
    takes = {start + 2 * row for start in starts for row in range(rows)}
    cycles = max(cycle for cycle, _ in arrivals) + latency + 1
    mask = (1 << LAYOUT.size) - 1
    width = DATAPATH.out_width

    async def testbench(ctx) -> None:
        for cycle in range(cycles):
            word = 0
            for col in range(cols):
                value = arrivals.get((cycle, col), rng.randrange(-100, 100))
                nothing = dict.fromkeys(LAYOUT.members, 0)
                partial = LAYOUT.const(nothing | {"value": value}).as_value().value & mask
                word |= partial << (LAYOUT.size * col)
            ctx.set(dut.partial, word)
            ctx.set(dut.take, cycle in takes)
            _, _, bits = await ctx.tick().sample(dut.bits)
            for col in range(cols):
                want = arrivals.get((cycle - latency, col))
                if want is not None:
                    got = bits >> (width * col) & ((1 << width) - 1)
                    assert DATAPATH.out.decode(got).fraction == want, (cycle, col)

    simulate(dut, testbench)


@pytest.mark.parametrize("cols", [2, 3, 4, 5, 6, 7, 9])
def test_every_column_gets_its_turn(cols):
    run(cols, rows=3, starts=[4, 10, 16, 23])


@pytest.mark.parametrize("cols", [2, 5])
def test_blocks_of_one_row_may_follow_each_other_every_other_cycle(cols):
    run(cols, rows=1, starts=[2, 4, 6, 9, 11])
