"""Cores whose summands are the sums of scale blocks: every bit, and every cycle, of any traffic."""

from __future__ import annotations

import numpy as np
import pytest
from test_array_model import compare_cycles
from test_core import Traffic, run

from hwgen.errors import SpecError
from hwgen.model import gemm_bits
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

W45 = "window:msb=5,lsb=-30,ovf=9,per=block"
DATAPATHS = {
    "mxfp4": {"a": "mxfp4", "acc": W45},
    "mxfp8_even_saturate": {
        "a": "mxfp8:block=5",
        "acc": "window:msb=3,lsb=-4,ovf=1,round=even,overflow=saturate,per=block",
        "out": "bf16",
    },
    "mxfp8_e5m2": {"a": "mxfp8:element=e5m2,block=6", "b": "mxfp8:block=6", "acc": W45},
    "mxfp6_wrap_raw": {
        "a": "mxfp6:block=4",
        "b": "mxfp6:element=e2m3,block=4",
        "acc": f"{W45},round=odd,overflow=wrap",
        "out": "raw",
    },
    "mxint8": {"a": "mxint8:block=7", "acc": f"{W45},round=even", "out": "posit16"},
    "mxint8_mxfp4": {"a": "mxint8:block=4", "b": "mxfp4:block=4", "acc": W45, "out": "fixed:9,3"},
    "nvfp4_wide": {"a": "nvfp4", "acc": "window:msb=60,lsb=-60,ovf=9,per=block", "out": "raw"},
    "nvfp4_mxfp4": {"a": "nvfp4:block=4", "b": "mxfp4:block=4", "acc": W45},
}
LENGTHS = [4, 8, 3, 9, 1, 1, 1, 33, 5, 2, 17]


def design_of(words: dict[str, str], rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**words), rows=rows, cols=cols)


def random_block(path: Datapath, rows: int, terms: int, cols: int, rng: np.random.Generator):
    """Numbers of ordinary size, blocks along k; a few patterns of any kind in some of them."""
    sides = []
    for fmt, shape, axis in ((path.a, (rows, terms), 1), (path.b, (terms, cols), 0)):
        numbers = fmt.from_float(rng.normal(size=shape), axis=axis)
        anything = rng.integers(0, 1 << fmt.width, size=shape, dtype=np.uint64)
        share = rng.choice([0.0, 0.0, 0.02, 1.0])
        sides.append(np.where(rng.random(shape) < share, anything, numbers).astype(fmt.dtype))
    return sides


def traffic_of(design: Design, lengths: list[int], seed: int = 1) -> Traffic:
    rng = np.random.default_rng(seed)
    traffic = Traffic(design)
    for terms in lengths:
        traffic.add(*random_block(design.datapath, design.rows, terms, design.cols, rng))
    return traffic


@pytest.mark.parametrize("name", DATAPATHS)
def test_every_kind_of_datapath_equals_the_model(name: str) -> None:
    traffic = traffic_of(design_of(DATAPATHS[name], 2, 3), LENGTHS)
    assert run(traffic, stalls=(0.1, 0.2, 0.1)).rows == traffic.rows


def test_a_core_equals_exact_rational_arithmetic() -> None:
    design = design_of(DATAPATHS["mxfp8_even_saturate"], 3, 2)
    path, rng = design.datapath, np.random.default_rng(3)
    traffic, blocks = Traffic(design), []
    for terms in (1, 5, 23, 10):
        blocks.append(random_block(path, 3, terms, 2, rng))
        traffic.add(*blocks[-1])
    rows = iter(run(traffic).rows)
    for a, b in blocks:
        bits, status = gemm_bits(a, b, path, engine="exact")
        for row in range(3):
            data, _, user = next(rows)
            assert data == sum(int(value) << (16 * col) for col, value in enumerate(bits[row]))
            assert user == sum(int(value) << (3 * col) for col, value in enumerate(status[row]))


def cycle_cases():
    """Every size and every length of scale block, with stalls and without; the rest is slow."""
    everyday = {(1, (1, 1), 0.0), (4, (1, 2), 0.4), (1, (3, 1), 0.4), (4, (4, 3), 0.0)}
    everyday |= {(14, (2, 5), 0.4), (1, (1, 5), 0.0)}
    for block in (1, 4, 14):
        for size in ((1, 1), (1, 2), (1, 5), (3, 1), (4, 3), (2, 5), (7, 3)):
            for stalls in (0.0, 0.4):
                marks = () if (block, size, stalls) in everyday else (pytest.mark.slow,)
                yield pytest.param(block, size, stalls, marks=marks)


@pytest.mark.parametrize(("block", "size", "stalls"), list(cycle_cases()))
def test_every_cycle_is_as_the_model_says(block, size, stalls) -> None:
    design = design_of({"a": f"mxfp4:block={block}", "acc": "window:msb=5,lsb=-6,per=block"}, *size)
    lengths = [3, 1, 1, 2, size[0], 2 * size[0], 17, 1]
    cycles = 150 + 2 * sum(lengths) * (1 + 2 * size[0] // block) + 4 * size[0] * len(lengths)
    rows = compare_cycles(design, [(k, k) for k in lengths], stalls=stalls, seed=7, cycles=cycles)
    assert rows == size[0] * len(lengths)


def test_every_cycle_of_malformed_blocks_is_as_the_model_says() -> None:
    design = design_of({"a": "mxfp4:block=2", "acc": W45}, 3, 2)
    lengths = [(4, 4), (2, 5), (3, 3), (6, 1), (1, 1), (1, 2), (5, 5)]
    rows = compare_cycles(design, lengths, stalls=0.2, seed=3, cycles=400)
    assert rows == 3 * 4, "only the well-formed blocks make rows"


@pytest.mark.parametrize(
    ("size", "terms"), [((1, 1), 1), ((1, 1), 9), ((3, 2), 4), ((3, 2), 9), ((4, 3), 20)], ids=str
)
def test_a_lone_block_has_the_formulas_latency(size, terms) -> None:
    design = design_of({"a": "mxfp4:block=4", "acc": "window:msb=5,lsb=-6,per=block"}, *size)
    when = timing(design)
    result = run(traffic_of(design, [terms]), idle=when.block_interval)
    if not when.scale_block_wait(terms):  # else its last beat waits in the input buffer
        assert result.c[0].cycle == result.a[-1] + when.first_result
    assert result.c[-1].cycle - result.a[0] == when.cycles(terms, design.rows) - 1


def test_scale_blocks_as_long_as_two_rows_each_leave_no_cycle_without_a_beat() -> None:
    design = design_of({"a": "mxfp4:block=8", "acc": W45}, 4, 3)
    lengths = [8, 16, 8, 40, 24, 8, 8]
    result = run(traffic_of(design, lengths))
    assert result.a == list(range(result.a[0], result.a[0] + sum(lengths)))


def test_start_values_do_not_go_with_sums_of_scale_blocks() -> None:
    path = Datapath.parse(**DATAPATHS["mxfp4"])
    with pytest.raises(SpecError, match="start = raw goes with per=product only"):
        Design(datapath=path, rows=2, cols=2, start="raw")
