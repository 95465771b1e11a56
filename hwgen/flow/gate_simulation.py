"""A netlist as timed Verilog that counts its own edges, and the reading of what it counted.

Every cell becomes a continuous assignment with its own delays, so that an edge passes a gate only
if it lasts longer than the gate takes (inertial delay). Counting in the simulation is several times
cheaper than writing every edge to a wave file and reading that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from hwgen.errors import ToolError
from hwgen.flow.gate_netlist import HIGH, LOW, GateNetlist, Instance
from hwgen.flow.gate_timing import Edges

__all__ = ["Toggles", "counted_nets", "gates_verilog", "read_toggles"]

_PS = 1000.0  # a ns; the simulation's unit of time is 1 ps
_NETS_A_SCOPE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Toggles:
    """Edges of every counted net while it was measured.

    Attributes
    ----------
    edges : (nets,) array of int64
        All of them, those that come and go within a cycle included.
    settled : (nets,) array of int64
        Cycles whose end finds the net at another value than the one before: what a simulation
        without delays counts.
    cycles : int
    """

    edges: np.ndarray
    settled: np.ndarray
    cycles: int


def counted_nets(netlist: GateNetlist) -> tuple[int, ...]:
    """The nets whose edges are counted, in order: all but the clock."""
    return tuple(net for net in netlist.nets if net != netlist.clock)


def gates_verilog(netlist: GateNetlist, edges: Edges, *, module: str, seed: int) -> str:
    """Return the netlist as a Verilog module.

    Its ports are the netlist's and three more: ``measuring`` spans the time of counting, at each
    rising edge of ``sample`` settled values are written down, and the parameter ``PREFIX`` begins
    the names of the two files that come of it: PREFIX.edges, a count a net, and PREFIX.settled, a
    line of zeros and ones a sample.

    Parameters
    ----------
    netlist : GateNetlist
    edges : Edges
        Delays.
    module : str
        Its name.
    seed : int
        Of the values that flip-flops wake up with.
    """
    text = _Text(netlist)
    ports = [
        f"  {'output' if port.output else 'input'} wire [{len(port.nets) - 1}:0] {port.name}"
        for port in netlist.ports
    ]
    lines = [
        "`timescale 1ps/1ps",
        f"module {module}(",
        ",\n".join(["  input wire measuring,\n  input wire sample", *ports]),
        ");",
        '  parameter PREFIX = "gates";',
    ]
    body: list[str] = []
    for port in netlist.ports:
        bits = ", ".join(text.net(net) for net in reversed(port.nets))
        left, right = (port.name, f"{{{bits}}}") if port.output else (f"{{{bits}}}", port.name)
        body.append(f"  assign {left} = {right};")
    body += text.flip_flops(edges, Random(seed))
    for one in netlist.instances:
        if one.cell.flip_flop is None:
            text.assign(one, edges, {pin: text.net(net) for pin, net in one.nets.items()})
    body += text.counters()
    return "\n".join([*lines, *text.scopes(), *body, "endmodule\n"])


class _Text:
    """The pieces of a module's text.

    Nets, with what drives and counts them, stand in named scopes of a few hundred each: Icarus
    searches a scope from its beginning for every net.
    """

    def __init__(self, netlist: GateNetlist) -> None:
        self._netlist = netlist
        self._counted = counted_nets(netlist)
        wires = [*self._counted, *((netlist.clock,) if netlist.clock != LOW else ())]
        self._scope = {net: index // _NETS_A_SCOPE for index, net in enumerate(wires)}
        self._scopes: list[list[str]] = [
            [f"    wire n{net};" for net in wires[start : start + _NETS_A_SCOPE]]
            for start in range(0, len(wires), _NETS_A_SCOPE)
        ]

    def net(self, net: int) -> str:
        """What a net is called."""
        if net in (LOW, HIGH):
            return f"1'b{net}"
        return f"g{self._scope[net]}.n{net}"

    def assign(self, instance: Instance, edges: Edges, names: dict[str, str]) -> None:
        """Drive what an instance drives."""
        for pin in instance.cell.outputs:
            net = instance.nets.get(pin.name)
            if net is not None and pin.function is not None:
                rise, fall = (max(1, round(_PS * delay)) for delay in edges.delays[net])
                value = pin.function.verilog(names)
                self._scopes[self._scope[net]].append(
                    f"    assign #({rise},{fall}) n{net} = {value};"
                )

    def flip_flops(self, edges: Edges, random: Random) -> list[str]:
        """Registers in the scopes of their outputs, and the blocks that clock them."""
        clocked: dict[bool, list[str]] = {True: [], False: []}
        for index, one in enumerate(self._netlist.flip_flops):
            store = one.cell.flip_flop
            assert store is not None
            scope = self._scope[one.driven[0]]
            self._scopes[scope].append(f"    reg s{index} = 1'b{random.getrandbits(1)};")
            names = {pin: self.net(net) for pin, net in one.nets.items()}
            state = f"g{scope}.s{index}"
            names |= {store.state: state, store.inverse: f"~{state}"}
            self.assign(one, edges, names)
            clocked[store.rising].append(f"    {state} <= {store.next_state.verilog(names)};")
        lines: list[str] = []
        for rising, statements in clocked.items():
            if statements:
                edge = "posedge" if rising else "negedge"
                clock = self.net(self._netlist.clock)
                lines += [f"  always @({edge} {clock}) begin", *statements, "  end"]
        return lines

    def counters(self) -> list[str]:
        """What counts edges and writes settled values down."""
        nets = self._counted
        for index, net in enumerate(nets):
            self._scopes[self._scope[net]].append(
                f"    always @(n{net}) edges[{index}] = edges[{index}] + 1;"
            )
        lines = [
            "  always @(posedge measuring) begin",
            f"    for (place = 0; place < {len(nets)}; place = place + 1) edges[place] = 0;",
            '    settled_file = $fopen({PREFIX, ".settled"}, "w");',
            "    write_settled;",
            "  end",
            "  always @(posedge sample) if (measuring) write_settled;",
            "  always @(negedge measuring) begin",
            "    $fclose(settled_file);",
            '    edges_file = $fopen({PREFIX, ".edges"}, "w");',
            f"    for (place = 0; place < {len(nets)}; place = place + 1)",
            '      $fdisplay(edges_file, "%0d", edges[place]);',
            "    $fclose(edges_file);",
            "  end",
            "  // Where measuring begins, nets are still as the cycle before has left them.",
            "  task write_settled; begin",
        ]
        for start in range(0, len(nets), _NETS_A_SCOPE):
            bits = ", ".join(map(self.net, nets[start : start + _NETS_A_SCOPE]))
            lines.append(f'    $fwrite(settled_file, "%b", {{{bits}}});')
        return [*lines, '    $fwrite(settled_file, "\\n");', "  end endtask"]

    def scopes(self) -> list[str]:
        """The nets' scopes, once all else is written, and what counts into."""
        lines = [
            f"  integer edges [0:{len(self._counted) - 1}];",
            "  integer place, settled_file, edges_file;",
        ]
        for index, statements in enumerate(self._scopes):
            lines += [f"  if (1) begin : g{index}", *statements, "  end"]
        return lines


def read_toggles(folder: Path, prefix: str, netlist: GateNetlist) -> Toggles:
    """Read what a simulation of :func:`gates_verilog` wrote.

    Raises
    ------
    ToolError
        If files are missing, cut off, or hold unknown values.
    """
    count = len(counted_nets(netlist))
    try:
        edges = np.array((folder / f"{prefix}.edges").read_text("ascii").split(), dtype=np.int64)
        lines = np.frombuffer((folder / f"{prefix}.settled").read_bytes(), dtype=np.uint8)
        settled = lines.reshape(-1, count + 1)[:, :count] - ord("0")
    except (OSError, ValueError) as error:
        raise ToolError(f"cannot read what the simulation counted: {error}") from error
    if edges.size != count or len(settled) < 2 or (settled > 1).any():
        raise ToolError(
            f"the simulation counted {edges.size} of {count} nets, or found unknown values",
            hint="reset must reach every register that matters",
        )
    changes = np.count_nonzero(settled[1:] != settled[:-1], axis=0)
    return Toggles(edges=edges, settled=changes.astype(np.int64), cycles=len(settled) - 1)
