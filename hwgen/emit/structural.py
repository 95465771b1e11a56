"""Verilog of components that only wire others together, written from their description."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hwgen.rtl.structure import ZEROS, Net, Structural, port_widths

__all__ = ["structural_verilog"]


def structural_verilog(
    component: Structural,
    name: str,
    define: Callable[[wiring.Component], str],
    *,
    clock: str = "clk",
    reset_n: str = "",
) -> str:
    """Return the Verilog module of a structural component.

    Parameters
    ----------
    component : Structural
    name : str
        Of the module.
    define : callable
        Returns the module name of a part.
    clock : str
        Name of the clock port.
    reset_n : str
        Name of an active-low reset port; by default the reset is ``rst``, active high.
    """
    structure = component.structure
    reset, reset_value = (reset_n, f"~{reset_n}") if reset_n else ("rst", "rst")
    declared = port_widths(component)
    widths = {port: width for port, (_, width) in declared.items()} | structure.wires
    ports = [f"  input wire {port}" for port in (clock, reset)[: 1 + component.has_reset]]
    for port, (flow, width) in declared.items():
        direction = "input" if flow == In else "output"
        ports.append(f"  {direction} wire {_range(width)}{port}")
    lines = [f"module {name}(", ",\n".join(ports), ");"]
    lines += [f"  wire {_range(width)}{wire};" for wire, width in structure.wires.items()]
    for left, right in structure.aliases:
        lines.append(f"  assign {_slice(left, widths)} = {_slice(right, widths)};")
    for instance, (part, nets) in structure.parts.items():
        inner = part.make()
        connections = [f"    .clk({clock})", f"    .rst({reset_value})"][: 1 + inner.has_reset]
        connections += [f"    .{port}({_slice(net, widths)})" for port, net in nets.items()]
        lines += ["", f"  {define(inner)} {instance} (", ",\n".join(connections), "  );"]
    lines.append("endmodule\n")
    return "\n".join(lines)


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _slice(net: Net, widths: dict[str, int]) -> str:
    if net.name == ZEROS:
        return f"{{{net.stop - net.start}{{1'b0}}}}"
    if (net.start, net.stop) == (0, widths[net.name]):
        return net.name
    if net.stop - net.start == 1:
        return f"{net.name}[{net.start}]"
    return f"{net.name}[{net.stop - 1}:{net.start}]"
