"""Matrix products, bit for bit as the generated hardware computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwgen.errors import FormatError, SpecError, UnsupportedError
from hwgen.formats import Format
from hwgen.model import exact, exact_float_sum
from hwgen.model.accumulator import accumulate
from hwgen.model.block_sum import block_sum
from hwgen.model.float_sum import float_sum_gemm
from hwgen.model.operands import Operand, exact_lane_scales, special_products
from hwgen.model.random_words import random_words
from hwgen.model.rounding import INVALID, empty_result, finish
from hwgen.model.start import Start
from hwgen.spec.datapath import Datapath

__all__ = ["check_operands", "gemm", "gemm_bits"]

# Elements of a tile, chosen so that the working arrays of one step stay in the second-level cache.
_LANE_SIDE = 128
_LIMB_WORDS = 1 << 16

_Pair = tuple[np.ndarray, np.ndarray]


def gemm_bits(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    datapath: Datapath,
    *,
    engine: str = "numpy",
    lanes: tuple[int, int] | None = None,
    start: np.ndarray | _Pair | None = None,
) -> _Pair:
    """Multiply two matrices of bit patterns.

    Parameters
    ----------
    a_bits : (m, k) array of unsigned patterns of ``datapath.a``
    b_bits : (k, n) array of unsigned patterns of ``datapath.b``
        Of any integer dtype.
    datapath : Datapath
    engine : {"numpy", "exact"}
        The vectorised route, or Python integers one dot product at a time
        (:mod:`hwgen.model.exact`). Both give the same bits.
    lanes : tuple of two ints, optional
        Rows and columns of the array that computes the product tile by tile; by default one that
        holds all of it. Only stochastic rounding asks for it.
    start : array or tuple of two arrays, optional
        Raw registers that the sums are added to, as ``out=raw`` gives them, and perhaps their
        status: ``round(acc + start)``. Window accumulators only.

    Returns
    -------
    c_bits : (m, n) array of ``datapath.out.dtype``
        Result patterns. For ``out=raw`` the two's complement register: the narrowest unsigned
        dtype up to 64 bits, beyond that (m, n, ceil(W/64)) uint64 words, the lowest first, with
        zeros above bit W-1.
    status : (m, n) array of uint8
        Bit 0 invalid, bit 1 overflow, bit 2 inexact.

    Raises
    ------
    FormatError
        If an array does not hold patterns of its format.
    SpecError
        If the shapes do not fit, the engine is unknown, ``lanes`` are not positive, or a start is
        given to a floating-point sum.

    Notes
    -----
    k ascends from 0; k = 0 gives +0. The fine points of the semantics are written down in
    :mod:`hwgen.model.exact` and, for floating-point sums, :mod:`hwgen.model.exact_float_sum`.

    With ``round=stochastic`` a result depends on the tiling: element (m, n) is rounded with the
    random numbers of row ``m % rows`` and column ``n % cols`` of the array, which start anew with
    each block (:mod:`hwgen.spec.dither`). A product that is one block needs no ``lanes``.

    The start is the last summand of each sum, so that the sum over K may be split: with ``out=raw``
    the result and status of one part are the start of the next, and the last part's are those of
    the whole. That holds bit for bit where no range event occurs and no product is infinite
    (a raw register holds no infinity: it is invalid then), but not with ``round=stochastic``,
    whose random numbers count from the start of a block.
    """
    if engine not in _ENGINES:
        raise SpecError(f"unknown engine {engine!r}; known are {', '.join(_ENGINES)}")
    if lanes is not None and min(lanes) < 1:
        raise SpecError(f"lanes is {lanes}; the rows and columns of an array are 1 or more each")
    a_bits, b_bits = check_operands(a_bits, b_bits, datapath)
    whole = (max(1, a_bits.shape[0]), max(1, b_bits.shape[1]))
    started = None
    if start is not None:
        started = Start.of(start, datapath, (a_bits.shape[0], b_bits.shape[1]))
    return _ENGINES[engine](a_bits, b_bits, datapath, lanes or whole, started)


def gemm(a: np.ndarray, b: np.ndarray, datapath: Datapath, *, engine: str = "numpy") -> np.ndarray:
    """Multiply two matrices of real numbers in the arithmetic of a datapath.

    Parameters
    ----------
    a : (m, k) array of real numbers
    b : (k, n) array of real numbers
        Rounded to the operand formats first; blocks of block-scaled formats extend along k.
    datapath : Datapath
    engine : str
        As in :func:`gemm_bits`.

    Returns
    -------
    (m, n) array of float64
        Result values; NaN where the result is invalid, also for output formats without NaN. For
        ``out=raw`` the register's value.

    Raises
    ------
    UnsupportedError
        If ``out=raw`` and the register is wider than 53 bits, which float64 cannot hold.
    """
    out = datapath.out
    if out is None and datapath.window.width > 53:
        raise UnsupportedError(
            f"the raw register has {datapath.window.width} bits and float64 holds 53;"
            " call gemm_bits, or choose an output format"
        )
    a_bits = datapath.a.from_float(_real_matrix(a, "a"), axis=1)
    b_bits = datapath.b.from_float(_real_matrix(b, "b"), axis=0)
    bits, status = gemm_bits(a_bits, b_bits, datapath, engine=engine)
    if out is None:
        spare = 64 - datapath.window.width
        signed = (bits.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> spare
        values = np.ldexp(signed.astype(np.float64), datapath.window.lsb)
    else:
        values = out.to_float(bits)
    return np.where(status & INVALID, np.nan, values)


def check_operands(a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath) -> _Pair:
    """Return the operands in their formats' dtypes, or raise as :func:`gemm_bits` does."""
    a_bits = _patterns(a_bits, "a", datapath.a)
    b_bits = _patterns(b_bits, "b", datapath.b)
    if a_bits.shape[1] != b_bits.shape[0]:
        raise SpecError(
            f"a has shape {a_bits.shape} and b has shape {b_bits.shape};"
            " the columns of a must be as many as the rows of b"
        )
    return a_bits, b_bits


def _patterns(bits: np.ndarray, what: str, fmt: Format) -> np.ndarray:
    bits = np.asarray(bits)
    if bits.ndim != 2:
        raise SpecError(f"{what} has shape {bits.shape}; it must be a matrix (two dimensions)")
    if bits.size == 0:
        return bits.astype(fmt.dtype)
    if bits.dtype.kind not in "iu":
        raise FormatError(
            f"{what} has dtype {bits.dtype}; patterns of {fmt.name} are unsigned integers"
            " (gemm takes real numbers)"
        )
    low, high = int(bits.min()), int(bits.max())
    limit = (1 << fmt.width) - 1
    if low < 0 or high > limit:
        raise FormatError(
            f"{what} holds {low if low < 0 else high}, which is no pattern of {fmt.name};"
            f" allowed is 0 to {limit}"
        )
    return bits.astype(fmt.dtype)


def _real_matrix(values: np.ndarray, what: str) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise FormatError(f"{what} has dtype {values.dtype}; it must hold real numbers")
    return values.astype(np.float64)


def _numpy_engine(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    datapath: Datapath,
    lanes: tuple[int, int],
    start: Start | None,
) -> _Pair:
    if datapath.block_terms:
        return _block_engine(a_bits, b_bits, datapath, start)
    a, b = Operand.unpack(a_bits, datapath.a), Operand.unpack(b_bits, datapath.b)
    if datapath.float_sum is not None:
        return float_sum_gemm(a, b, datapath)
    rows, cols = a_bits.shape[0], b_bits.shape[1]
    c_bits, status = empty_result(rows, cols, datapath)
    random = random_words(datapath.window, (rows, a_bits.shape[1], cols), lanes)
    side = _tile_side(a, b, datapath)
    for top in range(0, rows, side):
        tall = slice(top, top + side)
        for left in range(0, cols, side):
            wide = slice(left, left + side)
            tile_a, tile_b = a[tall], b[:, wide]
            dither = random and random.tile(tall, wide)
            sums = accumulate(tile_a, tile_b, datapath.window, dither)
            specials = special_products(tile_a, tile_b)
            if start is not None:
                sums, specials = start[tall, wide].add(sums, specials, datapath.window)
            c_bits[tall, wide], status[tall, wide] = finish(sums, specials, datapath)
    return c_bits, status


def _block_engine(
    a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath, start: Start | None
) -> _Pair:
    """A summand a scale block; needs no lanes, since it is not rounded at random."""
    rows, cols = a_bits.shape[0], b_bits.shape[1]
    c_bits, status = empty_result(rows, cols, datapath)
    side = _limb_side(datapath)
    for top in range(0, rows, side):
        tall = slice(top, top + side)
        for left in range(0, cols, side):
            wide = slice(left, left + side)
            sums, specials = block_sum(a_bits[tall], b_bits[:, wide], datapath)
            if start is not None:
                sums, specials = start[tall, wide].add(sums, specials, datapath.window)
            c_bits[tall, wide], status[tall, wide] = finish(sums, specials, datapath)
    return c_bits, status


def _tile_side(a: Operand, b: Operand, datapath: Datapath) -> int:
    if exact_lane_scales(a, b, datapath.window.lsb) is not None:
        return _LANE_SIDE
    return _limb_side(datapath)


def _limb_side(datapath: Datapath) -> int:
    return max(8, int((_LIMB_WORDS / (8 + datapath.window.width / 32)) ** 0.5))


def _exact_engine(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    datapath: Datapath,
    lanes: tuple[int, int],
    start: Start | None,
) -> _Pair:
    c_bits, status = empty_result(a_bits.shape[0], b_bits.shape[1], datapath)
    rows, columns = a_bits.tolist(), b_bits.T.tolist()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if datapath.float_sum is not None:
                bits, status[i, j] = exact_float_sum.dot(row, column, datapath)
            else:
                place = (i % lanes[0], j % lanes[1])
                added = None if start is None else start.element(i, j)
                bits, status[i, j] = exact.dot(row, column, datapath, lanes=place, start=added)
            if c_bits.ndim == 3:
                for word in range(c_bits.shape[2]):
                    c_bits[i, j, word] = bits >> (64 * word) & 0xFFFF_FFFF_FFFF_FFFF
            else:
                c_bits[i, j] = bits
    return c_bits, status


_Engine = Callable[[np.ndarray, np.ndarray, Datapath, tuple[int, int], Start | None], _Pair]
_ENGINES: dict[str, _Engine] = {
    "numpy": _numpy_engine,
    "exact": _exact_engine,
}
