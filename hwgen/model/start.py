"""Start values: raw registers that a block's sums are added to, at the end.

``out = round(acc + C)``: the start value is the block's last summand, in units of the register.
With no range event that equals starting the sum from C, since the register adds integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwgen.errors import FormatError, SpecError
from hwgen.formats import pattern_dtype
from hwgen.model import limbs
from hwgen.model.accumulator import Sums, settle
from hwgen.model.operands import Specials
from hwgen.spec.accumulator import Window
from hwgen.spec.datapath import Datapath

__all__ = ["Start", "random_start", "start_from_float"]

_INVALID = 1
_OVERFLOW = 2
_INEXACT = 4
_ALL = _INVALID | _OVERFLOW | _INEXACT


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Start values of an (m, n) result, and the status that came with them.

    Parameters
    ----------
    words : (m, n, ceil(W/64)) array of uint64
        Two's complement registers, lowest word first, zeros above bit W-1.
    status : (m, n) array of uint8
    """

    words: np.ndarray
    status: np.ndarray

    @classmethod
    def of(
        cls,
        start: np.ndarray | tuple[np.ndarray, np.ndarray],
        datapath: Datapath,
        shape: tuple[int, int],
    ) -> Start:
        """Check start values as :func:`hwgen.model.gemm.gemm_bits` takes them.

        Parameters
        ----------
        start : array, or tuple of two arrays
            Raw registers, and perhaps their status.
        datapath : Datapath
        shape : tuple of two ints
            m and n.

        Raises
        ------
        SpecError
            If a shape does not fit, or the accumulator is a floating-point sum.
        FormatError
            If an array does not hold registers, or status bits.
        """
        if datapath.float_sum is not None:
            raise SpecError(
                f"start values are raw registers and acc is {datapath.acc}, which has none to load;"
                " use window: or exact:, or add C to the result"
            )
        bits, status = start if isinstance(start, tuple) else (start, None)
        words = _words(np.asarray(bits), datapath.window.width, shape)
        if status is None:
            return cls(words, np.zeros(shape, dtype=np.uint8))
        status = np.asarray(status)
        if status.shape != shape:
            raise SpecError(f"the start's status has shape {status.shape}; it must be {shape}")
        if status.dtype.kind not in "iu" or ((status < 0) | (status > _ALL)).any():
            raise FormatError("the start's status must hold integers of 3 bits: 0 to 7")
        return cls(words, status.astype(np.uint8))

    @classmethod
    def zeros(cls, datapath: Datapath, shape: tuple[int, int]) -> Start:
        """Start values that change nothing."""
        words = np.zeros((*shape, -(-datapath.window.width // 64)), dtype=np.uint64)
        return cls(words, np.zeros(shape, dtype=np.uint8))

    @property
    def bits(self) -> np.ndarray:
        """The registers as :meth:`of` takes them."""
        return self.words if self.words.shape[2] > 1 else self.words[..., 0]

    def __getitem__(self, index) -> Start:
        return Start(self.words[index], self.status[index])

    def element(self, row: int, col: int) -> tuple[int, int]:
        """Register and status of one element, as Python integers."""
        words = self.words[row, col].tolist()
        register = sum(word << (64 * place) for place, word in enumerate(words))
        return register, int(self.status[row, col])

    def add(self, sums: Sums, specials: Specials, window: Window) -> tuple[Sums, Specials]:
        """Add to finished registers, as one more step under the window's overflow rule."""
        register = sums.words.copy()
        register += _limbs(self.words, window.width, len(register))
        limbs.normalise(register)
        flag = {bit: (self.status & bit) != 0 for bit in (_INVALID, _OVERFLOW, _INEXACT)}
        event = sums.event | flag[_OVERFLOW]
        settle(register, event.reshape(-1), window)
        added = Sums(words=register, event=event, dropped=sums.dropped | flag[_INEXACT])
        nan = specials.nan | flag[_INVALID]
        return added, Specials(nan, specials.plus_inf, specials.minus_inf)


def start_from_float(values: np.ndarray, datapath: Datapath) -> np.ndarray:
    """Round numbers to start values: to the nearest multiple of ``2**lsb``, ties to even.

    Parameters
    ----------
    values : (m, n) array of real numbers
    datapath : Datapath
        With a window accumulator.

    Returns
    -------
    (m, n) array, or (m, n, words) of uint64
        Raw registers as :func:`hwgen.model.gemm.gemm_bits` takes them.

    Raises
    ------
    FormatError
        If a number is not finite or no value of the register.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise FormatError(f"the start has dtype {values.dtype}; it must hold real numbers")
    window = datapath.window
    limit = 1 << (window.width - 1)
    unit = Fraction(2) ** window.lsb
    registers = []
    for value in values.reshape(-1).tolist():
        register = round(Fraction(value) / unit) if math.isfinite(value) else limit
        if not -limit <= register < limit:
            raise FormatError(
                f"the start holds {value}, which is no value of the register; allowed is"
                f" -2**{window.msb + window.ovf} to 2**{window.msb + window.ovf} - 2**{window.lsb}"
            )
        registers.append(register % (2 * limit))
    return _as_words(registers, window.width).reshape(*values.shape, *_word_axis(window.width))


def random_start(
    window: Window, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw start values of every magnitude, few near the register's ends, and their status.

    Returns
    -------
    bits : array of ``shape``
        As :func:`hwgen.model.gemm.gemm_bits` gives ``out=raw``; with a last axis of 64-bit words
        for registers of more than 64 bits.
    status : array of uint8 of ``shape``
        Mostly 0.
    """
    count, width = int(np.prod(shape)), window.width
    numbers = []
    for bits in rng.integers(0, width, size=count).tolist():
        magnitude = int.from_bytes(rng.bytes(width // 8 + 1), "little") & ((1 << bits) - 1)
        negative = bool(rng.integers(2))
        numbers.append((-magnitude if negative else magnitude) % (1 << width))
    status = np.where(rng.random(count) < 0.05, rng.integers(0, _ALL + 1, size=count), 0)
    bits = _as_words(numbers, width).reshape(*shape, *_word_axis(width))
    return bits, status.astype(np.uint8).reshape(shape)


def _word_axis(width: int) -> tuple[int, ...]:
    return () if width <= 64 else (-(-width // 64),)


def _as_words(registers: list[int], width: int) -> np.ndarray:
    """Return (n,) registers of up to 64 bits, or (n, words), as ``out=raw`` gives them."""
    if width <= 64:
        return np.array(registers, dtype=np.uint64).astype(pattern_dtype(width))
    places = range(-(-width // 64))
    mask = (1 << 64) - 1
    words = [[register >> (64 * place) & mask for place in places] for register in registers]
    return np.array(words, dtype=np.uint64)


def _words(bits: np.ndarray, width: int, shape: tuple[int, int]) -> np.ndarray:
    count = -(-width // 64)
    wanted = shape if count == 1 else (*shape, count)
    if bits.shape != wanted:
        raise SpecError(
            f"the start has shape {bits.shape}; registers of {width} bits of this product have"
            f" shape {wanted}, as out=raw gives them"
        )
    if bits.dtype.kind not in "iu" or (bits.dtype.kind == "i" and (bits < 0).any()):
        raise FormatError(
            f"the start has dtype {bits.dtype}; registers are unsigned integers (two's complement"
            f" of {width} bits)"
        )
    words = bits.astype(np.uint64).reshape(*shape, count)
    top = width - 64 * (count - 1)
    if top < 64 and (words[..., -1] >> np.uint64(top)).any():
        raise FormatError(f"the start holds a number that is no register of {width} bits")
    return words


def _limbs(words: np.ndarray, width: int, count: int) -> np.ndarray:
    """Return (count, m * n) normalised signed words of registers."""
    flat = words.reshape(-1, words.shape[-1]).T
    halves = np.stack([flat & np.uint64(0xFFFF_FFFF), flat >> np.uint64(limbs.WORD)], axis=1)
    low = halves.reshape(-1, flat.shape[1]).view(np.int64)
    result = np.zeros((count, flat.shape[1]), dtype=np.int64)
    shared = min(count, len(low))
    result[:shared] = low[:shared]
    word, place = divmod(width - 1, limbs.WORD)
    negative = (result[word] >> place) & 1
    result[word] -= negative << (place + 1)
    limbs.normalise(result)
    return result
