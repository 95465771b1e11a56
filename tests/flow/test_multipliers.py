"""Registers that move into a multiplier: which do, and which must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwgen.errors import ToolError
from hwgen.flow.multipliers import absorb_registers

CLOCK, OTHER_CLOCK = 2, 3
A, B, P, QP = 100, 200, 300, 400  # first nets of factors, product and registered product
DA, DB = 500, 600  # what goes into the factors' registers
BITS = 3


def flip_flop(d: int, q: int, clock: int = CLOCK, **wires) -> dict:
    connections = {"CLK": [clock], "DI": [d], "LSR": ["0"], "Q": [q]} | wires
    directions = {port: "output" if port == "Q" else "input" for port in connections}
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR"},
        "connections": connections,
        "port_directions": directions,
    }


def netlist() -> dict[str, dict]:
    """A multiplier of three bits between registers."""
    ports = {f"A{i}": [A + i] if i < BITS else ["0"] for i in range(18)}
    ports |= {f"B{i}": [B + i] if i < BITS else ["0"] for i in range(18)}
    ports |= {f"P{i}": [P + i] for i in range(36)}
    cells = {
        "multiplier": {
            "type": "MULT18X18D",
            "parameters": {},
            "connections": ports,
            "port_directions": {p: "output" if p[0] == "P" else "input" for p in ports},
        }
    }
    for i in range(BITS):
        cells[f"a{i}"] = flip_flop(DA + i, A + i)
        cells[f"b{i}"] = flip_flop(DB + i, B + i)
    for i in range(2 * BITS):
        cells[f"p{i}"] = flip_flop(P + i, QP + i)
    return cells


def absorbed(cells: dict[str, dict], folder: Path) -> tuple[dict[str, dict], int]:
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"attributes": {"top": "1"}, "cells": cells}}}))
    removed = absorb_registers(path)
    after = json.loads(path.read_text())["modules"]["top"]["cells"]
    assert len(cells) - len(after) == removed
    return after, removed


def registers(cells: dict[str, dict]) -> set[str]:
    names = cells["multiplier"]["parameters"]
    return {name.split("_")[1] for name in names if name.endswith("_CLK")}


def test_registers_on_all_sides_go_into_the_block(tmp_path):
    cells, removed = absorbed(netlist(), tmp_path)
    assert removed == 4 * BITS
    assert registers(cells) == {"INPUTA", "INPUTB", "OUTPUT"}
    wires = cells["multiplier"]["connections"]
    assert [wires[f"A{i}"] for i in range(BITS)] == [[DA + i] for i in range(BITS)]
    assert [wires[f"B{i}"] for i in range(BITS)] == [[DB + i] for i in range(BITS)]
    assert [wires[f"P{i}"] for i in range(2 * BITS)] == [[QP + i] for i in range(2 * BITS)]
    assert (wires["CLK0"], wires["CE0"], wires["RST0"]) == ([CLOCK], ["1"], ["0"])


def test_a_factor_that_something_else_reads_keeps_its_register_too(tmp_path):
    cells = netlist() | {"reader": flip_flop(A, 900)}
    after, removed = absorbed(cells, tmp_path)
    assert "a0" in after and "a1" not in after
    assert removed == 4 * BITS - 1
    assert after["multiplier"]["connections"]["A0"] == [DA]


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"p0": flip_flop(P, QP, LSR=[7])}, "OUTPUT"),
        ({"p0": flip_flop(P, QP, CE=[7])}, "OUTPUT"),
        ({"p0": flip_flop(P, QP, OTHER_CLOCK)}, "OUTPUT"),
        ({"reader": flip_flop(P, 900)}, "OUTPUT"),
        ({"a0": flip_flop(DA, A, LSR=[7])}, "INPUTA"),
        ({"b2": flip_flop(DB + 2, B + 2, CE=[7])}, "INPUTB"),
        ({"a0": flip_flop(DA, 901)}, "INPUTA"),  # the factor's bit comes from elsewhere
    ],
)
def test_registers_that_do_more_than_the_blocks_stay(change, kept, tmp_path):
    after, _ = absorbed(netlist() | change, tmp_path)
    assert registers(after) == {"INPUTA", "INPUTB", "OUTPUT"} - {kept}


def test_a_register_that_begins_with_one_stays(tmp_path):
    cells = netlist()
    cells["p0"]["parameters"]["REGSET"] = "SET"
    assert registers(absorbed(cells, tmp_path)[0]) == {"INPUTA", "INPUTB"}


def test_a_block_takes_no_second_row_of_registers(tmp_path):
    cells = netlist()
    for i in range(BITS):  # another row before the first
        cells[f"a{i}"] = flip_flop(1000 + i, A + i)
        cells[f"aa{i}"] = flip_flop(DA + i, 1000 + i)
    once, _ = absorbed(cells, tmp_path)
    twice, removed = absorbed(once, tmp_path)
    assert removed == 0
    assert twice == once


def test_a_factor_with_a_constant_one_is_not_registered_in_the_block(tmp_path):
    cells = netlist()
    cells["multiplier"]["connections"]["A5"] = ["1"]
    assert "INPUTA" not in registers(absorbed(cells, tmp_path)[0])


def test_registers_outside_the_named_part_stay(tmp_path):
    path = tmp_path / "netlist.json"
    path.write_text(
        json.dumps({"modules": {"top": {"attributes": {"top": "1"}, "cells": netlist()}}})
    )
    assert absorb_registers(path, inside="p") == 2 * BITS


def test_two_clocks_do_not_share_a_block(tmp_path):
    cells = netlist()
    for i in range(BITS):
        cells[f"a{i}"] = flip_flop(DA + i, A + i, OTHER_CLOCK)
    after, _ = absorbed(cells, tmp_path)
    clocks = [after["multiplier"]["connections"]["CLK0"]]
    assert clocks == [[CLOCK]] and registers(after) == {"INPUTB", "OUTPUT"}


def test_what_is_no_netlist_is_refused(tmp_path):
    path = tmp_path / "netlist.json"
    path.write_text("{}")
    with pytest.raises(ToolError, match="cannot read the netlist"):
        absorb_registers(path)
