"""``hwgen size``: what it prints is a window that can be built and keeps its word."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.explore import Ranges, error_bound
from hwgen.formats import parse_format
from hwgen.spec.accumulator import parse_accumulator


def run(words: str):
    return CliRunner().invoke(cli, ["size", *words.split()])


def test_the_window_keeps_to_the_tolerance():
    words = "--a bf16 --b e4m3 --terms 512 --a-max 4 --b-max 1 --tolerance 1e-3 --json"
    facts = json.loads(run(words).output)
    window = parse_accumulator(facts["acc"])
    ranges = Ranges.declared(
        parse_format("bf16"), parse_format("e4m3"), terms=512, a_max=4, b_max=1
    )
    assert error_bound(window, ranges) == Fraction(facts["bound"]) <= Fraction(1, 1000)
    assert facts["width"] == window.width
    assert Fraction(facts["product"]) == 4


def test_a_relative_tolerance_is_one_of_the_largest_sum():
    one = run("--a bf16 --terms 100 --a-max 2 --b-max 3 --tolerance 1e-4 --relative")
    two = run("--a bf16 --terms 100 --a-max 2 --b-max 3 --tolerance 6e-2")
    assert one.output == two.output
    assert "at most 600" in one.output


def test_without_ranges_the_formats_are_the_ranges():
    output = run("--a fp64 --terms 4096").output
    assert "window:msb=2047,lsb=-2148,ovf=13" in output
    assert "at most 2**2047" in output
    assert "error        none" in output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--a bf17 --terms 4", "bf17"),
        ("--a bf16", "--terms"),
        ("--a bf16 --terms 0", "0"),
        ("--a bf16 --terms 4 --a-max much", "--a-max is 'much'; give a number"),
        ("--a bf16 --terms 4 --relative", "--relative needs --tolerance"),
        ("--a fp16 --terms 4 --a-max 1e9", "beyond fp16"),
    ],
)
def test_misuse_is_one_line(words, says):
    result = run(words)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output
