"""``hwgen formats``: the facts shown are those of the formats."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.formats import known_formats


def run(*words: str):
    return CliRunner().invoke(cli, ["formats", *words])


def facts(name: str) -> dict:
    (entry,) = json.loads(run(name, "--json").output)
    return entry


def test_the_table_has_a_line_for_every_known_format():
    lines = run().output.splitlines()
    for known in known_formats():
        assert any(line.startswith(known.name) and known.description in line for line in lines)


def test_the_json_catalogue_has_an_entry_for_every_known_format():
    entries = json.loads(run("--json").output)
    assert [entry["name"] for entry in entries] == [known.name for known in known_formats()]


@pytest.mark.parametrize(("name", "dtype"), [("fp16", "f2"), ("fp32", "f4"), ("fp64", "f8")])
def test_ieee_facts_are_numpy_s(name, dtype):
    info = np.finfo(dtype)
    entry = facts(name)
    assert entry["max"] == float(info.max)
    assert entry["smallest_normal"] == float(info.smallest_normal)
    assert entry["smallest"] == float(info.smallest_subnormal)
    assert (entry["width"], entry["precision"]) == (info.bits, info.nmant + 1)


@pytest.mark.parametrize(
    ("name", "low", "high", "step"),
    [
        ("int8", -128, 127, 1),
        ("uint:4", 0, 15, 1),
        ("fixed:2,3", -2, 1.875, 0.125),
        ("ufixed:2,3", 0, 3.875, 0.125),
        ("int64", -(2**63), 2**63 - 1, 1),
    ],
)
def test_fixed_point_facts(name, low, high, step):
    entry = facts(name)
    assert (entry["min"], entry["max"], entry["smallest"]) == (low, high, step)
    assert not entry["inf"]
    assert not entry["nan"]


@pytest.mark.parametrize(
    ("name", "low", "high", "step"),
    [
        ("posit8", -(2.0**24), 2.0**24, 2.0**-24),
        ("posit:6,1", -(2.0**8), 2.0**8, 2.0**-8),
        ("mxfp4", -6 * 2.0**127, 6 * 2.0**127, 0.5 * 2.0**-127),
        ("mxint8", -(2.0**128), 127 / 64 * 2.0**127, 2.0**-133),
        ("nvfp4", -2688, 2688, 2.0**-10),
    ],
)
def test_posit_and_block_facts(name, low, high, step):
    entry = facts(name)
    assert (entry["min"], entry["max"], entry["smallest"]) == (low, high, step)
    assert (entry["inf"], entry["nan"]) == (False, True)


def test_a_block_scaled_format_tells_its_element_and_its_scale():
    entry = facts("mxfp8:element=e5m2,block=16")
    assert (entry["element"], entry["scale"], entry["block"]) == ("e5m2", "e8m0", 16)
    assert facts("posit:16,1")["exponent_bits"] == 1


def test_a_general_name_is_described_under_its_common_one():
    assert facts("float:8,7") == facts("bf16")
    assert math.log2(facts("float:6,9")["smallest"]) == 1 - 31 - 9


def test_several_names_are_described_in_turn():
    output = run("bf16", "e4m3").output
    assert output.index("bf16") < output.index("e4m3")
    assert "448" in output


def test_the_example_in_the_help_runs():
    line = next(line for line in run("--help").output.splitlines() if "Example:" in line)
    words = line.split("hwgen formats ")[1].split()
    assert run(*words).exit_code == 0


@pytest.mark.parametrize(
    "name", ["bf17", "float:5", "int:x", "fixed:", "BF16", "-1", "e4m3:overflow=up"]
)
def test_an_unknown_name_is_misuse_and_named(name):
    result = run("--", "fp32", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
