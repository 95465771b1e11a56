"""Products of posit matrices: both routes alike, and both as softposit's quire."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import softposit

from hwgen.formats import parse_format
from hwgen.model import INEXACT, INVALID, OVERFLOW, gemm, gemm_bits
from hwgen.spec.datapath import Datapath

QUIRES = {  # softposit's exponent sizes are those of the draft before the standard
    "posit:8,0": (softposit.posit8, softposit.quire8),
    "posit:16,1": (softposit.posit16, softposit.quire16),
    "posit32": (softposit.posit32, softposit.quire32),
}
DATAPATHS = [
    {"a": "posit8", "acc": "exact"},
    {"a": "posit16", "acc": "exact", "out": "posit8"},
    {"a": "posit32", "acc": "exact"},
    {"a": "posit32", "acc": "exact", "out": "raw"},
    {"a": "posit8", "b": "posit16", "acc": "exact:terms=64"},
    {"a": "posit16", "b": "bf16", "acc": "window:msb=20,lsb=-20,ovf=3", "out": "posit16"},
    {"a": "e5m2", "acc": "exact", "out": "posit8"},
    {"a": "int8", "b": "posit:12,1", "acc": "window:msb=9,lsb=-9,ovf=1,overflow=saturate"},
    {"a": "posit:6,3", "acc": "window:msb=3,lsb=-3,ovf=1,round=even,overflow=wrap", "out": "fp16"},
    {"a": "fp32", "acc": "window:msb=90,lsb=-99,ovf=9", "out": "posit:32,0"},
]


def patterns(rng: np.random.Generator, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Numbers of ordinary size, or patterns of any kind."""
    fmt = parse_format(name)
    anything = rng.integers(0, 1 << fmt.width, shape, dtype=np.uint64).astype(fmt.dtype)
    numbers = fmt.from_float((rng.standard_normal(shape) * 4).round(3))
    return np.where(rng.random(shape) < 0.8, numbers, anything)


@pytest.mark.parametrize("names", DATAPATHS, ids=lambda names: "-".join(names.values()))
def test_dot_products_equal_exact_arithmetic(names: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    datapath = Datapath.parse(**names)
    for terms in (0, 1, 2, 9):
        a = patterns(rng, datapath.a.name, (16, terms))
        b = patterns(rng, datapath.b.name, (terms, 16))
        bits, status = gemm_bits(a, b, datapath)
        exact_bits, exact_status = gemm_bits(a, b, datapath, engine="exact")
        np.testing.assert_array_equal(bits, exact_bits)
        np.testing.assert_array_equal(status, exact_status)


@pytest.mark.parametrize("name", QUIRES)
@pytest.mark.parametrize("engine", ["numpy", "exact"])
def test_dot_products_equal_softposits_quire(name: str, engine: str) -> None:
    posit, quire = QUIRES[name]
    fmt = parse_format(name)
    datapath = Datapath.parse(a=name, acc="exact", out=name)
    rng = np.random.default_rng(2)
    near_one = fmt.from_float(rng.standard_normal((12, 30)) * np.exp2(rng.integers(-4, 4, (12, 1))))
    anything = rng.integers(0, 1 << fmt.width, (12, 30)).astype(fmt.dtype)
    anything[anything == fmt.nan_bits] = 0
    a, b = np.concatenate([near_one, anything[:6]]), np.concatenate([near_one[::-1], anything[6:]])
    a, b = a[:, :30], b.T[:30]
    bits, status = gemm_bits(a, b, datapath, engine=engine)
    for row in range(a.shape[0]):
        for column in range(b.shape[1]):
            total = quire()
            for x, y in zip(a[row].tolist(), b[:, column].tolist(), strict=True):
                left, right = posit(), posit()
                left.fromBits(x)
                right.fromBits(y)
                total.qma(left, right)
            assert float(total.toPosit()) == fmt.to_float(bits[row, column])
    assert not (status & INVALID).any()


def test_known_products_of_posits() -> None:
    # Faults that earlier generators of this kind had.
    for name in ("posit8", "posit16", "posit32", "posit:8,0"):
        datapath = Datapath.parse(a=name, acc="exact", out=name)
        fmt = datapath.a
        largest = fmt.nan_bits - 1

        def product(a: int, b: int, datapath: Datapath = datapath) -> tuple[int, int]:
            bits, status = gemm_bits(np.array([[a]]), np.array([[b]]), datapath)
            return int(bits[0, 0]), int(status[0, 0])

        one, minus_one = fmt.encode(1).bits, fmt.encode(-1).bits
        assert product(minus_one, one) == (minus_one, 0)
        assert product(minus_one, minus_one) == (one, 0)
        assert product(largest, largest) == (largest, OVERFLOW | INEXACT)
        assert product(1, 1) == (1, INEXACT)
        assert product(1, largest) == (one, 0)
        assert product(fmt.nan_bits, 0) == (fmt.nan_bits, INVALID)


def test_a_sum_of_cancelling_giants_keeps_the_smallest_product() -> None:
    datapath = Datapath.parse(a="posit16", acc="exact")
    fmt = datapath.a
    a = np.array([[0x7FFF, 0x0001, 0x8001]])
    b = np.array([[0x7FFF], [fmt.encode(1).bits], [0x7FFF]])
    bits, status = gemm_bits(a, b, datapath)
    assert (bits[0, 0], status[0, 0]) == (1, 0)


@pytest.mark.parametrize(("name", "width"), [("posit8", 128), ("posit16", 256), ("posit32", 512)])
def test_the_exact_window_is_the_standards_quire(name: str, width: int) -> None:
    datapath = Datapath.parse(a=name, acc="exact:terms=999999")
    size = datapath.a.width
    window = datapath.window
    assert (window.width, window.lsb, window.msb) == (width, 16 - 8 * size, 8 * size - 16)
    assert Fraction(2) ** window.lsb == datapath.a.decode(1).fraction ** 2


def test_real_numbers_go_in_and_come_out() -> None:
    datapath = Datapath.parse(a="posit16", acc="exact")
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((5, 7)), rng.standard_normal((7, 4))
    c = gemm(a, b, datapath)
    np.testing.assert_allclose(c, a @ b, atol=0.01)
    assert np.isnan(gemm(np.array([[np.inf]]), np.array([[1.0]]), datapath)).all()
