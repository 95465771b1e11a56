"""Programs in every language run on the library, unmodified."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from blas_run import (
    SOURCES,
    WIDE_64,
    BlasRun,
    blas_library,
    compile_c,
    compile_with,
    missing,
    program,
)

# Which spellings a library has: options, name, ending.
SPELLING = re.compile(r"^(scipy_)?(cblas_)?([sdcz][a-z0-9]+?|dsdot|sdsdot)(_sub)?(_?64)?_?$")


@pytest.fixture
def wide(tmp_path):
    return BlasRun(tmp_path, WIDE_64)


def served(run: BlasRun) -> set[str]:
    uses = run.uses()
    assert not any(use.failed_calls for use in uses.values())
    return {symbol for symbol, use in uses.items() if use.served_calls}


C_PROGRAM = """
#include <stdio.h>
#include <cblas.h>
int main(void) {
    double a[6] = {1, 2, 3, 4, 5, 6}, c[4] = {0};
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 2, 2, 3, 1, a, 3, a, 3, 0, c, 2);
    printf("%g %g %g %g %g\\n", c[0], c[1], c[2], c[3], cblas_ddot(3, a, 1, a + 3, 1));
    return 0;
}
"""
FORTRAN_PROGRAM = """
program products
  double precision a(2,3), c(2,2), ddot
  complex*16 z(2), zdotc
  external ddot, zdotc
  a = reshape((/1d0, 4d0, 2d0, 5d0, 3d0, 6d0/), (/2, 3/))
  call dgemm('n', 't', 2, 2, 3, 1d0, a, 2, a, 2, 0d0, c, 2)
  z = (/(1d0, 2d0), (3d0, 4d0)/)
  print '(5f6.1,2f6.1)', c, ddot(3, a(1,1), 2, a(2,1), 2), zdotc(2, z, 1, z, 1)
end program
"""


def test_a_c_program(tmp_path, wide):
    path = compile_c(tmp_path, "products", C_PROGRAM, "-lblas")
    assert wide.run(path).stdout == "14 32 32 77 32\n"
    assert served(wide) == {"cblas_dgemm", "cblas_ddot"}


def test_a_fortran_program(tmp_path, wide):
    compiler = program("gfortran", "gfortran")
    path = compile_with(compiler, tmp_path, "products.f90", FORTRAN_PROGRAM, "-lblas")
    assert " ".join(wide.run(path).stdout.split()) == "14.0 32.0 32.0 77.0 32.0 30.0 0.0"
    assert served(wide) == {"dgemm_", "ddot_", "zdotc_"}


def test_octave(wide):
    octave = program("octave-cli", "octave")
    source = (
        "a = reshape(1:6, 3, 2); disp(a'*a); disp(norm(inv([2 1; 1 3])*[2 1; 1 3]-eye(2))<1e-9)"
    )
    done = wide.run(octave, "--no-init-file", "--eval", source, check=False)
    assert done.stdout.split() == ["14", "32", "32", "77", "1"]
    assert served(wide) & {"dgemm_", "dsyrk_"}


def test_r(wide):
    source = """
options(matprod = "blas")
a <- matrix(1:6 + 0, 3, 2)
cat(t(a) %*% a, crossprod(a), sum(abs(solve(matrix(c(2, 1, 1, 3), 2)) %*% c(3, 4) - 1)) < 1e-9)
"""
    done = wide.run(program("Rscript", "r-base-core"), "-e", source)
    assert done.stdout.split() == ["14", "32", "32", "77"] * 2 + ["TRUE"]
    assert served(wide) >= {"dgemm_", "dsyrk_"}


def test_debians_numpy(wide):
    python = program("/usr/bin/python3", "python3-numpy")
    find = subprocess.run([python, "-c", "import numpy"], check=False, capture_output=True)
    if find.returncode:
        missing("Debian's NumPy (package python3-numpy)")
    done = wide.run(
        python, "-I", "-c", "import numpy as np; a = np.arange(6.).reshape(2, 3); print(a @ a.T)"
    )
    assert done.stdout.replace("[", "").replace("]", "").split() == ["5.", "14.", "14.", "50."]
    assert served(wide) & {"cblas_dgemm", "cblas_dsyrk"}


def test_scipys_wheel(wide):
    pytest.importorskip("scipy")
    wide.python(
        "from scipy.linalg import blas\n"
        "a = np.asfortranarray(np.arange(6.).reshape(2, 3))\n"
        "assert (blas.dgemm(2.0, a, a, trans_b=True) == [[10, 28], [28, 100]]).all()\n"
        "assert (blas.zher2k(1.0, a[:, :2] + 1j, a[:, 1:] + 0j).imag[0, 0] == 0).all()\n"
        "assert (blas.dtrsm(1.0, np.diag([2.0, 4.0]), np.ones((2, 1))) == [[0.5], [0.25]]).all()"
    )
    assert served(wide) >= {"scipy_dgemm_", "scipy_zher2k_", "scipy_dtrsm_"}


# --- what is exported ------------------------------------------------------------------------


def exported(path: Path) -> set[str]:
    done = subprocess.run(
        [program("nm", "binutils"), "-D", "--defined-only", path],
        check=True,
        capture_output=True,
        text=True,
    )
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


ROUTINES = {
    *(x + name for x in "sdcz" for name in ("gemm", "gemmt", "gemmtr", "gemv", "syrk", "syr2k")),
    *(x + name for x in "sdcz" for name in ("symm", "trmm", "trsm")),
    *(x + name for x in "cz" for name in ("hemm", "herk", "her2k", "dotu", "dotc", "gemm3m")),
    *("sdot", "ddot", "dsdot", "sdsdot"),
}


def wheel_libraries() -> list[Path]:
    found = []
    for name in ("numpy", "scipy"):
        module = pytest.importorskip(name)
        folder = Path(module.__file__).parent.parent / f"{name}.libs"
        found += folder.glob("*openblas*")
    return found


def test_every_spelling_that_numpy_and_scipy_bring_is_reached():
    ours = exported(blas_library())
    libraries = wheel_libraries()
    if not libraries:
        pytest.skip("this NumPy and SciPy bring no OpenBLAS of their own")
    for path in libraries:
        theirs = set()
        for symbol in exported(path):
            match = SPELLING.match(symbol)
            if match and match[3] in ROUTINES and (match[1] or match[2] or symbol.endswith("_")):
                theirs.add(symbol)
        assert len(theirs) > 80
        assert theirs - ours == set()


def distributions_blas() -> Path:
    path = Path("/usr/lib/x86_64-linux-gnu/libblas.so.3")
    if not path.exists():
        missing("libblas.so.3 (Debian package libblas3)")
    return path


def test_every_spelling_of_the_distributions_blas_is_reached():
    theirs = {
        symbol
        for symbol in exported(distributions_blas())
        if (match := SPELLING.match(symbol)) and match[3] in ROUTINES
    }
    assert len(theirs) > 80
    assert theirs - exported(blas_library()) == set()


MORE = {f"gemm_{name}" for name in ("batch", "batch_strided", "pack", "compute", "alloc", "free")}
MORE |= {"gemm_pack_get_size"}
HALF = {"gemm_bf16bf16f32", "gemm_f16f16f32", "sbgemm", "shgemm"}


def test_nothing_but_blas_is_exported():
    strange = set()
    for symbol in exported(blas_library()):
        name = re.sub(r"^(scipy_)?(cblas_)?|_?64_?$|_$", "", symbol).removesuffix("_sub")
        if name not in ROUTINES | HALF and name[1:] not in MORE:
            strange.add(symbol)
    assert strange == set()


def test_the_sources_compile_without_a_warning():
    compiler = program("cc", "gcc")
    for source in sorted((SOURCES / "blas").glob("*.c")):
        options = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
        done = subprocess.run(
            [compiler, *options, source], check=False, capture_output=True, text=True
        )
        assert done.stderr == ""


# --- illegal arguments -----------------------------------------------------------------------

ILLEGAL = """
#include <stdio.h>
#include <stdint.h>
void sgemm_(const char *, const char *, const int *, const int *, const int *, const float *,
            const float *, const int *, const float *, const int *, const float *, float *,
            const int *, size_t, size_t);
%s
int main(void) {
    int n = 2, wrong = 1;
    float one = 1, a[4] = {1, 2, 3, 4}, c[4] = {9, 9, 9, 9};
    sgemm_("n", "n", &n, &n, &n, &one, a, &n, a, &wrong, &one, c, &n, 1, 1);
    printf("%%g\\n", c[0]);
    return 0;
}
"""
OWN_XERBLA = """
void xerbla_(const char *name, const int *position, size_t length) {
    printf("%.*s %d\\n", (int)length, name, *position);
}
"""


def test_the_programs_own_xerbla_hears_of_an_illegal_argument(tmp_path, wide):
    path = compile_c(tmp_path, "illegal", ILLEGAL % OWN_XERBLA, "-lblas", "-rdynamic")
    assert wide.run(path).stdout.split() == ["SGEMM", "10", "9"]
    assert wide.uses()["sgemm_"].native_calls == 1


def test_without_a_blas_the_programs_xerbla_is_called_by_us(tmp_path, wide):
    library = blas_library()
    options = (str(library), f"-Wl,-rpath,{library.parent}", "-rdynamic")
    path = compile_c(tmp_path, "illegal", ILLEGAL % OWN_XERBLA, *options)
    assert wide.run(path).stdout.split() == ["SGEMM", "10", "9"]


def test_without_any_xerbla_a_line_says_what_is_illegal(tmp_path, wide):
    library = blas_library()
    options = (str(library), f"-Wl,-rpath,{library.parent}")
    path = compile_c(tmp_path, "illegal", ILLEGAL % "", *options)
    done = wide.run(path)
    assert done.stdout == "9\n"
    assert done.stderr == "hwgen: on entry to SGEMM parameter number 10 had an illegal value\n"


ORDERS = """
#include <stdio.h>
void cblas_sgemm_batch_strided(int, int, int, int, int, int, float, const float *, int, int,
                               const float *, int, int, float, float *, int, int, int);
void cblas_xerbla(int position, const char *name, const char *form, ...) {
    printf("%s %d%s\\n", name, position, form);
}
int main(void) {
    float a[1] = {2}, c[1] = {9};
    cblas_sgemm_batch_strided(99, 111, 111, 1, 1, 1, 1, a, 1, 1, a, 1, 1, 0, c, 1, 1, 1);
    cblas_sgemm_batch_strided(101, 111, 111, 1, 1, 1, 1, a, 1, 1, a, 0, 1, 0, c, 1, 1, 1);
    printf("%g\\n", c[0]);
    return 0;
}
"""


def test_a_strided_batch_counts_the_order_and_the_strides_among_its_arguments(tmp_path, wide):
    library = blas_library()
    options = (str(library), f"-Wl,-rpath,{library.parent}", "-rdynamic")
    path = compile_c(tmp_path, "orders", ORDERS, *options)
    name = "cblas_sgemm_batch_strided"
    assert wide.run(path).stdout.split() == [name, "1", name, "12", "9"]


PLAIN = """
#include <stdio.h>
void dgemm_(const char *, const char *, const int *, const int *, const int *, const double *,
            const double *, const int *, const double *, const int *, const double *, double *,
            const int *, size_t, size_t);
int main(void) {
    int n = 2;
    double one = 1, zero = 0, a[4] = {1, 2, 3, 4}, c[4];
    dgemm_("n", "n", &n, &n, &n, &one, a, &n, a, &n, &zero, c, &n, 1, 1);
    printf("%g %g %g %g\\n", c[0], c[1], c[2], c[3]);
    return 0;
}
"""


def test_without_a_run_and_without_a_blas_plain_loops_compute(tmp_path, wide):
    library = blas_library()
    options = (str(library), f"-Wl,-rpath,{library.parent}")
    path = compile_c(tmp_path, "plain", PLAIN, *options)
    del wide.environment["HWGEN_RUN"]
    assert wide.run(path).stdout == "7 10 15 22\n"


@pytest.mark.parametrize("relative", [False, True], ids=["by_name", "by_relative_path"])
def test_an_original_in_a_local_scope_of_its_own_is_found(tmp_path, wide, relative):
    library = blas_library()
    source = ILLEGAL % "#include <dlfcn.h>"
    opened = "libblas.so.3"
    if relative:
        opened = "./libmine.so"
        shutil.copy(distributions_blas(), tmp_path / opened)
    source = source.replace("int n = 2", f'dlopen("{opened}", RTLD_NOW | RTLD_LOCAL); int n = 2')
    options = (str(library), f"-Wl,-rpath,{library.parent}", "-ldl")
    done = wide.run(compile_c(tmp_path, "illegal", source, *options))
    # It is that library's own complaint, not ours.
    assert "SGEMM" in done.stdout + done.stderr
    assert "hwgen:" not in done.stderr


def test_an_error_that_r_jumps_out_of_leaves_later_calls_served(wide):
    source = """
dyn.load(Sys.glob("/usr/lib/*/libblas.so.3")[1])
bad <- try(.Fortran("dgemm", "N", "N", 2L, 2L, 2L, 1, 1:4 + 0, 1L, 1:4 + 0, 2L, 0, 1:4 + 0, 2L))
options(matprod = "blas")
cat("after", matrix(1, 2, 2) %*% matrix(1, 2, 2))
"""
    done = wide.run(program("Rscript", "r-base-core"), "-e", source)
    assert "after 2 2 2 2" in done.stdout
    assert wide.uses()["dgemm_"].served_calls >= 1


# --- speed -----------------------------------------------------------------------------------

TINY = """
#include <cblas.h>
#include <stdio.h>
#include <time.h>
int main(void) {
    double a[4] = {1, 2, 3, 4}, c[4], best = 1;
    for (int round = 0; round < 20; round++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int i = 0; i < 1000; i++)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, a, 2, 0, c, 2);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double seconds = (end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec);
        if (seconds < best)
            best = seconds;
    }
    printf("%g\\n", best / 1000);
    return 0;
}
"""


def test_a_tiny_call_costs_little(tmp_path):
    # fp32 needs the least of the kernels.
    datapath = {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "fp32"}
    path = compile_c(tmp_path, "tiny", TINY, "-O2", "-lblas")
    native = float(subprocess.run([path], capture_output=True, text=True, check=True).stdout)
    ours = float(BlasRun(tmp_path, datapath).run(path).stdout)
    # 2 microseconds on an idle machine; this one has other work.
    assert ours - native < 8e-6


def test_a_program_that_calls_no_blas_never_reads_the_configuration(tmp_path):
    path = compile_c(tmp_path, "nothing", "int main(void) { return 0; }")
    run = BlasRun(tmp_path, WIDE_64)
    (tmp_path / "config").write_text("what would be complained of\n")
    assert run.run(path).stderr == ""
    assert list(tmp_path.glob("counters.*")) == []
