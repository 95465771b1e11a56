"""The compiled kernels: where they are, and their C interface (``csrc/hwgen.h``)."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["Matrix", "instruction_sets", "kernels", "library_path", "read_datapath"]

FLOAT64 = 1  # hwgen_scalar
_ERROR_BYTES = 1024


class Matrix(ctypes.Structure):
    """``hwgen_matrix``: a matrix of machine numbers with the strides of rows and columns."""

    _fields_ = [("data", ctypes.c_void_p), ("row", ctypes.c_int64), ("column", ctypes.c_int64)]


def library_path(name: str) -> Path:
    """Return the file of a compiled library, ``hwgen`` or ``hwgen_blas``.

    It lies beside this module in an installed package. In an editable installation the modules are
    those of the checkout, and the library stands where the installation put it.

    Raises
    ------
    ToolError
        If it was not built.
    """
    file = f"lib{name}{'.dylib' if sys.platform == 'darwin' else '.so'}"
    folders = [Path(__file__).parent]
    folders += [Path(entry) / "hwgen" / "runtime" for entry in sys.path]
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    raise ToolError(
        f"{file} was not found beside {Path(__file__).name} or in any installed hwgen",
        hint="run scripts/setup, or reinstall hwgen with a C compiler at hand",
    )


@lru_cache(maxsize=1)
def kernels() -> ctypes.CDLL:
    """Load the kernels, once."""
    library = ctypes.CDLL(str(library_path("hwgen")))
    text, address, size, number = (
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int,
    )
    library.hwgen_datapath_read.argtypes = [text, text, ctypes.c_size_t]
    library.hwgen_datapath_read.restype = address
    library.hwgen_datapath_free.argtypes = [address]
    library.hwgen_datapath_free.restype = None
    library.hwgen_gemm_bits.argtypes = [address, *[size] * 3, *[address] * 4, text, number]
    library.hwgen_gemm_bits.restype = number
    library.hwgen_gemm_values.argtypes = [
        *(address, number, size, size, size, Matrix, Matrix),
        *(address, size, address, text, number),
    ]
    library.hwgen_gemm_values.restype = number
    library.hwgen_encode.argtypes = [address, number, number, size, address, size, address]
    library.hwgen_encode.restype = number
    library.hwgen_decode.argtypes = [address, number, number, size, address, address, size]
    library.hwgen_decode.restype = None
    library.hwgen_engines.argtypes = []
    library.hwgen_engines.restype = ctypes.POINTER(text)
    return library


@lru_cache(maxsize=1)
def instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that this machine's kernels can use, best first."""
    names = []
    for name in kernels().hwgen_engines():
        if name is None:
            break
        names.append(name.decode())
    return tuple(names)


@lru_cache(maxsize=256)
def read_datapath(description: str) -> int:
    """Return the address of a ``hwgen_datapath``; it lives as long as the process."""
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    datapath = kernels().hwgen_datapath_read(description.encode(), error, _ERROR_BYTES)
    if not datapath:
        raise ToolError(
            error.value.decode(errors="replace"), hint="the library does not fit these modules"
        )
    return datapath
