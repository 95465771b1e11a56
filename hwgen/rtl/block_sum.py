"""The sum of a scale block at the array's edge: scaled, and added to its register in a memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats.block import BlockScaled
from hwgen.formats.scale import SCALE_BITS
from hwgen.rtl.accumulator import saturated
from hwgen.rtl.decode import decode_scales, multiplied
from hwgen.rtl.multiply_align import FloatSummand
from hwgen.rtl.records import (
    left_register,
    operand_layout,
    partial_layout,
    register_fields,
    register_record,
    summand_layout,
    value_bits,
)
from hwgen.rtl.unpack import completed
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import Alignment, align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import SUM_LATENCY, normalising_digits, scaler_stages

__all__ = ["BlockScaler", "RegisterFile", "register_token_layout"]


class BlockScaler(wiring.Component):
    """Multiply a scale block's sum by its scales, and move it to its place in the window.

    Members
    -------
    sum : In(partial_layout of the elements' alignment)
        All parts in one cycle.
    a_scale, b_scale : In(8)
    summand : Out(summand_layout)

    Notes
    -----
    Stages: decode | normalise, a digit of the shift each; multiply the scales' significands
    meanwhile | add the exponents | split the exponent into steps | multiply and align. Latency:
    :func:`~hwgen.spec.timing.scaler_stages`. One sum a cycle.
    """

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        self._alignment = align(datapath)
        self._elements = align(datapath.elements)
        super().__init__(
            {
                "sum": In(partial_layout(self._elements)),
                "a_scale": In(SCALE_BITS),
                "b_scale": In(SCALE_BITS),
                "summand": Out(summand_layout(self._alignment)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``sum`` to ``summand``."""
        return scaler_stages(self._alignment)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        m.submodules.multiply_align = product = FloatSummand(spec)
        total = register_fields(m, self._sum_fields(m), name="sum_decoded")
        scale = register_fields(m, self._scale_fields(m), name="scale_decoded")
        total, scale = self._normalised(m, total, scale)
        significand = total["significand"]
        lowest = Signal(len(significand))
        m.d.comb += lowest.eq(significand & -significand)
        total = register_fields(m, total | {"lowest": lowest}, name="sum_placed")
        scale["exponent"] = scale["exponent"] - scale.pop("distance")
        scale = register_fields(m, scale, name="scale_placed")
        operands = {"a": _completed_sum(total), "b": completed(m, spec.b, scale)}
        for side, fields in operands.items():
            layout = operand_layout(spec, side)
            operand = register_record(m, layout, fields, name=f"{side}_operand")
            m.d.comb += getattr(product, side).eq(operand)
        m.d.comb += self.summand.eq(product.summand)
        return m

    def _normalised(
        self, m: Module, total: dict[str, Value], scale: dict[str, Value]
    ) -> tuple[dict[str, Value], dict[str, Value]]:
        """Move the leading ones of the sum and of the scales' significand to the top.

        The distances that they have moved by leave the scales' exponent a stage later, the last
        stage's as ``distance``.
        """
        stages, sum_digits, scale_digits = normalising_digits(self._alignment)
        for stage in range(stages):
            exponent = scale["exponent"]
            if "distance" in scale:
                exponent = exponent - scale.pop("distance")
            if stage == 0:
                scale = self._multiplied(m, scale)
            distances = []
            if stage < len(sum_digits):
                distances.append(_moved(m, total, *sum_digits[stage], name=f"sum_{stage}"))
            if stage >= stages - len(scale_digits):
                digit = scale_digits[stage - stages]
                distances.append(_moved(m, scale, *digit, name=f"scale_{stage}"))
            distance = sum(distances[1:], distances[0]) if distances else Const(0, 1)
            scale |= {"exponent": exponent, "distance": distance}
            total = register_fields(m, total, name=f"sum_moved_{stage}")
            scale = register_fields(m, scale, name=f"scale_moved_{stage}")
        return total, scale

    def _multiplied(self, m: Module, scale: dict[str, Value]) -> dict[str, Value]:
        """Multiply what significands the scales have; powers of two have none."""
        fields = {name: value for name, value in scale.items() if not name.startswith("factor_")}
        factors = [value for name, value in scale.items() if name.startswith("factor_")]
        significand = Signal(self._alignment.b.precision, name="scale_significand")
        product: Value = Const(1, 1)
        if factors:
            product = multiplied(*factors) if len(factors) == 2 else factors[0]
        with m.If(~fields["nan"]):
            m.d.comb += significand.eq(product)
        return fields | {"significand": significand}

    def _sum_fields(self, m: Module) -> dict[str, Value]:
        """Sign and magnitude; the sum of a block with NaN or infinities counts as zero."""
        operand = self._alignment.a
        members = self.sum.shape().members
        nan: Value = Const(0, 1)
        inf: Value = Const(0, 1)
        sign = Signal(name="sum_sign")
        value = self.sum.value[: operand.precision + 1].as_signed()
        m.d.comb += sign.eq(value[-1])
        fields: dict[str, Value] = {"sign": sign}
        if "nan" in members:
            nan = self.sum.nan
        if "positive_inf" in members:
            nan = self.sum.positive_inf & self.sum.negative_inf
            inf = self.sum.positive_inf ^ self.sum.negative_inf
            fields["sign"] = Mux(inf, self.sum.negative_inf, sign)
        magnitude = Signal(operand.precision, name="sum_magnitude")
        m.d.comb += magnitude.eq(Mux(sign, -value, value))
        special = nan | inf
        significand = Signal(operand.precision, name="sum_significand")
        with m.If(~special):
            m.d.comb += significand.eq(magnitude)
        return fields | {"significand": significand, "nan": nan, "special": special}

    def _scale_fields(self, m: Module) -> dict[str, Value]:
        scales = []
        for fmt, bits in ((self._datapath.a, self.a_scale), (self._datapath.b, self.b_scale)):
            assert isinstance(fmt, BlockScaled), fmt
            scales.append((fmt.scale, bits))
        # The exponent of leading ones that are at the top; what they move by is subtracted.
        spec = self._alignment
        top = spec.a.precision - 1
        if spec.b.normalised:
            top += spec.b.precision - 1
        return decode_scales(m, scales, spec.b.offset + top)


def _moved(m: Module, fields: dict[str, Value], place: int, size: int, *, name: str) -> Value:
    """Shift a significand left by one digit: past all groups of zeros that it can count.

    Returns the distance.
    """
    step = 1 << place
    field = fields["significand"]
    largest = min((1 << size) - 1, (len(field) - 1) >> place)
    digit = Signal(size, name=f"{name}_digit")
    m.d.comb += digit.eq(largest)
    for index in reversed(range(largest)):
        group = field[max(0, len(field) - (index + 1) * step) : len(field) - index * step]
        with m.If(group.any()):
            m.d.comb += digit.eq(index)
    for index in reversed(range(size)):
        moved = Signal(len(field), name=f"{name}_moved_by_{step << index}")
        m.d.comb += moved.eq(Mux(digit[index], field << (step << index), field))
        field = moved
    fields["significand"] = field
    return Cat(Const(0, place), digit)


def _completed_sum(total: dict[str, Value]) -> dict[str, Value]:
    """What the product wants to know of a normalised sum besides."""
    lowest = total["lowest"]
    count = (len(lowest) - 1).bit_length()
    trailing = [
        Cat(lowest[place] for place in range(len(lowest)) if place >> bit & 1).any()
        for bit in range(count)
    ]
    infinite = total["special"] & ~total["nan"]
    # The leading one is at the top, if there is any.
    return total | {"trailing": Cat(trailing), "zero": ~total["significand"][-1] & ~infinite}


def register_token_layout(depth: int) -> data.StructLayout:
    """Layout of what tells registers apart: there is a summand, it is the first, and its place."""
    return data.StructLayout({"valid": 1, "first": 1, "address": range(depth)})


class RegisterFile(wiring.Component):
    """Registers in a memory, one of which a summand is added to in each cycle.

    Parameters
    ----------
    alignment : Alignment
    depth : int
        Registers, a power of two.

    Members
    -------
    token : In(register_token_layout)
        A cycle before the summand.
    summand : In(summand_layout)
    partial : Out(partial_layout)
        The sum, in the cycle after the summand; its parts as
        :func:`~hwgen.rtl.records.partial_lags` says.

    Notes
    -----
    A register may be added to again after two cycles, not sooner. Arithmetic and parts of wide
    sums: as in :class:`~hwgen.rtl.accumulator.WindowAccumulator`.
    """

    def __init__(self, alignment: Alignment, depth: int) -> None:
        self._alignment = alignment
        self._depth = depth
        super().__init__(
            {
                "token": In(register_token_layout(depth)),
                "summand": In(summand_layout(alignment)),
                "partial": Out(partial_layout(alignment)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the summand to the sum's lowest part."""
        return SUM_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._alignment
        members = self.partial.shape().members
        flags = [name for name in members if name not in ("value", "overflow")]
        token: Value = Value.cast(self.token)
        sign: Value = self.summand.value[-1]
        exceeds = self.summand.exceeds if "exceeds" in self.summand.shape().members else Const(0, 1)
        carry = self.summand.carry if "carry" in self.summand.shape().members else Const(0, 1)
        parts, low_flags, overflow = [], [], None
        for index, chunk in enumerate(spec.chunks):
            if index:
                token = _delayed(m, f"token_{index}", token)
                exceeds = _delayed(m, f"exceeds_{index}", exceeds)
            if chunk.start > spec.magnitude_bits:
                sign = _delayed(m, f"sign_{index}", sign)
            top = index == spec.skew
            kept = value_bits(spec) - chunk.start if top else len(chunk)
            sticky = (1 if top else 0) + (len(flags) if index == 0 else 0)
            old, write = self._port(m, index, kept + sticky, token)
            total, left = self._added(m, chunk, old[:kept], sign, carry)
            seen: list[Value] = []
            if index == 0:
                seen += [self.summand[name] for name in flags]
            if top:
                seen.append(left | exceeds)
            else:
                carry = _delayed(m, f"carry_{index}", total[-1])
                total = total[:-1]
            word = Cat(total, Cat(seen) | old[kept:])
            m.d.comb += write.eq(word)
            out = _delayed(m, f"out_{index}", word)
            parts.append(out[:kept])
            if index == 0:
                low_flags = [out[kept + place] for place in range(len(flags))]
            if top:
                overflow = out[-1]
        m.d.comb += self.partial.as_value().eq(Cat(*parts, overflow, *low_flags))
        return m

    def _port(self, m: Module, index: int, width: int, token_bits: Value) -> tuple[Value, Value]:
        """One part's memory: what is read, zeros if nothing was added yet, and what is written."""
        arriving = self.token.shape()(token_bits)
        token = Signal(self.token.shape(), name=f"token_now_{index}", reset_less=True)
        m.d.sync += token.eq(arriving)
        storage = memory.Memory(shape=width, depth=self._depth, init=[])
        m.submodules[f"storage_{index}"] = storage
        write, read = storage.write_port(), storage.read_port()
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(arriving.address),
            write.en.eq(token.valid),
            write.addr.eq(token.address),
        ]
        old = Signal(width, name=f"old_{index}")
        with m.If(~token.first):
            m.d.comb += old.eq(read.data)
        return old, write.data

    def _added(
        self, m: Module, chunk: range, old: Value, sign: Value, carry: Value
    ) -> tuple[Value, Value]:
        """Add to one part of a register; returns the sum and whether the register was left.

        The sum of any but the highest part has its carry on top.
        """
        spec = self._alignment
        top = chunk.stop == spec.sum_bits
        counted = spec.window.width - chunk.start if top else len(chunk)
        value = self.summand.value
        own = value[chunk.start : min(chunk.stop, len(value))]
        own = own if chunk.start < len(value) else Cat()
        addend = Cat(own, sign.replicate(len(chunk) - len(own)))
        cast = Value.as_signed if top else Value.as_unsigned
        # The carry enters below the lowest bit, so that one carry chain serves for it too.
        wide = Signal(len(chunk) + (1 if top else 2), name=f"sum_{chunk.start}")
        m.d.comb += wide.eq(cast(Cat(Const(1, 1), old[:counted])) + cast(Cat(carry, addend)))
        total = cast(wide[1:])
        if not top:
            return total, Const(0, 1)
        if spec.window.overflow is Overflow.SATURATE:
            return saturated(m, total, counted)
        return total, left_register(old, counted)


def _delayed(m: Module, name: str, value: Value) -> Signal:
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
