"""The judge: dot products in Python integers, one term at a time, written to be obviously right.

This is arithmetic.md sections 2 to 4 spelt out. It shares no code with the array route
(:mod:`hwgen.model.gemm`): of the formats it uses only :meth:`Format.decode` and
:meth:`Format.encode`.

Notes
-----
What arithmetic.md leaves open is settled as follows; the array route and the circuit do the same.

* Terms are taken in ascending k. A sum is judged after every term: it is a range event when the
  exact integer sum of the register and the rounded summand lies outside
  ``[-2**(W-1), 2**(W-1) - 1]``. A product out of range is an event by itself.
* ``overflow=wrap``: the rounded summand, in range or not, is added modulo ``2**W``; the next sum is
  judged from the reduced register.
* ``overflow=saturate``: a product out of range is clamped, then added, then the sum is clamped.
* ``round=even`` and ``round=stochastic`` may round a summand up to exactly ``2**(msb+1)``; that is
  no event by itself, since the range is judged before rounding. A clamped summand is not rounded.
* ``round=odd`` sets the lowest bit of a truncated magnitude that lost a nonzero bit, also where all
  of it was lost. ``round=stochastic`` adds a random number of R bits to the R bits below ``lsb``
  and truncates: a carry out of them lifts the magnitude; what lies below those R bits is ignored.
  The random number belongs to the place k of the product in the block, zero products included.
* ``dot=D``: terms are taken D at a time, in ascending k; the last ones may be fewer. Each one's
  product is judged, rounded, and clamped by itself, as above. What is judged after them, and
  clamped or reduced, is the exact sum of the register and their summands: a part of it may lie
  outside the register.
* ``inexact`` is raised by any nonzero bit of a finite product below ``2**lsb``, also when that
  product is out of range, and whatever the result is in the end.
* The result is NaN if a product is NaN, or infinite products of both signs occurred, or an event
  occurred under ``overflow=nan``; otherwise infinite if an infinite product occurred; otherwise the
  register, rounded once.
* A NaN result adds neither ``overflow`` nor ``inexact`` of its own. An infinite result raises both
  where the output format has no infinity, and ``invalid`` too where that format then answers NaN; a
  finite result beyond such a format likewise.
* ``out=raw`` cannot hold infinities or NaN: the register then reads zero and ``invalid`` is raised.
* ``per=block``: the terms of a block fall into scale blocks of B, counted from its start; the last
  one may be shorter. The elements' products of a scale block are summed exactly and multiplied by
  the scales that come with its last term; those of its other terms are not looked at. That is the
  summand, and all that is said of a product above holds for it. It is NaN if one of the elements'
  products or one of these scales is NaN, or infinite products of both signs are among them;
  infinite if one of them is infinite; then it adds nothing.
* A start value is the last summand, in units of the register; it is never rounded and never out of
  range by itself, but the sum with it is judged like any other. Its status counts as the block's
  own: ``invalid`` makes the result NaN, ``overflow`` is a range event, ``inexact`` a dropped bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from hwgen.errors import SpecError
from hwgen.formats import Format
from hwgen.formats.base import Encoding, Kind, Number
from hwgen.formats.block import BlockScaled
from hwgen.formats.scale import decode_scale
from hwgen.spec.accumulator import Overflow, Rounding, Window
from hwgen.spec.datapath import Datapath
from hwgen.spec.dither import Side, initial_state, lane_masks

__all__ = ["dot"]

_INVALID = 1
_OVERFLOW = 2
_INEXACT = 4


@dataclass(slots=True)
class _State:
    """The register and the sticky flags of one block."""

    register: int = 0  # in units of 2**lsb
    event: bool = False
    dropped: bool = False
    nan: bool = False
    plus_inf: bool = False
    minus_inf: bool = False


def dot(
    a_bits: Sequence[int],
    b_bits: Sequence[int],
    datapath: Datapath,
    *,
    lanes: tuple[int, int] = (0, 0),
    start: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Return the result pattern and the status of ``sum(a * b)``.

    Parameters
    ----------
    a_bits, b_bits : sequence of int
        Operand patterns, of equal length; the empty sum is +0.
    datapath : Datapath
    lanes : tuple of two ints
        The row and the column of the array, on which the random numbers of stochastic rounding
        depend (:mod:`hwgen.spec.dither`).
    start : tuple of two ints, optional
        A raw register, as W-bit two's complement, and its status, to add in the end.

    Returns
    -------
    bits : int
        Pattern in the output format; for ``out=raw`` the register as W-bit two's complement.
    status : int
        Bit 0 invalid, bit 1 overflow, bit 2 inexact.
    """
    if len(a_bits) != len(b_bits):
        raise SpecError(
            f"a has {len(a_bits)} terms and b has {len(b_bits)}; a dot product needs equal lengths"
        )
    state = _State()
    if datapath.block_terms:
        _add_blocks(state, a_bits, b_bits, datapath)
    else:
        _add_products(state, a_bits, b_bits, datapath, lanes)
    if start is not None:
        _add_start(state, *start, datapath.window)
    return _result(state, datapath)


def _add_products(
    state: _State,
    a_bits: Sequence[int],
    b_bits: Sequence[int],
    datapath: Datapath,
    lanes: tuple[int, int],
) -> None:
    window = datapath.window
    random = [0] * len(a_bits)
    if window.rounding is Rounding.STOCHASTIC:
        row, column = (
            _lane_words(window.seed, side, lane, window.random_bits, len(a_bits))
            for side, lane in zip(Side, lanes, strict=True)
        )
        random = [x ^ y for x, y in zip(row, column, strict=True)]
    terms = list(zip(a_bits, b_bits, random, strict=True))
    for first in range(0, len(terms), datapath.dot):
        total = 0
        for a, b, word in terms[first : first + datapath.dot]:
            numbers = _decode(datapath.a, int(a)), _decode(datapath.b, int(b))
            total += _product(state, *numbers, datapath, word)
        _add_summand(state, total, window)


@lru_cache(maxsize=1 << 10)
def _lane_words(seed: int, side: Side, lane: int, bits: int, terms: int) -> tuple[int, ...]:
    """Return a lane's random word for each product of a block (:mod:`hwgen.spec.dither`)."""
    state = initial_state(seed, side)
    masks = lane_masks(side, lane, bits)
    words = []
    for _ in range(terms):
        parities = [f"{state & mask:b}".count("1") % 2 for mask in masks]
        words.append(sum(parity << place for place, parity in enumerate(parities)))
        state, shifted_out = divmod(state, 2)
        for tap in (32, 22, 2, 1):  # the polynomial's exponents; bits count from 1 here
            state ^= shifted_out << (tap - 1)
    return tuple(words)


@lru_cache(maxsize=1 << 16)
def _decode(fmt: Format, bits: int) -> Number:
    return fmt.decode(bits)


@lru_cache(maxsize=1 << 16)
def _encode(fmt: Format, register: int, lsb: int) -> Encoding:
    return fmt.encode(register * Fraction(2) ** lsb)


def _product(state: _State, a: Number, b: Number, datapath: Datapath, random: int) -> int:
    """Return the summand of a product; what else it says goes to the state."""
    negative = a.sign != b.sign
    if a.kind is not Kind.FINITE or b.kind is not Kind.FINITE:
        if Kind.NAN in (a.kind, b.kind) or _is_zero(a) or _is_zero(b):
            state.nan = True
        elif negative:
            state.minus_inf = True
        else:
            state.plus_inf = True
        return 0
    if _is_zero(a) or _is_zero(b):
        return 0
    quantum = _quantum(datapath)
    magnitude = a.significand * b.significand << (a.exponent + b.exponent - quantum)
    return _summand(state, negative, magnitude, datapath, random)


def _add_blocks(
    state: _State, a_bits: Sequence[int], b_bits: Sequence[int], datapath: Datapath
) -> None:
    for first in range(0, len(a_bits), datapath.block_terms):
        part = slice(first, first + datapath.block_terms)
        _add_block(state, a_bits[part], b_bits[part], datapath)


def _add_block(
    state: _State, a_bits: Sequence[int], b_bits: Sequence[int], datapath: Datapath
) -> None:
    """Add the summand of one scale block."""
    total = Fraction(0)
    infinities = set()
    nan = False
    for a, b in zip(a_bits, b_bits, strict=True):
        x, y = _element(datapath.a, int(a)), _element(datapath.b, int(b))
        if x.kind is Kind.FINITE and y.kind is Kind.FINITE:
            total += x.fraction * y.fraction
        elif Kind.NAN in (x.kind, y.kind) or _is_zero(x) or _is_zero(y):
            nan = True
        else:
            infinities.add(x.sign != y.sign)
    scales = [_scale(datapath.a, int(a_bits[-1])), _scale(datapath.b, int(b_bits[-1]))]
    if nan or len(infinities) == 2 or Kind.NAN in [scale.kind for scale in scales]:
        state.nan = True
    elif infinities:  # elements with infinities have scales without a sign
        state.plus_inf |= False in infinities
        state.minus_inf |= True in infinities
    else:
        total *= scales[0].fraction * scales[1].fraction
        magnitude = abs(total) / Fraction(2) ** _quantum(datapath)
        assert magnitude.denominator == 1, magnitude
        summand = _summand(state, total < 0, int(magnitude), datapath, 0)
        _add_summand(state, summand, datapath.window)


def _element(fmt: Format, bits: int) -> Number:
    assert isinstance(fmt, BlockScaled), fmt
    return _decode(fmt.element, bits % (1 << fmt.element.width))


def _scale(fmt: Format, bits: int) -> Number:
    assert isinstance(fmt, BlockScaled), fmt
    return decode_scale(fmt.scale, bits >> fmt.element.width)


def _quantum(datapath: Datapath) -> int:
    """Both summands and the window's bounds are integers in units of 2**quantum."""
    return min(datapath.a.min_exponent + datapath.b.min_exponent, datapath.window.lsb)


def _summand(state: _State, negative: bool, magnitude: int, datapath: Datapath, random: int) -> int:
    """Judge and round a magnitude in units of ``2**quantum``."""
    window = datapath.window
    quantum = _quantum(datapath)
    in_range = magnitude < 1 << (window.msb + 1 - quantum)
    rounded, dropped = _round_to_lsb(magnitude, window.lsb - quantum, window, random)
    state.dropped |= dropped
    if not in_range:
        state.event = True
        if window.overflow is Overflow.SATURATE:
            rounded = (1 << (window.msb + 1 - window.lsb)) - 1
    return -rounded if negative else rounded


def _is_zero(number: Number) -> bool:
    return number.kind is Kind.FINITE and number.significand == 0


def _round_to_lsb(magnitude: int, shift: int, window: Window, random: int) -> tuple[int, bool]:
    """Drop ``shift`` low bits; return the rounded magnitude and whether it is inexact."""
    quotient, remainder = divmod(magnitude, 1 << shift)
    if window.rounding is Rounding.EVEN:
        twice = 2 * remainder
        if twice > 1 << shift or (twice == 1 << shift and quotient % 2 == 1):
            quotient += 1
    elif window.rounding is Rounding.ODD:
        if remainder != 0 and quotient % 2 == 0:
            quotient += 1
    elif window.rounding is Rounding.STOCHASTIC:
        one = 1 << window.random_bits
        leading = (remainder * one) >> shift  # the dropped bits that are looked at
        if leading + random >= one:
            quotient += 1
    return quotient, remainder != 0


def _add_start(state: _State, register: int, status: int, window: Window) -> None:
    negative = register >> (window.width - 1)
    _add_summand(state, register - (negative << window.width), window)
    state.nan |= bool(status & _INVALID)
    state.event |= bool(status & _OVERFLOW)
    state.dropped |= bool(status & _INEXACT)


def _add_summand(state: _State, summand: int, window: Window) -> None:
    total = state.register + summand
    lowest = -(1 << (window.width - 1))
    highest = (1 << (window.width - 1)) - 1
    if lowest <= total <= highest:
        state.register = total
        return
    state.event = True
    if window.overflow is Overflow.SATURATE:
        state.register = lowest if total < lowest else highest
    else:  # NAN: the value no longer matters
        state.register = (total - lowest) % (1 << window.width) + lowest


def _result(state: _State, datapath: Datapath) -> tuple[int, int]:
    window, out = datapath.window, datapath.out
    status = _OVERFLOW * state.event | _INEXACT * state.dropped
    is_nan = (
        state.nan
        or (state.plus_inf and state.minus_inf)
        or (state.event and window.overflow is Overflow.NAN)
    )
    is_inf = not is_nan and (state.plus_inf or state.minus_inf)
    if out is None:
        if is_nan or is_inf:
            return 0, status | _INVALID
        return state.register % (1 << window.width), status
    if is_nan:
        return out.nan_bits, status | _INVALID
    if is_inf:
        bits = out.infinity_bits(state.minus_inf)
        beyond = not out.has_inf
        inexact = False
    else:
        encoding = _encode(out, state.register, window.lsb)
        bits, beyond, inexact = encoding.bits, encoding.overflow, encoding.inexact
    if beyond:
        status |= _OVERFLOW | _INEXACT
        if _decode(out, bits).kind is Kind.NAN:
            status |= _INVALID
    return bits, status | _INEXACT * inexact
