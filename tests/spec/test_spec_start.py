"""Designs with start values: how they are asked for, and which have none."""

from __future__ import annotations

import pytest

from hwgen.errors import SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.rounding import rounding_stages
from hwgen.spec.timing import timing

INT8 = Datapath.parse(a="int8", acc="int:32")


def test_a_design_without_start_values_does_not_mention_them():
    design = Design(datapath=INT8, rows=2, cols=3)
    assert not design.starts
    assert "start" not in design.to_toml()
    assert Design(datapath=INT8, rows=2, cols=3, start="none") == design


def test_a_design_with_start_values_survives_toml_and_has_its_own_name():
    design = Design(datapath=INT8, rows=2, cols=3, start="raw")
    assert design.starts
    assert Design.from_toml(design.to_toml()) == design
    assert design.name.endswith("_start")


def test_what_is_no_start_is_refused():
    with pytest.raises(SpecError, match="start is 'fp32'; allowed is none or raw"):
        Design(datapath=INT8, rows=2, cols=3, start="fp32")
    with pytest.raises(SpecError, match="start = 3; it must be a string"):
        Design.from_toml('a = "int8"\nacc = "int:32"\nrows = 1\ncols = 1\nstart = 3\n')


@pytest.mark.parametrize("acc", ["fma:fp32", "muladd:fp32,lanes=2"])
def test_a_floating_point_sum_has_no_register_to_load(acc):
    with pytest.raises(SpecError, match="use window: or exact:"):
        Design(datapath=Datapath.parse(a="bf16", acc=acc), rows=2, cols=3, start="raw")


@pytest.mark.parametrize(
    "words",
    [
        {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9"},
        {"a": "fp32", "acc": "exact"},
        {"a": "int8", "acc": "int:32"},
        {"a": "int8", "acc": "int:32", "out": "raw"},
        {"a": "posit8", "acc": "exact"},
    ],
    ids=lambda words: "_".join(words.values()),
)
def test_adding_the_start_takes_one_cycle(words):
    path = Datapath.parse(**words)
    assert rounding_stages(path, start=True) == rounding_stages(path) + 1
    plain, started = (
        timing(Design(datapath=path, rows=4, cols=4, start=start)) for start in ("none", "raw")
    )
    assert started.first_result == plain.first_result + 1
    assert started.block_interval == plain.block_interval
