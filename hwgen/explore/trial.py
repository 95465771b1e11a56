"""One run of the user's program, on a datapath or natively: what it printed, how far it was off.

Everything here goes to other processes and machines and comes back: plain values only.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from hwgen.errors import HwgenError
from hwgen.explore.profile import Profile, read_folder, site_name
from hwgen.explore.recorded import largest_recording
from hwgen.runtime.session import RunSettings, environment, session
from hwgen.runtime.summary import read_summary
from hwgen.spec.datapath import Datapath

__all__ = ["Metric", "Task", "Trial", "die_with_parent", "run_trial"]

_MOST_OUTPUT = 1 << 20  # characters of output that are kept, from the end
_MOST_ERRORS = 2000
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
# Several trials run side by side, and sums in another order are other sums.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to run.

    Parameters
    ----------
    program : tuple of str
    folder : str
        Working directory.
    datapath : dict of str to str, optional
        The words for :meth:`Datapath.parse`; None: natively, with a profile.
    min_mnk : int
    only : tuple of str
    precisions : str
    timeout : float
        Seconds.
    record : bool
        Natively: keep some operands of the call site with the most work.
    by_site : bool
        On a datapath: tell the error of each call site. It takes a line of a file for each call.
    """

    program: tuple[str, ...]
    folder: str
    datapath: dict[str, str] | None
    min_mnk: int = 0
    only: tuple[str, ...] = ()
    precisions: str = "sdczh"
    timeout: float = math.inf
    record: bool = False
    by_site: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a :class:`Task`.

    Parameters
    ----------
    status : int
        The program's exit status, 128 + n for signal n; -1 if it took too long.
    seconds : float
    error : float or None
        Largest difference of a product from the native one, relative to its largest element; None
        if infinite, or if NaN came of numbers.
    served, native, failed : int
        Calls computed in the datapath's arithmetic, natively, and natively for a fault.
    output : str
        What the program printed on stdout, at most the last million characters.
    errors : str
        The end of stderr.
    profile : dict, optional
        Of a native run: a :class:`Profile` in plain values.
    operands : dict, optional
        Of a native run: a :class:`~hwgen.explore.recorded.Recording` in plain values.
    site_errors : dict, optional
        The error by call site; None for an infinite one.
    """

    status: int
    seconds: float
    error: float | None
    served: int
    native: int
    failed: int
    output: str
    errors: str
    profile: dict[str, Any] | None = field(default=None)
    operands: dict[str, Any] | None = field(default=None)
    site_errors: dict[str, float | None] | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that a program prints.

    Parameters
    ----------
    pattern : str
        Regular expression whose first group is the number; its last match counts.
    smaller_is_better : bool
    called : str
        What reports call it; by default the words before the number.

    Raises
    ------
    HwgenError
        If the pattern is no regular expression, or has no group.
    """

    pattern: str
    smaller_is_better: bool = False
    called: str = ""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise HwgenError(
                f"--metric {self.pattern!r} is no regular expression: {error}"
            ) from None
        if not groups:
            raise HwgenError(
                f"--metric {self.pattern!r} has no group; put the number in parentheses, as in"
                " 'accuracy: ([0-9.]+)'"
            )

    @property
    def name(self) -> str:
        """What it is called: ``accuracy`` for ``accuracy: ([0-9.]+)``."""
        before = re.sub(r"\\.|\[[^]]*\]", " ", self.pattern.partition("(")[0])
        words = re.sub(r"[^\w%.-]+", " ", before).strip(" .-_")
        return self.called or words or "metric"

    def read(self, output: str) -> float | None:
        """Return the number, or None if it is not there, no number, NaN or infinite."""
        matches = list(re.finditer(self.pattern, output))
        if not matches or matches[-1][1] is None:
            return None
        try:
            value = float(matches[-1][1])
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def loss(self, native: float, value: float) -> float:
        """Return how much worse a value is than the native one; negative if better."""
        return value - native if self.smaller_is_better else native - value


def run_trial(task: Task) -> dict[str, Any]:
    """Run the program and return a :class:`Trial` in plain values.

    Raises
    ------
    HwgenError
        If it does not start.
    ToolError
        If the compiled libraries are missing or of another version.
    """
    native = task.datapath is None
    settings = RunSettings(
        datapath=None if task.datapath is None else Datapath.parse(**task.datapath),
        min_mnk=task.min_mnk,
        only=task.only,
        precisions=task.precisions,
        check=not native,
        profile=native,
        record=native and task.record,
    )
    with (
        _log(task) as log,
        session(replace(settings, log=log)) as folder,
        _scratch() as out,
        _scratch() as err,
    ):
        began = time.monotonic()
        status = _run(task, folder, out, err)
        seconds = time.monotonic() - began
        found = read_summary(folder).total
        profile = operands = None
        if native:
            known = Profile.merged(task.program, read_folder(folder))
            profile = known.to_dict()
            recording = largest_recording(folder, known) if task.record else None
            operands = None if recording is None else recording.to_dict()
        return Trial(
            status=status,
            seconds=seconds,
            error=found.max_error if math.isfinite(found.max_error) else None,
            served=found.served_calls,
            native=found.native_calls,
            failed=found.failed_calls,
            output=_end(out, _MOST_OUTPUT),
            errors=_end(err, _MOST_ERRORS),
            profile=profile,
            operands=operands,
            site_errors=None if log is None else _site_errors(log),
        ).to_dict()


@contextmanager
def _log(task: Task) -> Iterator[Path | None]:
    """A file for a line a call, where errors are asked for by site."""
    if not task.by_site or task.datapath is None:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="hwgen-calls.") as file:
        yield Path(file.name)


def _site_errors(log: Path) -> dict[str, float | None]:
    """The largest error of each call site, of a log of calls."""
    found: dict[str, float] = {}
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                call = json.loads(line)
                error = call["max_relative_error"]
            except (ValueError, KeyError):
                continue  # cut short by a crash, or not compared
            name = site_name(call["symbol"], call["m"], call["n"], call["k"])
            size = math.inf if error is None else error
            found[name] = max(found.get(name, 0.0), size)
    return {name: error if math.isfinite(error) else None for name, error in found.items()}


def _scratch() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _run(task: Task, folder: Path, out: IO[bytes], err: IO[bytes]) -> int:
    base = {**dict.fromkeys(_THREADS, "1"), **os.environ}
    try:
        process = subprocess.Popen(
            list(task.program),
            env=environment(folder, base),
            cwd=task.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        raise HwgenError(f"cannot run {task.program[0]!r}: {error.strerror}") from None
    try:
        status = process.wait(None if math.isinf(task.timeout) else task.timeout)
    except subprocess.TimeoutExpired:
        return -1
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return status if status >= 0 else 128 - status


def die_with_parent() -> None:
    """Have this process end when the one that started it does, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _end(file: IO[bytes], most: int) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most))
    return file.read().decode("utf-8", "replace")
