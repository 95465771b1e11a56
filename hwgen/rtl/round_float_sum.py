"""The rounder of floating-point sums: finish the last rounding, pack, convert to another format."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from hwgen.formats.ieee import Float
from hwgen.rtl.float_loop import rounded
from hwgen.rtl.records import register_fields
from hwgen.rtl.round_base import Rounder
from hwgen.spec.float_conversion import Conversion, conversion
from hwgen.spec.float_sum import FloatAlignment

__all__ = ["FloatSumRounder"]

_Fields = dict[str, Value]


class FloatSumRounder(Rounder):
    """Finish a floating-point sum and convert it to the result format.

    Stages: finish the last rounding; for another result format also: move a subnormal number's
    leading one to the top | move what becomes subnormal right | round, where each is needed.
    Overflow and specials follow without a register.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = conversion(self._datapath)
        fields = self._judged(m, register_fields(m, self._finished(m), name="finished"))
        stages = 1
        if spec is not None:
            fields = self._unpacked(m, fields, spec)
            if spec.max_left:
                fields = register_fields(m, self._normalised(m, fields, spec), name="normalised")
                stages += 1
            fields = self._cut(fields)
            if spec.max_right:
                fields = register_fields(
                    m, self._denormalised(m, fields, spec), name="denormalised"
                )
                stages += 1
            fields = self._compared(m, register_fields(m, self._rounded(m, fields), name="rounded"))
            stages += 1
        self._select(m, fields)
        assert stages == self.latency
        return m

    def _finished(self, m: Module) -> _Fields:
        """Round the sum and pack its magnitude: exponent field and fraction in one word.

        A negative magnitude is the inverted value; its missing unit and the rounding make one
        increment, which may carry into the exponent. Only zeros and subnormal numbers have no
        leading one: they have exponent 0, and a field of 0.
        """
        spec: FloatAlignment = self._alignment
        partial, bits = self.partial, spec.precision
        tail, inexact = rounded(m, partial)
        sign = partial.value[-1]
        magnitude = partial.value[:-1] ^ sign.replicate(bits)
        leading = magnitude[-1]
        exponent = Mux(leading, partial.exponent, 0)
        packed = Signal(len(partial.exponent) + bits + 1, name="packed")
        augend = Cat(Const(1, 1), magnitude[:-1], exponent)
        addend = Cat(tail ^ sign, Const(0, bits - 1), leading)
        m.d.comb += packed.eq((augend + addend)[1:])
        return {
            "packed": packed,
            "negative": sign,
            "positive": ~partial.both_negative & ~inexact,  # if it is zero
            "positive_inf": partial.positive_inf,
            "negative_inf": partial.negative_inf,
            "overflow": partial.overflow,
            "inexact": partial.inexact,
            "inexact_last": inexact,
        }

    def _judged(self, m: Module, fields: _Fields) -> _Fields:
        """Tell what is infinite or NaN, whether the last rounding overflowed, and zero's sign."""
        fmt: Float = self._alignment.sum.format
        packed, negative = fields["packed"], fields["negative"]
        special = fields["positive_inf"] | fields["negative_inf"]
        overflow = Signal(name="overflows_at_last")
        m.d.comb += overflow.eq(~special & (packed > fmt.max_finite_bits))
        plus = fields["positive_inf"] | (overflow & ~negative)
        minus = fields["negative_inf"] | (overflow & negative)
        return {
            "magnitude": packed[: fmt.width - 1],
            "negative": negative & ~(fields["positive"] & (packed == 0)),
            "nan": plus & minus,
            "inf": plus ^ minus,
            "inf_negative": minus,
            "overflow": fields["overflow"] | overflow,
            "inexact": fields["inexact"] | (~special & (overflow | fields["inexact_last"])),
        }

    def _select(self, m: Module, fields: _Fields) -> None:
        """Hand out the number, infinity or NaN."""
        out: Float = self._datapath.out
        negative = fields["negative"]
        above, under = (out.encode(sign * 2 * out.max_finite) for sign in (1, -1))
        beyond = fields.get("beyond", Const(0, 1))
        number = Mux(
            beyond,
            Mux(negative, Const(under.bits, out.width), Const(above.bits, out.width)),
            Cat(fields["magnitude"][: out.width - 1], negative),
        )
        infinite = Mux(
            fields["inf_negative"],
            Const(out.infinity_bits(True), out.width),
            Const(out.infinity_bits(False), out.width),
        )
        if not out.has_inf:
            beyond = beyond | fields["inf"]
        self._drive(
            m,
            bits=Mux(fields["nan"], out.nan_bits, Mux(fields["inf"], infinite, number)),
            invalid=fields["nan"] | (beyond if above.invalid else 0),
            overflow=fields["overflow"] | beyond,
            inexact=fields["inexact"] | beyond,
        )

    def _unpacked(self, m: Module, fields: _Fields, spec: Conversion) -> _Fields:
        """Significand with its leading one, and exponent from the result's least normal binade."""
        fmt: Float = self._alignment.sum.format
        magnitude = fields.pop("magnitude")
        fraction, field = magnitude[: fmt.fraction_bits], magnitude[fmt.fraction_bits :]
        normal = Signal(name="is_normal")
        highest = fmt.max_finite_bits >> fmt.fraction_bits
        # The all-ones field of infinities needs no exponent of its own.
        exponents = range(spec.exponent_offset, spec.exponent_offset + highest)
        exponent = Signal(Shape.cast(exponents), name="exponent")
        m.d.comb += [
            normal.eq(field.any()),
            exponent.eq(field + Mux(normal, spec.exponent_offset - 1, spec.exponent_offset)),
        ]
        return fields | {"significand": Cat(fraction, normal), "exponent": exponent}

    def _normalised(self, m: Module, fields: _Fields, spec: Conversion) -> _Fields:
        """Move the leading one up, but not past the result's subnormals."""
        significand = fields["significand"]
        distance = Signal(range(spec.max_left + 1), name="distance_up")
        m.d.comb += distance.eq(spec.max_left)
        for place in reversed(range(spec.max_left)):
            with m.If(significand[-1 - place]):
                m.d.comb += distance.eq(place)
        moved = Signal(len(significand), name="moved_up")
        exponent = Signal(len(fields["exponent"]), name="exponent_up")
        m.d.comb += [
            moved.eq(significand << distance),
            exponent.eq(fields["exponent"] - distance),
        ]
        return fields | {"significand": moved, "exponent": exponent}

    def _cut(self, fields: _Fields) -> _Fields:
        """Significand of the result with a guard bit, and whether there is anything below."""
        bits = self._datapath.out.precision + 1
        wide = Cat(Const(0, bits), fields.pop("significand"))
        return fields | {"kept": wide[-bits:], "sticky": wide[:-bits].any()}

    def _denormalised(self, m: Module, fields: _Fields, spec: Conversion) -> _Fields:
        """Move a number of negative exponent down until the exponent is 0."""
        kept, exponent = fields["kept"], fields["exponent"]
        below = exponent[-1] if exponent.shape().signed else Const(0, 1)
        distance = Signal(range(spec.max_right + 1), name="distance_down")
        m.d.comb += distance.eq(0)
        with m.If(exponent <= -spec.max_right):
            m.d.comb += distance.eq(spec.max_right)
        with m.Elif(below):
            m.d.comb += distance.eq(-exponent)
        # What leaves the field stays in view, to be told from nothing.
        wide = Signal(len(kept) + spec.max_right, name="moved_down")
        m.d.comb += wide.eq(Cat(Const(0, spec.max_right), kept) >> distance)
        return fields | {
            "kept": wide[spec.max_right :],
            "sticky": fields["sticky"] | wide[: spec.max_right].any(),
            "exponent": Mux(below, 0, exponent)[: len(exponent)],
        }

    def _rounded(self, m: Module, fields: _Fields) -> _Fields:
        """Round to nearest, ties to even, and pack as the sum is packed."""
        kept, sticky = fields.pop("kept"), fields.pop("sticky")
        exponent = fields.pop("exponent")
        guard, leading = kept[0], kept[-1]
        bits = len(kept) - 1
        packed = Signal(len(exponent) + bits + 1, name="packed_result")
        augend = Cat(Const(1, 1), kept[1:-1], Mux(leading, exponent, 0)[: len(exponent)])
        addend = Cat(guard & (sticky | kept[1]), Const(0, bits - 1), leading)
        m.d.comb += packed.eq((augend + addend)[1:])
        dropped = (guard | sticky) & ~fields["inf"] & ~fields["nan"]
        return fields | {"packed": packed, "inexact": fields["inexact"] | dropped}

    def _compared(self, m: Module, fields: _Fields) -> _Fields:
        """Tell what is beyond the result's format."""
        out: Float = self._datapath.out
        packed = fields.pop("packed")
        beyond = Signal(name="is_beyond")
        m.d.comb += beyond.eq(~fields["inf"] & ~fields["nan"] & (packed > out.max_finite_bits))
        return fields | {"magnitude": packed, "beyond": beyond}
