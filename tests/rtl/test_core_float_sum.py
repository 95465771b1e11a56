"""Small arrays of floating-point sums against exact arithmetic, and cycle by cycle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amaranth.hdl import Signal

from hwgen.formats import BlockScaled, Format
from hwgen.model import gemm_bits, pack_beats
from hwgen.model.array import ArrayModel, Beat
from hwgen.rtl.core import Core
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing
from sim.pysim import Axis, receive, send, simulate, wait

TINY = "float:3,2"
SIZES = [(1, 1), (3, 2), (5, 1)]
SUMS = {
    "bf16": {"a": "bf16", "acc": "fma:fp32"},
    "fp32_lanes": {"a": "fp32", "acc": "fma:fp32,lanes=4"},
    "fp32_one_multiplier": {"a": "fp32", "acc": "fma:fp32,lanes=2", "target": "asic"},
    "fp16_rounded": {"a": "fp16", "acc": "muladd:fp16,lanes=3", "out": "fp32"},
    "e4m3_bf16": {"a": "e4m3", "b": "bf16", "acc": "fma:bf16,lanes=2", "out": "e5m2"},
    "posit8": {"a": "posit8", "acc": "muladd:fp16", "out": "e4m3:overflow=nan"},
    "mxfp8": {"a": "mxfp8", "acc": "fma:fp32", "out": "bf16"},
    "nvfp4": {"a": "nvfp4", "b": "mxfp4", "acc": "fma:bf16,lanes=3"},
    "uint4_int8": {"a": "uint4", "b": "int8", "acc": "fma:fp16,lanes=2"},
}


def numbers(rng: np.random.Generator, fmt: Format, shape: tuple[int, int]) -> np.ndarray:
    """Numbers of ordinary size, and in some blocks patterns of any kind."""
    anything = rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64).astype(fmt.dtype)
    spread = float(min(fmt.max_finite / 3, 2))
    ordinary = fmt.from_float(rng.normal(scale=spread, size=shape))
    if isinstance(fmt, BlockScaled):  # scales that differ from element to element
        elements, scales = fmt.split(ordinary)
        ordinary = fmt.join(elements, scales + rng.integers(-3, 4, size=shape).astype(np.uint8))
    share = rng.choice([0.0, 0.0, 0.1, 1.0])
    return np.where(rng.random(shape) < share, anything, ordinary)


def tiny_design(lanes: int, size: tuple[int, int]) -> Design:
    acc = f"fma:float:4,3,lanes={lanes}"
    return Design(datapath=Datapath.parse(a=TINY, acc=acc), rows=size[0], cols=size[1])


class Traffic:
    """Blocks as stream beats, with the rows that exact arithmetic expects."""

    def __init__(self, design: Design, lengths: list[int], seed: int = 1) -> None:
        self.design = design
        self.beats: dict[str, list[tuple[int, bool]]] = {"a": [], "b": []}
        self.rows: list[tuple[int, int, int]] = []
        rng = np.random.default_rng(seed)
        path = design.datapath
        for terms in lengths:
            a = numbers(rng, path.a, (design.rows, terms))
            b = numbers(rng, path.b, (terms, design.cols))
            for side, elements, width in (("a", a.T, path.a.width), ("b", b, path.b.width)):
                words = pack_beats(elements, width)
                last = [index == terms - 1 for index in range(terms)]
                self.beats[side] += zip(words, last, strict=True)
            bits, status = gemm_bits(a, b, path, engine="exact")
            last = [row == design.rows - 1 for row in range(design.rows)]
            data = pack_beats(bits, path.out_width)
            self.rows += zip(data, last, pack_beats(status, 3), strict=True)

    def sender(self, core: Core, side: str, *, start: int = 0, stalls: float = 0.0, seen=None):
        async def testbench(ctx) -> None:
            await wait(ctx, start)
            port = Axis(core, f"s_axis_{side}")
            rng = random.Random(side)
            taken = await send(ctx, port, self.beats[side], rng=rng, stalls=stalls)
            if seen is not None:
                seen[side] = taken

        return testbench

    def receiver(self, core: Core, seen: dict, *, start: int = 0, stalls: float = 0.0):
        async def testbench(ctx) -> None:
            await wait(ctx, start)
            port = Axis(core, "m_axis_c")
            rng = random.Random("c")
            seen["c"] = await receive(ctx, port, len(self.rows), rng=rng, stalls=stalls)

        return testbench

    def run(self, *, start: int = 0, stalls: float = 0.0) -> dict[str, list]:
        """Send everything; return the cycles in which beats were taken, and the rows."""
        core = Core(self.design)
        seen: dict[str, list] = {}
        benches = [self.sender(core, side, start=start, stalls=stalls, seen=seen) for side in "ab"]
        benches.append(self.receiver(core, seen, start=start, stalls=stalls))
        simulate(core, *benches, max_cycles=60_000)
        return seen


def rows_of(seen: dict[str, list]) -> list[tuple[int, int, int]]:
    return [(beat.data, beat.last, beat.user) for beat in seen["c"]]


@pytest.mark.parametrize("name", SUMS)
def test_a_small_array_equals_exact_arithmetic_under_stalls(name):
    design = Design(datapath=Datapath.parse(**SUMS[name]), rows=3, cols=2)
    traffic = Traffic(design, [3, 1, 2, 5, 20, 1, 1, 9])
    assert rows_of(traffic.run(stalls=0.2)) == traffic.rows


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("terms", [1, 2, 5, 9])
def test_a_lone_block_has_the_formulas_latency(lanes, terms):
    design = tiny_design(lanes, (3, 2))
    when = timing(design)
    traffic = Traffic(design, [terms])
    seen = traffic.run(start=when.clearing + when.block_interval)
    first = seen["a"][-1] + when.first_result + when.lane_wait(terms)
    assert [beat.cycle for beat in seen["c"]] == [
        first + when.row_interval * row for row in range(design.rows)
    ]
    assert seen["c"][-1].cycle - seen["a"][0] == when.cycles(terms, design.rows) - 1


def test_long_enough_blocks_of_one_lane_leave_no_cycle_without_a_beat():
    design = tiny_design(1, (3, 2))
    seen = Traffic(design, [6] * 8 + [7, 6, 12]).run()
    assert seen["a"] == list(range(seen["a"][0], seen["a"][0] + 73))


@pytest.mark.parametrize("lanes", [2, 4])
def test_blocks_of_lanes_follow_as_soon_as_the_lanes_are_added(lanes):
    design = tiny_design(lanes, (2, 2))
    when = timing(design)
    terms = 4 * lanes
    seen = Traffic(design, [terms] * 5).run()
    rows = [beat.cycle for beat in seen["c"]]
    assert {int(gap) for gap in np.diff(rows[::2])} == {terms + when.lane_cycles}


def run_both(design: Design, lengths: list[tuple[int, int]], *, stalls: float, cycles: int) -> int:
    """Drive circuit and cycle-level model alike, compare all outputs; return the rows taken."""
    core, model = Core(design), ArrayModel(design)
    rng, chance = np.random.default_rng(3), random.Random(3)
    path = design.datapath
    waiting: dict[str, list[Beat]] = {"a": [], "b": []}
    for pair in lengths:
        for side, fmt, lanes, terms in zip(
            "ab", (path.a, path.b), (design.rows, design.cols), pair, strict=True
        ):
            block = rng.integers(0, 1 << fmt.width, size=(terms, lanes)).astype(fmt.dtype)
            waiting[side] += [Beat(row, k == terms - 1) for k, row in enumerate(block)]
    offered: dict[str, Beat | None] = {"a": None, "b": None}
    rows = 0

    async def bench(ctx) -> None:
        nonlocal rows
        for cycle in range(cycles):
            for side, width in (("a", path.a.width), ("b", path.b.width)):
                if offered[side] is None and waiting[side] and chance.random() >= stalls:
                    offered[side] = waiting[side].pop(0)
                beat = offered[side]
                ctx.set(getattr(core, f"s_axis_{side}_tvalid"), beat is not None)
                if beat is not None:
                    (word,) = pack_beats(beat.elements[np.newaxis], width)
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
                (word,) = pack_beats(shown.row.bits[np.newaxis], path.out_width)
                (status,) = pack_beats(shown.row.status[np.newaxis], 3)
                assert ctx.get(core.m_axis_c_tdata) == word, cycle
                assert ctx.get(core.m_axis_c_tuser) == status, cycle
                assert ctx.get(core.m_axis_c_tlast) == shown.row.last, cycle
                rows += c_ready
            for side, ready in (("a", shown.a_ready), ("b", shown.b_ready)):
                if ready:
                    offered[side] = None
            await ctx.tick()

    simulate(core, bench, max_cycles=cycles + 1)
    assert waiting == {"a": [], "b": []}, "beats left over"
    return rows


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("lanes", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 7))])
def test_every_cycle_of_mixed_blocks_is_as_the_model_says(lanes, size, stalls):
    terms = [3, 1, 1, 2, size[0], 2 * size[0], 17, 1, lanes, 2 * lanes, lanes + 1]
    cycles = 300 + 40 * len(terms) + 3 * len(terms) * lanes * lanes
    pairs = [(k, k) for k in terms]
    rows = run_both(tiny_design(lanes, size), pairs, stalls=stalls, cycles=cycles)
    assert rows == size[0] * len(terms)


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_every_cycle_of_malformed_blocks_is_as_the_model_says(lanes):
    lengths = [(4, 4), (2, 5), (3, 3), (6, 1), (1, 1), (1, 2), (2, 2)]
    rows = run_both(tiny_design(lanes, (3, 2)), lengths, stalls=0.2, cycles=600)
    assert rows == 3 * 4, "only the well-formed blocks make rows"


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("after", [0, 5, 11, 23, 38])
def test_a_reset_at_any_time_leaves_a_core_as_new(lanes, after):
    design = tiny_design(lanes, (3, 2))
    before, traffic = Traffic(design, [6, 2, 9, 1], seed=3), Traffic(design, [2, 5])
    core = Core(design)
    reset = Signal()
    seen: dict[str, list] = {}

    async def testbench(ctx) -> None:
        ports = {side: Axis(core, f"s_axis_{side}") for side in "ab"}
        for cycle in range(after):
            for side, port in ports.items():
                data, last = before.beats[side][cycle % len(before.beats[side])]
                ctx.set(port.tdata, data)
                ctx.set(port.tlast, last)
                ctx.set(port.tvalid, 1)
            await ctx.tick()
        for port in ports.values():
            ctx.set(port.tvalid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)

    senders = [traffic.sender(core, side, start=after + 1) for side in "ab"]
    receiver = traffic.receiver(core, seen, start=after + 1)
    simulate(core, testbench, *senders, receiver, reset=reset)
    assert rows_of(seen) == traffic.rows
