"""Known answers of Berkeley TestFloat, and a circuit's results held against them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hwgen.formats import Kind, parse_format
from hwgen.model import INEXACT, INVALID, OVERFLOW

_VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
_OVERFLOW, _INEXACT = 4, 1  # of TestFloat's flags
FORMATS = {"f16": "fp16", "f32": "fp32", "f64": "fp64", "bf16": "bf16"}  # by TestFloat's names


def read_vectors(name: str) -> np.ndarray:
    """(cases, columns) array of uint64: operands, result, flags."""
    path = _VECTORS / f"{name}.txt.gz"
    if not path.exists():
        pytest.skip("the TestFloat vectors lie beside a developer's checkout only")
    with gzip.open(path, "rt", encoding="ascii") as file:
        return np.array([[int(item, 16) for item in line.split()] for line in file], np.uint64)


def wrong_cases(
    bits: np.ndarray, status: np.ndarray, expected: np.ndarray, flags: np.ndarray, fmt: str
) -> np.ndarray:
    """Return the indices of the cases with a wrong bit in the result or its status.

    A NaN is a NaN, and no other flag matters then. An exact zero is +0 here whatever the signs of
    its terms, because a block starts at +0; what was rounded to -0 stays so.
    """
    out = parse_format(fmt)
    nan = np.array([out.decode(int(pattern)).kind is Kind.NAN for pattern in expected])
    minus_zero = (expected == 1 << (out.width - 1)) & (flags == 0)
    wrong = bits != np.where(nan, out.nan_bits, np.where(minus_zero, 0, expected))
    wrong |= (status & INVALID != 0) != nan
    for ours, theirs in ((OVERFLOW, _OVERFLOW), (INEXACT, _INEXACT)):
        wrong |= ((status & ours != 0) != (flags & theirs != 0)) & ~nan
    return np.flatnonzero(wrong)
