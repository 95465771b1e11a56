"""Datapaths: what the names default to, and what does not go together."""

from __future__ import annotations

import pytest

from hwgen.errors import FormatError, SpecError
from hwgen.spec.accumulator import Window
from hwgen.spec.datapath import Datapath

W45 = "window:msb=5,lsb=-30,ovf=9"


def test_b_defaults_to_a():
    datapath = Datapath.parse(a="bf16", acc=W45)
    assert datapath.b == datapath.a
    assert datapath == Datapath.parse(a="bf16", b="bf16", acc=W45, out="fp32")


@pytest.mark.parametrize(
    ("a", "b", "acc", "out", "width"),
    [
        ("bf16", None, W45, "fp32", 32),
        ("e4m3", "e5m2", W45, "fp32", 32),
        ("fp32", "bf16", W45, "fp32", 32),
        ("fp64", "fp32", W45, "fp64", 64),
        ("fp32", "fp64", W45, "fp64", 64),
        ("float:11,30", "fp32", W45, "float:11,30", 42),
        ("int8", "bf16", W45, "fp32", 32),
        ("int:40", "bf16", W45, "fp32", 32),
        ("int8", None, "int:32", "int32", 32),
        ("int8", "uint4", "exact:terms=16", "int16", 16),
        ("int32", None, "exact", "raw", 76),
        ("int8", None, "window:msb=14,lsb=2,ovf=3", "raw", 16),
        ("fixed:4,4", None, "window:msb=6,lsb=-8,ovf=1", "raw", 16),
        ("int4", "fixed:2,6", "exact", "raw", 24),
        ("posit8", "posit16", W45, "posit16", 16),
        ("posit16", "bf16", W45, "fp32", 32),
        ("mxfp4", "mxfp8", W45, "fp32", 32),
    ],
)
def test_the_result_defaults_to_the_natural_choice(a, b, acc, out, width):
    datapath = Datapath.parse(a=a, b=b, acc=acc)
    assert (datapath.out_name, datapath.out_width) == (out, width)


@pytest.mark.parametrize("out", ["mxfp4", "nvfp4", "mxfp8:element=e5m2"])
def test_a_block_scaled_result_is_refused_with_a_cure(out):
    with pytest.raises(SpecError, match=rf"^out={out} shares scales.*choose fp32 or bf16"):
        Datapath.parse(a="mxfp4", acc=W45, out=out)


def test_a_raw_result_is_as_wide_as_the_register():
    datapath = Datapath.parse(a="bf16", acc=W45, out="raw")
    assert datapath.out is None
    assert (datapath.out_name, datapath.out_width) == ("raw", 45)


def test_the_window_is_what_the_accumulator_resolves_to():
    assert Datapath.parse(a="int8", acc="int:20").window.width == 20
    assert Datapath.parse(a="bf16", acc=W45).window == Window(msb=5, lsb=-30, ovf=9)


@pytest.mark.parametrize(
    ("a", "b", "fixed"),
    [("int8", "int4", True), ("fixed:4,4", "uint8", True), ("int8", "bf16", False)],
)
def test_operands_without_exponent_are_told_from_others(a, b, fixed):
    assert Datapath.parse(a=a, b=b, acc=W45).integer_operands is fixed


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({"a": "bf17", "acc": W45}, FormatError, "bf17"),
        ({"a": "bf16", "b": "fp", "acc": W45}, FormatError, "'fp'"),
        ({"a": "bf16", "acc": "window:msb=5"}, SpecError, "lacks lsb"),
        ({"a": "bf16", "acc": W45, "out": "rawish"}, FormatError, "rawish"),
        ({"a": "bf16", "acc": "int:32"}, SpecError, "needs integer operands but a is bf16"),
        ({"a": "int8", "b": "e4m3", "acc": "int:32"}, SpecError, "operands but b is e4m3"),
        ({"a": "int:64", "acc": "exact:terms=999999", "out": "int:99"}, FormatError, "99"),
    ],
)
def test_what_does_not_go_together_is_refused(names, error, message):
    with pytest.raises(error, match=message):
        Datapath.parse(**names)


def test_a_datapath_tells_what_it_computes():
    text = "a=e4m3 b=e5m2 acc=window:msb=5,lsb=-30,ovf=9 out=bf16"
    assert str(Datapath.parse(a="e4m3", b="e5m2", acc=W45, out="bf16")) == text


def test_equal_datapaths_are_equal_values():
    assert len({Datapath.parse(a="bf16", acc=W45), Datapath.parse(a="bf16", acc=f" {W45} ")}) == 1
