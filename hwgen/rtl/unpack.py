"""The edge of the array: bit patterns in, sign, exponent and significand out.

The array between the edges knows nothing of formats; a new format is a new function here.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats import Format
from hwgen.formats.ieee import Float, Specials
from hwgen.rtl.admission import A_TOKEN_BITS, B_TOKEN_BITS
from hwgen.rtl.records import operand_layout, pack, register_fields
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import unpack_stages

__all__ = ["TOKEN_SIDE", "Unpacker"]

TOKEN_SIDE = "a"  # the operand that the end-of-block token travels with


class Unpacker(wiring.Component):
    """Unpack one lane of operand A or B.

    Parameters
    ----------
    datapath : Datapath
    side : str
        ``"a"`` or ``"b"``.

    Members
    -------
    bits : In(format width)
        The pattern.
    token : In
        Whether there is an operand; its absence becomes a zero. Side a: also whether the block
        ends.
    operand : Out(operand_layout)
    last : Out(1)
        The end-of-block token, delayed alike (side a only).

    Notes
    -----
    Latency: :func:`~hwgen.spec.timing.unpack_stages`. Throughput: one operand a cycle.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, side: str) -> None:
        self._format: Format = getattr(datapath, side)
        self._alignment = align(datapath)
        self._side = side
        self._operand = getattr(self._alignment, side)
        self._layout = operand_layout(self._alignment, side)
        # One side's exponents include the window's offset.
        biased = side == self._alignment.bias_side
        self._offset = self._alignment.min_distance + self._alignment.below if biased else 0
        members = {
            "bits": In(self._format.width),
            "token": In(A_TOKEN_BITS if side == TOKEN_SIDE else B_TOKEN_BITS),
            "operand": Out(self._layout),
        }
        if side == TOKEN_SIDE:
            members["last"] = Out(1)
        super().__init__(members)

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"unpack_{self._side}"

    @property
    def latency(self) -> int:
        """Cycles from ``bits`` to ``operand``."""
        return unpack_stages(self._alignment)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fields = self._fixed_fields(m) if self._operand.twos_complement else self._fields(m)
        token: Value = self.token
        if self.latency == 1:
            fields = register_fields(m, fields, name="decoded")
            delayed = Signal(len(token), reset_less=True, name="token_delayed")
            m.d.sync += delayed.eq(token)
            token = delayed
        if self._operand.normalised:
            fields = self._normalised(m, fields)
        if not self._operand.twos_complement:
            fields = self._completed(m, fields)
        bubble = {name: Const(name == "zero", 1) for name in self._layout.members}
        m.d.comb += self.operand.eq(pack(self._layout, bubble))
        with m.If(token[0]):
            m.d.comb += self.operand.eq(pack(self._layout, fields))
        if self._side == TOKEN_SIDE:
            m.d.comb += self.last.eq(token[1])
        return m

    def _fixed_fields(self, m: Module) -> dict[str, Value]:
        value = Signal(self._layout.members["value"])
        m.d.comb += value.eq(self.bits)
        return {"value": value}

    def _fields(self, m: Module) -> dict[str, Value]:
        if isinstance(self._format, Float):
            return self._float_fields(m)
        return self._magnitude_fields(m)

    def _float_fields(self, m: Module) -> dict[str, Value]:
        """IEEE-like patterns: subnormals share the exponent of the least normal binade."""
        fmt = self._format
        fraction = Signal(fmt.fraction_bits)
        field = Signal(fmt.exponent_bits)
        sign = Signal()
        m.d.comb += Cat(fraction, field, sign).eq(self.bits)
        normal = Signal()
        m.d.comb += normal.eq(field.any())
        special = Signal()
        nan = Signal()
        if fmt.specials is Specials.IEEE:
            m.d.comb += [special.eq(field.all()), nan.eq(special & fraction.any())]
        elif fmt.specials is Specials.NAN_ONLY:
            m.d.comb += [special.eq(field.all() & fraction.all()), nan.eq(special)]
        significand = Signal(fmt.precision)
        with m.If(~special):
            m.d.comb += significand.eq(Cat(fraction, normal))
        # One adder: the subnormals' exponent, that of field 1, is a constant.
        exponent = Mux(normal, field + (self._offset - 1), self._offset)
        return {
            "significand": significand,
            "exponent": exponent,
            "sign": sign,
            "nan": nan,
            "special": special,
        }

    def _magnitude_fields(self, m: Module) -> dict[str, Value]:
        """Fixed-point patterns: sign and magnitude, no exponent."""
        fmt = self._format
        significand = Signal(fmt.width)
        sign = Signal()
        if fmt.signed:
            m.d.comb += sign.eq(self.bits[-1])
        m.d.comb += significand.eq(Mux(sign, -self.bits, self.bits))
        exponent = Const(self._offset, Shape.cast(range(self._offset, self._offset + 1)))
        return {"significand": significand, "exponent": exponent, "sign": sign}

    def _normalised(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Move the leading one to the top; the exponent's origin lies that much lower."""
        bits = self._operand.significand_bits
        significand = fields["significand"]
        leading = Signal(range(bits))
        for position in range(bits):
            with m.If(significand[position]):
                m.d.comb += leading.eq(position)
        moved = Signal(bits)
        m.d.comb += moved.eq(significand << (bits - 1 - leading)[: len(leading)])
        exponent = fields["exponent"] + leading
        return fields | {"significand": moved, "exponent": exponent}

    def _completed(self, m: Module, fields: dict[str, Value]) -> dict[str, Value]:
        """Add what the array wants to know of the significand."""
        significand = fields["significand"]
        # Infinities have no significand either; NaN is zero and special at once.
        zero = Signal()
        infinite = fields["special"] & ~fields["nan"] if "special" in fields else Const(0, 1)
        m.d.comb += zero.eq((significand == 0) & ~infinite)
        trailing = Signal(range(self._operand.significand_bits))
        for position in reversed(range(self._operand.significand_bits)):
            with m.If(significand[position]):
                m.d.comb += trailing.eq(position)
        return fields | {"zero": zero, "trailing": trailing}
