"""Matrix products, bit for bit as the generated hardware computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwgen.errors import FormatError, SpecError, UnsupportedError
from hwgen.formats import Format
from hwgen.model import exact
from hwgen.model.accumulator import accumulate
from hwgen.model.operands import Operand, exact_lane_scales, special_products
from hwgen.model.rounding import INVALID, empty_result, finish
from hwgen.spec.datapath import Datapath

__all__ = ["check_operands", "gemm", "gemm_bits"]

# Elements of a tile, chosen so that the working arrays of one step stay in the second-level cache.
_LANE_SIDE = 128
_LIMB_WORDS = 1 << 16

_Pair = tuple[np.ndarray, np.ndarray]


def gemm_bits(
    a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath, *, engine: str = "numpy"
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
        If the shapes do not fit or the engine is unknown.

    Notes
    -----
    k ascends from 0; k = 0 gives +0. The fine points of the semantics are written down in
    :mod:`hwgen.model.exact`.
    """
    if engine not in _ENGINES:
        raise SpecError(f"unknown engine {engine!r}; known are {', '.join(_ENGINES)}")
    a_bits, b_bits = check_operands(a_bits, b_bits, datapath)
    return _ENGINES[engine](a_bits, b_bits, datapath)


def gemm(a: np.ndarray, b: np.ndarray, datapath: Datapath, *, engine: str = "numpy") -> np.ndarray:
    """Multiply two matrices of real numbers in the arithmetic of a datapath.

    Parameters
    ----------
    a : (m, k) array of real numbers
    b : (k, n) array of real numbers
        Rounded to the operand formats first.
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
    window, out = datapath.window, datapath.out
    if out is None and window.width > 53:
        raise UnsupportedError(
            f"the raw register has {window.width} bits and float64 holds 53;"
            " call gemm_bits, or choose an output format"
        )
    a_bits = datapath.a.from_float(_real_matrix(a, "a"))
    b_bits = datapath.b.from_float(_real_matrix(b, "b"))
    bits, status = gemm_bits(a_bits, b_bits, datapath, engine=engine)
    if out is None:
        spare = 64 - window.width
        signed = (bits.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> spare
        values = np.ldexp(signed.astype(np.float64), window.lsb)
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


def _numpy_engine(a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath) -> _Pair:
    a, b = Operand.unpack(a_bits, datapath.a), Operand.unpack(b_bits, datapath.b)
    rows, cols = a_bits.shape[0], b_bits.shape[1]
    c_bits, status = empty_result(rows, cols, datapath)
    side = _tile_side(a, b, datapath)
    for top in range(0, rows, side):
        tall = slice(top, top + side)
        for left in range(0, cols, side):
            wide = slice(left, left + side)
            tile_a, tile_b = a[tall], b[:, wide]
            c_bits[tall, wide], status[tall, wide] = finish(
                accumulate(tile_a, tile_b, datapath.window),
                special_products(tile_a, tile_b),
                datapath,
            )
    return c_bits, status


def _tile_side(a: Operand, b: Operand, datapath: Datapath) -> int:
    if exact_lane_scales(a, b, datapath.window.lsb) is not None:
        return _LANE_SIDE
    return max(8, int((_LIMB_WORDS / (8 + datapath.window.width / 32)) ** 0.5))


def _exact_engine(a_bits: np.ndarray, b_bits: np.ndarray, datapath: Datapath) -> _Pair:
    c_bits, status = empty_result(a_bits.shape[0], b_bits.shape[1], datapath)
    rows, columns = a_bits.tolist(), b_bits.T.tolist()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            bits, status[i, j] = exact.dot(row, column, datapath)
            if c_bits.ndim == 3:
                for word in range(c_bits.shape[2]):
                    c_bits[i, j, word] = bits >> (64 * word) & 0xFFFF_FFFF_FFFF_FFFF
            else:
                c_bits[i, j] = bits
    return c_bits, status


_ENGINES: dict[str, Callable[[np.ndarray, np.ndarray, Datapath], _Pair]] = {
    "numpy": _numpy_engine,
    "exact": _exact_engine,
}
