"""What the rounders have in common: the interface, the flags, the normalising shift."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import left_register, partial_lags, partial_layout, register_fields
from hwgen.rtl.start_adder import StartAdder, start_layout
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import normalise, rounding_stages, whole_stages

__all__ = ["STATUS_BITS", "NormalisingRounder", "Rounder"]

STATUS_BITS = 3  # bit 0 invalid, bit 1 overflow, bit 2 inexact


class Rounder(wiring.Component):
    """Common interface of the rounders.

    Parameters
    ----------
    datapath : Datapath
    start : bool
        Add a start value first.

    Members
    -------
    partial : In(partial_layout)
    start : In(start_layout)
        With ``start``: what the sum is added to, in the cycle of its lowest part.
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

    def __init__(self, datapath: Datapath, start: bool = False) -> None:
        self._datapath = datapath
        self._start = start
        self._alignment = align(datapath)
        super().__init__(
            {
                "partial": In(partial_layout(self._alignment)),
                "bits": Out(datapath.out_width),
                "status": Out(STATUS_BITS),
            }
            | ({"start": In(start_layout(datapath.window.width))} if start else {})
        )

    @property
    def latency(self) -> int:
        """Cycles from ``partial`` to ``bits``."""
        return rounding_stages(self._datapath, start=self._start)

    @property
    def whole_latency(self) -> int:
        """Cycles from the lowest part of ``partial`` to the finished sum."""
        return whole_stages(self._datapath, start=self._start)

    def _whole(self, m: Module) -> data.View:
        """The finished sum, start value included, with all its parts in one cycle."""
        layout = self.partial.shape()
        if self._start:
            m.submodules.start_adder = adder = StartAdder(self._alignment)
            m.d.comb += [adder.partial.eq(self.partial), adder.start.eq(self.start)]
            return adder.whole
        if not self._alignment.skew:
            return self.partial
        word, whole = self.partial.as_value(), Signal(layout, name="whole")
        parts = []
        for bits, lag in partial_lags(self._alignment):
            part = word[bits.start : bits.stop]
            for stage in range(self._alignment.skew - lag):
                delayed = Signal(len(part), name=f"part_{bits.start}_{stage}", reset_less=True)
                m.d.sync += delayed.eq(part)
                part = delayed
            parts.append(part)
        m.d.comb += whole.eq(Cat(parts))
        return whole

    def _flags(self, partial: data.View) -> dict[str, Value]:
        """What the block saw: NaN, infinity and its sign, range events, dropped bits."""
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


class NormalisingRounder(Rounder):
    """A rounder that first moves the register's leading one to the top of a field.

    The field of a negative register holds its one's complement and reads ``field.111...``.
    """

    def _normalised(self, m: Module, kept: int) -> dict[str, Value]:
        """Take the register and shift it, one digit of the distance a stage.

        Parameters
        ----------
        m : Module
        kept : int
            Bits at the field's top of which the result is made.

        Returns
        -------
        dict of str to Value
            ``field``, those bits and some below, and whether further down is anything but copies of
            the sign, ``sticky``; the ``sign``, the ``distance`` moved up by, and the flags.
        """
        spec = normalise(self._datapath)
        window = self._datapath.window
        partial = self._whole(m)
        sign = partial.value[window.width - 1]
        magnitude = Signal(window.width - 1)
        m.d.comb += magnitude.eq(
            partial.value[: window.width - 1] ^ sign.replicate(window.width - 1)
        )
        pad_high = spec.width - spec.pad_low - len(magnitude)
        fields = self._flags(partial) | {
            "sign": sign,
            "field": Cat(sign.replicate(spec.pad_low), magnitude, Const(0, pad_high)),
            "distance": Const(0, max(1, spec.max_shift.bit_length())),
            "below_bound": Const(0, 1),
            "sticky": Const(0, 1),
        }
        fields = register_fields(m, fields, name="taken")
        for stage, (place, size) in enumerate(spec.digits):
            # What lies too low to come up among the kept bits ends here, judged beside the shift.
            low = max(0, len(fields["field"]) - kept - ((1 << (place + size)) - 1))
            rest = fields["field"][:low]
            if low:
                fields["sticky"] |= (rest ^ fields["sign"].replicate(low)).any()
            self._move(m, fields, place, size)
            fields["field"] = fields["field"][low:]
            fields = register_fields(m, fields, name=f"moved_{stage}")
        fields.pop("below_bound")
        return fields

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
