"""Registers of an ECP5 multiplier: those beside it move into the block; Yosys leaves them out.

A MULT18X18D holds registers for its factors and for its product. Yosys maps the multiplier without
them and the registers to flip-flops of the fabric, two routes away. Here, in the mapped netlist, a
product whose every used bit goes into a plain flip-flop and nowhere else takes those flip-flops
into the block; so does a factor whose every bit comes out of one. A flip-flop that drives something
else besides stays, and the block keeps a copy.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from hwgen.errors import ToolError

__all__ = ["absorb_registers"]

_MULTIPLIER = "MULT18X18D"
_FLIP_FLOP = "TRELLIS_FF"
_LOW, _HIGH = "0", "1"
_BITS = {"A": 18, "B": 18, "P": 36}


def absorb_registers(path: Path, *, inside: str = "") -> int:
    """Move registers into the multipliers of a netlist in Yosys' JSON, in place.

    Parameters
    ----------
    path : Path
        Netlist of one flat top module.
    inside : str
        What the names of the flip-flops that may move begin with.

    Returns
    -------
    int
        Flip-flops that are gone from the fabric.

    Raises
    ------
    ToolError
        If the file is not what Yosys writes.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        tops = [
            module
            for module in table["modules"].values()
            if int(module["attributes"].get("top", "0"), 2)
        ]
        removed = sum(_Netlist(module["cells"], inside).absorb() for module in tops)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"cannot read the netlist that Yosys wrote ({type(error).__name__}: {error})",
            hint="this version of Yosys may differ from the tested one, 0.70",
        ) from error
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(json.dumps(table), encoding="utf-8")
    aside.replace(path)
    return removed


class _Netlist:
    """The cells of a module, found by the nets at their ports."""

    def __init__(self, cells: dict[str, dict[str, Any]], inside: str) -> None:
        self._cells = cells
        self._inside = inside
        self._loads: dict[Any, set[tuple[str, str]]] = defaultdict(set)
        self._registers: dict[Any, str] = {}  # plain flip-flops by their output
        for name, cell in cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    for bit in bits:
                        self._loads[bit].add((name, port))
            if self._may_move(name):
                self._registers[cell["connections"]["Q"][0]] = name

    def absorb(self) -> int:
        """Fill the registers of every multiplier; returns how many flip-flops went."""
        before = len(self._cells)
        multipliers = [n for n, cell in self._cells.items() if cell["type"] == _MULTIPLIER]
        for name in multipliers:
            self._product(name)
            for side in "AB":
                self._factor(name, side)
        return before - len(self._cells)

    def _product(self, name: str) -> None:
        """Take the flip-flops behind a product into the block, if it can."""
        outputs = self._cells[name]["connections"]
        used = [port for port in _ports("P") if port in outputs and self._loads[outputs[port][0]]]
        behind = []
        for port in used:
            loads = self._loads[outputs[port][0]]
            register, pin = next(iter(loads))
            if len(loads) > 1 or pin != "DI" or not self._may_move(register):
                return
            behind.append(register)
        if not self._clocked(name, behind, "OUTPUT"):
            return
        for port, register in zip(used, behind, strict=True):
            outputs[port] = self._cells[register]["connections"]["Q"]
            self._registers.pop(outputs[port][0])
            self._remove(register)

    def _factor(self, name: str, side: str) -> None:
        """Take the flip-flops before a factor into the block, or copies of them."""
        inputs = self._cells[name]["connections"]
        bits = {port: inputs[port][0] for port in _ports(side) if port in inputs}
        # After reset a register reads zero, so a constant one cannot go through it.
        driven = {port: bit for port, bit in bits.items() if bit != _LOW}
        if not driven or not all(bit in self._registers for bit in driven.values()):
            return
        before = [self._registers[bit] for bit in driven.values()]
        if not self._clocked(name, before, f"INPUT{side}"):
            return
        for (port, bit), register in zip(driven.items(), before, strict=True):
            source = self._cells[register]["connections"]["DI"]
            inputs[port] = source
            self._loads[source[0]].add((name, port))
            self._loads[bit].discard((name, port))
            if not self._loads[bit]:
                self._registers.pop(bit)
                self._remove(register)

    def _may_move(self, name: str) -> bool:
        return name.startswith(self._inside) and _is_plain(self._cells[name])

    def _clocked(self, name: str, registers: list[str], which: str) -> bool:
        """Switch registers of a block on, if they can have the clock of some flip-flops."""
        cell = self._cells[name]
        if cell["parameters"].get(f"REG_{which}_CLK", "NONE") != "NONE":
            return False
        clocks = {self._cells[register]["connections"]["CLK"][0] for register in registers}
        clocks |= {*cell["connections"].get("CLK0", [])}
        if len(clocks) != 1:
            return False
        for port, bit in (("CLK0", clocks.pop()), ("CE0", _HIGH), ("RST0", _LOW)):
            cell["connections"][port] = [bit]
            cell["port_directions"][port] = "input"
            cell["parameters"][f"REG_{which}_{port[:-1]}"] = port
        return True

    def _remove(self, register: str) -> None:
        for port, bits in self._cells.pop(register)["connections"].items():
            for bit in bits:
                self._loads[bit].discard((register, port))


def _is_plain(cell: dict[str, Any]) -> bool:
    """Whether a cell is a flip-flop on the rising edge without enable that begins with zero."""
    if cell["type"] != _FLIP_FLOP:
        return False
    wires, parameters = cell["connections"], cell["parameters"]
    return (
        wires.get("LSR", [_LOW]) == [_LOW]
        and "CE" not in wires
        and parameters.get("CEMUX", "1").strip() == "1"
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and parameters.get("LSRMUX", "LSR") == "LSR"
        and parameters.get("REGSET", "RESET") == "RESET"
    )


def _ports(letter: str) -> list[str]:
    return [f"{letter}{bit}" for bit in range(_BITS[letter])]
