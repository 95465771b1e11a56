"""Admission: pairs of beats, ends in their interval, credits that never run out."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Signal

from hwgen.rtl.admission import Admission
from sim.pysim import simulate

ROWS, COLS = 3, 2
BITS = {"a": 6, "b": 4}


@dataclass
class Cycle:
    """What was seen in one cycle, before its clock edge."""

    taken: dict[str, int]
    admitted: int
    last: int
    block_end: int
    error: int
    row_taken: int
    elements: list[int]


@dataclass
class Bench:
    """Drives an admission stage with blocks of given lengths; a list of lengths for each side."""

    interval: int = 2 * ROWS - 1
    buffer_rows: int = 8
    offer: float = 1.0
    drain_after: int = 10  # cycles from a block's end to its first row
    consume: float = 1.0
    cycles: list[Cycle] = field(default_factory=list)

    def run(self, a: list[int], b: list[int], cycles: int, *, reset: Signal | None = None) -> None:
        dut = Admission(BITS["a"], BITS["b"], ROWS, COLS, self.interval, self.buffer_rows)
        beats = {
            side: [index == length - 1 for length in lengths for index in range(length)]
            for side, lengths in (("a", a), ("b", b))
        }
        rng = random.Random(1)
        outputs = (
            *(dut.a.ready, dut.b.ready, dut.a_token, dut.b_token, dut.block_end),
            *(dut.protocol_error, dut.a_elements, dut.b_elements),
        )

        async def testbench(ctx) -> None:
            place = {"a": 0, "b": 0}
            offered = {"a": False, "b": False}
            due: list[int] = []  # cycles in which rows reach the output buffer
            for cycle in range(cycles):
                for side in "ab":
                    left = place[side] < len(beats[side])
                    offered[side] = left and (offered[side] or rng.random() < self.offer)
                    stream = getattr(dut, side)
                    ctx.set(stream.valid, offered[side])
                    if offered[side]:
                        ctx.set(stream.payload.elements, place[side] % 16)
                        ctx.set(stream.payload.last, beats[side][place[side]])
                row = bool(due) and due[0] <= cycle and rng.random() < self.consume
                ctx.set(dut.row_taken, row)
                if row:
                    due.pop(0)
                _, _, *seen = await ctx.tick().sample(*outputs)
                a_ready, b_ready, a_token, b_token, block_end, error, *elements = seen
                taken = {"a": offered["a"] and a_ready, "b": offered["b"] and b_ready}
                assert a_token in [0, 0b010101, 0b101010, 0b111111]
                assert b_token == (0b11 if a_token & 1 else 0)
                self.cycles.append(
                    Cycle(taken, a_token & 1, a_token >> 1 & 1, block_end, error, row, elements)
                )
                for side in "ab":
                    if taken[side]:
                        place[side] += 1
                        offered[side] = False
                if block_end:
                    due += [cycle + self.drain_after + 2 * row for row in range(ROWS)]
            assert place == {side: len(beats[side]) for side in "ab"}, "beats are left over"

        simulate(dut, testbench, reset=reset)

    def ends(self) -> list[int]:
        return [number for number, cycle in enumerate(self.cycles) if cycle.block_end]


LENGTHS = [3, 1, 1, 7, 2, 1, 1, 1, 12, 1]


@pytest.mark.parametrize("offer", [0.3, 0.7, 1.0])
def test_beats_are_taken_in_pairs_and_shown_to_the_array(offer):
    bench = Bench(offer=offer)
    bench.run(LENGTHS, LENGTHS, 400)
    admitted = [cycle for cycle in bench.cycles if cycle.admitted]
    assert all(cycle.taken == {"a": 1, "b": 1} for cycle in admitted)
    assert not any(any(cycle.taken.values()) for cycle in bench.cycles if not cycle.admitted)
    assert [cycle.elements for cycle in admitted] == [
        [index % 16, index % 16] for index in range(sum(LENGTHS))
    ]
    ends = [index for index, cycle in enumerate(admitted) if cycle.last]
    assert ends == [total - 1 for total in itertools.accumulate(LENGTHS)]
    assert [cycle.block_end for cycle in admitted] == [cycle.last for cycle in admitted]
    assert not bench.cycles[-1].error


def test_the_first_cycle_clears_the_array_with_an_end_on_a_bubble():
    bench = Bench()
    bench.run([1], [1], 30)
    first, *others = bench.cycles
    assert (first.last, first.admitted, first.block_end) == (1, 0, 0)
    assert first.taken == {"a": 0, "b": 0}
    assert [cycle.last for cycle in others] == [cycle.block_end for cycle in others]


def test_reset_clears_the_array_again():
    reset = Signal()
    dut = Admission(BITS["a"], BITS["b"], ROWS, COLS, 5, 8)
    lasts = []

    async def testbench(ctx) -> None:
        for cycle in range(20):
            ctx.set(reset, cycle in (9, 10))
            _, _, token = await ctx.tick().sample(dut.a_token)
            lasts.append(token >> 1 & 1)

    simulate(dut, testbench, reset=reset)
    # The array's first cycle after reset is the last chance for the token; more of them do no harm.
    assert lasts[11] == 1
    assert not any(lasts[12:])


@pytest.mark.parametrize("interval", [1, 2, 3, 5, 8])
def test_ends_keep_their_interval_and_use_all_of_it(interval):
    bench = Bench(interval=interval, buffer_rows=64)
    bench.run([1] * 12, [1] * 12, 150)
    gaps = [after - before for before, after in itertools.pairwise(bench.ends())]
    assert gaps == [interval] * 11


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_blocks_as_long_as_the_interval_never_wait(extra):
    bench = Bench(buffer_rows=32)
    lengths = [bench.interval + extra] * 10
    bench.run(lengths, lengths, sum(lengths) + 5)
    admitted = [number for number, cycle in enumerate(bench.cycles) if cycle.admitted]
    assert admitted == list(range(admitted[0], admitted[0] + sum(lengths)))


@pytest.mark.parametrize("buffer_rows", [3, 4, 8])
@pytest.mark.parametrize("consume", [0.1, 0.5, 1.0])
def test_no_end_enters_without_room_for_its_rows(buffer_rows, consume):
    bench = Bench(buffer_rows=buffer_rows, consume=consume)
    bench.run(LENGTHS, LENGTHS, 1500)
    room = buffer_rows
    least = room
    for cycle in bench.cycles:
        if cycle.block_end:
            room -= ROWS
            least = min(least, room)
        room += cycle.row_taken
    assert least >= 0
    assert room == buffer_rows
    assert len(bench.ends()) == len(LENGTHS)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([2, 3, 4], [2, 5, 4]),
        ([2, 5, 4], [2, 3, 4]),
        ([1, 9, 1], [4, 1, 1]),
        ([3, 1, 2], [3, 1, 7]),
    ],
)
@pytest.mark.parametrize("offer", [0.4, 1.0])
def test_unequal_blocks_make_no_results_and_the_next_pair_is_in_step(a, b, offer):
    bench = Bench(offer=offer)
    bench.run(a, b, 300)
    equal = [length for length, other in zip(a, b, strict=True) if length == other]
    assert len(bench.ends()) == len(equal)
    assert bench.cycles[-1].error
    # What an unequal pair has put into the array is cleared by an end of its own.
    assert sum(cycle.last for cycle in bench.cycles) == 1 + len(a)
    first_error = next(number for number, cycle in enumerate(bench.cycles) if cycle.error)
    assert all(cycle.error for cycle in bench.cycles[first_error:])


def test_a_lone_side_waits_for_the_other():
    dut = Admission(BITS["a"], BITS["b"], ROWS, COLS, 5, 8)

    async def testbench(ctx) -> None:
        ctx.set(dut.a.valid, 1)
        for _ in range(20):
            _, _, ready, token = await ctx.tick().sample(dut.a.ready, dut.b_token)
            assert (ready, token) == (0, 0)

    simulate(dut, testbench)
