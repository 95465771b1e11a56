"""The whole core against the golden model, bit for bit, and its timing against the formulas."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.hdl import Signal

from hwgen.formats import Format
from hwgen.model import gemm_bits, pack_beats
from hwgen.rtl.core import Core
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing
from sim.pysim import Axis, Beat, receive, send, simulate, wait

SIZES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (8, 8)]
W45 = "window:msb=5,lsb=-30,ovf=9"
CHEAP = {"a": "int4", "acc": "int:12"}
DATAPATHS = {
    "bf16": {"a": "bf16", "acc": W45},
    "bf16_cells": {"a": "bf16", "acc": W45, "target": "asic"},
    "bf16_even_saturate": {"a": "bf16", "acc": f"{W45},round=even,overflow=saturate"},
    "bf16_wrap_raw": {
        "a": "bf16",
        "acc": "window:msb=0,lsb=-8,ovf=0,round=even,overflow=wrap",
        "out": "raw",
    },
    "e4m3_exact": {"a": "e4m3", "acc": "exact:terms=64"},
    "e4m3_e5m2": {
        "a": "e4m3",
        "b": "e5m2",
        "acc": "window:msb=-2,lsb=-6,ovf=1,overflow=saturate",
        "out": "e4m3:overflow=nan",
    },
    "e5m2_narrow": {"a": "e5m2", "acc": "window:msb=1,lsb=0,ovf=0", "out": "e4m3"},
    "int8": {"a": "int8", "acc": "int:32"},
    "int8_saturate": {"a": "int8", "acc": "int:10,overflow=saturate"},
    "int8_uint4": {
        "a": "int8",
        "b": "uint4",
        "acc": "window:msb=6,lsb=3,ovf=2,round=even",
        "out": "fixed:4,2",
    },
    "int4_bf16": {"a": "int4", "b": "bf16", "acc": W45, "out": "bf16"},
    "fp32_raw": {"a": "fp32", "acc": "window:msb=30,lsb=-30,ovf=30", "out": "raw"},
    "fp16_exact": {"a": "fp16", "acc": "exact"},
}


def design_of(names: dict[str, str], rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**names), rows=rows, cols=cols)


def patterns(rng: np.random.Generator, fmt: Format, shape: tuple[int, int]) -> np.ndarray:
    """Random patterns: numbers of ordinary size, and in some blocks patterns of any kind."""
    if fmt.has_nan and rng.random() < 0.7:
        return fmt.from_float(rng.normal(size=shape))
    return rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64).astype(fmt.dtype)


@dataclass
class Traffic:
    """Blocks as stream beats, with the rows that the model expects of them."""

    design: Design
    a: list[tuple[int, bool]] = field(default_factory=list)
    b: list[tuple[int, bool]] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)  # tdata, tlast, tuser

    @classmethod
    def random(cls, design: Design, lengths: Sequence[int], seed: int = 1) -> Traffic:
        rng = np.random.default_rng(seed)
        traffic = cls(design)
        for terms in lengths:
            a = patterns(rng, design.datapath.a, (design.rows, terms))
            b = patterns(rng, design.datapath.b, (terms, design.cols))
            traffic.add(a, b)
        return traffic

    def add(self, a: np.ndarray, b: np.ndarray, *, expected: bool = True) -> None:
        """Append a block; ``a`` and ``b`` may differ in length, which gives no rows."""
        path = self.design.datapath
        for beats, elements, width in ((self.a, a.T, path.a.width), (self.b, b, path.b.width)):
            words = pack_beats(elements, width)
            beats += [(word, index == len(words) - 1) for index, word in enumerate(words)]
        if expected and a.shape[1] == b.shape[0]:
            c, status = gemm_bits(a, b, path)
            data, user = pack_beats(c, path.out_width), pack_beats(status, 3)
            last = [row == self.design.rows - 1 for row in range(self.design.rows)]
            self.rows += list(zip(data, last, user, strict=True))


def sender(core: Core, side: str, beats: list[tuple[int, bool]], *, start: int = 0):
    """A testbench that sends beats without pauses from cycle ``start`` on."""

    async def testbench(ctx) -> None:
        await wait(ctx, start)
        await send(ctx, Axis(core, f"s_axis_{side}"), beats, rng=random.Random(0))

    return testbench


@dataclass
class Run:
    """What was seen: the cycles in which operand beats were taken, and the result beats."""

    a: list[int]
    b: list[int]
    c: list[Beat]
    protocol_error: int

    @property
    def rows(self) -> list[tuple[int, int, int]]:
        return [(beat.data, beat.last, beat.user) for beat in self.c]


def run(
    traffic: Traffic,
    *,
    stalls: tuple[float, float, float] = (0.0, 0.0, 0.0),
    seed: int = 1,
    idle: int = 0,
    extra: Callable[[Core], Callable] | None = None,
) -> Run:
    """Send all the traffic through a core, take all the rows, then watch for rows too many.

    The senders start after ``idle`` cycles, at cycle 0 of what is returned.
    """
    core = Core(traffic.design)
    seen: dict[str, list] = {}

    def stalling(side: str, beats: list[tuple[int, bool]], probability: float):
        async def testbench(ctx) -> None:
            port = Axis(core, f"s_axis_{side}")
            rng = random.Random(f"{seed}{side}")
            await wait(ctx, idle)
            seen[side] = await send(ctx, port, beats, rng=rng, stalls=probability)

        return testbench

    async def receiver(ctx) -> None:
        port = Axis(core, "m_axis_c")
        rng = random.Random(f"{seed}c")
        await wait(ctx, idle)
        seen["c"] = await receive(ctx, port, len(traffic.rows), rng=rng, stalls=stalls[2])
        for _ in range(8):
            assert not ctx.get(port.tvalid), "a row too many"
            await ctx.tick()
        seen["error"] = ctx.get(core.protocol_error)

    testbenches = [
        stalling("a", traffic.a, stalls[0]),
        stalling("b", traffic.b, stalls[1]),
        receiver,
    ]
    if extra is not None:
        testbenches.append(extra(core))
    longest = 500 + 20 * (len(traffic.a) + len(traffic.rows))
    simulate(core, *testbenches, max_cycles=longest)
    return Run(seen["a"], seen["b"], seen["c"], seen["error"])


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_every_size_equals_the_model_under_stalls_on_all_streams(size):
    design = design_of(CHEAP, *size)
    lengths = [3, 1, 2, max(1, size[0] - 1), size[0], 1, 1, 2 * size[0] + 3, 2]
    traffic = Traffic.random(design, lengths)
    result = run(traffic, stalls=(0.4, 0.4, 0.4))
    assert result.rows == traffic.rows
    assert not result.protocol_error


@pytest.mark.parametrize("name", DATAPATHS)
def test_every_kind_of_datapath_equals_the_model(name):
    traffic = Traffic.random(design_of(DATAPATHS[name], 3, 2), [3, 1, 2, 5, 20, 1, 1, 9] * 2)
    assert run(traffic, stalls=(0.1, 0.2, 0.1)).rows == traffic.rows


@pytest.mark.parametrize("stalls", [(0, 0, 0.9), (0.9, 0, 0), (0, 0.9, 0), (0.7, 0.7, 0)])
def test_any_one_side_may_stall_long(stalls):
    traffic = Traffic.random(design_of(CHEAP, 3, 2), [1, 1, 4, 1, 1, 1, 9, 2, 1, 1, 1, 1])
    assert run(traffic, stalls=stalls).rows == traffic.rows


def test_a_consumer_that_waits_loses_nothing_and_stops_the_inputs():
    design = design_of(CHEAP, 4, 2)
    traffic = Traffic.random(design, [1] * 12)
    core = Core(design)
    port = Axis(core, "m_axis_c")
    rows = []

    async def receiver(ctx) -> None:
        await wait(ctx, 300)
        assert not ctx.get(core.s_axis_a_tready)
        rows.extend(await receive(ctx, port, len(traffic.rows), rng=random.Random(0)))

    simulate(core, sender(core, "a", traffic.a), sender(core, "b", traffic.b), receiver)
    assert [(beat.data, beat.last, beat.user) for beat in rows] == traffic.rows


def test_an_offered_row_stays_until_it_is_taken():
    design = design_of(CHEAP, 3, 2)
    traffic = Traffic.random(design, [4, 1, 5, 1, 2])
    changes = []

    def monitor(core: Core):
        port = Axis(core, "m_axis_c")
        signals = (port.tvalid, port.tready, port.tdata, port.tlast, port.tuser)

        async def testbench(ctx) -> None:
            before = None
            for _ in range(150):
                _, _, *now = await ctx.tick().sample(*signals)
                if before and before[0] and not before[1]:
                    changes.append(now[0] != 1 or now[2:] != before[2:])
                before = now

        return testbench

    run(traffic, stalls=(0, 0, 0.6), extra=monitor)
    assert len(changes) > 10
    assert not any(changes)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("terms", [1, 5])
def test_a_lone_block_has_the_formulas_latency(size, terms):
    design = design_of(CHEAP, *size)
    when = timing(design)
    # The token that clears the array after reset keeps a block's end out for one interval.
    result = run(Traffic.random(design, [terms]), idle=when.block_interval)
    first = result.a[-1] + when.first_result
    assert [beat.cycle for beat in result.c] == [
        first + when.row_interval * row for row in range(design.rows)
    ]
    assert result.c[-1].cycle - result.a[0] == when.cycles(terms, design.rows) - 1


@pytest.mark.parametrize("name", DATAPATHS)
def test_every_kind_of_datapath_has_the_formulas_latency(name):
    design = design_of(DATAPATHS[name], 2, 3)
    result = run(Traffic.random(design, [3]), idle=timing(design).block_interval)
    assert result.c[0].cycle == result.a[-1] + timing(design).first_result


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_long_enough_blocks_leave_no_cycle_without_a_beat(size):
    design = design_of(CHEAP, *size)
    least = 2 * size[0]
    rng = random.Random(2)
    lengths = [least] * 6 + [least + rng.randrange(4) for _ in range(6)] + [3 * least, least]
    result = run(Traffic.random(design, lengths))
    assert result.a == result.b == list(range(result.a[0], result.a[0] + sum(lengths)))


def test_long_enough_blocks_leave_no_gap_with_a_long_pipeline_either():
    design = design_of(DATAPATHS["fp32_raw"], 2, 3)
    result = run(Traffic.random(design, [4] * 25))
    assert result.a == list(range(result.a[0], result.a[0] + 100))


@pytest.mark.parametrize("size", [(4, 2), (5, 1)], ids="{0[0]}x{0[1]}".format)
def test_blocks_of_one_beat_follow_at_the_drains_pace(size):
    design = design_of(CHEAP, *size)
    result = run(Traffic.random(design, [1] * 20))
    # Beats wait in the input buffer; the ends enter the array one block interval apart.
    ends = [beat.cycle for beat in result.c if beat.last]
    intervals = {after - before for before, after in itertools.pairwise(ends)}
    assert intervals == {timing(design).block_interval}


@pytest.mark.parametrize("after", range(0, 30, 3))
def test_a_reset_at_any_time_leaves_a_core_as_new(after):
    design = design_of(DATAPATHS["e5m2_narrow"], 3, 2)
    before, traffic = Traffic.random(design, [6, 2, 9, 1], seed=3), Traffic.random(design, [2, 5])
    core = Core(design)
    reset = Signal()
    rows = []
    errors = []

    async def testbench(ctx) -> None:
        ports = {side: Axis(core, f"s_axis_{side}") for side in "ab"}
        for cycle in range(after):
            for side, beats in (("a", before.a), ("b", before.b)):
                data, last = beats[cycle % len(beats)]
                ctx.set(ports[side].tdata, data)
                ctx.set(ports[side].tlast, last)
                ctx.set(ports[side].tvalid, 1)
            await ctx.tick()
        for port in ports.values():
            ctx.set(port.tvalid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        errors.append(ctx.get(core.protocol_error))

    async def receiver(ctx) -> None:
        await wait(ctx, after + 1)
        port = Axis(core, "m_axis_c")
        rows.extend(await receive(ctx, port, len(traffic.rows), rng=random.Random(0)))

    senders = [sender(core, side, getattr(traffic, side), start=after + 1) for side in "ab"]
    simulate(core, testbench, *senders, receiver, reset=reset)
    assert errors == [0]
    assert [(beat.data, beat.last, beat.user) for beat in rows] == traffic.rows


@pytest.mark.parametrize(("a_terms", "b_terms"), [(3, 5), (5, 3), (1, 4), (4, 1), (2, 1)])
def test_blocks_of_unequal_length_raise_the_error_and_cost_only_themselves(a_terms, b_terms):
    design = design_of(CHEAP, 3, 2)
    rng = np.random.default_rng(5)
    traffic = Traffic.random(design, [2, 6])
    for _ in range(2):
        a = patterns(rng, design.datapath.a, (3, a_terms))
        b = patterns(rng, design.datapath.b, (b_terms, 2))
        traffic.add(a, b)
    for terms in (4, 1):
        a = patterns(rng, design.datapath.a, (3, terms))
        b = patterns(rng, design.datapath.b, (terms, 2))
        traffic.add(a, b)
    result = run(traffic, stalls=(0.2, 0.3, 0.2))
    assert result.rows == traffic.rows
    assert result.protocol_error


def test_the_protocol_error_stays_until_reset():
    design = design_of(CHEAP, 1, 1)
    core = Core(design)
    reset = Signal()
    seen = []

    async def testbench(ctx) -> None:
        for _ in range(2):
            ctx.set(core.s_axis_a_tvalid, 1)
            ctx.set(core.s_axis_a_tlast, 1)
            ctx.set(core.s_axis_b_tvalid, 1)
            ctx.set(core.s_axis_b_tlast, 0)
            await wait(ctx, 12)
            ctx.set(core.s_axis_b_tlast, 1)
            await wait(ctx, 12)
            seen.append(ctx.get(core.protocol_error))
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            seen.append(ctx.get(core.protocol_error))

    simulate(core, testbench, reset=reset)
    assert seen == [1, 0, 1, 0]
