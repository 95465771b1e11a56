"""A mapped netlist: cells of a library and the nets between them, as Yosys writes it in JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import ToolError, UnsupportedError
from hwgen.flow.cell_library import Cell, Library

__all__ = ["LOW", "GateNetlist", "Instance", "NetlistPort", "Wires", "read_netlist"]

LOW, HIGH = 0, 1  # the nets that never move; Yosys numbers its own from 2 on
_CONSTANTS = {"0": LOW, "1": HIGH, "x": LOW}


@dataclass(frozen=True, slots=True)
class Instance:
    """One cell of the netlist: the net at each pin."""

    name: str
    cell: Cell
    nets: Mapping[str, int]

    @property
    def driven(self) -> tuple[int, ...]:
        """The nets at its outputs."""
        return tuple(self.nets[pin.name] for pin in self.cell.outputs if pin.name in self.nets)


@dataclass(frozen=True, slots=True)
class NetlistPort:
    """One port: its nets, the lowest bit first."""

    name: str
    output: bool
    nets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wires:
    """What wires weigh; before layout that is an assumption.

    Parameters
    ----------
    pf_per_um : float
        Capacitance of a length of wire.
    pitches : float
        Length of the wire to each pin that a net drives, in sides of a square of the netlist's mean
        cell area.
    """

    pf_per_um: float = 0.2e-3
    pitches: float = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class GateNetlist:
    """A flat netlist.

    Attributes
    ----------
    name : str
    ports : tuple of NetlistPort
    instances : tuple of Instance
        In an order in which every one comes after those that its inputs come from, but for
        flip-flops, which are first.
    clock : int
        The net that clocks every flip-flop, an input; LOW if there are none.
    names : mapping
        A name for every net that has one.
    loads : mapping
        Capacitance that each driven net switches, its wire included, in pF.
    wire_pf : float
        Capacitance of the wire to one pin.
    """

    name: str
    ports: tuple[NetlistPort, ...]
    instances: tuple[Instance, ...]
    clock: int
    names: Mapping[int, str]
    loads: Mapping[int, float]
    wire_pf: float

    @property
    def area(self) -> float:
        """Sum of the cells' areas."""
        return sum(instance.cell.area for instance in self.instances)

    @property
    def leakage_nw(self) -> float:
        """Sum of the cells' leakage."""
        return sum(instance.cell.leakage_nw for instance in self.instances)

    @property
    def cells(self) -> dict[str, int]:
        """How many there are of each cell, by name."""
        return dict(sorted(Counter(one.cell.name for one in self.instances).items()))

    @property
    def flip_flops(self) -> tuple[Instance, ...]:
        """The instances that store."""
        return tuple(one for one in self.instances if one.cell.flip_flop is not None)

    @property
    def nets(self) -> tuple[int, ...]:
        """Every net that can move, in ascending order."""
        found = {net for one in self.instances for net in one.nets.values()}
        found |= {net for port in self.ports for net in port.nets}
        return tuple(sorted(found - {LOW, HIGH}))


def read_netlist(path: Path, top: str, library: Library, *, wires: Wires) -> GateNetlist:
    """Read the module ``top`` of a flat netlist.

    Raises
    ------
    ToolError
        If the file is not what Yosys writes.
    UnsupportedError
        If a cell is none of the library's or none that can be told the energy of, clocks are gated,
        or logic forms a loop.
    """
    try:
        module = json.loads(path.read_text(encoding="utf-8"))["modules"][top]
        return _netlist(module, top, library, wires)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, UnsupportedError):
            raise
        raise ToolError(
            f"cannot read the netlist that Yosys wrote ({type(error).__name__}: {error})",
            hint="this version of Yosys may differ from the tested one, 0.70",
        ) from error


def _netlist(module: Mapping[str, Any], top: str, library: Library, wires: Wires) -> GateNetlist:
    ports = tuple(
        NetlistPort(name, port["direction"] == "output", tuple(map(_net, port["bits"])))
        for name, port in module["ports"].items()
    )
    instances = [
        _instance(name, cell, library)
        for name, cell in module["cells"].items()
        if not cell["type"].startswith("$scope")
    ]
    names: dict[int, str] = {}
    for name, entry in module["netnames"].items():
        for place, bit in enumerate(entry["bits"]):
            label = f"{name}[{place}]" if len(entry["bits"]) > 1 else name
            net = _net(bit)
            # The shortest of several names is the one that people gave.
            if net not in names or len(label) < len(names[net]):
                names[net] = label
    area = sum(instance.cell.area for instance in instances)
    side = math.sqrt(area / len(instances)) if instances else 0.0
    wire = wires.pitches * side * wires.pf_per_um
    return GateNetlist(
        name=top,
        ports=ports,
        instances=tuple(_ordered(instances, names)),
        clock=_clock(instances, ports, names),
        names=names,
        loads=_loads(instances, wire),
        wire_pf=wire,
    )


def _net(bit: int | str) -> int:
    return bit if isinstance(bit, int) else _CONSTANTS[bit]


def _instance(name: str, entry: Mapping[str, Any], library: Library) -> Instance:
    kind = entry["type"]
    if kind.startswith(("$", "\\$")):
        raise UnsupportedError(
            f"Yosys left {kind} ({name}) unmapped: the library {library.path} has no cell for it"
        )
    cell = library.cell(kind)
    nets = {pin: _net(bits[0]) for pin, bits in entry["connections"].items() if bits}
    missing = [pin.name for pin in cell.inputs if pin.name not in nets]
    if missing:
        raise UnsupportedError(f"the pin {missing[0]} of {name}, a {kind}, is open")
    return Instance(name, cell, nets)


def _loads(instances: list[Instance], wire: float) -> dict[int, float]:
    loads: dict[int, float] = {}
    for instance in instances:
        for pin in instance.cell.pins.values():
            net = instance.nets.get(pin.name, LOW)
            if net not in (LOW, HIGH):
                own = pin.capacitance + (0.0 if pin.output else wire)
                loads[net] = loads.get(net, 0.0) + own
    return loads


def _clock(
    instances: list[Instance], ports: tuple[NetlistPort, ...], names: Mapping[int, str]
) -> int:
    """The net at every flip-flop's clock pin; must be an input of the whole."""
    clocks = {
        one.nets[one.cell.flip_flop.clock] for one in instances if one.cell.flip_flop is not None
    }
    inputs = {net for port in ports if not port.output for net in port.nets}
    for net in clocks - inputs:
        raise UnsupportedError(
            f"the net {names.get(net, net)} clocks flip-flops and is no input; gated and derived"
            " clocks are not handled"
        )
    if len(clocks) > 1:
        found = ", ".join(sorted(names.get(net, str(net)) for net in clocks))
        raise UnsupportedError(f"flip-flops are clocked by several nets: {found}; one is handled")
    return clocks.pop() if clocks else LOW


def _ordered(instances: list[Instance], names: Mapping[int, str]) -> list[Instance]:
    """Flip-flops first, then logic behind what it depends on."""
    ordered = [one for one in instances if one.cell.flip_flop is not None]
    logic = [one for one in instances if one.cell.flip_flop is None]
    readers: dict[int, list[int]] = {}
    driven = {
        one.nets[pin.name] for one in logic for pin in one.cell.outputs if pin.name in one.nets
    }
    waiting = []
    for index, one in enumerate(logic):
        sources = {one.nets[pin.name] for pin in one.cell.inputs} & driven
        waiting.append(len(sources))
        for net in sources:
            readers.setdefault(net, []).append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    for index in ready:
        one = logic[index]
        ordered.append(one)
        for net in one.driven:
            for reader in readers.get(net, ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
    if len(ready) < len(logic):
        stuck = next(one for one, count in zip(logic, waiting, strict=True) if count)
        net = next(one for one in stuck.nets.values() if one in driven)
        raise UnsupportedError(f"logic forms a loop through {names.get(net, net)}")
    return ordered
