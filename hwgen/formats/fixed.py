"""Fixed point: two's complement (or unsigned) integers scaled by a power of two."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwgen.errors import FormatError
from hwgen.formats.arrays import (
    Operands,
    as_float64,
    as_patterns,
    count_leading_zeros,
    refuse_nan,
    round_right_shift,
    split_float64,
)
from hwgen.formats.base import Encoding, Format, Kind, Number, Packed, Unpacked
from hwgen.formats.exact import check_pattern, exact_parts

__all__ = ["FixedPoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint(Format):
    """A fixed-point format: an integer times ``2**-fraction_bits``.

    Encoding rounds ties to even and saturates. There is no negative zero, no infinity and no NaN.

    Parameters
    ----------
    integer_bits : int
        Bits above the binary point, the sign included where there is one: at least 1 if signed.
    fraction_bits : int
        Bits below the binary point, 0 or more.
    signed : bool
        Two's complement (2 to 64 bits) or unsigned (1 to 63 bits).

    Raises
    ------
    FormatError
        If a size is out of range.
    """

    integer_bits: int
    fraction_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        least = 1 if self.signed else 0
        for what, value, low in (
            ("integer bits", self.integer_bits, least),
            ("fraction bits", self.fraction_bits, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise FormatError(f"{self.name} has {value!r} {what}; it must be at least {low}")
        low, high = (2, 64) if self.signed else (1, 63)
        if not low <= self.width <= high:
            raise FormatError(f"{self.name} is {self.width} bits wide; allowed is {low} to {high}")

    @property
    def name(self) -> str:
        prefix = "" if self.signed else "u"
        return f"{prefix}fixed:{self.integer_bits},{self.fraction_bits}"

    @property
    def width(self) -> int:
        return self.integer_bits + self.fraction_bits

    @property
    def has_inf(self) -> bool:
        return False

    @property
    def has_nan(self) -> bool:
        return False

    @property
    def precision(self) -> int:
        return self.width  # the most negative number's magnitude needs the sign bit's place too

    @property
    def min_exponent(self) -> int:
        return -self.fraction_bits

    @property
    def max_finite(self) -> Fraction:
        return Fraction(max(self._largest, self._least), 1 << self.fraction_bits)

    @property
    def nan_bits(self) -> int:
        return 0

    @property
    def _largest(self) -> int:
        """Largest number in units of the lowest bit."""
        return (1 << (self.width - 1 if self.signed else self.width)) - 1

    @property
    def _least(self) -> int:
        """Magnitude of the least number in units of the lowest bit."""
        return 1 << (self.width - 1) if self.signed else 0

    def infinity_bits(self, negative: bool) -> int:
        return self._least if negative else self._largest

    # The exact route.

    def decode(self, bits: int) -> Number:
        check_pattern(bits, self)
        negative = self.signed and bits >> (self.width - 1) == 1
        magnitude = (1 << self.width) - bits if negative else bits
        return Number(Kind.FINITE, int(negative), magnitude, -self.fraction_bits)

    def encode(self, value: Number | Fraction | int | float) -> Encoding:
        kind, sign, magnitude = exact_parts(value)
        if kind is Kind.NAN:
            return Encoding(0, invalid=True)
        if kind is Kind.INFINITE:
            return Encoding(self.infinity_bits(bool(sign)), overflow=True, inexact=True)
        scaled = (-magnitude if sign else magnitude) * (1 << self.fraction_bits)
        rounded = round(scaled)  # round() of a Fraction: ties to even
        if not -self._least <= rounded <= self._largest:
            return Encoding(self.infinity_bits(rounded < 0), overflow=True, inexact=True)
        return Encoding(rounded % (1 << self.width), inexact=rounded != scaled)

    # The array route.

    def unpack(self, bits: np.ndarray) -> Unpacked:
        patterns = as_patterns(bits, self)
        shape = patterns.shape
        patterns = np.atleast_1d(patterns)  # the negation below wraps, of which scalars would warn
        sign = (patterns >> np.uint64(self.width - 1)) != 0
        if not self.signed:
            sign = np.zeros_like(sign)
        mask = np.uint64((1 << self.width) - 1)
        magnitude = np.where(sign, (~patterns + np.uint64(1)) & mask, patterns)
        return Unpacked(
            nan=np.zeros(shape, dtype=np.bool_),
            inf=np.zeros(shape, dtype=np.bool_),
            sign=sign.reshape(shape),
            significand=magnitude.reshape(shape),
            exponent=np.full(shape, -self.fraction_bits, dtype=np.int64),
        )

    def pack(
        self,
        sign: np.ndarray,
        significand: np.ndarray,
        exponent: np.ndarray,
        sticky: np.ndarray | None = None,
    ) -> Packed:
        """Round finite numbers to the format (see :meth:`Format.pack`).

        Raises
        ------
        ValueError
            If ``sticky`` is set where the significand has no bit below the format's lowest, so that
            the rounding is undetermined. It takes a format of 63 or 64 bits.
        """
        given = Operands.of(sign, significand, exponent, sticky=sticky)
        limit = np.where(given.sign, np.uint64(self._least), np.uint64(self._largest))
        left = given.exponent + self.fraction_bits
        rounded, dropped = round_right_shift(
            given.significand, np.maximum(-left, 1), sticky=given.sticky
        )
        scaled = given.significand << np.clip(left, 0, 63).astype(np.uint64)
        whole = left >= 0
        magnitude = np.where(whole, scaled, rounded)
        lost = whole & (left > count_leading_zeros(given.significand)) & (given.significand != 0)
        overflow = lost | (magnitude > limit)
        if np.any(given.sticky & whole & ~overflow):
            raise ValueError(
                f"a sticky significand reaches down to the lowest bit of {self.name}, so that its"
                " rounding is undetermined; give a significand with bits below it"
            )
        magnitude = np.where(overflow, limit, magnitude)
        mask = np.uint64((1 << self.width) - 1)
        bits = np.where(given.sign, (~magnitude + np.uint64(1)) & mask, magnitude)
        return Packed(
            bits=bits.astype(self.dtype).reshape(given.shape),
            overflow=overflow.reshape(given.shape),
            inexact=(overflow | (dropped & ~whole)).reshape(given.shape),
        )

    def from_float(self, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
        parts = split_float64(as_float64(values, self))
        refuse_nan(parts.nan, self.name)
        bits = self.pack(parts.sign, parts.significand, parts.exponent).bits
        infinity = np.where(
            parts.sign, np.uint64(self.infinity_bits(True)), np.uint64(self.infinity_bits(False))
        )
        return np.where(parts.inf, infinity.astype(self.dtype), bits)

    def to_float(self, bits: np.ndarray) -> np.ndarray:
        """Return patterns as float64, rounded once (ties to even) where wider than 53 bits."""
        parts = self.unpack(bits)
        magnitude = np.ldexp(parts.significand.astype(np.float64), -self.fraction_bits)
        return np.asarray(np.where(parts.sign, -magnitude, magnitude))
