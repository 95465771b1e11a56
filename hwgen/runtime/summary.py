"""What a run came to: the counters of all its processes added up, and a judgement of them."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hwgen import model
from hwgen.errors import ToolError
from hwgen.runtime.session import RunSettings
from hwgen.spec.datapath import Datapath

__all__ = ["ArrayUse", "RunSummary", "SymbolUse", "Unreachable", "numpy_advice", "read_summary"]

# The layout of counters.<pid> (csrc/blas/counters.c).
_HEADER = struct.Struct("<8sIIII")
_DEVICE = struct.Struct("<5Q")
_RECORD = struct.Struct("<40s6Qd")
_NO_CALLS = (
    "the program multiplies no matrices, or not by a BLAS that it loads as a shared library; or it"
    " was started with an environment of its own (sudo, env -i)"
)
_MAGIC, _VERSION = b"hwgenrun", 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolUse:
    """Calls of one BLAS symbol.

    Attributes
    ----------
    symbol : str
    served_calls, served_flops : int
        Computed in hwgen's arithmetic; flops are additions and multiplications of real numbers.
    native_calls, native_flops : int
        Computed by the original library.
    failed_calls : int
        Of these, calls that hwgen should have served and could not.
    seconds : float
        Spent in served calls.
    max_error : float
        Largest difference from the original library, relative to the largest element; 0 if not
        compared.
    """

    symbol: str
    served_calls: int = 0
    served_flops: int = 0
    native_calls: int = 0
    native_flops: int = 0
    failed_calls: int = 0
    seconds: float = 0.0
    max_error: float = 0.0

    def __add__(self, other: SymbolUse) -> SymbolUse:
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name not in ("symbol", "max_error")
        }
        error = max(self.max_error, other.max_error)
        return SymbolUse(symbol=self.symbol, max_error=error, **sums)

    @property
    def served_share(self) -> float:
        """Part of the flops that was served, 0 to 1; of the calls where none has a flop."""
        served, native = self.served_flops, self.native_flops
        if served + native == 0:
            served, native = self.served_calls, self.native_calls
        return served / (served + native) if served + native else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayUse:
    """What the simulated array did.

    Attributes
    ----------
    rows, cols : int
    dot : int
        Products that an element adds in one cycle.
    cycles : int
        Of the array's clock, all processes together.
    beats : int
        Cycles that took operands.
    """

    rows: int
    cols: int
    dot: int
    cycles: int
    beats: int

    @property
    def utilisation(self) -> float:
        """Part of the cycles that took operands."""
        return self.beats / self.cycles if self.cycles else 0.0

    def useful(self, flops: int) -> float:
        """Part of the array's multiplications that ``flops`` had use for, not edges of tiles."""
        slots = 2 * self.rows * self.cols * self.dot * self.cycles
        return flops / slots if slots else 0.0

    def seconds(self, mhz: float) -> float:
        """Time that the cycles take at a clock frequency."""
        return self.cycles / (mhz * 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """Products that were computed where no preloaded library can see them."""

    what: str
    why: str
    calls: int = 0

    def __str__(self) -> str:
        calls = f" ({self.calls} call{'s' * (self.calls != 1)})" if self.calls else ""
        return f"{self.what}{calls}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """All processes of a run together.

    Attributes
    ----------
    processes : int
        That called BLAS at least once.
    symbols : tuple of SymbolUse
        Most work first.
    array : ArrayUse or None
    unreachable : tuple of Unreachable
    """

    processes: int
    symbols: tuple[SymbolUse, ...]
    array: ArrayUse | None
    unreachable: tuple[Unreachable, ...]

    @property
    def total(self) -> SymbolUse:
        """All symbols together."""
        return sum(self.symbols, SymbolUse(symbol="total"))

    def warnings(self, settings: RunSettings, obstacles: Iterable[str] = ()) -> list[str]:
        """Say in whole sentences what did not run in hwgen's arithmetic.

        ``obstacles`` are known reasons why a program cannot be reached.
        """
        total = self.total
        said = []
        native = settings.datapath is None
        if not self.symbols:
            said.append(f"no BLAS call was seen: {'; '.join(obstacles) or _NO_CALLS}")
        elif native:
            pass  # as asked for
        elif total.served_calls == 0:
            said.append(f"nothing was served: all {_calls(total.native_calls)} ran natively")
        elif total.native_calls:
            said.append(
                f"partly native: {_calls(total.native_calls)} with"
                f" {_percent(1 - total.served_share)} of the operations ran natively"
            )
        if total.native_calls and not native:
            reasons = sorted({self.reason(use, settings) for use in self.symbols} - {""})
            said[-1] += f" because of {', '.join(reasons)}"
        if total.failed_calls:
            said.append(
                f"{_calls(total.failed_calls)} failed in hwgen's arithmetic and ended natively"
            )
        for why in dict.fromkeys(entry.why for entry in self.unreachable):
            entries = [str(entry) for entry in self.unreachable if entry.why == why]
            said.append(f"not reached: {', '.join(entries)}: {why}")
        return said

    def reason(self, use: SymbolUse, settings: RunSettings) -> str:
        """Why calls of a symbol ran natively; empty if none did."""
        if not use.native_calls:
            return ""
        if settings.datapath is None:
            return "--profile"
        if _precision(use.symbol) not in settings.precisions:
            return "--precisions"
        reasons = []
        if use.failed_calls:
            reasons.append("failed")
        if use.native_calls > use.failed_calls:
            rules = ["--min-mnk"] * (settings.min_mnk > 0) + ["--only"] * bool(settings.only)
            reasons.append(" or ".join(rules) or "illegal arguments")
        return ", ".join(reasons)

    def to_dict(self, settings: RunSettings, *, mhz: float | None = None) -> dict[str, Any]:
        """Return what the summary says, ready for JSON; ``mhz`` is the array's clock."""
        return {
            "datapath": "native" if settings.datapath is None else str(settings.datapath),
            "backend": settings.backend,
            "processes": self.processes,
            "symbols": [
                self._use(use, settings) | {"why_native": self.reason(use, settings)}
                for use in self.symbols
            ],
            "total": self._use(self.total, settings),
            "array": None if self.array is None else self._array(self.array, mhz),
            "unreachable": [
                {"what": entry.what, "why": entry.why, "calls": entry.calls}
                for entry in self.unreachable
            ],
        }

    @staticmethod
    def _use(use: SymbolUse, settings: RunSettings) -> dict[str, Any]:
        entry = {field.name: getattr(use, field.name) for field in fields(use)}
        # JSON has no infinities: a product that is infinite or NaN on one side only.
        error = use.max_error if math.isfinite(use.max_error) else "infinite"
        entry["max_error"] = error if settings.check else None
        return entry | {"served_share": use.served_share}

    def _array(self, array: ArrayUse, mhz: float | None) -> dict[str, Any]:
        return {
            "rows": array.rows,
            "cols": array.cols,
            "dot": array.dot,
            "cycles": array.cycles,
            "beats": array.beats,
            "utilisation": array.utilisation,
            "useful": array.useful(self.total.served_flops),
            "mhz": mhz,
            "seconds": None if mhz is None else array.seconds(mhz),
        }


def numpy_advice(datapath: Datapath) -> str:
    """Return what to do about a datapath that NumPy does not start on; empty if it does.

    On import NumPy multiplies two vectors of ones and stops where that is not 2 within 1e-5.
    """
    two = model.gemm([[1.0, 1.0]], [[1.0], [1.0]], datapath)[0, 0]
    if abs(two - 2) < 1e-5:
        return ""
    return (
        f"1*1 + 1*1 is {two:g} in this arithmetic, and NumPy does not start where it is not 2; if"
        " that is what stopped the program, keep tiny products native with --min-mnk 3"
    )


def read_summary(folder: Path) -> RunSummary:
    """Add up what the processes of a run left in its folder.

    Raises
    ------
    ToolError
        If counters are of another layout than this version's.
    """
    uses: dict[str, SymbolUse] = {}
    array = None
    files = sorted(folder.glob("counters.*"))
    for path in files:
        symbols, device = _read_counters(path)
        for use in symbols:
            uses[use.symbol] = uses[use.symbol] + use if use.symbol in uses else use
        if device is not None:
            array = device if array is None else _together(array, device)
    work = sorted(uses.values(), key=lambda use: (-use.served_flops - use.native_flops, use.symbol))
    return RunSummary(
        # After exec() a process counts anew, in a second file.
        processes=len({path.name.split(".")[1] for path in files}),
        symbols=tuple(use for use in work if use.served_calls or use.native_calls),
        array=array,
        unreachable=_read_notes(folder),
    )


def _read_counters(path: Path) -> tuple[list[SymbolUse], ArrayUse | None]:
    data = path.read_bytes()
    start = _HEADER.size + _DEVICE.size
    if len(data) < start:
        return [], None  # ended while it was made
    magic, version, size, used, _ = _HEADER.unpack_from(data)
    if magic == bytes(8):
        return [], None
    if (magic, version, size) != (_MAGIC, _VERSION, _RECORD.size):
        raise ToolError(
            f"{path.name} is version {version} with records of {size} bytes; this hwgen reads"
            f" version {_VERSION} with {_RECORD.size}",
            hint="libhwgen_blas is of another version: reinstall hwgen",
        )
    symbols = []
    for number in range(min(used, (len(data) - start) // size)):
        symbol, *numbers, error = _RECORD.unpack_from(data, start + number * size)
        served_calls, served_flops, native_calls, native_flops, failed, nanoseconds = numbers
        symbols.append(
            SymbolUse(
                symbol=symbol.split(b"\0")[0].decode("ascii", "replace"),
                served_calls=served_calls,
                served_flops=served_flops,
                native_calls=native_calls,
                native_flops=native_flops,
                failed_calls=failed,
                seconds=nanoseconds * 1e-9,
                max_error=error,
            )
        )
    cycles, beats, rows, cols, dot = _DEVICE.unpack_from(data, _HEADER.size)
    device = None
    if rows:
        device = ArrayUse(rows=rows, cols=cols, dot=dot, cycles=cycles, beats=beats)
    return symbols, device


def _together(one: ArrayUse, other: ArrayUse) -> ArrayUse:
    return ArrayUse(
        rows=one.rows,
        cols=one.cols,
        dot=one.dot,
        cycles=one.cycles + other.cycles,
        beats=one.beats + other.beats,
    )


def _read_notes(folder: Path) -> tuple[Unreachable, ...]:
    calls: dict[tuple[str, str], int] = {}
    for path in sorted(folder.glob("unreachable.*.json")):
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # the process ended while writing
        for entry in entries:
            key = entry["what"], entry["why"]
            calls[key] = calls.get(key, 0) + entry["calls"]
    return tuple(Unreachable(what=what, why=why, calls=n) for (what, why), n in calls.items())


def _precision(symbol: str) -> str:
    """Return the letter that the settings know a symbol's precision by."""
    name = symbol.removeprefix("scipy_").removeprefix("cblas_")
    if re.match(r"gemm_|s[bh]gemm", name):
        return "h"
    return "s" if name.startswith("dsdot") else name[:1]  # operands of dsdot are single


def _percent(share: float) -> str:
    return f"{share:.2%}" if share >= 1e-4 else "under 0.01%"


def _calls(count: int) -> str:
    return f"{count} BLAS call{'s' * (count != 1)}"
