"""Sums of scale blocks at the edge: scaled as rational arithmetic says, and added in turn."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from hwgen.formats.base import Kind
from hwgen.formats.block import BlockScaled
from hwgen.formats.scale import decode_scale
from hwgen.rtl.block_sum import BlockScaler, RegisterFile
from hwgen.spec.accumulator import Overflow, Rounding
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from sim.pysim import pipeline

DATAPATHS = {
    "mxfp4": {"a": "mxfp4:block=3", "acc": "window:msb=5,lsb=-30,ovf=9"},
    "mxfp4_even": {"a": "mxfp4", "acc": "window:msb=3,lsb=-2,ovf=1,round=even,overflow=saturate"},
    "mxint8_odd": {"a": "mxint8", "acc": "window:msb=7,lsb=-3,ovf=1,round=odd,overflow=wrap"},
    "mxfp8_wide": {"a": "mxfp8", "acc": "window:msb=300,lsb=-300,ovf=1"},
    "nvfp4": {"a": "nvfp4", "acc": "window:msb=9,lsb=-6,ovf=1,round=even"},
    "nvfp4_exact": {"a": "nvfp4", "acc": "window:msb=30,lsb=-30,ovf=1"},
    "mixed": {"a": "nvfp4", "b": "mxint8:block=16", "acc": "window:msb=6,lsb=-9,ovf=1,round=odd"},
    "e5m2": {"a": "mxfp8:element=e5m2", "acc": "window:msb=12,lsb=-12,ovf=1,round=even"},
    "no_multiplier": {"a": "mxfp4", "acc": "window:msb=5,lsb=-9,ovf=1", "target": "ice40"},
}


def scale(fmt: BlockScaled, bits: int):
    return decode_scale(fmt.scale, bits)


def summand(path: Datapath, value: int, a_scale: int, b_scale: int):
    """Return the rounded summand in units of lsb, and whether it is out of range, inexact, NaN."""
    numbers = [scale(path.a, a_scale), scale(path.b, b_scale)]
    if any(number.kind is Kind.NAN for number in numbers):
        return 0, False, False, True
    product = value * Fraction(2) ** path.elements.window.lsb
    for number in numbers:
        product *= number.fraction
    units = abs(product) / Fraction(2) ** path.window.lsb
    whole = int(units)
    inexact = units != whole
    if path.window.rounding is Rounding.EVEN:
        whole = round(units)
    elif path.window.rounding is Rounding.ODD and inexact:
        whole |= 1
    exceeds = units >= 1 << path.window.summand_bits
    if exceeds and path.window.overflow is Overflow.SATURATE:
        whole = (1 << path.window.summand_bits) - 1
    return -whole if product < 0 else whole, exceeds, inexact, False


def cases(path: Datapath, count: int) -> list[tuple[int, int, int]]:
    """Sums of every magnitude under scales that put most of them near the window."""
    rng = random.Random(1)
    bits = path.elements.window.width - 1
    chosen = []
    while len(chosen) < count:
        value = rng.getrandbits(rng.randrange(bits + 1)) << rng.choice([0, 0, rng.randrange(bits)])
        value &= (1 << bits) - 1
        a_scale, b_scale = rng.getrandbits(8), rng.getrandbits(8)
        if rng.random() < 0.9 and path.a.scale is path.b.scale and path.a.scale.value == "e8m0":
            b_scale = max(0, min(255, 254 - a_scale + rng.randrange(-60, 60)))
        chosen.append((rng.choice([value, -value]), a_scale, b_scale))
    return chosen


SLOW = {"no_multiplier"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in DATAPATHS],
)
def test_a_scaled_sum_is_that_of_rational_arithmetic(name: str) -> None:
    words = DATAPATHS[name]
    path = Datapath.parse(**words | {"acc": f"{words['acc']},per=block"})
    dut = BlockScaler(path)
    fields = list(dut.summand.shape().members)
    chosen = cases(path, 1500)
    results = pipeline(
        dut,
        chosen,
        inputs=[dut.sum.value, dut.a_scale, dut.b_scale],
        outputs=[dut.summand[name] for name in fields],
        latency=dut.latency,
    )
    skew = align(path).skew
    for case, result in zip(chosen, results[: len(chosen) - skew], strict=False):
        got = dict(zip(fields, result, strict=True))
        value, exceeds, inexact, nan = summand(path, *case)
        flags = (got.get("exceeds", 0), got.get("inexact", 0))
        assert flags == (exceeds, inexact), case
        if "nan" in got:
            assert got["nan"] == nan, case
        if skew:
            continue  # its parts come in different cycles: the core's tests look at them
        wraps = path.window.overflow is Overflow.WRAP
        if not exceeds or path.window.overflow is Overflow.SATURATE or wraps:
            difference = got["value"] + got.get("carry", 0) - value
            assert difference % (1 << path.window.width if wraps else 1 << 999) == 0, case


def test_registers_keep_apart_sums_that_are_added_to_in_turn() -> None:
    path = Datapath.parse(a="mxfp4", acc="window:msb=5,lsb=-8,ovf=3,overflow=saturate,per=block")
    dut = RegisterFile(align(path), 4)
    rng = random.Random(2)
    limit = 1 << (path.window.width - 1)
    sums, stimulus, expected = [0] * 4, [], []
    before = 0
    for _ in range(400):
        address = rng.choice([place for place in range(4) if place != before])
        before = address
        valid, first = rng.random() < 0.8, rng.random() < 0.1
        value = rng.randrange(-1 << 10, 1 << 10)
        stimulus.append((valid, first, address, value))
        total = (0 if first else sums[address]) + value
        total = max(-limit, min(limit - 1, total))
        if valid:
            sums[address] = total
        expected.append(total)
    # The token goes a cycle ahead of its summand.
    values = [0, *(row[3] for row in stimulus)]
    tokens = [*(row[:3] for row in stimulus), (0, 0, 0)]
    results = pipeline(
        dut,
        [(*token, value) for token, value in zip(tokens, values, strict=True)],
        inputs=[dut.token.valid, dut.token.first, dut.token.address, dut.summand.value],
        outputs=[dut.partial.value],
        latency=1 + dut.latency,
    )
    assert [value for (value,) in results[: len(expected)]] == expected
