"""Rounding a finished register to a posit."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from hwgen.formats.posit import Posit
from hwgen.rtl.records import register_fields
from hwgen.rtl.round_base import NormalisingRounder
from hwgen.spec.rounding import normalise, posit_fraction_bits

__all__ = ["PositRounder"]


class PositRounder(NormalisingRounder):
    """Round to a posit: the bit string to nearest, ties to the even pattern; saturating.

    Stages: one's complement magnitude | normalising left shift, one digit a stage | regime and
    exponent from the distance | arithmetic right shift that makes the regime as long as it is |
    round, and negate; NaR follows without a register.

    Notes
    -----
    Patterns are ordered as their magnitudes are, so that a carry out of the fraction runs into the
    exponent and the regime as it should. That includes the missing unit of a negative register.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The leading one, and the fraction with its guard bit.
        fields = self._normalised(m, kept=1 + posit_fraction_bits(self._datapath.out))
        fields = register_fields(m, self._place(m, fields), name="placed")
        fields = register_fields(m, self._shift(m, fields), name="shifted")
        fields = register_fields(m, self._round(m, fields), name="rounded")
        self._select(m, fields)
        assert self.latency == self.whole_latency + 1 + len(normalise(self._datapath).digits) + 3
        return m

    def _place(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Form the bit string with the shortest regime, and how far that is to be lengthened.

        A regime beyond the format's becomes its longest; past the smallest posit it takes the place
        under that one, from where rounding leads back up.
        """
        spec = normalise(self._datapath)
        out: Posit = self._datapath.out
        field, distance = fields.pop("field"), fields.pop("distance")
        sign = fields["sign"]
        lowest = spec.top_field - spec.max_shift
        size = max(abs(spec.top_field), abs(lowest), 1 << out.exponent_bits).bit_length() + 1
        scale = Signal(signed(size))
        m.d.comb += scale.eq(spec.top_field - distance)
        regime = scale[out.exponent_bits :].as_signed()
        exponent = scale[: out.exponent_bits]
        below_one = scale[-1]
        fraction_bits = posit_fraction_bits(out)
        fraction = field[len(field) - 1 - fraction_bits : -1]
        rest = field[: len(field) - 1 - fraction_bits]
        below_field = fields["sticky"]
        longest = out.width - 2
        above, below, at_top = Signal(), Signal(), Signal()
        m.d.comb += [
            above.eq(regime > longest),
            at_top.eq(regime == longest),
            below.eq(regime < -longest - 1),
        ]
        amount = Signal(range(longest + 1))
        m.d.comb += amount.eq(regime.as_unsigned() ^ below_one.replicate(len(regime)))
        with m.If(above | below):
            m.d.comb += amount.eq(longest)
        # At the longest regime stands the largest posit alone, without exponent or fraction.
        more = sign | exponent.any() | fraction.any() | rest.any() | below_field
        return fields | {
            "string": Cat(fraction, exponent, below_one, ~below_one),
            "amount": amount,
            "sticky": (rest ^ sign.replicate(len(rest))).any() | below_field | below,
            "beyond": field[-1] & (above | (at_top & more)),
            "zero": ~field[-1],
        }

    def _shift(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Lengthen the regime; below the string stand copies of the sign, as below the field."""
        out: Posit = self._datapath.out
        sign, string, amount = fields["sign"], fields.pop("string"), fields.pop("amount")
        wide = Cat(sign.replicate(out.width - 2), string).as_signed()
        shifted = Signal(len(wide))
        m.d.comb += shifted.eq(wide >> amount)
        rest = shifted[: -out.width]
        fields["sticky"] = fields["sticky"] | (rest ^ sign.replicate(len(rest))).any()
        return fields | {"kept": shifted[1 - out.width :], "guard": shifted[-out.width]}

    def _round(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Round to nearest, ties to even, never to zero nor past the largest posit; negate."""
        out: Posit = self._datapath.out
        sign, beyond, zero = fields["sign"], fields["beyond"], fields.pop("zero")
        kept, guard, sticky = (fields.pop(name) for name in ("kept", "guard", "sticky"))
        tie = Mux(sign, guard | kept[0], guard & kept[0])
        increment = Signal()
        m.d.comb += increment.eq((Mux(sticky, guard, tie) | ~kept.any()) & ~beyond & ~zero)
        magnitude = kept & (~zero).replicate(len(kept))
        # -(kept + increment) is ~kept + 1 - increment.
        pattern = Signal(out.width)
        m.d.comb += pattern.eq(
            (Cat(magnitude, Const(0, 1)) ^ sign.replicate(out.width)) + (increment ^ sign)
        )
        return fields | {"pattern": pattern, "lost": (sticky | (guard ^ sign)) & ~zero}

    def _select(self, m: Module, fields: dict[str, Value]) -> None:
        out: Posit = self._datapath.out
        not_real = fields["nan"] | fields["inf"]
        exceeds = Signal()
        m.d.comb += exceeds.eq(Mux(not_real, fields["inf"] & ~fields["nan"], fields["beyond"]))
        self._drive(
            m,
            bits=Mux(not_real, Const(out.nan_bits, out.width), fields["pattern"]),
            invalid=not_real,
            overflow=fields["overflow"] | exceeds,
            inexact=fields["inexact"] | exceeds | (fields["lost"] & ~not_real),
        )
