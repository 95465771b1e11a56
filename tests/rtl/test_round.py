"""Rounders: every register of small windows, chosen ones of wide windows, against fractions."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from partials import check_rounder, flag_names, value_range

from hwgen.formats.base import Kind
from hwgen.spec.accumulator import Overflow
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import rounding_stages

INVALID, OVERFLOW, INEXACT = 1, 2, 4

FLOATS = [
    "e4m3",
    "e4m3:overflow=nan",
    "e5m2",
    "e5m2:overflow=saturate",
    "float:2,1",
    "float:3,2",
    "float:6,3",
    "bf16",
    "fp32",
]
FIXED = ["int2", "int4", "uint3", "int16", "fixed:3,2", "ufixed:2,3", "fixed:2,9", "uint1"]


def expected(datapath: Datapath, value: int, flags: dict[str, int]) -> tuple[int, int]:
    """Result and status of a finished accumulator, from arithmetic.md sections 3 and 4."""
    window, out = datapath.window, datapath.out
    register = (value + (1 << (window.width - 1))) % (1 << window.width) - (1 << (window.width - 1))
    event = bool(flags.get("overflow")) or register != value
    plus, minus = flags.get("positive_inf", 0), flags.get("negative_inf", 0)
    nan = flags.get("nan", 0) or (plus and minus) or (event and window.overflow is Overflow.NAN)
    status = OVERFLOW * event | INEXACT * flags.get("inexact", 0)
    if out is None:
        if nan or plus or minus:
            return 0, status | INVALID
        return register % (1 << window.width), status
    if nan:
        return out.nan_bits, status | INVALID
    if plus or minus:
        encoding = out.encode(float("-inf" if minus else "inf"))
        beyond = not out.has_inf
        bits = encoding.bits
    else:
        encoding = out.encode(register * Fraction(2) ** window.lsb)
        bits, beyond = encoding.bits, encoding.overflow
        status |= INEXACT * encoding.inexact
    if beyond:
        status |= OVERFLOW | INEXACT
        status |= INVALID * (out.decode(bits).kind is Kind.NAN)
    return bits, status


def every_value(datapath: Datapath) -> list[tuple[int, dict[str, int]]]:
    """All values without flags, and some values with every combination of flags."""
    names = flag_names(datapath)
    values = value_range(datapath)
    cases = [(value, dict.fromkeys(names, 0)) for value in values]
    width = datapath.window.width
    corners = {0, 1, -1, 5, -7, (1 << (width - 1)) - 1, -(1 << (width - 1)), values[0], values[-1]}
    for bits in itertools.product((0, 1), repeat=len(names)):
        cases += [(value, dict(zip(names, bits, strict=True))) for value in sorted(corners)]
    return cases


def datapath_of(operand: str, *, lsb: int, width: int, out: str, options: str = "") -> Datapath:
    acc = f"window:msb={lsb + width - 3},lsb={lsb},ovf=2{options}"
    return Datapath.parse(a=operand, acc=acc, out=out)


@pytest.mark.parametrize("out", FLOATS)
@pytest.mark.parametrize("lsb", [-150, -24, -18, -12, -9, -6, -3, 0, 5, 9, 122])
def test_every_register_rounds_correctly_to_a_float(out, lsb):
    datapath = datapath_of("e5m2", lsb=lsb, width=8, out=out)
    check_rounder(datapath, every_value(datapath), expected)


@pytest.mark.parametrize("out", FIXED)
@pytest.mark.parametrize("lsb", [-30, -9, -5, -3, -1, 0, 2, 7])
def test_every_register_rounds_correctly_to_fixed_point(out, lsb):
    datapath = datapath_of("e5m2", lsb=lsb, width=7, out=out)
    check_rounder(datapath, every_value(datapath), expected)


@pytest.mark.parametrize("out", ["raw", "e4m3:overflow=nan", "float:2,1", "int4"])
@pytest.mark.parametrize("operand", ["e5m2", "e4m3", "int4"])
@pytest.mark.parametrize("overflow", ["nan", "saturate", "wrap"])
def test_every_kind_of_flag_and_range_event_is_told(out, operand, overflow):
    datapath = datapath_of(operand, lsb=-4, width=6, out=out, options=f",overflow={overflow}")
    check_rounder(datapath, every_value(datapath), expected)


@pytest.mark.parametrize("width", [2, 3, 4, 5, 9, 10])
@pytest.mark.parametrize("out", ["e4m3", "float:2,1", "fp32", "int4", "raw"])
def test_every_register_of_any_small_width_rounds_correctly(width, out):
    acc = f"window:msb={width - 5},lsb=-4,ovf=0,round=even"
    datapath = Datapath.parse(a="e5m2", acc=acc, out=out)
    assert datapath.window.width == width
    check_rounder(datapath, every_value(datapath), expected)


def wide_values(datapath: Datapath, rng: random.Random, count: int) -> list[int]:
    """Values of every size, many of them at or next to a tie of the result format."""
    values = value_range(datapath)
    precision = datapath.out.precision
    result = [0, 1, -1, values[0], values[-1]]
    for _ in range(count):
        length = rng.randrange(1, len(bin(values[-1])) - 1)
        value = rng.getrandbits(length) | 1 << (length - 1)
        drop = max(0, length - precision)
        choice = rng.randrange(3)
        if choice and drop:
            value = value >> drop << drop
            value += rng.choice((0, 1 << (drop - 1)))  # exact, or a tie
        if choice == 2:
            value += rng.choice((-1, 1))
        result.append(min(max(rng.choice((-1, 1)) * value, values[0]), values[-1]))
    return result


@pytest.mark.parametrize(
    ("operand", "acc", "out"),
    [
        ("bf16", "window:msb=5,lsb=-30,ovf=9", "fp32"),
        ("bf16", "window:msb=5,lsb=-30,ovf=9", "bf16"),
        ("bf16", "window:msb=5,lsb=-30,ovf=9,overflow=saturate", "e4m3"),
        ("fp32", "window:msb=30,lsb=-30,ovf=30,overflow=wrap", "fp64"),
        ("fp16", "exact", "fp16"),
        ("bf16", "exact:terms=64", "fp32"),
        ("fp32", "window:msb=-100,lsb=-160,ovf=3", "fp32"),
        ("bf16", "window:msb=5,lsb=-30,ovf=9", "int16"),
        ("int8", "int:32", "fixed:8,8"),
    ],
)
def test_chosen_registers_of_a_wide_window_round_correctly(operand, acc, out):
    datapath = Datapath.parse(a=operand, acc=acc, out=out)
    names = flag_names(datapath)
    rng = random.Random(1)
    cases = [(value, dict.fromkeys(names, 0)) for value in wide_values(datapath, rng, 1500)]
    check_rounder(datapath, cases, expected)


@pytest.mark.parametrize("freq", [180, 400])
@pytest.mark.parametrize("out", ["fp32", "bf16", "e4m3"])
def test_a_rounder_cut_for_a_high_frequency_rounds_alike_and_takes_longer(out, freq):
    words = {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": out}
    datapath = Datapath.parse(**words, target="ecp5", freq=freq)
    assert rounding_stages(datapath) > rounding_stages(Datapath.parse(**words))
    rng = random.Random(2)
    names = flag_names(datapath)
    cases = [(value, dict.fromkeys(names, 0)) for value in wide_values(datapath, rng, 500)]
    check_rounder(datapath, cases, expected)
