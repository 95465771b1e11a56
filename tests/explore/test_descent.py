"""The order in which windows are tried: what is found, and how little is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hwgen.explore.candidates import BASELINE, Candidate, Operands, parse_operands
from hwgen.explore.descent import Start, descend
from hwgen.spec.accumulator import Overflow, Window

BF16 = Operands(a="bf16", b="bf16", out="fp32")
SAFE = Window(msb=6, lsb=-30, ovf=6)
TIGHT = Window(msb=5, lsb=-30, ovf=4)


def walk(judge, *, safe=SAFE, tight=TIGHT, together=1, designs=4, operands=BF16):
    """Run a descent to its end; return every candidate in the order of asking."""
    descent = descend(
        Start(operands=operands, safe=safe, tight=tight), together=together, designs=designs
    )
    asked: list[Candidate] = []
    batch = next(descent)
    while True:
        asked += batch
        try:
            batch = descent.send([judge(candidate) for candidate in batch])
        except StopIteration:
            return asked


def needs(lsb: int, top: int, saturated_top: int | None = None):
    """A program that needs bits down to ``lsb`` and a sign bit at ``top``."""

    def judge(candidate: Candidate) -> bool:
        if candidate.baseline:
            return True
        window = candidate.window
        saturates = window.overflow is Overflow.SATURATE
        least = saturated_top if saturates and saturated_top is not None else top
        return window.lsb <= lsb and window.msb + window.ovf >= least

    return judge


def narrowest(judge, asked):
    able = [one for one in asked if judge(one) and not one.baseline]
    return min(able, key=lambda one: one.width).window


@pytest.mark.parametrize("together", [1, 2, 3, 8])
@pytest.mark.parametrize("lsb", [-30, -29, -17, -1, 5])
@pytest.mark.parametrize("top", [5, 7, 9])
def test_the_narrowest_window_that_does_is_found(lsb, top, together):
    judge = needs(lsb, top, top)
    best = narrowest(judge, walk(judge, together=together))
    # A register has two bits or more.
    assert (best.lsb, best.msb + best.ovf) == (min(lsb, top - 1), top)


def test_saturation_is_tried_where_overflow_no_longer_does():
    judge = needs(-12, 8, 6)
    best = narrowest(judge, walk(judge))
    assert best.overflow is Overflow.SATURATE
    assert (best.lsb, best.msb + best.ovf) == (-12, 6)


def test_bisection_asks_for_few_windows():
    judge = needs(-12, 8, 8)
    asked = walk(judge, designs=2)
    assert len(set(asked)) <= 16


def test_a_failure_excludes_all_that_is_narrower():
    judge = needs(-12, 8, 8)
    failed: list[Window] = []

    def checked(candidate: Candidate) -> bool:
        if not candidate.baseline:
            window = candidate.window
            for other in failed:
                same = window.overflow is other.overflow
                narrower = window.lsb >= other.lsb and window.msb + window.ovf <= (
                    other.msb + other.ovf
                )
                assert not (same and narrower), (window, other)
            if not judge(candidate):
                failed.append(window)
        return judge(candidate)

    walk(checked)
    assert failed


def test_formats_whose_widest_window_fails_are_left_at_once():
    asked = walk(lambda candidate: candidate.baseline)
    assert [one.acc for one in asked] == [str(SAFE), BASELINE]


def test_a_safe_descent_never_gives_up_range():
    judge = needs(-12, 5, 5)
    asked = walk(judge, tight=SAFE)
    windows = [one.window for one in asked if not one.baseline]
    assert {(window.msb, window.ovf) for window in windows} == {(6, 6)}
    assert max(window.lsb for window in windows if judge(Candidate.of(BF16, window))) == -12


def test_a_range_too_tight_falls_back_to_the_safe_one():
    judge = needs(-12, 12, 12)  # as if errors had made the data larger
    best = narrowest(judge, walk(judge))
    assert (best.lsb, best.msb + best.ovf) == (-12, 12)


def test_the_front_gets_steps_between_the_finest_and_the_coarsest():
    judge = needs(-6, 8, 8)
    asked = walk(judge, designs=5)
    able = sorted({one.window.lsb for one in asked if not one.baseline and judge(one)})
    steps = [after - before for before, after in pairwise(able)]
    assert {-30, -24, -18, -12, -6} <= set(able)
    assert max(steps) <= 6


def test_operands_without_a_conventional_unit_have_no_baseline():
    asked = walk(needs(-12, 8, 8), operands=Operands(a="posit8", b="posit8", out="fp32"))
    assert all(one.datapath for one in asked)


@pytest.mark.parametrize(
    ("text", "mixed", "found"),
    [
        ("bf16", False, ["bf16"]),
        ("bf16, e4m3,bf16", False, ["bf16", "e4m3"]),
        ("fixed:1,7,bf16/e4m3", False, ["fixed:1,7", "bf16/e4m3"]),
        ("mxfp8:element=e5m2,block=16,fp32", False, ["mxfp8:element=e5m2,block=16", "fp32"]),
        ("bf16,e4m3", True, ["bf16", "e4m3", "bf16/e4m3", "e4m3/bf16"]),
    ],
)
def test_lists_of_formats_are_read(text, mixed, found):
    assert [one.text for one in parse_operands(text, mixed=mixed)] == found


def test_wide_operands_get_wide_results():
    assert [one.out for one in parse_operands("bf16,fp64")] == ["fp32", "fp64"]
    assert parse_operands("fp64", out="fp32")[0].out == "fp32"
