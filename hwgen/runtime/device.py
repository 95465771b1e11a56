"""Matrix products on a device: the emitted Verilog inside this process, or whatever else offers
the functions of ``csrc/hwgen.h``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from hwgen.emit.folder import open_build
from hwgen.errors import SpecError, ToolError
from hwgen.model import untile
from hwgen.model.blocks import beats_of
from hwgen.model.gemm import check_operands
from hwgen.model.rounding import empty_result
from hwgen.runtime.device_library import compile_device
from hwgen.spec.design import Design

__all__ = ["Device", "DeviceState", "compile_device", "device_gemm_bits"]

_ERROR_BYTES = 1024
_STAGE_BYTES = 16 << 20  # of operand patterns that are handed over at once

_Pair = tuple[np.ndarray, np.ndarray]


class _State(ctypes.Structure):
    """``hwgen_device_state``."""

    _fields_ = [
        ("rows", ctypes.c_int64),
        ("cols", ctypes.c_int64),
        ("dot", ctypes.c_int64),
        ("cycles", ctypes.c_uint64),
        ("beats", ctypes.c_uint64),
        ("digest", ctypes.c_char * 65),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What a device is and what it has done.

    Parameters
    ----------
    rows, cols : int
    dot : int
        Products that an element adds in one cycle.
    cycles : int
        Clock cycles since it was opened, from the first beat offered to the last row taken of each
        run.
    beats : int
        Beats of operands taken.
    digest : str
        Of its design.
    """

    rows: int
    cols: int
    dot: int
    cycles: int
    beats: int
    digest: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with padding included."""
        return self.rows * self.cols * self.dot * self.beats

    @property
    def utilisation(self) -> float:
        """Part of the cycles that brought operands into the array; 0 before the first run."""
        return self.beats / self.cycles if self.cycles else 0.0

    def seconds(self, freq_mhz: float) -> float:
        """Time that the cycles take at a clock frequency in MHz."""
        return self.cycles / (freq_mhz * 1e6)


class Device:
    """An open device. Use it in a ``with`` statement, or close it.

    Parameters
    ----------
    library : path
        A shared library with ``hwgen_device_open`` and so on (:func:`compile_device`).
    design : Design
        What it must be of.

    Raises
    ------
    ToolError
        If the library is missing, broken, or of another design.
    """

    def __init__(self, library: str | Path, design: Design) -> None:
        self._design = design
        self._device = None
        self._library = _load(Path(library))
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        self._device = self._library.hwgen_device_open(error, _ERROR_BYTES)
        if not self._device:
            raise ToolError(error.value.decode(errors="replace"))
        state = self.state()
        if state.digest != design.digest:
            self.close()
            raise ToolError(
                f"{library} is of another design: its digest is {state.digest[:16]}..., and that of"
                f" {design.name} is {design.digest[:16]}...",
                hint="compile it again from the design's build folder",
            )

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, a: np.ndarray, b: np.ndarray) -> _Pair:
        """Run blocks back to back.

        Parameters
        ----------
        a : (blocks, beats, rows * dot) array of patterns
        b : (blocks, beats, cols * dot) array of patterns
            Beats in the order of the streams (:func:`~hwgen.model.operand_beats`), at least one.

        Returns
        -------
        c : (blocks, rows, cols) array of patterns
            Or (blocks, rows, cols, words) uint64 for raw registers beyond 64 bits.
        status : (blocks, rows, cols) array of uint8

        Raises
        ------
        SpecError
            If the shapes are not these.
        ToolError
            If the core broke a rule of its streams or came to a standstill; it runs no more then.
        """
        path = self._design.datapath
        a = np.ascontiguousarray(a, path.a.dtype)
        b = np.ascontiguousarray(b, path.b.dtype)
        blocks, beats = a.shape[:2] if a.ndim == 3 else (0, 0)
        rows, cols = self._design.rows, self._design.cols
        wide, tall = rows * path.dot, cols * path.dot
        if (a.shape, b.shape) != ((blocks, beats, wide), (blocks, beats, tall)) or beats < 1:
            raise SpecError(
                f"a has shape {a.shape} and b has shape {b.shape}; they must be"
                f" (blocks, beats, {wide}) and (blocks, beats, {tall}) with at least one beat"
            )
        c, status = (
            array.reshape(blocks, rows, *array.shape[1:])
            for array in empty_result(blocks * rows, cols, path)
        )
        buffers = (array.ctypes.data for array in (a, b, c, status))
        if self._library.hwgen_device_run(self._open(), blocks, beats, *buffers):
            reason = self._library.hwgen_device_reason(self._open())
            raise ToolError(
                f"the circuit failed: {reason.decode(errors='replace')}",
                hint="please report this design as a fault of hwgen",
            )
        return c, status

    def state(self) -> DeviceState:
        """Return what the device has done so far."""
        state = _State()
        self._library.hwgen_device_state(self._open(), ctypes.byref(state))
        return DeviceState(
            rows=state.rows,
            cols=state.cols,
            dot=state.dot,
            cycles=state.cycles,
            beats=state.beats,
            digest=state.digest.decode("ascii", errors="replace"),
        )

    def close(self) -> None:
        """Give the device back; a second time does nothing."""
        if self._device:
            self._library.hwgen_device_close(self._device)
            self._device = None

    def _open(self) -> int:
        if not self._device:
            raise SpecError("the device is closed; open another one")
        return self._device


def _load(path: Path) -> ctypes.CDLL:
    """Load a library; raises ToolError if it is missing, broken or no device."""
    try:
        library = ctypes.CDLL(str(path))
        address, size = ctypes.c_void_p, ctypes.c_int64
        library.hwgen_device_open.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        library.hwgen_device_open.restype = address
        library.hwgen_device_run.argtypes = [address, size, size, *[address] * 4]
        library.hwgen_device_run.restype = ctypes.c_int
        library.hwgen_device_state.argtypes = [address, address]
        library.hwgen_device_state.restype = None
        library.hwgen_device_reason.argtypes = [address]
        library.hwgen_device_reason.restype = ctypes.c_char_p
        library.hwgen_device_close.argtypes = [address]
        library.hwgen_device_close.restype = None
    except (OSError, AttributeError) as error:
        raise ToolError(
            f"{path} is no device that can be loaded: {error}",
            hint="compile it again from the design's build folder",
        ) from None
    return library


def device_gemm_bits(
    build: str | Path, a_bits: np.ndarray, b_bits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, DeviceState]:
    """Multiply two matrices of bit patterns on a build's Verilog, inside this process.

    The product is tiled over the array, blocks back to back and padded with zeros; it is compiled
    once and kept in the user's cache.

    Parameters
    ----------
    build : path
        A folder made by ``hwgen generate``.
    a_bits : (m, k) array of patterns
    b_bits : (k, n) array of patterns

    Returns
    -------
    c_bits, status : arrays
        As :func:`hwgen.model.gemm_bits` gives them.
    state : DeviceState
        What the array did; its cycles are those of this product.

    Raises
    ------
    SpecError, FormatError
        If the folder is no build, or the matrices do not fit.
    UnsupportedError
        If the design takes start values.
    ToolError
        If a tool is missing or fails, or the circuit does.
    """
    design = open_build(build).design
    a_bits, b_bits = check_operands(a_bits, b_bits, design.datapath)
    if 0 in a_bits.shape or 0 in b_bits.shape:
        raise SpecError(
            f"a has shape {a_bits.shape} and b has shape {b_bits.shape};"
            " every dimension must be at least 1 to run on the array"
        )
    dot = design.datapath.dot
    a_tiles, b_tiles = _tiles(a_bits.T, design.rows, dot), _tiles(b_bits, design.cols, dot)
    results = []
    with Device(compile_device(build), design) as device:
        for i, j in _stages(a_tiles, b_tiles):
            results.append(device.run(a_tiles[i], b_tiles[j]))
        state = device.state()
    size = (a_bits.shape[0], b_bits.shape[1])
    c_bits, status = (untile(np.concatenate(parts), *size) for parts in zip(*results, strict=True))
    return c_bits, status, state


def _tiles(operand: np.ndarray, lanes: int, dot: int) -> np.ndarray:
    """Cut a (terms, count) operand into (tiles, beats, lanes * dot), padded with zeros."""
    terms, count = operand.shape
    padded = np.pad(operand, ((0, 0), (0, -count % lanes)))
    tiles = padded.reshape(terms, -1, lanes).swapaxes(0, 1)
    return np.stack([beats_of(tile, dot) for tile in tiles])


def _stages(a_tiles: np.ndarray, b_tiles: np.ndarray) -> Iterator[_Pair]:
    """Yield the tiles of A and of B that meet, in row-major order of C, some blocks at a time."""
    total = len(a_tiles) * len(b_tiles)
    step = max(1, _STAGE_BYTES // (a_tiles[0].nbytes + b_tiles[0].nbytes))
    for first in range(0, total, step):
        yield np.divmod(np.arange(first, min(total, first + step)), len(b_tiles))
