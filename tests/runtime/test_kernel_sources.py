"""The kernels' sources: no warnings, nothing long, every instruction set compiled."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "hwgen" / "runtime" / "csrc"
FILES = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h"))
MAX_LINES = 500
MAX_FUNCTION_LINES = 60
OPTIONS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes"]
INSTRUCTIONS = {
    "kernels_avx2.c": ["-mavx2", "-mfma"],
    "kernels_avx512.c": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
}


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix == ".c"], ids=lambda path: path.name
)
def test_a_file_compiles_without_warnings(path):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc")
    machine = subprocess.check_output([compiler, "-dumpmachine"], text=True)
    if path.name in INSTRUCTIONS and "x86" not in machine:
        pytest.skip("x86 only")
    options = [*OPTIONS, *INSTRUCTIONS.get(path.name, [])]
    run = subprocess.run(
        [compiler, *options, "-fsyntax-only", path], capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_files_and_functions_are_short():
    long = []
    for path in FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES or any(len(line) > 100 for line in lines):
            long.append(path.name)
        start = 0
        for number, line in enumerate(lines, start=1):
            if re.match(r"[a-zA-Z].*\(", line) and not line.startswith("typedef"):
                start = number
            if line == "}" and number - start >= MAX_FUNCTION_LINES:
                long.append(f"{path.name}:{start}")
    assert long == []


def test_a_header_names_every_function_that_is_shared():
    """What is not declared in a header is static: the library exports hwgen.h alone."""
    headers = "".join(path.read_text(encoding="utf-8") for path in FILES if path.suffix == ".h")
    loose = []
    for path in FILES:
        if path.suffix == ".c":
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"^(?!static)[a-z][\w *]*?\**(\w+)\([^;]*?\) \{$", text, re.M):
                if not re.search(rf"\b{name}\(", headers):
                    loose.append(f"{path.name}: {name}")
    assert loose == []
