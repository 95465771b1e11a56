"""Delays and slews of a netlist from its library's tables, and its longest path.

Two views of one propagation. The *typical* one takes the mean over a gate's inputs and is what
gates are simulated and weighed with; the *slowest* one takes the latest edge and bounds the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwgen.flow.cell_library import Arc, Pin
from hwgen.flow.cell_tables import Table
from hwgen.flow.gate_netlist import LOW, GateNetlist, Instance

__all__ = ["Edges", "LongestPath", "longest_path", "typical_edges"]

_Pair = tuple[float, float]  # of a rising and of a falling edge
_STILL = (float("-inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Edges:
    """How a netlist's nets move.

    Attributes
    ----------
    slews : mapping
        Mean slew of each net's two edges, in ns.
    delays : mapping
        Of each net that a cell drives, the cell's delay to its rising and to its falling edge, ns.
    """

    slews: Mapping[int, float]
    delays: Mapping[int, _Pair]


@dataclass(frozen=True, slots=True)
class LongestPath:
    """The slowest way from register to register: ``period_ns`` with setup; its nets in order."""

    period_ns: float
    nets: tuple[str, ...]


def typical_edges(netlist: GateNetlist, *, slew_ns: float) -> Edges:
    """Propagate mean slews; inputs and the clock have the slew given."""
    slews: dict[int, _Pair] = {}
    delays: dict[int, _Pair] = {}
    default = (slew_ns, slew_ns)

    def mean(values: Sequence[float], fallback: float) -> float:
        return sum(values) / len(values) if values else fallback

    for instance, pin, net in _outputs(netlist):
        load = netlist.loads.get(net, 0.0)
        found = [_passed(arc, slews.get(instance.nets[arc.pin], default), load) for arc in pin.arcs]
        rise, fall = ([step for arc in found for step in arc[edge]] for edge in (0, 1))
        delays[net] = tuple(max(0.0, mean([one[0] for one in side], 0.0)) for side in (rise, fall))
        slews[net] = tuple(
            max(0.0, mean([one[1] for one in side], slew_ns)) for side in (rise, fall)
        )
    inputs = {net for port in netlist.ports if not port.output for net in port.nets}
    means = {net: sum(pair) / 2 for net, pair in slews.items()}
    return Edges({**dict.fromkeys(inputs, slew_ns), **means}, delays)


def longest_path(netlist: GateNetlist, *, slew_ns: float) -> LongestPath:
    """Find the slowest path between registers, by latest arrivals and their slews.

    Inputs arrive when the clock does, and outputs need no time: in a larger circuit registers are
    beyond both.
    """
    inputs = {net for port in netlist.ports if not port.output for net in port.nets}
    arrivals: dict[int, _Pair] = dict.fromkeys(inputs, (0.0, 0.0))
    slews: dict[int, _Pair] = dict.fromkeys(inputs, (slew_ns, slew_ns))
    before: dict[int, int] = {}
    for instance, pin, net in _outputs(netlist):
        _arrive(instance, pin, net, netlist.loads.get(net, 0.0), (arrivals, slews, before))
    worst, end = 0.0, LOW
    for instance in netlist.flip_flops:
        for pin in instance.cell.inputs:
            net = instance.nets[pin.name]
            needed = _needed(pin, arrivals.get(net, _STILL), slews.get(net, (0.0, 0.0)), slew_ns)
            if needed > worst:
                worst, end = needed, net
    for port in netlist.ports:
        for net in port.nets if port.output else ():
            latest = max(arrivals.get(net, _STILL))
            if latest > worst:
                worst, end = latest, net
    path = [end]
    while path[-1] in before:
        path.append(before[path[-1]])
    return LongestPath(worst, tuple(netlist.names.get(net, str(net)) for net in reversed(path)))


def _outputs(netlist: GateNetlist) -> list[tuple[Instance, Pin, int]]:
    """Every net that a cell drives, in the order of the instances."""
    return [
        (instance, pin, instance.nets[pin.name])
        for instance in netlist.instances
        for pin in instance.cell.outputs
        if pin.name in instance.nets
    ]


def _passed(arc: Arc, slews: _Pair, load: float) -> tuple[list[_Pair], list[_Pair]]:
    """Delay and slew of the output's rising edges, and of its falling ones, through an arc."""
    sides: tuple[list[_Pair], list[_Pair]] = ([], [])
    for edge, (delay, slew) in enumerate(((arc.rise, arc.rise_slew), (arc.fall, arc.fall_slew))):
        for source in _sources(arc, edge):
            if delay is not None and slew is not None:
                sides[edge].append((delay.at(slews[source], load), slew.at(slews[source], load)))
    return sides


def _sources(arc: Arc, edge: int) -> tuple[int, ...]:
    """Which edges of the input an edge of the output can come from; 0 is a rising one."""
    return (edge,) * arc.same + (1 - edge,) * arc.opposite


def _arrive(
    instance: Instance,
    pin: Pin,
    net: int,
    load: float,
    state: tuple[dict[int, _Pair], dict[int, _Pair], dict[int, int]],
) -> None:
    """Set a net's latest arrival, slew and what it comes from."""
    arrivals, slews, before = state
    stores = instance.cell.flip_flop is not None
    latest, slowest, origin = [*_STILL], [0.0, 0.0], LOW
    for arc in pin.arcs:
        source = instance.nets[arc.pin]
        reached, entering = arrivals.get(source, _STILL), slews.get(source, (0.0, 0.0))
        for edge, (delay, slew) in enumerate(
            ((arc.rise, arc.rise_slew), (arc.fall, arc.fall_slew))
        ):
            # Both edges of a flip-flop's output come from one edge of its clock.
            sides = (0 if arc.same else 1,) if stores else _sources(arc, edge)
            for side in sides:
                if delay is None or slew is None or reached[side] == float("-inf"):
                    continue
                time = reached[side] + delay.at(entering[side], load)
                slowest[edge] = max(slowest[edge], slew.at(entering[side], load))
                if time > latest[edge]:
                    latest[edge] = time
                    if time >= max(latest):
                        origin = source
    arrivals[net] = (latest[0], latest[1])
    slews[net] = (slowest[0], slowest[1])
    if origin != LOW and not stores:
        before[net] = origin


def _needed(pin: Pin, arrival: _Pair, slews: _Pair, clock_slew: float) -> float:
    """The period that an input of a flip-flop needs."""
    worst = max(arrival)
    for setup in pin.setups:
        tables: tuple[Table | None, ...] = (setup.rise, setup.fall)
        for edge, table in enumerate(tables):
            if table is not None:
                worst = max(worst, arrival[edge] + table.at(slews[edge], clock_slew))
    return worst
