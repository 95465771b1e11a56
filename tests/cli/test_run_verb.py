"""``hwgen run``: real programs on hwgen's arithmetic, and what is said about them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hwgen import model
from hwgen.cli import cli
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

WINDOW = "window:msb=5,lsb=-30,ovf=9"
INLINE = ("--a", "bf16", "--acc", WINDOW)
HWGEN = (sys.executable, "-c", "import hwgen.cli; hwgen.cli.main()")

# A BLAS of its own, whose every product is 42: what hwgen serves is not.
TOY_BLAS = """
void dgemm_(const char *ta, const char *tb, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc)
{
    for (int j = 0; j < *n; j++)
        for (int i = 0; i < *m; i++)
            c[i + j * *ldc] = 42;
}
"""
TOY_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
            const double *, const int *, const double *, const int *, const double *, double *,
            const int *);
int main(int count, char **words)
{
    const double one = 1, zero = 0, a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 0, 1};
    const int two = 2;
    double c[4];
    dgemm_("N", "N", &two, &two, &two, &one, a, &two, b, &two, &zero, c, &two);
    printf("%g %g %g %g\\n", c[0], c[1], c[2], c[3]);
    fflush(stdout);
    if (count > 1)
        abort();
    return 3;
}
"""


def run(*words: object):
    return CliRunner().invoke(cli, ["run", *map(str, words)])


@pytest.fixture
def hwgen(blas_library, tmp_path):
    """Return a function that runs ``hwgen run`` as a user does; it must leave no file behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*HWGEN, "run", *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
            timeout=100,
        )
        assert list(temporary.iterdir()) == []
        return done

    return call


def record(done: subprocess.CompletedProcess[str]) -> dict:
    return json.loads(done.stderr[done.stderr.index("{") :])


@pytest.fixture(scope="module")
def toys(tmp_path_factory) -> Path:
    """Compile a program and its BLAS: ``shared``, and ``static`` if the machine has it in it."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("toys")
    (folder / "blas.c").write_text(TOY_BLAS)
    (folder / "main.c").write_text(TOY_PROGRAM)
    commands = (
        "cc -shared -fPIC blas.c -o libtoy.so",
        "cc main.c -L. -ltoy -Wl,-rpath,$ORIGIN -o shared",
        "cc -static main.c blas.c -o static",
    )
    for command in commands:
        done = subprocess.run(command.split(), cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0 or "-static" in command
    return folder


def test_a_c_program_is_served_and_keeps_its_output_and_exit_status(hwgen, toys):
    done = hwgen(*INLINE, "--json", "--", toys / "shared")
    assert (done.stdout, done.returncode) == ("1 2 3 4\n", 3)
    found = record(done)
    (use,) = found["symbols"]
    assert (use["symbol"], use["served_calls"], use["native_calls"]) == ("dgemm_", 1, 0)
    assert use["served_flops"] == 2 * 2 * 2 * 2
    assert found["warnings"] == []
    assert found["status"] == 3


def test_a_product_kept_out_by_a_rule_runs_natively_and_that_is_said(hwgen, toys):
    done = hwgen(*INLINE, "--only", "k>2", "--", toys / "shared")
    assert done.stdout == "42 42 42 42\n"
    warning = "nothing was served: all 1 BLAS call ran natively because of --only"
    assert f"hwgen: warning: {warning}\n" in done.stderr


def test_what_a_program_did_before_it_crashed_is_counted(hwgen, toys):
    done = hwgen(*INLINE, "--json", "--", toys / "shared", "crash")
    assert done.returncode == 134
    assert record(done)["total"]["served_calls"] == 1


def test_a_statically_linked_program_is_named_as_such(hwgen, toys):
    if not (toys / "static").exists():
        pytest.skip("needs the static C library")
    done = hwgen(*INLINE, "--", toys / "static")
    assert done.stdout == "42 42 42 42\n"
    assert f"no BLAS call was seen: {toys / 'static'} is linked statically" in done.stderr


def test_children_are_counted_too(hwgen, toys):
    script = f"{toys / 'shared'}; {toys / 'shared'} & wait; exit 0"
    done = hwgen(*INLINE, "--json", "--", "sh", "-c", script)
    assert done.stdout == "1 2 3 4\n" * 2
    found = record(done)
    assert (found["processes"], found["total"]["served_calls"]) == (2, 2)


def test_the_table_check_and_log_tell_of_every_call(hwgen, toys, tmp_path):
    log, report = tmp_path / "calls.json", tmp_path / "summary.json"
    options = ("--check", "--log", log, "--summary", report)
    done = hwgen(*INLINE, *options, "--", toys / "shared")
    words = [line.split() for line in done.stderr.splitlines()]
    # The native result is 42 where ours is 1.
    assert ["dgemm_", "1", "16", "100.0%", "0.000", "9.8e-01"] in words
    (line,) = log.read_text().splitlines()
    call = json.loads(line)
    assert (call["symbol"], call["m"], call["ran"]) == ("dgemm_", 2, "c")
    assert json.loads(report.read_text())["total"]["max_error"] == pytest.approx(41 / 42)


def test_quiet_leaves_warnings_only(hwgen, toys):
    assert hwgen(*INLINE, "--quiet", "--", toys / "shared").stderr == ""
    done = hwgen(*INLINE, "--quiet", "--precisions", "s", "--", toys / "shared")
    assert len(done.stderr.splitlines()) == 1


NUMPY = """
import sys, numpy as np
a, b = (np.load(name) for name in sys.argv[1:3])
np.save(sys.argv[3], a @ b)
"""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_gets_the_golden_model_s_results(dtype, hwgen, tmp_path):
    rng = np.random.default_rng(1)
    files = [tmp_path / name for name in ("a.npy", "b.npy", "c.npy")]
    a, b = rng.standard_normal((9, 40)).astype(dtype), rng.standard_normal((40, 7)).astype(dtype)
    np.save(files[0], a)
    np.save(files[1], b)
    design = Design(datapath=Datapath.parse(a="bf16", acc=WINDOW), rows=2, cols=2)
    (tmp_path / "design.toml").write_text(design.to_toml())
    done = hwgen(
        "--design", tmp_path / "design.toml", "--json", "--", sys.executable, "-c", NUMPY, *files
    )
    assert done.returncode == 0
    assert np.array_equal(np.load(files[2]), model.gemm(a, b, design.datapath).astype(dtype))
    assert not np.array_equal(np.load(files[2]), a @ b)
    symbols = {use["symbol"]: use for use in record(done)["symbols"]}
    letter = "s" if dtype == np.float32 else "d"
    (gemm,) = (use for name, use in symbols.items() if f"{letter}gemm" in name)
    assert gemm["served_flops"] == 2 * 9 * 40 * 7


@pytest.mark.sim
@pytest.mark.slow
def test_the_circuit_itself_serves_with_the_kernels_bits(hwgen, toys, tmp_path, monkeypatch):
    monkeypatch.setenv("HWGEN_CACHE", str(tmp_path / "cache"))
    options = ("--backend", "rtl", "--rows", "2", "--cols", "3", "--assert", "--mhz", "50")
    done = hwgen(*INLINE, *options, "--json", "--", toys / "shared")
    assert (done.stdout, done.returncode) == ("1 2 3 4\n", 3)
    array = record(done)["array"]
    assert (array["rows"], array["cols"], array["beats"]) == (2, 3, 2)
    assert array["useful"] == pytest.approx(8 / (6 * array["cycles"]))
    assert array["seconds"] == pytest.approx(array["cycles"] / 50e6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*INLINE], "missing the program"),
        (["--", "true"], "missing --a and --acc; give --design, or --a and --acc"),
        (["--a", "bf16", "--", "true"], "missing --acc;"),
        (["--design", "x", "--rows", "4", "--", "true"], "--rows does not go with --design"),
        (["--design", "no-such", "--", "true"], "cannot read the design no-such"),
        ([*INLINE, "--backend", "board", "--", "true"], "no board support yet"),
        ([*INLINE, "--out", "raw", "--", "true"], "out=raw hands out registers"),
        ([*INLINE, "--only", "z>3", "--", "true"], "the rule 'z>3' has 'z>3'; a comparison is"),
        ([*INLINE, "--precisions", "x", "--", "true"], "give letters of sdczh"),
        ([*INLINE, "--assert", "--", "true"], "give --backend rtl too"),
        ([*INLINE, "--mhz", "0", "--", "true"], "mhz is 0; allowed is above 0"),
        ([*INLINE, "--summary", "no/such/file", "--", "true"], "change --summary"),
        ([*INLINE, "--backend", "fpga", "--", "true"], "'fpga' is not one of 'c', 'rtl', 'board'"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("name", "status"), [("no-such-program", 127), (".", 126)])
def test_a_program_that_is_not_there_has_a_shell_s_status(name, status):
    result = run(*INLINE, "--", name)
    assert result.exit_code == status
    assert result.stderr.startswith(f"hwgen: error: cannot run {name!r}: ")


def test_the_program_s_own_options_are_left_to_it(monkeypatch):
    asked = []

    def launch(command, environment):
        asked.append(command)
        return 5

    monkeypatch.setattr("hwgen.runtime.launcher.launch", launch)
    monkeypatch.setattr("hwgen.runtime.library.library_path", lambda name: Path(sys.executable))
    monkeypatch.setattr("hwgen.runtime.session.library_path", lambda name: Path(sys.executable))
    monkeypatch.setattr("hwgen.runtime.session.read_datapath", lambda description: 1)
    for between in ([], ["--"]):
        assert run(*INLINE, *between, "sh", "--quiet", "--", "-x").exit_code == 5
    assert asked == [("sh", "--quiet", "--", "-x")] * 2
