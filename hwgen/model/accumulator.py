"""The accumulator register over arrays: three ways to the same bits.

* :func:`matmul_sum`: one float64 matrix product, where nothing is dropped, no range event can
  occur and every partial sum is an integer below ``2**53``.
* :func:`lane_sum`: one float64 lane an element, where every product is exact in float64. Products
  are in units of ``2**lsb``, so rounding one to an integer is the window's rounding.
* :func:`limb_sum`: 32-bit words in int64 lanes, for any operands and any width.

The first two rest on float64 being exact on the numbers at hand; :func:`accumulate` proves that
from the operands before it chooses them. The semantics are those of :mod:`hwgen.model.exact`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwgen.model import limbs
from hwgen.model.operands import Operand, dropped_bits, exact_lane_scales, magnitude_bounds
from hwgen.model.random_words import RandomWords
from hwgen.spec.accumulator import Overflow, Rounding, Window

__all__ = [
    "Step",
    "Sums",
    "accumulate",
    "lane_sum",
    "limb_sum",
    "matmul_sum",
    "settle",
    "sum_steps",
]

_EXACT = 1 << 53  # integers up to this magnitude are exact in float64
# In a judged lane the register plus D summands reduced modulo 2**W stays below (D + 0.5) * 2**W.
_JUDGED_LANE_BITS = 52
_CARRY_PERIOD = 1 << 30  # steps between carries; redundant words could take 2**31 steps


@dataclass(frozen=True, slots=True)
class Sums:
    """The finished registers of an (m, n) result."""

    words: np.ndarray  # (words, m * n) int64: normalised signed words, W bits or more (see limbs)
    event: np.ndarray  # (m, n) bool: a range event occurred
    dropped: np.ndarray  # (m, n) bool: a nonzero bit below 2**lsb was dropped


def accumulate(a: Operand, b: Operand, window: Window, random: RandomWords | None = None) -> Sums:
    """Sum the finite products of ``a`` (m, k) and ``b`` (k, n); specials count as 0.

    ``random`` is needed for stochastic rounding only.
    """
    shape = (a.exponent.shape[0], b.exponent.shape[1])
    nothing = np.zeros(shape, dtype=np.bool_)
    if a.empty or b.empty:
        words = np.zeros((_word_count(window), nothing.size), dtype=np.int64)
        return Sums(words=words, event=nothing, dropped=nothing)
    dropped = dropped_bits(a, b, window.lsb)
    bounds = magnitude_bounds(a, b)
    # Rounding lifts a summand by at most one unit of 2**lsb.
    total = bounds.total / Fraction(2) ** window.lsb + a.exponent.shape[1]
    judge = total >= 1 << (window.width - 1) or bounds.product >= Fraction(2) ** (window.msb + 1)
    scales = exact_lane_scales(a, b, window.lsb)
    wide = window.width + (window.dot - 1).bit_length() > _JUDGED_LANE_BITS
    if scales is None or (wide if judge else total > _EXACT):
        words, event = limb_sum(a, b, window, random, judge=judge)
        return Sums(words=words, event=event, dropped=dropped)
    x, y = a.scaled_float(scales[0]), b.scaled_float(scales[1])
    if judge or dropped.any():
        lane, event = lane_sum(x, y, window, random, judge=judge)
    else:
        lane, event = matmul_sum(x, y), nothing
    return Sums(words=_words_of_lane(lane, window), event=event, dropped=dropped)


def matmul_sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the matrix product of scaled float64 operands, as integral float64 values."""
    return x @ y


def lane_sum(
    x: np.ndarray,
    y: np.ndarray,
    window: Window,
    random: RandomWords | None = None,
    *,
    judge: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Sum rounded products in one float64 lane an element.

    Parameters
    ----------
    x : (m, k) array of float64
    y : (k, n) array of float64
        Operands scaled so that products count units of ``2**lsb``.
    window : Window
    random : RandomWords, optional
        For stochastic rounding.
    judge : bool
        Test for range events at every step; without it there must be none.

    Returns
    -------
    register : (m, n) array of float64
        Integers.
    event : (m, n) array of bool
    """
    columns = np.ascontiguousarray(x.T)
    register = np.zeros((x.shape[0], y.shape[1]))
    event = np.zeros(register.shape, dtype=np.bool_)
    product, total = np.empty_like(register), np.zeros_like(register)
    for k, (column, line) in enumerate(zip(columns, y, strict=True)):
        np.multiply.outer(column, line, out=product)
        if not judge:
            _round_lane(product, window, random, k)
            register += product
            continue
        wild = np.abs(product) >= 2.0**window.summand_bits
        _round_lane(product, window, random, k)
        _judged_lane_summand(product, wild, window)
        event |= wild
        total += product
        if k % window.dot == window.dot - 1:
            _judged_lane_step(register, event, total, window)
            total[:] = 0
    if judge:  # the last step may have fewer terms; adding nothing changes nothing
        _judged_lane_step(register, event, total, window)
    return register, event


def _round_lane(product: np.ndarray, window: Window, random: RandomWords | None, k: int) -> None:
    """Round products to integers, in place."""
    if window.rounding is Rounding.ZERO:
        np.trunc(product, out=product)
    elif window.rounding is Rounding.EVEN:
        np.rint(product, out=product)
    else:
        whole = np.trunc(product)
        rest = np.abs(product - whole)
        if window.rounding is Rounding.ODD:
            half = 0.5 * whole
            up = (rest != 0) & (np.trunc(half) == half)
        else:
            # The carry out of rest + word / 2**R, written so that float64 does not round.
            words = random.of_products(k).astype(np.float64)
            up = rest >= 1 - np.ldexp(words, -window.random_bits)
        np.add(whole, np.copysign(up.astype(np.float64), product), out=product)


def _judged_lane_summand(summand: np.ndarray, wild: np.ndarray, window: Window) -> None:
    """Clamp summands, in place, or reduce them modulo 2**W; ``wild`` marks those out of range.

    Others are at most 2**W and stay as they are, so that whether a sum leaves the register is told
    from those where no summand is wild.
    """
    if window.overflow is Overflow.SATURATE:
        np.copyto(summand, np.copysign(2.0**window.summand_bits - 1, summand), where=wild)
    else:
        np.fmod(summand, 2.0**window.width, out=summand, where=wild)


def _judged_lane_step(
    register: np.ndarray, event: np.ndarray, summands: np.ndarray, window: Window
) -> None:
    """Add the sum of a step's summands, in place."""
    modulus = 2.0**window.width
    lowest, highest = -modulus / 2, modulus / 2 - 1
    total = register + summands
    event |= (total < lowest) | (total > highest)
    if window.overflow is Overflow.SATURATE:
        np.clip(total, lowest, highest, out=register)
    else:
        np.subtract(total, modulus * np.floor((total - lowest) / modulus), out=register)


def limb_sum(
    a: Operand,
    b: Operand,
    window: Window,
    random: RandomWords | None = None,
    *,
    judge: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Sum rounded products in 32-bit words.

    Parameters
    ----------
    a : Operand
        (m, k) elements.
    b : Operand
        (k, n) elements.
    window : Window
    random : RandomWords, optional
        For stochastic rounding.
    judge : bool
        Test for range events at every step; without it there must be none.

    Returns
    -------
    words : (words, m * n) array of int64
        Normalised signed words.
    event : (m, n) array of bool
    """
    shape = (a.exponent.shape[0], b.exponent.shape[1])
    products = _Products(a, b, window, random)
    steps = map(products.step, range(a.exponent.shape[1]))
    return sum_steps(steps, shape, window, reach=products.reach, judge=judge)


def sum_steps(
    steps: Iterable[Step], shape: tuple[int, int], window: Window, *, reach: int, judge: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Sum aligned summands, ``reach`` words of which may lie outside the register on either side.

    Returns what :func:`limb_sum` does.
    """
    count = _word_count(window)
    event = np.zeros(shape, dtype=np.bool_)
    # Words under the register take the bits to be dropped, words above it what is out of range.
    field = np.zeros((reach + count + reach, event.size), dtype=np.int64)
    register = field[reach : reach + count]
    if judge:
        register = register.copy()
    for k, step in enumerate(steps):
        if judge:
            field[:] = 0
            step.place(field, np.ones_like(step.sign), reach)
            summand = field[reach : reach + count]
            if window.overflow is Overflow.SATURATE:
                largest = limbs.constant((1 << window.summand_bits) - 1, count)
                np.copyto(summand, largest, where=step.wild)
            register += summand * step.sign
            event |= step.wild.reshape(shape)
            if k % window.dot == window.dot - 1:
                limbs.normalise(register)
                settle(register, event.reshape(-1), window)
        else:
            step.place(field, step.sign, reach)
            if k % _CARRY_PERIOD == _CARRY_PERIOD - 1:
                limbs.normalise(register)
    limbs.normalise(register)
    if judge:  # the last step may have fewer terms; a sum that was judged stays as it is
        settle(register, event.reshape(-1), window)
    return register, event


@dataclass(frozen=True, slots=True)
class Step:
    """The aligned summands of one step, flattened; bits under the register are still there."""

    words: list[np.ndarray]  # uint64 values of 32 bits
    first: np.ndarray  # int64: word of the register that words[0] belongs to; may be negative
    increment: np.ndarray | None  # int64: 1 where rounding lifts the magnitude
    sign: np.ndarray  # int64: 1 or -1
    wild: np.ndarray  # bool: the summand is out of range

    def place(self, field: np.ndarray, sign: np.ndarray, below: int) -> None:
        """Add the rounded summands to a field whose row ``below`` is the register's lowest word."""
        elements = field.shape[1]
        flat = field.reshape(-1)
        index = (self.first + below) * elements + np.arange(elements)
        for word in self.words:
            flat[index] += word.view(np.int64) * sign
            index += elements
        if self.increment is not None:
            field[below] += self.increment * sign


class _Products:
    """Exact products, one k at a time, aligned to the words of a register."""

    def __init__(self, a: Operand, b: Operand, window: Window, random: RandomWords | None) -> None:
        self._a = a
        self._b = b
        self._window = window
        self._random = random
        self._a_words = limbs.split(a.significand, 1 if a.bits <= limbs.WORD else 2)
        self._b_words = limbs.split(b.significand, 1 if b.bits <= limbs.WORD else 2)
        self._words = _word_count(window)
        self.reach = len(self._a_words) + len(self._b_words) + 1

    def step(self, k: int) -> Step:
        """Multiply column k of ``a`` by row k of ``b``."""
        a, b = self._a[:, k, np.newaxis], self._b[np.newaxis, k]
        words = limbs.multiply(self._a_words[:, :, k, np.newaxis], self._b_words[:, np.newaxis, k])
        words = [word.reshape(-1) for word in words]
        shift = (a.exponent + b.exponent - self._window.lsb).reshape(-1)
        # Beyond these limits all bits lie under the place that decides the rounding, or on top.
        np.clip(shift, -limbs.WORD * self.reach, limbs.WORD * self._words, out=shift)
        return Step(
            words=limbs.shift_within_word(words, (shift & 31).astype(np.uint64)),
            first=shift >> 5,
            increment=self._increment(words, shift, k),
            sign=1 - 2 * (a.negative ^ b.negative).reshape(-1).astype(np.int64),
            wild=self._wild(a, b, words),
        )

    def _increment(self, words: list[np.ndarray], shift: np.ndarray, k: int) -> np.ndarray | None:
        """Whether rounding lifts the magnitude; significands are odd, hence so are products."""
        rounding = self._window.rounding
        if rounding is Rounding.ZERO:
            return None
        dropped = shift < 0  # the lowest bit is a 1
        if rounding is Rounding.EVEN:
            # A tie is exactly a shift by one place, and then the next bit decides.
            up = limbs.bit(words, np.maximum(-shift - 1, 1))
        elif rounding is Rounding.ODD:
            up = ~limbs.bit(words, -shift)
        else:
            bits = self._window.random_bits
            leading = limbs.bits_at(words, -shift - bits, bits)
            up = (leading + self._random.of_products(k).reshape(-1)) >> np.uint64(bits) != 0
        return (up & dropped).astype(np.int64)

    def _wild(self, a: Operand, b: Operand, words: list[np.ndarray]) -> np.ndarray:
        top = (a.top + b.top).reshape(
            -1
        )  # the product's leading bit weighs 2**(top-1) or 2**(top-2)
        limit = self._window.msb + 1
        if top.max() <= limit:
            return np.zeros(top.shape, dtype=np.bool_)
        length = (a.top - a.exponent + b.top - b.exponent).reshape(-1)
        long = limbs.bit(words, length - 1)
        return (top - 2 >= limit) | ((top - 1 == limit) & long)


def settle(register: np.ndarray, event: np.ndarray, window: Window) -> None:
    """Judge finished sums by the window's overflow rule, in place.

    Parameters
    ----------
    register : (words, n) array of int64
        Normalised signed words of sums of a register and a step's summands; reduced to the
        register's.
    event : (n,) array of bool
        Raised where a sum leaves the register.
    window : Window
    """
    words = len(register)
    # There is room for a few bits above the register's sign, which is in one of the two top words.
    word, place = divmod(window.width - 1, limbs.WORD)
    high = register[-1].copy()
    if word == words - 2:
        high <<= limbs.WORD
        high |= register[-2]
    outside = (high >> place) != (high >> 63)
    event |= outside
    if window.overflow is Overflow.SATURATE:
        negative = outside & (high < 0)
        lowest, highest = -1 << (window.width - 1), (1 << (window.width - 1)) - 1
        np.copyto(register, limbs.constant(lowest, words), where=negative)
        np.copyto(register, limbs.constant(highest, words), where=outside & ~negative)
    else:
        reduced = ((high + (1 << place)) & ((2 << place) - 1)) - (1 << place)
        register[word] = reduced if word == words - 1 else reduced & 0xFFFF_FFFF
        register[word + 1 :] = reduced >> limbs.WORD


def _word_count(window: Window) -> int:
    """Words of a register that can also hold, unreduced, its sum with any summands of one step."""
    return -(-(window.width + 1 + window.dot.bit_length()) // limbs.WORD)


def _words_of_lane(lane: np.ndarray, window: Window) -> np.ndarray:
    value = lane.reshape(-1).astype(np.int64)
    words = np.empty((max(2, _word_count(window)), value.size), dtype=np.int64)
    words[0] = value
    words[1] = value >> limbs.WORD
    words[2:] = value >> 63
    words[:-1] &= 0xFFFF_FFFF
    return words
