"""Edges: delays, skews and lanes of any size."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.lanes import Delay, Lanes, Register, Skew
from hwgen.rtl.structure import Part
from sim.pysim import pipeline, simulate


def random_words(bits: int, count: int = 30) -> list[int]:
    rng = random.Random(bits)
    return [rng.getrandbits(bits) for _ in range(count)]


@pytest.mark.parametrize("cycles", [*range(2, 10), 31])
def test_a_delay_is_as_long_as_it_says(cycles):
    dut = Delay(5, cycles)
    words = random_words(5)
    results = pipeline(
        dut, [(word,) for word in words], inputs=[dut.d], outputs=[dut.q], latency=cycles
    )
    assert [word for (word,) in results] == words


def test_a_register_delays_by_one_cycle():
    dut = Register(4)
    results = pipeline(dut, [(3,), (9,), (0,)], inputs=[dut.d], outputs=[dut.q], latency=1)
    assert results == [(3,), (9,), (0,)]


@pytest.mark.parametrize("lanes", [*range(2, 10), 13])
def test_lane_i_of_a_skew_is_i_cycles_late(lanes):
    width = 3
    dut = Skew(width, lanes)
    words = random_words(width * lanes, 20 + lanes)
    seen = []

    async def testbench(ctx) -> None:
        for word in words:
            ctx.set(dut.d, word)
            _, _, out = await ctx.tick().sample(dut.q)
            seen.append(out)

    simulate(dut, testbench)

    def lane(word: int, index: int) -> int:
        return word >> (index * width) & ((1 << width) - 1)

    for index in range(lanes):
        out = [lane(word, index) for word in seen[index:]]
        assert out == [lane(word, index) for word in words[: len(out)]]


class Rotate(wiring.Component):
    """Two inputs of different width, combined so that mixed-up lanes or ports would show."""

    has_reset = False
    definition = "rotate"

    def __init__(self) -> None:
        super().__init__({"x": In(3), "y": In(2), "z": Out(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.z.eq(self.x + 3 * self.y)
        return m


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_each_of_the_lanes_works_on_its_own(count):
    dut = Lanes(count, Part(Rotate, ()))
    rng = random.Random(count)
    rows = [(rng.getrandbits(3 * count), rng.getrandbits(2 * count)) for _ in range(20)]
    results = pipeline(dut, rows, inputs=[dut.x, dut.y], outputs=[dut.z], latency=1)
    for (x, y), (z,) in zip(rows, results, strict=True):
        for lane in range(count):
            xi, yi = x >> (3 * lane) & 7, y >> (2 * lane) & 3
            assert z >> (4 * lane) & 15 == (xi + 3 * yi) % 16
