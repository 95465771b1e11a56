"""Sums of scale blocks over arrays: each is exact, then scaled, rounded and added as one summand.

The semantics are those of :mod:`hwgen.model.exact` for ``per=block``. Elements are integers of at
most 33 bits in units of the format's least one. Cut into two limbs they multiply exactly in float64
matrix products; a block's sum is put together in words again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.formats import Format
from hwgen.formats.block import MAX_BLOCK, BlockScaled
from hwgen.formats.scale import unpack_scales
from hwgen.model import limbs
from hwgen.model.accumulator import Step, Sums, sum_steps
from hwgen.model.operands import Operand, Specials, special_products
from hwgen.spec.accumulator import Rounding, Window
from hwgen.spec.datapath import Datapath

__all__ = ["block_sum"]

# A block's products of two limbs add up to less than 2**(2 * _LIMB) * MAX_BLOCK <= 2**53.
_LIMB = 18
assert 2 * _LIMB + (MAX_BLOCK - 1).bit_length() <= 53
_SUM_WORDS = 4  # of the magnitude of a scaled sum: at most 33 + 33 + 16 bits, times 15 * 15
_NO_PLACE = 1 << 29  # of a zero's lowest one: far above any window
_REACH = _SUM_WORDS + 2  # a shifted one has a word more, and one lies in between


def block_sum(a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath) -> tuple[Sums, Specials]:
    """Sum the scale blocks of ``a_bits`` (m, k) and ``b_bits`` (k, n)."""
    block = datapath.block_terms
    shape = (a_bits.shape[0], b_bits.shape[1])
    sums = _Blocks(a_bits, b_bits, datapath)
    firsts = range(0, a_bits.shape[1], block)
    words, event = sum_steps(
        map(sums.step, firsts), shape, datapath.window, reach=_REACH, judge=True
    )
    return (
        Sums(words=words, event=event, dropped=sums.dropped.reshape(shape)),
        Specials(*(flag.reshape(shape) for flag in (sums.nan, sums.plus_inf, sums.minus_inf))),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One operand: its elements, as integers in limbs too, and each element's scale."""

    elements: Operand
    limbs: tuple[np.ndarray, np.ndarray]  # float64, with the element's sign
    unit: int  # the elements count units of 2**unit
    scale_nan: np.ndarray  # bool
    factor: np.ndarray  # int64: the scale's significand, with its sign
    exponent: np.ndarray  # int64: of the scale

    @classmethod
    def unpack(cls, bits: np.ndarray, fmt: Format) -> _Side:
        assert isinstance(fmt, BlockScaled), fmt
        elements, scales = fmt.split(bits)
        parts = fmt.element.unpack(elements)
        unit = fmt.element.min_exponent
        places = np.where(parts.significand == 0, 0, parts.exponent - unit).astype(np.uint64)
        magnitude = parts.significand << places
        sign = np.where(parts.sign, -1.0, 1.0)
        mask = np.uint64((1 << _LIMB) - 1)
        factors = unpack_scales(fmt.scale, scales)
        significand = factors.significand.astype(np.int64)
        return cls(
            elements=Operand.unpack(elements, fmt.element),
            limbs=((magnitude & mask) * sign, (magnitude >> np.uint64(_LIMB)) * sign),
            unit=unit,
            scale_nan=factors.nan,
            factor=np.where(factors.sign, -significand, significand),
            exponent=factors.exponent,
        )


class _Blocks:
    """Scaled sums, one scale block at a time, aligned to the words of a register.

    Attributes
    ----------
    dropped, nan, plus_inf, minus_inf : (m * n,) array of bool
        What the blocks so far have met.
    """

    def __init__(self, a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath) -> None:
        self._a = _Side.unpack(a_bits, datapath.a)
        self._b = _Side.unpack(b_bits, datapath.b)
        self._window = datapath.window
        self._block = datapath.block_terms
        count = a_bits.shape[0] * b_bits.shape[1]
        self.dropped, self.nan, self.plus_inf, self.minus_inf = np.zeros((4, count), dtype=np.bool_)

    def step(self, first: int) -> Step:
        """Sum and scale the block that begins with term ``first``."""
        a, b = self._a, self._b
        part = slice(first, first + self._block)
        last = min(first + self._block, a.factor.shape[1]) - 1
        special = self._meet_specials(part, last)
        factor = np.multiply.outer(a.factor[:, last], b.factor[last]).reshape(-1)
        total = self._total(part) * np.where(special, 0, factor)
        limbs.normalise(total)
        negative, size = limbs.magnitude(total)
        exponent = np.add.outer(a.exponent[:, last], b.exponent[last]).reshape(-1)
        return self._aligned(negative, list(size), exponent + (a.unit + b.unit))

    def _total(self, part: slice) -> np.ndarray:
        """Return (words, m * n) signed words, not normalised, each below 2**53."""
        (low, high), (left, right) = (
            [limb[index] for limb in side.limbs]
            for side, index in ((self._a, np.s_[:, part]), (self._b, np.s_[part]))
        )
        lowest, highest = low @ left, high @ right
        # Every limb product is exact by itself; so are their sums, as integers.
        middle = (low @ right).astype(np.int64) + (high @ left).astype(np.int64)
        total = np.zeros((_SUM_WORDS, lowest.size), dtype=np.int64)
        for place, value in ((0, lowest), (_LIMB, middle), (2 * _LIMB, highest)):
            word, offset = divmod(place, limbs.WORD)
            flat = value.reshape(-1).astype(np.int64)
            above = limbs.WORD - offset
            total[word] += (flat & ((1 << above) - 1)) << offset
            total[word + 1] += flat >> above
        return total

    def _meet_specials(self, part: slice, last: int) -> np.ndarray:
        """Note what specials a block has; returns where it has any."""
        a, b = self._a, self._b
        met = special_products(a.elements[:, part], b.elements[part])
        plus, minus = met.plus_inf.reshape(-1), met.minus_inf.reshape(-1)
        scale_nan = np.logical_or.outer(a.scale_nan[:, last], b.scale_nan[last]).reshape(-1)
        nan = met.nan.reshape(-1) | scale_nan
        self.nan |= nan
        self.plus_inf |= plus
        self.minus_inf |= minus
        return nan | plus | minus

    def _aligned(self, negative: np.ndarray, words: list[np.ndarray], exponent: np.ndarray) -> Step:
        window = self._window
        shift = exponent - window.lsb
        lowest, length = _extent(words)
        self.dropped |= lowest + shift < 0
        wild = (length > 0) & (length + shift > window.summand_bits)
        # Beyond these limits all bits lie under the place that decides the rounding, or on top.
        most = limbs.WORD * (-(-window.width // limbs.WORD) + 1)
        shift = np.clip(shift, -limbs.WORD * (_REACH - 1), most)
        return Step(
            words=limbs.shift_within_word(words, (shift & 31).astype(np.uint64)),
            first=shift >> 5,
            increment=_increment(words, shift, lowest, window),
            sign=1 - 2 * negative.astype(np.int64),
            wild=wild,
        )


def _extent(words: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of the lowest one of a number, and its bit length; of 0 no place, and 0."""
    lowest = np.full(words[0].shape, _NO_PLACE, dtype=np.int64)
    length = np.zeros(words[0].shape, dtype=np.int64)
    for index in reversed(range(len(words))):
        word, base = words[index], limbs.WORD * index
        some = word != 0
        lowest = np.where(some, limbs.trailing_zeros(word) + base, lowest)
        length = np.where(some & (length == 0), limbs.bit_length(word) + base, length)
    return lowest, length


def _increment(
    words: list[np.ndarray], shift: np.ndarray, lowest: np.ndarray, window: Window
) -> np.ndarray | None:
    """Whether rounding lifts the magnitude."""
    if window.rounding is Rounding.ZERO:
        return None
    kept = limbs.bit(words, -shift)  # the bit that will be the window's lowest
    if window.rounding is Rounding.ODD:
        return ((lowest < -shift) & ~kept).astype(np.int64)
    guard = limbs.bit(words, -shift - 1)
    return (guard & (kept | (lowest < -shift - 1))).astype(np.int64)
