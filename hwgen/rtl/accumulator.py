"""The window accumulator: one addition a cycle, no multiplexer in front of the adder."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import (
    left_register,
    partial_layout,
    special_members,
    summand_layout,
    value_bits,
)
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import Alignment
from hwgen.spec.timing import SUM_LATENCY

__all__ = ["WindowAccumulator"]


class WindowAccumulator(wiring.Component):
    """Add summands; on a block's last one hand out the sum and start again from zero.

    The drain register takes ``acc + summand`` in the very cycle in which the register clears, so
    that the register clears by its synchronous reset. Whether a sum left the register is seen from
    the sum's top bits one cycle later; the last sum's are judged by the rounder.

    Members
    -------
    summand : In(summand_layout)
    last : In(1)
        The summand is its block's last.
    drain_in : In(partial_layout)
        From the processing element below.
    drain_out : Out(partial_layout)
        The block's result in the cycle after its last summand, else what came from below.

    Notes
    -----
    Latency 1 cycle. Arithmetic: arithmetic.md section 3.
    """

    def __init__(self, alignment: Alignment) -> None:
        self._alignment = alignment
        partial = partial_layout(alignment)
        super().__init__(
            {
                "summand": In(summand_layout(alignment)),
                "last": In(1),
                "drain_in": In(partial),
                "drain_out": Out(partial),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last summand to the result."""
        return SUM_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        width = spec.window.width
        acc = Signal(signed(value_bits(spec)), reset_less=True)
        register = acc[:width].as_signed()
        if "carry" in self.summand.shape().members:
            # The carry enters below the lowest bit, so that one carry chain serves for it too.
            augend = Cat(Const(1, 1), register).as_signed()
            addend = Cat(self.summand.carry, self.summand.value).as_signed()
            with_carry = Signal(signed(spec.sum_bits + 1))
            m.d.comb += with_carry.eq(augend + addend)
            total = with_carry[1:].as_signed()
        else:
            total = Signal(signed(spec.sum_bits))
            m.d.comb += total.eq(register + self.summand.value)
        value: Value = total
        events: dict[str, Value] = {}
        if spec.window.overflow is Overflow.SATURATE:
            value, left = _saturated(m, total, width)
        else:
            left = left_register(acc, width)
        exceeds = self.summand.exceeds if "exceeds" in self.summand.shape().members else Const(0, 1)
        events["overflow"] = left | exceeds
        for name in ("inexact", *special_members(spec)):
            if name in self.summand.shape().members:
                events[name] = self.summand[name]
        # What was seen in the block so far, this cycle included; one word, as the drain register.
        layout = self.drain_out.shape()
        seen = Signal(layout.size - len(value), reset_less=True)
        now = Signal(layout.size - len(value))
        m.d.comb += now.eq(seen | Cat(events[name] for name in layout.members if name != "value"))
        drain = Signal(layout.size, reset_less=True)
        m.d.sync += [
            acc.eq(value),
            seen.eq(now),
            drain.eq(Mux(self.last, Cat(value, now), self.drain_in)),
        ]
        with m.If(self.last):
            m.d.sync += [acc.eq(0), seen.eq(0)]
        m.d.comb += self.drain_out.eq(drain)
        return m


def _saturated(m: Module, total: Value, width: int) -> tuple[Signal, Signal]:
    """Clamp the sum to the register's range; also returns whether it had to be."""
    left = Signal(name="sum_leaves")
    m.d.comb += left.eq(left_register(total, width))
    clamped = Signal(signed(width))
    highest = (1 << (width - 1)) - 1
    m.d.comb += clamped.eq(Mux(left, Mux(total[-1], -highest - 1, highest), total))
    return clamped, left
