"""The floating-point sum: one addition a cycle, rounded, in a loop of as many stages as lanes."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.float_loop import LOOP_STEPS, rounded
from hwgen.rtl.float_paths import add_on_two_paths
from hwgen.rtl.float_records import EVENTS, addend_layout, float_partial_layout, sum_layout
from hwgen.rtl.records import pack
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.timing import SUM_LATENCY

__all__ = ["FloatAccumulator"]

_STEPS = {**LOOP_STEPS, "two_paths": add_on_two_paths}


class FloatAccumulator(wiring.Component):
    """Add to the lanes' sums in turn; at a block's end add the lanes and start again from zero.

    The lanes' sums live in the registers of the loop, which has a stage a lane: each comes by once
    every L cycles. At a block's end, told by pulses of ``last``, sums are taken out of the loop,
    whose slot is zero then:

    * with one lane the sum of the cycle's addition goes into the drain register;
    * with more lanes in a pulse of one cycle the sum that comes by becomes the next cycle's addend;
      in the second cycle of a longer pulse the sum that comes by goes into the drain register.

    A pulse of L + 1 cycles or more clears everything.

    Members
    -------
    addend : In(addend_layout)
    last : In(1)
    last_next : In(1)
        What ``last`` will be in the next cycle (several lanes only).
    recycled : Out(addend_layout)
        The sum that comes by (several lanes only).
    recycle : Out(1)
        It is to be the next cycle's addend (several lanes only).
    drain_in : In(float_partial_layout)
        From the processing element below.
    drain_out : Out(float_partial_layout)
        The block's result, in the cycle after it was taken; else what came from below.

    Notes
    -----
    Arithmetic: arithmetic.md section 3; how it is done: :mod:`hwgen.spec.float_sum`.
    """

    def __init__(self, alignment: FloatAlignment) -> None:
        self._alignment = alignment
        addend, partial = addend_layout(alignment), float_partial_layout(alignment)
        members = {
            "addend": In(addend),
            "last": In(1),
            "drain_in": In(partial),
            "drain_out": Out(partial),
        }
        if alignment.sum.lanes > 1:
            members |= {"last_next": In(1), "recycled": Out(addend), "recycle": Out(1)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from the last addend, or with several lanes the last pulse, to the result."""
        return SUM_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = sum_layout(self._alignment)
        total = Signal(layout, name="sum", reset_less=True)
        known = self._known(m, total)
        following = self._loop(m, total, known)
        if self._alignment.sum.lanes == 1:
            self._drain(m, following, known, take=self.last)
        else:
            self._drain(m, total, known, take=self._take(m, total, known))
        return m

    def _known(self, m: Module, total: data.View) -> dict[str, Value]:
        """What follows from the sum that comes by: its rounding, overflow and sign."""
        spec = self._alignment
        value = total.value
        tail, inexact = rounded(m, total)
        special = total.positive_inf | total.negative_inf
        # The largest magnitude, rounded up: 01.11...1 with a tail, or 10.00...0 without.
        full = Signal(name="is_full")
        beyond = Signal(name="is_beyond")
        zero = Signal(name="is_zero_below_zero")
        sign = value[-1]
        m.d.comb += [
            full.eq((value[:-1] ^ sign.replicate(spec.precision)).all() & (tail ^ sign)),
            beyond.eq(
                ~special
                & (
                    (total.exponent > spec.max_exponent)
                    | ((total.exponent == spec.max_exponent) & full)
                )
            ),
            zero.eq(value.all() & tail),
        ]
        return {
            "tail": tail,
            "positive_inf": total.positive_inf | (beyond & ~sign),
            "negative_inf": total.negative_inf | (beyond & sign),
            "negative": sign & ~(zero & ~inexact & ~total.both_negative),
            "overflow": beyond,
            "inexact": (inexact | beyond) & ~special,
        }

    def _loop(self, m: Module, total: data.View, known: dict[str, Value]) -> data.View:
        """The steps of an addition, with registers between stages; returns what ends the loop."""
        spec, addend = self._alignment, self.addend
        layout = sum_layout(spec)
        fields: dict[str, Value] = {
            "sum": total.value,
            "sum_tail": known["tail"],
            "sum_exponent": total.exponent,
            "addend": addend.value,
            "addend_tail": addend.tail,
            "addend_exponent": addend.exponent,
            "positive_inf": known["positive_inf"] | addend.positive_inf,
            "negative_inf": known["negative_inf"] | addend.negative_inf,
            "both_negative": known["negative"] & addend.negative,
        }
        for index, stage in enumerate(spec.stages):
            for step in stage:
                fields = _STEPS[step.kind](m, spec, step.place, fields)
            following = data.StructLayout({key: value.shape() for key, value in fields.items()})
            complete = fields.keys() == layout.members.keys()
            following = pack(layout if complete else following, fields)
            last_stage = index == len(spec.stages) - 1
            register = total
            if not last_stage:
                register = Signal(following.shape(), name=f"stage_{index}", reset_less=True)
            m.d.sync += register.eq(following)
            if stage and complete:
                # What has no leading one is zero or has the least exponent.
                with m.If(following.value[-1] == following.value[-2]):
                    m.d.sync += register.exponent.eq(0)
            if index == 0:
                with m.If(self.last):
                    m.d.sync += register.eq(Const(0, following.shape().size))
            fields = {key: register[key] for key in register.shape().members}
        return following

    def _take(self, m: Module, total: data.View, known: dict[str, Value]) -> Value:
        """Offer the sum that comes by to the next cycle; returns whether it is the block's."""
        before = Signal(reset_less=True, name="last_before")
        m.d.sync += before.eq(self.last)
        layout = self.recycled.shape()
        tail = known["tail"]
        bits = self._alignment.addend_bits + 1
        value = Cat(tail.replicate(bits - len(total.value)), total.value)
        fields = known | {"value": value, "exponent": total.exponent}
        fields |= dict.fromkeys(EVENTS, Const(0, 1))
        m.d.comb += [
            self.recycled.eq(pack(layout, fields)),
            self.recycle.eq(self.last & ~before & ~self.last_next),
        ]
        return self.last & before

    def _drain(self, m: Module, total: data.View, known: dict[str, Value], *, take: Value) -> None:
        """The drain register, and what the block has seen but for its last rounding."""
        seen = Signal(len(EVENTS), reset_less=True)
        now = Signal(len(EVENTS))
        events = Cat(known[name] for name in EVENTS)
        if EVENTS[0] in self.addend.shape().members:
            events = events | Cat(self.addend[name] for name in EVENTS)
        layout = self.drain_out.shape()
        drain = Signal(layout.size, reset_less=True)
        # With several lanes the sum's own events would be found twice, here and at the edge.
        so_far = now if self._alignment.sum.lanes == 1 else seen
        m.d.comb += [now.eq(seen | events), self.drain_out.eq(drain)]
        m.d.sync += [
            seen.eq(now),
            drain.eq(Mux(take, Cat(total.as_value(), so_far), self.drain_in)),
        ]
        with m.If(take):
            m.d.sync += seen.eq(0)
