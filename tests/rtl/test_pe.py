"""One processing element between an unpacker of each side and a rounder, against the model."""

from __future__ import annotations

import random

import numpy as np
import pytest
from element import Element

from hwgen.formats import Format
from hwgen.model import gemm_bits
from hwgen.rtl.pe import ProcessingElement
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import OPERAND_LATENCY, SUM_LATENCY
from sim.pysim import pipeline

WINDOWS = {
    "narrow": "window:msb=2,lsb=-4,ovf=1",
    "even_wrap": "window:msb=0,lsb=-5,ovf=0,round=even,overflow=wrap",
    "even_saturate": "window:msb=3,lsb=-2,ovf=2,round=even,overflow=saturate",
    "odd_saturate": "window:msb=3,lsb=-4,ovf=1,round=odd,overflow=saturate",
    "stochastic": "window:msb=5,lsb=-3,ovf=1,round=stochastic,seed=2,bits=6,overflow=wrap",
}


def run(datapath: Datapath, stimulus: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """Feed rows of (a, b, present, last); return (bits, status) of each cycle's result."""
    dut = Element(datapath)
    clear = (0, 0, 0, 1)  # what admission sends after reset
    results = pipeline(
        dut,
        [clear, *stimulus],
        inputs=[dut.a, dut.b, dut.present, dut.last],
        outputs=[dut.bits, dut.status],
        latency=dut.latency,
    )
    return results[1:]


def check_pairs(datapath: Datapath, *, one_in: int = 1) -> None:
    """Check every pair of patterns (or one in so many) as a block of its own, one a cycle."""
    a, b = (np.arange(1 << fmt.width, dtype=np.uint64) for fmt in (datapath.a, datapath.b))
    bits, status = gemm_bits(a[:, np.newaxis], b[np.newaxis, :], datapath, lanes=(1, 1))
    # A step that shares no factor with the patterns' numbers meets all values of both operands.
    chosen = range(0, a.size * b.size, one_in)
    pairs = [divmod(index, b.size) for index in chosen]
    results = run(datapath, [(x, y, 1, 1) for x, y in pairs])
    wrong = [
        (pair, result, (int(bits[pair]), int(status[pair])))
        for pair, result in zip(pairs, results, strict=True)
        if result != (bits[pair], status[pair])
    ]
    assert wrong == []


FLOAT_PAIRS = [("e4m3", "e4m3"), ("e5m2", "e5m2"), ("e4m3", "e5m2")]
SMALL_PAIRS = [
    ("int4", "int4"),
    ("uint4", "uint4"),
    ("uint4", "int4"),
    ("fixed:2,3", "uint3"),
    ("int4", "float:3,2"),
    ("e2m1", "e2m1"),
    ("e2m1", "e3m2"),
    ("float:3,2", "float:2,1"),
]
INTEGER_WINDOWS = {
    "all": "window:msb=8,lsb=0,ovf=1",
    "truncating": "window:msb=7,lsb=3,ovf=0",
    "even_wrap": "window:msb=4,lsb=2,ovf=0,round=even,overflow=wrap",
    "even_saturate": "window:msb=5,lsb=1,ovf=2,round=even,overflow=saturate",
    "above": "window:msb=12,lsb=9,ovf=1,round=even",
    "odd": "window:msb=5,lsb=2,ovf=1,round=odd,overflow=saturate",
    "odd_wrap": "window:msb=2,lsb=1,ovf=0,round=odd,overflow=wrap",
    "stochastic": "window:msb=7,lsb=2,ovf=1,round=stochastic,seed=11,bits=3",
    "stochastic_wrap": "window:msb=2,lsb=1,ovf=0,round=stochastic,seed=5,overflow=wrap",
    "above_odd": "window:msb=20,lsb=12,ovf=1,round=odd",
    "above_zero": "window:msb=20,lsb=12,ovf=1",
    "below": "window:msb=-2,lsb=-5,ovf=3,overflow=saturate",
    "fractions": "window:msb=1,lsb=-3,ovf=1,overflow=wrap",
}


@pytest.mark.parametrize("acc", INTEGER_WINDOWS.values(), ids=INTEGER_WINDOWS)
@pytest.mark.parametrize("pair", SMALL_PAIRS, ids="-".join)
def test_every_pair_of_small_operands_equals_the_model(pair, acc):
    check_pairs(Datapath.parse(a=pair[0], b=pair[1], acc=acc, out="raw"))


@pytest.mark.parametrize("acc", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("pair", FLOAT_PAIRS, ids="-".join)
def test_a_spread_of_pairs_of_eight_bit_floats_equals_the_model(pair, acc):
    check_pairs(Datapath.parse(a=pair[0], b=pair[1], acc=acc, out="raw"), one_in=31)


@pytest.mark.slow
@pytest.mark.parametrize("acc", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("pair", FLOAT_PAIRS, ids="-".join)
def test_every_pair_of_eight_bit_floats_equals_the_model(pair, acc):
    check_pairs(Datapath.parse(a=pair[0], b=pair[1], acc=acc, out="raw"))


@pytest.mark.parametrize("out", ["e5m2", "e4m3:overflow=nan", "int8"])
def test_specials_reach_the_result(out):
    # Every exponent with three fractions of a, against every special and a few numbers of b.
    datapath = Datapath.parse(a="e5m2", acc="window:msb=9,lsb=-12,ovf=1", out=out)
    others = [0x00, 0x80, 0x3C, 0xBC, 0x7B, 0x7C, 0xFC, 0x7D, 0xFF]
    pairs = [(x, y) for x in range(256) for y in others]
    a, b = (np.array(side, dtype=np.uint64) for side in zip(*pairs, strict=True))
    expected = [
        tuple(int(value[0, 0]) for value in gemm_bits(x.reshape(1, 1), y.reshape(1, 1), datapath))
        for x, y in zip(a, b, strict=True)
    ]
    assert run(datapath, [(x, y, 1, 1) for x, y in pairs]) == expected


SEQUENCES = {
    "bf16": {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9"},
    "e5m2_wrap": {"a": "e5m2", "acc": "window:msb=2,lsb=-6,ovf=1,overflow=wrap", "out": "raw"},
    "e4m3_nan": {"a": "e4m3", "acc": "window:msb=5,lsb=-6,ovf=1", "out": "e5m2"},
    "e4m3_saturate": {
        "a": "e4m3",
        "acc": "window:msb=3,lsb=-6,ovf=0,round=even,overflow=saturate",
        "out": "raw",
    },
    "int4_float": {"a": "int4", "b": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=2,round=even"},
    "e4m3_odd": {"a": "e4m3", "acc": "window:msb=5,lsb=-3,ovf=4,round=odd", "out": "raw"},
    "e4m3_stochastic": {
        "a": "e4m3",
        "acc": "window:msb=7,lsb=-2,ovf=4,round=stochastic,overflow=saturate",
        "out": "raw",
    },
    "int8_odd": {"a": "int8", "acc": "window:msb=14,lsb=5,ovf=3,round=odd", "out": "raw"},
    "int8_stochastic": {
        "a": "int8",
        "acc": "window:msb=13,lsb=6,ovf=3,round=stochastic,seed=70000",
        "out": "raw",
    },
    "posit8_stochastic": {
        "a": "posit8",
        "acc": "window:msb=9,lsb=-2,ovf=3,round=stochastic,seed=8,bits=3",
    },
    "int8_wrap": {"a": "int8", "acc": "int:16"},
    "int8_saturate": {"a": "int8", "acc": "int:16,overflow=saturate"},
    "uint4_even": {"a": "uint4", "acc": "window:msb=7,lsb=2,ovf=1,round=even", "out": "raw"},
}


def operands(rng: random.Random, fmt: Format, count: int) -> np.ndarray:
    """Patterns of numbers of ordinary size, sometimes of any kind (NaN among them)."""
    if rng.random() < 0.9:
        return fmt.from_float(np.array([rng.gauss(0, 2) for _ in range(count)]))
    return np.array([rng.randrange(1 << fmt.width) for _ in range(count)])


@pytest.mark.parametrize("names", SEQUENCES.values(), ids=SEQUENCES)
def test_blocks_with_bubbles_between_their_terms_equal_the_model(names):
    datapath = Datapath.parse(**names)
    rng = random.Random(7)
    stimulus, expected = [], {}
    for _ in range(60):
        terms = rng.choice([1, 1, 2, 3, 8, 20])
        a, b = (operands(rng, fmt, terms) for fmt in (datapath.a, datapath.b))
        for index in range(terms):
            while rng.random() < 0.2:  # a bubble: whatever the wires hold, or zeros for integers
                anything = (rng.randrange(1 << datapath.a.width), 1)
                stimulus.append((*((0, 0) if datapath.integer_operands else anything), 0, 0))
            stimulus.append((int(a[index]), int(b[index]), 1, index == terms - 1))
        bits, status = gemm_bits(a[np.newaxis, :], b[:, np.newaxis], datapath)
        expected[len(stimulus) - 1] = (int(bits[0, 0]), int(status[0, 0]))
    results = run(datapath, stimulus)
    assert {cycle: results[cycle] for cycle in expected} == expected


def test_an_end_without_operands_starts_a_new_sum():
    datapath = Datapath.parse(a="int4", acc="int:12")
    stimulus = [(7, 7, 1, 0), (7, 7, 1, 0), (0, 0, 0, 1), (2, 3, 1, 0), (1, 1, 1, 1)]
    assert run(datapath, stimulus)[-1] == (7, 0)


def test_what_comes_from_below_passes_in_every_cycle_without_a_result_of_its_own():
    datapath = Datapath.parse(a="int4", acc="int:12")
    dut = ProcessingElement(align(datapath))
    # Row i: the operands 1 * i, the block's end in every third row, and i * 16 from below.
    rows = [(1, cycle, cycle % 3 == 2, cycle * 16) for cycle in range(24)]
    delay = dut.latency - SUM_LATENCY
    shifted = [
        (*rows[i][:3], rows[i - delay][3] if i >= delay else 0) if i < len(rows) else (0, 0, 0, 0)
        for i in range(len(rows))
    ]
    inputs = [dut.a_in.value, dut.b_in.value, dut.last_in, dut.drain_in.value]
    results = pipeline(
        dut,
        [(a, (b + 8) % 16 - 8, last, below) for a, b, last, below in shifted],
        inputs=inputs,
        outputs=[dut.drain_out.value],
        latency=dut.latency,
    )
    signed = [(b + 8) % 16 - 8 for _, b, _, _ in rows]
    expected = [
        sum(signed[i - 2 : i + 1]) if rows[i][2] else rows[i][3] for i in range(len(rows) - delay)
    ]
    assert [value for (value,) in results[: len(expected)]] == expected


def test_operands_pass_on_after_one_cycle():
    datapath = Datapath.parse(a="int4", acc="int:12")
    dut = ProcessingElement(align(datapath))
    rows = [(cycle % 8, -(cycle % 7), cycle % 2) for cycle in range(20)]
    results = pipeline(
        dut,
        rows,
        inputs=[dut.a_in.value, dut.b_in.value, dut.last_in],
        outputs=[dut.a_out.value, dut.b_out.value, dut.last_out],
        latency=OPERAND_LATENCY,
    )
    assert results == rows
