"""Multiply and align: two unpacked operands in, one summand of the window out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.logic import any_of, at_least, in_range
from hwgen.rtl.product import Product
from hwgen.rtl.records import (
    operand_layout,
    pack,
    register_fields,
    register_record,
    shift_shape,
    summand_layout,
)
from hwgen.spec.accumulator import Rounding
from hwgen.spec.alignment import Alignment
from hwgen.spec.timing import summand_stages

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
            fields |= self._rounded(m, product, dropped, kept)
        if spec.can_exceed:
            exceeds = Signal()
            m.d.comb += exceeds.eq(_out_of_range(product, spec))
            fields["exceeds"] = exceeds
            if spec.clamps:
                largest = Const((1 << spec.window.summand_bits) - 1, spec.window.summand_bits + 1)
                clamped = Mux(product[-1], -largest, largest)
                fields["value"] = Mux(exceeds, clamped, fields["value"])
                if "carry" in fields:
                    fields["carry"] = fields["carry"] & ~exceeds
        summand = register_record(m, self.summand.shape(), fields, name="summand")
        m.d.comb += self.summand.eq(summand)
        return m

    def _rounded(self, m: Module, product: Value, dropped: Value, kept: Value) -> dict[str, Value]:
        """What becomes of the bits kept, rounded down so far: their lowest bit, or a carry."""
        spec = self._alignment
        negative = product[-1]
        if spec.window.rounding is Rounding.ODD:
            return {"value": Cat(kept[0] | dropped.any(), kept[1:], negative).as_signed()}
        if spec.window.rounding is Rounding.EVEN:
            return {"carry": dropped[-1] & (dropped[:-1].any() | kept[0])}
        if spec.window.rounding is Rounding.ZERO:
            return {"carry": negative & dropped.any()}
        # The magnitude takes a carry if its leading dropped bits d and the random number r reach
        # 2**R. A negative product's are d = ~D, or ~D + 1 if nothing is below, where D are those of
        # the value; and it takes the carry if its magnitude takes none: if D > r, or D = r and
        # something is below.
        random = Signal(spec.random_bits, reset_less=True)
        m.d.sync += random.eq(self.a.random ^ self.b.random)
        below = len(dropped) - spec.random_bits
        reached = Signal(spec.random_bits + 1)
        m.d.comb += reached.eq(
            dropped[below:]
            + (random ^ negative.replicate(spec.random_bits))
            + (negative & dropped[:below].any())
        )
        return {"carry": reached[-1]}


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

    Stages: multiply and add exponents (more stages for wide products) | rotate the product in
    steps, meanwhile decode the shift, keep what lies in the window, invert it if negative; the
    increment that completes a negation becomes the adder's carry-in.

    Notes
    -----
    The product, put into a field of a power of two of steps, is rotated by the shift modulo the
    field. Every step of the window then takes the bits of the one place of the field that can hold
    them, or none: one AND gate a bit, however wide the window.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        m.submodules.product = product = Product(
            spec.a.significand_bits,
            spec.b.significand_bits,
            spec.product_stages,
            multiplier_bits=spec.pipeline.multiplier_bits,
        )
        m.d.comb += [product.a.eq(self.a.significand), product.b.eq(self.b.significand)]
        state = self._sums()
        for stage in range(spec.product_stages):
            state = register_fields(m, state, name=f"sums_{stage}")
        state = self._decoded(m, state)
        field = self._rotated(m, product.product, state)
        state = self._judged(product.product, state)
        if spec.rotation_stage:
            state = register_fields(m, state | {"field": field}, name="rotated")
            field = state.pop("field")
        self._last_stage(m, field, state)
        return m

    def _sums(self) -> dict[str, Value]:
        """What the two operands say together: shift, sign, zero, trailing zeros, specials."""
        spec, sides = self._alignment, (self.a, self.b)

        def both(name: str) -> list[Value]:
            return [side[name] for side in sides if name in side.shape().members]

        fields: dict[str, Value] = {}
        for name in ("exponent", "sign", "trailing", "zero", "special", "random"):
            values = both(name)
            if not values:
                continue
            if name in ("exponent", "trailing"):
                fields[name] = sum(values[1:], values[0])
            elif name in ("sign", "random"):
                fields[name] = values[0] ^ values[1] if len(values) == 2 else values[0]
            else:
                fields[name] = any_of(values)
        if "exponent" in fields:
            shape = shift_shape(spec)
            fields["exponent"] = pack(
                data.StructLayout({"shift": shape}), {"shift": fields["exponent"]}
            )["shift"]
        return fields

    def _decoded(self, m: Module, state: dict[str, Value]) -> dict[str, Value]:
        """Decode the shift: the rotation, the steps of the window that it fills, range and loss."""
        spec = self._alignment
        shift = Signal(shift_shape(spec))
        m.d.comb += shift.eq(state.get("exponent", Const(spec.shifts.start, shift_shape(spec))))
        flags = [state[name] for name in ("zero", "special") if name in state]
        nonzero = Signal()
        m.d.comb += nonzero.eq(~any_of(flags))
        fields: dict[str, Value] = {}
        if spec.rotation_bits:
            rotation = Signal(spec.rotation_bits)
            m.d.comb += rotation.eq(shift)  # modulo the field, also where the shift is shorter
            fields["rotation"] = rotation
        # A signal: a slice of an expression would be written out with all of it, for every step.
        filled = Signal(len(spec.groups))
        m.d.comb += filled.eq(
            Cat(in_range(shift, spec.filling_shifts(group), spec.shifts) for group in spec.groups)
        )
        fields["filled"] = filled
        fields |= {name: state[name] for name in ("sign", "random") if name in state}
        if spec.can_exceed:
            certain = range(spec.certain_shift, max(spec.certain_shift, spec.shifts.stop))
            fields["exceeds"] = nonzero & in_range(shift, certain, spec.shifts)
            for index, doubtful in enumerate(spec.doubtful_shifts):
                fields[f"doubt_{index}"] = nonzero & in_range(
                    shift, range(doubtful, doubtful + 1), spec.shifts
                )
        if spec.can_drop:
            trailing = state.get("trailing", Const(0, 1))
            fields["inexact"] = nonzero & self._ends_under(shift, trailing, spec.below)
            if spec.window.rounding is Rounding.EVEN:
                fields["sticky"] = nonzero & self._ends_under(shift, trailing, spec.below - 1)
        return fields | self._specials(state)

    def _ends_under(self, shift: Value, trailing: Value, place: int) -> Value:
        """Whether the lowest one of a product, shifted, lies under a place of the field."""
        spec = self._alignment
        ends = [
            (step, place - spec.step * step) for step in spec.shifts if spec.step * step < place
        ]
        if not ends:
            return Const(0, 1)
        largest = (1 << len(trailing)) - 1
        # Shifts so small that any count of trailing zeros ends under the place, then one by one.
        sure = [step for step, least in ends if least > largest]
        tests = (
            [in_range(shift, range(spec.shifts.start, sure[-1] + 1), spec.shifts)] if sure else []
        )
        for step, least in ends:
            if least <= largest:
                here = in_range(shift, range(step, step + 1), spec.shifts)
                tests.append(here & ~at_least(trailing, least))
        return any_of(tests)

    def _specials(self, state: dict[str, Value]) -> dict[str, Value]:
        """NaN and infinity of the product (arithmetic.md section 2); both infinities mean NaN.

        An operand's two flags say zero or NaN, and infinite or NaN. So do the product's, which are
        the OR of its operands': infinity times zero comes out as NaN.
        """
        if not self._alignment.has_nan:
            return {}
        special = state["special"]
        if not self._alignment.has_inf:
            return {"nan": special}
        zero, sign = state["zero"], state.get("sign", Const(0, 1))
        return {
            "positive_inf": special & (zero | ~sign),
            "negative_inf": special & (zero | sign),
        }

    def _rotated(self, m: Module, product: Value, state: dict[str, Value]) -> Value:
        """Rotate the product, in a field of a power of two of steps, a binary place a level."""
        spec = self._alignment
        field = Cat(product, Const(0, spec.field_bits - len(product)))
        if not spec.rotation_bits:
            amount = spec.step * spec.shifts.start % spec.field_bits
            return Cat(field[spec.field_bits - amount :], field[: spec.field_bits - amount])
        for place in range(spec.rotation_bits):
            amount = spec.step << place
            moved = Cat(field[spec.field_bits - amount :], field[: spec.field_bits - amount])
            rotated = Signal(spec.field_bits, name=f"rotated_{amount}")
            m.d.comb += rotated.eq(Mux(state["rotation"][place], moved, field))
            field = rotated
        state.pop("rotation")
        return field

    def _judged(self, product: Value, state: dict[str, Value]) -> dict[str, Value]:
        """Decide the doubtful cases of the range test from the product's top bits."""
        if "exceeds" not in state:
            return state
        places = self._alignment.doubtful_shifts.values()
        doubts = [
            state.pop(f"doubt_{index}") & product[max(0, place) :].any()
            for index, place in enumerate(places)
        ]
        return state | {"exceeds": any_of([state["exceeds"], *doubts])}

    def _last_stage(self, m: Module, field: Value, state: dict[str, Value]) -> None:
        """Take the window's bits out of the field, clamp, invert; the summand is registered."""
        spec = self._alignment
        filled = dict(zip(spec.groups, state.pop("filled"), strict=True))
        values = {name: state[name] for name in self.summand.shape().members if name in state}
        if "carry" in self.summand.shape().members:
            values["carry"] = self._carry(field, filled, state)
        parts = []
        for index, chunk in enumerate(spec.chunks):
            if index:
                # A higher part is made as much later as the adder wants it.
                groups = [
                    group
                    for group in spec.groups
                    if group >= (spec.below + chunk.start) // spec.step
                ]
                later = {f"filled_{group}": filled[group] for group in groups} | {"field": field}
                later |= {name: state[name] for name in ("sign",) if name in state}
                later = register_fields(m, later, name=f"later_{index}")
                field, filled = (
                    later["field"],
                    {group: later[f"filled_{group}"] for group in groups},
                )
                state |= {name: later[name] for name in ("sign",) if name in state}
            parts.append(self._part(chunk, field, filled, state))
        if len(parts) == 1:
            values["value"] = parts[0]
            m.d.comb += self.summand.eq(
                register_record(m, self.summand.shape(), values, name="summand")
            )
            return
        flags = register_fields(m, values, name="summand_flags")
        registers = []
        for index, part in enumerate(parts):
            if len(part):
                register = Signal(len(part), name=f"summand_{index}", reset_less=True)
                m.d.sync += register.eq(part)
                registers.append(register)
        m.d.comb += self.summand.eq(pack(self.summand.shape(), flags | {"value": Cat(registers)}))

    def _part(
        self, chunk: range, field: Value, filled: dict[int, Value], state: dict[str, Value]
    ) -> Value:
        """The bits of a summand that belong to one part of the sum."""
        spec = self._alignment
        bits = spec.magnitude_bits
        sign = state.get("sign", Const(0, 1))
        own = range(chunk.start, min(chunk.stop, bits))
        # Word by word, not bit by bit: simulators take time an operation.
        places = [spec.below + index for index in own]
        taken = Cat(field[place % spec.field_bits] for place in places)
        magnitude: Value = taken & Cat(filled[place // spec.step] for place in places)
        if spec.clamps:
            magnitude = Mux(state["exceeds"], Const((1 << bits) - 1, bits), magnitude)
        if own.start == 0 and spec.can_drop and spec.window.rounding is Rounding.ODD:
            magnitude = Cat(magnitude[0] | state["inexact"], magnitude[1:])
        ends_here = chunk.start <= bits < chunk.stop
        return Cat(magnitude ^ sign.replicate(len(magnitude)), sign if ends_here else Cat())

    def _place(self, index: int, field: Value, filled: dict[int, Value]) -> Value:
        """One place of the shifted product."""
        spec = self._alignment
        return field[index % spec.field_bits] & filled[index // spec.step]

    def _carry(self, field: Value, filled: dict[int, Value], state: dict[str, Value]) -> Value:
        """What completes a negation, and what rounding adds to the magnitude."""
        spec = self._alignment
        sign = state.get("sign", Const(0, 1))
        if not spec.rounds:
            return sign
        if spec.random_bits:
            lowest = spec.below - spec.random_bits
            places = range(lowest, lowest + spec.random_bits)
            dropped = Cat(self._place(index, field, filled) for index in places)
            carry = (dropped + state["random"])[-1]
        else:
            guard = self._place(spec.below - 1, field, filled)
            carry = guard & (state["sticky"] | self._place(spec.below, field, filled))
        if spec.clamps:
            carry = carry & ~state["exceeds"]
        return carry ^ sign
