"""The judge of floating-point sums: one step at a time, in fractions.

This is ``fma`` and ``muladd`` of arithmetic.md section 3, spelt out. It shares no code with the
array route (:mod:`hwgen.model.float_sum`): of the formats it uses only :meth:`Format.decode`, and
:meth:`Format.encode` for the result.

Notes
-----
What arithmetic.md leaves open is settled as follows; the array route and the circuit do the same.

* A product's sign is the exclusive or of its operands' signs, also where it is zero, and also for
  integers: -3 * 0 is -0.
* An exact sum of zero is -0 if both summands are -0, else +0 (IEEE 754-2019 section 6.3). Sums
  start at +0, so one that meets nothing but zeros is +0.
* All lanes are added at the end, also those that met no product.
* ``overflow`` and ``inexact`` are those that IEEE 754 raises, in any product rounding, sum or
  addition of lanes of the block, also where the result is NaN in the end. An operation with an
  infinite or NaN operand raises neither. Whether a value is beyond a format is judged after
  rounding.
* The result is the sum converted to the output format: zero keeps its sign, what is beyond the
  format raises both flags and becomes what the format makes of it. ``invalid`` is raised where the
  result is NaN in the end, and for a sum that is NaN where the format has none.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from hwgen.formats import Format
from hwgen.formats.base import Kind, Number
from hwgen.formats.ieee import Float
from hwgen.spec.accumulator import FloatSum
from hwgen.spec.datapath import Datapath

__all__ = ["Direction", "dot", "fused_multiply_add"]

_INVALID = 1
_OVERFLOW = 2
_INEXACT = 4


class Direction(enum.Enum):
    """IEEE 754's rounding-direction attributes; the values are TestFloat's names."""

    TIES_TO_EVEN = "near_even"
    TIES_TO_AWAY = "near_maxMag"
    TOWARD_ZERO = "minMag"
    DOWN = "min"
    UP = "max"


@dataclass(frozen=True, slots=True)
class _Rounded:
    """A number of a format, and the flags of the rounding that gave it."""

    number: Number
    status: int = 0


_NAN = Number(Kind.NAN)
_ZERO = Number(Kind.FINITE)


def fused_multiply_add(
    a: int, b: int, c: int, fmt: Float, direction: Direction = Direction.TIES_TO_EVEN
) -> tuple[int, int]:
    """Return the pattern and the status of ``a * b + c``, rounded once, all in one format.

    The arguments are patterns; the status is as in :func:`hwgen.model.exact.dot`.
    """
    product = _product(fmt.decode(a), fmt.decode(b))
    result = _add(product, fmt.decode(c), fmt, direction)
    status = result.status | _INVALID * (result.number.kind is Kind.NAN)
    return fmt.encode(result.number).bits, status


def dot(a_bits: Sequence[int], b_bits: Sequence[int], datapath: Datapath) -> tuple[int, int]:
    """Return the result pattern and the status of a datapath whose register is a float sum.

    Arguments and results are those of :func:`hwgen.model.exact.dot`.
    """
    unit = datapath.float_sum
    assert isinstance(unit, FloatSum)
    status = 0
    lanes = [_ZERO] * unit.lanes
    for k, (a, b) in enumerate(zip(a_bits, b_bits, strict=True)):
        product = _product(_decode(datapath.a, int(a)), _decode(datapath.b, int(b)))
        if not unit.fused:
            rounded = _round_number(product, unit.format)
            product = rounded.number
            status |= rounded.status
        step = _add(lanes[k % unit.lanes], product, unit.format)
        lanes[k % unit.lanes] = step.number
        status |= step.status
    total = lanes[0]
    for lane in lanes[1:]:
        step = _add(total, lane, unit.format)
        total = step.number
        status |= step.status
    return _result(total, status, datapath)


@lru_cache(maxsize=1 << 16)
def _decode(fmt: Format, bits: int) -> Number:
    return fmt.decode(bits)


def _product(a: Number, b: Number) -> Number:
    sign = a.sign ^ b.sign
    kinds = (a.kind, b.kind)
    if Kind.NAN in kinds:
        return _NAN
    if Kind.INFINITE in kinds:
        return _NAN if _is_zero(a) or _is_zero(b) else Number(Kind.INFINITE, sign)
    return Number(Kind.FINITE, sign, a.significand * b.significand, a.exponent + b.exponent)


def _is_zero(number: Number) -> bool:
    return number.kind is Kind.FINITE and number.significand == 0


def _add(
    x: Number, y: Number, fmt: Float, direction: Direction = Direction.TIES_TO_EVEN
) -> _Rounded:
    kinds = (x.kind, y.kind)
    if Kind.NAN in kinds or (kinds == (Kind.INFINITE,) * 2 and x.sign != y.sign):
        return _Rounded(_NAN)
    if Kind.INFINITE in kinds:
        return _Rounded(x if x.kind is Kind.INFINITE else y)
    total = x.fraction + y.fraction
    if total != 0:
        return _round(total, fmt, direction)
    if x.sign == y.sign and _is_zero(x):
        return _Rounded(Number(Kind.FINITE, x.sign))
    return _Rounded(Number(Kind.FINITE, int(direction is Direction.DOWN)))


def _round_number(number: Number, fmt: Float) -> _Rounded:
    """Round a product to the format of the sum."""
    if number.kind is not Kind.FINITE or number.significand == 0:
        return _Rounded(number)
    return _round(number.fraction, fmt, Direction.TIES_TO_EVEN)


def _round(value: Fraction, fmt: Float, direction: Direction) -> _Rounded:
    """Round a number other than 0 to a format, as if exponents had no upper end; then judge it."""
    sign, magnitude = int(value < 0), abs(value)
    # The unit in the last place is that of the value's binade, but never below the subnormals'.
    unit_exponent = max(_floor_log2(magnitude) - fmt.fraction_bits, fmt.min_exponent)
    units = magnitude / Fraction(2) ** unit_exponent
    whole = units.numerator // units.denominator
    rest = units - whole
    half = Fraction(1, 2)
    up = {
        Direction.TIES_TO_EVEN: rest > half or (rest == half and whole % 2 == 1),
        Direction.TIES_TO_AWAY: rest >= half,
        Direction.TOWARD_ZERO: False,
        Direction.DOWN: rest > 0 and sign == 1,
        Direction.UP: rest > 0 and sign == 0,
    }[direction]
    number = Number(Kind.FINITE, sign, whole + up, unit_exponent)
    if abs(number.fraction) <= fmt.max_finite:
        return _Rounded(number, _INEXACT * (rest != 0))
    stays_finite = {Direction.TOWARD_ZERO: True, Direction.DOWN: sign == 0, Direction.UP: sign == 1}
    if stays_finite.get(direction, False):
        largest = fmt.decode(fmt.max_finite_bits)
        number = Number(Kind.FINITE, sign, largest.significand, largest.exponent)
    else:
        number = Number(Kind.INFINITE, sign)
    return _Rounded(number, _OVERFLOW | _INEXACT)


def _floor_log2(magnitude: Fraction) -> int:
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= magnitude else exponent - 1


def _result(total: Number, status: int, datapath: Datapath) -> tuple[int, int]:
    out = datapath.out
    encoding = out.encode(total)
    if encoding.overflow:
        status |= _OVERFLOW
    if encoding.inexact:
        status |= _INEXACT
    if total.kind is Kind.NAN or out.decode(encoding.bits).kind is Kind.NAN:
        status |= _INVALID
    return encoding.bits, status
