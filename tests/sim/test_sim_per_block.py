"""Summands that are sums of scale blocks, in the emitted Verilog: any traffic equals the model."""

from __future__ import annotations

import pytest

from hwgen.spec.datapath import Datapath

pytestmark = pytest.mark.sim

W45 = "window:msb=5,lsb=-30,ovf=9,per=block"
DATAPATHS = {
    "mxfp4": {"a": "mxfp4", "acc": W45},
    "mxfp8_e5m2": {"a": "mxfp8:element=e5m2,block=6", "b": "mxfp8:block=6", "acc": W45},
    "mxfp6_wrap_raw": {
        "a": "mxfp6:block=4",
        "b": "mxfp6:element=e2m3,block=4",
        "acc": f"{W45},round=odd,overflow=wrap",
        "out": "raw",
    },
    "mxint8": {
        "a": "mxint8:block=7",
        "acc": "window:msb=3,lsb=-4,ovf=1,round=even,overflow=saturate,per=block",
        "out": "bf16",
    },
    "mxint8_mxfp4": {"a": "mxint8:block=1", "b": "mxfp4:block=1", "acc": W45, "out": "fixed:9,3"},
    "nvfp4_wide": {"a": "nvfp4", "acc": "window:msb=60,lsb=-60,ovf=9,per=block", "out": "raw"},
}
STALLS = 0.4
CASES = [
    ("mxfp4", 1, 1), ("mxfp4", 8, 8),
    ("mxfp8_e5m2", 2, 3),
    ("mxfp6_wrap_raw", 3, 1),
    ("mxint8", 1, 5), ("mxint8", 4, 4),
    ("mxint8_mxfp4", 1, 2), ("mxint8_mxfp4", 3, 2),
    ("nvfp4_wide", 5, 3),
]  # fmt: skip


def scenarios(traffic, rows: int):
    """Ragged and whole scale blocks, one beat, back to back, stalls, resets, unequal lengths."""
    short = [1, rows, 2, 3, 1, 2 * rows + 1, 1, 1]
    mixed = [32, 64, 33, 1, 1, 7, 14, 4, 5, 6, 100, 2 * rows, 31, 16]
    return [
        traffic.stream(mixed),
        traffic.stream(mixed, stalls=STALLS),
        traffic.stream([*short, *short], stalls=(0.0, 0.0, 0.9)),
        # Nothing out yet; sums of scale blocks under way; the output blocked.
        traffic.reset([20], cut=7),
        traffic.reset([70, 1, 2, 90], cut=100),
        traffic.reset([1] * 40, cut=16, stalls=(0.0, 0.0, 0.95)),
        traffic.stream(short),
        traffic.mismatched([(6, 1), (3, 3), (1, 36), (33, 3), (3, 2), (5, 5)], stalls=STALLS),
        traffic.stream(short, stalls=0.2),
    ]


@pytest.mark.parametrize(("name", "rows", "cols"), CASES)
def test_every_bit_equals_the_model(name, rows, cols, make_build, traffic_of, run_checked):
    build = make_build(Datapath.parse(**DATAPATHS[name]), rows, cols)
    run_checked(build, scenarios(traffic_of(build, seed=rows * 10 + cols), rows))
