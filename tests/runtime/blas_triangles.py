"""Calls of the routines with symmetric and triangular matrices, for blas_cases.py."""

from __future__ import annotations

import itertools

import numpy as np
from blas_calls import (
    CODES,
    COLUMN,
    RAND,
    ROW,
    TYPES,
    case,
    matrix_of,
    numbers,
    op,
    same,
    scalar,
    stored,
)


@case
def rank_k_updates_touch_their_triangle_only(blas):
    for letter, order, uplo, n in itertools.product("sdcz", (ROW, COLUMN), "UL", (4, 67)):
        for name in ("syrk", "syr2k", *(("herk", "her2k") if letter in "cz" else ())):
            hermitian = name.startswith("her")
            for trans in "NC" if hermitian else "NT":
                _check_rank_k(blas, letter, order, uplo, n, name, trans)


def _check_rank_k(blas, letter, order, uplo, n, name, trans):
    hermitian = name.startswith("her")
    a, b, c = numbers(letter, n, 3), numbers(letter, n, 3), numbers(letter, n, n)
    turn = (lambda x: x.conj().T) if hermitian else (lambda x: x.T)
    real = np.float32 if letter in "sc" else np.float64
    if name.endswith("2k"):
        alpha = 2 - 1j if letter in "cz" else 2
        other = np.conj(alpha) if hermitian else alpha
        product = alpha * (a @ turn(b)) + other * (b @ turn(a))
        alpha_c = scalar(letter, alpha)
    else:
        product = 2 * (a @ turn(a))
        alpha_c = real(2) if hermitian else scalar(letter, 2)
    beta_c = real(3) if hermitian else scalar(letter, 3)
    full = product + 3 * c
    if hermitian:
        full[np.diag_indices(n)] = full.diagonal().real
    (ra, la), (rb, lb), (rc, lc) = (
        stored(op(a, trans), order),
        stored(op(b, trans), order),
        stored(c, order),
    )
    factors = (ra, la, rb, lb) if name.endswith("2k") else (ra, la)
    codes = (order, CODES[uplo], CODES[trans], n, 3)
    blas.c(f"cblas_{letter}{name}64_", *codes, alpha_c, *factors, beta_c, rc, lc)
    keep = np.triu(np.ones((n, n), bool)) if uplo == "U" else np.tri(n, dtype=bool)
    same(matrix_of(rc, (n, n), order), np.where(keep, full, c))


@case
def symmetric_products_read_their_triangle_only(blas):
    for letter, order, uplo, side in itertools.product(
        "sdcz", (ROW, COLUMN), "UL", ("LEFT", "RIGHT")
    ):
        for name in ("symm", *(("hemm",) if letter in "cz" else ())):
            m, n = 3, 5
            size = m if side == "LEFT" else n
            half = numbers(letter, size, size)
            inside = np.tri(size, dtype=bool) if uplo == "L" else np.tri(size, dtype=bool).T
            strict = np.where(inside & ~np.eye(size, dtype=bool), half, 0)
            mirror = strict.conj().T if name == "hemm" else strict.T
            diagonal = half.diagonal().real if name == "hemm" else half.diagonal()
            full = strict + mirror + np.diag(diagonal)
            given = np.where(inside, half, np.nan).astype(TYPES[letter])
            b, c = numbers(letter, m, n), numbers(letter, m, n)
            (ra, la), (rb, lb), (rc, lc) = (
                stored(given, order),
                stored(b, order),
                stored(c, order),
            )
            codes = (order, CODES[side], CODES[uplo], m, n)
            values = (scalar(letter, 2), ra, la, rb, lb, scalar(letter, 3), rc, lc)
            blas.c(f"cblas_{letter}{name}64_", *codes, *values)
            product = full @ b if side == "LEFT" else b @ full
            same(matrix_of(rc, (m, n), order), 2 * product + 3 * c)


def triangular_cases():
    for letter, order, uplo, side, trans, diag in itertools.product(
        "dz", (ROW, COLUMN), "UL", ("LEFT", "RIGHT"), "NTC", ("UNIT", "NONUNIT")
    ):
        m, n = 4, 3
        size = m if side == "LEFT" else n
        yield letter, order, uplo, side, trans, diag, m, n, size


def triangle(letter, uplo, diag, size):
    """A triangular matrix, and what is stored: NaN where nobody may look."""
    half = numbers(letter, size, size)
    # Powers of two divide exactly.
    half[np.diag_indices(size)] = 2.0 ** RAND.integers(-2, 3, size)
    inside = np.tri(size, dtype=bool) if uplo == "L" else np.tri(size, dtype=bool).T
    if diag == "UNIT":
        inside = inside & ~np.eye(size, dtype=bool)
    given = np.where(inside, half, np.nan).astype(TYPES[letter])
    return np.where(inside, half, 0) + (np.eye(size) if diag == "UNIT" else 0), given


@case
def triangular_products_read_their_triangle_only(blas):
    for letter, order, uplo, side, trans, diag, m, n, size in triangular_cases():
        full, given = triangle(letter, uplo, diag, size)
        b = numbers(letter, m, n)
        (ra, la), (rb, lb) = stored(given, order), stored(b, order)
        codes = (order, CODES[side], CODES[uplo], CODES[trans], CODES[diag], m, n)
        blas.c(f"cblas_{letter}trmm64_", *codes, scalar(letter, 2), ra, la, rb, lb)
        product = op(full, trans) @ b if side == "LEFT" else b @ op(full, trans)
        same(matrix_of(rb, (m, n), order), 2 * product)


@case
def an_infinity_reaches_only_the_sums_that_it_belongs_to(blas):
    size = 40
    for uplo, row in itertools.product("UL", (0, 17, 39)):
        full = np.ones((size, size))
        b = np.ones((size, 2))
        b[row, 1] = np.inf
        codes = (ROW, CODES["LEFT"], CODES[uplo], CODES["N"], CODES["NONUNIT"], size, 2)
        blas.c("cblas_dtrmm64_", *codes, np.float64(1), full, size, b, 2)
        terms = np.arange(size, 0, -1.0) if uplo == "U" else np.arange(1.0, size + 1)
        reached = np.arange(size) <= row if uplo == "U" else np.arange(size) >= row
        same(b, np.stack([terms, np.where(reached, np.inf, terms)], axis=1))


@case
def triangular_systems_are_solved(blas):
    for letter, order, uplo, side, trans, diag, m, n, size in triangular_cases():
        full, given = triangle(letter, uplo, diag, size)
        x = numbers(letter, m, n)
        b = op(full, trans) @ x if side == "LEFT" else x @ op(full, trans)
        (ra, la), (rb, lb) = stored(given, order), stored(b, order)
        codes = (order, CODES[side], CODES[uplo], CODES[trans], CODES[diag], m, n)
        blas.c(f"cblas_{letter}trsm64_", *codes, scalar(letter, 4), ra, la, rb, lb)
        same(matrix_of(rb, (m, n), order), 4 * x)


@case
def triangular_systems_larger_than_a_block_are_solved(blas):
    size = 75
    for uplo, order in itertools.product("UL", (ROW, COLUMN)):
        full = RAND.standard_normal((size, size)) / 20 + np.eye(size)
        full = np.triu(full) if uplo == "U" else np.tril(full)
        b = RAND.standard_normal((size, 6))
        (ra, la), (rb, lb) = stored(full, order), stored(b, order)
        codes = (order, CODES["LEFT"], CODES[uplo], CODES["N"], CODES["NONUNIT"], size, 6)
        blas.c("cblas_dtrsm64_", *codes, np.float64(1), ra, la, rb, lb)
        assert abs(full @ matrix_of(rb, (size, 6), order) - b).max() < 1e-12


@case
def a_zero_factor_hides_the_triangle(blas):
    for name in ("trmm", "trsm"):
        b = np.full((3, 3), np.nan)
        nan = np.full((3, 3), np.nan)
        codes = (ROW, CODES["LEFT"], CODES["U"], CODES["N"], CODES["NONUNIT"], 3, 3)
        blas.c(f"cblas_d{name}64_", *codes, np.float64(0), nan, 3, b, 3)
        same(b, np.zeros((3, 3)))
