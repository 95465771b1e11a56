"""The way out: write tokens, column buffers, and the control of the result stream."""

from __future__ import annotations

import itertools
import random

import pytest
from amaranth.hdl import Signal

from hwgen.rtl.drain import ColumnBuffers, OutputControl, RowTokens, token_layout
from hwgen.rtl.round import STATUS_BITS
from sim.pysim import simulate, wait

DEPTH = 8


def tokens(
    rows: int, latency: int, lead: int, ends: list[int], cycles: int, resets: tuple[int, ...] = ()
) -> tuple[list[tuple[int, int]], list[int]]:
    """(cycle, address) of the write tokens, and the cycles of ``take``."""
    dut = RowTokens(rows, latency, DEPTH, lead)
    reset = Signal()
    writes, takes = [], []

    async def testbench(ctx) -> None:
        for cycle in range(cycles):
            ctx.set(dut.block_end, cycle in ends)
            ctx.set(reset, cycle in resets)
            _, _, write, address, take = await ctx.tick().sample(
                dut.token.write, dut.token.address, dut.take
            )
            if write:
                writes.append((cycle, address))
            if take:
                takes.append(cycle)

    simulate(dut, testbench, reset=reset)
    return writes, takes


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
@pytest.mark.parametrize("latency", [2, 5, 17])
def test_each_row_has_its_token_in_its_cycle(rows, latency):
    interval = 2 * rows - 1
    ends = [3, 3 + interval, 3 + 2 * interval, 3 + 3 * interval + 4]
    writes, _ = tokens(rows, latency, 0, ends, ends[-1] + latency + 2 * rows + 2)
    cycles = [end + latency + 2 * row for end in ends for row in range(rows)]
    assert [cycle for cycle, _ in writes] == cycles
    assert [address for _, address in writes] == [n % DEPTH for n in range(len(cycles))]


@pytest.mark.parametrize("lead", [0, 1, 4])
def test_a_row_is_announced_to_the_rounders_by_their_latency_earlier(lead):
    writes, takes = tokens(3, 9, lead, [2, 8], 40)
    assert takes == [cycle - lead for cycle, _ in writes]


def test_reset_forgets_rows_under_way():
    writes, _ = tokens(3, 6, 0, [2, 30], 50, resets=(7,))
    assert [cycle for cycle, _ in writes] == [36, 38, 40]
    assert writes[0][1] == 0


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8])
def test_each_column_keeps_its_elements_until_they_are_read(columns):
    width = 5
    dut = ColumnBuffers(width, DEPTH, columns)
    rng = random.Random(columns)
    rows = [
        [(rng.getrandbits(width), rng.getrandbits(STATUS_BITS)) for _ in range(columns)]
        for _ in range(DEPTH)
    ]
    layout = token_layout(DEPTH)
    left = []

    async def write(ctx) -> None:
        # Column j sees the token j cycles later; row i is written at cycle 2*i.
        for cycle in range(2 * DEPTH + columns):
            row, between = divmod(cycle, 2)
            bits = status = 0
            for column in range(columns):
                arriving, odd = divmod(cycle - column, 2)
                element, flags = rng.getrandbits(width), rng.getrandbits(STATUS_BITS)
                if not odd and 0 <= arriving < DEPTH:
                    element, flags = rows[arriving][column]
                bits |= element << (width * column)
                status |= flags << (STATUS_BITS * column)
            write = row < DEPTH and not between
            ctx.set(dut.token_in, layout.const({"write": write, "address": row % DEPTH}).as_value())
            ctx.set(dut.bits, bits)
            ctx.set(dut.status, status)
            _, _, token = await ctx.tick().sample(dut.token_out)
            left.append(token & 1)

    async def testbench(ctx) -> None:
        await write(ctx)
        for address in rng.sample(range(DEPTH), DEPTH):
            ctx.set(dut.read_address, address)
            await ctx.tick()
            got = ctx.get(dut.read_bits), ctx.get(dut.read_status)
            assert got == (
                sum(bits << (width * j) for j, (bits, _) in enumerate(rows[address])),
                sum(status << (STATUS_BITS * j) for j, (_, status) in enumerate(rows[address])),
            )

    simulate(dut, testbench)
    assert [cycle for cycle, token in enumerate(left) if token] == [
        2 * row + columns for row in range(DEPTH) if 2 * row + columns < len(left)
    ]


def test_reset_forgets_tokens_between_columns():
    dut = ColumnBuffers(3, DEPTH, 4)
    reset = Signal()

    async def testbench(ctx) -> None:
        ctx.set(dut.token_in, 1)
        await wait(ctx, 2)
        ctx.set(dut.token_in, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for _ in range(6):
            assert ctx.get(dut.token_out) == 0
            await ctx.tick()

    simulate(dut, testbench, reset=reset)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("ready", [0.3, 1.0])
def test_rows_are_offered_in_order_with_their_blocks_end(rows, ready):
    dut = OutputControl(rows, DEPTH)
    rng = random.Random(f"{rows} {ready}")
    taken, lasts = [], []

    async def testbench(ctx) -> None:
        filled = address = 0
        for cycle in range(300):
            complete = filled < DEPTH and cycle < 250 and rng.random() < 0.5
            ctx.set(dut.row_complete, complete)
            ctx.set(dut.row_ready, rng.random() < ready)
            _, _, valid, last, take, wanted = await ctx.tick().sample(
                dut.row_valid, dut.row_last, dut.row_taken, dut.read_address
            )
            assert valid == (filled > 0)
            if take:
                taken.append(address % DEPTH)
                lasts.append(last)
                address += 1
            # What is read now is on offer in the next cycle.
            assert wanted == address % DEPTH
            filled += complete - take

    simulate(dut, testbench)
    assert taken == [n % DEPTH for n in range(len(taken))]
    assert lasts == list(itertools.islice(itertools.cycle([0] * (rows - 1) + [1]), len(lasts)))
    assert len(taken) > 60
