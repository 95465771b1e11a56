"""What the cells of a library are, and which ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from energy_cells import FLIP_FLOP, HEADER, INVERTER, TEXT, gate, power, tiny_library

from hwgen.errors import HwgenError, UnsupportedError
from hwgen.flow.cell_library import Library


def test_a_cell_is_what_the_text_says():
    cell = tiny_library().cell("NAND2")
    assert (cell.area, cell.leakage_nw, cell.flip_flop) == (9.0, 0.09, None)
    assert {pin.name: pin.capacitance for pin in cell.inputs} == {"A": 0.02, "B": 0.03}
    (output,) = cell.outputs
    assert [arc.pin for arc in output.arcs] == ["A", "B"]
    assert all(arc.opposite and not arc.same for arc in output.arcs)
    assert [one.pin for one in output.powers] == ["A", "B"]
    assert output.powers[0].at(0.5, 0.0) == pytest.approx(0.5)


def test_a_flip_flop_is_what_the_text_says():
    cell = tiny_library().cell("DFF")
    store = cell.flip_flop
    assert (store.state, store.inverse, store.clock, store.rising) == ("IQ", "IQN", "CK", True)
    assert store.next_state.pins == ("D",)
    assert cell.pins["D"].setups[0].rise.at(0.3, 0.4) == pytest.approx(0.25)
    falling = tiny_library(TEXT.replace('clocked_on : "CK"', 'clocked_on : "!CK"'))
    assert not falling.cell("DFF").flip_flop.rising


def test_tables_interpolate_and_extrapolate_linearly():
    table = tiny_library().cell("INV").pins["Y"].powers[0].tables[0]
    assert [table.at(slew, 9.0) for slew in (0.0, 0.25, 1.0, 2.0)] == pytest.approx(
        [0.1, 0.35, 1.1, 2.1]
    )
    delay = tiny_library().cell("INV").pins["Y"].arcs[0].rise
    assert delay.at(0.7, 0.5) == pytest.approx(0.10 + 2 * 0.5)
    assert delay.at(0.7, 2.0) == pytest.approx(0.10 + 2 * 2.0)


@pytest.mark.parametrize("first", ["slew", "load"])
def test_the_order_of_a_tables_axes_is_its_templates(first):
    names = {"slew": "input_net_transition", "load": "total_output_net_capacitance"}
    second = "load" if first == "slew" else "slew"
    # At slew 0 the values are 1, 2, 3 for loads 0, 1, 2, at slew 1 they are 11, 12, 13.
    rows = '"1, 2, 3", "11, 12, 13"' if first == "slew" else '"1, 11", "2, 12", "3, 13"'
    points = {"slew": "0, 1", "load": "0, 1, 2"}
    template = f"""lu_table_template (own) {{
      variable_1 : {names[first]}; variable_2 : {names[second]}; }}
    """
    arc = f"""timing () {{ related_pin : "A"; cell_rise (own) {{
      index_1 ("{points[first]}"); index_2 ("{points[second]}"); values ({rows}); }} }}"""
    cell = gate("G", 1, {"A": 0.1}, "A", [arc, power("A", (0, 0), (0, 0))])
    table = tiny_library(HEADER + template + cell + "}").cell("G").pins["Y"].arcs[0].rise
    assert table.at(0.0, 2.0) == 3.0
    assert table.at(1.0, 0.0) == 11.0
    assert table.at(0.5, 0.5) == 6.5


def test_units_are_converted():
    library = tiny_library(
        TEXT.replace('time_unit : "1ns"', 'time_unit : "10ps"')
        .replace("(1, pf)", "(10, ff)")
        .replace('leakage_power_unit : "1nW"', 'leakage_power_unit : "1uW"')
        .replace('voltage_unit : "1V"', 'voltage_unit : "100mV"')
    )
    assert library.voltage == pytest.approx(0.2)
    cell = library.cell("INV")
    assert cell.leakage_nw == pytest.approx(40.0)
    assert cell.pins["A"].capacitance == pytest.approx(1e-4)
    output = cell.pins["Y"]
    # Axes and values both: 0.10 units and 2 units a unit of load.
    assert output.arcs[0].rise.at(0.0, 0.01) == pytest.approx(0.01 * (0.10 + 2))
    # Energies are in units of capacitance times voltage squared.
    assert output.powers[0].tables[0].at(0.01, 0.0) == pytest.approx(1.1 * 0.01 * 0.01)


def test_conditions_are_averaged_and_supplies_added():
    parts = [
        power("A", (1, 1), (1, 1)),
        power("A", (3, 3), (3, 3)).replace("related_pin", 'when : "B"; related_pin'),
        power("A", (10, 10), (10, 10)).replace("related_pin", "related_pg_pin : VSS; related_pin"),
    ]
    cell = gate("G", 1, {"A": 0.1, "B": 0.1}, "A B", parts)
    powers = tiny_library(HEADER + cell + "}").cell("G").pins["Y"].powers
    assert sorted(one.at(0.0, 0.0) for one in powers) == [2.0, 10.0]


LATCH = """cell (LATCH) { area : 1; latch (IQ, IQN) { data_in : "D"; enable : "G"; }
  pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
"""
TABLE = """cell (STATE) { statetable ("A", "X") { table : "L : - : L"; }
  pin (A) { direction : input; } }
"""
THREE = """cell (TRI) { pin (A) { direction : input; }
  pin (Y) { direction : output; function : "A"; three_state : "A"; } }
"""
CLEAR = FLIP_FLOP.replace('clocked_on : "CK";', 'clocked_on : "CK"; clear : "!D";')
BOTH = FLIP_FLOP.replace('clocked_on : "CK"', 'clocked_on : "CK D"')
DARK = """cell (DARK) { pin (A) { direction : input; } pin (Y) { direction : output; } }
"""


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (LATCH, "LATCH", "it has a latch group"),
        (TABLE, "STATE", "it has a statetable group"),
        (THREE, "TRI", "its output Y has three states"),
        (CLEAR, "DFF", "its flip-flop has clear"),
        (BOTH, "DFF", "its flip-flop's clock is a function of several pins"),
        (DARK, "DARK", "its output Y has no function"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_cells_that_are_not_understood_are_refused_when_they_are_used(text, name, message):
    library = tiny_library(HEADER + INVERTER + text + "}")
    assert library.cell("INV").name == "INV"
    with pytest.raises(UnsupportedError, match=f"cell {name} of tiny.lib: {message}"):
        library.cell(name)


def test_a_library_without_tables_of_power_is_refused():
    text = HEADER + gate("INV", 1, {"A": 0.1}, "!A", []) + "}"
    with pytest.raises(HwgenError, match="has no tables of internal power"):
        tiny_library(text)


def test_a_cell_without_tables_of_power_is_refused():
    library = tiny_library(HEADER + INVERTER + gate("COLD", 1, {"A": 0.1}, "A", []) + "}")
    with pytest.raises(HwgenError, match="cell COLD of tiny.lib: it has no internal_power"):
        library.cell("COLD")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nom_voltage : 2.0;", "", "does not tell its voltage"),
        ("capacitive_load_unit (1, pf);", "", "lacks capacitive_load_unit"),
        ('time_unit : "1ns"', 'time_unit : "1 week"', "has the unit '1 week'; known are"),
    ],
)
def test_a_library_without_what_it_is_measured_in_is_refused(old, new, message):
    with pytest.raises(HwgenError, match=message):
        tiny_library(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(over_slew) { values", "(unheard_of) { values", "uses the template 'unheard_of'"),
        ('values ("0.1, 1.1")', 'values ("0.1, 1.1, 2.1")', "holds 3 values"),
        ('"!A"', '"!Z"', "the function of Y names what is no pin"),
    ],
)
def test_what_does_not_fit_together_is_refused(old, new, message):
    library = tiny_library(HEADER + INVERTER.replace(old, new) + FLIP_FLOP + "}")
    with pytest.raises(HwgenError, match=message):
        library.cell("INV")


def test_an_unknown_cell_is_refused():
    with pytest.raises(HwgenError, match="has no cell 'AND9'"):
        tiny_library().cell("AND9")


def test_the_smallest_buffer_is_found():
    assert tiny_library().buffer == "BUF"
    assert tiny_library(HEADER + INVERTER + "}").buffer == ""


def test_cells_that_must_not_be_used_are_told():
    text = TEXT.replace("cell (XOR2) {", "cell (XOR2) { dont_use : true;")
    assert tiny_library(text).unused == ("XOR2",)


def test_a_library_is_read_from_its_file(tmp_path):
    path = tmp_path / "a library.lib"
    path.write_text(TEXT, encoding="utf-8")
    library = Library.read(path)
    assert (library.name, library.path, library.voltage) == ("tiny", path, 2.0)
    assert isinstance(library.path, Path)
