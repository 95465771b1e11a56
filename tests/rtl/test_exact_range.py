"""The range of the exact presets: the largest sums fit, and would not fit in one bit less.

More formats for the seventh of the known faults of arithmetic.md section 6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from verilog_pipeline import emitted_sums

from hwgen.model import INVALID, OVERFLOW, gemm_bits
from hwgen.spec.datapath import Datapath

TERMS = 4
FLOATS = ["e2m1", "e2m3", "fp32"]
ROUTES = ["numpy", "exact", pytest.param("verilog", marks=pytest.mark.sim)]


def largest_sums(
    datapath: Datapath, route: str, folder: Path
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Patterns and status of TERMS times the largest product, and of its negation; its value."""
    largest = int(datapath.a.encode(datapath.a.max_finite).bits)
    negated = int(datapath.a.encode(-datapath.a.max_finite).bits)
    total = TERMS * datapath.a.max_finite**2
    a = np.array([[largest] * TERMS, [negated] * TERMS], dtype=datapath.a.dtype)
    b = np.full_like(a, largest)
    if route == "verilog":
        return emitted_sums(datapath, a, b, folder, simulator="icarus"), total
    bits, status = gemm_bits(a, b[:1].T, datapath, engine=route)
    return (bits[:, 0], status[:, 0]), total


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", [*FLOATS, "posit32"])
def test_sums_of_the_largest_products_are_exact(name, route, tmp_path):
    datapath = Datapath.parse(a=name, acc=f"exact:terms={TERMS}", out="fp64")
    (bits, status), total = largest_sums(datapath, route, tmp_path)
    assert [datapath.out.decode(int(word)).fraction for word in bits] == [total, -total]
    assert status.tolist() == [0, 0]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", FLOATS)
def test_sums_of_the_largest_products_leave_a_range_one_bit_short(name, route, tmp_path):
    window = Datapath.parse(a=name, acc=f"exact:terms={TERMS}", out="fp64").window
    short = f"window:msb={window.msb},lsb={window.lsb},ovf={window.ovf - 1}"
    datapath = Datapath.parse(a=name, acc=short, out="fp64")
    (bits, status), _ = largest_sums(datapath, route, tmp_path)
    assert bits.tolist() == [datapath.out.nan_bits] * 2
    assert status.tolist() == [INVALID | OVERFLOW] * 2
