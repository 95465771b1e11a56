"""What one step of an accumulator is, as SMT terms: arithmetic.md sections 1 to 3 written out.

It knows the formats' and the window's parameters and nothing of how the circuit or the models are
made. A product is one wide integer in units of the least quantum, the only shift is that of the
integer to its place, and the range is judged on the integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import z3

from hwgen.formats import Format
from hwgen.formats.base import Kind
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float, Specials
from hwgen.spec.accumulator import Overflow, Rounding, Window

__all__ = ["Pair", "Sum", "agree", "empty_sum", "is_specified", "next_sum"]

_TABLE_WIDTH = 8  # bits of the widest format that is decoded by a table of all its patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Patterns of two operands that meet.

    Attributes
    ----------
    a, b : bit vectors
    random : bit vector, optional
        The random number that stochastic rounding adds right below ``2**lsb``, without its bits
        below those that any product has.
    """

    a: z3.BitVecRef
    b: z3.BitVecRef
    random: z3.BitVecRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A block's sum so far.

    Attributes
    ----------
    register : W-bit vector
        Two's complement, in units of ``2**lsb``.
    event, inexact : Bool
        A range event occurred; a nonzero bit below ``2**lsb`` was dropped.
    nan : Bool
        A product was NaN, or infinite products of both signs occurred.
    positive_inf, negative_inf : Bool
        Infinite products of this sign occurred, and none of the other; false if ``nan``.
    """

    register: z3.BitVecRef
    event: z3.BoolRef
    inexact: z3.BoolRef
    nan: z3.BoolRef
    positive_inf: z3.BoolRef
    negative_inf: z3.BoolRef


@dataclass(frozen=True, slots=True, kw_only=True)
class _Number:
    """A decoded operand: ``(-1)**sign * significand * 2**(exponent + base)`` unless special."""

    sign: z3.BoolRef
    significand: z3.BitVecRef  # unsigned; 0 if special
    exponent: z3.BitVecRef  # unsigned
    base: int
    nan: z3.BoolRef
    inf: z3.BoolRef

    @property
    def special(self) -> z3.BoolRef:
        """Whether it is no number."""
        return z3.Or(self.nan, self.inf)

    @property
    def zero(self) -> z3.BoolRef:
        """Whether it is zero."""
        return z3.And(self.significand == 0, z3.Not(self.special))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """An exact product: ``(-1)**negative * magnitude * 2**quantum`` unless special."""

    negative: z3.BoolRef
    magnitude: z3.BitVecRef  # unsigned; 0 if special
    quantum: int
    nan: z3.BoolRef
    inf: z3.BoolRef


def is_specified(fmt: Format) -> bool:
    """Whether products of the format are specified here."""
    return isinstance(fmt, Float | FixedPoint) or fmt.width <= _TABLE_WIDTH


def empty_sum(window: Window) -> Sum:
    """Return the sum of nothing."""
    no = z3.BoolVal(False)
    return Sum(
        register=z3.BitVecVal(0, window.width),
        event=no,
        inexact=no,
        nan=no,
        positive_inf=no,
        negative_inf=no,
    )


def agree(one: Sum, other: Sum, window: Window) -> z3.BoolRef:
    """Say that two sums are the same; after an event that makes NaN the register is free."""
    same = [
        getattr(one, field.name) == getattr(other, field.name)
        for field in fields(Sum)
        if field.name != "register"
    ]
    register = one.register == other.register
    if window.overflow is Overflow.NAN:
        register = z3.Or(register, one.event)
    return z3.And(*same, register)


def next_sum(
    before: Sum,
    pairs: Sequence[Pair],
    formats: tuple[Format, Format],
    window: Window,
) -> Sum:
    """Return the sum after adding the products of ``window.dot`` pairs of patterns at once."""
    assert len(pairs) == window.dot, pairs
    products = [_product(pair.a, pair.b, formats, window.lsb) for pair in pairs]
    positive_inf = z3.Or(
        before.positive_inf, *(z3.And(one.inf, z3.Not(one.negative)) for one in products)
    )
    negative_inf = z3.Or(before.negative_inf, *(z3.And(one.inf, one.negative) for one in products))
    nan = z3.Or(before.nan, *(one.nan for one in products), z3.And(positive_inf, negative_inf))

    # Modulo 2**bits, and the value itself where the products are in range.
    bits = max(window.width, window.summand_bits + 1) + 1 + window.dot.bit_length()
    total = z3.SignExt(bits - window.width, before.register)
    dropped, beyond = [], []
    for product, pair in zip(products, pairs, strict=True):
        summand, drops, exceeds = _summand(product, window, pair.random, bits)
        # -x is ~x + 1: written as circuits add, so that solvers find the two alike.
        total = total + z3.If(product.negative, ~summand, summand)
        dropped.append(drops)
        beyond.append(exceeds)
    for product in products:
        total = total + z3.If(product.negative, z3.BitVecVal(1, bits), z3.BitVecVal(0, bits))
    lowest = -(1 << (window.width - 1))
    highest = -lowest - 1
    under, above = total < lowest, total > highest
    register = z3.Extract(window.width - 1, 0, total)
    if window.overflow is Overflow.SATURATE:
        register = z3.If(above, z3.BitVecVal(highest, window.width), register)
        register = z3.If(under, z3.BitVecVal(lowest, window.width), register)
    # The significand of a special is 0: it adds nothing and is no event.
    return Sum(
        register=register,
        event=z3.Or(before.event, *beyond, under, above),
        inexact=z3.Or(before.inexact, *dropped),
        nan=nan,
        positive_inf=z3.And(positive_inf, z3.Not(nan)),
        negative_inf=z3.And(negative_inf, z3.Not(nan)),
    )


def _summand(
    product: _Product, window: Window, random: z3.BitVecRef | None, bits: int
) -> tuple[z3.BitVecRef, z3.BoolRef, z3.BoolRef]:
    """Return a summand's magnitude, whether bits were dropped, and whether it is out of range."""
    magnitude, quantum = product.magnitude, product.quantum
    width = max(magnitude.size(), window.msb + 2 - quantum)  # room for the bound
    magnitude = _resized(magnitude, width)
    beyond = z3.UGE(magnitude, z3.BitVecVal(1 << (window.msb + 1 - quantum), width))
    rounded, dropped = _rounded(magnitude, window.lsb - quantum, window.rounding, random)
    summand = _resized(rounded, bits)
    if window.overflow is Overflow.SATURATE:
        largest = z3.BitVecVal((1 << (window.msb + 1 - window.lsb)) - 1, bits)
        summand = z3.If(beyond, largest, summand)
    return summand, dropped, beyond


def _product(
    a: z3.BitVecRef, b: z3.BitVecRef, formats: tuple[Format, Format], lsb: int
) -> _Product:
    """Return the exact product (arithmetic.md section 2), in units of 2**lsb or less."""
    if all(isinstance(fmt, FixedPoint) for fmt in formats):
        product = _fixed_product(a, b, formats)
    else:
        product = _number_product(_decoded(a, formats[0]), _decoded(b, formats[1]))
    room = max(0, product.quantum - lsb)
    wide = _resized(product.magnitude, product.magnitude.size() + room) << room
    return replace(product, magnitude=wide, quantum=product.quantum - room)


def _fixed_product(
    a: z3.BitVecRef, b: z3.BitVecRef, formats: tuple[FixedPoint, FixedPoint]
) -> _Product:
    """Multiply integers; a sign bit above the product of two unsigned ones."""
    bits = a.size() + b.size() + (not any(fmt.signed for fmt in formats))
    x, y = (
        (z3.SignExt if fmt.signed else z3.ZeroExt)(bits - pattern.size(), pattern)
        for pattern, fmt in zip((a, b), formats, strict=True)
    )
    value = x * y
    return _Product(
        negative=value < 0,
        magnitude=z3.If(value < 0, -value, value),
        quantum=-formats[0].fraction_bits - formats[1].fraction_bits,
        nan=z3.BoolVal(False),
        inf=z3.BoolVal(False),
    )


def _number_product(x: _Number, y: _Number) -> _Product:
    """Multiply significands, and move the product to its place in units of the least quantum."""
    special = z3.Or(x.special, y.special)
    nan = z3.Or(x.nan, y.nan, z3.And(special, z3.Or(x.zero, y.zero)))
    bits = x.significand.size() + y.significand.size()
    significand = _resized(x.significand, bits) * _resized(y.significand, bits)
    exponent_bits = max(x.exponent.size(), y.exponent.size()) + 1
    shift = _resized(x.exponent, exponent_bits) + _resized(y.exponent, exponent_bits)
    width = bits + (1 << x.exponent.size()) + (1 << y.exponent.size()) - 2
    return _Product(
        negative=z3.Xor(x.sign, y.sign),
        magnitude=_resized(significand, width) << _resized(shift, width),
        quantum=x.base + y.base,
        nan=nan,
        inf=z3.And(special, z3.Not(nan)),
    )


def _rounded(
    magnitude: z3.BitVecRef, places: int, rounding: Rounding, random: z3.BitVecRef | None
) -> tuple[z3.BitVecRef, z3.BoolRef]:
    """Drop the lowest bits of an integer; return what is left, rounded, and whether it is less."""
    if places == 0:
        return magnitude, z3.BoolVal(False)
    quotient = z3.ZeroExt(places, z3.Extract(magnitude.size() - 1, places, magnitude))
    remainder = z3.Extract(places - 1, 0, magnitude)
    if random is not None:
        leading = z3.Extract(places - 1, places - random.size(), magnitude)
        carry = z3.Extract(
            random.size(), random.size(), z3.ZeroExt(1, leading) + z3.ZeroExt(1, random)
        )
        quotient = quotient + _resized(carry, quotient.size())
    if rounding is Rounding.ODD:
        quotient = z3.If(remainder != 0, quotient | 1, quotient)
    if rounding is Rounding.EVEN:
        half = z3.BitVecVal(1 << (places - 1), places)
        odd = z3.Extract(0, 0, quotient) == 1
        up = z3.Or(z3.UGT(remainder, half), z3.And(remainder == half, odd))
        quotient = z3.If(up, quotient + 1, quotient)
    return quotient, remainder != 0


def _resized(value: z3.BitVecRef, bits: int) -> z3.BitVecRef:
    """Extend an unsigned value by zeros, or keep its low bits."""
    if bits > value.size():
        return z3.ZeroExt(bits - value.size(), value)
    return z3.Extract(bits - 1, 0, value)


def _decoded(bits: z3.BitVecRef, fmt: Format) -> _Number:
    if isinstance(fmt, Float):
        return _decoded_float(bits, fmt)
    if isinstance(fmt, FixedPoint):
        return _decoded_fixed(bits, fmt)
    assert is_specified(fmt), fmt
    return _decoded_by_table(bits, fmt)


def _decoded_float(bits: z3.BitVecRef, fmt: Float) -> _Number:
    """IEEE 754-2019 section 3.4, OCP OFP8 v1.0 section 5, OCP MX v1.0 section 5.3."""
    fraction = z3.Extract(fmt.fraction_bits - 1, 0, bits)
    field = z3.Extract(fmt.width - 2, fmt.fraction_bits, bits)
    all_ones = field == (1 << fmt.exponent_bits) - 1
    nan = inf = z3.BoolVal(False)
    if fmt.specials is Specials.IEEE:
        nan, inf = z3.And(all_ones, fraction != 0), z3.And(all_ones, fraction == 0)
    elif fmt.specials is Specials.NAN_ONLY:
        nan = z3.And(all_ones, fraction == (1 << fmt.fraction_bits) - 1)
    subnormal = field == 0
    leading = z3.If(subnormal, z3.BitVecVal(0, 1), z3.BitVecVal(1, 1))
    one = z3.BitVecVal(1, fmt.exponent_bits)
    bias = (1 << (fmt.exponent_bits - 1)) - 1
    return _Number(
        sign=z3.Extract(fmt.width - 1, fmt.width - 1, bits) == 1,
        significand=z3.If(z3.Or(nan, inf), 0, z3.Concat(leading, fraction)),
        exponent=z3.If(subnormal, one, field),
        base=-bias - fmt.fraction_bits,
        nan=nan,
        inf=inf,
    )


def _decoded_fixed(bits: z3.BitVecRef, fmt: FixedPoint) -> _Number:
    """Two's complement or unsigned: sign and magnitude."""
    sign = z3.BoolVal(False)
    if fmt.signed:
        sign = bits < 0
    return _Number(
        sign=sign,
        significand=z3.If(sign, -bits, bits),
        exponent=z3.BitVecVal(0, 1),
        base=-fmt.fraction_bits,
        nan=z3.BoolVal(False),
        inf=z3.BoolVal(False),
    )


def _decoded_by_table(bits: z3.BitVecRef, fmt: Format) -> _Number:
    """Any small format: all its patterns, decoded one by one."""
    numbers = [fmt.decode(pattern) for pattern in range(1 << fmt.width)]
    finite = [number for number in numbers if number.kind is Kind.FINITE and number.significand]
    base = min(number.exponent for number in finite)
    significand_bits = max(number.significand.bit_length() for number in finite)
    exponent_bits = max(1, max(number.exponent - base for number in finite).bit_length())
    significand = z3.BitVecVal(0, significand_bits)
    exponent = z3.BitVecVal(0, exponent_bits)
    sign = nan = inf = z3.BoolVal(False)
    for pattern, number in enumerate(numbers):
        here = bits == pattern
        if number.kind is Kind.NAN:
            nan = z3.Or(nan, here)
        elif number.kind is Kind.INFINITE:
            inf = z3.Or(inf, here)
        elif number.significand:
            significand = z3.If(here, number.significand, significand)
            exponent = z3.If(here, number.exponent - base, exponent)
        if number.sign:
            sign = z3.Or(sign, here)
    return _Number(
        sign=sign, significand=significand, exponent=exponent, base=base, nan=nan, inf=inf
    )
