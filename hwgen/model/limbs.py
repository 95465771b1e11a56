"""Wide integers as arrays of 32-bit words, least significant word first.

A wide number is an array of shape ``(words, ...)``. Unsigned words are uint64 holding values below
``2**32``; a signed number keeps int64 words whose value is ``sum(word[i] * 2**(32*i))``, each word
being free to exceed 32 bits until :func:`normalise` moves the carries. No array ever holds Python
integers.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "WORD",
    "bit",
    "bit_length",
    "bits_at",
    "constant",
    "magnitude",
    "multiply",
    "normalise",
    "round_at",
    "shift_within_word",
    "split",
    "top_bits",
    "trailing_zeros",
]

WORD = 32
_MASK = np.uint64(0xFFFF_FFFF)
_SIGNED_MASK = np.int64(0xFFFF_FFFF)
_U32 = np.uint64(32)
_U1 = np.uint64(1)


def bit_length(values: np.ndarray) -> np.ndarray:
    """Return the bit lengths (int64, 0 for 0) of an array of uint64."""
    high = values >> _U32
    # Words of 32 bits convert to float64 exactly, so frexp's exponent is their bit length.
    upper = np.frexp(high.astype(np.float64))[1]
    lower = np.frexp((values & _MASK).astype(np.float64))[1]
    return np.where(high != 0, upper + WORD, lower).astype(np.int64)


def trailing_zeros(values: np.ndarray) -> np.ndarray:
    """Return the position (int64) of the lowest set bit of an array of uint64; -1 for 0."""
    lowest = values & (~values + _U1)
    return np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1


def split(values: np.ndarray, words: int) -> np.ndarray:
    """Cut an array of uint64 into one or two words."""
    if words == 1:
        return values[np.newaxis]
    return np.stack([values & _MASK, values >> _U32])


def multiply(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Multiply broadcastable unsigned numbers of one or two words; return the product's words."""
    if len(a) == 1 and len(b) == 1:
        product = a[0] * b[0]
        return [product & _MASK, product >> _U32]
    if len(a) == 1:
        a, b = b, a
    low, middle = a[0] * b[0], a[1] * b[0]
    if len(b) == 1:
        middle += low >> _U32  # (2**32 - 1)**2 + 2**32 - 1 < 2**64
        return [low & _MASK, middle & _MASK, middle >> _U32]
    other, high = a[0] * b[1], a[1] * b[1]
    middle += low >> _U32
    other += middle & _MASK
    high += (middle >> _U32) + (other >> _U32)  # cannot wrap: the product is below 2**128
    return [low & _MASK, other & _MASK, high & _MASK, high >> _U32]


def shift_within_word(words: list[np.ndarray], amount: np.ndarray) -> list[np.ndarray]:
    """Shift an unsigned number left by 0 to 31 bits (uint64 ``amount``); returns one word more."""
    shifted = []
    carry = None
    for word in words:
        wide = word << amount
        low = wide & _MASK
        shifted.append(low if carry is None else low | carry)
        carry = wide >> _U32
    return [*shifted, carry]


def bit(words: list[np.ndarray], position: np.ndarray) -> np.ndarray:
    """Return the bit (bool) of an unsigned number at each element's position; False outside it."""
    index = position >> 5
    chosen = np.zeros_like(words[0])
    for i, word in enumerate(words):
        chosen |= np.where(index == i, word, 0)
    return (chosen >> (position & 31).astype(np.uint64)) & _U1 != 0


def bits_at(words: list[np.ndarray], position: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` bits (uint64, at most 32) of an unsigned number, from each position up.

    Positions may lie outside the number, where its bits are 0.
    """
    index = position >> 5
    low, high = np.zeros_like(words[0]), np.zeros_like(words[0])
    for i, word in enumerate(words):
        low |= np.where(index == i, word, 0)
        high |= np.where(index == i - 1, word, 0)
    pair = low | (high << _U32)
    return (pair >> (position & 31).astype(np.uint64)) & np.uint64((1 << count) - 1)


def normalise(words: np.ndarray) -> None:
    """Move carries up, in place, so that all words but the top lie in ``[0, 2**32)``.

    The top word keeps its low 32 bits, read as two's complement: the number is reduced modulo
    ``2**(32 * words)`` to a signed value.
    """
    for i in range(len(words) - 1):
        words[i + 1] += words[i] >> WORD
        words[i] &= _SIGNED_MASK
    top = words[-1]
    top &= _SIGNED_MASK
    top ^= 1 << (WORD - 1)
    top -= 1 << (WORD - 1)


def constant(value: int, words: int) -> np.ndarray:
    """Return a Python integer as normalised signed words, a column ready to broadcast."""
    low = [(value >> (WORD * i)) & int(_MASK) for i in range(words - 1)]
    return np.array([*low, value >> (WORD * (words - 1))], dtype=np.int64)[:, np.newaxis]


def magnitude(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split normalised signed words of shape (words, n) into sign (bool) and unsigned words."""
    negative = words[-1] < 0
    size = np.where(negative, -words, words)
    for i in range(len(size) - 1):
        size[i + 1] += size[i] >> WORD
        size[i] &= _SIGNED_MASK
    return negative, size.view(np.uint64)


def round_at(words: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Shift unsigned words of shape (words, n) right by ``position``, to nearest, ties to even.

    Returns
    -------
    rounded : (words, n) array of uint64
    inexact : (n,) array of bool
    """
    skip, offset = divmod(position, WORD)
    # A word of zeros below, so that the guard bit always lies in a word, and enough of them above.
    padded = np.zeros((len(words) + skip + 2, words.shape[1]), dtype=np.uint64)
    padded[1 : len(words) + 1] = words
    low, high = padded[skip + 1 : -1], padded[skip + 2 :]
    kept = (low >> np.uint64(offset)) | ((high << np.uint64(WORD - offset)) & _MASK)
    below = padded[: skip + 2].copy()
    below[-1] &= np.uint64((1 << offset) - 1)
    guard_word, guard_place = divmod(WORD + position - 1, WORD)
    guard = (below[guard_word] >> np.uint64(guard_place)) & _U1
    inexact = (below != 0).any(axis=0)
    below[guard_word] &= ~np.uint64(1 << guard_place)
    carry = guard & (kept[0] | (below != 0).any(axis=0))
    for word in kept:
        word += carry
        carry = word >> _U32
        word &= _MASK
    return kept, inexact


def top_bits(words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the leading 64 bits of unsigned words of shape (words, n).

    Returns
    -------
    significand : (n,) array of uint64
        The whole number where it is shorter than 64 bits, else its leading 64 bits.
    position : (n,) array of int64
        Position of the significand's lowest bit.
    sticky : (n,) array of bool
        Whether a nonzero bit lies below it.
    """
    count = len(words)
    occupied = words != 0
    top = count - 1 - np.argmax(occupied[::-1], axis=0)
    bottom = np.argmax(occupied, axis=0)
    leading = _take(words, top)
    length = np.where(leading != 0, bit_length(leading) + WORD * top, 0)
    position = np.maximum(length - 64, 0)
    lowest = trailing_zeros(_take(words, bottom)) + WORD * bottom
    first = position >> 5
    offset = (position & 31).astype(np.uint64)
    low = _take(words, first) | (_take(words, first + 1) << _U32)
    high = _take(words, first + 2)
    # Two shifts, since a shift by 64 is undefined where the offset is 0.
    significand = (low >> offset) | ((high << _U1) << (np.uint64(63) - offset))
    return significand, position, (length > 0) & (lowest < position)


def _take(words: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Pick one word an element; words beyond the top are 0."""
    inside = np.minimum(index, len(words) - 1)
    chosen = np.take_along_axis(words, inside[np.newaxis], axis=0)[0]
    return np.where(index < len(words), chosen, np.uint64(0))
