"""Elements that add several products at once, in the emitted Verilog: streams, matrices, tiles."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.flow.patterns import random_patterns
from hwgen.flow.simulate import simulate
from hwgen.model import gemm_bits
from hwgen.spec.datapath import Datapath

pytestmark = pytest.mark.sim

DATAPATHS = {
    "bf16": {"a": "bf16", "acc": "window:msb=7,lsb=-22,ovf=2,dot=2"},
    "int8": {"a": "int8", "acc": "int:20,overflow=saturate,dot=4"},
    "wide": {"a": "fp32", "b": "e5m2", "acc": "window:msb=60,lsb=-90,ovf=2,dot=3"},
    "stochastic": {"a": "e4m3", "acc": "window:msb=9,lsb=-4,ovf=1,round=stochastic,dot=2"},
}
ROWS, COLS = 3, 2


@pytest.mark.parametrize("name", DATAPATHS)
def test_streams_of_blocks_equal_the_model(name, make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(**DATAPATHS[name]), ROWS, COLS)
    run_checked(build, traffic_of(build, seed=3).mixture())


@pytest.mark.parametrize("terms", [1, 6, 7, 19])
def test_a_product_of_any_length_is_padded_and_tiled(terms, make_build):
    build = make_build(Datapath.parse(**DATAPATHS["stochastic"]), ROWS, COLS)
    path = build.design.datapath
    rng = np.random.default_rng(6)
    m, n = 2 * ROWS + 1, 2 * COLS + 1
    a, b = random_patterns(path.a, (m, terms), rng), random_patterns(path.b, (terms, n), rng)
    result = simulate(build.folder, a_bits=a, b_bits=b, stalls=0.2, seed=1)
    assert (result.ok, result.blocks, result.mac_cycles) == (True, 9, 9 * -(-terms // 2))
    bits, _ = gemm_bits(a, b, path, engine="exact", lanes=(ROWS, COLS))
    np.testing.assert_array_equal(result.c_bits, bits)


def test_twice_the_products_a_cycle_take_half_the_cycles(make_build):
    cycles = {}
    for dot in (1, 2):
        acc = f"window:msb=7,lsb=-22,ovf=2,dot={dot}"
        build = make_build(Datapath.parse(a="bf16", acc=acc), ROWS, COLS)
        result = simulate(build.folder, blocks=20, k=128)
        assert (result.ok, result.mac_cycles) == (True, 20 * 128 // dot)
        cycles[dot] = result.cycles
        assert result.utilisation > 0.95
    assert cycles[2] < 0.52 * cycles[1]
