"""Time a sum takes on this processor: methods in C, and hwgen's arithmetic in software."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["FLAGS", "METHODS", "OPERATIONS", "compiled", "seconds_of", "software_times", "sum_of"]

SOURCE = Path(__file__).with_name("sea_surface_sums.c")
FLAGS = ("-std=gnu11", "-O2", "-ffp-contract=off")
# By the names of sea_surface_height.METHODS.
METHODS = {
    "binary64": "binary64",
    "80-bit extended": "extended",
    "binary128": "quadruple",
    "Kahan": "kahan",
    "Neumaier": "neumaier",
    "double-double": "double_double",
}
# What a processor does for each number that is added.
OPERATIONS = {
    "binary64": "1 addition",
    "80-bit extended": "1 addition (x87)",
    "binary128": "1 addition in software",
    "Kahan": "4 additions",
    "Neumaier": "4 additions, 1 comparison",
    "double-double": "13 additions",
}
ROUNDS = 7  # the fastest of them counts: others are disturbed


def compiled() -> ctypes.CDLL | None:
    """Compile the methods; None where there is no GCC, or it has no such types."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "sums.so"
        command = [compiler, *FLAGS, "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-lm"]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        found = ctypes.CDLL(str(library))
    for name in METHODS.values():
        getattr(found, name).restype = ctypes.c_double
    found.seconds.restype = ctypes.c_double
    return found


def sum_of(library: ctypes.CDLL, name: str, values: np.ndarray) -> float:
    """Add (n,) doubles from left to right by a method of ``METHODS``."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    method = getattr(library, METHODS[name])
    return method(ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(len(values)))


def seconds_of(library: ctypes.CDLL, name: str, values: np.ndarray, repeats: int) -> float:
    """Time of one sum of (n,) doubles by a method of ``METHODS``."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    arguments = (
        getattr(library, METHODS[name]),
        ctypes.c_void_p(values.ctypes.data),
        ctypes.c_size_t(len(values)),
        ctypes.c_int(repeats),
    )
    return min(library.seconds(*arguments) for _ in range(ROUNDS))


def software_times(
    values: np.ndarray, hardware: Callable[[np.ndarray], np.ndarray], *, repeats: int = 50
) -> dict[str, float]:
    """Nanoseconds a number by method, one core; what cannot be timed here is left out.

    Parameters
    ----------
    values : (n,) array of float64
    hardware : callable
        Takes (n, orders) numbers; timed on 32 sums at once, under the name "hwgen".
    repeats : int
        Sums that are timed together.
    """
    found = {}
    library = compiled()
    if library is not None:
        for name in METHODS:
            found[name] = 1e9 * seconds_of(library, name, values, repeats) / len(values)
    many = np.repeat(values[:, np.newaxis], 32, axis=1)
    taken = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        hardware(many)
        taken.append(time.perf_counter() - begin)
    found["hwgen"] = 1e9 * min(taken) / many.size
    return found
