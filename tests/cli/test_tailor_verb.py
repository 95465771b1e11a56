"""``hwgen tailor``: from a program to a design, and what it says where it cannot."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.errors import ToolError
from hwgen.explore import element_energy, pools
from hwgen.explore.pools import pool
from hwgen.explore.records import Exploration
from hwgen.flow import asic
from hwgen.flow.asic import find_library
from hwgen.runtime.library import library_path
from hwgen.spec.design import Design

HWGEN = (sys.executable, "-c", "import hwgen.cli; hwgen.cli.main()")
DIGITS = Path(__file__).resolve().parents[2] / "scripts" / "experiments" / "digits_app.py"
APP = """
import numpy as np
r = np.random.default_rng(1)
a, b = r.normal(size=(9, 20)).astype(np.float32), r.normal(size=(20, 7)).astype(np.float32)
c = a @ b
print(f"error: {np.abs(c - np.float64(a) @ np.float64(b)).max():.4f}")
"""


@pytest.fixture
def libraries() -> None:
    """Skip without the compiled libraries."""
    try:
        library_path("hwgen_blas")
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def cheap(monkeypatch, libraries, tmp_path):
    """Make energies up and run trials on threads: in this process, so that it is told of both."""
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import contextmanager

    @contextmanager
    def threads(jobs, dask=None):
        with ThreadPoolExecutor(jobs) as executor:
            yield executor

    def energy(words, liberty):
        width = (
            99 if words["acc"].startswith("fma") else int(re.search(r"ovf=(\d+)", words["acc"])[1])
        )
        lsb = re.search(r"lsb=(-?\d+)", words["acc"])
        pj = float(width - (int(lsb[1]) if lsb else 0))
        return {"energy_pj": pj, "area_um2": pj, "fmax_mhz": 100.0, "library": "made up"}

    monkeypatch.setattr(pools, "pool", threads)
    monkeypatch.setattr(element_energy, "measure_element", energy)
    monkeypatch.setattr(asic, "find_library", lambda liberty=None: tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def tailor(*words: object):
    return CliRunner().invoke(cli, ["tailor", *map(str, words)])


def test_a_program_gets_a_design_and_records(cheap):
    words = "--tolerance", 0.05, "--formats", "bf16", "--designs", 2, "--jobs", 2, "-o", "out"
    done = tailor(*words, "--", sys.executable, "app.py")
    assert done.exit_code == 0, done.output
    chosen = re.search(r"^chosen +a=bf16 b=bf16 acc=(\S+) out=fp32$", done.stdout, re.M)
    assert str(Design.load(Path("out/design")).datapath.acc) == chosen[1]
    result = Exploration.read(Path("out/exploration.json"))
    (point,) = (point for point in result.points if point.chosen)
    assert point.acc == chosen[1]
    assert point.error <= 0.05
    assert [site.macs for site in result.call_sites] == 2 * [9 * 20 * 7]
    assert json.loads(Path("out/profile.json").read_text())["profile"] == 1
    again = tailor(*words, "--json", "--", sys.executable, "app.py")
    table = json.loads(again.stdout)
    assert table["points"] == json.loads(Path("out/exploration.json").read_text())["points"]
    # What no design meets: the records are written, and the status says so.
    none = tailor(*words[:1], 1e-9, *words[2:], "--", sys.executable, "app.py")
    assert none.exit_code == 1
    assert "left out: bf16: even a window that drops next to nothing does not do" in none.stdout
    assert "no design does" in none.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tolerance", "1"), "missing the program"),
        (("--", "true"), "either --tolerance, or --metric"),
        (
            ("--tolerance", "1", "--lose", "2", "--", "true"),
            "--lose and --smaller-is-better belong",
        ),
        (("--tolerance", "1", "--formats", "bf61", "--", "true"), "unknown format 'bf61'"),
        (("--tolerance", "1", "--formats", ",", "--", "true"), "--formats names no format"),
        (("--tolerance", "1", "--margin", "0.1", "--", "true"), "--margin is 0.1"),
        (("--tolerance", "1", "--", "no-such-program"), "cannot run 'no-such-program'"),
        (("--tolerance", "1", "--only", "q>1", "--", "true"), "a comparison is one of"),
    ],
)
def test_misuse_is_told_at_once(words, message):
    done = tailor(*words)
    assert done.exit_code != 0
    assert message in done.output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "raise SystemExit('it is broken')",
            "failed natively, with status 1; it said: it is broken",
        ),
        ("print('error: 1')", "called no matrix product in BLAS"),
        (APP.replace("default_rng(1)", "default_rng()"), "other numbers each time"),
    ],
)
def test_programs_that_cannot_be_tailored_to_are_told(cheap, source, message):
    Path("app.py").write_text(source)
    done = tailor("--tolerance", 0.1, "-o", "out", "--", sys.executable, "app.py")
    assert done.exit_code == 2
    assert message in done.output


def test_a_metric_that_is_not_printed_is_told(cheap):
    words = "--metric", "accuracy: ([0-9.]+)", "-o", "out", "--", sys.executable, "app.py"
    done = tailor(*words)
    assert done.exit_code == 2
    assert "finds no finite number" in done.output


def test_dask_that_is_not_installed_is_told_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ToolError, match=r"pip install 'hwgen\[explore\]'"), pool(1, "here:1"):
        pass


def test_processes_of_a_pool_are_gone_after_an_interrupt():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), pool(2) as executor:
        executor.submit(time.sleep, 0).result()
        executor.submit(time.sleep, 60)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_network_is_tailored_to_in_earnest(libraries, tmp_path):
    try:
        find_library()
    except ToolError as error:
        pytest.skip(str(error))
    if not shutil.which("iverilog"):
        pytest.skip("iverilog is missing")
    weights = tmp_path / "weights.npz"
    program = sys.executable, DIGITS, "--weights", weights
    subprocess.run([str(word) for word in program], check=True, timeout=120)
    words = (
        "--metric",
        "accuracy: ([0-9.]+)",
        "--lose",
        0.01,
        "--formats",
        "bf16",
        "-o",
        tmp_path / "o",
    )
    command = [str(word) for word in (*HWGEN, "tailor", *words, "--", *program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    result = Exploration.read(tmp_path / "o" / "exploration.json")
    (chosen,) = (point for point in result.points if point.chosen)
    (baseline,) = (point for point in result.points if point.baseline)
    assert chosen.energy_pj < 0.7 * baseline.energy_pj
    assert chosen.metric >= result.native_metric - 0.01
    assert len([point for point in result.points if point.front]) >= 4
    began = time.monotonic()
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert time.monotonic() - began < 15
