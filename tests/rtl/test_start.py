"""Start values: the core adds them as the model says, waits for them, and counts their rows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from hwgen.flow.patterns import random_patterns
from hwgen.model import gemm_bits, pack_beats, unpack_beats
from hwgen.model.array import ArrayModel, Beat, Row
from hwgen.model.start import random_start
from hwgen.rtl.core import Core
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing
from sim.pysim import Axis, receive, simulate, wait

W45 = "window:msb=5,lsb=-30,ovf=9"
CHEAP = {"a": "int4", "acc": "int:12"}
SIZES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3)]
DATAPATHS = {
    "stochastic": {"a": "e4m3", "acc": "window:msb=9,lsb=-4,ovf=5,round=stochastic"},
    "bf16": {"a": "bf16", "acc": W45},
    "bf16_cells": {"a": "bf16", "acc": W45, "target": "asic"},
    "bf16_even_saturate": {
        "a": "bf16",
        "acc": "window:msb=1,lsb=-8,ovf=0,round=even,overflow=saturate",
    },
    "bf16_wrap_raw": {
        "a": "bf16",
        "acc": "window:msb=0,lsb=-8,ovf=0,round=even,overflow=wrap",
        "out": "raw",
    },
    "int8_saturate": {"a": "int8", "acc": "int:10,overflow=saturate"},
    "int8_fixed": {"a": "int8", "acc": "window:msb=6,lsb=3,ovf=2", "out": "fixed:4,2"},
    "e4m3_exact_raw": {"a": "e4m3", "acc": "exact:terms=64", "out": "raw"},
    "e5m2_exact": {"a": "e5m2", "acc": "exact", "out": "fp16"},
    "fp16_exact": {"a": "fp16", "acc": "exact"},
    "fp32_exact": {"a": "fp32", "acc": "exact"},
    "posit16_quire": {"a": "posit16", "acc": "exact"},
    "w129_wrap": {"a": "bf16", "acc": "window:msb=70,lsb=-50,ovf=8,overflow=wrap", "out": "raw"},
}


def design_of(names: dict[str, str], rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**names), rows=rows, cols=cols, start="raw")


@dataclass
class Traffic:
    """Blocks and start values as beats of (tdata, tlast, tuser), with the rows they give."""

    design: Design
    beats: dict[str, list[tuple[int, bool, int]]] = field(
        default_factory=lambda: {"a": [], "b": [], "c": []}
    )
    rows: list[tuple[int, bool, int]] = field(default_factory=list)

    @classmethod
    def random(cls, design: Design, lengths: Sequence[int | tuple[int, int]], seed: int = 1):
        """Blocks of so many beats; a pair of lengths that differ makes no rows."""
        traffic = cls(design)
        rng = np.random.default_rng(seed)
        path = design.datapath
        for index, terms in enumerate(lengths):
            a_terms, b_terms = terms if isinstance(terms, tuple) else (terms, terms)
            specials = index % 3 == 2
            a = random_patterns(path.a, (design.rows, a_terms), rng, specials=specials)
            b = random_patterns(path.b, (b_terms, design.cols), rng, specials=specials)
            start = random_start(path.window, (design.rows, design.cols), rng)
            traffic.add(a, b, start)
        return traffic

    def add(self, a: np.ndarray, b: np.ndarray, start: tuple[np.ndarray, np.ndarray]) -> None:
        path = self.design.datapath
        self._append(self.beats["a"], pack_beats(a.T, path.a.width))
        self._append(self.beats["b"], pack_beats(b, path.b.width))
        words = pack_beats(start[0], path.window.width)
        self._append(self.beats["c"], words, pack_beats(start[1], 3))
        if a.shape[1] == b.shape[0]:
            bits, status = gemm_bits(a, b, path, start=start)
            self._append(self.rows, pack_beats(bits, path.out_width), pack_beats(status, 3))

    def _append(self, beats: list, words: list[int], users: list[int] | None = None) -> None:
        lasts = [index == len(words) - 1 for index in range(len(words))]
        beats += zip(words, lasts, users or [0] * len(words), strict=True)


@dataclass
class Run:
    """The rows, the cycles of the transfers, and the error at the end."""

    rows: list[tuple[int, bool, int]]
    row_cycles: list[int]
    taken: dict[str, list[int]]
    protocol_error: int


def run(traffic: Traffic, *, stalls: dict[str, float] | None = None, idle: int = 0) -> Run:
    """Send all beats, with stalls by stream (``o`` for the results), and take all rows."""
    core = Core(traffic.design)
    chance = {"a": 0.0, "b": 0.0, "c": 0.0, "o": 0.0} | (stalls or {})
    taken: dict[str, list[int]] = {}
    results: list = []
    errors: list[int] = []

    def sender(side: str):
        async def testbench(ctx) -> None:
            await wait(ctx, idle)
            taken[side] = await send(ctx, core, side, traffic.beats[side], chance[side])

        return testbench

    async def receiver(ctx) -> None:
        port = Axis(core, "m_axis_c")
        await wait(ctx, idle)
        count = len(traffic.rows)
        results.extend(await receive(ctx, port, count, rng=random.Random(1), stalls=chance["o"]))
        for _ in range(8):
            assert not ctx.get(port.tvalid), "a row too many"
            await ctx.tick()
        errors.append(ctx.get(core.protocol_error))

    longest = 500 + 20 * sum(len(beats) for beats in traffic.beats.values())
    simulate(core, *(sender(side) for side in "abc"), receiver, max_cycles=longest)
    rows = [(beat.data, bool(beat.last), beat.user) for beat in results]
    return Run(rows, [beat.cycle for beat in results], taken, errors[0])


async def send(ctx, core: Core, side: str, beats, stalls: float) -> list[int]:
    """Offer beats of (tdata, tlast, tuser) until each is taken; returns when they were."""
    port, rng, cycle = Axis(core, f"s_axis_{side}"), random.Random(side), 0
    taken = []
    for data, last, user in beats:
        while rng.random() < stalls:
            await ctx.tick()
            cycle += 1
        ctx.set(port.tdata, data)
        ctx.set(port.tlast, last)
        if side == "c":
            ctx.set(port.tuser, user)
        ctx.set(port.tvalid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(port.tready)
            cycle += 1
        ctx.set(port.tvalid, 0)
        taken.append(cycle - 1)
    return taken


@pytest.mark.parametrize("name", DATAPATHS)
def test_every_kind_of_datapath_equals_the_model(name):
    traffic = Traffic.random(design_of(DATAPATHS[name], 3, 2), [3, 1, 2, 5, 12, 1, 1, 9])
    result = run(traffic, stalls={"a": 0.1, "b": 0.2, "c": 0.2, "o": 0.1})
    assert result.rows == traffic.rows
    assert not result.protocol_error


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_every_size_equals_the_model_under_stalls_on_all_streams(size):
    design = design_of(CHEAP, *size)
    traffic = Traffic.random(design, [3, 1, 2, size[0], 1, 1, 2 * size[0] + 3, 2])
    result = run(traffic, stalls=dict.fromkeys("abco", 0.4))
    assert result.rows == traffic.rows
    assert not result.protocol_error


@pytest.mark.parametrize("size", [(3, 3), (2, 4)], ids="{0[0]}x{0[1]}".format)
def test_columns_that_share_a_rounder_get_their_own_start(size):
    traffic = Traffic.random(design_of(DATAPATHS["bf16"], *size), [1] * 6 + [7, 2, 9])
    assert run(traffic).rows == traffic.rows


@pytest.mark.parametrize("stream", "abco")
def test_any_one_stream_may_stall_long(stream):
    traffic = Traffic.random(design_of(CHEAP, 3, 2), [1, 1, 4, 1, 1, 1, 9, 2, 1, 1])
    assert run(traffic, stalls={stream: 0.9}).rows == traffic.rows


@pytest.mark.parametrize("stalls", [0.3, 0.7])
def test_every_cycle_may_end_a_block_but_only_with_its_start_value(stalls):
    # One row and no shared rounder: blocks may end in consecutive cycles, and C is slower.
    design = design_of(CHEAP, 1, 2)
    assert timing(design).block_interval == 1
    traffic = Traffic.random(design, [1] * 40)
    assert run(traffic, stalls={"c": stalls}).rows == traffic.rows


@pytest.mark.parametrize("name", DATAPATHS)
def test_a_lone_block_has_the_formulas_latency(name):
    design = design_of(DATAPATHS[name], 2, 3)
    when = timing(design)
    result = run(Traffic.random(design, [3 + 2 * design.rows]), idle=when.block_interval)
    assert result.row_cycles[0] == result.taken["a"][-1] + when.first_result


def test_a_start_costs_one_cycle():
    with_start = design_of(CHEAP, 3, 2)
    without = Design(datapath=with_start.datapath, rows=3, cols=2)
    assert timing(with_start).first_result == timing(without).first_result + 1


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (3, 3)], ids="{0[0]}x{0[1]}".format)
def test_long_enough_blocks_leave_no_cycle_without_a_beat(size):
    design = design_of(DATAPATHS["fp16_exact"], *size)
    least = timing(design).full_rate_block
    # The first block waits for its start values.
    traffic = Traffic.random(design, [least + size[0]] + [least] * 10)
    taken = run(traffic).taken["a"]
    assert taken == list(range(taken[0], taken[0] + len(taken)))


def test_blocks_of_one_beat_follow_at_the_drains_pace():
    design = design_of(CHEAP, 4, 2)
    result = run(Traffic.random(design, [1] * 20))
    ends = result.row_cycles[design.rows - 1 :: design.rows]
    intervals = {after - before for before, after in itertools.pairwise(ends)}
    assert intervals == {timing(design).block_interval}


def test_without_start_values_no_block_ends():
    design = design_of(CHEAP, 3, 2)
    traffic = Traffic.random(design, [2, 2])
    core = Core(design)
    seen = []

    def sender(side: str, beats: list, *, start: int = 0):
        async def testbench(ctx) -> None:
            await wait(ctx, start)
            await send(ctx, core, side, beats, 0.0)

        return testbench

    async def receiver(ctx) -> None:
        for _ in range(120):
            _, _, valid = await ctx.tick().sample(core.m_axis_c_tvalid)
            seen.append(valid)
        rows = await receive(ctx, Axis(core, "m_axis_c"), 6, rng=random.Random(0))
        assert [(row.data, bool(row.last), row.user) for row in rows] == traffic.rows

    first, rest = traffic.beats["c"][:2], traffic.beats["c"][2:]
    simulate(
        core,
        sender("a", traffic.beats["a"]),
        sender("b", traffic.beats["b"]),
        sender("c", first),
        sender("c", rest, start=120),
        receiver,
    )
    assert not any(seen), "a block whose third row of start values was not there"


def test_a_misplaced_tlast_is_an_error_and_costs_nothing_else():
    traffic = Traffic.random(design_of(CHEAP, 3, 2), [2, 5, 1, 4])
    data, last, user = traffic.beats["c"][4]
    traffic.beats["c"][4] = (data, not last, user)
    result = run(traffic)
    assert result.rows == traffic.rows
    assert result.protocol_error


@pytest.mark.parametrize("pair", [(3, 5), (5, 3), (1, 4), (4, 1)], ids=str)
def test_a_block_of_unequal_lengths_uses_up_its_start_values(pair):
    traffic = Traffic.random(design_of(CHEAP, 3, 2), [2, 6, pair, pair, 4, 1])
    result = run(traffic, stalls={"a": 0.2, "b": 0.3, "c": 0.2, "o": 0.2})
    assert result.rows == traffic.rows
    assert result.protocol_error


@pytest.mark.parametrize(
    "words",
    [
        {"a": "e4m3", "acc": "window:msb=60,lsb=-30,ovf=8", "out": "fp32"},
        pytest.param({"a": "bf16", "acc": W45}, marks=pytest.mark.slow),
        pytest.param({"a": "fp32", "acc": "exact"}, marks=pytest.mark.slow),
    ],
    ids=lambda words: words["a"],
)
def test_tiles_of_k_through_the_core_merge_to_the_whole_product(words):
    # A core with out=raw feeds its rows back; the last tile goes through one that rounds.
    rows, cols = 2, 3
    whole, raw = Datapath.parse(**words), Datapath.parse(**(words | {"out": "raw"}))
    rng = np.random.default_rng(5)
    a = random_patterns(whole.a, (rows, 14), rng)
    b = random_patterns(whole.b, (14, cols), rng)
    words_of = -(-raw.window.width // 64)
    shape = (rows, cols) if words_of == 1 else (rows, cols, words_of)
    start = np.zeros(shape, dtype=np.uint64), np.zeros((rows, cols), dtype=np.uint8)
    for path, first, last in ((raw, 0, 6), (raw, 6, 7), (whole, 7, 14)):
        traffic = Traffic(Design(datapath=path, rows=rows, cols=cols, start="raw"))
        traffic.add(a[:, first:last], b[first:last], start)
        got = run(traffic).rows
        bits = unpack_beats([data for data, _, _ in got], cols, path.out_width)
        start = bits, unpack_beats([user for _, _, user in got], cols, 3)
    wanted, status = gemm_bits(a, b, whole)
    np.testing.assert_array_equal(start[0], wanted)
    np.testing.assert_array_equal(start[1], status)


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_every_cycle_is_as_the_cycle_model_says(size, stalls):
    design = design_of(CHEAP, *size)
    terms = [3, 1, 1, (2, 4), size[0], 2 * size[0], 17, 1, (3, 1), 9]
    traffic = Traffic.random(design, terms, seed=7)
    data, last, user = traffic.beats["c"][-2]
    traffic.beats["c"][-2] = (data, not last, user)
    assert compare_cycles(traffic, stalls=stalls) == len(traffic.rows)


def compare_cycles(traffic: Traffic, *, stalls: float) -> int:
    """Drive circuit and model alike; return the number of rows that came out."""
    design = traffic.design
    core, model = Core(design), ArrayModel(design)
    path, chance = design.datapath, random.Random(3)
    offering: dict[str, bool] = dict.fromkeys("abc", False)
    position = dict.fromkeys("abc", 0)
    rows = 0

    def model_beat(side: str) -> Beat | Row | None:
        if not offering[side]:
            return None
        word, last, user = traffic.beats[side][position[side]]
        if side == "c":
            bits = unpack_beats([word], design.cols, path.window.width)[0]
            return Row(bits, unpack_beats([user], design.cols, 3)[0], last)
        lanes, fmt = (design.rows, path.a) if side == "a" else (design.cols, path.b)
        return Beat(unpack_beats([word], lanes, fmt.width)[0], last)

    async def bench(ctx) -> None:
        nonlocal rows
        for cycle in range(700):
            for side, beats in traffic.beats.items():
                more = position[side] < len(beats)
                offering[side] = more and (offering[side] or chance.random() >= stalls)
                port = Axis(core, f"s_axis_{side}")
                ctx.set(port.tvalid, offering[side])
                if offering[side]:
                    word, last, user = beats[position[side]]
                    ctx.set(port.tdata, word)
                    ctx.set(port.tlast, last)
                    if side == "c":
                        ctx.set(port.tuser, user)
            c_ready = chance.random() >= stalls
            ctx.set(core.m_axis_c_tready, c_ready)
            shown = model.step(
                model_beat("a"), model_beat("b"), c_ready=c_ready, start=model_beat("c")
            )
            ready = {"a": shown.a_ready, "b": shown.b_ready, "c": shown.start_ready}
            for side, wanted in ready.items():
                assert ctx.get(Axis(core, f"s_axis_{side}").tready) == wanted, (cycle, side)
            assert ctx.get(core.protocol_error) == shown.protocol_error, cycle
            assert ctx.get(core.m_axis_c_tvalid) == (shown.row is not None), cycle
            if shown.row is not None:
                (word,) = pack_beats(shown.row.bits[None], path.out_width)
                (user,) = pack_beats(shown.row.status[None], 3)
                assert ctx.get(core.m_axis_c_tdata) == word, cycle
                assert ctx.get(core.m_axis_c_tuser) == user, cycle
                rows += c_ready
            for side in "abc":
                if offering[side] and ready[side]:
                    position[side] += 1
                    offering[side] = False
            await ctx.tick()

    simulate(core, bench)
    assert position == {side: len(beats) for side, beats in traffic.beats.items()}
    return rows
