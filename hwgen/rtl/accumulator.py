"""The window accumulator: one step a cycle, no multiplexer in front of the adder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.logic import any_of
from hwgen.rtl.records import (
    each,
    left_register,
    partial_layout,
    summand_layout,
    summands_layout,
    value_bits,
)
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import Alignment
from hwgen.spec.timing import SUM_LATENCY

__all__ = ["WindowAccumulator", "saturated"]


class WindowAccumulator(wiring.Component):
    """Add summands; on a block's last step hand out the sum and start again from zero.

    The drain register takes ``acc + summand`` in the very cycle in which the register clears, so
    that the register clears by its synchronous reset. Whether a sum left the register is seen from
    the sum's top bits one cycle later; the last sum's are judged by the rounder.

    Members
    -------
    summand : In(summands_layout)
        One, or several that are added at once: their sum with the register is judged, no part of
        it.
    last : In(1)
        The step is its block's last.
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
                "summand": In(summands_layout(alignment)),
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
        last: Value = self.last
        signs: list[Value] = [summand.value[-1] for summand in self._summands]
        exceeds = self._any("exceeds") if "exceeds" in self._members else Const(0, 1)
        carry: Value | None = None
        own: list[tuple[Value, Value]] = []  # the drain register's fields: when, and what
        for index, chunk in enumerate(spec.chunks):
            if index:
                # The token and the range event follow the carry up.
                last = _delayed(m, f"last_{index}", last)
                exceeds = _delayed(m, f"exceeds_{index}", exceeds)
            if chunk.start > spec.magnitude_bits:
                late = _delayed(m, f"sign_{index}", Cat(signs))
                signs = [late[place] for place in range(spec.dot)]
            total, left = self._added(m, chunk, signs, carry, last)
            if index < spec.skew:
                carry = _delayed(m, f"carry_{index}", total[len(chunk) :])
                total = total[: len(chunk)]
            own.append((last, total))
        # Range events are judged with the highest part; the rest comes with the lowest.
        names = [
            name for name in self.drain_out.shape().members if name not in ("value", "overflow")
        ]
        events = [(last, left | exceeds)]
        if names:
            events.append((self.last, Cat(self._any(name) for name in names)))
        for ends, event in _merged(events):
            seen = Signal(len(event), reset_less=True)
            now = Signal(len(event))
            m.d.comb += now.eq(seen | event)
            m.d.sync += seen.eq(now)
            with m.If(ends):
                m.d.sync += seen.eq(0)
            own.append((ends, now))
        self._drain(m, _merged(own))
        return m

    def _drain(self, m: Module, own: list[tuple[Value, Value]]) -> None:
        """The drain register: the own result, or what comes from below."""
        below, drained, start = Value.cast(self.drain_in), [], 0
        for ends, value in own:
            drain = Signal(len(value), reset_less=True)
            m.d.sync += drain.eq(Mux(ends, value, below[start : start + len(value)]))
            drained.append(drain)
            start += len(value)
        m.d.comb += self.drain_out.eq(Cat(drained))

    @property
    def _members(self) -> Mapping[str, object]:
        """Members of a summand."""
        return summand_layout(self._alignment).members

    @property
    def _summands(self) -> list[data.View]:
        return each(self.summand, self._alignment)

    def _any(self, name: str) -> Value:
        """Whether a summand has a flag."""
        return any_of([summand[name] for summand in self._summands])

    def _carries_in(self, carry: Value | None) -> list[Value]:
        """The carries into a part: from the part below, or the summands' own."""
        if carry is not None:
            return [carry]
        return [summand.carry for summand in self._summands] if "carry" in self._members else []

    def _summand_part(self, value: Value, chunk: range, sign: Value) -> Value:
        """A part's bits of a summand, extended by its sign."""
        own = (
            value[chunk.start : min(chunk.stop, len(value))] if chunk.start < len(value) else Cat()
        )
        return Cat(own, sign.replicate(len(chunk) - len(own)))

    def _addends(
        self, parts: list[Value], chunk: range, cast: Callable[[Value], Value]
    ) -> list[Value]:
        """A part's bits of all summands, as numbers to add.

        A sign of weight -s is one of weight s, inverted, less s: where several signs would go
        through all higher places of the tree of adders, one constant does.
        """
        place = len(self._summands[0].value) - 1
        if len(parts) == 1 or len(self._alignment.chunks) > 1 or place == len(chunk) - 1:
            return [cast(part) for part in parts]
        numbers = [Cat(part[:place], ~part[place]) for part in parts]
        return [*numbers, Const(-len(parts) << place)]

    def _added(
        self, m: Module, chunk: range, signs: list[Value], carry: Value | None, last: Value
    ) -> tuple[Value, Value]:
        """Add to one part of the register; returns the sum and whether the register was left.

        The sum of any but the highest part has its carry on top, as large as the summands are many.
        """
        spec = self._alignment
        top = chunk.stop == spec.sum_bits
        # Bits of the register that count, and of the sum.
        counted = spec.window.width - chunk.start if top else len(chunk)
        bits = len(chunk) + (0 if top else spec.dot.bit_length())
        kept = value_bits(spec) - chunk.start if top else len(chunk)
        acc = Signal(kept, name=f"acc_{chunk.start}", reset_less=True)
        cast = Value.as_signed if top else Value.as_unsigned
        parts = [
            self._summand_part(summand.value, chunk, sign)
            for summand, sign in zip(self._summands, signs, strict=True)
        ]
        carries = self._carries_in(carry)
        if len(parts) == len(carries) == 1:
            # The carry enters below the lowest bit, so that one carry chain serves for it too.
            wide = Signal(bits + 1, name=f"sum_{chunk.start}")
            augend, addend = Cat(Const(1, 1), acc[:counted]), Cat(carries[0], parts[0])
            m.d.comb += wide.eq(cast(augend) + cast(addend))
            total = cast(wide[1:])
        else:
            wide = Signal(bits, name=f"sum_{chunk.start}")
            terms = [cast(acc[:counted]), *self._addends(parts, chunk, cast), *carries]
            m.d.comb += wide.eq(sum(terms[1:], terms[0]))
            total = cast(wide)
        left: Value = Const(0, 1)
        if top and spec.window.overflow is Overflow.SATURATE:
            total, left = saturated(m, total, counted)
        elif top:
            left = left_register(acc, counted)
        m.d.sync += acc.eq(total)
        with m.If(last):
            m.d.sync += acc.eq(0)
        return total, left


def _delayed(m: Module, name: str, value: Value) -> Signal:
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


def _merged(fields: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """Join neighbouring fields that end together: simulators take time a register, not a bit."""
    merged: list[tuple[Value, Value]] = []
    for ends, value in fields:
        if merged and merged[-1][0] is ends:
            merged[-1] = (ends, Cat(merged[-1][1], value))
        else:
            merged.append((ends, value))
    return merged


def saturated(m: Module, total: Value, width: int) -> tuple[Signal, Signal]:
    """Clamp the sum to the register's range; also returns whether it had to be."""
    left = Signal(name="sum_leaves")
    m.d.comb += left.eq(left_register(total, width))
    clamped = Signal(signed(width))
    highest = (1 << (width - 1)) - 1
    m.d.comb += clamped.eq(Mux(left, Mux(total[-1], -highest - 1, highest), total))
    return clamped, left
