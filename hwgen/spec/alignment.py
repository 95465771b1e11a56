"""How operands are unpacked and products are placed in the window: the constants of one datapath.

A product of two unpacked operands is ``significand_a * significand_b`` times a power of two. Its
lowest bit lies ``distance`` bits above the window's lowest bit (negative: below). The circuit only
ever shifts left: the product enters ``below`` bits under the window and moves up by ``shift =
distance + below``, so that bits under the window are simply not wired.

A range test on exponents alone is exact for normalised significands, whose product has its leading
one in one of the two top bits. Subnormals and integers are normalised at the edge of the array only
where the test could otherwise fire for an operand that has leading zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from hwgen.formats import Format
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.spec.accumulator import Overflow, Rounding, Window
from hwgen.spec.datapath import Datapath

__all__ = ["Alignment", "Operand", "align"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """What an unpacker hands to the array: sign and magnitude times ``2**(exponent + base)``.

    Parameters
    ----------
    significand_bits : int
        Bits of the magnitude; of the two's complement value where ``twos_complement``.
    max_exponent : int
        Largest value of the unsigned exponent field; 0 if there is no field.
    base : int
        Weight exponent of the significand's lowest bit at exponent field 0.
    twos_complement : bool
        Both operands are fixed point: the value goes unchanged into a signed product.
    signed, has_nan, has_inf : bool
    normalised : bool
        The unpacker moves the leading one to the top of the significand.
    """

    significand_bits: int
    max_exponent: int
    base: int
    twos_complement: bool
    signed: bool
    has_nan: bool
    has_inf: bool
    normalised: bool

    @property
    def trailing_bits(self) -> int:
        """Bits of a count of trailing zeros of a nonzero significand."""
        return (self.significand_bits - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The constants of a datapath's multiply and align steps.

    Attributes
    ----------
    a, b : Operand
    window : Window
    product_bits : int
        Bits of the product's magnitude (of its two's complement value for fixed-point operands).
    below : int
        Product bits that can lie under the window.
    min_distance, max_distance : int
        Range of ``distance`` over all finite operands.
    largest_product : int
        Bound on a product's magnitude, in units of its lowest bit.
    """

    a: Operand
    b: Operand
    window: Window
    product_bits: int
    below: int
    min_distance: int
    max_distance: int
    largest_product: int

    @property
    def bias_side(self) -> str:
        """The operand whose exponent takes the window's offset on: one that has a field."""
        return "a" if self.a.max_exponent else "b"

    @property
    def range_distance(self) -> int:
        """Distance from which a product is out of range for certain; at one less it is out of
        range if its top bit is 1 (normalised significands)."""
        return self.window.summand_bits + 2 - self.product_bits

    @property
    def can_exceed(self) -> bool:
        """Whether a product can be out of range."""
        if self.a.twos_complement:
            return _scaled(self.largest_product, self.max_distance) >= 1 << self.window.summand_bits
        return self.max_distance >= self.range_distance - 1

    @property
    def can_vanish(self) -> bool:
        """Whether a product can lie under the window altogether."""
        return self.min_distance + self.below < 0

    @property
    def can_drop(self) -> bool:
        """Whether nonzero product bits can be dropped under the window."""
        return self.below > 0

    @property
    def rounds(self) -> bool:
        """Whether a carry from below the window can enter the sum."""
        return self.can_drop and self.window.rounding is Rounding.EVEN

    @property
    def wraps(self) -> bool:
        """Whether out-of-range products keep their low bits."""
        return self.can_exceed and self.window.overflow is Overflow.WRAP

    @property
    def clamps(self) -> bool:
        """Whether out-of-range products are replaced by the largest summand."""
        return self.can_exceed and self.window.overflow is Overflow.SATURATE

    @property
    def magnitude_bits(self) -> int:
        """Bits of an aligned magnitude, before the carry from rounding."""
        field = self.window.width if self.wraps else self.window.summand_bits
        largest = math.floor(_scaled(self.largest_product, self.max_distance))
        return max(1, min(field, largest.bit_length()))

    @property
    def max_shift(self) -> int:
        """Largest left shift that a product in the window needs."""
        if self.wraps:
            limit = self.window.width - 1
        else:
            limit = self.window.summand_bits + 1 - self.product_bits
        return max(0, min(self.max_distance, limit) + self.below)

    @property
    def sum_bits(self) -> int:
        """Bits of the exact sum of the register and one summand."""
        largest = (1 << self.magnitude_bits) - (0 if self.rounds else 1)
        lowest = -(1 << (self.window.width - 1)) - largest
        return (-lowest - 1).bit_length() + 1

    @property
    def has_nan(self) -> bool:
        """Whether a product can be NaN."""
        return self.a.has_nan or self.b.has_nan or self.has_inf

    @property
    def has_inf(self) -> bool:
        """Whether a product can be infinite."""
        return self.a.has_inf or self.b.has_inf


def align(datapath: Datapath) -> Alignment:
    """Derive the constants of a datapath's multiply and align steps."""
    if datapath.integer_operands:
        return _align_fixed(datapath)
    a, b = _float_operand(datapath.a), _float_operand(datapath.b)
    normalise_a, normalise_b = _must_normalise(a, b, datapath.window)
    if normalise_a:
        a = _normalised(a)
    if normalise_b:
        b = _normalised(b)
    product_bits = a.significand_bits + b.significand_bits
    min_distance = a.base + b.base - datapath.window.lsb
    return Alignment(
        a=a,
        b=b,
        window=datapath.window,
        product_bits=product_bits,
        below=min(max(-min_distance, 0), product_bits),
        min_distance=min_distance,
        max_distance=min_distance + a.max_exponent + b.max_exponent,
        largest_product=((1 << a.significand_bits) - 1) * ((1 << b.significand_bits) - 1),
    )


def _float_operand(fmt: Format) -> Operand:
    if isinstance(fmt, Float):
        # Field 0 and 1 share their weight: the circuit's exponent is max(field, 1) - 1.
        largest_field = (fmt.max_finite_bits >> fmt.fraction_bits) & ((1 << fmt.exponent_bits) - 1)
        max_exponent = largest_field - 1
        base = fmt.min_exponent
        significand_bits = fmt.precision
    else:
        assert isinstance(fmt, FixedPoint), fmt
        max_exponent = 0
        base = fmt.min_exponent
        significand_bits = fmt.width
    return Operand(
        significand_bits=significand_bits,
        max_exponent=max_exponent,
        base=base,
        twos_complement=False,
        signed=fmt.signed,
        has_nan=fmt.has_nan,
        has_inf=fmt.has_inf,
        normalised=False,
    )


def _must_normalise(a: Operand, b: Operand, window: Window) -> tuple[bool, bool]:
    """Whether the exponent test could fire for an operand with leading zeros (exponent field 0)."""
    first_doubtful = window.summand_bits + 1 - (a.significand_bits + b.significand_bits)
    origin = a.base + b.base - window.lsb
    return origin + b.max_exponent >= first_doubtful, origin + a.max_exponent >= first_doubtful


def _normalised(operand: Operand) -> Operand:
    room = operand.significand_bits - 1
    return replace(
        operand,
        max_exponent=operand.max_exponent + room,
        base=operand.base - room,
        normalised=True,
    )


def _align_fixed(datapath: Datapath) -> Alignment:
    operands = [
        Operand(
            significand_bits=fmt.width,
            max_exponent=0,
            base=fmt.min_exponent,
            twos_complement=True,
            signed=fmt.signed,
            has_nan=False,
            has_inf=False,
            normalised=False,
        )
        for fmt in (datapath.a, datapath.b)
    ]
    a, b = operands
    # The product of two unsigned operands needs a zero sign bit on top; a signed one brings one.
    product_bits = a.significand_bits + b.significand_bits + (not a.signed and not b.signed)
    distance = a.base + b.base - datapath.window.lsb
    return Alignment(
        a=a,
        b=b,
        window=datapath.window,
        product_bits=product_bits,
        below=max(0, -distance),
        min_distance=distance,
        max_distance=distance,
        largest_product=int(
            datapath.a.max_finite * datapath.b.max_finite / Fraction(2) ** (a.base + b.base)
        ),
    )


def _scaled(value: int, exponent: int) -> Fraction:
    return value * Fraction(2) ** exponent
