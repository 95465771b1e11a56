"""The processing element: operand registers, exact multiply, align, accumulate, drain."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.accumulator import WindowAccumulator
from hwgen.rtl.float_accumulator import FloatAccumulator
from hwgen.rtl.float_product import FloatProduct
from hwgen.rtl.multiply_align import summand_component
from hwgen.rtl.records import each, operands_layout, partial_layout
from hwgen.spec.alignment import Alignment
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.timing import OPERAND_LATENCY, SUM_LATENCY, summand_stages

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """One element of the output-stationary array.

    Members
    -------
    a_in, b_in : In(operands_layout)
        From the west and from the north; where D products are added at once, D operands each.
    last_in : In(1)
        End-of-block token, travelling with ``a``.
    drain_in : In(partial_layout)
        Results from the south.
    a_out, b_out, last_out : Out
        The same, one cycle later, to the east and to the south.
    drain_out : Out(partial_layout)
        Results to the north: its own, one after the last operands' latency, else the ones from
        below.

    Notes
    -----
    Latency from operands to ``drain_out``: ``OPERAND_LATENCY + summand_stages + SUM_LATENCY``. One
    MAC a cycle, or D of them. A bubble is pairs of zeros; nothing in here is reset: an end token on
    a bubble clears the sum. What end tokens mean to a sum of several lanes:
    :class:`~hwgen.rtl.float_accumulator.FloatAccumulator`.
    """

    has_reset = False
    definition = "pe"

    def __init__(self, alignment: Alignment | FloatAlignment) -> None:
        self._alignment = alignment
        a, b = operands_layout(alignment, "a"), operands_layout(alignment, "b")
        partial = partial_layout(alignment)
        super().__init__(
            {
                "a_in": In(a),
                "b_in": In(b),
                "last_in": In(1),
                "drain_in": In(partial),
                "a_out": Out(a),
                "b_out": Out(b),
                "last_out": Out(1),
                "drain_out": Out(partial),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last operands to the result."""
        return OPERAND_LATENCY + summand_stages(self._alignment) + SUM_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in ("a", "b", "last"):
            source = getattr(self, f"{name}_in")
            register = Signal(source.shape(), name=f"{name}_operand", reset_less=True)
            m.d.sync += register.eq(source)
            m.d.comb += getattr(self, f"{name}_out").eq(register)
        rounds = isinstance(self._alignment, FloatAlignment)
        accumulator = (FloatAccumulator if rounds else WindowAccumulator)(self._alignment)
        ends = Signal(summand_stages(self._alignment), reset_less=True)
        m.d.sync += ends.eq(Cat(self.last_out, ends))
        if rounds:
            self._multiply_float(m, accumulator, ends)
        else:
            self._multiply_align(m, accumulator)
        m.submodules.accumulator = accumulator
        m.d.comb += [
            accumulator.last.eq(ends[-1]),
            accumulator.drain_in.eq(self.drain_in),
            self.drain_out.eq(accumulator.drain_out),
        ]
        assert OPERAND_LATENCY + len(ends) + accumulator.latency == self.latency
        return m

    def _multiply_float(self, m: Module, accumulator: FloatAccumulator, ends: Signal) -> None:
        m.submodules.multiply_align = product = FloatProduct(self._alignment)
        assert product.latency == len(ends)
        m.d.comb += [
            product.a.eq(self.a_out),
            product.b.eq(self.b_out),
            accumulator.addend.eq(product.addend),
        ]
        if self._alignment.sum.lanes > 1:
            m.d.comb += [
                accumulator.last_next.eq(ends[-2]),
                product.recycled.eq(accumulator.recycled),
                product.recycle.eq(accumulator.recycle),
            ]

    def _multiply_align(self, m: Module, accumulator: WindowAccumulator) -> None:
        """A summand, or D of them side by side."""
        spec = self._alignment
        views = (each(view, spec) for view in (self.a_out, self.b_out, accumulator.summand))
        for index, (a, b, target) in enumerate(zip(*views, strict=True)):
            summand = summand_component(spec)
            m.submodules[f"multiply_align_{index}" if spec.dot > 1 else "multiply_align"] = summand
            m.d.comb += [summand.a.eq(a), summand.b.eq(b), target.eq(summand.summand)]
