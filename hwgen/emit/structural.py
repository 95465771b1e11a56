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
    pieces = _Pieces(widths)
    for left, right in structure.aliases:
        pieces.drive(left, _slice(right, widths))
    instances: list[str] = []
    for instance, (part, nets) in structure.parts.items():
        inner = part.make()
        connections = [f"    .clk({clock})", f"    .rst({reset_value})"][: 1 + inner.has_reset]
        for port, (flow, _) in port_widths(inner).items():
            net = nets[port]
            outer = _slice(net, widths) if flow == In else pieces.output(net, f"{instance}_{port}")
            connections.append(f"    .{port}({outer})")
        instances += ["", f"  {define(inner)} {instance} (", ",\n".join(connections), "  );"]
    ports = [f"  input wire {port}" for port in (clock, reset)[: 1 + component.has_reset]]
    for port, (flow, width) in declared.items():
        direction = "input" if flow == In else "output"
        ports.append(f"  {direction} wire {_range(width)}{port}")
    wires = structure.wires | pieces.wires
    return "\n".join(
        [
            f"module {name}(",
            ",\n".join(ports),
            ");",
            *(f"  wire {_range(width)}{wire};" for wire, width in wires.items()),
            *pieces.assignments(),
            *instances,
            "endmodule\n",
        ]
    )


class _Pieces:
    """Nets that are driven piece by piece, each put together in one assignment.

    An output connected to a slice of a word would do, but Icarus then simulates the word with
    drive strengths, at several times the cost.
    """

    def __init__(self, widths: dict[str, int]) -> None:
        self._widths = widths
        self._pieces: dict[str, list[tuple[Net, str]]] = {}
        self.wires: dict[str, int] = {}

    def drive(self, net: Net, value: str) -> None:
        """Let ``value`` drive a net or a part of it."""
        self._pieces.setdefault(net.name, []).append((net, value))

    def output(self, net: Net, name: str) -> str:
        """Return what to connect an output to; ``name`` is free for a wire of its own."""
        if (net.start, net.stop) == (0, self._widths[net.name]):
            return net.name
        assert name not in self._widths, name
        self.wires[name] = net.stop - net.start
        self.drive(net, name)
        return name

    def assignments(self) -> list[str]:
        """Return the assignments, high bits first as Verilog concatenates."""
        lines = []
        for name, pieces in self._pieces.items():
            pieces.sort(key=lambda piece: -piece[0].start)
            starts = [net.start for net, _ in pieces]
            stops = [net.stop for net, _ in pieces]
            assert [self._widths[name], *starts] == [*stops, 0], name
            values = ", ".join(value for _, value in pieces)
            lines.append(f"  assign {name} = {f'{{{values}}}' if len(pieces) > 1 else values};")
        return lines


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
