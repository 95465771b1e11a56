"""Adder cells: found by what they compute, and used where a product's rows are added."""

from __future__ import annotations

import pytest
from energy_cells import TEXT, adder, tiny_library

from hwgen.flow.asic import Conditions, estimate_asic
from hwgen.flow.cell_mapping import adders_verilog, find_adder
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

FULL, HALF = adder("FA", 30, "ABC"), adder("HA", 20, "AB")


def with_cells(*cells: str) -> str:
    return TEXT.removesuffix("}\n") + "".join(cells) + "}\n"


def test_adders_are_told_by_what_they_compute_and_the_smallest_is_taken():
    library = tiny_library(with_cells(adder("FA_LARGE", 50, "ABC"), FULL, HALF))
    full = find_adder(library, 3)
    assert (full.name, full.inputs, full.sum, full.carry) == ("FA", ("A", "B", "C"), "S", "CO")
    assert find_adder(library, 2).name == "HA"
    assert find_adder(tiny_library(), 3) is None
    assert adders_verilog(tiny_library()) == ""


def test_a_cell_that_computes_something_else_is_no_adder():
    wrong = FULL.replace("A ^ B ^ C", "A ^ B")
    assert wrong != FULL
    assert find_adder(tiny_library(with_cells(wrong)), 3) is None


def test_a_cell_that_is_not_to_be_used_is_left_alone():
    banned = FULL.replace("area : 30;", "area : 30; dont_use : true;")
    assert find_adder(tiny_library(with_cells(banned)), 3) is None


@pytest.mark.synth
@pytest.mark.sim
@pytest.mark.parametrize("cells", [[FULL], [FULL, HALF]], ids=["full", "full_and_half"])
def test_a_products_rows_are_added_by_the_librarys_adders(gate_tools, tmp_path, cells):
    liberty = tmp_path / "tiny.lib"
    liberty.write_text(with_cells(*cells), encoding="utf-8")
    # The netlist is held against the RTL, and an error raised where they differ.
    report = estimate_asic(
        Design(datapath=Datapath.parse(a="int5", acc="int:14"), rows=1, cols=1),
        tmp_path / "out",
        liberty=liberty,
        conditions=Conditions(terms=8, macs=64, seeds=1),
    )
    found = report.parts[0].cells
    # Five rows of five bits take three rows of adders, of which the first has a free end.
    assert found["FA"] >= 8
    assert ("HA" in found) == (len(cells) == 2)
