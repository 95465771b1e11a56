"""The constants of the rounders' normalising shift."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import normalise, rounder_columns, rounding_stages

OUTPUTS = ["e4m3", "e5m2", "float:2,1", "bf16", "fp16", "fp32", "fp64"]
WINDOWS = [(5, -30, 9), (0, -3, 0), (-140, -170, 2), (-1, -140, 1), (30, 10, 4), (200, -200, 9)]


def cases() -> list[Datapath]:
    return [
        Datapath.parse(a="e5m2", acc=f"window:msb={msb},lsb={lsb},ovf={ovf}", out=out)
        for out, (msb, lsb, ovf) in itertools.product(OUTPUTS, WINDOWS)
    ]


@pytest.mark.parametrize("datapath", cases(), ids=str)
def test_the_digits_make_up_every_shift_and_little_more(datapath):
    spec = normalise(datapath)
    places = [place + index for place, size in spec.digits for index in range(size)]
    assert sorted(places) == list(range(spec.max_shift.bit_length()))
    firsts = [place for place, _ in spec.digits]
    assert firsts == sorted(firsts, reverse=True)
    sizes = [size for _, size in spec.digits]
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert max(sizes, default=0) <= 3


@pytest.mark.parametrize("datapath", cases(), ids=str)
def test_the_field_has_room_for_a_significand_its_guard_and_the_whole_register(datapath):
    spec, out, window = normalise(datapath), datapath.out, datapath.window
    assert spec.width >= out.fraction_bits + 2
    assert spec.width >= window.width - 1 + spec.pad_low
    assert spec.top_field >= 1
    assert spec.max_shift >= 0


@pytest.mark.parametrize("datapath", cases(), ids=str)
def test_the_fields_top_bit_weighs_what_its_exponent_says(datapath):
    spec, out, window = normalise(datapath), datapath.out, datapath.window
    top_weight = window.lsb - spec.pad_low + spec.width - 1
    least_normal = Fraction(2) ** (out.min_exponent + out.fraction_bits)
    assert Fraction(2) ** top_weight == least_normal * Fraction(2) ** (spec.top_field - 1)


@pytest.mark.parametrize("datapath", cases(), ids=str)
def test_the_longest_shift_ends_at_the_subnormals_or_past_the_last_bit(datapath):
    spec = normalise(datapath)
    if spec.bounded:
        # The smallest normal number, or what is left of it, has come to the top.
        assert spec.top_field - spec.max_shift == 1
    else:
        assert spec.max_shift == spec.width - spec.pad_low
        assert spec.top_field - spec.max_shift >= 1


@pytest.mark.parametrize(
    ("out", "stages"), [("raw", 0), ("int8", 1), ("fixed:4,4", 1), ("fp32", 4), ("float:2,1", 4)]
)
def test_a_rounder_takes_the_stages_of_its_kind(out, stages):
    datapath = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9", out=out)
    assert rounding_stages(datapath) == stages


@pytest.mark.parametrize(
    ("out", "cols", "columns"),
    [("fp32", 8, 2), ("fp32", 2, 2), ("fp32", 1, 1), ("raw", 8, 1), ("int8", 8, 1)],
)
def test_neighbours_share_a_rounder_to_a_float(out, cols, columns):
    datapath = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9", out=out)
    assert rounder_columns(datapath, cols) == columns
