"""The input buffer: nothing lost, nothing repeated, and no path from one side to the other."""

from __future__ import annotations

import itertools
import random

import pytest
from amaranth.hdl import Signal

from hwgen.rtl.streams import InputBuffer
from hwgen.spec.timing import STREAM_LATENCY
from sim.pysim import simulate, wait

BITS = 7


def run(
    offers: list[int], readiness: list[int], beats: int
) -> tuple[list[int], list[int], list[int]]:
    """Drive both sides by cycle; return the beats taken in, those given out, and when."""
    dut = InputBuffer(BITS)
    taken: list[int] = []
    given: list[int] = []
    cycles: list[int] = []

    async def testbench(ctx) -> None:
        words = itertools.count()
        word, offered = next(words), 0
        for cycle, (offer, ready) in enumerate(zip(offers, readiness, strict=True)):
            offered = offered or (offer and word < beats)  # a beat once offered stays
            ctx.set(dut.i.valid, offered)
            ctx.set(dut.i.payload.elements, word % 128)
            ctx.set(dut.i.payload.last, word % 3 == 0)
            ctx.set(dut.o.ready, ready)
            _, _, i_ready, o_valid, elements, last = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.payload.elements, dut.o.payload.last
            )
            if offered and i_ready:
                taken.append(word)
                word, offered = next(words), 0
            if o_valid and ready:
                assert last == (len(given) % 3 == 0)
                given.append(elements)
                cycles.append(cycle)

    simulate(dut, testbench)
    return taken, given, cycles


@pytest.mark.parametrize("offer", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("ready", [0.2, 0.6, 1.0])
def test_every_beat_passes_once_and_in_order(offer, ready):
    rng = random.Random(f"{offer} {ready}")
    offers = [int(rng.random() < offer) for _ in range(400)] + [0] * 10
    readiness = [int(rng.random() < ready) for _ in range(400)] + [1] * 10
    taken, given, _ = run(offers, readiness, 120)
    assert taken == given
    assert len(given) >= 40


def test_a_beat_a_cycle_passes_without_stalls():
    _, given, cycles = run([1] * 50, [1] * 50, 128)
    assert given == list(range(len(given)))
    # Ready is low in the first cycle after power-up, as it is in reset.
    assert cycles == list(range(1 + STREAM_LATENCY, 50))


def test_ready_does_not_follow_the_other_side_within_a_cycle():
    dut = InputBuffer(BITS)
    changes = []

    async def testbench(ctx) -> None:
        rng = random.Random(3)
        for _ in range(200):
            ctx.set(dut.i.valid, rng.randrange(2))
            ctx.set(dut.o.ready, rng.randrange(2))
            before = ctx.get(dut.i.ready)
            for valid, ready in itertools.product((0, 1), repeat=2):
                ctx.set(dut.i.valid, valid)
                ctx.set(dut.o.ready, ready)
                changes.append(ctx.get(dut.i.ready) != before)
            await ctx.tick()

    simulate(dut, testbench)
    assert not any(changes)


def test_an_offered_beat_stays_until_it_is_taken():
    dut = InputBuffer(BITS)

    async def testbench(ctx) -> None:
        await ctx.tick()
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload.elements, 5)
        await ctx.tick()
        ctx.set(dut.i.payload.elements, 6)
        for _ in range(5):
            _, _, valid, elements, ready = await ctx.tick().sample(
                dut.o.valid, dut.o.payload.elements, dut.i.ready
            )
            assert (valid, elements, ready) == (1, 5, 0)

    simulate(dut, testbench)


def test_reset_drops_what_is_held_and_takes_nothing():
    dut = InputBuffer(BITS)
    reset = Signal()

    async def testbench(ctx) -> None:
        await ctx.tick()
        ctx.set(dut.i.valid, 1)
        await wait(ctx, 3)
        assert ctx.get(dut.o.valid)
        ctx.set(reset, 1)
        await wait(ctx, 2)
        assert not ctx.get(dut.i.ready)
        assert not ctx.get(dut.o.valid)

    simulate(dut, testbench, reset=reset)
