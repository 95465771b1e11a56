"""Bit layouts of what travels through the array, derived from a datapath's alignment."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data

from hwgen.rtl.float_records import float_partial_layout
from hwgen.spec.accumulator import Overflow, Rounding
from hwgen.spec.alignment import Alignment
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.operands import Operand

__all__ = [
    "each",
    "left_register",
    "operand_layout",
    "operands_layout",
    "partial_lags",
    "partial_layout",
    "pack",
    "register_fields",
    "register_record",
    "shift_shape",
    "special_members",
    "summand_layout",
    "summands_layout",
    "value_bits",
]


def shift_shape(alignment: Alignment) -> Shape:
    """Shape of a product's left shift in steps: negative if nothing reaches the window."""
    return Shape.cast(alignment.shifts)


def operand_layout(alignment: Alignment | FloatAlignment, side: str) -> data.StructLayout:
    """Layout of an unpacked operand of side ``a`` or ``b``.

    ``exponent`` counts steps, and that of the alignment's bias side includes the window's offset:
    the sum of the two exponents is the product's left shift. ``zero`` says zero or NaN,
    ``special`` infinite or NaN; the significand is zero for all three. ``trailing`` counts the
    zeros at the significand's low end, so that whether a product has bits under the window is known
    without looking at them: trailing zeros of a product add up. ``random`` is the side's share of
    the random number that the product is rounded with.
    """
    operand: Operand = getattr(alignment, side)
    random = {"random": unsigned(alignment.random_bits)} if alignment.random_bits else {}
    if operand.twos_complement:
        shape = signed if operand.signed else unsigned
        return data.StructLayout({"value": shape(operand.significand_bits)} | random)
    members: dict[str, Shape] = {"significand": unsigned(operand.significand_bits)}
    if len(operand.steps) > 1:
        members["exponent"] = Shape.cast(operand.steps)
    if operand.signed:
        members["sign"] = unsigned(1)
    if alignment.needs_zero:
        members["zero"] = unsigned(1)
    if alignment.needs_trailing and operand.trailing_bits:
        members["trailing"] = unsigned(operand.trailing_bits)
    if operand.has_nan or operand.has_inf:
        members["special"] = unsigned(1)
    return data.StructLayout(members | random)


def operands_layout(
    alignment: Alignment | FloatAlignment, side: str
) -> data.StructLayout | data.ArrayLayout:
    """Layout of what a processing element takes of a side in one cycle.

    An operand, or several of successive terms, which are added at once.
    """
    return _several(operand_layout(alignment, side), alignment.dot)


def summands_layout(alignment: Alignment) -> data.StructLayout | data.ArrayLayout:
    """Layout of what is added to the register in one cycle: a summand, or several."""
    return _several(summand_layout(alignment), alignment.dot)


def each(value: data.View, alignment: Alignment) -> list[data.View]:
    """Return the operands, or the summands, that are taken in one cycle."""
    if alignment.dot == 1:
        return [value]
    return [value[index] for index in range(alignment.dot)]


def _several(layout: data.StructLayout, count: int) -> data.StructLayout | data.ArrayLayout:
    return layout if count == 1 else data.ArrayLayout(layout, count)


def special_members(alignment: Alignment) -> dict[str, Shape]:
    """Members that carry NaN and infinities: both infinities together mean NaN."""
    if alignment.has_inf:
        return {"positive_inf": unsigned(1), "negative_inf": unsigned(1)}
    if alignment.has_nan:
        return {"nan": unsigned(1)}
    return {}


def summand_layout(alignment: Alignment) -> data.StructLayout:
    """Layout of an aligned product: ``value + carry`` in units of the window's lowest bit."""
    members: dict[str, Shape] = {"value": signed(alignment.magnitude_bits + 1)}
    if _has_carry(alignment):
        members["carry"] = unsigned(1)
    if alignment.can_exceed:
        members["exceeds"] = unsigned(1)
    if alignment.can_drop:
        members["inexact"] = unsigned(1)
    members |= special_members(alignment)
    return data.StructLayout(members)


def _has_carry(alignment: Alignment) -> bool:
    """Whether a summand has a carry: from negation, or from rounding."""
    if alignment.a.twos_complement:
        return alignment.can_drop and alignment.window.rounding is not Rounding.ODD
    return alignment.a.signed or alignment.b.signed or alignment.rounds


def partial_layout(alignment: Alignment | FloatAlignment) -> data.StructLayout:
    """Layout of a finished accumulator on its way out.

    ``value`` is the last step's whole sum; where its top bits differ, that step left the register.
    Floating-point sums: :func:`~hwgen.rtl.float_records.float_partial_layout`.
    """
    if isinstance(alignment, FloatAlignment):
        return float_partial_layout(alignment)
    members: dict[str, Shape] = {"value": signed(value_bits(alignment)), "overflow": unsigned(1)}
    if alignment.can_drop:
        members["inexact"] = unsigned(1)
    members |= special_members(alignment)
    return data.StructLayout(members)


def partial_lags(alignment: Alignment) -> list[tuple[range, int]]:
    """Bits of a finished accumulator on its way out, and how many cycles they come later.

    The parts of a sum follow one another by a cycle; ``overflow`` is judged with the highest part,
    the other flags come with the lowest.
    """
    if isinstance(alignment, FloatAlignment):
        return [(range(partial_layout(alignment).size), 0)]
    layout = partial_layout(alignment)
    overflow = layout["overflow"].offset
    starts = [chunk.start for chunk in alignment.chunks]
    parts = zip(starts, [*starts[1:], overflow], strict=True)
    lags = [(range(low, high), lag) for lag, (low, high) in enumerate(parts)]
    lags.append((range(overflow, overflow + 1), alignment.skew))
    if layout.size > overflow + 1:
        lags.append((range(overflow + 1, layout.size), 0))
    return lags


def value_bits(alignment: Alignment) -> int:
    """Bits of the sum that leaves: the register's where steps saturate, else the whole sum's."""
    if alignment.window.overflow is Overflow.SATURATE:
        return alignment.window.width
    return alignment.sum_bits


def left_register(value: Value, width: int) -> Value:
    """Whether a sum is no value of a register of ``width`` bits: its top bits are not all equal."""
    top = value[width - 1 :]
    if len(top) == 2:
        return top[0] ^ top[1]
    return top.any() & ~top.all()


def pack(layout: data.StructLayout, values: Mapping[str, Value]) -> data.View:
    """Lay fields out in one word; each is cut or extended to its field as an assignment would."""
    parts = []
    for name, shape in layout.members.items():
        value, width = Value.cast(values[name]), Shape.cast(shape).width
        missing = width - len(value)
        fill = value[-1] if value.shape().signed else Const(0, 1)
        parts += [value[:width], fill.replicate(max(0, missing))]
    return layout(Cat(parts))


def register_record(
    m: Module, layout: data.StructLayout, values: Mapping[str, Value], *, name: str
) -> data.View:
    """Register a record. It is one word in Verilog: simulators take time a register, not a bit."""
    register = Signal(layout, name=name, reset_less=True)
    m.d.sync += register.eq(pack(layout, values))
    return register


def register_fields(m: Module, values: Mapping[str, Value], *, name: str) -> dict[str, Value]:
    """Register values of any shapes together; returns the registered values by the same names."""
    layout = data.StructLayout({key: value.shape() for key, value in values.items()})
    register = register_record(m, layout, values, name=name)
    return {key: register[key] for key in values}
