"""Runs programs on the BLAS library, and reads what the library reports of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwgen.errors import ToolError
from hwgen.runtime.library import library_path
from hwgen.runtime.session import RunSettings, environment
from hwgen.runtime.summary import SymbolUse, read_summary
from hwgen.spec.datapath import Datapath

SOURCES = Path(__file__).resolve().parents[2] / "hwgen" / "runtime" / "csrc"

# Windows that hold every product of moderate numbers whole.
WIDE_32 = {"a": "fp32", "acc": "window:msb=40,lsb=-80,ovf=30", "out": "fp32"}
WIDE_64 = {"a": "fp64", "acc": "window:msb=80,lsb=-160,ovf=30", "out": "fp64"}


def missing(what: str) -> None:
    """Skip a test that this machine cannot run; in CI everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test."""
    path = shutil.which(name) or f"/usr/lib/x86_64-linux-gnu/blas/{name}"
    if not Path(path).exists():
        missing(f"{name} (Debian package {package})")
    return path


def blas_library() -> Path:
    """Return the compiled library, or skip the test."""
    if not sys.platform.startswith("linux"):
        pytest.skip("programs are reached by LD_PRELOAD on Linux only")
    try:
        return library_path("hwgen_blas")
    except ToolError as error:
        missing(str(error))
        raise


class BlasRun:
    """One run of programs: its folder, its environment, its reports."""

    def __init__(self, folder: Path, datapath: dict[str, str], **settings: object) -> None:
        blas_library()
        self.folder = folder
        self.log_path = folder / "log.jsonl"
        if settings.pop("log", False):
            settings["log"] = self.log_path
        self.settings = RunSettings(datapath=Datapath.parse(**datapath), **settings)
        (folder / "config").write_text(self.settings.config(), encoding="utf-8")
        self.environment = {**environment(folder, os.environ), "OMP_NUM_THREADS": "1"}

    def run(self, *command: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command on the library; it has to succeed unless ``check=False``."""
        options = {"check": True, "timeout": 240, "cwd": self.folder, **options}
        check = options.pop("check")
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def python(self, source: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run Python code; NumPy is imported as ``np``."""
        return self.run(sys.executable, "-c", f"import numpy as np\n{source}", **options)

    def uses(self) -> dict[str, SymbolUse]:
        """What each symbol did, over all processes so far."""
        return {use.symbol: use for use in read_summary(self.folder).symbols}

    def log(self) -> list[dict]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log_path.read_text("utf-8").splitlines()]


def compile_c(folder: Path, name: str, source: str, *options: str) -> Path:
    """Compile C code with the system's compiler."""
    return compile_with(program("cc", "gcc"), folder, f"{name}.c", source, *options)


def compile_with(compiler: str, folder: Path, name: str, source: str, *options: str) -> Path:
    """Compile one file to a program, or with ``-shared`` to a library, beside it."""
    (folder / name).write_text(source, encoding="utf-8")
    target = folder / Path(name).stem
    done = subprocess.run(
        [compiler, "-o", target, folder / name, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return target
