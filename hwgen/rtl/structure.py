# amaranth: UnusedElaboratable=no
#
# Components are created here also for their interface alone: no mistake if such a one is never
# elaborated. (Amaranth reads the first line alone.)
"""Components that only wire others together, described as data.

A mesh, a row of unpackers or the skew registers of an edge hold thousands of wires and no logic.
Such a :class:`Structural` component lists its parts and the lanes that connect them. In simulation
the list becomes submodules; in emission it is written as it stands, so that a large array costs its
few definitions and not its wires.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = [
    "LEAF_SIDE",
    "ZEROS",
    "Net",
    "Part",
    "Structural",
    "Structure",
    "port_value",
    "port_widths",
    "split",
    "zeros",
]


@dataclass(frozen=True, slots=True)
class Part:
    """A component class and its hashable parameters.

    The class has an attribute ``has_reset`` and a property ``definition``, a name that is equal for
    equal parameters.
    """

    factory: Callable[..., wiring.Component]
    args: tuple[object, ...]

    def make(self) -> wiring.Component:
        """Create the component."""
        return self.factory(*self.args)


@dataclass(frozen=True, slots=True)
class Net:
    """Bits ``start`` to ``stop - 1`` of a port or wire of a structural component."""

    name: str
    start: int
    stop: int

    def part(self, start: int, stop: int) -> Net:
        """Bits ``start`` to ``stop - 1`` of this net."""
        return Net(self.name, self.start + start, self.start + stop)

    def lanes(self, first: int, count: int, width: int) -> Net:
        """``count`` lanes of ``width`` bits from lane ``first`` on."""
        return Net(self.name, self.start + first * width, self.start + (first + count) * width)


ZEROS = "0"  # the name of nets that are constant zero
# Lanes up to which parts stand side by side; more are halved. Simulators take time for every level
# of hierarchy that slices words, readers for every part.
LEAF_SIDE = 4


def zeros(width: int) -> Net:
    """Return a net of constant zeros."""
    return Net(ZEROS, 0, width)


@dataclass(slots=True)
class Structure:
    """What a structural component consists of; built up by its owner.

    Parameters
    ----------
    wires : mapping of str to int
        Internal wires and their widths.
    parts : mapping of str to (Part, mapping of port to Net)
        Submodules by name; every port of each is connected.
    aliases : list of (Net, Net)
        Left takes the value of right.
    """

    wires: dict[str, int] = field(default_factory=dict)
    parts: dict[str, tuple[Part, Mapping[str, Net]]] = field(default_factory=dict)
    aliases: list[tuple[Net, Net]] = field(default_factory=list)

    def wire(self, name: str, width: int) -> Net:
        """Add a wire."""
        assert name not in self.wires
        self.wires[name] = width
        return self.net(name)

    def net(self, name: str) -> Net:
        """A whole wire."""
        return Net(name, 0, self.wires[name])


class Structural(wiring.Component):
    """Base class of components without logic of their own; their ports are flat words."""

    @property
    @abc.abstractmethod
    def structure(self) -> Structure:
        """The component's parts and wires."""

    def net(self, name: str) -> Net:
        """A whole port."""
        return Net(name, 0, len(getattr(self, name)))

    def nets(self, *names: str) -> dict[str, Net]:
        """Whole ports by name."""
        return {name: self.net(name) for name in names}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        structure = self.structure
        wires = {name: Signal(width, name=name) for name, width in structure.wires.items()}

        def value(net: Net) -> Value:
            if net.name == ZEROS:
                return Const(0, net.stop - net.start)
            signal = wires[net.name] if net.name in wires else getattr(self, net.name)
            return signal[net.start : net.stop]

        for name, (part, ports) in structure.parts.items():
            component = part.make()
            flows = port_widths(component)
            assert ports.keys() == flows.keys(), (name, ports.keys() ^ flows.keys())
            m.submodules[name] = component
            for port, net in ports.items():
                inner, outer = port_value(component, port), value(net)
                m.d.comb += inner.eq(outer) if flows[port][0] == In else outer.eq(inner)
        m.d.comb += [value(left).eq(value(right)) for left, right in structure.aliases]
        return m


def split(count: int) -> list[tuple[int, int]]:
    """Split lanes into single ones if they are few, else into two halves: first lane and count."""
    if count <= LEAF_SIDE:
        return [(lane, 1) for lane in range(count)]
    lower = count - count // 2
    return [(0, lower), (lower, count - lower)]


def port_value(component: wiring.Component, name: str) -> Value:
    """Return a port as a flat value; members of interfaces are called ``interface__member``."""
    value = component
    for step in name.split("__"):
        value = getattr(value, step)
    return Value.cast(value)


def port_widths(component: wiring.Component) -> dict[str, tuple[wiring.Flow, int]]:
    """Return direction and width of a component's ports by name."""
    return {
        "__".join(map(str, path)): (member.flow, len(Value.cast(value)))
        for path, member, value in component.signature.flatten(component)
    }
