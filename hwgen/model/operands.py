"""Operand matrices taken apart once, with what the accumulators need to know about them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np

from hwgen.formats import Format
from hwgen.model.limbs import bit_length, trailing_zeros

__all__ = [
    "Bounds",
    "Operand",
    "Specials",
    "dropped_bits",
    "exact_lane_scales",
    "magnitude_bounds",
    "special_products",
]

# Stands for the weight of a zero's lowest bit: far above any window, and sums stay within int32.
_NO_BIT = 1 << 29


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix of decoded patterns; specials have significand 0.

    The value is ``(-1)**negative * significand * 2**exponent``, with an odd significand or 0, so
    that ``exponent`` is the weight of the lowest nonzero bit (a large number for 0 and specials).
    """

    nan: np.ndarray  # bool
    inf: np.ndarray  # bool
    negative: np.ndarray  # bool
    significand: np.ndarray  # uint64
    exponent: np.ndarray  # int64
    top: np.ndarray  # int64; |value| < 2**top, a very negative number for 0

    @classmethod
    def unpack(cls, bits: np.ndarray, fmt: Format) -> Operand:
        """Decode an array of patterns."""
        parts = fmt.unpack(bits)
        zeros = trailing_zeros(parts.significand)
        empty = zeros < 0
        significand = parts.significand >> np.maximum(zeros, 0).astype(np.uint64)
        return cls(
            nan=parts.nan,
            inf=parts.inf,
            negative=parts.sign,
            significand=significand,
            exponent=np.where(empty, _NO_BIT, parts.exponent + zeros),
            top=np.where(empty, -_NO_BIT, parts.exponent + zeros + bit_length(significand)),
        )

    def __getitem__(self, index) -> Operand:
        return Operand(*(getattr(self, item.name)[index] for item in fields(self)))

    @property
    def highest(self) -> int:
        """Every magnitude is below ``2**highest``; a very negative number if all are 0."""
        return int(self.top.max(initial=-_NO_BIT))

    @property
    def lowest(self) -> int:
        """Every value is a multiple of ``2**lowest``; a large number if all are 0."""
        return int(self.exponent.min(initial=_NO_BIT))

    @property
    def bits(self) -> int:
        """Bits of the longest significand (0 if all are 0)."""
        return int(bit_length(self.significand.max(initial=0)[np.newaxis])[0])

    @property
    def empty(self) -> bool:
        """Whether no element is finite and nonzero."""
        return not self.significand.any()

    @property
    def special(self) -> bool:
        """Whether there is an infinity or NaN."""
        return bool(self.nan.any() or self.inf.any())

    def scaled_float(self, scale: int) -> np.ndarray:
        """Return ``value * 2**-scale`` as float64, correctly rounded (0 for specials)."""
        exponent = np.where(self.significand == 0, 0, self.exponent - scale)
        size = np.ldexp(self.significand.astype(np.float64), exponent)
        return np.where(self.negative, -size, size)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper bounds over all elements of a product of matrices."""

    product: Fraction  # of |a * b|
    total: Fraction  # of sum over k of |a * b|


def magnitude_bounds(a: Operand, b: Operand) -> Bounds:
    """Bound products and sums of magnitudes, from float64 arithmetic with a margin for its errors.

    Neither operand may be empty.
    """
    terms = a.exponent.shape[1]
    scale_a, scale_b = a.highest, b.highest
    sizes_a, sizes_b = np.abs(a.scaled_float(scale_a)), np.abs(b.scaled_float(scale_b))
    product = float((sizes_a.max(axis=0) * sizes_b.max(axis=1)).max())
    total = float((sizes_a @ sizes_b).max())
    # Each factor and each of the sums' operations is off by at most 2**-53 of its value, or by less
    # than the least normal number where it underflows (all values are below 1).
    margin = 1 + Fraction(terms + 8, 1 << 50)
    tiny = Fraction(terms + 8, 1 << 1000)
    scale = Fraction(2) ** (scale_a + scale_b)
    return Bounds(
        (Fraction(product) * margin + tiny) * scale, (Fraction(total) * margin + tiny) * scale
    )


def dropped_bits(a: Operand, b: Operand, lsb: int) -> np.ndarray:
    """Tell for each element of A B whether a product has a nonzero bit below ``2**lsb``.

    The lowest nonzero bit of a product is the product of the factors' lowest nonzero bits.
    """
    rows, terms = a.exponent.shape
    shape = (rows, b.exponent.shape[1])
    if a.lowest + b.lowest >= lsb:
        return np.zeros(shape, dtype=np.bool_)
    columns = np.ascontiguousarray(a.exponent.T.astype(np.int32))
    lines = b.exponent.astype(np.int32)
    lowest = np.full(shape, 2 * _NO_BIT, dtype=np.int32)
    weight = np.empty_like(lowest)
    for k in range(terms):
        np.add.outer(columns[k], lines[k], out=weight)
        np.minimum(lowest, weight, out=lowest)
        if k % 16 == 15 and lowest.max() < lsb:
            break
    return lowest < lsb


@dataclass(frozen=True, slots=True)
class Specials:
    """Which elements of a matrix product met a NaN product, or infinite products of either sign."""

    nan: np.ndarray  # bool
    plus_inf: np.ndarray  # bool
    minus_inf: np.ndarray  # bool


def special_products(a: Operand, b: Operand) -> Specials:
    """Find the NaN and infinite products of every element of A B."""
    if not (a.special or b.special):
        nothing = np.zeros((a.nan.shape[0], b.nan.shape[1]), dtype=np.bool_)
        return Specials(nothing, nothing, nothing)
    zero_a, zero_b = _zero(a), _zero(b)
    all_a, all_b = np.ones_like(a.nan), np.ones_like(b.nan)
    nan = (
        _any_product(a.nan, all_b)
        | _any_product(all_a, b.nan)
        | _any_product(a.inf, zero_b)
        | _any_product(zero_a, b.inf)
    )
    plus = np.zeros_like(nan)
    minus = np.zeros_like(nan)
    for sign_a in (False, True):
        for sign_b in (False, True):
            like_a, like_b = a.negative == sign_a, b.negative == sign_b
            found = _any_product(a.inf & like_a, ~b.nan & ~zero_b & like_b)
            found |= _any_product(~a.nan & ~zero_a & like_a, b.inf & like_b)
            if sign_a == sign_b:
                plus |= found
            else:
                minus |= found
    return Specials(nan, plus, minus)


def _zero(operand: Operand) -> np.ndarray:
    return (operand.significand == 0) & ~operand.nan & ~operand.inf


def _any_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product of booleans: whether both factors hold for some k."""
    if not (a.any() and b.any()):
        return np.zeros((a.shape[0], b.shape[1]), dtype=np.bool_)
    # Counts in float32 may round but never to 0.
    return a.astype(np.float32) @ b.astype(np.float32) > 0


def exact_lane_scales(a: Operand, b: Operand, lsb: int) -> tuple[int, int] | None:
    """Return scales that make ``a``, ``b`` and their products in units of ``2**lsb`` exact lanes.

    ``a * 2**-scale_a``, ``b * 2**-scale_b`` and each product of the two are then exact in float64,
    without subnormals; the scales add up to ``lsb``. None if there are no such scales.
    """
    if a.bits + b.bits > 53:
        return None
    scale_b = b.highest
    scale_a = lsb - scale_b
    # |b| is scaled to at most 1, so that a product is never above a's factor.
    if min(b.lowest - scale_b, a.lowest + b.lowest - lsb) < -1022 or a.highest - scale_a > 1023:
        return None
    return scale_a, scale_b
