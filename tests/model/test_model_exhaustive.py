"""Every pair of operands of the 4- and 8-bit formats, in windows of every kind, on both routes."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.model import OVERFLOW, accumulator, gemm_bits
from hwgen.spec.datapath import Datapath

# For each pair of formats: weights of the leading bit of the largest product, of the lowest bit of
# the smallest, and of some bit between.
PAIRS = {
    ("e4m3", "e4m3"): (17, -18, -4),
    ("e5m2", "e5m2"): (31, -32, -6),
    ("e4m3", "e5m2"): (24, -25, -5),
    ("int4", "int4"): (6, 0, 2),
}

# (msb, lsb, ovf, options, out) from those three weights.
GEOMETRIES = {
    "lossless": lambda hi, lo, mid: (hi, lo, 1, "", "raw"),
    "no-overflow-bits": lambda hi, lo, mid: (hi, lo, 0, "", "fp32"),
    "truncates": lambda hi, lo, mid: (hi, mid, 2, "", "bf16"),
    "rounds": lambda hi, lo, mid: (hi, mid, 2, ",round=even", "raw"),
    "range-nan": lambda hi, lo, mid: (mid + 3, lo, 1, "", "fp16"),
    "range-saturate": lambda hi, lo, mid: (mid + 3, lo + 1, 0, ",overflow=saturate", "raw"),
    "range-wrap-even": lambda hi, lo, mid: (mid + 3, lo + 1, 0, ",overflow=wrap,round=even", "raw"),
    "rounds-up-to-the-top": lambda hi, lo, mid: (
        mid + 2,
        mid,
        1,
        ",overflow=saturate,round=even",
        "e4m3",
    ),
    "to-odd": lambda hi, lo, mid: (hi, mid, 2, ",round=odd", "raw"),
    "to-odd-saturate": lambda hi, lo, mid: (
        mid + 2,
        mid - 1,
        0,
        ",round=odd,overflow=saturate",
        "raw",
    ),
    "at-random": lambda hi, lo, mid: (hi, mid, 2, ",round=stochastic,seed=5,bits=4", "raw"),
    "at-random-wrap": lambda hi, lo, mid: (
        mid + 2,
        mid,
        0,
        ",round=stochastic,seed=6,bits=9,overflow=wrap",
        "raw",
    ),
    "narrow-wrap": lambda hi, lo, mid: (mid + 2, mid, 0, ",overflow=wrap", "e5m2"),
    "two-bits": lambda hi, lo, mid: (mid, mid, 1, ",round=even", "int8"),
    "wide": lambda hi, lo, mid: (hi + 40, lo - 40, 9, "", "e4m3:overflow=nan"),
    "mostly-out-of-range": lambda hi, lo, mid: (
        lo + 2,
        lo - 3,
        3,
        ",overflow=saturate",
        "fixed:4,12",
    ),
}

CASES = [(pair, geometry) for pair in PAIRS for geometry in GEOMETRIES]
IDS = [f"{'x'.join(pair)}-{geometry}" for pair, geometry in CASES]


def make_datapath(pair: tuple[str, str], geometry: str) -> Datapath:
    msb, lsb, ovf, options, out = GEOMETRIES[geometry](*PAIRS[pair])
    acc = f"window:msb={msb},lsb={lsb},ovf={ovf}{options}"
    return Datapath.parse(a=pair[0], b=pair[1], acc=acc, out=out)


def all_patterns(datapath: Datapath) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1 << datapath.a.width), np.arange(1 << datapath.b.width)


def assert_engines_agree(a: np.ndarray, b: np.ndarray, datapath: Datapath) -> np.ndarray:
    bits, status = gemm_bits(a, b, datapath)
    exact_bits, exact_status = gemm_bits(a, b, datapath, engine="exact")
    np.testing.assert_array_equal(status, exact_status)
    np.testing.assert_array_equal(bits, exact_bits)
    return status


@pytest.mark.parametrize(("pair", "geometry"), CASES, ids=IDS)
def test_every_product_equals_exact_arithmetic(pair, geometry):
    datapath = make_datapath(pair, geometry)
    a, b = all_patterns(datapath)
    assert_engines_agree(a[:, np.newaxis], b[np.newaxis], datapath)


@pytest.mark.parametrize(("pair", "geometry"), CASES, ids=IDS)
def test_every_product_is_the_same_in_limbs(pair, geometry, monkeypatch):
    datapath = make_datapath(pair, geometry)
    a, b = all_patterns(datapath)
    a, b = a[:, np.newaxis], b[np.newaxis]
    bits, status = gemm_bits(a, b, datapath)
    monkeypatch.setattr(accumulator, "exact_lane_scales", lambda *_: None)
    limb_bits, limb_status = gemm_bits(a, b, datapath)
    np.testing.assert_array_equal(limb_status, status)
    np.testing.assert_array_equal(limb_bits, bits)


@pytest.mark.parametrize("limbs", [False, True], ids=["lane", "limbs"])
@pytest.mark.parametrize("geometry", ["no-overflow-bits", "range-saturate", "narrow-wrap"])
@pytest.mark.parametrize("pair", PAIRS, ids="x".join)
def test_sums_that_overflow_midway_equal_exact_arithmetic(pair, geometry, limbs, monkeypatch):
    """Every third pair of patterns, between terms that push the register to both of its ends."""
    if limbs:
        monkeypatch.setattr(accumulator, "exact_lane_scales", lambda *_: None)
    datapath = make_datapath(pair, geometry)
    a, b = (patterns[:: max(1, len(patterns) // 85)] for patterns in all_patterns(datapath))
    push_a = np.full_like(a, int(datapath.a.encode(datapath.a.max_finite).bits))
    push_b = np.full_like(b, int(datapath.b.encode(datapath.b.max_finite).bits))
    pull_b = np.full_like(b, int(datapath.b.encode(-datapath.b.max_finite).bits))
    left = np.stack([push_a, a, a[::-1], push_a, a, push_a], axis=1)
    right = np.stack([push_b, b, b[::-1], pull_b, np.roll(b, 7), pull_b])
    status = assert_engines_agree(left, right, datapath)
    assert (status & OVERFLOW).any()
