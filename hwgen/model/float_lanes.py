"""Floating-point sums in float64 lanes, for products that float64 holds exactly.

A step adds an exact product to a sum of precision p <= 51 that float64 also holds. The sum of the
two is rounded to odd in float64, and then to the format: with at least two bits more than the
format has, and a last bit that tells whether anything is below it, the second rounding gives what
one rounding of the exact sum would. For fp64 itself float64's own addition is that one rounding.

References
----------
S. Boldo and G. Melquiond, *Emulation of FMA and Correctly Rounded Sums: Proved Algorithms Using
Rounding to Odd*, IEEE Transactions on Computers 57(4), 2008. D. Knuth, *The Art of Computer
Programming*, volume 2, section 4.2.2 (the error of a floating-point sum).
"""

from __future__ import annotations

import numpy as np

from hwgen.formats.ieee import Float
from hwgen.model.operands import Operand
from hwgen.spec.accumulator import FloatSum

__all__ = ["lanes_are_exact", "sum_in_lanes"]

_FP64 = Float(exponent_bits=11, fraction_bits=52)
_FP32 = Float(exponent_bits=8, fraction_bits=23)
_MAX_EXPONENT_BITS = 10  # sums stay far from float64's own ends
_MAX_PRECISION = 51  # two bits fewer than float64
_LOWEST, _HIGHEST = -1074, 1000  # weights that products may have in float64, without overflow


def lanes_are_exact(a: Operand, b: Operand, fmt: Float) -> bool:
    """Whether :func:`sum_in_lanes` serves these operands and this format of the sum."""
    narrow = fmt.exponent_bits <= _MAX_EXPONENT_BITS and fmt.precision <= _MAX_PRECISION
    if not (narrow or fmt == _FP64):
        return False
    lowest = min(a.lowest, b.lowest, a.lowest + b.lowest)
    highest = max(a.highest, b.highest, a.highest + b.highest)
    return a.bits + b.bits <= 53 and lowest >= _LOWEST and highest <= _HIGHEST


def sum_in_lanes(
    a: Operand, b: Operand, unit: FloatSum
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the products of (m, k) and (k, n) operands.

    Returns
    -------
    total : (m, n) array of float64
        Values of the sum's format.
    overflow, inexact : (m, n) arrays of bool
    """
    columns, lines = np.ascontiguousarray(_values(a).T), _values(b)
    shape = (columns.shape[1], lines.shape[1])
    lanes = [np.zeros(shape) for _ in range(unit.lanes)]
    adder = _Adder(shape, unit.format)
    product = np.empty(shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for k, (column, line) in enumerate(zip(columns, lines, strict=True)):
            np.multiply.outer(column, line, out=product)
            if not unit.fused:
                adder.round(product)
            adder.add(lanes[k % unit.lanes], product)
        for lane in lanes[1:]:
            adder.add(lanes[0], lane)
    return lanes[0], adder.overflow, adder.inexact


def _values(operand: Operand) -> np.ndarray:
    """Return the operand in float64, zeros with their signs."""
    values = operand.scaled_float(0)
    sign = np.where(operand.negative, -1.0, 1.0)
    values = np.where(operand.inf, np.copysign(np.inf, sign), values)
    return np.where(operand.nan, np.nan, values)


class _Adder:
    """Adds and rounds lanes in place, and keeps the flags."""

    def __init__(self, shape: tuple[int, int], fmt: Float) -> None:
        self.overflow = np.zeros(shape, dtype=np.bool_)
        self.inexact = np.zeros(shape, dtype=np.bool_)
        self._format = fmt
        self._max_finite = float(fmt.max_finite)
        self._is_fp64 = fmt == _FP64
        self._float32 = np.empty(shape, dtype=np.float32) if fmt == _FP32 else None
        self._sum, self._error, self._part = (np.empty(shape) for _ in range(3))
        self._delta = np.empty(shape, dtype=np.int64)
        self._flag, self._lost = (np.empty(shape, dtype=np.bool_) for _ in range(2))

    def add(self, lane: np.ndarray, summand: np.ndarray) -> None:
        """Replace ``lane`` by the rounded ``lane + summand``."""
        total, error, part = self._sum, self._error, self._part
        np.add(lane, summand, out=total)
        # The error of the sum, exact whatever the order of the two; NaN beside infinities.
        np.subtract(total, lane, out=part)
        np.subtract(summand, part, out=error)
        np.subtract(total, part, out=part)
        np.subtract(lane, part, out=part)
        error += part
        if self._is_fp64:
            self._flag_fp64(lane, summand)
        else:
            self._round_to_odd()
            self.round(total)
        lane[...] = total

    def _flag_fp64(self, lane: np.ndarray, summand: np.ndarray) -> None:
        flag, lost = self._flag, self._lost
        np.isinf(self._sum, out=flag)
        flag &= np.isfinite(lane)
        flag &= np.isfinite(summand)
        self.overflow |= flag
        self.inexact |= flag
        np.abs(self._error, out=self._error)
        np.greater(self._error, 0, out=lost)
        self.inexact |= lost

    def _round_to_odd(self) -> None:
        """Move an inexact sum with an even last bit towards the exact one."""
        pattern, delta = self._sum.view(np.int64), self._delta
        np.bitwise_xor(pattern, self._error.view(np.int64), out=delta)
        delta >>= 63
        delta |= 1  # away from zero where sum and error agree in sign, else towards it
        np.abs(self._error, out=self._error)
        np.greater(self._error, 0, out=self._flag)
        delta *= self._flag
        # An even pattern plus 1 or minus 1 is odd; an odd one stays.
        even = self._part.view(np.int64)
        np.bitwise_and(pattern, 1, out=even)
        even ^= 1
        delta *= even
        pattern += delta

    def round(self, values: np.ndarray) -> None:
        """Round float64 values to the format in place, ties to even."""
        if self._is_fp64:
            return
        rounded = self._part
        if self._float32 is not None:
            self._float32[...] = values
            rounded[...] = self._float32
        else:
            self._round_to_format(values, rounded)
        flag, lost = self._flag, self._lost
        np.not_equal(rounded, values, out=lost)
        np.equal(values, values, out=flag)
        lost &= flag  # NaN differs from itself
        self.inexact |= lost
        np.isinf(rounded, out=flag)
        flag &= lost
        self.overflow |= flag
        values[...] = rounded

    def _round_to_format(self, values: np.ndarray, rounded: np.ndarray) -> None:
        fmt = self._format
        drop = 52 - fmt.fraction_bits
        pattern, result = values.view(np.int64), rounded.view(np.int64)
        # Half a unit in the last place, less one where the kept part is even, carries upwards.
        np.right_shift(pattern, drop, out=result)
        result &= 1
        result += pattern
        result += (1 << (drop - 1)) - 1
        result &= -1 << drop
        small = np.abs(values) < 2.0 ** (1 - fmt.bias)
        if small.any():
            # float64's numbers around this one are as far apart as the format's subnormals.
            shift = 1.5 * 2.0 ** (52 + fmt.min_exponent)
            np.copyto(rounded, np.copysign((values + shift) - shift, values), where=small)
        large = np.abs(rounded) > self._max_finite
        if large.any():
            np.copyto(rounded, np.copysign(np.inf, values), where=large)
