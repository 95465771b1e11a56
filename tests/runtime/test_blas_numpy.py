"""The NumPy wheel computes what the golden model computes, bit for bit."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from blas_run import WIDE_64, BlasRun, blas_library

from hwgen.model import gemm
from hwgen.runtime.summary import SymbolUse
from hwgen.spec.datapath import Datapath

BF16 = {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "fp32"}
DATAPATHS = {
    "bf16": BF16,
    "bf16_narrow_out": {"a": "bf16", "acc": "window:msb=5,lsb=-18,ovf=9", "out": "bf16"},
    "int8_has_no_nan": {"a": "int8", "acc": "int:32"},
    "posit8": {"a": "posit8", "acc": "exact:terms=64"},
    "mxfp8_blocks_run_along_k": {"a": "mxfp8", "acc": "window:msb=20,lsb=-40,ovf=8"},
    "fma": {"a": "bf16", "acc": "fma:fp32,lanes=4"},
}
MIXED = {"a": "e2m1", "b": "bf16", "acc": "window:msb=9,lsb=-30,ovf=9", "out": "fp32"}
PROGRAM = """
rng = np.random.default_rng(5)
def numbers(*shape):
    return (rng.standard_normal(shape) * 4).astype(np.float32)
a, b, x, y = numbers(19, 45), numbers(45, 23), numbers(45), numbers(45)
a[3, 5] = np.nan
b[7, 2] = np.inf
def save(**arrays):
    np.savez('arrays.npz', **arrays)
results = dict(
    matmul=a @ b,
    transposed=b.T @ a.T,
    sliced=np.asfortranarray(a[2:, 4:]) @ b[4:, 1:],
    matrix_vector=a @ x,
    vector_matrix=x @ b,
    dot=np.dot(x, y).reshape(1, 1),
    gram=a @ a.T,
    stacked=np.stack([a, -a]) @ b,
)
save(a=a, b=b, x=x, y=y, **results)
"""


# On import NumPy multiplies two vectors of two ones.
IMPORT = "scipy_cblas_sdot64_"


def uses(run: BlasRun) -> dict[str, SymbolUse]:
    return {symbol: use for symbol, use in run.uses().items() if symbol != IMPORT}


def log(run: BlasRun) -> list[dict]:
    return [line for line in run.log() if line["symbol"] != IMPORT]


def expected(arrays: dict[str, np.ndarray], datapath: Datapath) -> dict[str, np.ndarray]:
    a, b, x, y = (arrays[name] for name in "abxy")

    def product(left, right):
        return gemm(left, right, datapath).astype(np.float32)

    return {
        "matmul": product(a, b),
        "transposed": product(b.T, a.T),
        "sliced": product(a[2:, 4:], b[4:, 1:]),
        "matrix_vector": product(a, x[:, None])[:, 0],
        "vector_matrix": product(x[None], b)[0],
        "dot": product(x[None], y[:, None]),
        "gram": product(a, a.T),
        "stacked": np.stack([product(a, b), product(-a, b)]),
    }


def test_the_first_factor_has_the_first_format_whatever_the_layout(tmp_path):
    # In gemv the matrix is BLAS' A. syrk computes one triangle, which NumPy mirrors.
    datapath = Datapath.parse(**MIXED)
    pytest.importorskip("scipy")
    by_columns = "from scipy.linalg.blas import sgemm\nresults['by_columns'] = sgemm(1.0, a, b)\n"
    source = PROGRAM.replace("save(a=a", f"{by_columns}save(a=a")
    BlasRun(tmp_path, MIXED).python(source.replace("a[3, 5] = np.nan", "").replace("b[7", "#"))
    arrays = np.load(tmp_path / "arrays.npz")
    right = expected(arrays, datapath)
    del right["gram"]
    right["by_columns"] = right["matmul"]
    right["vector_matrix"] = gemm(arrays["b"].T, arrays["x"][:, None], datapath)[:, 0]
    for what, values in right.items():
        assert np.array_equal(arrays[what], values.astype(np.float32)), what


@pytest.mark.parametrize("name", DATAPATHS)
def test_every_product_of_numpy_has_the_bits_of_the_model(tmp_path, name):
    datapath = Datapath.parse(**DATAPATHS[name])
    run = BlasRun(tmp_path, DATAPATHS[name])
    source = PROGRAM.replace("a[3, 5] = np.nan", "") if name.startswith("int8") else PROGRAM
    run.python(source)
    arrays = np.load(tmp_path / "arrays.npz")
    for what, values in expected(arrays, datapath).items():
        assert arrays[what].tobytes() == values.tobytes() or np.array_equal(
            arrays[what], values, equal_nan=True
        ), what
    calls = {symbol: use.served_calls for symbol, use in run.uses().items()}
    assert calls == {
        "scipy_cblas_sgemm64_": 5,
        "scipy_cblas_sgemv64_": 2,
        "scipy_cblas_sdot64_": 1 + 1,
        "scipy_cblas_ssyrk64_": 1,
    }


def test_a_number_without_a_pattern_makes_its_row_and_column_nan(tmp_path):
    run = BlasRun(tmp_path, DATAPATHS["int8_has_no_nan"])
    done = run.python(
        "a = np.ones((3, 4), 'f4'); a[1, 2] = np.nan\nprint(np.isnan(a @ np.ones((4, 2), 'f4')))"
    )
    assert " ".join(done.stdout.split()) == "[[False False] [ True True] [False False]]"


def test_wide_accumulators_agree_with_the_original_to_the_last_bits(tmp_path):
    run = BlasRun(tmp_path, WIDE_64, check=True, log=True)
    run.python("a = np.random.default_rng(1).standard_normal((60, 60)); a @ a; a @ a.T; a @ a[0]")
    assert all(0 <= use.max_error < 1e-14 for use in uses(run).values())
    assert all(0 <= line["max_relative_error"] < 1e-14 for line in log(run))
    assert {line["ran"] for line in log(run)} == {"c"}


def test_check_measures_the_error_and_keeps_our_result(tmp_path):
    run = BlasRun(tmp_path, {"a": "e4m3", "acc": "exact", "out": "fp32"}, check=True)
    done = run.python("a = np.full((8, 8), 1.0625, 'f4'); a[0] = 448; print((a @ a)[1, 1])")
    # e4m3 has 3 fraction bits: 1.0625 ties to 1; 448 is its largest number.
    assert float(done.stdout) == 448 + 7
    (use,) = uses(run).values()
    native = np.full((8, 8), 1.0625)
    native[0] = 448
    theirs = native @ native
    rounded = np.where(native == 448, 448, 1.0)
    error = abs(rounded @ rounded - theirs).max() / theirs.max()
    assert use.max_error == pytest.approx(error, rel=1e-6)


# --- what runs natively ---------------------------------------------------------------------

SIZES = (
    "for m, n, k in ((2, 2, 2), (40, 8, 16), (8, 40, 64)):\n    np.ones((m, k)) @ np.ones((k, n))"
)


def ran(run: BlasRun) -> list[tuple[int, str, str | None]]:
    return [(line["m"], line["ran"], line.get("reason")) for line in log(run)]


@pytest.mark.parametrize(
    ("settings", "reason", "served"),
    [
        ({}, None, {2, 40, 8}),
        ({"min_mnk": 5121}, "min_mnk", {8}),
        ({"min_mnk": 5120}, "min_mnk", {8, 40}),
        ({"only": ("k>=64",)}, "only", {8}),
        ({"only": ("k>=16,m>8",)}, "only", {40}),
        ({"only": ("k>=16,m>8", "mnk<=8")}, "only", {40, 2}),
        ({"only": ("n==40", "m<3")}, "only", {8, 2}),
        ({"precisions": "scz"}, "precision", set()),
        ({"precisions": "d"}, None, {2, 40, 8}),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, dict) else "",
)
def test_rules_decide_what_is_served(tmp_path, settings, reason, served):
    run = BlasRun(tmp_path, WIDE_64, log=True, **settings)
    run.python(SIZES)
    # NumPy swaps nothing here: C order goes to the C interface as it is.
    assert ran(run) == [
        (m, "c", None) if m in served else (m, "native", reason) for m in (2, 40, 8)
    ]
    (use,) = uses(run).values()
    assert (use.served_calls, use.native_calls) == (len(served), 3 - len(served))
    assert use.failed_calls == 0


def test_flops_are_counted_by_where_they_ran(tmp_path):
    run = BlasRun(tmp_path, WIDE_64, only=("k>=64",))
    run.python(SIZES)
    (use,) = uses(run).values()
    assert use.served_flops == 2 * 8 * 40 * 64
    assert use.native_flops == 2 * (2 * 2 * 2 + 40 * 8 * 16)


def plain_run(environment: dict[str, str], source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import numpy as np\n{source}"],
        env={**environment, "LD_PRELOAD": str(blas_library())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_a_run_all_is_native(tmp_path):
    done = plain_run({}, "a = np.full((3, 3), 1.1); print((a @ a)[0, 0] == 3.63 or (a @ a)[0, 0])")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "cannot read .*config: No such file"),
        ("backend=c\n", "datapath is missing"),
        ("datapath=hwgen 1\n", "config: "),
        ("colour=red\n", "cannot take colour=red"),
        ("backend=cloud\n", "cannot take backend=cloud"),
        ("only=k>>3\n", "cannot take only=k>>3"),
        ("min_mnk=-1\n", "cannot take min_mnk=-1"),
        ("just words\n", "cannot take just words"),
    ],
)
def test_an_unusable_configuration_is_told_once_and_all_is_native(tmp_path, config, message):
    if config is not None:
        (tmp_path / "config").write_text(config)
    done = plain_run(
        {"HWGEN_RUN": str(tmp_path)}, "a = np.ones((3, 3)); a @ a; print((a @ a).sum())"
    )
    assert (done.returncode, done.stdout) == (0, "27.0\n")
    assert len(done.stderr.splitlines()) == 1
    assert re.match(f"hwgen: .*{message}", done.stderr)
    assert done.stderr.endswith("BLAS calls run natively\n")


# --- processes and threads ------------------------------------------------------------------


def test_a_program_that_calls_no_blas_leaves_no_counters(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    run.run("cat", "/dev/null")
    assert list(tmp_path.glob("counters.*")) == []


def test_counters_survive_the_hard_end_of_a_process(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    run.python("import os; a = np.ones((3, 3)); a @ a; os._exit(0)")
    run.python("import os; a = np.ones((3, 3)); a @ a; os.abort()", check=False)
    (use,) = uses(run).values()
    assert use.served_calls == 2


def test_a_forked_child_counts_for_itself(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    run.python(
        "import os; a = np.ones((3, 3)); a @ a\n"
        "child = os.fork()\n"
        "a @ a; a @ a\n"
        "if child: os.waitpid(child, 0)"
    )
    (use,) = uses(run).values()
    assert use.served_calls == 1 + 2 + 2
    assert len(list(tmp_path.glob("counters.*"))) == 2


def test_a_forked_child_computes_with_threads_of_its_own(tmp_path):
    run = BlasRun(tmp_path, BF16, threads=2)
    run.python(
        "import os\n"
        "a = np.random.default_rng(2).standard_normal((200, 200)).astype('f4')\n"
        "once = a @ a[::-1]\n"
        "child = os.fork()\n"
        "assert np.array_equal(a @ a[::-1], once)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0"
    )


def test_a_process_that_becomes_another_program_keeps_its_counters(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    again = "import numpy as np; a = np.ones((3, 3)); a @ a"
    run.python(
        "import os, sys; a = np.ones((3, 3)); a @ a\n"
        f"os.execv(sys.executable, ['p', '-c', {again!r}])"
    )
    (use,) = uses(run).values()
    assert use.served_calls == 2
    assert len(list(tmp_path.glob("counters.*"))) == 2


def test_threads_give_the_same_results_and_lose_no_count(tmp_path):
    run = BlasRun(tmp_path, BF16, threads=2)
    done = run.python(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "a = np.random.default_rng(2).standard_normal((50, 50)).astype('f4')\n"
        "once = a @ a[::-1]\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    many = list(pool.map(lambda _: a @ a[::-1], range(200)))\n"
        "print(all(np.array_equal(once, other) for other in many))"
    )
    assert done.stdout == "True\n"
    (use,) = uses(run).values()
    assert use.served_calls == 201


def test_the_log_has_a_line_a_call(tmp_path):
    run = BlasRun(tmp_path, WIDE_64, log=True)
    run.python("np.ones((3, 4)) @ np.ones((4, 5))")
    (line,) = log(run)
    assert (line["symbol"], line["batch"], line["ran"]) == ("scipy_cblas_dgemm64_", 1, "c")
    assert (line["m"], line["n"], line["k"]) == (3, 5, 4)
    assert line["pid"] > 0
    assert 0 < line["seconds"] < 10
    assert "reason" not in line
    assert "max_relative_error" not in line


# --- floating-point environment -------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        ("[1, 1]", "[np.inf, -np.inf]", "invalid"),
        ("[1e300, 1e300]", "[1e300, 1e300]", "invalid"),  # beyond the accumulator: NaN
        ("[np.inf, 1]", "[1, 1]", ""),
        ("[np.nan, 1]", "[1, 1]", ""),
        ("[1, 1]", "[1, 1]", ""),
    ],
)
def test_numpy_sees_the_exceptions_that_results_tell_of(tmp_path, left, right, kind):
    run = BlasRun(tmp_path, WIDE_64)
    source = (
        f"x, y = np.array({left}, float), np.array({right}, float)\n"
        "try:\n"
        "    with np.errstate(all='raise', under='ignore'): x @ y; np.outer(x, y) @ y\n"
        "except FloatingPointError as error: print(error)"
    )
    assert (kind in run.python(source).stdout) if kind else run.python(source).stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "selection"),
    [
        (["numpy.linalg"], ""),
        (
            [
                "numpy._core.tests.test_multiarray",
                "numpy.matrixlib",
                "numpy._core.tests.test_einsum",
            ],
            # A vector of 2^31 numbers needs more memory than it is worth.
            "(dot or matmul or inner or vecdot or einsum or matrix) and not huge_vectordot",
        ),
    ],
    ids=["linalg", "products"],
)
def test_numpys_own_tests_pass_on_an_exact_design(tmp_path, modules, selection):
    run = BlasRun(tmp_path, {"a": "fp64", "acc": "exact:terms=65536", "out": "fp64"})
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["-W", "ignore", "-k", selection, "--pyargs", *modules]
    done = run.run(*command, timeout=550)
    assert re.search(r"\d{3} passed", done.stdout), done.stdout
    assert sum(use.served_calls for use in uses(run).values()) > 10_000
    assert sum(use.native_calls for use in uses(run).values()) == 0
