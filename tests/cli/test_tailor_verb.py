"""``hwgen tailor``: from a program to a design, and what it says where it cannot."""

from __future__ import annotations

import json
import re
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
def cheap(monkeypatch, blas_library, tmp_path):
    """Make energies up and run trials on threads: in this process, so that it is told of both."""
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import contextmanager

    @contextmanager
    def threads(jobs, dask=None):
        with ThreadPoolExecutor(jobs) as executor:
            yield executor

    def energy(words, liberty, operands=None):
        width = (
            99 if words["acc"].startswith("fma") else int(re.search(r"ovf=(\d+)", words["acc"])[1])
        )
        lsb = re.search(r"lsb=(-?\d+)", words["acc"])
        pj = float(width - (int(lsb[1]) if lsb else 0)) * (0.8 if "dot=4" in words["acc"] else 1)
        known = {"energy_pj": pj, "area_um2": pj, "fmax_mhz": 100.0, "library": "made up"}
        return known | {"energies": {"relu": pj} | ({"recorded": pj} if operands else {})}

    monkeypatch.setattr(pools, "pool", threads)
    monkeypatch.setattr(element_energy, "measure_element", energy)
    monkeypatch.setattr(element_energy, "check_library", lambda liberty: None)
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
    assert (result.rows, result.cols) == (8, 8)
    assert set(point.site_errors) == {site.name for site in result.call_sites}
    assert max(point.site_errors.values()) == pytest.approx(point.error, rel=1e-5)
    # One window for two call sites that need about the same.
    assert [design.share for design in result.site_designs] == [0.5, 0.5]
    assert 0 <= result.site_saving < 0.5
    assert re.search(r"^sites +a design for each call site would save about \d", done.stdout, re.M)
    assert "recorded" in point.energies
    assert re.search(r"recorded: operands of \S+gemm\S* .*, 50% of the work", done.stdout)
    # What takes less is told, and what takes as much is not.
    assert "4 products at once take 20% less energy each (--dot 4)" in point.notes
    assert not any("(--dot 2)" in note for note in point.notes)
    assert json.loads(Path("out/profile.json").read_text())["profile"] == 1
    again = tailor(*words, "--json", "--", sys.executable, "app.py")
    table = json.loads(again.stdout)
    assert table["points"] == json.loads(Path("out/exploration.json").read_text())["points"]
    # What no design meets: the records are written, and the status says so.
    none = tailor(*words[:1], 1e-9, *words[2:], "--", sys.executable, "app.py")
    assert none.exit_code == 1
    assert "left out: bf16: even a window that drops next to nothing does not do" in none.stdout
    assert "no design does" in none.output


def test_windows_add_as_many_products_at_once_as_is_asked_for(cheap):
    words = "--tolerance", 0.05, "--formats", "bf16,e4m3", "--designs", 2, "--dot", 2, "-o", "out"
    done = tailor(*words, "--", sys.executable, "app.py")
    assert done.exit_code == 0, done.output
    result = Exploration.read(Path("out/exploration.json"))
    assert {point.acc.endswith(",dot=2") for point in result.points if not point.baseline} == {True}
    assert not any("dot" in point.acc for point in result.points if point.baseline)
    assert all(design.acc.endswith(",dot=2") for design in result.site_designs)
    assert Design.load(Path("out/design")).datapath.dot == 2
    assert "products at once take" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tolerance", "1"), "missing the program"),
        (("--", "true"), "either --tolerance, or --metric"),
        (
            ("--tolerance", "1", "--lose", "2", "--", "true"),
            "--lose, --smaller-is-better and --metric-name belong",
        ),
        (("--tolerance", "1", "--formats", "bf61", "--", "true"), "unknown format 'bf61'"),
        (("--tolerance", "1", "--formats", ",", "--", "true"), "--formats names no format"),
        (("--tolerance", "1", "--margin", "0.1", "--", "true"), "--margin is 0.1"),
        (("--tolerance", "1", "--dot", "17", "--", "true"), "17 is not in the range 1<=x<=16"),
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
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "natively, with status 139"),
    ],
)
def test_programs_that_cannot_be_tailored_to_are_told(cheap, source, message):
    Path("app.py").write_text(source)
    done = tailor("--tolerance", 0.1, "-o", "out", "--", sys.executable, "app.py")
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize("pattern", ["accuracy: ([0-9.]+)", "value: (.*)", "sign: (.*)"])
def test_a_metric_that_is_missing_or_no_number_is_told(cheap, pattern):
    Path("app.py").write_text(APP + "print('sign: minus'); print('value: nan')")
    done = tailor("--metric", pattern, "-o", "out", "--", sys.executable, "app.py")
    assert done.exit_code == 2
    assert "finds no finite number" in done.output
    assert "its last line: 'value: nan'" in done.output


def test_a_metric_that_becomes_nan_on_narrow_windows_excludes_these(cheap):
    code = "e = np.abs(c - np.float64(a) @ np.float64(b)).max()\nprint('gain:', 1 / (e < 0.04) - e)"
    Path("app.py").write_text(
        f"{APP}{code}".replace("1 / (e < 0.04)", "(1 if e < 0.04 else np.nan)")
    )
    words = "--metric", "gain: (.*)", "--lose", 0.5, "--formats", "bf16", "--designs", 2
    done = tailor(*words, "--jobs", 2, "-o", "out", "--", sys.executable, "app.py")
    assert done.exit_code == 0, done.output
    found = Exploration.read(Path("out/exploration.json"))
    assert found.metric_name == "gain"
    missing = [point for point in found.points if point.metric is None]
    assert any("no finite number" in note for point in missing for note in point.notes)
    assert not any(point.acceptable for point in missing)


LIBRARY_WITHOUT_POWER = """
library (bare) {
  time_unit : "1ns"; voltage_unit : "1V"; capacitive_load_unit (1, pf); nom_voltage : 1.8;
  cell (INV) { area : 1; pin (A) { direction : input; capacitance : 0.1; }
    pin (Y) { direction : output; function : "!A"; } }
}
"""


def test_a_library_without_power_is_refused_before_anything_runs(
    blas_library, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("bare.lib").write_text(LIBRARY_WITHOUT_POWER)
    Path("app.py").write_text("open('runs', 'a').write('x')")
    for words, message in (
        (("--liberty", "bare.lib"), "has no tables of internal power"),
        (("--liberty", "app.py"), "is no Liberty file that hwgen reads"),
        (("--liberty", "none.lib"), "there is no Liberty file"),
    ):
        done = tailor("--tolerance", 0.1, *words, "--", sys.executable, "app.py")
        assert done.exit_code == 2
        assert message in done.output
    assert not Path("runs").exists()


def test_a_library_that_is_not_installed_is_told_with_the_cure(blas_library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asic, "OSU018_FILES", (tmp_path / "no.lib",))
    Path("app.py").write_text("open('runs', 'a').write('x')")
    done = tailor("--tolerance", 0.1, "--", sys.executable, "app.py")
    assert done.exit_code != 0
    assert "apt-get install qflow-tech-osu018" in done.output
    assert not Path("runs").exists()


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
def test_a_network_is_tailored_to_in_earnest(blas_library, standard_cells, tmp_path):
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
