"""Stochastic rounding in the emitted Verilog: matrices in tiles, and streams of blocks."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.flow.patterns import random_patterns
from hwgen.flow.simulate import simulate
from hwgen.model import gemm_bits
from hwgen.spec.datapath import Datapath

pytestmark = pytest.mark.sim

DATAPATHS = {
    "e4m3": {"a": "e4m3", "acc": "window:msb=9,lsb=-4,ovf=5,round=stochastic,seed=4000000000"},
    "int8": {
        "a": "int8",
        "acc": "window:msb=13,lsb=6,ovf=5,round=stochastic,bits=4",
        "out": "raw",
    },
}
ROWS, COLS = 2, 3


@pytest.mark.parametrize("name", DATAPATHS)
def test_tiles_of_a_matrix_round_by_their_place_in_the_array(name, make_build):
    build = make_build(Datapath.parse(**DATAPATHS[name]), ROWS, COLS)
    path = build.design.datapath
    rng = np.random.default_rng(6)
    m, k, n = 2 * ROWS + 1, 19, 2 * COLS + 1
    a, b = random_patterns(path.a, (m, k), rng), random_patterns(path.b, (k, n), rng)
    result = simulate(build.folder, a_bits=a, b_bits=b, stalls=0.2, seed=1)
    assert (result.ok, result.blocks) == (True, 9)
    bits, status = gemm_bits(a, b, path, engine="exact", lanes=(ROWS, COLS))
    np.testing.assert_array_equal(result.c_bits, bits)
    np.testing.assert_array_equal(result.status, status)
    assert not np.array_equal(bits, gemm_bits(a, b, path)[0]), "the tiling matters"


@pytest.mark.parametrize("name", DATAPATHS)
def test_streams_of_blocks_equal_the_model(name, make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(**DATAPATHS[name]), ROWS, COLS)
    run_checked(build, traffic_of(build, seed=3).mixture())
