"""One run of a program: what it is run with, and the folder through which its processes report.

The folder holds ``config``, which the preloaded BLAS library reads at a process's first call, and
receives ``counters.<pid>`` from the library and ``unreachable.<pid>.json`` from the Python hook.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import SpecError, ToolError, UnsupportedError
from hwgen.runtime.description import describe
from hwgen.runtime.library import library_path, read_datapath
from hwgen.runtime.rules import parse_precisions, parse_rule
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

__all__ = ["BACKENDS", "RunSettings", "check_design", "environment", "session"]

BACKENDS = ("c", "rtl", "board")
HOOK = Path(__file__).resolve().parent / "hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a program's products are computed with.

    Parameters
    ----------
    datapath : Datapath, optional
        With a result format; raw registers are no numbers. None: everything runs natively.
    array : tuple of two ints, optional
        Rows and columns of the array. Needed where bits depend on it (stochastic rounding).
    device : Path, optional
        Shared library of a device (``hwgen.h``); None for the C kernels.
    min_mnk : int
        Products of fewer multiplications run natively.
    only : tuple of str
        Rules (:func:`hwgen.runtime.rules.parse_rule`); if any are given, one must hold.
    precisions : str
        Letters of the BLAS precisions that are served.
    threads : int
        Cores for a product; 0 for all.
    log : Path, optional
        Receives a JSON line a call.
    check : bool
        Compute each product natively too, and note the largest difference.
    assert_same : bool
        With a device: compute each product with the C kernels too; the program aborts if a bit
        differs.
    profile : bool
        Note what the products are like (``profile.<pid>``).
    record : bool
        With a profile: keep some operands of each call site (``operands.<pid>.<n>``).

    Raises
    ------
    SpecError
        If a value is out of range.
    UnsupportedError
        If the datapath has no result format.
    """

    datapath: Datapath | None = None
    array: tuple[int, int] | None = None
    device: Path | None = None
    min_mnk: int = 0
    only: tuple[str, ...] = ()
    precisions: str = "sdczh"
    threads: int = 1
    log: Path | None = None
    check: bool = False
    assert_same: bool = False
    profile: bool = False
    record: bool = False

    def __post_init__(self) -> None:
        if self.datapath is not None and self.datapath.out is None:
            raise UnsupportedError(
                "out=raw hands out registers and BLAS returns numbers; give a result format, such"
                " as out=fp32"
            )
        for name, value in (("min-mnk", self.min_mnk), ("threads", self.threads)):
            if not 0 <= value < 2**31:
                raise SpecError(f"{name} is {value}; allowed is 0 to {2**31 - 1}")
        if self.assert_same and self.device is None:
            raise SpecError("assert compares a device with the C kernels; give --backend rtl too")
        object.__setattr__(self, "only", tuple(parse_rule(rule) for rule in self.only))
        object.__setattr__(self, "precisions", parse_precisions(self.precisions))
        for path in (self.log, self.device):
            if path is not None and "\n" in str(path):
                raise SpecError(f"{str(path)!r} has a line break in it; choose another name")

    @property
    def backend(self) -> str:
        """``c``, ``rtl`` or ``native``."""
        if self.datapath is None:
            return "native"
        return "c" if self.device is None else "rtl"

    def config(self) -> str:
        """Return the text of ``config``."""
        entries = [
            *self._backend(),
            *([("device", self.device.absolute())] if self.device is not None else []),
            ("min_mnk", self.min_mnk),
            *[("only", rule) for rule in self.only],
            ("precisions", self.precisions),
            ("threads", self.threads),
            *([("log", self.log.absolute())] if self.log is not None else []),
            ("check", int(self.check)),
            ("assert", int(self.assert_same)),
            *([("profile", 1)] if self.profile else []),
            *([("record", 1)] if self.profile and self.record else []),
        ]
        return "".join(f"{key}={value}\n" for key, value in entries)

    def _backend(self) -> list[tuple[str, str]]:
        if self.datapath is None:
            return [("backend", "native")]
        return [
            ("datapath", describe(self.datapath, lanes=self.array)),
            ("backend", "c" if self.device is None else "device"),
        ]


def check_design(design: Design, backend: str) -> None:
    """Refuse a design whose products no program can ask for.

    Raises
    ------
    UnsupportedError
        If the backend is not built, or the design needs what BLAS calls do not bring.
    """
    if not sys.platform.startswith("linux"):
        raise UnsupportedError(
            f"programs are reached by LD_PRELOAD on Linux, and this is {sys.platform};"
            " hwgen.gemm computes the same everywhere"
        )
    if backend == "board":
        raise UnsupportedError(
            "backend board is not built: there is no board support yet; use c (the same bits), or"
            " rtl for the circuit itself"
        )
    if backend == "rtl" and design.starts:
        raise UnsupportedError(
            f"start={design.start} wants registers to start from, which BLAS calls do not bring;"
            " generate the design without --start, or use --backend c"
        )


@contextmanager
def session(settings: RunSettings) -> Iterator[Path]:
    """Make the folder of a run, and remove it at the end.

    Raises
    ------
    ToolError
        If the libraries are missing, or too old or new for the datapath.
    SpecError
        If the log cannot be written.
    """
    library_path("hwgen_blas")
    if settings.datapath is not None:
        read_datapath(describe(settings.datapath, lanes=settings.array))
    if settings.log is not None:
        _touch(settings.log)
    folder = Path(tempfile.mkdtemp(prefix="hwgen-run."))
    try:
        text = settings.config().encode("utf-8", "surrogateescape")  # names of files
        (folder / "config").write_bytes(text)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _touch(log: Path) -> None:
    try:
        log.open("ab").close()
    except OSError as error:
        raise SpecError(
            f"cannot write the log {log}: {error.strerror}; give another --log"
        ) from None


def environment(folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a program of this run is started with.

    Raises
    ------
    ToolError
        If the library cannot be named in it.
    """
    library = library_path("hwgen_blas").resolve()
    if _is_split(library):
        if _is_split(folder):
            raise ToolError(
                f"neither {library} nor {folder} can stand in LD_PRELOAD, which blanks and colons"
                " divide",
                hint="name another folder for temporary files with the environment variable TMPDIR",
            )
        link = folder / library.name
        link.symlink_to(library)
        library = link
    return {
        **base,
        "HWGEN_RUN": str(folder),
        "LD_PRELOAD": _before(str(library), base.get("LD_PRELOAD")),
        "PYTHONPATH": _before(str(HOOK), base.get("PYTHONPATH")),
    }


def _is_split(path: Path) -> bool:
    """Whether the loader would take a path in its list for several."""
    return any(letter in str(path) for letter in " :\t\n")


def _before(first: str, others: str | None) -> str:
    return f"{first}{os.pathsep}{others}" if others else first
