"""Which lane comes by: pairs in step with their lanes, and the pulses that add lanes up."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Signal

from hwgen.rtl.lane_order import LaneOrder
from sim.pysim import simulate


def run(lanes: int, lengths: list[int], *, offer: float, cycles: int):
    """Admit blocks of these lengths; return what was seen in each cycle: admitted, last, complete,
    and whether a block began."""
    dut = LaneOrder(lanes)
    rng = random.Random(lanes)
    seen = []

    async def testbench(ctx) -> None:
        left, block = 0, iter(lengths)
        more = True
        for _ in range(cycles):
            fresh = left == 0
            if fresh:
                left = next(block, 0)
                more = more and left > 0
            offered = more and rng.random() < offer
            ctx.set(dut.ends, left == 1)
            admitted = offered and ctx.get(dut.ready)
            ctx.set(dut.admitted, admitted)
            _, _, last, complete = await ctx.tick().sample(dut.last, dut.complete)
            seen.append((admitted, last, complete))
            if admitted:
                left -= 1
            elif fresh:
                block = iter([left, *block])
                left = 0

    simulate(dut, testbench)
    return seen


@pytest.mark.parametrize("offer", [0.3, 1.0])
@pytest.mark.parametrize("lanes", [2, 3, 5, 16])
def test_pairs_meet_their_lanes_and_lanes_are_added_in_order(lanes, offer):
    lengths = [1, 2, lanes, lanes + 1, 3 * lanes - 1, 1, 7]
    cycles = int(sum(lengths) * (lanes + 2) / offer) + (len(lengths) + 1) * lanes * (lanes + 2)
    seen = run(lanes, lengths, offer=offer, cycles=cycles)
    assert [last for _, last, _ in seen[: lanes + 2]] == [1] * (lanes + 1) + [0]
    admitted = [cycle for cycle, (pair, _, _) in enumerate(seen) if pair]
    completed = [cycle for cycle, (_, _, complete) in enumerate(seen) if complete]
    assert completed[0] == lanes
    for number, terms in enumerate(lengths):
        pairs, admitted = admitted[:terms], admitted[terms:]
        assert pairs[0] > completed[number]
        assert [(cycle - pairs[0]) % lanes for cycle in pairs] == [k % lanes for k in range(terms)]
        # Lane 0 comes by in the first cycle of its turn after the last pair.
        first = next(c for c in range(pairs[-1] + 1, cycles) if (c - pairs[0]) % lanes == 0)
        sums = [first + lane * (lanes + 1) for lane in range(lanes)]
        assert completed[number + 1] == sums[-1]
        pulses = [c for c in range(pairs[0], sums[-1] + 1) if seen[c][1]]
        assert pulses == [*sums[:-1], sums[-1] - 1, sums[-1]]
    assert not admitted


def test_with_pairs_always_offered_none_waits_within_a_block():
    seen = run(4, [9], offer=1.0, cycles=60)
    pairs = [cycle for cycle, (pair, _, _) in enumerate(seen) if pair]
    assert pairs == list(range(5, 14))


def test_a_reset_clears_again():
    dut = LaneOrder(3)
    reset = Signal()
    lasts = []

    async def testbench(ctx) -> None:
        for cycle in range(30):
            ctx.set(reset, cycle in (10, 11))
            _, _, last = await ctx.tick().sample(dut.last)
            lasts.append(last)

    simulate(dut, testbench, reset=reset)
    # In reset the array is cleared too; four cycles of it follow.
    assert [cycle for cycle, last in enumerate(lasts) if last] == [0, 1, 2, 3, 11, 12, 13, 14, 15]
