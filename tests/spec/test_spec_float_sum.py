"""Constants of floating-point sums: what the field must hold, and how the loop is cut."""

from __future__ import annotations

import pytest

from hwgen.formats.ieee import Float
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.float_conversion import conversion
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.rounding import rounding_stages
from hwgen.spec.timing import timing

PATHS = {
    "bf16": {"a": "bf16", "acc": "fma:fp32"},
    "fp32": {"a": "fp32", "acc": "fma:fp32,lanes=4"},
    "fp32_rounded": {"a": "fp32", "acc": "muladd:fp32"},
    "int8": {"a": "int8", "acc": "fma:fp16"},
    "tiny": {"a": "uint1", "acc": "fma:float:2,1,lanes=16"},
    "fp64_fp16": {"a": "fp64", "acc": "fma:fp16"},
}


def alignment(name: str) -> FloatAlignment:
    spec = align(Datapath.parse(**PATHS[name]))
    assert isinstance(spec, FloatAlignment)
    return spec


@pytest.mark.parametrize("name", PATHS)
def test_the_field_holds_an_addend_moved_by_one_and_a_significand_with_guard(name):
    spec = alignment(name)
    assert spec.fraction_bits >= spec.addend_bits
    assert spec.fraction_bits >= spec.precision + 1


@pytest.mark.parametrize("name", PATHS)
def test_a_shift_that_does_not_vanish_reaches_beyond_the_field(name):
    spec = alignment(name)
    furthest = max(spec.differences[-1], -spec.differences[0] - 1)
    assert min(furthest, spec.fraction_bits) < 1 << spec.right_places
    assert spec.groups * 4 >= spec.fraction_bits + 2


@pytest.mark.parametrize("name", PATHS)
def test_exponents_of_products_are_those_of_the_operands_formats(name):
    path = Datapath.parse(**PATHS[name])
    spec = alignment(name)
    least = spec.sum.format.min_exponent + spec.sum.format.fraction_bits
    largest = path.a.max_finite * path.b.max_finite
    smallest = 2.0 ** (path.a.min_exponent + path.b.min_exponent - least)
    # A product lies in [1, 4) times the power of two that its operands' exponents give.
    assert 2.0 ** spec.product_exponents[0] == smallest
    assert 2 ** (spec.product_exponents[-1] + least) <= largest * 2
    assert 2 ** (spec.product_exponents[-1] + least + 1) > largest


@pytest.mark.parametrize("lanes", range(1, 17))
def test_there_is_a_stage_a_lane_and_every_step_is_in_one(lanes):
    spec = align(Datapath.parse(a="fp32", acc=f"fma:fp32,lanes={lanes}"))
    assert len(spec.stages) == lanes
    assert [step for stage in spec.stages for step in stage] == spec.steps
    assert spec.stages[0], "the first stage is where sums are taken out of the loop"


def test_more_lanes_never_make_the_longest_stage_longer():
    longest = []
    for lanes in range(2, 17):
        spec = align(Datapath.parse(a="fp32", acc=f"fma:fp32,lanes={lanes}"))
        longest.append(max(sum(step.delay for step in stage) for stage in spec.stages))
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize(
    ("acc", "out", "stages"),
    [
        ("fma:fp32", "fp32", 1),
        ("fma:fp32", "bf16", 2),
        ("fma:fp32", "fp64", 3),
        ("fma:fp32", "fp16", 3),
        ("fma:fp16", "bf16", 3),
        ("fma:fp32", "fp32:overflow=saturate", 2),
    ],
)
def test_the_rounder_has_a_stage_for_each_shift_that_is_needed(acc, out, stages):
    assert rounding_stages(Datapath.parse(a="bf16", acc=acc, out=out)) == stages


def test_no_conversion_is_needed_to_the_sums_own_format():
    assert conversion(Datapath.parse(a="bf16", acc="fma:fp32")) is None


@pytest.mark.parametrize("lanes", [1, 2, 7])
def test_lanes_wait_for_the_first_one_and_are_added_in_turn(lanes):
    path = Datapath.parse(a="bf16", acc=f"fma:fp32,lanes={lanes}")
    when = timing(Design(datapath=path, rows=3, cols=2))
    # Lane 0 comes by a cycle after the last pair of a whole round, each of L - 1 sums L + 1 later.
    assert when.lane_cycles == (1 + (lanes - 1) * (lanes + 1) if lanes > 1 else 0)
    assert [when.lane_wait(beats) for beats in (lanes, 2 * lanes)] == [0, 0]
    assert when.lane_wait(1) == lanes - 1
    assert when.cycles(lanes, 3) == lanes + when.first_result + 4


def test_a_sum_has_an_ieee_format():
    spec = alignment("bf16")
    assert isinstance(spec.sum.format, Float)
    assert spec.max_exponent == spec.sum.format.max_exponent - (1 - spec.sum.format.bias)
