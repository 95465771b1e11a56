"""Operands and comparisons for the tests of the C kernels."""

from __future__ import annotations

import numpy as np

from hwgen import model
from hwgen.formats import FixedPoint, Format
from hwgen.runtime import gemm_bits
from hwgen.spec.datapath import Datapath

__all__ = ["any_bits", "assert_same", "check", "moderate_bits", "spread_bits", "with_specials"]


def any_bits(fmt: Format, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Every pattern is as likely as any other, NaN and infinities among them."""
    return rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64).astype(fmt.dtype)


def moderate_bits(fmt: Format, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Numbers of a normal distribution, for fixed point over most of its range."""
    values = rng.standard_normal(shape)
    if isinstance(fmt, FixedPoint):
        values *= min(float(fmt.max_finite) / 3, 2.0**40)
    return fmt.from_float(values)


def spread_bits(
    fmt: Format, shape: tuple[int, int], rng: np.random.Generator, binades: int
) -> np.ndarray:
    """Numbers over so many binades around 1."""
    exponents = rng.integers(-binades // 2, binades // 2 + 1, size=shape)
    return fmt.from_float(np.ldexp(rng.standard_normal(shape), exponents))


def with_specials(bits: np.ndarray, fmt: Format, rng: np.random.Generator) -> np.ndarray:
    """Put zeros, NaN and infinities, where the format has them, into a few places."""
    bits = bits.copy()
    patterns = [0, fmt.nan_bits, fmt.infinity_bits(False), fmt.infinity_bits(True)]
    for pattern in patterns:
        row, column = (int(rng.integers(size)) for size in bits.shape)
        bits[row, column] = pattern
    return bits


def assert_same(given: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    """Patterns and status agree, their dtypes too."""
    for what, got, want in zip(("bits", "status"), given, expected, strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        wrong = np.argwhere(got != want)
        assert wrong.size == 0, (what, wrong[0], got[tuple(wrong[0])], want[tuple(wrong[0])])


def check(
    a_bits: np.ndarray,
    b_bits: np.ndarray,
    datapath: Datapath,
    engine: str,
    *,
    reference: str = "numpy",
    **options,
) -> None:
    """Hold the kernels against a route of the golden model."""
    lanes = options.get("lanes")
    expected = model.gemm_bits(a_bits, b_bits, datapath, engine=reference, lanes=lanes)
    assert_same(gemm_bits(a_bits, b_bits, datapath, engine=engine, **options), expected)
