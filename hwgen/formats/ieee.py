"""Binary floating point: the IEEE 754 family and OCP's small formats (OFP8 v1.0, MX v1.0).

A pattern is sign, biased exponent and fraction, from the top; a zero exponent field holds zero and
the subnormals.
"""

from __future__ import annotations

import enum
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
from hwgen.formats.exact import check_pattern, exact_parts, floor_log2

__all__ = ["ALLOWED_OVERFLOW", "NAMED_FLOATS", "Float", "FloatOverflow", "NamedFloat", "Specials"]

MAX_EXPONENT_BITS = 11  # fp64's
MAX_FRACTION_BITS = 52


class Specials(enum.Enum):
    """Which patterns stand for infinities and NaN.

    ``IEEE``: the all-ones exponent. ``NAN_ONLY``: only the pattern of all ones (either sign) is NaN
    and there is no infinity, OCP's "FN". ``NONE``: every pattern is a number.
    """

    IEEE = "ieee"
    NAN_ONLY = "nan"
    NONE = "none"


class FloatOverflow(enum.Enum):
    """What a result beyond the largest finite number becomes."""

    INFINITY = "infinity"
    SATURATE = "saturate"
    NAN = "nan"


ALLOWED_OVERFLOW = {  # the first is the default
    Specials.IEEE: (FloatOverflow.INFINITY, FloatOverflow.SATURATE),
    Specials.NAN_ONLY: (FloatOverflow.SATURATE, FloatOverflow.NAN),
    Specials.NONE: (FloatOverflow.SATURATE,),
}


@dataclass(frozen=True, slots=True)
class NamedFloat:
    """A floating-point format that has a name of its own."""

    name: str
    exponent_bits: int
    fraction_bits: int
    specials: Specials
    description: str


NAMED_FLOATS = (
    NamedFloat("fp64", 11, 52, Specials.IEEE, "IEEE 754 binary64, double precision"),
    NamedFloat("fp32", 8, 23, Specials.IEEE, "IEEE 754 binary32, single precision"),
    NamedFloat(
        "tf32", 8, 10, Specials.IEEE, "TensorFloat-32, 19 bits: fp32's range, fp16's precision"
    ),
    NamedFloat("bf16", 8, 7, Specials.IEEE, "bfloat16: the upper half of fp32"),
    NamedFloat("fp16", 5, 10, Specials.IEEE, "IEEE 754 binary16, half precision"),
    NamedFloat("e4m3", 4, 3, Specials.NAN_ONLY, "OCP 8-bit float, no infinity, saturates at 448"),
    NamedFloat(
        "e5m2", 5, 2, Specials.IEEE, "OCP 8-bit float with infinities, largest finite 57344"
    ),
    NamedFloat("e3m2", 3, 2, Specials.NONE, "OCP 6-bit float, numbers only, saturates at 28"),
    NamedFloat("e2m3", 2, 3, Specials.NONE, "OCP 6-bit float, numbers only, saturates at 7.5"),
    NamedFloat("e2m1", 2, 1, Specials.NONE, "OCP 4-bit float, numbers only, saturates at 6"),
)
_NAME_OF = {(e.exponent_bits, e.fraction_bits, e.specials): e.name for e in NAMED_FLOATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Float(Format):
    """A binary floating-point format.

    Parameters
    ----------
    exponent_bits : int
        2 to 11.
    fraction_bits : int
        1 to 52.
    specials : Specials
        Which patterns stand for infinities and NaN.
    overflow : FloatOverflow, optional
        What a too large result becomes: with IEEE specials INFINITY (default) or SATURATE, with
        NAN_ONLY specials SATURATE (default) or NAN, without specials SATURATE.

    Raises
    ------
    FormatError
        If a size is out of range or the overflow treatment does not go with the specials.
    """

    exponent_bits: int
    fraction_bits: int
    specials: Specials = Specials.IEEE
    overflow: FloatOverflow = None  # type: ignore[assignment]  # set in __post_init__

    def __post_init__(self) -> None:
        for what, value, low, high in (
            ("exponent bits", self.exponent_bits, 2, MAX_EXPONENT_BITS),
            ("fraction bits", self.fraction_bits, 1, MAX_FRACTION_BITS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise FormatError(f"a float has {value!r} {what}; allowed is {low} to {high}")
        allowed = ALLOWED_OVERFLOW[self.specials]
        if self.overflow is None:
            object.__setattr__(self, "overflow", allowed[0])
        elif self.overflow not in allowed:
            choices = " or ".join(member.value for member in allowed)
            raise FormatError(
                f"{self._base_name} has overflow={self.overflow.value}; allowed is {choices}"
            )

    @property
    def _base_name(self) -> str:
        named = _NAME_OF.get((self.exponent_bits, self.fraction_bits, self.specials))
        if named is not None:
            return named
        suffix = "" if self.specials is Specials.IEEE else f",specials={self.specials.value}"
        return f"float:{self.exponent_bits},{self.fraction_bits}{suffix}"

    @property
    def name(self) -> str:
        base = self._base_name
        if self.overflow is ALLOWED_OVERFLOW[self.specials][0]:
            return base
        return f"{base}{',' if ':' in base else ':'}overflow={self.overflow.value}"

    @property
    def width(self) -> int:
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def signed(self) -> bool:
        return True

    @property
    def has_inf(self) -> bool:
        return self.specials is Specials.IEEE

    @property
    def has_nan(self) -> bool:
        return self.specials is not Specials.NONE

    @property
    def precision(self) -> int:
        return self.fraction_bits + 1

    @property
    def bias(self) -> int:
        """The exponent field of numbers in [1, 2)."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def min_exponent(self) -> int:
        return 1 - self.bias - self.fraction_bits

    @property
    def max_exponent(self) -> int:
        """Weight exponent of the leading bit of the largest finite number."""
        return (self.max_finite_bits >> self.fraction_bits) - self.bias

    @property
    def max_finite_bits(self) -> int:
        """Pattern of the largest finite number, sign clear."""
        if self.specials is Specials.IEEE:
            return self._exponent_mask - 1
        return self._sign_bit - (2 if self.has_nan else 1)

    @property
    def max_finite(self) -> Fraction:
        return self.decode(self.max_finite_bits).fraction

    @property
    def nan_bits(self) -> int:
        if self.specials is Specials.IEEE:
            return self._exponent_mask | 1 << (self.fraction_bits - 1)  # quiet
        return self._sign_bit - 1 if self.has_nan else 0

    @property
    def _sign_bit(self) -> int:
        return 1 << (self.exponent_bits + self.fraction_bits)

    @property
    def _exponent_mask(self) -> int:
        return self._sign_bit - (1 << self.fraction_bits)

    def infinity_bits(self, negative: bool) -> int:
        if self.has_inf:
            return self._exponent_mask | (self._sign_bit if negative else 0)
        return self._overflow_bits(negative)

    def _overflow_bits(self, negative: bool) -> int:
        if self.overflow is FloatOverflow.NAN:
            return self.nan_bits
        magnitude = (
            self._exponent_mask if self.overflow is FloatOverflow.INFINITY else self.max_finite_bits
        )
        return magnitude | (self._sign_bit if negative else 0)

    # The exact route.

    def decode(self, bits: int) -> Number:
        check_pattern(bits, self)
        sign = bits >> (self.exponent_bits + self.fraction_bits)
        field = bits >> self.fraction_bits & ((1 << self.exponent_bits) - 1)
        fraction = bits & ((1 << self.fraction_bits) - 1)
        if field == (1 << self.exponent_bits) - 1:
            if self.specials is Specials.IEEE:
                return Number(Kind.NAN if fraction else Kind.INFINITE, sign)
            if self.has_nan and fraction == (1 << self.fraction_bits) - 1:
                return Number(Kind.NAN, sign)
        if field == 0:
            return Number(Kind.FINITE, sign, fraction, self.min_exponent)
        significand = (1 << self.fraction_bits) + fraction
        return Number(Kind.FINITE, sign, significand, field - self.bias - self.fraction_bits)

    def encode(self, value: Number | Fraction | int | float) -> Encoding:
        kind, sign, magnitude = exact_parts(value)
        if kind is Kind.NAN:
            return Encoding(self.nan_bits, invalid=True)
        if kind is Kind.INFINITE:
            if self.has_inf:
                return Encoding(self.infinity_bits(bool(sign)))
            return self._encode_overflow(sign)
        sign_bits = sign << (self.exponent_bits + self.fraction_bits)
        if magnitude == 0:
            return Encoding(sign_bits)
        lowest = 1 - self.bias  # exponent of the smallest normal number
        quantum = Fraction(2) ** (max(floor_log2(magnitude), lowest) - self.fraction_bits)
        rounded = round(magnitude / quantum) * quantum  # round() of a Fraction: ties to even
        if rounded > self.max_finite:
            return self._encode_overflow(sign)
        if rounded < Fraction(2) ** lowest:
            magnitude_bits = int(rounded / Fraction(2) ** self.min_exponent)
        else:
            exponent = floor_log2(rounded)
            fraction = (rounded / Fraction(2) ** exponent - 1) * (1 << self.fraction_bits)
            magnitude_bits = (exponent + self.bias << self.fraction_bits) + int(fraction)
        return Encoding(sign_bits | magnitude_bits, inexact=rounded != magnitude)

    def _encode_overflow(self, sign: int) -> Encoding:
        return Encoding(
            self._overflow_bits(bool(sign)),
            invalid=self.overflow is FloatOverflow.NAN,
            overflow=True,
            inexact=True,
        )

    # The array route.

    def unpack(self, bits: np.ndarray) -> Unpacked:
        patterns = as_patterns(bits, self)
        magnitude = patterns & np.uint64(self._sign_bit - 1)
        field = magnitude >> np.uint64(self.fraction_bits)
        fraction = magnitude & np.uint64((1 << self.fraction_bits) - 1)
        special = magnitude > np.uint64(self.max_finite_bits)
        inf = magnitude == np.uint64(self._exponent_mask)
        if not self.has_inf:
            inf = np.zeros_like(special)
        hidden = np.where(field == 0, np.uint64(0), np.uint64(1 << self.fraction_bits))
        exponent = np.maximum(field.astype(np.int64), 1) + (self.min_exponent - 1)
        return Unpacked(
            nan=np.asarray(special & ~inf),
            inf=np.asarray(inf),
            sign=np.asarray(patterns >= np.uint64(self._sign_bit)),
            significand=np.where(special, np.uint64(0), hidden | fraction),
            exponent=np.where(special, np.int64(0), exponent),
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
        normalised = given.significand << zeros_above.astype(np.uint64)
        # How many binades the leading bit lies above the smallest normal number's.
        binade = given.exponent - zeros_above + (63 - self.fraction_bits - self.min_exponent)
        dropped = 63 - self.fraction_bits - np.minimum(binade, 0)
        rounded, inexact = round_right_shift(normalised, dropped, sticky=given.sticky)
        # Adding the significand with its hidden bit to the exponent field less one lets a carry out
        # of rounding run into the exponent, from subnormal to normal too. The bound on the field
        # keeps the sum inside 64 bits and still above every finite pattern.
        field_less_one = np.clip(binade, 0, 1 << self.exponent_bits).astype(np.uint64)
        magnitude = np.where(
            zero, np.uint64(0), (field_less_one << np.uint64(self.fraction_bits)) + rounded
        )
        overflow = magnitude > np.uint64(self.max_finite_bits)
        bits = magnitude | np.where(given.sign, np.uint64(self._sign_bit), np.uint64(0))
        beyond = np.where(
            given.sign,
            np.uint64(self._overflow_bits(True)),
            np.uint64(self._overflow_bits(False)),
        )
        return Packed(
            bits=np.where(overflow, beyond, bits).astype(self.dtype).reshape(given.shape),
            overflow=overflow.reshape(given.shape),
            inexact=(inexact | overflow).reshape(given.shape),
        )

    def from_float(self, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
        parts = split_float64(as_float64(values, self))
        if not self.has_nan:
            refuse_nan(parts.nan, self.name)
        bits = self.pack(parts.sign, parts.significand, parts.exponent).bits
        infinity = np.where(
            parts.sign, np.uint64(self.infinity_bits(True)), np.uint64(self.infinity_bits(False))
        )
        bits = np.where(parts.inf, infinity.astype(self.dtype), bits)
        return np.where(parts.nan, self.dtype.type(self.nan_bits), bits)

    def to_float(self, bits: np.ndarray) -> np.ndarray:
        """Return patterns as float64; exact for every format of this family."""
        parts = self.unpack(bits)
        magnitude = np.ldexp(parts.significand.astype(np.float64), parts.exponent.astype(np.int32))
        magnitude = np.where(parts.inf, np.inf, np.where(parts.nan, np.nan, magnitude))
        return np.asarray(np.copysign(magnitude, np.where(parts.sign, -1.0, 1.0)))
