"""A build folder's Verilog as a shared library that offers a device (``csrc/hwgen.h``).

Verilator turns the Verilog into C++, which is compiled together with ``csrc/device``. The library
stands in the user's cache under a name that changes with everything it is made from.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hwgen.emit.folder import Build, open_build
from hwgen.emit.verilator import Verilator, find_verilator
from hwgen.errors import ToolError, UnsupportedError
from hwgen.runtime.cache import cached_folder
from hwgen.spec.timing import timing

__all__ = ["compile_device"]

LIBRARY = "device.so"

_SOURCES = Path(__file__).parent / "csrc"
_DRIVER = ("device/device.cpp", "device/packing.h", "hwgen.h")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")  # of Verilator: what every model needs
_LOG_LINES = 30

# Inlining turns wide words between parts into the elements that they consist of, so everything is
# inlined but what repeats: an 8 x 8 array then takes half the time to compile, and runs as fast.
_APART = ("*_pe", "*_round", "*_round_pair", "*_block_edge_x?")
_CONTROL = "".join(["`verilator_config\n", *(f'no_inline -module "{name}"\n' for name in _APART)])
_VERILATE = (
    *("--cc", "-O3", "-Wno-lint", "-Wno-fatal", "--no-timing"),
    *("--x-assign", "fast", "--x-initial", "fast"),
    *("--prefix", "Vcore", "--Mdir", ".", "--output-split", "400000", "control.vlt"),
)
_COMPILE = (
    *("-std=c++17", "-fPIC", "-fvisibility=hidden", "-w"),
    *("-DVERILATOR=1", "-DVL_TIME_CONTEXT", "-DVL_USER_FATAL"),
    *("-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0", "-I."),
)
# -O2 takes half as long again, for a model that is a twentieth faster.
_OPTIMISE = "-O1"
_LINK = ("-shared", "-pthread")
# C++ that is worth a compiler process of its own.
_UNIT_BYTES = 1_500_000


@dataclass(frozen=True, slots=True)
class _Tools:
    verilator: Verilator
    compiler: str  # what it says of itself

    @property
    def words(self) -> str:
        """Names and versions."""
        named = [line for line in self.compiler.splitlines() if " version " in line]
        return ", ".join([self.verilator.version, *named[-1:]])

    def key(self, *parts: bytes | str | Sequence[str]) -> str:
        """Return a hash of the tools and of everything else that a folder is made from."""
        digest = hashlib.sha256()
        for part in (self.verilator.version, self.compiler, *parts):
            data = part if isinstance(part, bytes) else repr(part).encode()
            digest.update(f"{len(data)} ".encode() + data)
        return digest.hexdigest()[:16]


def compile_device(build: str | Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Compile a build's Verilog, unless the user's cache has it already.

    Parameters
    ----------
    build : path
        A folder made by ``hwgen generate``.
    progress : callable, optional
        Called with what is under way, if there is anything to do.

    Returns
    -------
    Path
        A shared library with ``hwgen_device_open`` and so on.

    Raises
    ------
    SpecError
        If the folder is no build.
    UnsupportedError
        If the design takes start values, which a device is not given.
    ToolError
        If Verilator or a compiler is missing or fails, or the cache cannot be written.
    """
    opened = open_build(build)
    if opened.design.starts:
        raise UnsupportedError(
            f"{opened.design.name} has start = {opened.design.start}, and products on a device"
            " start from nothing; generate the design without start"
        )
    tools = _find_tools()
    say = progress or (lambda what: None)
    constants = _constants(opened)
    driver = [(_SOURCES / name).read_bytes() for name in _DRIVER]
    settings = [_CONTROL, _VERILATE, _COMPILE, _OPTIMISE, _LINK, constants]
    key = tools.key(opened.verilog.read_bytes(), *driver, *settings)

    def make(folder: Path) -> None:
        say(f"compiling {opened.design.name}")
        _Compilation(tools, folder).build(opened, constants, _runtime(tools))

    # A name of a file may have 255 bytes.
    return cached_folder(f"devices/{opened.design.name[:200]}-{key}", make) / LIBRARY


def _find_tools() -> _Tools:
    verilator = find_verilator()
    answer = subprocess.run(["c++", "-v"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ToolError("the C++ compiler does not run", command="c++ -v", log=answer.stderr)
    return _Tools(verilator, answer.stderr)


def _runtime(tools: _Tools) -> Path:
    """Return the folder of Verilator's own part, compiled; it is the same for all designs."""

    def make(folder: Path) -> None:
        sources = [tools.verilator.include / name for name in _RUNTIME]
        _Compilation(tools, folder).compile(sources)

    return cached_folder(f"verilated-{tools.key(_RUNTIME, _COMPILE, _OPTIMISE)}", make)


class _Compilation:
    """Compilers at work in one folder."""

    def __init__(self, tools: _Tools, folder: Path) -> None:
        self._tools = tools
        self._folder = folder

    def build(self, build: Build, constants: str, runtime: Path) -> None:
        """Leave nothing in the folder but the library."""
        folder = self._folder
        (folder / "core.h").write_text(constants, encoding="utf-8")
        (folder / "control.vlt").write_text(_CONTROL, encoding="utf-8")
        program = str(self._tools.verilator.program)
        # The file may be replaced meanwhile, and the name stands for what was read.
        (folder / "core.v").write_bytes(build.verilog.read_bytes())
        self._run([program, *_VERILATE, "--top-module", build.design.name, "core.v"])
        objects = self.compile(_units([_SOURCES / _DRIVER[0], *folder.glob("Vcore*.cpp")], folder))
        objects += sorted(runtime.glob("*.o"))
        self._run(["c++", *map(str, objects), *_LINK, "-o", LIBRARY])
        for path in folder.iterdir():
            if path.name != LIBRARY:
                path.unlink()

    def compile(self, sources: Iterable[Path]) -> list[Path]:
        """Compile files, as many at a time as there are processor cores; return the objects."""
        include = self._tools.verilator.include
        folders = [f"-I{path}" for path in (include, include / "vltstd", _SOURCES)]
        flags = [*_COMPILE, _OPTIMISE, *folders]

        def one(source: Path) -> Path:
            result = self._folder / f"{source.stem}.o"
            self._run(["c++", *flags, "-c", str(source), "-o", result.name])
            return result

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(one, sources))

    def _run(self, command: list[str]) -> None:
        try:
            result = subprocess.run(
                command,
                cwd=self._folder,
                env=self._tools.verilator.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise ToolError(
                f"{command[0]} does not start: {error.strerror}", command=shlex.join(command)
            ) from None
        if result.returncode:
            raise ToolError(
                f"{Path(command[0]).name} failed to compile the circuit ({_cause(result)})",
                command=shlex.join(command),
                version=self._tools.words,
                log="\n".join(result.stdout.splitlines()[-_LOG_LINES:]),
                hint="the circuit needs a compiler of C++17 and some memory; hwgen simulate runs it"
                " in Icarus Verilog without either",
            )


def _cause(result: subprocess.CompletedProcess[str]) -> str:
    """Say why a program ended badly: its own first line of an error if it wrote one."""
    errors = [line.strip() for line in result.stdout.splitlines() if "error" in line.lower()]
    if errors:
        return errors[0]
    if result.returncode < 0:
        return f"ended by signal {-result.returncode}, perhaps for want of memory"
    return f"exit status {result.returncode}"


def _units(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Join sources to files of one size: a compiler takes half a second to read the headers."""
    sizes = {source: source.stat().st_size for source in sources}
    groups: list[list[Path]] = [[] for _ in range(max(1, sum(sizes.values()) // _UNIT_BYTES))]
    for source in sorted(sizes, key=lambda source: (-sizes[source], source)):
        min(groups, key=lambda group: sum(sizes[path] for path in group)).append(source)
    units = []
    for index, group in enumerate(groups):
        units.append(folder / f"unit{index}.cpp")
        text = "".join(f'#include "{path}"\n' for path in group)
        units[-1].write_text(text, encoding="utf-8")
    return units


def _constants(build: Build) -> str:
    """Return ``core.h``: what the driver must know of the design."""
    design, when = build.design, timing(build.design)
    path = design.datapath
    # The core takes no beat while it clears itself; then the drain chains are as after a block.
    settling = when.clearing + when.block_interval + 1
    # Between two beats or rows lies less than what a block of one beat takes, and the distance of
    # two blocks' ends.
    patience = 4 * (when.cycles(1, design.rows) + when.block_interval) + 100
    integers = {
        "rows": design.rows,
        "cols": design.cols,
        "dot": path.dot,
        "a_width": path.a.width,
        "b_width": path.b.width,
        "c_width": path.out_width,
    }
    return "".join(
        [
            "#include <cstdint>\nnamespace design {\n",
            f'constexpr char name[] = "{design.name}";\n',
            f'constexpr char digest[] = "{design.digest}";\n',
            *(f"constexpr int {name} = {value};\n" for name, value in integers.items()),
            f"constexpr std::uint64_t settling_cycles = {settling};\n",
            f"constexpr std::uint64_t patience_cycles = {patience};\n",
            "}\n",
        ]
    )
