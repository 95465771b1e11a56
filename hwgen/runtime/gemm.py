"""Matrix products through the C kernels; the golden model's routes by name."""

from __future__ import annotations

import ctypes

import numpy as np

from hwgen import model
from hwgen.errors import SpecError
from hwgen.formats.arrays import as_float64, refuse_nan
from hwgen.model.gemm import check_operands
from hwgen.model.rounding import empty_result
from hwgen.runtime.description import describe
from hwgen.runtime.library import FLOAT64, Matrix, instruction_sets, kernels, read_datapath
from hwgen.spec.datapath import Datapath

__all__ = ["gemm", "gemm_bits"]

_MODEL_ENGINES = ("numpy", "exact")
_FAILURES = {1: MemoryError("the C kernels found no memory for their work arrays")}

_Pair = tuple[np.ndarray, np.ndarray]


def gemm_bits(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    datapath: Datapath,
    *,
    engine: str = "c",
    lanes: tuple[int, int] | None = None,
    start: np.ndarray | _Pair | None = None,
    threads: int = 1,
) -> _Pair:
    """Multiply two matrices of bit patterns.

    As :func:`hwgen.model.gemm_bits`, bit for bit, with these arguments more:

    Parameters
    ----------
    engine : {"c", "c:portable", "c:avx2", "c:avx512", "numpy", "exact"}
        The C kernels with the best or with a named instruction set of this machine, or one of the
        golden model's routes. With a ``start`` the C kernels leave the work to ``numpy``.
    threads : int
        Processor cores that the C kernels may use; 0 for all.

    Raises
    ------
    FormatError, SpecError
        As the model does, and for an engine that this machine does not have.
    ToolError
        If the kernels were not built.
    """
    if engine in _MODEL_ENGINES:
        return model.gemm_bits(a_bits, b_bits, datapath, engine=engine, lanes=lanes, start=start)
    instructions = _instructions(engine)
    if start is not None:
        return model.gemm_bits(a_bits, b_bits, datapath, lanes=lanes, start=start)
    if lanes is not None and min(lanes) < 1:
        raise SpecError(f"lanes is {lanes}; the rows and columns of an array are 1 or more each")
    a_bits, b_bits = (np.ascontiguousarray(x) for x in check_operands(a_bits, b_bits, datapath))
    c_bits, status = empty_result(a_bits.shape[0], b_bits.shape[1], datapath)
    _check(
        kernels().hwgen_gemm_bits(
            read_datapath(describe(datapath, lanes=lanes)),
            *(a_bits.shape[0], b_bits.shape[1], a_bits.shape[1]),
            *(array.ctypes.data for array in (a_bits, b_bits, c_bits, status)),
            instructions,
            _threads(threads),
        )
    )
    return c_bits, status


def gemm(
    a: np.ndarray,
    b: np.ndarray,
    datapath: Datapath,
    *,
    engine: str = "c",
    threads: int = 1,
) -> np.ndarray:
    """Multiply two matrices of real numbers in the arithmetic of a datapath.

    Parameters
    ----------
    a : (m, k) array of real numbers
    b : (k, n) array of real numbers
        Rounded to the operand formats first; blocks of block-scaled formats extend along k.
    datapath : Datapath
    engine, threads
        As in :func:`gemm_bits`.

    Returns
    -------
    (m, n) array of float64
        Result values; NaN where the result is invalid, also for output formats without NaN. For
        ``out=raw`` the register's value.

    Raises
    ------
    FormatError, SpecError, UnsupportedError, ToolError
        As :func:`hwgen.model.gemm` and :func:`gemm_bits` do.
    """
    if engine in _MODEL_ENGINES:
        return model.gemm(a, b, datapath, engine=engine)
    instructions = _instructions(engine)
    if datapath.out is None:
        return model.gemm(a, b, datapath)
    a, b = _values(a, "a", datapath.a), _values(b, "b", datapath.b)
    if a.shape[1] != b.shape[0]:
        raise SpecError(
            f"a has shape {a.shape} and b has shape {b.shape};"
            " the columns of a must be as many as the rows of b"
        )
    c = np.zeros((a.shape[0], b.shape[1]))
    _check(
        kernels().hwgen_gemm_values(
            read_datapath(describe(datapath)),
            FLOAT64,
            *(a.shape[0], b.shape[1], a.shape[1]),
            *(Matrix(x.ctypes.data, *(stride // 8 for stride in x.strides)) for x in (a, b)),
            *(c.ctypes.data, c.shape[1], None),
            instructions,
            _threads(threads),
        )
    )
    return c


def _values(values: np.ndarray, what: str, fmt) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2:
        raise SpecError(f"{what} has shape {values.shape}; it must be a matrix (two dimensions)")
    values = as_float64(values, fmt)
    if not fmt.has_nan:
        refuse_nan(np.isnan(values), fmt.name)
    if any(stride % 8 for stride in values.strides):
        values = np.ascontiguousarray(values)
    return values


def _instructions(engine: str) -> bytes | None:
    """Return the C name of an engine's instruction set; None for the best."""
    known = ("c", *(f"c:{name}" for name in instruction_sets()))
    if engine not in known:
        raise SpecError(
            f"unknown engine {engine!r}; known here are {', '.join((*known, *_MODEL_ENGINES))}"
        )
    return engine[2:].encode() or None


def _threads(threads: int) -> ctypes.c_int:
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
        raise SpecError(f"threads is {threads!r}; it must be a number of cores, or 0 for all")
    return ctypes.c_int(min(threads, 1 << 16))


def _check(failure: int) -> None:
    if failure:
        raise _FAILURES.get(failure, AssertionError(f"the C kernels returned {failure}"))
