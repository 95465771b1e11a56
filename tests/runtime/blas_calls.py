"""Calls the BLAS library's symbols as a program does; the cases that do so register here."""

from __future__ import annotations

import ctypes

import numpy as np

ROW, COLUMN = 101, 102
CODES = {"N": 111, "T": 112, "C": 113, "U": 121, "L": 122, "LEFT": 141, "RIGHT": 142}
CODES |= {"NONUNIT": 131, "UNIT": 132}
TYPES = {"s": np.float32, "d": np.float64, "c": np.complex64, "z": np.complex128}
RAND = np.random.default_rng(20)
PAD = 7.5e300  # in memory that nobody may touch; infinity in single precision
CASES = []


def case(function):
    CASES.append(function)
    return function


class Blas:
    """The symbols, called with NumPy arrays and plain numbers."""

    def __init__(self, path: str) -> None:
        self.library = ctypes.CDLL(path)

    def fortran(self, name: str, *arguments: object, integer: type = ctypes.c_int32) -> None:
        """Call by reference; int is an integer, str an option."""
        kept = [_by_reference(value, integer) for value in arguments]
        getattr(self.library, name)(*[pointer for pointer, _ in kept])

    def c(self, name: str, *arguments: object, result: type | None = None) -> object:
        """Call the C interface with 64-bit integers; a NumPy scalar goes as alpha and beta do."""
        function = getattr(self.library, name)
        function.restype = result
        kept = [_by_value(value) for value in arguments]
        return function(*[pointer for pointer, _ in kept])


def _by_reference(value: object, integer: type) -> tuple[object, object]:
    if isinstance(value, str):
        return ctypes.c_char_p(value.encode()), None
    if isinstance(value, int):
        number = integer(value)
        return ctypes.byref(number), number
    array = np.asarray(value)
    return ctypes.c_void_p(array.ctypes.data), array


def _by_value(value: object) -> tuple[object, object]:
    if isinstance(value, int):
        return ctypes.c_int64(value), None
    if isinstance(value, np.float32):
        return ctypes.c_float(value), None
    if isinstance(value, np.float64):
        return ctypes.c_double(value), None
    array = np.asarray(value)
    return ctypes.c_void_p(array.ctypes.data), array


def numbers(letter: str, *shape: int) -> np.ndarray:
    """Small integers: every product and sum is exact in every type."""
    values = RAND.integers(-4, 5, shape).astype(TYPES[letter])
    if letter in "cz":
        values = values + 1j * RAND.integers(-4, 5, shape)
    return values.astype(TYPES[letter])


def stored(matrix: np.ndarray, order: int, spare: int = 2) -> tuple[np.ndarray, int]:
    """Lay a matrix out with ``spare`` untouchable numbers behind each line."""
    lines = matrix if order == ROW else matrix.T
    with np.errstate(over="ignore"):
        room = np.full((lines.shape[0], lines.shape[1] + spare), PAD).astype(matrix.dtype)
    room[:, : lines.shape[1]] = lines
    return np.ascontiguousarray(room), room.shape[1]


def matrix_of(room: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """Read a stored matrix back; what lies behind its lines must be untouched."""
    length = shape[1] if order == ROW else shape[0]
    with np.errstate(over="ignore"):
        assert (room[:, length:] == np.array(PAD).astype(room.dtype)).all(), "wrote behind a line"
    lines = room[:, :length]
    return lines if order == ROW else lines.T


def op(matrix: np.ndarray, transpose: str) -> np.ndarray:
    return {"N": matrix, "T": matrix.T, "C": matrix.conj().T}[transpose]


def same(result: np.ndarray, expected: np.ndarray) -> None:
    assert np.array_equal(result, expected, equal_nan=True), f"{result} is not {expected}"


def scalar(letter: str, value: complex) -> object:
    """A scalar as the C interface wants it: complex ones by address."""
    return TYPES[letter](value) if letter in "sd" else np.array([value], TYPES[letter])
