"""Netlists of ECP5 cells in a simulator: models of the cells, and a design's testbench on them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_LIBRARY = ("common_sim.vh", "ccu2c_sim.vh")
_MODULE = re.compile(r"^module (\w+)\s*\(.*?^endmodule$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^  ([A-Z]\w+) (?:#\(|\\?\w)", re.MULTILINE)
_SOURCES = range(4)  # a block's clocks, enables and resets, of which each register has one


def multiplier() -> str:
    """The multiplier block, of which Yosys has no simulation model.

    Factors, each signed or not, go through input registers into the product, and that through the
    pipeline register and the output register to P. A register is there if it has a clock; it takes
    what comes at the rising edge while its enable is high, or zero while its reset is, and reads
    zero before (Lattice TN1267, *ECP5 sysDSP Usage Guide*; FPGA Libraries Reference Guide,
    MULT18X18D). Shift chains, and the third factor, are not modelled.
    """

    def word(name: str, bits: int) -> str:
        return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))

    registers = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    parameters = ", ".join(
        f'parameter REG_{register}_CLK = "NONE", parameter REG_{register}_CE = "CE0",'
        f' parameter REG_{register}_RST = "RST0"'
        for register in registers
    )
    wires = {name: word(name, len(_SOURCES)) for name in ("CLK", "CE", "RST")}

    def register(name: str, bits: int, d: str, q: str) -> str:
        settings = ", ".join(f".{kind}(REG_{name}_{kind})" for kind in wires)
        pins = ", ".join(f".{kind.lower()}({{{wires[kind]}}})" for kind in wires)
        return (
            f"  MULT18X18D_REGISTER #(.WIDTH({bits}), {settings}) at_{name.lower()}"
            f" ({pins}, .d({d}), .q({q}));"
        )

    return f"""
module MULT18X18D_REGISTER #(
  parameter WIDTH = 1, parameter CLK = "NONE", parameter CE = "CE0", parameter RST = "RST0"
) (input [3:0] clk, input [3:0] ce, input [3:0] rst, input [WIDTH-1:0] d, output [WIDTH-1:0] q);
  localparam CLOCK = CLK == "CLK3" ? 3 : CLK == "CLK2" ? 2 : CLK == "CLK1" ? 1 : 0;
  localparam ENABLE = CE == "CE3" ? 3 : CE == "CE2" ? 2 : CE == "CE1" ? 1 : 0;
  localparam RESET = RST == "RST3" ? 3 : RST == "RST2" ? 2 : RST == "RST1" ? 1 : 0;
  reg [WIDTH-1:0] held = 0;
  always @(posedge clk[CLOCK])
    if (rst[RESET]) held <= 0;
    else if (ce[ENABLE]) held <= d;
  assign q = CLK == "NONE" ? d : held;
endmodule
module MULT18X18D #({parameters}) (
  input {word("A", 18)}, input {word("B", 18)}, input {word("C", 18)},
  input SIGNEDA, input SIGNEDB, input SOURCEA, input SOURCEB,
  {", ".join(f"input {pins}" for pins in wires.values())},
  output {word("P", 36)}
);
  wire [18:0] a, b;
  wire [35:0] product, pipelined;
{register("INPUTA", 19, f"{{SIGNEDA, {word('A', 18)}}}", "a")}
{register("INPUTB", 19, f"{{SIGNEDB, {word('B', 18)}}}", "b")}
  wire signed [35:0] wide_a = {{{{18{{a[18] & a[17]}}}}, a[17:0]}};
  wire signed [35:0] wide_b = {{{{18{{b[18] & b[17]}}}}, b[17:0]}};
  assign product = wide_a * wide_b;
{register("PIPELINE", 36, "product", "pipelined")}
{register("OUTPUT", 36, "pipelined", f"{{{word('P', 36)}}}")}
endmodule
"""


def cell_models() -> dict[str, str]:
    """Return simulation models of cells by name: Yosys' own, and the multiplier."""
    spec = importlib.util.find_spec("pyosys")
    if spec is None:
        pytest.skip("needs Yosys: pip install 'hwgen[synth]'")
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")
    folder = Path(spec.origin).parent / "share" / "lattice"
    # One by one: among the others is what Icarus cannot read.
    library = "".join((folder / name).read_text("utf-8") for name in _LIBRARY)
    found = {match[1]: match[0] for match in _MODULE.finditer(library)}
    return found | {"MULT18X18D": multiplier()}


def verdict(build: Path, netlist: str, models: Mapping[str, str], folder: Path) -> str:
    """Return the last line that the generated testbench prints about a netlist of its core."""
    used = set(_CELL.findall(netlist)) | {"LUT2", "LUT4"}  # the carry cell is made of two
    assert {"CCU2C", "LUT4", "MULT18X18D", "TRELLIS_FF"} <= used <= models.keys()
    cells = "\n".join(models[cell] for cell in sorted(used))
    (folder / "netlist.v").write_text(netlist + cells, encoding="utf-8")
    program = folder / "simulation"
    sources = [folder / "netlist.v", build / "tb" / "core_tb.v"]
    output = ""
    for command in (["iverilog", "-g2012", "-o", program, *sources], ["vvp", "-n", program]):
        # The testbench finds its vectors from the build folder.
        result = subprocess.run(
            command, cwd=build, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stderr) == (0, ""), command
        output = result.stdout
    return output.splitlines()[-1]
