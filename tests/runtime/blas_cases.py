"""Calls of every BLAS routine, compared with rational arithmetic.

Run as a program with the library's path: prints a JSON object, case: error or "".
"""

from __future__ import annotations

import ctypes
import itertools
import json
import sys
import traceback
from fractions import Fraction

import blas_triangles
import numpy as np
from blas_calls import (
    CASES,
    CODES,
    COLUMN,
    RAND,
    ROW,
    TYPES,
    Blas,
    case,
    matrix_of,
    numbers,
    op,
    same,
    scalar,
    stored,
)

__all__ = ["CASES", "blas_triangles"]


# --- gemm -----------------------------------------------------------------------------------


@case
def gemm_takes_every_transpose_order_and_leading_dimension(blas):
    for letter, order, ta, tb in itertools.product("sdcz", (ROW, COLUMN), "NTC", "NTC"):
        m, n, k = 3, 5, 4
        a, b, c = numbers(letter, m, k), numbers(letter, k, n), numbers(letter, m, n)
        alpha, beta = (2 - 1j, -3 + 2j) if letter in "cz" else (2, -3)
        (ra, la), (rb, lb), (rc, lc) = (
            stored(op(a, ta), order),
            stored(op(b, tb), order, 1),
            stored(c, order, 3),
        )
        # op is its own inverse.
        alpha_c, beta_c = scalar(letter, alpha), scalar(letter, beta)
        blas.c(
            f"cblas_{letter}gemm64_",
            *(order, CODES[ta], CODES[tb], m, n, k, alpha_c, ra, la, rb, lb, beta_c, rc, lc),
        )
        same(matrix_of(rc, (m, n), order), alpha * (a @ b) + beta * c)


@case
def gemm_by_reference_takes_either_case_and_both_integers(blas):
    a, b, c = numbers("d", 3, 4), numbers("d", 4, 5), numbers("d", 3, 5)
    for name, integer in (
        ("dgemm_", ctypes.c_int32),
        ("scipy_dgemm_", ctypes.c_int32),
        ("dgemm_64_", ctypes.c_int64),
        ("scipy_dgemm_64_", ctypes.c_int64),
        ("scipy_dgemm64_", ctypes.c_int64),
    ):
        (ra, la), (rb, lb), (rc, lc) = stored(a.T, COLUMN), stored(b, COLUMN), stored(c, COLUMN)
        arguments = ("t", "n", 3, 5, 4, np.array(2.0), ra, la, rb, lb, np.array(1.0), rc, lc)
        blas.fortran(name, *arguments, integer=integer)
        same(matrix_of(rc, (3, 5), COLUMN), 2 * (a @ b) + c)


@case
def gemm_does_not_read_what_a_zero_factor_hides(blas):
    nan = np.full((4, 4), np.nan)
    ones = np.ones((4, 4))
    for alpha, beta, k, a, c, expected in (
        (1.0, 0.0, 4, ones, nan, 4 * ones),
        (0.0, 0.0, 4, nan, nan, 0 * ones),
        (0.0, 2.0, 4, nan, ones, 2 * ones),
        (1.0, 2.0, 0, nan, ones, 2 * ones),
        (1.0, 1.0, 0, nan, ones, ones),
        (1.0, 1.0, 4, nan, ones, nan),
        (1.0, 1.0, 4, ones, nan, nan),
    ):
        result = c.copy()
        codes = (ROW, CODES["N"], CODES["N"])
        values = (np.float64(alpha), a, 4, a, 4, np.float64(beta), result, 4)
        blas.c("cblas_dgemm64_", *codes, 4, 4, k, *values)
        same(result, expected)


@case
def gemm_of_nothing_does_nothing(blas):
    c = np.full((4, 4), 3.0)
    for m, n in ((0, 4), (4, 0), (0, 0)):
        values = (np.float64(1), c, 4, c, 4, np.float64(0), c, 4)
        blas.c("cblas_dgemm64_", ROW, CODES["N"], CODES["N"], m, n, 4, *values)
    same(c, np.full((4, 4), 3.0))


@case
def gemmt_computes_its_triangle_only(blas):
    for letter, order, uplo, n in itertools.product("dz", (ROW, COLUMN), "UL", (3, 70)):
        a, b, c = numbers(letter, n, 4), numbers(letter, 4, n), numbers(letter, n, n)
        (ra, la), (rb, lb), (rc, lc) = stored(a, order), stored(b.T, order), stored(c, order)
        for name in ("gemmt", "gemmtr"):
            rc[...] = stored(c, order)[0]
            alpha, beta = scalar(letter, 2), scalar(letter, 3)
            codes = (order, CODES[uplo], CODES["N"], CODES["T"])
            arguments = (n, 4, alpha, ra, la, rb, lb, beta, rc, lc)
            blas.c(f"cblas_{letter}{name}64_", *codes, *arguments)
            keep = np.triu(np.ones((n, n), bool)) if uplo == "U" else np.tri(n, dtype=bool)
            same(matrix_of(rc, (n, n), order), np.where(keep, 2 * (a @ b) + 3 * c, c))


@case
def a_batch_computes_every_member_of_every_group(blas):
    groups = [(2, 3, 4, 2), (1, 5, 2, 3)]  # m, n, k, members
    integers = [np.array([group[i] for group in groups], np.int64) for i in range(4)]
    a = [numbers("d", m, k) for m, n, k, count in groups for _ in range(count)]
    b = [numbers("d", k, n) for m, n, k, count in groups for _ in range(count)]
    c = [numbers("d", m, n) for m, n, k, count in groups for _ in range(count)]
    factors = (2, 2, -1, -1, -1)
    expected = [f * (x @ y) + z for f, x, y, z in zip(factors, a, b, c, strict=True)]
    lists = [np.array([x.ctypes.data for x in matrices], np.uint64) for matrices in (a, b, c)]
    codes = np.full(2, CODES["N"], np.int32)
    alpha, beta = np.array([2.0, -1.0]), np.array([1.0, 1.0])
    m, n, k, sizes = integers
    arguments = (alpha, lists[0], k, lists[1], n, beta, lists[2], n)
    blas.c("cblas_dgemm_batch64_", ROW, codes, codes, m, n, k, *arguments, 2, sizes)
    for result, wanted in zip(c, expected, strict=True):
        same(result, wanted)


@case
def a_strided_batch_computes_every_member(blas):
    a, b, c = numbers("s", 3, 2, 4), numbers("s", 3, 4, 5), numbers("s", 3, 2, 5)
    expected = a @ b + c
    one = np.float32(1)
    arguments = (2, 5, 4, one, a, 4, 8, b, 5, 20, one, c, 5, 10, 3)
    blas.c("cblas_sgemm_batch_strided64_", ROW, CODES["N"], CODES["N"], *arguments)
    same(c, expected)


@case
def sixteen_bit_operands_are_widened_exactly(blas):
    halves = np.arange(1 << 16, dtype=np.uint16)
    for name, wide in (
        ("gemm_bf16bf16f32", (halves.astype(np.uint32) << 16).view(np.float32)),
        ("gemm_f16f16f32", halves.view(np.float16).astype(np.float32)),
    ):
        # Each number times one, as a column.
        one = np.array([[0x3F80 if "bf16" in name else 0x3C00]], np.uint16)
        c = np.zeros((1 << 16, 1), np.float32)
        arguments = (1 << 16, 1, 1, np.float32(1), halves, 1, one, 1, np.float32(0), c, 1)
        blas.c(f"cblas_{name}64_", ROW, CODES["N"], CODES["N"], *arguments)
        moderate = np.isfinite(wide) & (abs(wide) < 2.0**40) & (abs(wide) > 2.0**-50)
        same(c[moderate, 0], wide[moderate])
        assert not np.isfinite(c[~np.isfinite(wide)]).any()


@case
def packed_matrices_multiply_in_both_orders(blas):
    m, n, k = 3, 5, 4
    for order, ta, packed in itertools.product((ROW, COLUMN), "NT", ("a", "b", "ab")):
        a, b, c = numbers("s", m, k), numbers("s", k, n), numbers("s", m, n)
        (ra, la), (rb, lb), (rc, lc) = stored(op(a, ta), order), stored(b, order), stored(c, order)
        codes = {"a": CODES[ta], "b": CODES["N"]}
        operands = {"a": ra, "b": rb}
        for name in packed:
            which = 161 if name == "a" else 162
            size = blas.c("cblas_sgemm_pack_get_size64_", which, m, n, k, result=ctypes.c_size_t)
            room = np.zeros(size, np.uint8)
            arguments = (m, n, k, np.float32(2), operands[name], la if name == "a" else lb, room)
            blas.c("cblas_sgemm_pack64_", order, which, codes[name], *arguments)
            operands[name], codes[name] = room, 151
        arguments = (m, n, k, operands["a"], la, operands["b"], lb, np.float32(3), rc, lc)
        blas.c("cblas_sgemm_compute64_", order, codes["a"], codes["b"], *arguments)
        same(matrix_of(rc, (m, n), order), 2 ** len(packed) * (a @ b) + 3 * c)


# --- vectors --------------------------------------------------------------------------------


def strided(vector: np.ndarray, step: int) -> np.ndarray:
    """Memory in which BLAS finds the vector with this increment."""
    room = np.full(1 + (len(vector) - 1) * abs(step), np.nan, vector.dtype)
    room[:: abs(step)] = vector if step > 0 else vector[::-1]
    return room


@case
def gemv_takes_every_transpose_order_and_increment(blas):
    for letter, order, trans, sx, sy in itertools.product(
        "sz", (ROW, COLUMN), "NTC", (1, -2), (1, 3, -1)
    ):
        a = numbers(letter, 3, 4)
        matrix = op(a, trans)
        x, y = numbers(letter, matrix.shape[1]), numbers(letter, matrix.shape[0])
        ra, la = stored(a, order)
        rx, ry = strided(x, sx), strided(y, sy)
        alpha, beta = scalar(letter, 2), scalar(letter, -1)
        codes = (order, CODES[trans], 3, 4)
        blas.c(f"cblas_{letter}gemv64_", *codes, alpha, ra, la, rx, sx, beta, ry, sy)
        result = ry[:: abs(sy)] if sy > 0 else ry[:: abs(sy)][::-1]
        same(result, 2 * (matrix @ x) - y)


@case
def gemv_with_an_empty_matrix_leaves_y(blas):
    y = np.ones(3)
    zero = np.zeros(3)
    values = (np.float64(1), zero, 1, zero, 1, np.float64(5), y, 1)
    blas.c("cblas_dgemv64_", ROW, CODES["N"], 3, 0, *values)
    same(y, np.ones(3))


@case
def dot_products_of_every_kind(blas):
    for sx, sy in itertools.product((1, -2), (3, -1)):
        for letter, kind in (("s", ctypes.c_float), ("d", ctypes.c_double)):
            x, y = numbers(letter, 6), numbers(letter, 6)
            vectors = (6, strided(x, sx), sx, strided(y, sy), sy)
            assert blas.c(f"cblas_{letter}dot64_", *vectors, result=kind) == x @ y
            assert blas.c(f"cblas_{letter}dot64_", 0, *vectors[1:], result=kind) == 0
        for letter, conjugate in itertools.product("cz", (False, True)):
            x, y = numbers(letter, 6), numbers(letter, 6)
            result = np.zeros(1, TYPES[letter])
            name = f"cblas_{letter}dot{'c' if conjugate else 'u'}_sub64_"
            blas.c(name, 6, strided(x, sx), sx, strided(y, sy), sy, result)
            same(result[0], (x.conj() if conjugate else x) @ y)


@case
def dot_products_into_double_precision(blas):
    x, y = np.array([1, 2.0**-30], np.float32), np.array([1, 1], np.float32)
    assert blas.c("cblas_dsdot64_", 2, x, 1, y, 1, result=ctypes.c_double) == 1 + 2.0**-30
    summed = blas.c("cblas_sdsdot64_", 2, np.float32(-1), x, 1, y, 1, result=ctypes.c_float)
    assert summed == 2.0**-30


# --- rounding -------------------------------------------------------------------------------


def rounded_sum(a: np.ndarray, b: np.ndarray) -> float:
    """The exact sum of products, rounded once."""
    return float(sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)))


def fused(x: float, y: float, z: float) -> float:
    return float(Fraction(x) * Fraction(y) + Fraction(z))


@case
def rounding_alpha_and_beta_follow_the_formula(blas):
    m, n, k, alpha, beta = 5, 4, 7, 0.7, 1.3
    a, b, c = (RAND.standard_normal(shape) for shape in ((m, k), (k, n), (m, n)))
    result = c.copy()
    values = (np.float64(alpha), a, k, b, n, np.float64(beta), result, n)
    blas.c("cblas_dgemm64_", ROW, CODES["N"], CODES["N"], m, n, k, *values)
    for i, j in itertools.product(range(m), range(n)):
        term = alpha * rounded_sum(a[i], b[:, j])
        assert result[i, j] == fused(beta, float(c[i, j]), term)


@case
def rounding_of_complex_products_is_that_of_four_real_ones(blas):
    m, n, k = 3, 4, 9
    a = RAND.standard_normal((m, k)) + 1j * RAND.standard_normal((m, k))
    b = RAND.standard_normal((k, n)) + 1j * RAND.standard_normal((k, n))
    c = np.zeros((m, n), complex)
    values = (scalar("z", 1), a, k, b, n, scalar("z", 0), c, n)
    blas.c("cblas_zgemm64_", ROW, CODES["N"], CODES["N"], m, n, k, *values)
    for i, j in itertools.product(range(m), range(n)):
        re, im = a[i].real, a[i].imag
        assert c[i, j].real == rounded_sum(re, b[:, j].real) - rounded_sum(im, b[:, j].imag)
        assert c[i, j].imag == rounded_sum(re, b[:, j].imag) + rounded_sum(im, b[:, j].real)


@case
def rounding_happens_once_in_a_triangular_product(blas):
    size, n = 40, 3
    full, b = np.triu(RAND.standard_normal((size, size))), RAND.standard_normal((size, n))
    result = b.copy()
    codes = (ROW, CODES["LEFT"], CODES["U"], CODES["N"], CODES["NONUNIT"], size, n)
    blas.c("cblas_dtrmm64_", *codes, np.float64(1), full, size, result, n)
    for i, j in itertools.product(range(size), range(n)):
        assert result[i, j] == rounded_sum(full[i], b[:, j])


def main() -> None:
    blas = Blas(sys.argv[1])
    report = {}
    for function in CASES:
        try:
            function(blas)
            report[function.__name__] = ""
        except Exception:
            report[function.__name__] = traceback.format_exc()
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
