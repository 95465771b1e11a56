"""Shared definitions: each component once, in an order that reads from the top down."""

from __future__ import annotations

import re

import pytest

from hwgen.emit.definitions import collect_definitions, define_component
from hwgen.rtl.pe import ProcessingElement
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

BF16 = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")


def names_of(rows: int, cols: int) -> list[str]:
    design = Design(datapath=BF16, rows=rows, cols=cols, name="core")
    return [definition.name for definition in collect_definitions(design)]


def test_each_component_is_defined_once_under_the_designs_name(design):
    names = [definition.name for definition in collect_definitions(design)]
    assert len(set(names)) == len(names)
    assert names[0] == design.name
    assert all(name.startswith(f"{design.name}_") for name in names[1:])


def test_a_definition_is_either_described_or_elaborated(design):
    for definition in collect_definitions(design):
        assert bool(definition.verilog) != bool(definition.rtlil), definition.name


def test_each_definition_says_what_it_is(design):
    for definition in collect_definitions(design):
        assert re.match(r"[A-Z].*[.:]$", definition.comment.splitlines()[0]), definition.name


def test_a_packed_ports_fields_are_told(designs):
    (pe,) = [
        definition
        for definition in collect_definitions(designs["bf16"])
        if definition.name.endswith("_pe")
    ]
    assert re.search(
        r"^  a_in: significand\[14:0\], exponent\[\d+:15\], sign\[\d+\]", pe.comment, re.M
    )
    assert re.search(r"^  drain_out: value\[45:0\], overflow\[46\]", pe.comment, re.M)


def test_an_element_grows_with_the_width_of_its_window_not_with_the_square_of_it():
    # Without hardware multipliers every bit of the window is a step of the product's place.
    def text(width: int) -> str:
        acc = f"window:msb=5,lsb={6 - width},ovf=2"
        path = Datapath.parse(a="bf16", acc=acc, target="asic")
        (definition,) = define_component(ProcessingElement(align(path)), "pe")
        return definition.rtlil

    assert len(text(120)) < 2.5 * len(text(60))


def test_the_definitions_of_two_designs_share_no_name():
    both = [Design(datapath=BF16, rows=2, cols=2, name=name) for name in ("one", "other")]
    names = [{item.name for item in collect_definitions(design)} for design in both]
    assert not names[0] & names[1]


@pytest.mark.parametrize("size", [(256, 256), (100, 60)], ids="{0[0]}x{0[1]}".format)
def test_definitions_grow_with_the_logarithm_of_the_array(size):
    small, large = names_of(8, 8), names_of(*size)
    doublings = (size[0] // 8).bit_length() + (size[1] // 8).bit_length()
    # A doubling of a side adds a mesh, and of the edges a delay, a skew, lanes and buffers; all of
    # them in two sizes where halves are not equal.
    assert len(large) - len(small) <= 30 * doublings


def test_collecting_again_gives_the_same():
    design = Design(datapath=BF16, rows=3, cols=4)
    assert collect_definitions(design) == collect_definitions(design)
