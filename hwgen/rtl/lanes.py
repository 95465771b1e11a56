"""Edges of the array by halving: many equal lanes, and the skew that makes the wavefront."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.structure import Net, Part, Structural, Structure, port_widths, split

__all__ = ["Delay", "Lanes", "Register", "Skew"]


class Register(wiring.Component):
    """Delay of one cycle.

    Members
    -------
    d : In(width)
    q : Out(width)
    """

    has_reset = False

    def __init__(self, width: int) -> None:
        self._width = width
        super().__init__({"d": In(width), "q": Out(width)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"register_{self._width}b"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(self._width, reset_less=True)
        m.d.sync += register.eq(self.d)
        m.d.comb += self.q.eq(register)
        return m


class Delay(Structural):
    """Delay of several cycles: two delays of half as many, down to one register.

    Members
    -------
    d : In(width)
    q : Out(width)
    """

    has_reset = False

    def __init__(self, width: int, cycles: int) -> None:
        assert cycles >= 2
        self._width = width
        self._cycles = cycles
        super().__init__({"d": In(width), "q": Out(width)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"delay_{self._width}b_{self._cycles}"

    @property
    def structure(self) -> Structure:
        """Two halves."""
        first = self._cycles - self._cycles // 2
        middle = Net("middle", 0, self._width)
        return Structure(
            wires={"middle": self._width},
            parts={
                "first": (_delay(self._width, first), {"d": self.net("d"), "q": middle}),
                "second": (
                    _delay(self._width, self._cycles - first),
                    {"d": middle, "q": self.net("q")},
                ),
            },
        )


def _delay(width: int, cycles: int) -> Part:
    """Return the part that delays a word by ``cycles >= 1``."""
    return Part(Register, (width,)) if cycles == 1 else Part(Delay, (width, cycles))


class Skew(Structural):
    """Skew registers: lane i is delayed by i cycles.

    The upper half of the lanes is delayed as one word by the size of the lower half, then each half
    is skewed in itself.

    Members
    -------
    d, q : In, Out(width * lanes)
        Lane 0 in the low bits.
    """

    has_reset = False

    def __init__(self, width: int, lanes: int) -> None:
        assert lanes >= 2
        self._width = width
        self._lanes = lanes
        super().__init__({"d": In(width * lanes), "q": Out(width * lanes)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"skew_{self._width}b_x{self._lanes}"

    @property
    def structure(self) -> Structure:
        """The delay of the upper half, and the two halves' own skews."""
        d, q = self.net("d"), self.net("q")
        lower = self._lanes - self._lanes // 2
        upper = self._lanes - lower
        delayed = Net("delayed", 0, upper * self._width)
        upper_d = d.lanes(lower, upper, self._width)
        parts = {"delay": (_delay(delayed.stop, lower), {"d": upper_d, "q": delayed})}
        aliases = []
        halves = {
            "lower": (lower, d.lanes(0, lower, self._width), q.lanes(0, lower, self._width)),
            "upper": (upper, delayed, q.lanes(lower, upper, self._width)),
        }
        for name, (lanes, source, target) in halves.items():
            if lanes == 1:
                aliases.append((target, source))
            else:
                parts[name] = (Part(Skew, (self._width, lanes)), {"d": source, "q": target})
        return Structure(wires={"delayed": delayed.stop}, parts=parts, aliases=aliases)


class Lanes(Structural):
    """Equal components side by side.

    Parameters
    ----------
    count : int
    part : Part

    Members
    -------
    The component's own, ``count`` times as wide, lane 0 in the low bits.
    """

    def __init__(self, count: int, part: Part) -> None:
        self._count = count
        self._part = part
        lane = part.make()
        self._lane_definition = lane.definition
        self._widths = port_widths(lane)
        self.has_reset = lane.has_reset
        super().__init__({name: flow(bits * count) for name, (flow, bits) in self._widths.items()})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"{self._lane_definition}_x{self._count}"

    @property
    def structure(self) -> Structure:
        """Two halves, or the components."""
        return Structure(
            parts={
                f"lanes_{first}": (
                    Part(Lanes, (count, self._part)) if count > 1 else self._part,
                    {
                        port: self.net(port).lanes(first, count, bits)
                        for port, (_, bits) in self._widths.items()
                    },
                )
                for first, count in split(self._count)
            }
        )
