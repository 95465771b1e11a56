"""The edge of the array: bit patterns in, sign, exponent and significand out.

The array between the edges knows nothing of formats; a new format is a new function in
:mod:`hwgen.rtl.decode`.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats import Format
from hwgen.formats.posit import Posit
from hwgen.rtl.admission import A_TOKEN_BITS, B_TOKEN_BITS
from hwgen.rtl.decode import decode, posit_completed
from hwgen.rtl.logic import first_set
from hwgen.rtl.records import operand_layout, pack, register_fields
from hwgen.rtl.structure import Part, Structural, Structure, port_widths
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.operands import Operand
from hwgen.spec.timing import unpack_stages

__all__ = ["TOKEN_SIDE", "LaneUnpackers", "Unpacker", "completed", "normalised", "unpacker"]

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
        Whether there is an operand; its absence becomes a zero (integers: where there is none the
        pattern is zero). Side a: also whether the block ends.
    random : In(random bits)
        Travels with the operand (stochastic rounding only).
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
        self._offset = self._operand.offset
        # To a floating-point sum a bubble must be the product -0.
        rounds = isinstance(self._alignment, FloatAlignment)
        self._negative_bubble = rounds and side == self._alignment.bubble_sign
        members = {
            "bits": In(self._format.width),
            "token": In(A_TOKEN_BITS if side == TOKEN_SIDE else B_TOKEN_BITS),
            "operand": Out(self._layout),
        }
        if self._alignment.random_bits:
            members["random"] = In(self._alignment.random_bits)
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
        if self._operand.twos_complement:
            fields = self._fixed_fields(m)
        else:
            fields = decode(m, self._format, self.bits, self._offset)
        passing: dict[str, Value] = {"token": self.token}
        if self._alignment.random_bits:
            passing["random"] = self.random
        if self.latency == 1:
            fields = register_fields(m, fields, name="decoded")
            for name, value in passing.items():
                delayed = Signal(len(value), reset_less=True, name=f"{name}_delayed")
                m.d.sync += delayed.eq(value)
                passing[name] = delayed
        token = passing.pop("token")
        if isinstance(self._format, Posit):
            fields = posit_completed(m, self._format, fields, self._offset)
        elif self._operand.normalised:
            fields = normalised(m, self._operand, fields)
        if not self._operand.twos_complement:
            fields = completed(m, self._operand, fields)
        if self._operand.twos_complement:
            m.d.comb += self.operand.eq(pack(self._layout, fields | passing))
        else:
            ones = {"zero", "sign"} if self._negative_bubble else {"zero"}
            bubble = {name: Const(name in ones, 1) for name in self._layout.members}
            m.d.comb += self.operand.eq(pack(self._layout, bubble))
            with m.If(token[0]):
                m.d.comb += self.operand.eq(pack(self._layout, fields | passing))
        if self._side == TOKEN_SIDE:
            m.d.comb += self.last.eq(token[1])
        return m

    def _fixed_fields(self, m: Module) -> dict[str, Value]:
        value = Signal(self._layout.members["value"])
        m.d.comb += value.eq(self.bits)
        return {"value": value}


class LaneUnpackers(Structural):
    """Unpack the operands that one lane takes at once: those of D successive terms.

    Members
    -------
    bits, random : In
        Of all operands, the first one's in the low bits.
    token : In
        Of them together.
    operand : Out
    last : Out(1)
        As an :class:`Unpacker` has them.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, side: str) -> None:
        self._part = Part(Unpacker, (datapath, side))
        self._count = datapath.dot
        self._widths = port_widths(self._part.make())
        super().__init__(
            {
                name: flow(bits if name in _SHARED else bits * self._count)
                for name, (flow, bits) in self._widths.items()
            }
        )
        self._side = side

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"unpack_{self._side}_dot{self._count}"

    @property
    def structure(self) -> Structure:
        """The unpackers; all tell the end of the block, and the first one is listened to."""
        structure = Structure()
        for index in range(self._count):
            ports = {
                name: self.net(name) if name in _SHARED else self.net(name).lanes(index, 1, bits)
                for name, (_, bits) in self._widths.items()
            }
            if index and "last" in ports:
                ports["last"] = structure.wire(f"last_{index}_leaving", 1)
            structure.parts[f"term_{index}"] = (self._part, ports)
        return structure


_SHARED = ("token", "last")


def unpacker(datapath: Datapath, side: str) -> Part:
    """Return what unpacks a lane."""
    return Part(Unpacker if datapath.dot == 1 else LaneUnpackers, (datapath, side))


def normalised(m: Module, operand: Operand, fields: dict[str, Value]) -> dict[str, Value]:
    """Move the leading one to the top; the exponent's origin lies that much lower."""
    bits = operand.precision
    significand = fields["significand"]
    above, leading = Signal(range(bits), name="zeros_above"), Signal(range(bits))
    moved = Signal(bits)
    m.d.comb += [
        above.eq(first_set([significand[-1 - place] for place in range(bits)])),
        leading.eq(bits - 1 - above),
        moved.eq(significand << above),
    ]
    exponent = fields["exponent"] + leading
    return fields | {"significand": moved, "exponent": exponent}


def completed(m: Module, operand: Operand, fields: dict[str, Value]) -> dict[str, Value]:
    """Split the exponent into steps, and add what the array wants to know besides."""
    significand = fields["significand"]
    # Infinities have no significand either; NaN is zero and special at once.
    zero = Signal()
    infinite = fields["special"] & ~fields["nan"] if "special" in fields else Const(0, 1)
    m.d.comb += zero.eq((significand == 0) & ~infinite)
    trailing = Signal(range(operand.precision))
    m.d.comb += trailing.eq(first_set([significand[place] for place in range(operand.precision)]))
    if operand.max_exponent == 0 or operand.step == 1:
        return fields | {"zero": zero, "trailing": trailing}
    exponent = Signal(fields["exponent"].shape(), name="exponent_in_places")
    m.d.comb += exponent.eq(fields["exponent"])
    places = operand.step.bit_length() - 1
    rest = exponent[:places]
    moved = Signal(operand.significand_bits, name="significand_moved")
    m.d.comb += moved.eq(significand << rest)
    return fields | {
        "significand": moved,
        "exponent": exponent >> places,
        "zero": zero,
        "trailing": trailing + rest,
    }
