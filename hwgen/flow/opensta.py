"""Timing of a netlist by OpenSTA, where it is installed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hwgen.errors import ToolError
from hwgen.flow.gate_netlist import HIGH, LOW, GateNetlist, Instance
from hwgen.flow.gate_timing import LongestPath
from hwgen.flow.tools import Runner, Tool

__all__ = ["find_opensta", "run_opensta"]

_VERILOG, _WIRES, _SCRIPT, _LOG = "sta.v", "sta.spef", "sta.tcl", "sta.log"
_SLACK = re.compile(r"^worst slack (-?[\d.]+)", re.MULTILINE)
_STEP = re.compile(r"^\s*-?[\d.]+\s+-?[\d.]+ [v^] (\w+)/(\w+) \(\w+\)$", re.MULTILINE)
_PERIOD_NS = 1000.0  # slower than anything, so that the slack is the period less what is needed
_SPEF_HEADER = """\
*SPEF "IEEE 1481-1998"
*DESIGN "{top}"
*DATE "none"
*VENDOR "none"
*PROGRAM "hwgen"
*VERSION "1"
*DESIGN_FLOW "none"
*DIVIDER /
*DELIMITER :
*BUS_DELIMITER [ ]
*T_UNIT 1 NS
*C_UNIT 1 PF
*R_UNIT 1 OHM
*L_UNIT 1 HENRY
"""


def find_opensta() -> Tool | None:
    """Return OpenSTA, which Debian calls ``sta``; None if it is not installed."""
    path = shutil.which("sta")
    return (
        None if path is None else Tool("opensta", (path, "-no_splash", "-exit"), "sta", "OpenSTA")
    )


def run_opensta(
    tool: Tool, runner: Runner, folder: Path, netlist: GateNetlist, library: str, *, slew_ns: float
) -> LongestPath:
    """Find the slowest path between registers.

    Parameters
    ----------
    tool, runner
    folder : Path
        Where the runner runs.
    netlist : GateNetlist
    library : str
        The Liberty file, relative to the folder.
    slew_ns : float
        Of the clock and of inputs.

    Raises
    ------
    ToolError
        If it fails or tells no slack.
    """
    (folder / _VERILOG).write_text(_verilog(netlist), encoding="utf-8")
    (folder / _WIRES).write_text(_spef(netlist), encoding="utf-8")
    clock = _net(netlist.clock)
    script = f"""\
read_liberty {library}
read_verilog {_VERILOG}
link_design {netlist.name}
create_clock -name clock -period {_PERIOD_NS:g} [get_ports {clock}]
set_input_transition {slew_ns:g} [all_inputs]
set_input_delay 0 -clock clock [all_inputs]
set_output_delay 0 -clock clock [all_outputs]
read_parasitics {_WIRES}
report_checks -path_delay max -digits 4
report_worst_slack -digits 4
"""
    (folder / _SCRIPT).write_text(script, encoding="utf-8")
    runner.run(tool, [_SCRIPT], log=_LOG)
    log = (folder / _LOG).read_text(encoding="utf-8")
    slack = _SLACK.search(log)
    if slack is None:
        raise ToolError("OpenSTA tells no slack", log=log[-2000:], hint=f"see {folder / _LOG}")
    nets = {f"u{index}": one for index, one in enumerate(netlist.instances)}
    path = [
        netlist.names.get(net, str(net))
        for name, pin in _STEP.findall(log)
        if (net := _step_net(nets.get(name), pin)) is not None
    ]
    return LongestPath(_PERIOD_NS - float(slack[1]), tuple(dict.fromkeys(path)))


def _step_net(instance: Instance | None, pin: str) -> int | None:
    """The net behind an output that a path runs through."""
    if instance is None or not instance.cell.pins[pin].output:
        return None
    return instance.nets[pin]


def _net(net: int) -> str:
    return {LOW: "1'b0", HIGH: "1'b1"}.get(net, f"n{net}")


def _verilog(netlist: GateNetlist) -> str:
    """The netlist with a port a bit and plain names, which any reader takes."""
    inputs = {net for port in netlist.ports if not port.output for net in port.nets}
    # An output that is an input, or that two ports share, needs no time.
    outputs = {net for port in netlist.ports if port.output for net in port.nets}
    outputs -= inputs | {LOW, HIGH}
    lines = [f"module {netlist.name} ({', '.join(map(_net, sorted(inputs | outputs)))});"]
    lines += [f"  input {_net(net)};" for net in sorted(inputs)]
    lines += [f"  output {_net(net)};" for net in sorted(outputs)]
    lines += [f"  wire {_net(net)};" for net in netlist.nets if net not in inputs | outputs]
    for index, one in enumerate(netlist.instances):
        pins = ", ".join(f".{pin}({_net(net)})" for pin, net in one.nets.items())
        lines.append(f"  {one.cell.name} u{index} ({pins});")
    return "\n".join([*lines, "endmodule\n"])


def _spef(netlist: GateNetlist) -> str:
    """The wires: a lumped capacitance a net, and next to no resistance."""
    drivers: dict[int, str] = {}
    readers: dict[int, list[str]] = {}
    for index, one in enumerate(netlist.instances):
        for name, pin in one.cell.pins.items():
            net = one.nets.get(name, LOW)
            if pin.output:
                drivers[net] = f"u{index}:{name}"
            elif net not in (LOW, HIGH):
                readers.setdefault(net, []).append(f"u{index}:{name}")
    parts = [_SPEF_HEADER.format(top=netlist.name)]
    for net, driver in drivers.items():
        pins = readers.get(net, [])
        if not pins:
            continue
        total = len(pins) * netlist.wire_pf
        parts.append(f"*D_NET n{net} {total:.6f}\n*CONN\n*I {driver} O\n")
        parts += [f"*I {pin} I\n" for pin in pins]
        parts.append(f"*CAP\n1 {driver} {total:.6f}\n*RES\n")
        parts += [f"{place} {driver} {pin} 0.001\n" for place, pin in enumerate(pins, 1)]
        parts.append("*END\n")
    return "".join(parts)
