"""From finished registers to result patterns and status."""

from __future__ import annotations

import numpy as np

from hwgen.formats import Format, pattern_dtype
from hwgen.formats.fixed import FixedPoint
from hwgen.model import limbs
from hwgen.model.accumulator import Sums
from hwgen.model.operands import Specials
from hwgen.spec.accumulator import Overflow, Window
from hwgen.spec.datapath import Datapath

__all__ = ["INEXACT", "INVALID", "OVERFLOW", "empty_result", "finish"]

INVALID = 1
OVERFLOW = 2
INEXACT = 4


def empty_result(rows: int, cols: int, datapath: Datapath) -> tuple[np.ndarray, np.ndarray]:
    """Return zeroed arrays for the patterns and the status of a (rows, cols) result."""
    status = np.zeros((rows, cols), dtype=np.uint8)
    if datapath.out is not None:
        return np.zeros((rows, cols), dtype=datapath.out.dtype), status
    width = datapath.window.width
    if width <= 64:
        return np.zeros((rows, cols), dtype=pattern_dtype(width)), status
    return np.zeros((rows, cols, -(-width // 64)), dtype=np.uint64), status


def finish(sums: Sums, specials: Specials, datapath: Datapath) -> tuple[np.ndarray, np.ndarray]:
    """Round registers to the output format and form the status.

    Returns
    -------
    bits : array
        As :func:`hwgen.model.gemm.gemm_bits` returns it.
    status : (m, n) array of uint8
    """
    nan = specials.nan | (specials.plus_inf & specials.minus_inf)
    if datapath.window.overflow is Overflow.NAN:
        nan = nan | sums.event
    inf = (specials.plus_inf | specials.minus_inf) & ~nan
    invalid, overflow, inexact = nan, sums.event, sums.dropped
    if datapath.out is None:
        invalid = nan | inf
        bits = _raw(sums.words, datapath.window).reshape((*nan.shape, -1))
        bits[invalid] = 0
        if datapath.window.width <= 64:
            bits = bits[..., 0].astype(pattern_dtype(datapath.window.width))
    else:
        out = datapath.out
        rounded, beyond, lost = _round(sums.words, datapath.window, out)
        finite = ~(nan | inf)
        beyond = np.where(finite, beyond.reshape(nan.shape), inf & (not out.has_inf))
        infinite = [out.dtype.type(out.infinity_bits(sign)) for sign in (False, True)]
        bits = np.where(finite, rounded.reshape(nan.shape), out.dtype.type(out.nan_bits))
        bits = np.where(inf, np.where(specials.minus_inf, infinite[1], infinite[0]), bits)
        overflow = overflow | beyond
        inexact = inexact | beyond | (finite & lost.reshape(nan.shape))
        invalid = invalid | (beyond & out.unpack(bits).nan)
    status = INVALID * invalid + OVERFLOW * overflow + INEXACT * inexact
    return bits, status.astype(np.uint8)


def _raw(words: np.ndarray, window: Window) -> np.ndarray:
    """Return (n, ceil(W/64)) uint64: the W low bits of normalised signed words."""
    count = -(-window.width // 64)
    low = words.view(np.uint64) & np.uint64(0xFFFF_FFFF)
    if len(low) < 2 * count:
        fill = (words[-1:] >> 63).view(np.uint64) & np.uint64(0xFFFF_FFFF)
        low = np.concatenate([low, np.repeat(fill, 2 * count - len(low), axis=0)])
    pairs = low[0 : 2 * count : 2] | (low[1 : 2 * count : 2] << np.uint64(limbs.WORD))
    pairs[-1] &= np.uint64((1 << (window.width - 64 * (count - 1))) - 1)
    return np.ascontiguousarray(pairs.T)


def _round(
    words: np.ndarray, window: Window, out: Format
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Round normalised signed words to a format: patterns, overflow and inexact, of shape (n,)."""
    negative, size = limbs.magnitude(words)
    lsb = window.lsb
    lost = np.zeros(negative.shape, dtype=np.bool_)
    if isinstance(out, FixedPoint) and out.width > 62 and out.min_exponent > lsb:
        # 64 bits and a sticky bit do not settle the rounding where the format's lowest bit is the
        # lowest of those 64; so round to its place first, which leaves nothing for a second time.
        size, lost = limbs.round_at(size, out.min_exponent - lsb)
        lsb = out.min_exponent
    significand, position, sticky = limbs.top_bits(size)
    packed = out.pack(negative, significand, position + lsb, sticky)
    return packed.bits, packed.overflow, packed.inexact | lost
