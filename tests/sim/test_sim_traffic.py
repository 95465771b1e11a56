"""The emitted Verilog equals the model whatever the traffic: stalls, resets, short blocks."""

from __future__ import annotations

import pytest

from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import timing

pytestmark = pytest.mark.sim

W45 = "window:msb=5,lsb=-30,ovf=9"
DATAPATHS = {
    "bf16": {"a": "bf16", "acc": W45, "out": "fp32"},
    "e4m3": {"a": "e4m3", "acc": "exact:terms=512", "out": "bf16"},
    "int8": {"a": "int8", "acc": "int:32"},
    "fp16": {"a": "fp16", "acc": "window:msb=3,lsb=-12,ovf=2,round=even,overflow=saturate"},
    "int4_bf16": {"a": "int4", "b": "bf16", "acc": W45, "out": "bf16"},
    "fp32_raw": {"a": "fp32", "acc": "window:msb=30,lsb=-40,ovf=10", "out": "raw"},
}
SIZES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (8, 8)]
STALLS = 0.4

# Every size and every datapath twice or more; the other pairs are slow extras.
EVERYDAY = {
    ("bf16", (1, 1)), ("bf16", (7, 3)), ("bf16", (8, 8)),
    ("e4m3", (1, 5)), ("e4m3", (4, 4)),
    ("int8", (5, 1)), ("int8", (8, 8)),
    ("fp16", (1, 5)), ("fp16", (7, 3)),
    ("int4_bf16", (5, 1)), ("int4_bf16", (4, 4)),
    ("fp32_raw", (1, 1)), ("fp32_raw", (4, 4)),
}  # fmt: skip


def cases():
    for name in DATAPATHS:
        for rows, cols in SIZES:
            marks = () if (name, (rows, cols)) in EVERYDAY else (pytest.mark.slow,)
            yield pytest.param(name, rows, cols, id=f"{name}-{rows}x{cols}", marks=marks)


def lengths_of(rows: int) -> list[int]:
    """Short and long blocks in turn, some too short to be taken at full rate."""
    return [3, 64, 1, 1, 2, max(1, rows - 1), 1, rows, 500, 1, rows + 1, 2 * rows, rows, 2, 1]


def every_scenario(traffic, rows: int, *, long_stalls: bool = True):
    """Scenarios for one start of the simulator; each begins with a reset."""
    short = [1, rows, 2, 3, 1, 2 * rows + 1, 1, 1]
    return [
        traffic.stream(lengths_of(rows)),
        traffic.stream(lengths_of(rows) if long_stalls else short, stalls=STALLS),
        traffic.stream(short, stalls=(STALLS, 0.0, 0.0)),
        traffic.stream(short, stalls=(0.0, STALLS, 0.0)),
        traffic.stream([*short, *short], stalls=(0.0, 0.0, 0.9)),
        # Nothing out yet; results under way; the output blocked, with a block half in.
        traffic.reset([20], cut=7),
        traffic.reset([5, 1, 2, 30], cut=24),
        traffic.reset([1] * 40, cut=16, stalls=(0.0, 0.0, 0.95)),
        traffic.stream(short),
        traffic.mismatched([(3, 3), (2, 5), (4, 4), (1, 1)]),
        traffic.mismatched([(6, 1), (3, 3), (1, 6), (2, 3), (3, 2), (5, 5)], stalls=STALLS),
        # The error is gone after a reset.
        traffic.stream(short, stalls=0.2),
    ]


@pytest.mark.parametrize(("name", "rows", "cols"), list(cases()))
def test_every_bit_equals_the_model(name, rows, cols, make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(**DATAPATHS[name]), rows, cols)
    run_checked(build, every_scenario(traffic_of(build, seed=rows * 10 + cols), rows))


@pytest.mark.parametrize(
    ("name", "rows", "cols"),
    [
        pytest.param("bf16", 4, 4, id="bf16-4x4"),
        pytest.param("fp32_raw", 7, 3, id="fp32_raw-7x3", marks=pytest.mark.slow),
        pytest.param("bf16", 8, 8, id="bf16-8x8", marks=pytest.mark.slow),
    ],
)
def test_every_bit_equals_the_model_in_verilator(
    name, rows, cols, make_build, traffic_of, run_checked
):
    build = make_build(Datapath.parse(**DATAPATHS[name]), rows, cols)
    traffic = traffic_of(build, seed=99)
    many = [traffic.stream([*range(1, 40), *range(40, 0, -3)], stalls=p) for p in (0.0, 0.1, 0.4)]
    run_checked(build, [*every_scenario(traffic, rows), *many], simulator="verilator")


def test_long_blocks_keep_every_cycle_busy(make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(a="int4", acc="int:16"), 8, 8)
    traffic = traffic_of(build, seed=5)
    lengths = [64] * 100, [16, 17, 40, 16, 16, 31] * 4, [8] * 100
    long, mixed, short = run_checked(build, [traffic.stream(ks) for ks in lengths])

    def cycles(outcome) -> int:
        return int(outcome.c_taken[-1] - outcome.a_taken[0]) + 1

    for outcome, ks in ((long, lengths[0]), (mixed, lengths[1])):
        assert outcome.a_taken[-1] - outcome.a_taken[0] == sum(ks) - 1
    assert 6400 / cycles(long) >= 0.995
    assert 800 / cycles(short) >= 0.45


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (4, 4), (7, 3)])
def test_the_first_result_comes_when_the_timing_formula_says(
    rows, cols, make_build, traffic_of, run_checked
):
    build = make_build(Datapath.parse(**DATAPATHS["bf16"]), rows, cols)
    (outcome,) = run_checked(build, [traffic_of(build, seed=1).stream([40])])
    when = timing(build.design)
    assert outcome.c_offered[0] - outcome.a_taken[39] == when.first_result
    assert set(outcome.c_offered[1:] - outcome.c_offered[:-1]) <= {when.row_interval}
