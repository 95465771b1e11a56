"""Timing formulas: what they add up to, and that the output buffer suffices for full rate."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import Pipeline
from hwgen.spec.timing import summand_stages, timing, unpack_stages

W45 = "window:msb=5,lsb=-30,ovf=9"
PATHS = {
    "bf16": {"a": "bf16", "acc": W45},
    "e4m3": {"a": "e4m3", "acc": "exact"},
    "fp64": {"a": "fp64", "acc": "exact"},
    "int8": {"a": "int8", "acc": "int:32"},
    "mixed": {"a": "int4", "b": "bf16", "acc": W45, "out": "bf16"},
    "raw": {"a": "fp32", "acc": W45, "out": "raw"},
}


def design_of(name: str, rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**PATHS[name]), rows=rows, cols=cols)


@pytest.mark.parametrize(
    ("name", "unpack", "summand"),
    [("bf16", 1, 2), ("e4m3", 1, 2), ("int8", 0, 1), ("mixed", 1, 2), ("raw", 1, 4)],
)
def test_stages_of_the_usual_datapaths(name, unpack, summand):
    spec = align(Datapath.parse(**PATHS[name]))
    assert (unpack_stages(spec), summand_stages(spec)) == (unpack, summand)


@pytest.mark.parametrize("name", PATHS)
def test_a_column_more_takes_a_cycle_more_and_a_row_none(name):
    base = timing(design_of(name, 4, 4))
    assert timing(design_of(name, 4, 5)).first_result == base.first_result + 1
    assert timing(design_of(name, 9, 4)).first_result == base.first_result


@pytest.mark.parametrize("name", PATHS)
def test_the_parts_of_the_latency_are_told(name):
    design = design_of(name, 3, 4)
    when = timing(design)
    assert when.unpack == unpack_stages(align(design.datapath))
    assert when.summand == summand_stages(align(design.datapath))
    assert when.cycles(7, design.rows) == 7 + when.first_result + 2 * 2


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 64])
def test_blocks_of_two_beats_a_row_are_never_closer_than_the_array_allows(name, rows):
    for cols in (1, 2, 5):
        when = timing(design_of(name, rows, cols))
        assert 2 * rows - 1 <= when.block_interval <= 2 * rows


@pytest.mark.parametrize("target", [None, "asic"])
@pytest.mark.parametrize("name", PATHS)
def test_the_output_buffer_holds_what_full_rate_brings_under_way(name, target):
    for rows, cols in itertools.product([1, 2, 3, 4, 7, 8, 16, 33], [1, 2, 3, 8, 40]):
        design = design_of(name, rows, cols)
        if target is not None:
            path = replace(design.datapath, pipeline=Pipeline.of(target))
            design = replace(design, datapath=path)
        when = timing(design)
        assert target == "asic" or when.buffer_rows & (when.buffer_rows - 1) == 0
        ends = range(0, 40 * 2 * rows, 2 * rows)
        taken = [
            end + when.first_result + when.row_interval * row for end in ends for row in range(rows)
        ]
        for number, end in enumerate(ends):
            # Admission decides a cycle ahead, and counts the row that is taken in that cycle.
            waiting = rows * number - sum(cycle <= end - 1 for cycle in taken)
            assert waiting + rows <= when.buffer_rows, (rows, cols, number)
