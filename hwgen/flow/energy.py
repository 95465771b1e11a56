"""Energy of a netlist from its counted edges and its library's tables.

What an edge of a net costs: half of C V^2 of its load, pins and wire; the driving cell's internal
energy for an edge of its output, at the slew of the input that caused it and at its load, the mean
of the rising and the falling edge's; and, where a cell's table says so, internal energy of an input
edge by itself. Which input caused an output's edge is not known: the tables of several inputs are
weighted by how often each input moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwgen.flow.cell_library import Pin
from hwgen.flow.gate_netlist import LOW, GateNetlist, Instance
from hwgen.flow.gate_simulation import Toggles, counted_nets
from hwgen.flow.gate_timing import Edges

__all__ = ["Energy", "clock_energy", "dynamic_energy", "measured_energy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of a netlist over some time, in pJ.

    Attributes
    ----------
    nets : float
        Of loads switched, the clock's apart.
    cells : float
        Inside cells, but for their clock pins.
    clock : float
        Of the clock net and inside flip-flops at its edges; without a tree of buffers.
    settled : float
        ``nets + cells`` without glitches: of what a simulation without delays counts.
    """

    nets: float
    cells: float
    clock: float
    settled: float

    @property
    def dynamic(self) -> float:
        """All but leakage."""
        return self.nets + self.cells + self.clock

    @property
    def zero_delay(self) -> float:
        """All but leakage and glitches."""
        return self.settled + self.clock

    def scaled(self, factor: float) -> Energy:
        """The energy times a factor."""
        return Energy(
            nets=self.nets * factor,
            cells=self.cells * factor,
            clock=self.clock * factor,
            settled=self.settled * factor,
        )

    def __add__(self, other: Energy) -> Energy:
        return Energy(
            nets=self.nets + other.nets,
            cells=self.cells + other.cells,
            clock=self.clock + other.clock,
            settled=self.settled + other.settled,
        )


def measured_energy(netlist: GateNetlist, edges: Edges, toggles: Toggles, voltage: float) -> Energy:
    """Energy of the whole time of measuring."""
    nets = counted_nets(netlist)
    nets_pj, cells_pj = dynamic_energy(netlist, edges, _by_net(nets, toggles.edges), voltage)
    settled = dynamic_energy(netlist, edges, _by_net(nets, toggles.settled), voltage)
    return Energy(
        nets=nets_pj,
        cells=cells_pj,
        clock=toggles.cycles * clock_energy(netlist, edges, voltage),
        settled=sum(settled),
    )


def _by_net(nets: tuple[int, ...], counts: np.ndarray) -> dict[int, int]:
    return dict(zip(nets, counts.tolist(), strict=True))


def dynamic_energy(
    netlist: GateNetlist, edges: Edges, counts: Mapping[int, int], voltage: float
) -> tuple[float, float]:
    """Energy in pJ of nets switched, and inside cells, for so many edges of each net.

    An input of the netlist is charged for the pins that it drives here; an output for those that it
    drives here only, since elsewhere it is an input.
    """
    half = 0.5 * voltage * voltage
    nets = sum(half * netlist.loads.get(net, 0.0) * count for net, count in counts.items())
    cells = 0.0
    for instance in netlist.instances:
        for pin in instance.cell.pins.values():
            count = counts.get(instance.nets.get(pin.name, LOW), 0)
            if count and pin.powers:
                cells += count * _edge_energy(netlist, edges, counts, instance, pin)
    return nets, cells


def _edge_energy(
    netlist: GateNetlist,
    edges: Edges,
    counts: Mapping[int, int],
    instance: Instance,
    pin: Pin,
) -> float:
    """Internal energy of one edge at a pin: its own, and on average what its causes add."""
    net = instance.nets[pin.name]
    load = netlist.loads.get(net, 0.0)
    own, weighted, equal = 0.0, 0.0, 0.0
    total, causes = 0, set()
    for power in pin.powers:
        if not power.pin:
            own += power.at(edges.slews.get(net, 0.0), load)
            continue
        source = instance.nets.get(power.pin, LOW)
        energy = power.at(edges.slews.get(source, 0.0), load)
        # The clock is not counted; it causes every edge that it can cause.
        weight = counts.get(source, 1 if source == netlist.clock else 0)
        weighted += weight * energy
        equal += energy
        if power.pin not in causes:
            causes.add(power.pin)
            total += weight
    if total:
        return own + weighted / total
    return own + (equal / len(causes) if causes else 0.0)


def clock_energy(netlist: GateNetlist, edges: Edges, voltage: float) -> float:
    """Energy in pJ of one cycle of the clock, two edges, in which nothing else moves."""
    if netlist.clock == LOW:
        return 0.0
    energy = voltage * voltage * netlist.loads.get(netlist.clock, 0.0)
    for instance in netlist.flip_flops:
        store = instance.cell.flip_flop
        assert store is not None
        slew = edges.slews.get(netlist.clock, 0.0)
        for power in instance.cell.pins[store.clock].powers:
            if not power.pin:
                energy += 2 * power.at(slew, netlist.loads.get(netlist.clock, 0.0))
    return energy
