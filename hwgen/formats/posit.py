"""Posits: tapered precision, as the Posit Standard (2022) defines them.

A negative pattern is the two's complement of its magnitude's. Under the sign of a magnitude stand
the regime, a run of equal bits ended by the opposite bit or by the end of the pattern, then ES
exponent bits, then the fraction; exponent bits cut off by the end count as zeros. A run of r ones
means regime r - 1, a run of r zeros regime -r, and the value is

    2**(regime * 2**ES + exponent) * (1 + fraction).

The pattern 100...0 is NaR (not a real), which is NaN here; there are no infinities, and one zero.

References
----------
Posit Working Group, *Standard for Posit Arithmetic (2022)*, sections 3 and 4.1; there ES is 2.
"""

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
    round_right_shift,
    split_float64,
)
from hwgen.formats.base import Encoding, Format, Kind, Number, Packed, Unpacked
from hwgen.formats.exact import check_pattern, exact_parts, floor_log2

__all__ = ["STANDARD_EXPONENT_BITS", "Posit"]

STANDARD_EXPONENT_BITS = 2
MIN_WIDTH, MAX_WIDTH = 3, 32
MAX_EXPONENT_BITS = 4  # keeps exact accumulators of 32-bit posits below 2000 bits
TAIL_BITS = 32  # exponent and leading fraction bits that the array route rounds from


@dataclass(frozen=True, slots=True, kw_only=True)
class Posit(Format):
    """A posit format.

    Encoding rounds the bit string to nearest, ties to the even pattern, and saturates: magnitudes
    above the largest posit become that posit, nonzero ones below the smallest posit become that
    one. An infinity becomes NaR.

    Parameters
    ----------
    width : int
        N, bits of a pattern: 3 to 32.
    exponent_bits : int
        ES, 0 to 4; the standard has 2.

    Raises
    ------
    FormatError
        If a size is out of range.
    """

    width: int  # type: ignore[misc]  # the property of the base class
    exponent_bits: int = STANDARD_EXPONENT_BITS

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("bits", self.width, MIN_WIDTH, MAX_WIDTH),
            ("exponent bits", self.exponent_bits, 0, MAX_EXPONENT_BITS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise FormatError(f"a posit has {value!r} {what}; allowed is {low} to {high}")

    @property
    def name(self) -> str:
        if self.exponent_bits == STANDARD_EXPONENT_BITS:
            return f"posit{self.width}"
        return f"posit:{self.width},{self.exponent_bits}"

    @property
    def signed(self) -> bool:
        return True

    @property
    def has_inf(self) -> bool:
        return False

    @property
    def has_nan(self) -> bool:
        return True

    @property
    def precision(self) -> int:
        # A sign, a regime of two bits and the exponent leave the rest to the fraction.
        return max(1, self.width - 2 - self.exponent_bits)

    @property
    def max_exponent(self) -> int:
        """Exponent of the largest posit, which is a power of two; minus that of the smallest."""
        return (self.width - 2) << self.exponent_bits

    @property
    def min_exponent(self) -> int:
        return -self.max_exponent

    @property
    def max_finite(self) -> Fraction:
        return Fraction(2) ** self.max_exponent

    @property
    def nan_bits(self) -> int:
        return 1 << (self.width - 1)

    def infinity_bits(self, negative: bool) -> int:
        return self.nan_bits

    # The exact route.

    def decode(self, bits: int) -> Number:
        check_pattern(bits, self)
        if bits == 0:
            return Number(Kind.FINITE, 0, 0, self.min_exponent)
        if bits == self.nan_bits:
            return Number(Kind.NAN, 1)
        sign = bits >> (self.width - 1)
        magnitude = (1 << self.width) - bits if sign else bits
        string = f"{magnitude:0{self.width - 1}b}"
        run = len(string) - len(string.lstrip(string[0]))
        regime = run - 1 if string[0] == "1" else -run
        rest = string[run + 1 :]
        exponent_text, fraction_text = rest[: self.exponent_bits], rest[self.exponent_bits :]
        exponent = int("0" + exponent_text.ljust(self.exponent_bits, "0"), 2)
        scale = (regime << self.exponent_bits) + exponent
        return Number(Kind.FINITE, sign, int("1" + fraction_text, 2), scale - len(fraction_text))

    def encode(self, value: Number | Fraction | int | float) -> Encoding:
        kind, sign, magnitude = exact_parts(value)
        if kind is Kind.NAN:
            return Encoding(self.nan_bits, invalid=True)
        if kind is Kind.INFINITE:
            return Encoding(self.nan_bits, invalid=True, overflow=True, inexact=True)
        if magnitude == 0:
            return Encoding(0)
        overflow = magnitude > self.max_finite
        bits = round(self._place(min(magnitude, self.max_finite)))  # of a Fraction: ties to even
        bits = min(max(bits, 1), self.nan_bits - 1)
        inexact = self.decode(bits).fraction != magnitude
        return Encoding(
            (1 << self.width) - bits if sign else bits, overflow=overflow, inexact=inexact
        )

    def _place(self, magnitude: Fraction) -> Fraction:
        """Where a magnitude lies among the patterns: its endless bit string, cut at the width."""
        scale = floor_log2(magnitude)
        regime, exponent = divmod(scale, 1 << self.exponent_bits)
        if regime >= 0:
            run, string = regime + 2, ((1 << (regime + 1)) - 1) << 1
        else:
            run, string = 1 - regime, 1
        tail = exponent + magnitude / Fraction(2) ** scale - 1
        whole = (string << self.exponent_bits) + tail
        return whole * Fraction(2) ** (self.width - 1 - run - self.exponent_bits)

    # The array route.

    def unpack(self, bits: np.ndarray) -> Unpacked:
        patterns = as_patterns(bits, self)
        shape = patterns.shape
        patterns = np.atleast_1d(patterns)  # the negation below wraps, of which scalars would warn
        sign = (patterns >> np.uint64(self.width - 1)) != 0
        mask = np.uint64((1 << self.width) - 1)
        magnitude = np.where(sign, (~patterns + np.uint64(1)) & mask, patterns)
        nan = patterns == np.uint64(self.nan_bits)
        zero = patterns == 0
        string = magnitude << np.uint64(65 - self.width)  # the regime begins at the top
        ones = (string >> np.uint64(63)) != 0
        run = np.minimum(count_leading_zeros(np.where(ones, ~string, string)), self.width - 1)
        rest = string << (run + 1).astype(np.uint64)
        exponent = (rest >> np.uint64(1)) >> np.uint64(63 - self.exponent_bits)
        fraction_bits = np.maximum(self.width - 2 - run - self.exponent_bits, 0).astype(np.uint64)
        # Two shifts, since one by 64 is not defined.
        fraction = ((rest << np.uint64(self.exponent_bits)) >> np.uint64(1)) >> (
            np.uint64(63) - fraction_bits
        )
        significand = (np.uint64(1) << fraction_bits) | fraction
        scale = (np.where(ones, run - 1, -run) << self.exponent_bits) + exponent.astype(np.int64)
        exponent = np.where(zero, self.min_exponent, scale - fraction_bits.astype(np.int64))
        return Unpacked(
            nan=nan.reshape(shape),
            inf=np.zeros(shape, dtype=np.bool_),
            sign=sign.reshape(shape),
            significand=np.where(zero | nan, np.uint64(0), significand).reshape(shape),
            exponent=np.where(nan, 0, exponent).reshape(shape),
        )

    def pack(
        self,
        sign: np.ndarray,
        significand: np.ndarray,
        exponent: np.ndarray,
        sticky: np.ndarray | None = None,
    ) -> Packed:
        given = Operands.of(sign, significand, exponent, sticky=sticky)
        zero = given.significand == 0
        zeros_above = np.where(zero, 0, count_leading_zeros(given.significand))
        scale = given.exponent + 63 - zeros_above
        hidden_out = (given.significand << zeros_above.astype(np.uint64)) << np.uint64(1)
        limit = self.max_exponent
        overflow = (scale > limit) | ((scale == limit) & ((hidden_out != 0) | given.sticky))
        below = scale < -limit
        clipped = np.clip(scale, -limit, limit)
        regime = clipped >> self.exponent_bits
        field = (clipped - (regime << self.exponent_bits)).astype(np.uint64)
        fraction_bits = TAIL_BITS - self.exponent_bits
        tail = (field << np.uint64(fraction_bits)) | (hidden_out >> np.uint64(64 - fraction_bits))
        rest = (hidden_out << np.uint64(fraction_bits)) != 0
        run = np.where(regime >= 0, regime + 2, 1 - regime)
        ones = np.uint64(2) << np.maximum(regime + 1, 0).astype(np.uint64)
        string = np.where(regime >= 0, ones - np.uint64(2), np.uint64(1))
        rounded, lost = round_right_shift(
            (string << np.uint64(TAIL_BITS)) | tail,
            TAIL_BITS + run - (self.width - 1),
            sticky=rest | given.sticky,
        )
        magnitude = np.clip(rounded, np.uint64(1), np.uint64(self.nan_bits - 1))
        magnitude = np.where(overflow, np.uint64(self.nan_bits - 1), magnitude)
        magnitude = np.where(zero, np.uint64(0), np.where(below, np.uint64(1), magnitude))
        mask = np.uint64((1 << self.width) - 1)
        bits = np.where(given.sign, (~magnitude + np.uint64(1)) & mask, magnitude)
        return Packed(
            bits=bits.astype(self.dtype).reshape(given.shape),
            overflow=(overflow & ~zero).reshape(given.shape),
            inexact=((lost | overflow | below) & ~zero).reshape(given.shape),
        )

    def from_float(self, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
        parts = split_float64(as_float64(values, self))
        bits = self.pack(parts.sign, parts.significand, parts.exponent).bits
        return np.where(parts.nan | parts.inf, self.dtype.type(self.nan_bits), bits)

    def to_float(self, bits: np.ndarray) -> np.ndarray:
        """Return patterns as float64; exact for every format of this family."""
        parts = self.unpack(bits)
        magnitude = np.ldexp(parts.significand.astype(np.float64), parts.exponent.astype(np.int32))
        return np.where(parts.nan, np.nan, np.where(parts.sign, -magnitude, magnitude))
