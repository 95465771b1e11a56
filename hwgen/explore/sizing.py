"""The smallest window for given data: no overflow, and an error within a proven bound.

For a window of lowest weight ``u = 2**lsb`` and K products, each a multiple of ``q = 2**lowest``:

* Rounding a product to the window moves it by at most ``d``: 0 if ``q >= u``; ``u / 2`` for
  ``round=even``; else ``u - q``, as the bits dropped are a multiple of q below u.
* So the register holds the sum of products to within ``K * d``. Truncation toward zero moves no
  product by more than its own size, hence also to within the sum of magnitudes.
* The final rounding adds at most half a unit in the last place of the result, or nothing where
  results are multiples of u or q that the format holds.

All of it is exact rational arithmetic; nothing is estimated. N. J. Higham, *Accuracy and Stability
of Numerical Algorithms*, chapter 4, has the like for floating-point sums, whose errors grow with
the sums; here they do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hwgen.errors import SpecError
from hwgen.formats import BlockScaled, Format
from hwgen.formats.exact import floor_log2
from hwgen.model.operands import Operand, magnitude_bounds
from hwgen.spec.accumulator import Overflow, Rounding, Window

__all__ = ["Ranges", "Sizing", "error_bound", "magnitude_text", "size_window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """What is known of the data of a matrix product, after rounding to the operand formats.

    Parameters
    ----------
    terms : int
        The largest K.
    product : Fraction
        No magnitude of a product is larger.
    total : Fraction
        No sum of the magnitudes of the K products of one element is larger.
    lowest : int
        Every product is a multiple of ``2**lowest``.

    Raises
    ------
    SpecError
        If a number is negative, or ``terms`` is not positive.
    """

    terms: int
    product: Fraction
    total: Fraction
    lowest: int

    def __post_init__(self) -> None:
        if self.terms < 1:
            raise SpecError(f"a product has {self.terms} terms; it must be 1 or more")
        if self.product < 0 or self.total < 0:
            raise SpecError("magnitudes are bounded by a negative number; it must be 0 or more")

    @classmethod
    def declared(
        cls,
        a: Format,
        b: Format,
        *,
        terms: int,
        a_max: Fraction | float | None = None,
        b_max: Fraction | float | None = None,
    ) -> Ranges:
        """Return the ranges of all data up to declared magnitudes, by default the formats'.

        Raises
        ------
        SpecError
            If a magnitude is negative, or rounds to no finite number of its format.
        """
        largest = [
            _largest_number(fmt, name, limit)
            for name, fmt, limit in (("a", a, a_max), ("b", b, b_max))
        ]
        product = largest[0] * largest[1]
        return cls(
            terms=terms,
            product=product,
            total=terms * product,
            lowest=a.min_exponent + b.min_exponent,
        )

    @classmethod
    def observed(
        cls, a_bits: np.ndarray, b_bits: np.ndarray, a: Format, b: Format, *, margin: float = 1.0
    ) -> Ranges:
        """Return the ranges of two matrices of patterns, their magnitudes times a margin.

        Parameters
        ----------
        a_bits : (m, k) array of patterns of ``a``
        b_bits : (k, n) array of patterns of ``b``
        margin : float, optional
            1 or more: how much larger other data may be. With 1 the quantum is that of the data,
            else that of the formats.
        """
        if not margin >= 1:
            raise SpecError(f"margin is {margin:g}; it must be 1 or more")
        left, right = Operand.unpack(a_bits, a), Operand.unpack(b_bits, b)
        terms = max(1, a_bits.shape[1])
        lowest = a.min_exponent + b.min_exponent
        if left.empty or right.empty:
            return cls(terms=terms, product=Fraction(0), total=Fraction(0), lowest=lowest)
        bounds = magnitude_bounds(left, right)
        if margin == 1:
            lowest = left.lowest + right.lowest
        scale = Fraction(margin)
        return cls(
            terms=terms,
            product=bounds.product * scale,
            total=bounds.total * scale,
            lowest=lowest,
        )

    def merge(self, other: Ranges) -> Ranges:
        """Return ranges that hold for the data of both."""
        return Ranges(
            terms=max(self.terms, other.terms),
            product=max(self.product, other.product),
            total=max(self.total, other.total),
            lowest=min(self.lowest, other.lowest),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A window that is wide enough, and what it is known to keep to.

    Parameters
    ----------
    window : Window
    bound : Fraction
        No result is further from the exact sum of the operands' products.
    """

    window: Window
    bound: Fraction


def error_bound(window: Window, ranges: Ranges, out: Format | None = None) -> Fraction:
    """Return a bound of ``|C - A B|`` for all data within the ranges.

    ``A B`` is the exact product of the operands as the array gets them, and C its result in ``out``
    (None: the register itself). It holds where no range event occurs, as in windows of
    :func:`size_window`.

    Raises
    ------
    SpecError
        If a result may lie beyond ``out``.
    """
    error = ranges.terms * _summand_error(window, ranges)
    if window.rounding is Rounding.ZERO:
        error = min(error, ranges.total)
    if out is None:
        return error
    return error + _final_rounding(out, ranges.total + error, max(window.lsb, ranges.lowest))


def size_window(
    ranges: Ranges,
    tolerance: Fraction | float | None = None,
    *,
    rounding: Rounding = Rounding.ZERO,
    overflow: Overflow = Overflow.NAN,
    out: Format | None = None,
) -> Sizing:
    """Return the narrowest window without range events whose error stays within a tolerance.

    Parameters
    ----------
    ranges : Ranges
    tolerance : Fraction or float, optional
        Of ``|C - A B|``; by default nothing is dropped before the final rounding.
    rounding : Rounding
        Not stochastic, whose seed and bits are no question of size.
    overflow : Overflow
        Written into the window; no event occurs.
    out : Format, optional
        Result format, whose rounding counts; by default the register itself.

    Raises
    ------
    SpecError
        If the tolerance is negative, the final rounding alone exceeds it, or a result may lie
        beyond ``out``.
    """
    msb = ranges.lowest if ranges.product == 0 else floor_log2(ranges.product)
    widest = _window(min(ranges.lowest, msb), msb, ranges, rounding, overflow)
    if tolerance is None:
        return Sizing(window=widest, bound=error_bound(widest, ranges, out))
    limit = Fraction(tolerance)
    if limit < 0:
        raise SpecError(f"tolerance is {magnitude_text(limit)}; it must be 0 (exact) or more")
    least = error_bound(widest, ranges, out)
    if least > limit:
        raise SpecError(
            f"tolerance is {magnitude_text(limit)} but rounding to"
            f" out={out.name if out else 'raw'} alone takes up to {magnitude_text(least)};"
            " allow more, or choose a wider result format"
        )
    # The bound grows with lsb: where the final rounding has nothing left to do, the products'
    # rounding has taken as much already. So the highest lsb is found by bisection.
    low, high = widest.lsb, msb
    while low < high:
        middle = (low + high + 1) // 2
        candidate = replace(widest, lsb=middle)
        if error_bound(candidate, ranges, out) <= limit:
            low = middle
        else:
            high = middle - 1
    window = _window(low, msb, ranges, rounding, overflow)
    return Sizing(window=window, bound=error_bound(window, ranges, out))


def magnitude_text(value: Fraction | float) -> str:
    """Write a magnitude with six digits, or as a power of two where float64 cannot hold it."""
    if value and not -1000 < floor_log2(Fraction(value)) < 1000:
        return f"2**{floor_log2(Fraction(value))}"
    return f"{float(value):.6g}"


def _window(lsb: int, msb: int, ranges: Ranges, rounding: Rounding, overflow: Overflow) -> Window:
    """The window of given places, with the fewest overflow bits that hold every partial sum."""
    window = Window(msb=msb, lsb=lsb, ovf=1, rounding=rounding, overflow=overflow)
    largest = ranges.total
    if rounding is not Rounding.ZERO:  # a product may be rounded up
        largest += ranges.terms * _summand_error(window, ranges)
    units = -(-largest // Fraction(2) ** lsb)
    # units <= 2**(W - 1) - 1, with W - 1 = ovf + msb - lsb
    least = 0 if msb > lsb else 1  # a register has two bits or more
    return replace(window, ovf=max(least, int(units).bit_length() - (msb - lsb)))


def _summand_error(window: Window, ranges: Ranges) -> Fraction:
    """How far rounding moves a product at most."""
    if ranges.lowest >= window.lsb:
        return Fraction(0)
    unit = Fraction(2) ** window.lsb
    if window.rounding is Rounding.EVEN:
        return unit / 2
    return unit - Fraction(2) ** ranges.lowest


def _final_rounding(out: Format, magnitude: Fraction, lowest: int) -> Fraction:
    """Half a unit in the last place of numbers of ``out`` up to a magnitude.

    0 where these hold every multiple of ``2**lowest``, as which registers come.
    """
    if magnitude > out.max_finite:
        raise SpecError(
            f"a result may be as large as {magnitude_text(magnitude)}, beyond out={out.name}"
            f" (at most {magnitude_text(out.max_finite)}); declare smaller ranges, or choose a"
            " wider result format"
        )
    quantum = Fraction(2) ** out.min_exponent
    if magnitude == 0:
        return Fraction(0)
    unit = Fraction(2) ** (floor_log2(magnitude) - out.precision + 1)
    last = max(unit, quantum)
    return Fraction(0) if Fraction(2) ** lowest >= last else last / 2


def _largest_number(fmt: Format, name: str, limit: Fraction | float | None) -> Fraction:
    """The largest magnitude that numbers up to a limit have in a format."""
    if limit is None:
        return fmt.max_finite
    if not limit >= 0 or limit == float("inf"):
        raise SpecError(f"the largest magnitude of {name} is {limit!r}; it must be 0 or more")
    if limit > fmt.max_finite:
        raise SpecError(
            f"the largest magnitude of {name} is {magnitude_text(limit)}, beyond {fmt.name}"
            f" (at most {magnitude_text(fmt.max_finite)}); declare less, or choose another format"
        )
    if isinstance(fmt, BlockScaled):
        # An element may be rounded up to twice its size, where its block's scale is at its least.
        return min(2 * Fraction(limit), fmt.max_finite)
    signs = (1, -1) if fmt.signed else (1,)
    encodings = [fmt.encode(sign * Fraction(limit)) for sign in signs]
    return max(abs(fmt.decode(encoding.bits).fraction) for encoding in encodings)
