# amaranth: UnusedElaboratable=no
# A lane is created for its interface also where halves of the lanes hold all instances of it.
"""Edges of the array by halving: many equal lanes, and the skew that makes the wavefront."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.shared import Shared

__all__ = ["Delay", "Lanes", "Skew"]


class Delay(wiring.Component):
    """Delay a word by ``cycles``: two delays of half as many, down to one register.

    Members
    -------
    d : In(width)
    q : Out(width)
    """

    has_reset = False

    def __init__(self, width: int, cycles: int) -> None:
        assert cycles >= 1
        self._width = width
        self._cycles = cycles
        super().__init__({"d": In(width), "q": Out(width)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"delay_{self._width}b_{self._cycles}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._cycles == 1:
            register = Signal(self._width, reset_less=True)
            m.d.sync += register.eq(self.d)
            m.d.comb += self.q.eq(register)
            return m
        half = self._cycles // 2
        m.submodules.first = first = Shared(Delay, self._width, half)
        m.submodules.second = second = Shared(Delay, self._width, self._cycles - half)
        m.d.comb += [first.d.eq(self.d), second.d.eq(first.q), self.q.eq(second.q)]
        return m


class Skew(wiring.Component):
    """Delay lane i by i cycles.

    The upper half of the lanes is delayed as one word by the size of the lower half, then each half is
    skewed in itself.

    Members
    -------
    d, q : In, Out(width * lanes)
        Lane 0 in the low bits.
    """

    has_reset = False

    def __init__(self, width: int, lanes: int) -> None:
        self._width = width
        self._lanes = lanes
        super().__init__({"d": In(width * lanes), "q": Out(width * lanes)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"skew_{self._width}b_{self._lanes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._lanes == 1:
            m.d.comb += self.q.eq(self.d)
            return m
        lower = self._lanes - self._lanes // 2
        upper = self._lanes - lower
        cut = lower * self._width
        m.submodules.delay = delay = Shared(Delay, upper * self._width, lower)
        m.d.comb += [
            delay.d.eq(self.d[cut:]),
            self.q[:cut].eq(self._half(m, "lower", lower, self.d[:cut])),
            self.q[cut:].eq(self._half(m, "upper", upper, delay.q)),
        ]
        return m

    def _half(self, m: Module, name: str, lanes: int, word: Value) -> Value:
        if lanes == 1:
            return word
        m.submodules[name] = half = Shared(Skew, self._width, lanes)
        m.d.comb += half.d.eq(word)
        return half.q


class Lanes(wiring.Component):
    """``count`` equal components side by side.

    Parameters
    ----------
    count : int
    factory : callable
        The component's class; its members are plain ports.
    args : tuple
        Its parameters.

    Members
    -------
    The component's own, each an array of ``count``, lane 0 in the low bits.
    """

    def __init__(self, count: int, factory: Callable[..., wiring.Component], *args: object) -> None:
        self._count = count
        self._part = (factory, *args)
        lane = Shared(*self._part)
        self.has_reset = lane.has_reset
        self._lane_definition = lane.definition
        super().__init__(
            {
                name: wiring.Member(member.flow, data.ArrayLayout(member.shape, count))
                for name, member in lane.signature.members.items()
            }
        )

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"{self._lane_definition}_x{self._count}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lower = self._count - self._count // 2
        counts = [lower, self._count - lower] if self._count > 1 else [1]
        parts = []
        for name, count in zip(("lower", "upper"), counts, strict=False):
            part = Shared(Lanes, count, *self._part) if count > 1 else Shared(*self._part)
            m.submodules[name] = part
            parts.append(part)
        for name, member in self.signature.members.items():
            whole = Value.cast(getattr(self, name))
            pieces = Cat(Value.cast(getattr(part, name)) for part in parts)
            m.d.comb += pieces.eq(whole) if member.flow == In else whole.eq(pieces)
        return m
