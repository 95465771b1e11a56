"""Rounders to posits: every register of small windows, chosen ones of wide windows."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from partials import check_rounder, flag_names, value_range

from hwgen.rtl.round import rounder_class
from hwgen.rtl.round_posit import PositRounder
from hwgen.spec.accumulator import Overflow
from hwgen.spec.datapath import Datapath

INVALID, OVERFLOW, INEXACT = 1, 2, 4


def expected(datapath: Datapath, value: int, flags: dict[str, int]) -> tuple[int, int]:
    """Result and status of a finished accumulator, from arithmetic.md sections 3 and 4."""
    window, out = datapath.window, datapath.out
    half = 1 << (window.width - 1)
    register = (value + half) % (2 * half) - half
    event = bool(flags.get("overflow")) or register != value
    plus, minus = flags.get("positive_inf", 0), flags.get("negative_inf", 0)
    nan = flags.get("nan", 0) or (plus and minus) or (event and window.overflow is Overflow.NAN)
    status = OVERFLOW * event | INEXACT * flags.get("inexact", 0)
    if nan:
        return out.nan_bits, status | INVALID
    if plus or minus:
        return out.nan_bits, status | INVALID | OVERFLOW | INEXACT
    encoding = out.encode(register * Fraction(2) ** window.lsb)
    status |= OVERFLOW * encoding.overflow | INEXACT * encoding.inexact
    return encoding.bits, status


def check(datapath: Datapath, cases: list[tuple[int, dict[str, int]]]) -> None:
    assert rounder_class(datapath) is PositRounder
    check_rounder(datapath, cases, expected)


def plain(datapath: Datapath, values) -> list[tuple[int, dict[str, int]]]:
    none = dict.fromkeys(flag_names(datapath), 0)
    return [(value, none) for value in values]


@pytest.mark.parametrize(
    "out", ["posit8", "posit:8,0", "posit:8,4", "posit3", "posit:3,0", "posit:6,1", "posit16"]
)
@pytest.mark.parametrize("lsb", [-70, -30, -27, -13, -8, -5, -1, 0, 3, 17, 23, 60])
def test_every_register_rounds_correctly_to_a_posit(out, lsb):
    datapath = Datapath.parse(a="e5m2", acc=f"window:msb={lsb + 5},lsb={lsb},ovf=2", out=out)
    check(datapath, plain(datapath, value_range(datapath)))


@pytest.mark.parametrize("width", [2, 3, 4, 10, 11])
@pytest.mark.parametrize("out", ["posit8", "posit:5,0", "posit32"])
def test_every_register_of_any_width_rounds_correctly(width, out):
    acc = f"window:msb={width - 5},lsb=-4,ovf=0"
    datapath = Datapath.parse(a="e5m2", acc=acc, out=out)
    assert datapath.window.width == width
    check(datapath, plain(datapath, value_range(datapath)))


@pytest.mark.parametrize("out", ["posit8", "posit:5,0"])
@pytest.mark.parametrize("operand", ["e5m2", "e4m3", "int4"])
@pytest.mark.parametrize("overflow", ["nan", "saturate", "wrap"])
def test_every_kind_of_flag_and_range_event_is_told(out, operand, overflow):
    acc = f"window:msb=-1,lsb=-4,ovf=2,overflow={overflow}"
    datapath = Datapath.parse(a=operand, acc=acc, out=out)
    names = flag_names(datapath)
    values = value_range(datapath)
    corners = sorted({0, 1, -1, 5, -7, values[0], values[-1], values[-1] // 2})
    cases = [
        (value, dict(zip(names, bits, strict=True)))
        for bits in itertools.product((0, 1), repeat=len(names))
        for value in corners
    ]
    check(datapath, cases)


def near_ties(datapath: Datapath, rng: random.Random, count: int) -> list[int]:
    """Registers of every size: random, posits, ties between two posits, and next to those."""
    values, out, lsb = value_range(datapath), datapath.out, datapath.window.lsb
    result = [0, 1, -1, values[0], values[-1]]
    for _ in range(count):
        length = rng.randrange(1, values[-1].bit_length() + 1)
        value = rng.getrandbits(length) | 1 << (length - 1)
        bits = out.encode(value * Fraction(2) ** lsb).bits
        if rng.randrange(3) and bits < out.nan_bits - 1:
            # The posit of one bit more between two neighbours is the tie of their bit strings.
            finer = type(out)(width=out.width + 1, exponent_bits=out.exponent_bits)
            tie = finer.decode(2 * bits + rng.randrange(2)).fraction / Fraction(2) ** lsb
            value = int(tie) + rng.choice((-1, 0, 0, 1))
        result.append(min(max(rng.choice((-1, 1)) * value, values[0]), values[-1]))
    return result


@pytest.mark.parametrize(
    ("operand", "acc", "out"),
    [
        ("posit8", "exact", "posit8"),
        ("posit16", "exact", "posit16"),
        ("posit:12,1", "exact", "posit:12,1"),
        ("bf16", "window:msb=5,lsb=-30,ovf=9", "posit16"),
        ("fp32", "window:msb=30,lsb=-80,ovf=30,overflow=wrap", "posit:31,1"),
        ("bf16", "window:msb=200,lsb=-30,ovf=9,overflow=saturate", "posit8"),
        ("int8", "int:32", "posit:16,0"),
    ],
)
def test_chosen_registers_of_a_wide_window_round_correctly(operand, acc, out):
    datapath = Datapath.parse(a=operand, acc=acc, out=out)
    check(datapath, plain(datapath, near_ties(datapath, random.Random(1), 1000)))
