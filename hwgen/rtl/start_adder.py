"""The addition of a start value to a finished sum, and the layouts of both."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import (
    left_register,
    pack,
    partial_layout,
    special_members,
    value_bits,
)
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import Alignment
from hwgen.spec.rounding import START_LATENCY

__all__ = ["StartAdder", "start_layout", "started_layout"]


def start_layout(width: int) -> data.StructLayout:
    """Layout of a start value: a raw register of ``width`` bits, and the status it came with."""
    return data.StructLayout({"value": signed(width), "invalid": 1, "overflow": 1, "inexact": 1})


def started_layout(alignment: Alignment) -> data.StructLayout:
    """Layout of a finished sum with its start value: a partial with room for all flags."""
    members: dict[str, Shape] = {
        "value": signed(value_bits(alignment)),
        "overflow": unsigned(1),
        "inexact": unsigned(1),
    }
    return data.StructLayout(members | (special_members(alignment) or {"nan": unsigned(1)}))


class StartAdder(wiring.Component):
    """Add a start value to a finished sum, which comes in parts; hand out the whole.

    The parts of a wide sum follow one another by a cycle; each is added as it comes, with the carry
    of the part below from a register, so that this adder is as fast as the accumulators' own.

    Members
    -------
    partial : In(partial_layout)
    start : In(start_layout)
        In the cycle of the sum's lowest part.
    whole : Out(started_layout)
        The sum of both, as a partial: where the top bits of ``value`` differ, it has left the
        register. A sum that is clamped at each step is clamped here too.

    Notes
    -----
    Latency: the sum's skew and 1 (:func:`~hwgen.spec.rounding.whole_stages`). One sum a cycle.
    """

    has_reset = False
    definition = "start_adder"

    def __init__(self, alignment: Alignment) -> None:
        self._alignment = alignment
        super().__init__(
            {
                "partial": In(partial_layout(alignment)),
                "start": In(start_layout(alignment.window.width)),
                "whole": Out(started_layout(alignment)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the lowest part of ``partial`` to ``whole``."""
        return self._alignment.skew + START_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, width = self._alignment, self._alignment.window.width
        start = self.start.value.as_unsigned()
        parts: list[Value] = []
        carry: Value = Const(0, 1)
        for index, chunk in enumerate(spec.chunks):
            bits = slice(chunk.start, min(chunk.stop, width))
            # A part of the start value waits for the sum's.
            addend = _delayed(m, f"start_{index}", start[bits], index)
            augend = self.partial.value.as_unsigned()[bits]
            top = index == spec.skew
            cast = Value.as_signed if top else Value.as_unsigned
            # The carry enters below the lowest bit, so that one carry chain serves for it too.
            wide = Signal(len(addend) + 2, name=f"sum_{index}")
            m.d.comb += wide.eq(cast(Cat(Const(1, 1), augend)) + cast(Cat(carry, addend)))
            total = wide[1:]
            if top:
                total, left = self._settled(m, total.as_signed(), width)
                parts.append(_delayed(m, f"total_{index}", total, START_LATENCY))
            else:
                carry = _delayed(m, f"carry_{index}", total[-1], START_LATENCY)
                wait = START_LATENCY + spec.skew - index
                parts.append(_delayed(m, f"total_{index}", total[:-1], wait))
        events = self.partial.overflow | left
        if spec.window.overflow is not Overflow.SATURATE:
            # The sum before may have left the register too, and only its low bits were added to.
            events = events | left_register(self.partial.value, width)
        overflow = _delayed(m, "overflow", events, START_LATENCY)
        flags = self._flags()
        names = list(flags)
        waited = _delayed(m, "flags", Cat(flags[name] for name in names), self.latency)
        fields = {name: waited[place] for place, name in enumerate(names)}
        value = Cat(parts).as_signed()
        m.d.comb += self.whole.eq(
            pack(
                self.whole.shape(),
                fields | {"value": value, "overflow": overflow | fields["overflow"]},
            )
        )
        return m

    def _settled(self, m: Module, total: Value, width: int) -> tuple[Value, Value]:
        """Return the highest part as it goes on, and whether a clamped sum had left.

        Only a sum in one part is clamped; what any other has left is judged by the rounder.
        """
        if self._alignment.window.overflow is not Overflow.SATURATE:
            return total, Const(0, 1)
        left = Signal(name="sum_leaves")
        m.d.comb += left.eq(left_register(total, width))
        highest = (1 << (width - 1)) - 1
        clamped = Signal(signed(width), name="clamped")
        m.d.comb += clamped.eq(Mux(left, Mux(total[-1], -highest - 1, highest), total))
        return clamped, left

    def _flags(self) -> dict[str, Value]:
        """The flags of both, as far as they come with the lowest part."""
        members = self.partial.shape().members
        flags: dict[str, Value] = {"overflow": self.start.overflow, "inexact": self.start.inexact}
        if "inexact" in members:
            flags["inexact"] = flags["inexact"] | self.partial.inexact
        specials = special_members(self._alignment)
        if not specials:
            return flags | {"nan": self.start.invalid}
        # Both infinities together mean NaN.
        return flags | {name: self.partial[name] | self.start.invalid for name in specials}


def _delayed(m: Module, name: str, value: Value, cycles: int) -> Value:
    """Delay a value; its sign is lost."""
    for stage in range(cycles):
        register = Signal(len(value), name=f"{name}_{stage}", reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value
