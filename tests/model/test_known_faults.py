"""Known faults of earlier generators; the table says which, and serves the circuits' tests too."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from hwgen.model import accumulator, float_sum, gemm_bits
from hwgen.spec.datapath import Datapath

TABLE = Path(__file__).with_name("known_faults.toml")
CASES = tomllib.loads(TABLE.read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("route", ["exact", "numpy", "limbs"])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_known_fault_does_not_return(case, route, monkeypatch):
    if route == "limbs":
        monkeypatch.setattr(accumulator, "exact_lane_scales", lambda *_: None)
        monkeypatch.setattr(float_sum, "lanes_are_exact", lambda *_: False)
    bits, status = gemm_bits(
        np.array([case["a"]]),
        np.array(case["b"])[:, np.newaxis],
        Datapath.parse(**case["datapath"]),
        engine="exact" if route == "exact" else "numpy",
    )
    assert (hex(bits[0, 0]), int(status[0, 0])) == (hex(case["bits"]), case["status"])
