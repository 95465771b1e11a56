"""How numbers are written for a reader; None is "not measured", never 0."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context

__all__ = [
    "NOT_MEASURED",
    "drawable",
    "finite",
    "number",
    "power",
    "ratio",
    "ratio_text",
    "share",
    "signed",
]

NOT_MEASURED = "not measured"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_HUGE = 1e250  # an axis also needs room around its numbers
# Ties away from zero, as browsers round.
_THREE_DIGITS = Context(prec=3, rounding=ROUND_HALF_UP)
_MINUS = "\N{MINUS SIGN}"


def finite(value: float | None) -> float | None:
    """Return a number that can be drawn or divided, else None."""
    if value is None:
        return None
    try:
        converted = float(value)
    except OverflowError:  # an integer beyond float64
        return None
    return converted if math.isfinite(converted) else None


def drawable(value: float | None) -> float | None:
    """Return a number that an axis can show: None if it is huge, 0 if it is next to that."""
    known = finite(value)
    if known is None or abs(known) > _HUGE:
        return None
    return 0.0 if abs(known) < 1 / _HUGE else known


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with a few digits, very small or large ones with a power of ten.

    A power of ten itself, as tolerances are, is written without a factor.
    """
    if value is None:
        return NOT_MEASURED
    if finite(value) is None:
        return "not a number" if value != value else "beyond all bounds"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 < exponent < 6:
        places = max(0, digits - 1 - exponent)
        return f"{value:,.{places}f}".replace("-", _MINUS)
    factor, tens = f"{value:.{digits - 1}e}".split("e")
    if value == 10.0 ** int(tens):
        return power(10, int(tens))
    return f"{factor}×{power(10, int(tens))}".replace("-", _MINUS)


def power(base: int, exponent: int) -> str:
    """Write a power, as in 2⁻³⁰."""
    return f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def ratio(value: float | None, reference: float | None) -> float | None:
    """Return how many times the reference a value is; None unless both are known."""
    top, bottom = finite(value), finite(reference)
    if top is None or not bottom:
        return None
    return finite(top / bottom)


def ratio_text(value: float) -> str:
    """Write a ratio, as in 0.31×; the page's program writes it alike."""
    if value < 0.001:
        return "under 0.001×"
    if value >= 1e5:
        return "over 100000×"
    return f"{float(_THREE_DIGITS.create_decimal(value)):g}×"


def share(part: int, whole: int) -> str:
    """Write a part of a whole in per cent; a part that is there is never written as 0 %."""
    if part == 0:
        return "none"
    if part == whole:
        return "all"
    percent = 100 * part / whole
    if percent < 0.01:
        return "less than 0.01 %"
    return f"{min(percent, 99.99):.2g} %" if percent < 1 else f"{min(percent, 99.9):.3g} %"


def signed(value: int) -> str:
    """Write an integer with a true minus sign."""
    return str(value).replace("-", _MINUS)
