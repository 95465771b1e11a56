"""Netlib's own testers, unmodified, pass on the library (Debian package libblas-test)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blas_run import WIDE_32, WIDE_64, BlasRun, program
from device_designs import make_build

from hwgen.runtime.device import compile_device
from hwgen.runtime.summary import read_summary
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

DATA = Path("/usr/lib/x86_64-linux-gnu/blas")
DATAPATH = {"s": WIDE_32, "c": WIDE_32, "d": WIDE_64, "z": WIDE_64}
# What must have been computed by us; what else a tester calls runs natively.
SERVED = {
    ("s", 1): {"sdot", "sdsdot"},
    ("d", 1): {"ddot", "dsdot"},
    ("c", 1): {"cdotc", "cdotu"},
    ("z", 1): {"zdotc", "zdotu"},
    **{(letter, 2): {f"{letter}gemv"} for letter in "sdcz"},
    **{
        (letter, 3): {f"{letter}{name}" for name in ("gemm", "symm", "trmm", "trsm", "syrk")}
        | {f"{letter}syr2k"}
        | ({f"{letter}{name}" for name in ("hemm", "herk", "her2k")} if letter in "cz" else set())
        for letter in "sdcz"
    },
}


def run_tester(
    run: BlasRun, letter: str, level: int, *, c_interface: bool, reduced: bool = False
) -> str:
    """Run one tester and return all it says."""
    name = f"x{letter}cblat{level}" if c_interface else f"xblat{level}{letter}"
    data = DATA / (f"{letter}in{level}" if c_interface else f"{letter}blat{level}.in")
    text = data.read_text() if level > 1 else ""
    if reduced:
        text, changed = re.subn(
            r"^6( .*\n)0 1 2 3 5 9 ", r"4\g<1>0 1 3 5 ", text, flags=re.MULTILINE
        )
        assert changed == 1
    done = run.run(program(name, "libblas-test"), input=text)
    reports = sorted(run.folder.glob("*.out")) + sorted(run.folder.glob("*.OUT"))
    return done.stdout + "".join(report.read_text() for report in reports)


@pytest.mark.parametrize("c_interface", [False, True], ids=["fortran", "cblas"])
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("letter", "sdcz")
def test_a_tester_passes(tmp_path, letter, level, c_interface):
    run = BlasRun(tmp_path, DATAPATH[letter])
    output = run_tester(run, letter, level, c_interface=c_interface)
    assert "PASS" in output
    assert not re.search(r"FAIL|FATAL|SUSPECT|\*\*\*\*", output), output
    computed = {
        symbol.removeprefix("cblas_").rstrip("_").removesuffix("_sub")
        for symbol, use in run.uses().items()
        if use.served_calls
    }
    wanted = SERVED[letter, level]
    if c_interface:
        # The C testers of level 1 do not know the mixed ones.
        wanted = wanted - {"sdsdot", "dsdot"}
    assert wanted <= computed
    assert not any(use.failed_calls for use in run.uses().values())


@pytest.mark.parametrize("c_interface", [False, True], ids=["fortran", "cblas"])
def test_only_illegal_calls_of_a_tester_run_natively(tmp_path, c_interface):
    run = BlasRun(tmp_path, WIDE_64, log=True)
    run_tester(run, "d", 3, c_interface=c_interface)
    reasons = {line["reason"] for line in run.log() if line["ran"] == "native"}
    assert reasons == {"illegal argument"}
    assert len({line["symbol"] for line in run.log() if line["ran"] == "c"}) == 6


def test_a_tester_notices_a_narrow_accumulator(tmp_path):
    narrow = {"a": "fp64", "acc": "window:msb=8,lsb=-20,ovf=8", "out": "fp64"}
    output = run_tester(BlasRun(tmp_path, narrow), "d", 3, c_interface=False)
    assert "DGEMM  FAILED" in output.replace("SUSPECT", "FAILED") or "HALF" in output


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("letter", "sdcz")
def test_a_tester_passes_on_the_circuit_itself(tmp_path, letter):
    design = Design(datapath=Datapath.parse(**DATAPATH[letter]), rows=2, cols=2)
    device = compile_device(make_build(design, tmp_path).folder)
    folder = tmp_path / "device"
    folder.mkdir()
    run = BlasRun(folder, DATAPATH[letter], device=device)
    output = run_tester(run, letter, 3, c_interface=False, reduced=True)
    assert "PASS" in output
    assert not re.search(r"FAIL|FATAL|SUSPECT|\*\*\*\*", output), output
    assert not any(use.failed_calls for use in run.uses().values())
    assert read_summary(folder).array.beats > 1000
