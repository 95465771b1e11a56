"""The Yosys script that maps a part onto the cells of a Liberty library.

Full and half adders that the library has are used where a product's rows are added: they take
less room than their gates do, and hardly glitch inside. Logic synthesis does not find them by
itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwgen.flow.cell_library import Cell, Library

__all__ = ["ADDERS_FILE", "AdderCell", "adders_verilog", "find_adder", "mapping_script"]

ADDERS_FILE = "adders.v"
# What emission calls the parts worth mapping once, the large ones.
_REPEATED = r"(?:pe|round(?:_\w+)?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdderCell:
    """A cell that adds two or three bits: names of the cell and of its pins."""

    name: str
    inputs: tuple[str, ...]
    sum: str
    carry: str

    def instance(self, nets: tuple[str, ...], *, total: str, carry: str) -> str:
        """Return a Verilog instance that adds nets."""
        pins = dict(zip(self.inputs, nets, strict=True)) | {self.sum: total, self.carry: carry}
        return f"{self.name} adder ({', '.join(f'.{pin}({net})' for pin, net in pins.items())});"


def find_adder(library: Library, bits: int) -> AdderCell | None:
    """Return the library's smallest cell that adds so many bits (2 or 3), if it has one."""
    found = [
        (cell.area, adder.name, adder)
        for cell in library.usable()
        if (adder := _adder(cell, bits)) is not None
    ]
    return min(found)[2] if found else None


def _adder(cell: Cell, bits: int) -> AdderCell | None:
    names = tuple(pin.name for pin in cell.inputs)
    if cell.flip_flop is not None or len(names) != bits or len(cell.outputs) != 2:
        return None
    roles: dict[str, str] = {}
    for role, function in _ROLES.items():
        for pin in cell.outputs:
            if _computes(cell, pin.name, function):
                roles[role] = pin.name
    if len(roles) != 2:
        return None
    return AdderCell(name=cell.name, inputs=names, sum=roles["sum"], carry=roles["carry"])


_ROLES: Mapping[str, Callable[[int], bool]] = {
    "sum": lambda ones: ones % 2 == 1,
    "carry": lambda ones: ones >= 2,
}


def _computes(cell: Cell, output: str, function: Callable[[int], bool]) -> bool:
    """Whether an output is a function of the number of inputs that are 1."""
    names = [pin.name for pin in cell.inputs]
    computed = cell.pins[output].function
    assert computed is not None, output
    return all(
        computed.evaluate(dict(zip(names, values, strict=True))) == function(sum(values))
        for values in itertools.product((False, True), repeat=len(names))
    )


def adders_verilog(library: Library) -> str:
    """Write what Yosys' ``$fa`` cells become; empty if the library has no full adder.

    A bit with a constant zero takes a half adder, one with other constants plain logic.
    """
    full, half = find_adder(library, 3), find_adder(library, 2)
    if full is None:
        return ""
    none = " + ".join(f"_TECHMAP_CONSTMSK_{port}_[i]" for port in "ABC") + " == 0"
    branches = [(none, full.instance(("A[i]", "B[i]", "C[i]"), **_OUTPUTS))]
    if half is not None:
        for zero, (x, y) in {"A": "BC", "B": "AC", "C": "AB"}.items():
            others = f"_TECHMAP_CONSTMSK_{x}_[i] + _TECHMAP_CONSTMSK_{y}_[i] == 0"
            test = f"{others} && !_TECHMAP_CONSTVAL_{zero}_[i]"
            branches.append((test, half.instance((f"{x}[i]", f"{y}[i]"), **_OUTPUTS)))
    chosen = "\n      else ".join(f"if ({test}) {made}" for test, made in branches)
    masks = "\n".join(
        f"  parameter [WIDTH-1:0] _TECHMAP_CONST{kind}_{port}_ = 0;"
        for kind in ("MSK", "VAL")
        for port in "ABC"
    )
    return _TEMPLATE.format(masks=masks, chosen=chosen)


_OUTPUTS = {"total": "Y[i]", "carry": "X[i]"}
_TEMPLATE = """\
(* techmap_celltype = "$fa" *)
module adders (A, B, C, X, Y);
  parameter WIDTH = 1;
{masks}
  input [WIDTH-1:0] A, B, C;
  output [WIDTH-1:0] X, Y;
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin:bits
      {chosen}
      else begin
        assign Y[i] = A[i] ^ B[i] ^ C[i];
        assign X[i] = (A[i] & B[i]) | (C[i] & (A[i] | B[i]));
      end
    end
  endgenerate
endmodule
"""


def mapping_script(
    text: str,
    top: str,
    *,
    freq_mhz: float,
    library: Library,
    liberty: str,
    constraints: str,
    adders: bool,
) -> str:
    """Write the Yosys script that maps ``top`` of core.v onto a library and writes TOP.json.

    What an array repeats is mapped once, since registers bound it, and dissolved at the end.

    Parameters
    ----------
    text : str
        The Verilog of core.v.
    top : str
    freq_mhz : float
        Logic that is faster than this is mapped for area.
    library : Library
    liberty, constraints : str
        Names of the library's file and of ABC's constraints.
    adders : bool
        Whether ``ADDERS_FILE`` holds anything (:func:`adders_verilog`).
    """
    avoid = "".join(f" -dont_use {cell}" for cell in library.unused)
    # With constraints ABC also buffers and sizes what drives much.
    constrained = f" -constr {constraints}" if library.buffer else ""
    repeated = re.findall(rf"^module ({top}_{_REPEATED})\b", text, re.MULTILINE)
    kept = [f"setattr -mod -set keep_hierarchy 1 {module}" for module in (top, *repeated)]
    dissolved = [f"setattr -mod -unset keep_hierarchy {module}" for module in repeated]
    lines = [
        *([f"read_liberty -lib -ignore_miss_func {liberty}"] if adders else []),
        "read_verilog core.v",
        f"hierarchy -check -top {top}",
        "proc",
        *kept,
        f"flatten {top}",
        f"synth -top {top} -run begin:fine",
        *(["maccmap", f"techmap -map {ADDERS_FILE}"] if adders else []),
        f"synth -top {top} -run fine:",
        f"dfflibmap{avoid} -liberty {liberty}",
        f"abc -D {round(1e6 / freq_mhz)}{constrained}{avoid} -liberty {liberty}",
        *dissolved,
        f"flatten {top}",
        "opt_clean -purge",
        f"write_json {top}.json",
    ]
    return "\n".join(lines) + "\n"
