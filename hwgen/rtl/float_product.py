"""Products on their way into a floating-point sum: normalised, rounded where they are to be."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.float_records import addend_layout
from hwgen.rtl.product import Product
from hwgen.rtl.records import operand_layout, pack, register_fields, register_record
from hwgen.spec.float_sum import FloatAlignment

__all__ = ["FloatProduct"]


class FloatProduct(wiring.Component):
    """Multiply two unpacked operands and hand the product to a floating-point sum.

    Stages: the multiplier's | move the leading one to the top, if the product is rounded | move a
    subnormal product to its place, if there are any | round and invert.

    Members
    -------
    a, b : In(operand_layout)
    recycled : In(addend_layout)
        A lane's sum, to be added to another lane's (several lanes only).
    recycle : In(1)
        Hand out that sum instead of a product.
    addend : Out(addend_layout)

    Notes
    -----
    Latency: :attr:`~hwgen.spec.float_sum.FloatAlignment.summand_stages`, from ``recycled`` 1.
    Throughput: one product a cycle.
    """

    def __init__(self, alignment: FloatAlignment) -> None:
        self._alignment = alignment
        layout = addend_layout(alignment)
        members = {
            "a": In(operand_layout(alignment, "a")),
            "b": In(operand_layout(alignment, "b")),
            "addend": Out(layout),
        }
        if alignment.sum.lanes > 1:
            members |= {"recycled": In(layout), "recycle": In(1)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from the operands to the addend."""
        return self._alignment.summand_stages

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        m.submodules.product = product = Product(
            spec.a.significand_bits,
            spec.b.significand_bits,
            spec.product_stages,
            multiplier_bits=spec.multiplier_bits,
        )
        m.d.comb += [product.a.eq(self.a.significand), product.b.eq(self.b.significand)]
        fields = self._facts(m)
        for stage in range(product.latency):
            fields = register_fields(m, fields, name=f"facts_{stage}")
        stages = product.latency
        fields["magnitude"] = product.product
        fields = self._normalised(m, fields)
        if not spec.sum.fused:
            fields = register_fields(m, fields, name="normalised")
            stages += 1
            if spec.denormalises:
                fields = register_fields(m, self._denormalised(m, fields), name="denormalised")
                stages += 1
            fields = self._rounded(m, fields)
        self._hand_out(m, fields)
        assert stages + 1 == self.latency
        return m

    def _facts(self, m: Module) -> dict[str, Value]:
        """Everything but the significands' product.

        An operand's flags say zero or NaN, and infinite or NaN. So do the product's, which are the
        OR of its operands': infinity times zero comes out as NaN.
        """
        spec = self._alignment
        sides = (self.a, spec.a), (self.b, spec.b)
        exponent = Signal(_shape(range(spec.product_exponents[-1] + 1), spec), name="exponents")
        terms = [
            side.exponent if len(operand.steps) > 1 else Const.cast(operand.steps[0])
            for side, operand in sides
        ]
        zero = self.a.zero | self.b.zero
        special, sign = (
            Cat(side[name] for side, _ in sides if name in side.shape().members)
            for name in ("special", "sign")
        )
        empty = Signal(name="no_significand")
        m.d.comb += empty.eq(zero | special.any())
        # An exponent of its own would make a zero look larger than the sum.
        m.d.comb += exponent.eq(Mux(empty, 0, terms[0] + terms[1]))
        return {
            "exponent": exponent,
            "negative": sign.xor(),
            "positive_inf": special.any() & (zero | ~sign.xor()),
            "negative_inf": special.any() & (zero | sign.xor()),
        }

    def _normalised(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Move the leading one to the top."""
        magnitude, exponent = fields["magnitude"], fields["exponent"]
        top = magnitude[-1]
        moved = Signal(len(magnitude), name="magnitude_normalised")
        place = Signal(exponent.shape(), name="exponent_normalised")
        m.d.comb += [
            moved.eq(Mux(top, magnitude, magnitude << 1)),
            place.eq(exponent + top),
        ]
        return fields | {"magnitude": moved, "exponent": place}

    def _denormalised(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Move a product of negative exponent right until the exponent is 0."""
        kept, sticky = self._cut(fields)
        exponent = fields["exponent"]
        places = len(kept).bit_length()
        distance = Signal(len(exponent), name="distance")
        m.d.comb += distance.eq(Mux(exponent[-1], -exponent, 0))
        vanishes = distance[places:].any()
        for place in range(places):
            amount = min(1 << place, len(kept))
            moved = Signal(len(kept), name=f"denormalised_by_{1 << place}")
            lost = Signal(name=f"lost_by_{1 << place}")
            chosen = distance[place]
            m.d.comb += [
                moved.eq(Mux(chosen, kept[amount:], kept)),
                lost.eq(sticky | (chosen & kept[:amount].any())),
            ]
            kept, sticky = moved, lost
        fields = {name: value for name, value in fields.items() if name != "magnitude"}
        return fields | {
            "exponent": Mux(exponent[-1], 0, exponent)[: len(exponent) - 1],
            "kept": Mux(vanishes, 0, kept),
            "sticky": sticky | (vanishes & kept.any()),
        }

    def _cut(self, fields: dict[str, Value]) -> tuple[Value, Value]:
        """Significand with guard bit, and whether there is anything below."""
        if "kept" in fields:
            return fields["kept"], fields["sticky"]
        bits = self._alignment.precision + 1
        magnitude = Cat(Const(0, bits), fields["magnitude"])
        return magnitude[-bits:], magnitude[:-bits].any()

    def _rounded(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Round to the sum's format; that a magnitude is rounded up is left to the tail."""
        spec = self._alignment
        kept, sticky = self._cut(fields)
        exponent = fields["exponent"]
        guard, magnitude = kept[0], kept[1:]
        up = Signal(name="rounds_up")
        m.d.comb += up.eq(guard & (sticky | magnitude[0]))
        beyond: Value = Const(0, 1)
        if spec.product_exponents[-1] >= spec.max_exponent:
            beyond = Signal(name="product_overflows")
            at_most = exponent == spec.max_exponent
            m.d.comb += beyond.eq((exponent > spec.max_exponent) | (at_most & magnitude.all() & up))
        negative = fields["negative"]
        return {
            "magnitude": magnitude,
            "exponent": exponent,
            "negative": negative,
            "up": up,
            "positive_inf": fields["positive_inf"] | (beyond & ~negative),
            "negative_inf": fields["negative_inf"] | (beyond & negative),
            "overflow": beyond,
            "inexact": guard | sticky | beyond,
        }

    def _hand_out(self, m: Module, fields: dict[str, Value]) -> None:
        """Invert a negative magnitude; or let another lane's sum pass."""
        spec = self._alignment
        negative = fields["negative"]
        magnitude = Cat(Const(0, spec.addend_bits), fields["magnitude"])[-spec.addend_bits :]
        up = fields.pop("up", Const(0, 1))
        fields |= {
            "value": Cat(magnitude ^ negative.replicate(len(magnitude)), negative),
            "tail": up ^ negative,
        }
        layout = self.addend.shape()
        addend: data.View = pack(layout, fields)
        if spec.sum.lanes > 1:
            chosen = Signal(layout, name="chosen")
            m.d.comb += chosen.eq(Mux(self.recycle, self.recycled, addend))
            addend = chosen
        values = {name: addend[name] for name in layout.members}
        m.d.comb += self.addend.eq(register_record(m, layout, values, name="addend_register"))


def _shape(exponents: range, spec: FloatAlignment):
    """Shape of a product's exponent before and after normalising."""
    lowest = min(0, spec.product_exponents[0])
    bits = max(exponents.stop - 1, -lowest - 1, 1).bit_length()
    return signed(bits + 1) if lowest < 0 else bits
