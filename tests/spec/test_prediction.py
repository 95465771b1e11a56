"""The clock that a design promises, stage by stage, and what it says where it falls short."""

from __future__ import annotations

import pytest

from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import FAMILIES
from hwgen.spec.prediction import predicted_mhz, slowest_stage, stage_delays

W45 = "window:msb=5,lsb=-30,ovf=9"

W91 = "window:msb=30,lsb=-30,ovf=30"

# What `scripts/bench_pipeline` measured: MHz, the median of three placements; and four more
# floating-point sums.
MEASURED = [
    ("bf16", W45, 4, None, 161),
    ("bf16", W45, 2, 100.0, 127),
    ("bf16", W45, 2, 180.0, 189),
    ("bf16", f"{W45},overflow=saturate", 2, None, 179),
    ("bf16", f"{W45},dot=2", 2, None, 171),
    ("bf16", f"{W45},dot=4", 2, None, 149),
    ("e4m3", "exact", 4, None, 165),
    ("int8", "int:32", 4, None, 173),
    ("posit8", "exact", 2, None, 153),
    ("fp32", W91, 2, None, 156),
    ("fp32", "exact", 1, 120.0, 127),
    ("fp64", "window:msb=10,lsb=-80,ovf=10", 1, 120.0, 126),
    ("bf16", "fma:fp32", 2, None, 69),
    ("bf16", "fma:fp32,lanes=4", 2, None, 141),
    ("fp16", "fma:fp16,lanes=2", 2, None, 106),
    ("fp32", "fma:fp32,lanes=4", 1, None, 117),
    ("bf16", "muladd:bf16", 2, None, 89),
    ("bf16", "fma:fp32,lanes=8", 2, None, 142),
    ("fp16", "fma:fp16", 2, None, 72),
    ("bf16", "muladd:bf16,lanes=4", 2, None, 149),
    ("bf16", "muladd:fp32", 2, None, 69),
]


def design_of(a: str, acc: str, *, side: int = 2, start: str = "none", **words) -> Design:
    words = {"target": "ecp5"} | words
    return Design(datapath=Datapath.parse(a=a, acc=acc, **words), rows=side, cols=side, start=start)


@pytest.mark.parametrize(("a", "acc", "side", "freq", "measured"), MEASURED)
def test_what_was_measured_is_within_15_percent_of_what_is_predicted(a, acc, side, freq, measured):
    assert measured == pytest.approx(
        predicted_mhz(design_of(a, acc, side=side, freq=freq)), rel=0.15
    )


@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize(
    ("a", "acc", "out"),
    [
        ("bf16", W45, "raw"),
        ("bf16", W45, "int16"),
        ("bf16", "fma:fp32", "bf16"),
        ("fp16", "muladd:fp16,lanes=3", "fp32"),
        ("int4", "fma:bf16", "bf16"),
        ("e2m1", "fma:fp16,lanes=16", "fp64"),
        ("posit16", "exact", "posit16"),
        ("uint3", "int:16", "int:16"),
        ("fp64", "exact", "fp64"),
    ],
)
def test_every_stage_of_every_kind_of_design_takes_time(target, a, acc, out):
    delays = stage_delays(design_of(a, acc, out=out, target=target))
    assert min(delays.values()) >= FAMILIES[target].register_ns
    assert max(delays.values()) < 50


def test_more_lanes_shorten_the_loop_until_the_merging_of_lanes_limits():
    reached = [
        predicted_mhz(design_of("bf16", f"fma:fp32,lanes={lanes}")) for lanes in (1, 2, 3, 4, 8)
    ]
    assert reached == sorted(reached)
    assert slowest_stage(design_of("bf16", "fma:fp32")) == "loop"
    assert slowest_stage(design_of("bf16", "fma:fp32,lanes=8")) == "merge lanes"


def test_lanes_are_meaning_so_that_a_frequency_changes_no_stage_of_a_sum():
    for acc in ("fma:fp32", "muladd:bf16,lanes=2"):
        plain = stage_delays(design_of("bf16", acc))
        assert stage_delays(design_of("bf16", acc, freq=180.0)) == plain


def test_a_wider_register_takes_longer_to_normalise():
    narrow, wide = (
        stage_delays(design_of("bf16", f"window:msb=5,lsb=-{bits},ovf=9"))["normalise"]
        for bits in (30, 90)
    )
    assert narrow < wide


def test_arrays_beyond_2_by_2_are_slower_at_every_stage():
    small, four, eight = (stage_delays(design_of("bf16", W45, side=side)) for side in (1, 4, 8))
    assert small == stage_delays(design_of("bf16", W45))
    assert all(small[name] < four[name] < eight[name] for name in small)


def test_the_addition_of_start_values_is_a_stage_of_its_own():
    plain, started = (
        stage_delays(design_of("bf16", W45, start=start)) for start in ("none", "raw")
    )
    assert started.keys() - plain.keys() == {"add start value"}
    assert {name: started[name] for name in plain} == plain


@pytest.mark.parametrize("freq", [100.0, 130.0, 150.0, 160.0])
def test_a_cut_is_made_where_the_stage_would_miss_the_frequency(freq):
    wide = "window:msb=30,lsb=-90,ovf=30"
    design, uncut = (design_of("bf16", wide, freq=mhz) for mhz in (freq, 20.0))
    assert predicted_mhz(design) >= freq
    made, without = stage_delays(design), stage_delays(uncut)
    pipeline, plain = design.datapath.pipeline, uncut.datapath.pipeline
    assert pipeline.unpack_register == (1e3 / without["unpack"] < freq)
    assert (pipeline.rounder_places < plain.rounder_places) == (1e3 / without["normalise"] < freq)
    assert (made["add"] < without["add"]) == (1e3 / without["add"] < freq)


@pytest.mark.parametrize(
    ("a", "acc", "target"), [("bf16", W45, None), ("mxfp8", f"{W45},per=block", "ecp5")]
)
def test_where_nothing_was_measured_nothing_is_promised(a, acc, target):
    design = design_of(a, acc, target=target)
    assert predicted_mhz(design) is None
    assert slowest_stage(design) is None
    assert stage_delays(design) == {}
