"""Random operands as bit patterns: mostly ordinary numbers, and the corners of the format."""

from __future__ import annotations

import numpy as np

from hwgen.formats import Format
from hwgen.formats.base import Kind
from hwgen.formats.fixed import FixedPoint

__all__ = ["corner_patterns", "random_patterns"]

CORNER_SHARE = 1 / 16


def corner_patterns(fmt: Format, *, specials: bool) -> np.ndarray:
    """Return the patterns where formats go wrong: zeros, the smallest and the largest numbers.

    The neighbours of every place where the exponent field or the sign changes from end to end are
    among them: subnormals, the least normal number, the largest finite one.

    Parameters
    ----------
    fmt : Format
    specials : bool
        Also infinities and NaN, where the format has them.
    """
    top = 1 << (fmt.width - 1)
    precision = max(fmt.precision - 1, 0)
    places = {0, 1, 2, (1 << precision) - 1, 1 << precision, (1 << precision) + 1, top - 1, top - 2}
    for special in (fmt.infinity_bits(negative=False), fmt.nan_bits):
        places |= {special - 1, special, special + 1}
    low = {place % top for place in places}
    both = sorted(low | {place | top for place in low})
    chosen = [bits for bits in both if specials or fmt.decode(bits).kind is Kind.FINITE]
    return np.array(chosen, dtype=fmt.dtype)


def random_patterns(
    fmt: Format, shape: tuple[int, ...], rng: np.random.Generator, *, specials: bool = False
) -> np.ndarray:
    """Draw patterns: ordinary numbers, one in sixteen a corner of the format.

    Ordinary numbers are normal with standard deviation 1, in fixed point a third of the range.

    Parameters
    ----------
    fmt : Format
    shape : tuple of int
    rng : numpy.random.Generator
    specials : bool
        Also infinities and NaN, where the format has them.

    Returns
    -------
    array of ``fmt.dtype``
    """
    whole_range = isinstance(fmt, FixedPoint)
    spread = float(fmt.max_finite) / 3 if whole_range else min(1.0, float(fmt.max_finite) / 4)
    values = rng.standard_normal(shape) * spread
    if not fmt.signed:
        values = np.abs(values)
    ordinary = fmt.from_float(values)
    corners = rng.choice(corner_patterns(fmt, specials=specials), size=shape)
    return np.where(rng.random(shape) < CORNER_SHARE, corners, ordinary)
