"""Helpers of the array route: checked conversions to NumPy arrays and vectorised rounding.

Everything here works on whole arrays of uint64, int64 and bool, never on Python objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.errors import FormatError
from hwgen.formats.base import Format

__all__ = [
    "FinitePart",
    "Operands",
    "as_float64",
    "as_patterns",
    "count_leading_zeros",
    "refuse_nan",
    "round_right_shift",
    "split_float64",
]

EXPONENT_BOUND = 1 << 20  # far beyond every format, far from the ends of int64
EXACT_INTEGERS = 1 << 53  # every integer up to this magnitude is a float64


@dataclass(frozen=True, slots=True)
class Operands:
    """The arguments of :meth:`Format.pack`, checked and brought to one shape.

    The arrays have at least one dimension (NumPy's zero-dimensional results decay to scalars, which
    warn where arrays wrap); ``shape`` is the shape to give the result. Exponents are clipped to
    +-``EXPONENT_BOUND``, which changes no result and keeps sums of exponents inside int64.
    """

    sign: np.ndarray
    significand: np.ndarray
    exponent: np.ndarray
    sticky: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(
        cls,
        sign: np.ndarray,
        significand: np.ndarray,
        exponent: np.ndarray,
        *,
        sticky: np.ndarray | None,
    ) -> Operands:
        """Check and broadcast; raises ValueError for a negative significand."""
        exponent = np.asarray(exponent).astype(np.int64, casting="safe")
        arrays = np.broadcast_arrays(
            np.asarray(sign, dtype=np.bool_),
            _as_uint64(significand, "significand"),
            np.clip(exponent, -EXPONENT_BOUND, EXPONENT_BOUND),
            np.asarray(False if sticky is None else sticky, dtype=np.bool_),
        )
        return cls(*(np.atleast_1d(array) for array in arrays), shape=arrays[0].shape)


@dataclass(frozen=True, slots=True)
class FinitePart:
    """float64 values taken apart; the significand is 0 for zeros and specials."""

    nan: np.ndarray
    inf: np.ndarray
    sign: np.ndarray
    significand: np.ndarray
    exponent: np.ndarray


def _as_uint64(values: np.ndarray, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0 and array.dtype.kind == "f":  # np.asarray([]) is float64
        array = array.astype(np.uint64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"a {what} must be an unsigned integer array, got dtype {array.dtype}")
    if array.dtype.kind == "i" and array.size and int(array.min()) < 0:
        raise ValueError(f"a {what} is negative ({int(array.min())}); it must be unsigned")
    return array.astype(np.uint64)


def as_patterns(bits: np.ndarray, fmt: Format) -> np.ndarray:
    """Return patterns as uint64; raises FormatError unless each is a pattern of the format."""
    try:
        patterns = _as_uint64(bits, f"pattern of {fmt.name}")
    except ValueError as error:
        raise FormatError(str(error)) from None
    if fmt.width < 64 and patterns.size:
        largest = int(patterns.max())
        if largest >> fmt.width:
            raise FormatError(
                f"pattern {largest:#x} does not fit {fmt.name};"
                f" allowed is 0 to {(1 << fmt.width) - 1:#x}"
            )
    return patterns


def as_float64(values: np.ndarray, fmt: Format) -> np.ndarray:
    """Return real values as float64; raises FormatError where that would round or make no sense."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise FormatError(
            f"cannot convert an array of dtype {array.dtype} to {fmt.name};"
            " give float64 or a narrower real dtype"
        )
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        extremes = (int(array.min()), int(array.max()))
        widest = max(extremes, key=abs)
        if abs(widest) > EXACT_INTEGERS:
            raise FormatError(
                f"integer {widest} may not be exact in float64, through which values become"
                f" {fmt.name}; use pack for integers beyond 2**53"
            )
    return array.astype(np.float64)


def split_float64(values: np.ndarray) -> FinitePart:
    """Take float64 values apart without rounding."""
    pattern = np.ascontiguousarray(values).view(np.uint64).reshape(values.shape)
    field = (pattern >> np.uint64(52)) & np.uint64(0x7FF)
    fraction = pattern & np.uint64((1 << 52) - 1)
    special = field == 0x7FF
    hidden = np.where(field == 0, np.uint64(0), np.uint64(1 << 52))
    return FinitePart(
        nan=special & (fraction != 0),
        inf=special & (fraction == 0),
        sign=(pattern >> np.uint64(63)) != 0,
        significand=np.where(special, np.uint64(0), hidden | fraction),
        exponent=np.maximum(field.astype(np.int64), 1) - 1075,
    )


def count_leading_zeros(values: np.ndarray) -> np.ndarray:
    """Return how many zero bits stand above the leading one of uint64 values (64 for 0)."""
    # Clearing the bit below the leading one stops the conversion from rounding up to the next power
    # of two, so that frexp sees the right exponent; it is 0 for 0.
    safe = values & ~(values >> np.uint64(1))
    _, length = np.frexp(safe.astype(np.float64))
    return 64 - length.astype(np.int64)


def round_right_shift(
    values: np.ndarray, distance: np.ndarray, *, sticky: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shift uint64 values right by ``distance`` >= 1, rounding to nearest, ties to even.

    Parameters
    ----------
    values : array of uint64
    distance : array of int64
        1 or more; beyond 64 everything is shifted out.
    sticky : array of bool
        Whether nonzero bits lie below ``values``.

    Returns
    -------
    rounded : array of uint64
    inexact : array of bool
    """
    one = np.uint64(1)
    # A shift by 64 is not defined in C; two shifts, by 1 and by at most 63, always are.
    below_guard = np.clip(distance - 1, 0, 63).astype(np.uint64)
    kept = (values >> one) >> below_guard
    vanished = distance > 64  # the leading bit lies below the guard bit
    guard = (((values >> below_guard) & one) != 0) & ~vanished
    rest = (values & ((one << below_guard) - one)) != 0
    rest |= sticky | (vanished & (values != 0))
    up = guard & (rest | ((kept & one) != 0))
    return kept + up.astype(np.uint64), guard | rest


def refuse_nan(nan: np.ndarray, name: str) -> None:
    """Raise FormatError if any value is NaN, for the format ``name`` that has none."""
    count = int(np.count_nonzero(nan))
    if count:
        raise FormatError(
            f"{count} of {nan.size} values are NaN, which {name} does not have;"
            " remove them or choose a format that has"
        )
