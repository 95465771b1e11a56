"""Numbers, roundings and dot products that others' libraries judge: both models and the emitted
Verilog against softposit's quires and the small floats of ml_dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import softposit
from verilog_pipeline import emitted_sums

from hwgen.model import INVALID, gemm_bits
from hwgen.spec.datapath import Datapath

BATCH = 8
SMALL_FLOATS = {
    "bf16": ml_dtypes.bfloat16,
    "e4m3:overflow=nan": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "float:4,3": ml_dtypes.float8_e4m3,
    "float:3,4": ml_dtypes.float8_e3m4,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}
# softposit's own posits of 8 and 16 bits have the exponent sizes of the draft before the standard;
# the standard's are among those of any length with two exponent bits.
DRAFT = {
    "posit:8,0": (softposit.posit8, softposit.quire8),
    "posit:16,1": (softposit.posit16, softposit.quire16),
}
STANDARD = {"posit8": 8, "posit:12,2": 12, "posit16": 16, "posit32": 32}
EVERYDAY = {"posit16", "bf16", "e4m3:overflow=nan", "e2m1"}  # whose Verilog comes in every run


def on_all_routes(names: Iterable[str]) -> list:
    """Parameters (name, route)."""
    return [
        pytest.param(name, route, marks=marks_of(name, route))
        for name in names
        for route in ("numpy", "exact", "verilog")
    ]


def marks_of(name: str, route: str) -> list[pytest.MarkDecorator]:
    if route != "verilog":
        return []
    return [pytest.mark.sim] if name in EVERYDAY else [pytest.mark.sim, pytest.mark.slow]


def dot_products(
    route: str, datapath: Datapath, a: np.ndarray, b: np.ndarray, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Patterns and status of the products of the rows of a and b, both (blocks, k)."""
    if route == "verilog":
        return emitted_sums(datapath, a, b, folder, simulator="icarus")
    parts = []
    for start in range(0, len(a), BATCH):
        rows = slice(start, start + BATCH)
        bits, status = gemm_bits(a[rows], b[rows].T, datapath, engine=route)
        parts.append((np.diagonal(bits), np.diagonal(status)))
    return np.concatenate([x for x, _ in parts]), np.concatenate([x for _, x in parts])


def times_one(
    route: str, datapath: Datapath, x: np.ndarray, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    one = np.full((len(x), 1), int(datapath.b.encode(1).bits), dtype=datapath.b.dtype)
    return dot_products(route, datapath, x[:, np.newaxis], one, folder)


def posit_of(name: str, bits: int):
    if name in STANDARD:
        return softposit.posit_2(x=STANDARD[name], bits=bits)
    number = DRAFT[name][0]()
    number.fromBits(bits)
    return number


def quire_of(name: str):
    return softposit.quire_2(STANDARD[name]) if name in STANDARD else DRAFT[name][1]()


@pytest.mark.parametrize(("name", "route"), on_all_routes([*DRAFT, *STANDARD]))
def test_dot_products_of_posits_equal_softposits_quire(name, route, tmp_path):
    datapath = Datapath.parse(a=name, acc="exact", out=name)
    fmt = datapath.a
    rng = np.random.default_rng(3)
    anything = rng.integers(0, 1 << fmt.width, (2, 24, 12), dtype=np.uint64).astype(fmt.dtype)
    anything[anything == fmt.nan_bits] = 0
    near_one = fmt.from_float(rng.standard_normal((2, 24, 12)))
    # The second half takes away what the first one adds, but for the last bit of a factor.
    cancelling = np.concatenate([anything[:, :, :6], anything[:, :, :6]], axis=2)
    cancelling[0, :, 6:] = -cancelling[0, :, 6:].astype(np.int64) % (1 << fmt.width)
    cancelling[1, :, 11] ^= 1
    cancelling[cancelling == fmt.nan_bits] = 0
    a, b = np.concatenate([anything, near_one, cancelling], axis=1)
    bits, status = dot_products(route, datapath, a, b, tmp_path)
    assert not (status & INVALID).any()
    for left, right, result in zip(a.tolist(), b.tolist(), bits.tolist(), strict=True):
        quire = quire_of(name)
        for x, y in zip(left, right, strict=True):
            quire.qma(posit_of(name, x), posit_of(name, y))
        assert float(str(quire.toPosit())) == fmt.decode(result).fraction


@pytest.mark.parametrize(("name", "route"), on_all_routes(SMALL_FLOATS))
def test_numbers_of_small_floats_equal_those_of_ml_dtypes(name, route, tmp_path):
    datapath = Datapath.parse(a=name, b="uint1", acc="exact:terms=1", out="fp32")
    fmt = datapath.a
    patterns = np.arange(0, 1 << fmt.width, 61 if fmt.width > 8 else 1).astype(fmt.dtype)
    bits, status = times_one(route, datapath, patterns, tmp_path)
    expected = patterns.view(SMALL_FLOATS[name]).astype(np.float32)
    np.testing.assert_array_equal(bits.astype(np.uint32).view(np.float32), expected)
    np.testing.assert_array_equal(status, np.where(np.isnan(expected), INVALID, 0))


def around_every_number(name: str) -> np.ndarray:
    """Float32: finite numbers of a small float, their midpoints, and what is next to either."""
    kind = SMALL_FLOATS[name]
    width = Datapath.parse(a=name, acc="exact:terms=1", out="fp32").a.width
    patterns = np.arange(1 << width).astype(np.uint16 if width > 8 else np.uint8)
    numbers = patterns.view(kind).astype(np.float32)
    numbers = np.unique(numbers[np.isfinite(numbers)])
    if width > 8:  # those in the middle are subnormal
        numbers = np.concatenate([numbers[:9], numbers[5:-5:257], numbers[32500:32600:7]])
        numbers = np.unique(np.concatenate([numbers, -numbers]))
    with np.errstate(over="ignore"):
        step = numbers[-1] - np.nextafter(kind(numbers[-1]), kind(0)).astype(np.float32)
        beyond = numbers[-1] + step * np.array([0.25, 0.5, 0.75, 1, 2], dtype=np.float32)
    middles = (numbers[1:].astype(np.float64) + numbers[:-1]) / 2
    values = np.concatenate([numbers, middles, beyond, -beyond]).astype(np.float32)
    infinity = np.float32(np.inf)
    values = np.concatenate(
        [values, np.nextafter(values, infinity), np.nextafter(values, -infinity)]
    )
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize(("name", "route"), on_all_routes(SMALL_FLOATS))
def test_roundings_to_small_floats_equal_those_of_ml_dtypes(name, route, tmp_path):
    datapath = Datapath.parse(a="fp32", b="uint1", acc="exact:terms=1", out=name)
    values = around_every_number(name)
    bits, _ = times_one(route, datapath, values.view(np.uint32), tmp_path)
    results = bits.astype(datapath.out.dtype).view(SMALL_FLOATS[name]).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = values.astype(SMALL_FLOATS[name]).astype(np.float32)
    np.testing.assert_array_equal(results, expected)
