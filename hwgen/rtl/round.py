"""The other edge of the array: a finished register in, one rounded result and its status out."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.rtl.records import left_register, partial_layout, register_fields
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import normalise, rounding_stages

__all__ = ["STATUS_BITS", "rounder_class"]

STATUS_BITS = 3  # bit 0 invalid, bit 1 overflow, bit 2 inexact


def rounder_class(datapath: Datapath) -> type[wiring.Component]:
    """Return the rounder for a datapath's result format: the dispatch table of this edge."""
    if datapath.out is None:
        return RawRounder
    if isinstance(datapath.out, FixedPoint):
        return FixedRounder
    return FloatRounder


class _Rounder(wiring.Component):
    """Common interface of the rounders.

    Members
    -------
    partial : In(partial_layout)
    bits : Out(result width)
    status : Out(3)
        Bit 0 invalid, bit 1 overflow, bit 2 inexact.

    Notes
    -----
    Latency: :func:`~hwgen.spec.rounding.rounding_stages`. One result a cycle. Ties to even
    (arithmetic.md section 4).
    """

    has_reset = False
    definition = "round"

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        self._alignment = align(datapath)
        super().__init__(
            {
                "partial": In(partial_layout(self._alignment)),
                "bits": Out(datapath.out_width),
                "status": Out(STATUS_BITS),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``partial`` to ``bits``."""
        return rounding_stages(self._datapath)

    def _flags(self) -> dict[str, Value]:
        """What the block saw: NaN, infinity and its sign, range events, dropped bits."""
        partial = self.partial
        members = partial.shape().members
        window = self._datapath.window
        overflow = partial.overflow | left_register(partial.value, window.width)
        nan: Value = Const(0, 1)
        inf: Value = Const(0, 1)
        negative: Value = Const(0, 1)
        if "nan" in members:
            nan = partial.nan
        if "positive_inf" in members:
            nan = partial.positive_inf & partial.negative_inf
            inf = partial.positive_inf ^ partial.negative_inf
            negative = partial.negative_inf
        if window.overflow is Overflow.NAN:
            nan = nan | overflow
            inf = inf & ~overflow
        return {
            "nan": nan,
            "inf": inf,
            "inf_negative": negative,
            "overflow": overflow,
            "inexact": partial.inexact if "inexact" in members else Const(0, 1),
        }

    def _drive(
        self, m: Module, *, bits: Value, invalid: Value, overflow: Value, inexact: Value
    ) -> None:
        """Hand out the result and its status."""
        m.d.comb += [self.bits.eq(bits), self.status.eq(Cat(invalid, overflow, inexact))]


class RawRounder(_Rounder):
    """The register itself; it reads zero, and invalid, where the result is NaN or infinite."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flags = self._flags()
        invalid = Signal()
        m.d.comb += invalid.eq(flags["nan"] | flags["inf"])
        register = self.partial.value[: self._datapath.window.width]
        self._drive(
            m,
            bits=Mux(invalid, 0, register),
            invalid=invalid,
            overflow=flags["overflow"],
            inexact=flags["inexact"],
        )
        assert self.latency == 0
        return m


class FixedRounder(_Rounder):
    """Round to a fixed-point format: move by a constant, round, saturate."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        out: FixedPoint = self._datapath.out
        window = self._datapath.window
        distance = window.lsb - out.min_exponent
        fields = self._flags()
        value = self.partial.value[: window.width].as_signed()
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
        assert self.latency == 1
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


class FloatRounder(_Rounder):
    """Round to a floating-point format.

    Stages: one's complement magnitude | normalising left shift, one digit a stage, never past the
    subnormals | round; overflow and specials follow without a register.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = normalise(self._datapath)
        window = self._datapath.window
        sign = self.partial.value[window.width - 1]
        magnitude = Signal(window.width - 1)
        m.d.comb += magnitude.eq(
            self.partial.value[: window.width - 1] ^ sign.replicate(window.width - 1)
        )
        pad_high = spec.width - spec.pad_low - len(magnitude)
        fields = self._flags() | {
            "sign": sign,
            "field": Cat(sign.replicate(spec.pad_low), magnitude, Const(0, pad_high)),
            "distance": Const(0, max(1, spec.max_shift.bit_length())),
            "below_bound": Const(0, 1),
        }
        fields = register_fields(m, fields, name="taken")
        for stage, (place, size) in enumerate(spec.digits):
            self._move(m, fields, place, size)
            fields = register_fields(m, fields, name=f"moved_{stage}")
        fields = register_fields(m, self._round(m, fields), name="rounded")
        self._select(m, fields)
        assert self.latency == 1 + len(spec.digits) + 1
        return m

    def _move(self, m: Module, fields: dict[str, Value], place: int, size: int) -> None:
        """Shift left by one digit: past all zero groups it can count and the format allows."""
        spec = normalise(self._datapath)
        step = 1 << place
        field = fields["field"]
        largest = min((1 << size) - 1, spec.max_shift >> place)
        digit = Signal(size, name=f"digit_{step}")
        m.d.comb += digit.eq(largest)
        for index in reversed(range(largest)):
            # A group that reaches below the field counts what shifts in there: not zero.
            group = field[max(0, len(field) - (index + 1) * step) : len(field) - index * step]
            with m.If(group.any()):
                m.d.comb += digit.eq(index)
        chosen: Value = digit
        if spec.bounded:
            bound = (spec.max_shift >> place) & ((1 << size) - 1)
            below = fields["below_bound"]
            if largest > bound:
                chosen = Signal(size, name=f"bounded_digit_{step}")
                m.d.comb += chosen.eq(Mux(~below & (digit > bound), bound, digit))
            if bound:
                fields["below_bound"] = below | (digit < bound)
        for index in reversed(range(size)):
            amount = min(step << index, len(field))
            moved = Signal(len(field), name=f"moved_by_{step << index}")
            filled = Cat(fields["sign"].replicate(amount), field)[: len(field)]
            m.d.comb += moved.eq(Mux(chosen[index], filled, field))
            field = moved
        fields["field"] = field
        fields["distance"] = fields["distance"] | (chosen << place)[: len(fields["distance"])]

    def _round(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Pack exponent and fraction and round to nearest, ties to even.

        The field of a negative number reads ``field.111...``: its rest counts as zero if all ones,
        and the missing unit and the rounding are one increment.
        """
        spec = normalise(self._datapath)
        out: Float = self._datapath.out
        field, distance = fields.pop("field"), fields.pop("distance")
        fields.pop("below_bound")
        sign = fields["sign"]
        fraction = field[-1 - out.fraction_bits : -1]
        guard = field[-2 - out.fraction_bits]
        rest = field[: -2 - out.fraction_bits]
        sticky = Signal()
        m.d.comb += sticky.eq((rest ^ sign.replicate(len(rest))).any())
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
