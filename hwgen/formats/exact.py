"""Helpers of the exact route: Python integers and fractions only."""

from __future__ import annotations

import math
from fractions import Fraction

from hwgen.errors import FormatError
from hwgen.formats.base import Format, Kind, Number

__all__ = ["check_pattern", "exact_parts", "floor_log2"]


def exact_parts(value: Number | Fraction | int | float) -> tuple[Kind, int, Fraction]:
    """Split a number into its kind, its sign and its magnitude (0 for specials)."""
    if isinstance(value, Number):
        finite = value.kind is Kind.FINITE
        return value.kind, value.sign, abs(value.fraction) if finite else Fraction(0)
    if isinstance(value, float):
        # The sign of a float zero counts, so it cannot come from a comparison with 0.
        sign = int(math.copysign(1.0, value) < 0)
        if math.isnan(value):
            return Kind.NAN, sign, Fraction(0)
        if math.isinf(value):
            return Kind.INFINITE, sign, Fraction(0)
        return Kind.FINITE, sign, abs(Fraction(value))
    if isinstance(value, int | Fraction):
        return Kind.FINITE, int(value < 0), abs(Fraction(value))
    raise FormatError(
        f"cannot encode {value!r} of type {type(value).__name__};"
        " give an int, a float, a Fraction or a Number"
    )


def floor_log2(magnitude: Fraction) -> int:
    """Return the largest e with ``2**e <= magnitude``, for a positive magnitude."""
    estimate = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return estimate if Fraction(2) ** estimate <= magnitude else estimate - 1


def check_pattern(bits: int, fmt: Format) -> None:
    """Raise FormatError unless ``bits`` is a pattern of the format's width."""
    if isinstance(bits, bool) or not isinstance(bits, int):
        raise FormatError(f"a pattern of {fmt.name} must be an int, got {bits!r}")
    if not 0 <= bits < 1 << fmt.width:
        raise FormatError(
            f"pattern {bits:#x} does not fit {fmt.name}; allowed is 0 to {(1 << fmt.width) - 1:#x}"
        )
