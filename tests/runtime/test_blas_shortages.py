"""What a program lacks or takes away - memory, room on the disk, open files - costs no result."""

from __future__ import annotations

import pytest
from blas_run import WIDE_64, BlasRun, compile_c

# Its malloc fails once, or from then on, at a large piece of memory: at each in turn.
MEMORY = """
#include <cblas.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
void *__libc_malloc(size_t);
void *__libc_memalign(size_t, size_t);
static int countdown = -1, lasting;
static int fails(size_t bytes) {
    if (bytes <= 1024 || countdown < 0)
        return 0;
    if (countdown > 0)
        return countdown--, 0;
    if (!lasting)
        countdown = -1;
    return 1;
}
void *malloc(size_t bytes) { return fails(bytes) ? NULL : __libc_malloc(bytes); }
void *aligned_alloc(size_t line, size_t bytes) {
    return fails(bytes) ? NULL : __libc_memalign(line, bytes);
}
enum { N = 90, K = 5 };
static double a[2 * N * N], b[2 * N * N];
static void compute(double *c) {
    double alpha[2] = {2, 1}, beta[2] = {-1, 2};
    %s
}
int main(void) {
    static double start[2 * N * N], right[2 * N * N], c[2 * N * N];
    for (int i = 0; i < 2 * N * N; i++) {
        a[i] = i %% 7 - 3;
        b[i] = i %% 5 - 2;
        start[i] = i %% 3;
    }
    memcpy(right, start, sizeof start);
    compute(right);
    for (lasting = 0; lasting < 2; lasting++)
        for (int i = 0; i < 12; i++) {
            memcpy(c, start, sizeof start);
            countdown = i;
            compute(c);
            countdown = -1;
            if (memcmp(c, right, sizeof c) != 0)
                printf("wrong where piece %%d was not to be had\\n", i);
        }
    return 0;
}
"""
CALLS = {
    "gemm": "cblas_zgemm(101, 111, 111, N, N, K, alpha, a, N, b, N, beta, c, N);",
    "syr2k": "cblas_dsyr2k(101, 122, 111, N, K, 2, a, N, b, N, -1, c, N);",
    "her2k": "cblas_zher2k(102, 121, 111, N, K, alpha, a, N, b, N, -1, c, N);",
    "symm": "cblas_dsymm(101, 142, 122, N, N, 2, a, N, b, N, -1, c, N);",
    # Ones on the diagonal, and zeros beside most of them, keep the numbers small.
    "trsm": "for (int i = 0; i < N * N; i++) a[i] *= (i % N + 3 * (i / N)) % 41 == 0;"
    " cblas_dtrsm(101, 141, 122, 111, 132, N, N, 2, a, N, c, N);",
    "trmm": "cblas_ztrmm(101, 141, 122, 111, 131, N, N, alpha, a, N, c, N);",
}


@pytest.mark.parametrize("name", CALLS)
def test_memory_that_is_short_at_any_moment_changes_no_result(tmp_path, name):
    run = BlasRun(tmp_path, WIDE_64, threads=1)
    path = compile_c(tmp_path, "memory", MEMORY % CALLS[name], "-lblas")
    assert run.run(path).stdout == ""
    (use,) = run.uses().values()
    assert use.failed_calls > 0


DISK = """
#include <cblas.h>
#include <errno.h>
#include <stdio.h>
#include <sys/types.h>
int posix_fallocate(int file, off_t from, off_t bytes) {
    static int calls;
    (void)file, (void)from, (void)bytes;
    return calls++ == 0 ? EINTR : ENOSPC;
}
int main(void) {
    double a[2] = {1, 2};
    printf("%g\\n", cblas_ddot(2, a, 1, a, 1));
    return 0;
}
"""


def test_a_full_disk_costs_the_counters_and_nothing_else(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    done = run.run(compile_c(tmp_path, "disk", DISK, "-lblas"))
    assert done.stdout == "5\n"
    assert done.stderr == f"hwgen: cannot write counters to {tmp_path}; nothing is counted\n"


def test_a_limit_on_files_costs_the_counters_and_nothing_else(tmp_path):
    run = BlasRun(tmp_path, WIDE_64)
    compile_c(tmp_path, "limit", DISK.replace("int posix_fallocate", "int unused"), "-lblas")
    done = run.run("sh", "-c", "ulimit -f 8; exec ./limit")
    assert done.stdout == "5\n"
    assert done.stderr.endswith("nothing is counted\n")


FILES = """
#include <cblas.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    double a[2] = {1, 2}, sum = cblas_ddot(2, a, 1, a, 1);
    puts("the program's own words");
    fflush(stdout);
    for (int file = 3; file < 64; file++)
        close(file);
    for (int file = 3; file < 64; file++)
        if (open("data", O_RDWR | O_CREAT | O_APPEND, 0666) < 0)
            return 1;
    sum += cblas_ddot(2, a, 1, a, 1);
    return sum != 10;
}
"""


@pytest.mark.parametrize("output", ["", ">&-"], ids=["open", "closed"])
def test_the_log_gets_all_calls_and_nothing_else_whatever_files_are_closed(tmp_path, output):
    run = BlasRun(tmp_path, WIDE_64, log=True)
    compile_c(tmp_path, "files", FILES, "-lblas")
    run.run("sh", "-c", f"exec ./files {output}")
    assert [line["symbol"] for line in run.log()] == ["cblas_ddot"] * 2
    assert (tmp_path / "data").read_bytes() == b""
