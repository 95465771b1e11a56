"""Finding the synthesis tools and running them.

By default Yosys is the ``pyosys`` wheel and nextpnr the ``yowasp`` wheels, all of which the extra
``hwgen[synth]`` brings. Each runs in a child process, so that a crash or an exhausted memory ends
one step and not the caller. A native program is used instead where the caller names one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["Runner", "Tool", "find_nextpnr", "find_yosys"]

_TAIL_LINES = 30
_INSTALL = "install the tools with: pip install 'hwgen[synth]'"
# What a wheel's library is started with: the child's arguments follow.
_START_PYOSYS = (
    "import sys; from pyosys import libyosys as ys; "
    "ys.run_pass('script ' + sys.argv[1], ys.Design())"
)
_START_YOWASP = (
    "import sys; from yowasp_nextpnr_{0} import run_nextpnr_{0} as run; sys.exit(run(sys.argv[1:]))"
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: how to start it, what a person would type for it, and its version."""

    name: str
    start: tuple[str, ...]
    typed: str
    version: str


def find_yosys(program: str | None = None) -> Tool:
    """Return the Yosys wheel, or the native ``program`` if one is named.

    Raises
    ------
    ToolError
        If it is not installed.
    """
    if program is not None:
        return _native("yosys", program)
    version = _wheel_version("pyosys", "pyosys", "Yosys")
    return Tool("yosys", (sys.executable, "-c", _START_PYOSYS), "yosys", f"pyosys {version}")


def find_nextpnr(family: str, program: str | None = None) -> Tool:
    """Return nextpnr for ``family`` ("ecp5" or "ice40") as a wheel, or the native ``program``.

    Raises
    ------
    ToolError
        If it is not installed.
    """
    name = f"nextpnr-{family}"
    if program is not None:
        return _native(name, program)
    wheel = f"yowasp-{name}"
    version = _wheel_version(wheel.replace("-", "_"), wheel, name)
    start = (sys.executable, "-c", _START_YOWASP.format(family))
    return Tool(name, start, wheel, f"{wheel} {version}")


def _wheel_version(module: str, wheel: str, tool: str) -> str:
    """Return a wheel's version; raises ToolError if it is not installed."""
    # find_spec, not import: pyosys changes how this process loads libraries.
    if importlib.util.find_spec(module) is None:
        raise ToolError(f"{tool} (Python package {wheel}) is not installed", hint=_INSTALL)
    try:
        return importlib.metadata.version(wheel)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _native(name: str, program: str) -> Tool:
    """Return the native ``program``, asked for its version."""
    path = shutil.which(program)
    if path is None:
        raise ToolError(
            f"{program!r}, given for {name}, is no program on this machine",
            hint="give the path of an executable, or leave it out to use the Python package",
        )
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            f"{program!r} does not run: {error}", command=f"{path} --version", hint=_INSTALL
        ) from error
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    return Tool(name, (path,), program, lines[-1] if lines else "of unknown version")


class Runner:
    """Runs tools in one working folder; may be used from several threads and stopped from any.

    Parameters
    ----------
    folder : Path
        Where the tools run; file names given to them are relative to it (the WebAssembly
        tools cannot see all of the file system).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        tool: Tool,
        arguments: Sequence[str],
        *,
        log: str,
        on_line: Callable[[str], None] | None = None,
    ) -> float:
        """Run ``tool`` to its end, its output into the file ``log``; return the seconds it took.

        Raises
        ------
        ToolError
            If it fails; carries the last lines of its output.
        """
        command = shlex.join([tool.typed, *arguments])
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        begin = time.monotonic()
        process = self._start(tool, arguments)
        try:
            with process, (self._folder / log).open("w", encoding="utf-8") as stream:
                for line in process.stdout or ():
                    stream.write(line)
                    tail.append(line)
                    if on_line is not None:
                        on_line(line.rstrip())
                status = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        if status != 0:
            text = "".join(tail)
            raise ToolError(
                f"{tool.name} failed ({_cause(status, text)})",
                command=command,
                version=tool.version,
                log=text,
                hint=f"see {self._folder / log}",
            )
        return time.monotonic() - begin

    def stop(self) -> None:
        """End all tools that are running and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _start(self, tool: Tool, arguments: Sequence[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise ToolError(f"{tool.name} was not started, because an earlier step failed")
            try:
                process = subprocess.Popen(
                    [*tool.start, *arguments],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError as error:
                raise ToolError(f"{tool.name} does not start: {error}", hint=_INSTALL) from error
            self._running.add(process)
            return process


def _cause(status: int, log: str) -> str:
    """Say why a tool ended badly: its own last error line if it wrote one."""
    errors = [line.strip() for line in log.splitlines() if "ERROR: " in line]
    if errors:
        return errors[-1].partition("ERROR: ")[2]
    if status < 0:
        return f"ended by signal {-status}, perhaps for want of memory"
    return f"exit status {status}"
