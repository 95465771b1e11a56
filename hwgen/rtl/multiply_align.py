"""Multiply and align: two unpacked operands in, one summand of the window out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import (
    operand_layout,
    pack,
    register_fields,
    register_record,
    shift_shape,
    summand_layout,
)
from hwgen.spec.alignment import Alignment
from hwgen.spec.timing import PLACES_PER_STAGE, shift_stages, summand_stages

__all__ = ["FixedSummand", "FloatSummand", "summand_component"]


def summand_component(alignment: Alignment) -> wiring.Component:
    """Return the component that makes summands for a datapath: the dispatch table of this floor."""
    if alignment.a.twos_complement:
        return FixedSummand(alignment)
    return FloatSummand(alignment)


class _Summand(wiring.Component):
    """Common interface.

    Members
    -------
    a, b : In(operand_layout)
    summand : Out(summand_layout)

    Notes
    -----
    Latency: :func:`~hwgen.spec.timing.summand_stages`. Throughput: one product a cycle.
    """

    def __init__(self, alignment: Alignment) -> None:
        self._alignment = alignment
        super().__init__(
            {
                "a": In(operand_layout(alignment, "a")),
                "b": In(operand_layout(alignment, "b")),
                "summand": Out(summand_layout(alignment)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the operands to the summand."""
        return summand_stages(self._alignment)


class FixedSummand(_Summand):
    """Product of two fixed-point operands, moved by a constant and cut to the window."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        product = Signal(signed(spec.product_bits), reset_less=True)
        m.d.sync += product.eq(self.a.value * self.b.value)
        if self.latency == 1:
            m.d.comb += self.summand.value.eq(product << spec.max_distance)
            return m
        below = spec.below
        left = max(0, spec.max_distance)
        kept = Signal(signed(max(1, spec.product_bits - below + left)))
        m.d.comb += kept.eq((product >> below) << left)
        fields: dict[str, Value] = {"value": kept}
        if spec.can_drop:
            dropped = product[:below] if below < spec.product_bits else _extended(product, below)
            fields["inexact"] = dropped.any()
            if spec.rounds:
                fields["carry"] = dropped[-1] & (dropped[:-1].any() | kept[0])
            else:
                fields["carry"] = product[-1] & dropped.any()
        if spec.can_exceed:
            exceeds = Signal()
            m.d.comb += exceeds.eq(_out_of_range(product, spec))
            fields["exceeds"] = exceeds
            if spec.clamps:
                largest = Const((1 << spec.window.summand_bits) - 1, spec.window.summand_bits + 1)
                clamped = Mux(product[-1], -largest, largest)
                fields["value"] = Mux(exceeds, clamped, kept)
                if "carry" in fields:
                    fields["carry"] = fields["carry"] & ~exceeds
        summand = register_record(m, self.summand.shape(), fields, name="summand")
        m.d.comb += self.summand.eq(summand)
        return m


def _extended(product: Signal, width: int) -> Value:
    """The product sign-extended to ``width`` bits, as an unsigned slice."""
    wide = Cat(product, product[-1].replicate(width - len(product)))
    return wide[:width]


def _out_of_range(product: Signal, spec: Alignment) -> Value:
    """Whether ``|product| >= 2**(msb + 1)``, decided on the value."""
    threshold_bit = spec.window.summand_bits - spec.max_distance  # in product bits
    if threshold_bit < 0:
        return product != 0
    top = product[min(threshold_bit, len(product) - 1) :]
    lowest = product == -(1 << threshold_bit)  # magnitude exactly 2**(msb + 1)
    return (top.any() & ~top.all()) | lowest


class FloatSummand(_Summand):
    """Product of two significands, moved to its place in the window and given its sign.

    Stages: multiply and add exponents | shift, four binary places a stage, lowest first, the range
    tests beside the first | the last one cuts the window and inverts negative summands, whose
    increment becomes the adder's carry-in.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        product = Signal(spec.product_bits, reset_less=True)
        m.d.sync += product.eq(self.a.significand * self.b.significand)
        state = self._first_stage(m)
        stages = 1
        shift_count = shift_stages(spec)
        field: Value = product
        for stage in range(shift_count):
            field = _shifted(m, field, state["shift"], stage, spec.max_shift)
            tests: dict[str, Value] = {}
            if stage == 0:
                tests = self._range_tests(m, product, state)
            if stage == shift_count - 1:
                self._last_stage(m, field, state | tests)
            else:
                field = self._keep(m, field, stage, state, tests)
            stages += 1
        assert stages == self.latency
        return m

    def _first_stage(self, m: Module) -> dict[str, Value]:
        """Register everything but the product; returns the registers by name."""
        spec, a, b = self._alignment, self.a, self.b
        fields: dict[str, Value] = {}
        exponents = [x.exponent for x in (a, b) if "exponent" in x.shape().members]
        shape = shift_shape(spec)
        fields["shift"] = sum(exponents[1:], exponents[0])
        signs = [x.sign for x in (a, b) if "sign" in x.shape().members]
        if signs:
            fields["sign"] = signs[0] if len(signs) == 1 else signs[0] ^ signs[1]
        if "zero" in a.shape().members:
            fields["zero"] = a.zero | b.zero
        trailing = [x.trailing for x in (a, b) if "trailing" in x.shape().members]
        if spec.can_drop:
            fields["trailing"] = sum(trailing[1:], trailing[0]) if trailing else Const(0, 1)
        specials = [x.special for x in (a, b) if "special" in x.shape().members]
        if specials:
            fields["special"] = Cat(specials).any()
        fields["shift"] = pack(data.StructLayout({"shift": shape}), fields)["shift"]
        return register_fields(m, fields, name="product_facts")

    def _specials(self, state: dict[str, Value]) -> dict[str, Value]:
        """NaN and infinity of the product (arithmetic.md section 2); both infinities mean NaN.

        An operand's two flags say zero or NaN, and infinite or NaN. So do the product's, which are
        the OR of its operands': infinity times zero comes out as NaN.
        """
        if not self._alignment.has_nan:
            return {}
        special = state.pop("special")
        if not self._alignment.has_inf:
            return {"nan": special}
        zero, sign = state["zero"], state.get("sign", Const(0, 1))
        return {
            "positive_inf": special & (zero | ~sign),
            "negative_inf": special & (zero | sign),
        }

    def _range_tests(self, m: Module, product: Value, state: dict[str, Value]) -> dict[str, Value]:
        """Decide from the shift if the product exceeds, misses or loses bits under the window."""
        spec = self._alignment
        shift = state["shift"]
        nonzero = Signal()
        flags = [state[name] for name in ("zero", "special") if name in state]
        m.d.comb += nonzero.eq(~Cat(flags).any())
        tests: dict[str, Value] = self._specials(state)
        if spec.can_exceed:
            certain = spec.range_distance + spec.below
            exceeds = Signal()
            m.d.comb += exceeds.eq(
                nonzero & ((shift >= certain) | ((shift == certain - 1) & product[-1]))
            )
            tests["exceeds"] = exceeds
        gone = []  # below the window, or all above a register that wraps
        if spec.can_vanish:
            gone.append(shift < 0)
        if spec.wraps:
            gone.append(shift > spec.max_shift)
        if gone:
            vanishes = Signal()
            m.d.comb += vanishes.eq(Cat(gone).any())
            tests["vanishes"] = vanishes
        if spec.can_drop:
            lowest_one = shift + state["trailing"]
            lowest = Signal(lowest_one.shape())
            m.d.comb += lowest.eq(lowest_one)
            tests["inexact"] = nonzero & (lowest < spec.below)
            if spec.rounds:
                tests["sticky"] = nonzero & (lowest < spec.below - 1)
        return tests

    def _keep(
        self, m: Module, field: Value, stage: int, state: dict[str, Value], tests: dict[str, Value]
    ) -> Value:
        """Register the partly shifted field and what the later stages need of the rest."""
        kept = Signal(len(field), reset_less=True, name=f"shifted_{stage}")
        m.d.sync += kept.eq(field)
        if "vanishes" in tests:
            # A synchronous clear costs no logic in the data path.
            with m.If(tests.pop("vanishes")):
                m.d.sync += kept.eq(0)
        for name in ("zero", "trailing"):
            state.pop(name, None)
        state.update(tests)
        state.update(register_fields(m, state, name=f"facts_{stage}"))
        return kept

    def _last_stage(self, m: Module, field: Value, state: dict[str, Value]) -> None:
        """Cut the window, clamp, invert; the summand's register ends the stage."""
        spec = self._alignment
        bits = spec.magnitude_bits
        magnitude = field[spec.below : spec.below + bits]
        if "vanishes" in state:
            magnitude = Mux(state["vanishes"], 0, magnitude)
        if spec.clamps:
            magnitude = Mux(state["exceeds"], Const((1 << bits) - 1, bits), magnitude)
        missing = bits - len(magnitude)
        magnitude = Cat(magnitude, Const(0, missing))
        sign = state.get("sign", Const(0, 1))
        inverted = Mux(sign, ~magnitude, magnitude)
        values: dict[str, Value] = {"value": Cat(inverted, sign)}
        carry: Value = Const(0, 1)
        if spec.rounds:
            guard = field[spec.below - 1] if spec.below <= len(field) else Const(0, 1)
            carry = guard & (state["sticky"] | magnitude[0])
            if "vanishes" in state:
                carry = carry & ~state["vanishes"]
            if spec.clamps:
                carry = carry & ~state["exceeds"]
        values["carry"] = carry ^ sign
        values |= state
        summand = register_record(m, self.summand.shape(), values, name="summand")
        m.d.comb += self.summand.eq(summand)


def _shifted(m: Module, field: Value, shift: Value, stage: int, max_shift: int) -> Value:
    """Shift ``field`` left by one stage's places of the distance."""
    low = stage * PLACES_PER_STAGE
    high = min(low + PLACES_PER_STAGE, max_shift.bit_length())
    if high <= low:
        return field
    moved = field << Cat(Const(0, low), shift[low:high])
    result = Signal(len(moved), name=f"shifted_{stage}_places")
    m.d.comb += result.eq(moved)
    return result
