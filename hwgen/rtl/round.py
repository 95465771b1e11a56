"""The other edge of the array: a finished register in, one rounded result and its status out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.formats.posit import Posit
from hwgen.rtl.records import register_fields
from hwgen.rtl.round_base import STATUS_BITS, NormalisingRounder, Rounder
from hwgen.rtl.round_float_sum import FloatSumRounder
from hwgen.rtl.round_posit import PositRounder
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import normalise

__all__ = ["STATUS_BITS", "rounder_class"]


def rounder_class(datapath: Datapath) -> type[wiring.Component]:
    """Return the rounder for a datapath's result format: the dispatch table of this edge."""
    if datapath.float_sum is not None:
        return FloatSumRounder
    if datapath.hands_out_register:
        return RawRounder
    if isinstance(datapath.out, FixedPoint):
        return FixedRounder
    if isinstance(datapath.out, Posit):
        return PositRounder
    return FloatRounder


class RawRounder(Rounder):
    """The register itself; it reads zero, and invalid, where the result is NaN or infinite."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        partial = self._whole(m)
        flags = self._flags(partial)
        invalid = Signal()
        m.d.comb += invalid.eq(flags["nan"] | flags["inf"])
        register = partial.value[: self._datapath.window.width]
        self._drive(
            m,
            bits=Mux(invalid, 0, register),
            invalid=invalid,
            overflow=flags["overflow"],
            inexact=flags["inexact"],
        )
        assert self.latency == self.whole_latency
        return m


class FixedRounder(Rounder):
    """Round to a fixed-point format: move by a constant, round, saturate."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        out: FixedPoint = self._datapath.out
        window = self._datapath.window
        distance = window.lsb - out.min_exponent
        partial = self._whole(m)
        fields = self._flags(partial)
        value = partial.value[: window.width].as_signed()
        if distance >= 0:
            rounded: Value = value << distance
            lost: Value = Const(0, 1)
        else:
            # A distance past the register's width leaves the sign alone above the dropped bits.
            wide = Cat(value, value[-1].replicate(max(0, -distance + 1 - len(value)))).as_signed()
            dropped = wide[:-distance]
            kept = wide[-distance:].as_signed()
            rounded = kept + (dropped[-1] & (dropped[:-1].any() | kept[0]))
            lost = dropped.any()
        fields["lost"] = lost
        fields["rounded"] = rounded
        fields = register_fields(m, fields, name="rounded")
        self._saturate(m, fields, out)
        assert self.latency == self.whole_latency + 1
        return m

    def _saturate(self, m: Module, fields: dict[str, Value], out: FixedPoint) -> None:
        highest = (1 << (out.width - out.signed)) - 1
        lowest = -(1 << (out.width - 1)) if out.signed else 0
        rounded = fields["rounded"]
        above = Signal()
        under = Signal()
        finite = ~(fields["nan"] | fields["inf"])
        m.d.comb += [
            above.eq(Mux(finite, rounded > highest, fields["inf"] & ~fields["inf_negative"])),
            under.eq(Mux(finite, rounded < lowest, fields["inf"] & fields["inf_negative"])),
        ]
        low_bits = Signal(out.width)
        m.d.comb += low_bits.eq(rounded)
        bits = Mux(above, Const(highest, out.width), low_bits)
        bits = Mux(under, Const(lowest, signed(out.width))[: out.width], bits)
        self._drive(
            m,
            bits=Mux(fields["nan"], out.nan_bits, bits),
            invalid=fields["nan"],
            overflow=fields["overflow"] | above | under,
            inexact=fields["inexact"] | above | under | (fields["lost"] & finite),
        )


class FloatRounder(NormalisingRounder):
    """Round to a floating-point format.

    Stages: one's complement magnitude | normalising left shift, one digit a stage, never past the
    subnormals | round; overflow and specials follow without a register.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The leading one, the fraction and a guard bit.
        fields = self._normalised(m, kept=self._datapath.out.fraction_bits + 2)
        fields = register_fields(m, self._round(m, fields), name="rounded")
        self._select(m, fields)
        assert self.latency == self.whole_latency + 1 + len(normalise(self._datapath).digits) + 1
        return m

    def _round(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Pack exponent and fraction and round to nearest, ties to even.

        The field of a negative number reads ``field.111...``: its rest counts as zero if all ones,
        and the missing unit and the rounding are one increment.
        """
        spec = normalise(self._datapath)
        out: Float = self._datapath.out
        field, distance = fields.pop("field"), fields.pop("distance")
        sign = fields["sign"]
        fraction = field[-1 - out.fraction_bits : -1]
        guard = field[-2 - out.fraction_bits]
        rest = field[: -2 - out.fraction_bits]
        sticky = Signal()
        m.d.comb += sticky.eq(fields.pop("sticky") | (rest ^ sign.replicate(len(rest))).any())
        tie = Mux(sign, guard | fraction[0], guard & fraction[0])
        # Without a leading one on top the number is subnormal or zero: exponent field 0.
        exponent = Signal(range(spec.top_field + 1), name="exponent_field")
        m.d.comb += exponent.eq(Mux(field[-1], spec.top_field - distance, 0))
        increment = Signal()
        m.d.comb += increment.eq(Mux(sticky, guard, tie))
        return fields | {
            "packed": Cat(fraction, exponent) + increment,
            "lost": sticky | (guard ^ sign),
        }

    def _select(self, m: Module, fields: dict[str, Value]) -> None:
        out: Float = self._datapath.out
        packed, sign = fields["packed"], fields["sign"]
        beyond = Signal()
        magnitude = Signal(out.width - 1)
        m.d.comb += magnitude.eq(packed)
        carried_out = (normalise(self._datapath).top_field + 1) << out.fraction_bits
        if carried_out > out.max_finite_bits:  # else no value of the register is too large
            m.d.comb += beyond.eq(packed > out.max_finite_bits)
        above = out.encode(out.max_finite * 2)
        under = out.encode(-out.max_finite * 2)
        too_large = Mux(sign, Const(under.bits, out.width), Const(above.bits, out.width))
        finite = Mux(beyond, too_large, Cat(magnitude, sign))
        infinite = Mux(
            fields["inf_negative"],
            Const(out.infinity_bits(True), out.width),
            Const(out.infinity_bits(False), out.width),
        )
        is_nan, is_inf = fields["nan"], fields["inf"]
        is_finite = ~(is_nan | is_inf)
        exceeds = Signal()
        m.d.comb += exceeds.eq((beyond & is_finite) | (is_inf if not out.has_inf else 0))
        self._drive(
            m,
            bits=Mux(is_nan, out.nan_bits, Mux(is_inf, infinite, finite)),
            invalid=is_nan | (exceeds if above.invalid else 0),
            overflow=fields["overflow"] | exceeds,
            inexact=fields["inexact"] | exceeds | (fields["lost"] & is_finite),
        )
