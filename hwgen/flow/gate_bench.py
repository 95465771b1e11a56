"""A testbench in which netlists shadow the parts of a running core that they were made from.

The core's Verilog, as emitted, multiplies the stimulus, driven through its AXI streams at full
rate. A netlist gets the inputs of its part, as late as registers outside would bring them, and must
show the part's outputs at the end of every cycle.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from hwgen.errors import ToolError
from hwgen.flow.gate_netlist import NetlistPort
from hwgen.flow.tools import Runner, Tool
from hwgen.spec.design import Design

__all__ = ["Schedule", "Shadow", "bench_verilog", "compile_bench", "find_icarus", "run_bench"]

_CORE = "dut"
_RESET_CYCLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A netlist beside the part of the core that it was made from.

    Attributes
    ----------
    prefix : str
        Begins the names of its instance and of the files it writes.
    module : str
        Name of the netlist's module.
    part : str
        Path of the part inside the core, as "mesh.pe_0_0"; empty for the whole core.
    ports : tuple of NetlistPort
    clock : str
        Name of the clock port.
    """

    prefix: str
    module: str
    part: str
    ports: tuple[NetlistPort, ...]
    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When what happens, in beats taken and in ps.

    Attributes
    ----------
    beats, rows : int
        Of the whole stimulus, and of its results.
    first, last : int
        Beats that the time of measuring begins before and ends before.
    period_ps, input_ps : int
        Of the clock, and how long after its edge inputs come.
    """

    beats: int
    rows: int
    first: int
    last: int
    period_ps: int
    input_ps: int


def bench_verilog(design: Design, shadows: Sequence[Shadow], schedule: Schedule) -> str:
    """Return the testbench. Its stimulus is in a.hex and b.hex, tlast above tdata, a beat a line.

    It writes the core's results to results.txt, a line a row: tlast, tuser and tdata in hexadecimal
    with a blank between; and says how many outputs differed, and first which.
    """
    widths = {port: _core_width(design, port) for port in ("a", "b", "c")}
    template = Template(
        resources.files("hwgen.flow").joinpath("gate_bench.v.template").read_text("utf-8")
    )
    half = schedule.period_ps // 2
    return template.substitute(
        name=design.name,
        core=_CORE,
        beats=schedule.beats,
        rows=schedule.rows,
        first=schedule.first,
        last=schedule.last,
        reset_cycles=_RESET_CYCLES,
        half=half,
        before=half - 2,
        a_bits=widths["a"],
        b_bits=widths["b"],
        a_high=widths["a"] - 1,
        b_high=widths["b"] - 1,
        c_high=widths["c"] - 1,
        u_high=3 * design.cols - 1,
        instances=_instances(shadows, schedule.input_ps),
        checks="\n".join(line for shadow in shadows for line in _checks(shadow)),
    )


def _core_width(design: Design, stream: str) -> int:
    path = design.datapath
    bits = {
        "a": design.a_bits,
        "b": design.b_bits,
        "c": design.cols * path.out_width,
    }[stream]
    return -(-bits // 8) * 8


def _path(shadow: Shadow, port: str) -> str:
    return ".".join(name for name in (_CORE, shadow.part, port) if name)


def _instances(shadows: Sequence[Shadow], input_ps: int) -> str:
    lines = []
    for shadow in shadows:
        connections = [".measuring(measuring)", ".sample(sample)"]
        for port in shadow.ports:
            wire = f"{shadow.prefix}_{port.name}"
            if port.name == shadow.clock:
                connections.append(f".{port.name}(aclk)")
                continue
            lines.append(f"  wire [{len(port.nets) - 1}:0] {wire};")
            if not port.output:
                lines.append(f"  assign #{input_ps} {wire} = {_path(shadow, port.name)};")
            connections.append(f".{port.name}({wire})")
        lines.append(f'  {shadow.module} #(.PREFIX("{shadow.prefix}")) {shadow.prefix} (')
        lines.append("    " + ",\n    ".join(connections))
        lines.append("  );")
    return "\n".join(lines)


def _checks(shadow: Shadow) -> list[str]:
    """Compare outputs; results of the whole core only where they are valid."""
    lines = []
    for port in shadow.ports:
        if not port.output:
            continue
        core, mine = _path(shadow, port.name), f"{shadow.prefix}_{port.name}"
        when = "measuring"
        if not shadow.part:
            when = "aresetn"
            if port.name in ("m_axis_c_tdata", "m_axis_c_tlast", "m_axis_c_tuser"):
                when = f"aresetn && {_CORE}.m_axis_c_tvalid"
        wrong = f"{shadow.prefix} {port.name} in cycle %0d: %h, due is %h"
        lines += [
            f"    if ({when} && {mine} !== {core}) begin",
            f'      if (differing == 0) $display("{wrong}", cycles, {mine}, {core});',
            "      differing = differing + 1;",
            "    end",
        ]
    return lines


def find_icarus() -> tuple[Tool, Tool]:
    """Return Icarus' compiler and its simulator; raises ToolError if they are not installed."""
    found = []
    for name in ("iverilog", "vvp"):
        path = shutil.which(name)
        if path is None:
            raise ToolError(
                f"{name} is not installed", hint="install it with: apt-get install iverilog"
            )
        found.append(Tool(name, (path,), name, "Icarus Verilog"))
    return found[0], found[1]


def compile_bench(runner: Runner, sources: Sequence[str]) -> float:
    """Compile the testbench in the runner's folder; returns the seconds that it took.

    Raises
    ------
    ToolError
        If Icarus is missing or fails.
    """
    arguments = ["-g2005-sv", "-o", "bench.vvp", *sources]
    return runner.run(find_icarus()[0], arguments, log="iverilog.log")


def run_bench(runner: Runner, folder: Path) -> float:
    """Run what was compiled in the runner's folder; returns the seconds that it took.

    Raises
    ------
    ToolError
        If the simulator fails, or a netlist differed from its part.
    """
    seconds = runner.run(find_icarus()[1], ["-n", "bench.vvp"], log="vvp.log")
    output = (folder / "vvp.log").read_text(encoding="utf-8").strip()
    last = output.splitlines()[-1].split() if output else []
    if len(last) != 6 or last[0] != "rows":
        raise ToolError("the gate-level simulation did not come to its end", log=output[-2000:])
    if last[3] != "0":
        raise ToolError(
            "the netlist does not compute what its RTL does, so no energy is told:"
            f" {output.splitlines()[0]}",
            log=output[-2000:],
            hint="look for a fault of synthesis, or of the library's functions",
        )
    if last[5] != "0":
        raise ToolError("the core reported a protocol error in simulation", log=output[-2000:])
    return seconds
