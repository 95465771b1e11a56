"""Stochastic rounding in the circuit: the random words of the edges, and every way to round."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.emit.definitions import collect_definitions
from hwgen.formats.base import Kind
from hwgen.model import gemm_bits, pack_beats
from hwgen.model.array import ArrayModel
from hwgen.model.array import Beat as ModelBeat
from hwgen.model.random_words import random_words
from hwgen.rtl.core import Core
from hwgen.rtl.dither import RandomWords
from hwgen.rtl.multiply_align import summand_component
from hwgen.rtl.unpack import Unpacker
from hwgen.spec.accumulator import Overflow, Window
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.dither import Side
from hwgen.spec.timing import summand_stages, unpack_stages
from sim.pysim import Axis, pipeline, receive, send, simulate, wait


def stochastic(a: str, window: str, *, b: str | None = None, out: str = "raw") -> Datapath:
    return Datapath.parse(a=a, b=b, acc=f"window:{window},round=stochastic", out=out)


# Random words.


@pytest.mark.parametrize("bits", [1, 5, 24])
def test_every_block_meets_the_definitions_words_from_the_start(bits):
    datapath = stochastic("bf16", f"msb=9,lsb=-30,ovf=1,seed=77,bits={bits}")
    dut = RandomWords(align(datapath), Side.B, lanes=3)
    lengths = [3, 1, 1, 40, 7]
    rng = random.Random(1)
    stimulus, wanted = [(0, 1)], [None]  # the clearing token
    words = random_words(datapath.window, (1, max(lengths), 3), (1, 3)).columns
    for terms in lengths:
        for k in range(terms):
            while rng.random() < 0.3:  # no pair is admitted
                stimulus.append((0, 0))
                wanted.append(None)
            stimulus.append((1, k == terms - 1))
            wanted.append(pack_beats(words[np.newaxis, k], bits)[0])
    seen = pipeline(dut, stimulus, inputs=[dut.admitted, dut.last], outputs=[dut.words], latency=0)
    for cycle, word in enumerate(wanted):
        if word is not None:
            assert seen[cycle] == (word,), cycle


def test_a_word_has_no_bits_that_no_product_reaches():
    datapath = stochastic("int4", "msb=5,lsb=3,ovf=1,bits=10")
    spec = align(datapath)
    dut = RandomWords(spec, Side.A, lanes=2)
    assert spec.random_bits == 3
    (seen,) = pipeline(
        dut, [(0, 1), (1, 0)], inputs=[dut.admitted, dut.last], outputs=[dut.words], latency=0
    )[1:]
    first = random_words(datapath.window, (2, 1, 1), (2, 1)).rows[0] >> 7
    assert seen == (int(first[0]) | int(first[1]) << 3,)


def test_only_stochastic_rounding_of_dropped_bits_has_random_words():
    def parts(acc: str) -> list[str]:
        datapath = Datapath.parse(a="e4m3", acc=acc, out="raw")
        definitions = collect_definitions(Design(datapath=datapath, rows=2, cols=2, name="x"))
        return [each.name for each in definitions if "random" in each.name + each.verilog]

    dropping = "window:msb=8,lsb=-6,ovf=1"
    for rounding in ("zero", "even", "odd"):
        assert parts(f"{dropping},round={rounding}") == []
    assert parts("window:msb=18,lsb=-18,ovf=1,round=stochastic") == []
    assert set(parts(f"{dropping},round=stochastic")) > {"x_random_words_a", "x_random_words_b"}


# One summand.


class Summand(wiring.Component):
    """From two patterns and their random numbers to a summand."""

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        self.spec = align(datapath)
        self.latency = unpack_stages(self.spec) + summand_stages(self.spec)
        random_bits = self.spec.random_bits
        super().__init__(
            {
                "a": In(datapath.a.width),
                "b": In(datapath.b.width),
                "a_random": In(random_bits),
                "b_random": In(random_bits),
                "value": Out(datapath.window.width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.summand = summand = summand_component(self.spec)
        for side in "ab":
            unpacker = Unpacker(self._datapath, side)
            m.submodules[side] = unpacker
            m.d.comb += [
                unpacker.bits.eq(getattr(self, side)),
                unpacker.token.eq(1),
                unpacker.random.eq(getattr(self, f"{side}_random")),
                getattr(summand, side).eq(unpacker.operand),
            ]
        m.d.comb += self.value.eq(summand.summand.value + summand.summand.carry)
        return m


def rounded(product: Fraction, window: Window, number: int) -> int | None:
    """The summand by the definition, modulo ``2**W``; None where it does not matter."""
    scaled = abs(product) / Fraction(2) ** window.lsb
    floor = int(scaled)
    leading = int((scaled - floor) * 2**window.random_bits)
    magnitude = floor + (leading + number >= 1 << window.random_bits)
    if scaled >= 1 << window.summand_bits:
        if window.overflow is Overflow.NAN:
            return None
        if window.overflow is Overflow.SATURATE:
            magnitude = (1 << window.summand_bits) - 1
    return (-magnitude if product < 0 else magnitude) % (1 << window.width)


SUMMANDS = {
    "e2m1": ("e2m1", None, "msb=4,lsb=0,ovf=1,bits=4"),
    "e2m1_all_below": ("e2m1", None, "msb=8,lsb=7,ovf=1,bits=5"),
    "e2m1_saturate": ("e2m1", None, "msb=2,lsb=1,ovf=1,bits=2,overflow=saturate"),
    "e3m2": ("e3m2", None, "msb=4,lsb=-3,ovf=1,bits=3"),
    "e3m2_wrap": ("e3m2", "e2m1", "msb=1,lsb=-1,ovf=1,bits=8,overflow=wrap"),
    "e3m2_high": ("e3m2", None, "msb=9,lsb=6,ovf=1,bits=6,overflow=saturate"),
    "e4m3": ("e4m3", None, "msb=1,lsb=-1,ovf=2,bits=5,overflow=saturate"),
    "e4m3_many": ("e4m3", "e5m2", "msb=9,lsb=2,ovf=2,bits=24,overflow=wrap"),
    "posit": ("posit:6,1", None, "msb=3,lsb=-3,ovf=1,bits=4,overflow=wrap"),
    "int4_e3m2": ("int4", "e3m2", "msb=3,lsb=-1,ovf=1,bits=3"),
    "int4": ("int4", None, "msb=5,lsb=3,ovf=1,bits=3"),
    "int4_few": ("int4", None, "msb=5,lsb=4,ovf=1,bits=2"),
    "int4_more": ("int4", None, "msb=5,lsb=2,ovf=1,bits=5,overflow=saturate"),
    "int4_all_below": ("int4", "uint4", "msb=14,lsb=10,ovf=1,bits=4"),
    "int4_above_its_sign": ("int4", None, "msb=14,lsb=9,ovf=1,bits=4"),
    "int4_wrap": ("int4", None, "msb=3,lsb=2,ovf=1,bits=2,overflow=wrap"),
    "uint4": ("uint4", None, "msb=6,lsb=2,ovf=1,bits=2,overflow=wrap"),
    "int8": ("int8", None, "msb=12,lsb=5,ovf=1,bits=3,overflow=saturate"),
    "fixed": ("fixed:2,3", "uint3", "msb=3,lsb=-1,ovf=1,bits=2"),
}
MOST = 4096


@pytest.mark.parametrize("name", SUMMANDS)
def test_every_random_number_rounds_a_product_as_defined(name):
    a, b, window = SUMMANDS[name]
    datapath = stochastic(a, window, b=b)
    dut = Summand(datapath)
    unused = datapath.window.random_bits - dut.spec.random_bits
    sizes = (1 << datapath.a.width, 1 << datapath.b.width, 1 << dut.spec.random_bits)
    every = range(sizes[0] * sizes[1] * sizes[2])
    chosen = every if len(every) <= MOST else random.Random(1).sample(every, MOST)
    cases = [tuple(int(place) for place in np.unravel_index(index, sizes)) for index in chosen]
    share = 0x5A5A5A % sizes[2]  # the sides' numbers differ
    results = pipeline(
        dut,
        [(x, y, number ^ share, share) for x, y, number in cases],
        inputs=[dut.a, dut.b, dut.a_random, dut.b_random],
        outputs=[dut.value],
        latency=dut.latency,
    )
    wrong, carries = [], set()
    for (x, y, number), (value,) in zip(cases, results, strict=True):
        numbers = datapath.a.decode(x), datapath.b.decode(y)
        if any(each.kind is not Kind.FINITE for each in numbers):
            continue
        product = numbers[0].fraction * numbers[1].fraction
        # The bits that are not there may be anything.
        wanted = {
            rounded(product, datapath.window, number << unused | low)
            for low in (0, (1 << unused) - 1)
        }
        assert len(wanted) == 1
        if wanted not in ({None}, {value}):
            wrong.append((x, y, number, value, wanted))
        carries |= {rounded(product, datapath.window, 0) in wanted}
    assert wrong == []
    assert carries == {False, True}, "rounded up and down"


# Small arrays.

CORES = {
    "e4m3": stochastic("e4m3", "msb=9,lsb=-6,ovf=5,seed=3,bits=6"),
    "e4m3_saturate": stochastic(
        "e4m3", "msb=3,lsb=-2,ovf=2,overflow=saturate", b="e5m2", out="e4m3"
    ),
    "bf16": stochastic("bf16", "msb=5,lsb=-9,ovf=9,seed=4294967295,bits=24", out="fp32"),
    "posit8": stochastic("posit8", "msb=9,lsb=-4,ovf=9,bits=4", out="posit8"),
    "wide": stochastic("bf16", "msb=70,lsb=-70,ovf=9,bits=9"),
    "fp32": stochastic("fp32", "msb=30,lsb=-20,ovf=3,bits=16"),
    "mxfp8": stochastic("mxfp8", "msb=9,lsb=-7,ovf=9,bits=5", b="int4", out="fp32"),
    "int8": stochastic("int8", "msb=13,lsb=6,ovf=4,seed=9"),
    "uint4_wrap": stochastic("uint4", "msb=6,lsb=3,ovf=0,bits=2,overflow=wrap", b="int4"),
}


def blocks_of(design: Design, lengths: list[int], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)

    def patterns(fmt, shape):
        spread = float(min(fmt.max_finite / 3, 2))
        if not fmt.has_nan or rng.random() < 0.2:
            return rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64).astype(fmt.dtype)
        return fmt.from_float(rng.normal(scale=spread, size=shape))

    path = design.datapath
    return [
        (patterns(path.a, (design.rows, k)), patterns(path.b, (k, design.cols))) for k in lengths
    ]


def beats_of(design: Design, blocks) -> dict[str, list[tuple[int, bool]]]:
    path = design.datapath
    beats: dict[str, list[tuple[int, bool]]] = {"a": [], "b": []}
    for pair in blocks:
        for side, elements, fmt in zip("ab", (pair[0].T, pair[1]), (path.a, path.b), strict=True):
            words = pack_beats(elements, fmt.width)
            beats[side] += [(word, index == len(words) - 1) for index, word in enumerate(words)]
    return beats


def rows_of(design: Design, blocks) -> list[tuple[int, int, int]]:
    """The rows that the judge expects of blocks whose sides are equally long."""
    rows = []
    for a, b in blocks:
        if a.shape[1] == len(b):
            bits, status = gemm_bits(a, b, design.datapath, engine="exact")
            last = [row == design.rows - 1 for row in range(design.rows)]
            data = pack_beats(bits, design.datapath.out_width)
            rows += zip(data, last, pack_beats(status, 3), strict=True)
    return rows


def run(design: Design, blocks, *, stalls: float, reset_after: int = 0) -> tuple[list, bool]:
    """Send blocks through a core; return its rows, and whether it raised ``protocol_error``.

    With ``reset_after``, beats are offered for so many cycles before, and a reset follows.
    """
    core = Core(design)
    beats = beats_of(design, blocks)
    reset = Signal()
    rows, errors = [], []

    async def resetting(ctx) -> None:
        for side in "ab":
            ctx.set(Axis(core, f"s_axis_{side}").tvalid, reset_after)
        await wait(ctx, reset_after)
        for side in "ab":
            ctx.set(Axis(core, f"s_axis_{side}").tvalid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)

    def sender(side: str):
        async def testbench(ctx) -> None:
            await wait(ctx, reset_after + 1)
            port = Axis(core, f"s_axis_{side}")
            await send(ctx, port, beats[side], rng=random.Random(side), stalls=stalls)

        return testbench

    async def receiver(ctx) -> None:
        await wait(ctx, reset_after + 1)
        wanted = len(rows_of(design, blocks))
        port = Axis(core, "m_axis_c")
        rows.extend(await receive(ctx, port, wanted, rng=random.Random(1), stalls=stalls))
        errors.append(ctx.get(core.protocol_error))

    simulate(core, resetting, sender("a"), sender("b"), receiver, reset=reset)
    return [(beat.data, beat.last, beat.user) for beat in rows], bool(errors[0])


SIZES = [*((name, 2, 2) for name in CORES), ("e4m3", 3, 2), ("int8", 3, 2), ("e4m3", 1, 4)]


@pytest.mark.parametrize(("name", "rows", "cols"), SIZES)
def test_blocks_equal_exact_arithmetic_whatever_stalls(name, rows, cols):
    design = Design(datapath=CORES[name], rows=rows, cols=cols)
    blocks = blocks_of(design, [3, 1, 2, 30, 1, 5, 9], seed=2)
    assert run(design, blocks, stalls=0.3) == (rows_of(design, blocks), False)


@pytest.mark.parametrize("after", [1, 5, 9, 20])
def test_a_reset_starts_the_random_numbers_anew(after):
    design = Design(datapath=CORES["e4m3"], rows=2, cols=3)
    blocks = blocks_of(design, [6, 2, 9], seed=4)
    assert run(design, blocks, stalls=0.0, reset_after=after)[0] == rows_of(design, blocks)


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_after_blocks_of_unequal_length_the_random_numbers_start_anew(stalls):
    design = Design(datapath=CORES["int8"], rows=3, cols=2)
    blocks = []
    for a_terms, b_terms in [(3, 3), (2, 5), (4, 4), (5, 1), (6, 6), (1, 2), (1, 1), (7, 7)]:
        ((a, _), (_, b)) = blocks_of(design, [a_terms, b_terms], seed=a_terms)
        blocks.append((a, b))
    assert run(design, blocks, stalls=stalls) == (rows_of(design, blocks), True)


def test_without_the_lanes_own_numbers_the_results_would_differ():
    design = Design(datapath=CORES["e4m3"], rows=3, cols=2)
    (a, b) = blocks_of(design, [30], seed=2)[0]
    same = [gemm_bits(a, b, design.datapath, lanes=lanes)[0] for lanes in ((3, 2), (1, 2), (3, 1))]
    assert not np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


def test_the_cycle_level_model_rounds_alike():
    design = Design(datapath=CORES["int8"], rows=2, cols=3)
    blocks = blocks_of(design, [4, 1, 11], seed=5)
    beats = [
        (ModelBeat(a[:, k], last), ModelBeat(b[k], last))
        for a, b in blocks
        for k, last in zip(range(len(b)), [False] * (len(b) - 1) + [True], strict=True)
    ]
    model, rows = ArrayModel(design), []
    for _ in range(200):
        a, b = beats[0] if beats else (None, None)
        shown = model.step(a, b, c_ready=True)
        if shown.a_ready and shown.b_ready:
            beats = beats[1:]
        if shown.row is not None:
            rows.append((shown.row.bits, shown.row.status))
    wanted = [
        (bits[row], status[row])
        for bits, status in (gemm_bits(a, b, design.datapath, engine="exact") for a, b in blocks)
        for row in range(design.rows)
    ]
    np.testing.assert_equal(rows, wanted)
