"""Floating-point sums over arrays: every step rounded, for any operands and any format of the sum.

Two ways to the same bits. Where products are exact in float64 and the format leaves room, a lane of
:mod:`hwgen.model.float_lanes` holds each sum as a float64 value. Everything else goes the general
way of this module: product and sum are aligned in a field of 32-bit words that is wide enough for
an exact sum, or for one whose far smaller summand matters to the rounding only by its sign. The
semantics are those of :mod:`hwgen.model.exact_float_sum`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.formats import Format
from hwgen.formats.arrays import count_leading_zeros
from hwgen.formats.ieee import Float
from hwgen.model import limbs
from hwgen.model.exact_float_sum import Direction
from hwgen.model.float_lanes import lanes_are_exact, sum_in_lanes
from hwgen.model.operands import Operand
from hwgen.model.rounding import INEXACT, INVALID, OVERFLOW, empty_result
from hwgen.spec.accumulator import FloatSum
from hwgen.spec.datapath import Datapath

__all__ = ["float_sum_gemm", "fused_multiply_add"]

_Pair = tuple[np.ndarray, np.ndarray]

# Elements of a tile, chosen so that the working arrays of one step stay in the second-level cache.
_LANE_SIDE = 128
_FIELD_SIDE = 64
# Weight of a zero's leading bit: far below every format, and sums stay within int64.
_NO_TOP = -(1 << 30)


@dataclass(frozen=True, slots=True)
class _Wide:
    """Numbers of up to 128 bits as flat arrays; zeros keep their sign."""

    nan: np.ndarray  # bool
    inf: np.ndarray  # bool
    negative: np.ndarray  # bool
    words: list[np.ndarray]  # uint64 values of 32 bits; 0 for specials
    exponent: np.ndarray  # int64: weight of the words' lowest bit
    top: np.ndarray  # int64: magnitudes are below 2**top and, zeros aside, at least 2**(top - 2)


@dataclass(frozen=True, slots=True)
class _Sum:
    """Patterns of the sum's format, and the flags of their rounding."""

    bits: np.ndarray  # uint64
    overflow: np.ndarray  # bool
    inexact: np.ndarray  # bool


def float_sum_gemm(a: Operand, b: Operand, datapath: Datapath) -> _Pair:
    """Multiply (m, k) by (k, n) operands on a datapath whose register is a float sum.

    Returns
    -------
    c_bits : (m, n) array of ``datapath.out.dtype``
    status : (m, n) array of uint8
    """
    unit = datapath.float_sum
    assert isinstance(unit, FloatSum)
    rows, cols = a.nan.shape[0], b.nan.shape[1]
    c_bits, status = empty_result(rows, cols, datapath)
    fast = lanes_are_exact(a, b, unit.format)
    side = _LANE_SIDE if fast else _FIELD_SIDE
    for top in range(0, rows, side):
        tall = slice(top, top + side)
        for left in range(0, cols, side):
            wide = slice(left, left + side)
            sums = (_sum_in_lanes if fast else _sum_in_fields)(a[tall], b[:, wide], unit)
            bits, raised = _result(sums, unit.format, datapath.out)
            shape = c_bits[tall, wide].shape
            c_bits[tall, wide], status[tall, wide] = bits.reshape(shape), raised.reshape(shape)
    return c_bits, status


def fused_multiply_add(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    c_bits: np.ndarray,
    fmt: Float,
    direction: Direction = Direction.TIES_TO_EVEN,
) -> _Pair:
    """Return ``a * b + c``, rounded once in any of IEEE 754's directions, all in one format.

    Parameters
    ----------
    a_bits, b_bits, c_bits : arrays of patterns, of one shape
    fmt : Float
        With IEEE specials.
    direction : Direction

    Returns
    -------
    bits : array of ``fmt.dtype``
    status : array of uint8
        Bit 0 invalid (the result is NaN), bit 1 overflow, bit 2 inexact.
    """
    shape = np.shape(c_bits)
    a, b = (Operand.unpack(np.ravel(bits), fmt) for bits in (a_bits, b_bits))
    product = _product(a, b, _split(a), _split(b))
    total = _add(product, _unpack(np.ravel(c_bits), fmt), fmt, direction)
    nan = fmt.unpack(total.bits).nan
    status = INVALID * nan + OVERFLOW * total.overflow + INEXACT * total.inexact
    return total.bits.astype(fmt.dtype).reshape(shape), status.astype(np.uint8).reshape(shape)


def _sum_in_lanes(a: Operand, b: Operand, unit: FloatSum) -> _Sum:
    total, overflow, inexact = sum_in_lanes(a, b, unit)
    return _Sum(unit.format.from_float(total).ravel(), overflow.ravel(), inexact.ravel())


def _sum_in_fields(a: Operand, b: Operand, unit: FloatSum) -> _Sum:
    fmt = unit.format
    rows, terms = a.nan.shape
    count = rows * b.nan.shape[1]
    lanes = [np.zeros(count, dtype=np.uint64)] * unit.lanes
    overflow, inexact = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    a_words, b_words = _split(a), _split(b)
    for k in range(terms):
        product = _product(
            a[:, k, np.newaxis],
            b[np.newaxis, k],
            a_words[:, :, k, np.newaxis],
            b_words[:, np.newaxis, k],
        )
        steps = []
        if not unit.fused:
            steps.append(_round_product(product, fmt))
            product = _unpack(steps[0].bits, fmt)
        steps.append(_add(_unpack(lanes[k % unit.lanes], fmt), product, fmt))
        lanes[k % unit.lanes] = steps[-1].bits
        for step in steps:
            overflow |= step.overflow
            inexact |= step.inexact
    total = lanes[0]
    for lane in lanes[1:]:
        step = _add(_unpack(total, fmt), _unpack(lane, fmt), fmt)
        total = step.bits
        overflow |= step.overflow
        inexact |= step.inexact
    return _Sum(total, overflow, inexact)


def _split(operand: Operand) -> np.ndarray:
    return limbs.split(operand.significand, 1 if operand.bits <= limbs.WORD else 2)


def _product(a: Operand, b: Operand, a_words: np.ndarray, b_words: np.ndarray) -> _Wide:
    """Multiply operands that broadcast against each other; the result is flat."""
    zero_a, zero_b = ((side.significand == 0) & ~side.nan & ~side.inf for side in (a, b))
    nan = a.nan | b.nan | (a.inf & zero_b) | (zero_a & b.inf)
    empty = (a.significand == 0) | (b.significand == 0)
    return _Wide(
        nan=nan.reshape(-1),
        inf=((a.inf | b.inf) & ~nan).reshape(-1),
        negative=(a.negative ^ b.negative).reshape(-1),
        words=[word.reshape(-1) for word in limbs.multiply(a_words, b_words)],
        exponent=np.where(empty, 0, a.exponent + b.exponent).reshape(-1),
        top=np.where(empty, _NO_TOP, a.top + b.top).reshape(-1),
    )


def _unpack(bits: np.ndarray, fmt: Float) -> _Wide:
    parts = fmt.unpack(bits)
    length = limbs.bit_length(parts.significand)
    return _Wide(
        nan=parts.nan,
        inf=parts.inf,
        negative=parts.sign,
        words=list(limbs.split(parts.significand, 2)),
        exponent=parts.exponent,
        top=np.where(length == 0, _NO_TOP, parts.exponent + length),
    )


def _add(x: _Wide, y: _Wide, fmt: Float, direction: Direction = Direction.TIES_TO_EVEN) -> _Sum:
    """Add two numbers, at most one of them longer than 64 bits, and round the sum once."""
    # The larger number's bound lies two bits below the field's top. A number that reaches below
    # the field is moved up to the field's bottom: it is then smaller than the lowest bit of the
    # other and far below the bits that are kept, so of it only the sign matters. Three words more
    # than the longer number make it so: 65 bits below the sum's leading bit, one binade below that
    # of the larger number, which lies up to two below its bound, are still above the longer number.
    words = max(len(x.words), len(y.words)) + 3
    base = np.maximum(x.top, y.top) - (limbs.WORD * words - 2)
    field = np.zeros((words, base.size), dtype=np.int64)
    for number in (x, y):
        _place(field, number, base)
    limbs.normalise(field)
    negative, size = limbs.magnitude(field)
    significand, position, sticky = limbs.top_bits(size)
    both = x.negative & y.negative
    zero_sign = both if direction is not Direction.DOWN else x.negative | y.negative
    negative = np.where(significand == 0, zero_sign, negative)
    total = _round(negative, significand, position + base, sticky, fmt, direction)
    nan = x.nan | y.nan | (x.inf & y.inf & (x.negative != y.negative))
    inf = x.inf | y.inf
    return _with_specials(total, nan, inf, np.where(x.inf, x.negative, y.negative), fmt)


def _place(field: np.ndarray, number: _Wide, base: np.ndarray) -> None:
    """Add a number to a field whose lowest bit weighs ``2**base``."""
    rows, count = field.shape
    position = np.clip(number.exponent - base, 0, limbs.WORD * rows - 1)
    sign = 1 - 2 * number.negative.astype(np.int64)
    row, elements = position >> 5, np.arange(count)
    flat = field.reshape(-1)
    shifted = limbs.shift_within_word(number.words, (position & 31).astype(np.uint64))
    for word in shifted:
        # Above the field there are only zeros, which may be added anywhere.
        flat[np.minimum(row, rows - 1) * count + elements] += word.view(np.int64) * sign
        row += 1


def _round_product(product: _Wide, fmt: Float) -> _Sum:
    significand, position, sticky = limbs.top_bits(np.stack(product.words))
    rounded = _round(
        product.negative,
        significand,
        position + product.exponent,
        sticky,
        fmt,
        Direction.TIES_TO_EVEN,
    )
    return _with_specials(rounded, product.nan, product.inf, product.negative, fmt)


def _with_specials(
    rounded: _Sum, nan: np.ndarray, inf: np.ndarray, negative: np.ndarray, fmt: Float
) -> _Sum:
    finite = ~(nan | inf)
    if finite.all():
        return rounded
    infinity = np.where(
        negative, np.uint64(fmt.infinity_bits(True)), np.uint64(fmt.infinity_bits(False))
    )
    special = np.where(nan, np.uint64(fmt.nan_bits), infinity)
    return _Sum(
        np.where(finite, rounded.bits, special), rounded.overflow & finite, rounded.inexact & finite
    )


def _round(
    negative: np.ndarray,
    significand: np.ndarray,
    exponent: np.ndarray,
    sticky: np.ndarray,
    fmt: Float,
    direction: Direction,
) -> _Sum:
    """Round numbers to an IEEE-like format in any direction; arguments as of ``Format.pack``."""
    one = np.uint64(1)
    zero = significand == 0
    zeros_above = np.where(zero, 0, count_leading_zeros(significand))
    normalised = significand << zeros_above.astype(np.uint64)
    binade = exponent - zeros_above + (63 - fmt.fraction_bits - fmt.min_exponent)
    dropped = 63 - fmt.fraction_bits - np.minimum(binade, 0)
    # A shift by 64 is not defined; where more than 64 bits go, the leading one is below the guard.
    below_guard = np.clip(dropped - 1, 0, 63).astype(np.uint64)
    vanished = dropped > 64
    kept = (normalised >> one) >> below_guard
    guard = ((normalised >> below_guard) & one != 0) & ~vanished
    rest = sticky | (normalised & ((one << below_guard) - one) != 0) | (vanished & ~zero)
    inexact = guard | rest
    up = {
        Direction.TIES_TO_EVEN: lambda: guard & (rest | (kept & one != 0)),
        Direction.TIES_TO_AWAY: lambda: guard,
        Direction.TOWARD_ZERO: lambda: np.zeros_like(guard),
        Direction.DOWN: lambda: inexact & negative,
        Direction.UP: lambda: inexact & ~negative,
    }[direction]()
    # The hidden bit raises the exponent field by one, and so does a carry out of rounding.
    field_less_one = np.clip(binade, 0, 1 << fmt.exponent_bits).astype(np.uint64)
    magnitude = (field_less_one << np.uint64(fmt.fraction_bits)) + kept + up
    magnitude = np.where(zero, np.uint64(0), magnitude)
    overflow = magnitude > np.uint64(fmt.max_finite_bits)
    finite_signs = {
        Direction.TOWARD_ZERO: np.ones_like(negative),
        Direction.DOWN: ~negative,
        Direction.UP: negative,
    }.get(direction)
    beyond = np.uint64(fmt.infinity_bits(False))
    if finite_signs is not None:
        beyond = np.where(finite_signs, np.uint64(fmt.max_finite_bits), beyond)
    sign_bits = negative.astype(np.uint64) << np.uint64(fmt.width - 1)
    return _Sum(np.where(overflow, beyond, magnitude) | sign_bits, overflow, inexact | overflow)


def _result(sums: _Sum, fmt: Float, out: Format) -> _Pair:
    """Convert finished sums to the output format and form the status."""
    parts = fmt.unpack(sums.bits)
    packed = out.pack(parts.sign, parts.significand, parts.exponent)
    finite = ~(parts.nan | parts.inf)
    plus, minus = (out.dtype.type(out.infinity_bits(sign)) for sign in (False, True))
    bits = np.where(parts.inf, np.where(parts.sign, minus, plus), packed.bits)
    bits = np.where(parts.nan, out.dtype.type(out.nan_bits), bits)
    beyond = (packed.overflow & finite) | (parts.inf & (not out.has_inf))
    invalid = parts.nan | out.unpack(bits).nan
    overflow = sums.overflow | beyond
    inexact = sums.inexact | beyond | (packed.inexact & finite)
    status = INVALID * invalid + OVERFLOW * overflow + INEXACT * inexact
    return bits, status.astype(np.uint8)
