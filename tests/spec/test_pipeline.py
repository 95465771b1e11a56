"""Pipelines for targets, and the clock frequency that they promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwgen.errors import SpecError
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import FAMILIES, Pipeline
from hwgen.spec.prediction import predicted_mhz, stage_delays
from hwgen.spec.timing import summand_stages, timing

W45 = "window:msb=5,lsb=-30,ovf=9"


def design_of(a: str, acc: str, **pipeline) -> Design:
    return Design(datapath=Datapath.parse(a=a, acc=acc, **pipeline), rows=2, cols=2)


def test_a_higher_frequency_never_takes_fewer_stages_or_longer_chains():
    before = None
    for freq in (20, 60, 90, 120, 150, 180, 250):
        pipeline = Pipeline.of("ecp5", freq)
        latency = timing(design_of("fp32", "exact", target="ecp5", freq=freq)).first_result
        if before is not None:
            assert pipeline.chunk <= before[0].chunk
            assert pipeline.rounder_places <= before[0].rounder_places
            assert pipeline.unpack_register >= before[0].unpack_register
            assert latency >= before[1]
        before = pipeline, latency


@pytest.mark.parametrize(
    ("a", "acc", "reach"), [("bf16", W45, 175), ("fp32", "exact", 120), ("int8", "int:32", 175)]
)
def test_what_is_asked_for_within_reach_is_promised(a, acc, reach):
    for freq in (40, 80, 110, 120, 175):
        reached = predicted_mhz(design_of(a, acc, target="ecp5", freq=freq))
        assert reached >= min(freq, reach)


def test_sums_of_many_products_are_cut_where_the_clock_leaves_no_time_for_a_long_chain():
    acc = "window:msb=40,lsb=-60,ovf=3,dot={}"
    parts = {
        dot: len(
            align(Datapath.parse(a="fp32", acc=acc.format(dot), target="ecp5", freq=150)).chunks
        )
        for dot in (1, 4)
    }
    assert parts[4] > parts[1]


def test_what_is_out_of_reach_costs_no_more_stages_than_what_is_just_in_reach():
    reachable = align(Datapath.parse(a="fp32", acc="exact", target="ecp5", freq=190))
    beyond = align(Datapath.parse(a="fp32", acc="exact", target="ecp5", freq=1000))
    assert replace(beyond.pipeline, freq_mhz=190.0) == reachable.pipeline


def test_a_family_without_multipliers_gets_no_wider_factors():
    spec = align(Datapath.parse(a="bf16", acc=W45, target="ice40"))
    assert (spec.step, spec.product_stages) == (1, 1)
    assert spec.a.significand_bits == 8
    assert align(Datapath.parse(a="bf16", acc=W45, target="ecp5")).step == 8


def test_the_promise_is_the_slowest_stage():
    design = design_of("bf16", W45, target="ecp5")
    slowest = max(stage_delays(design).values())
    assert predicted_mhz(design) == pytest.approx(1e3 / slowest, rel=1e-3)
    assert predicted_mhz(design_of("bf16", W45)) is None


def test_a_design_file_keeps_its_target_and_frequency():
    for pipeline in (
        {},
        {"target": "ecp5"},
        {"target": "ice40", "freq": 45.5},
        {"target": "asic"},
    ):
        design = design_of("bf16", W45, **pipeline)
        again = Design.from_toml(design.to_toml())
        assert again.datapath.pipeline == design.datapath.pipeline
        assert again.digest == design.digest
    assert "freq" not in design_of("bf16", W45, target="ecp5").to_toml()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"target": "virtex"}, "target is 'virtex'; pipelines can be made for ecp5, ice40"),
        ({"target": "asic", "freq": 100.0}, "freq is 100, but delays of standard cells are"),
        ({"target": "ecp5", "freq": 0.5}, "freq is 0.5 MHz; allowed is 1 to 2000"),
        ({"freq": 100.0}, "freq=100 needs a target"),
    ],
)
def test_wrong_words_are_refused_with_what_is_allowed(words, message):
    with pytest.raises(SpecError, match=message):
        Datapath.parse(a="bf16", acc=W45, **words)


@pytest.mark.parametrize("acc", ["window:msb=7,lsb=-22,ovf=2", "fma:fp32", "fma:fp32,lanes=3"])
def test_standard_cells_make_a_product_in_one_cycle_and_nothing_is_predicted(acc):
    cells, fpga = (
        align(Datapath.parse(a="fp32", acc=acc, target=target)) for target in ("asic", None)
    )
    assert (cells.product_stages, fpga.product_stages) == (1, 3)
    assert summand_stages(fpga) - summand_stages(cells) == 2
    assert predicted_mhz(design_of("fp32", acc, target="asic")) is None


def test_every_family_has_whole_positive_delays():
    for family in FAMILIES.values():
        assert family.register_ns > 0 < family.level_ns
        assert family.chain_bits(family.chain(40) + 1e-6) == 40
