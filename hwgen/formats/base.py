"""What every number format offers: exact decoding and correctly rounded encoding.

A format maps a bit pattern to zero, a finite number, an infinity or NaN. Each format carries two
implementations that share no code, so that one can judge the other:

* the *exact* route, :meth:`Format.decode` and :meth:`Format.encode`, works on one pattern with
Python
  integers and fractions, and is written to be obviously right;
* the *array* route, :meth:`Format.unpack` and :meth:`Format.pack`, works on NumPy arrays of
patterns.

In every format of this package the pattern of all zero bits is the number zero; the hardware relies
on it for bubbles and padding.
"""

from __future__ import annotations

import abc
import enum
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["Encoding", "Format", "Kind", "Number", "Packed", "Unpacked", "pattern_dtype"]


class Kind(enum.Enum):
    """The class of a decoded pattern."""

    FINITE = "finite"
    INFINITE = "infinite"
    NAN = "nan"


@dataclass(frozen=True, slots=True)
class Number:
    """One decoded pattern: ``(-1)**sign * significand * 2**exponent`` if finite.

    Parameters
    ----------
    kind : Kind
        Finite (zero included), infinite or NaN.
    sign : int
        0 or 1.
    significand : int
        Unsigned integer; 0 for zero and for specials.
    exponent : int
        Exponent of the significand's lowest bit.
    """

    kind: Kind
    sign: int = 0
    significand: int = 0
    exponent: int = 0

    @property
    def fraction(self) -> Fraction:
        """The value as an exact rational; raises ValueError for specials."""
        if self.kind is not Kind.FINITE:
            raise ValueError(f"a {self.kind.value} has no rational value")
        magnitude = self.significand * Fraction(2) ** self.exponent
        return -magnitude if self.sign else magnitude


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoded number: the pattern and the exceptions that encoding raised."""

    bits: int
    invalid: bool = False
    overflow: bool = False
    inexact: bool = False


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Decoded patterns as arrays of one common shape.

    Finite elements are ``(-1)**sign * significand * 2**exponent``; the significand is 0 for zeros
    and for specials.
    """

    nan: np.ndarray  # bool
    inf: np.ndarray  # bool
    sign: np.ndarray  # bool
    significand: np.ndarray  # uint64
    exponent: np.ndarray  # int64


@dataclass(frozen=True, slots=True)
class Packed:
    """Encoded numbers as arrays of one common shape."""

    bits: np.ndarray  # Format.dtype
    overflow: np.ndarray  # bool
    inexact: np.ndarray  # bool


def pattern_dtype(width: int) -> np.dtype:
    """Return the narrowest unsigned NumPy dtype that holds a pattern of ``width`` bits."""
    for bits in (8, 16, 32, 64):
        if width <= bits:
            return np.dtype(f"uint{bits}")
    raise ValueError(f"no NumPy integer holds {width} bits")


class Format(abc.ABC):
    """A number format. Subclasses are frozen dataclasses: equal parameters are equal formats.

    Attributes
    ----------
    name : str
        Canonical name, as a user may type it.
    width : int
        Bits of a pattern, 1 to 64.
    signed, has_inf, has_nan : bool
        Whether negative numbers, infinities and NaN exist.
    precision : int
        Bits of the widest significand.
    min_exponent : int
        Exponent of the format's quantum: every finite value is an integer times
        ``2**min_exponent``.
    max_finite : Fraction
        Largest finite magnitude (of either sign).
    """

    @property
    @abc.abstractmethod
    def name(self) -> str: ...

    @property
    @abc.abstractmethod
    def width(self) -> int: ...

    @property
    @abc.abstractmethod
    def signed(self) -> bool: ...

    @property
    @abc.abstractmethod
    def has_inf(self) -> bool: ...

    @property
    @abc.abstractmethod
    def has_nan(self) -> bool: ...

    @property
    @abc.abstractmethod
    def precision(self) -> int: ...

    @property
    @abc.abstractmethod
    def min_exponent(self) -> int: ...

    @property
    @abc.abstractmethod
    def max_finite(self) -> Fraction: ...

    @property
    def is_result_format(self) -> bool:
        """Whether a single number can be rounded to the format."""
        return True

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype of an array of patterns."""
        return pattern_dtype(self.width)

    @abc.abstractmethod
    def decode(self, bits: int) -> Number:
        """Decode one pattern exactly. Raises FormatError if it is not ``width`` bits wide."""

    @abc.abstractmethod
    def encode(self, value: Number | Fraction | int | float) -> Encoding:
        """Round one number to the format, once, ties to even (exact route).

        A result beyond the format becomes what arithmetic.md section 1 says. Infinity in a format
        without one becomes what an overflow becomes. NaN in a format without one becomes the zero
        pattern; ``invalid`` is set for every NaN.
        """

    @abc.abstractmethod
    def unpack(self, bits: np.ndarray) -> Unpacked:
        """Decode an array of patterns (array route)."""

    @abc.abstractmethod
    def pack(
        self,
        sign: np.ndarray,
        significand: np.ndarray,
        exponent: np.ndarray,
        sticky: np.ndarray | None = None,
    ) -> Packed:
        """Round finite numbers to the format, once, ties to even (array route).

        Parameters
        ----------
        sign : array of bool
        significand : array of uint64
        exponent : array of int64
            The number is ``(-1)**sign * (significand + d) * 2**exponent``.
        sticky : array of bool, optional
            Where set, 0 < d < 1 (bits were dropped below the significand), and bit 63 or bit 62 of
            ``significand`` is then 1; elsewhere d = 0.
        """

    @abc.abstractmethod
    def infinity_bits(self, negative: bool) -> int:
        """Return the pattern that an infinite result becomes (see :meth:`encode`)."""

    @property
    @abc.abstractmethod
    def nan_bits(self) -> int:
        """The pattern of the NaN that hwgen produces; 0 where the format has none."""

    @abc.abstractmethod
    def from_float(self, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
        """Round float64 values to patterns. Raises FormatError for NaN in a format without one.

        ``axis`` is the one that blocks extend along, which matters to block-scaled formats only.
        """

    @abc.abstractmethod
    def to_float(self, bits: np.ndarray) -> np.ndarray:
        """Return patterns as float64, exact where the precision is at most 53 bits."""
