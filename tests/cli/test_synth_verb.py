"""``hwgen synth``: what it says, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.errors import ToolError
from hwgen.flow.records import Area, CriticalPath, Placement, SeedResult, Segment, SynthesisReport
from hwgen.flow.synth import Progress

AREA = Area(lut=500, carry=60, ff=400, dsp=4, bram=0, lutram=2, cells={"LUT4": 500, "CCU2C": 60})
PATH = CriticalPath(
    begin="admission.credits",
    end="mesh.a_in",
    delay_ns=8.24,
    logic_ns=2.97,
    routing_ns=5.27,
    segments=tuple(
        Segment(kind="logic", source=f"stage{i}", cell=f"stage{i}_LUT4", net="", delay_ns=0.5)
        for i in range(12)
    ),
)
REPORT = SynthesisReport(
    name="gemm_2x2",
    top="gemm_2x2",
    digest="ab" * 32,
    rows=2,
    cols=2,
    target="ecp5",
    title="Lattice ECP5",
    flat=False,
    area=AREA,
    harness=replace(AREA, lut=26),
    placement=Placement(
        device="LFE5U-12F",
        requested_mhz=200.0,
        seeds=(SeedResult(seed=1, fmax_mhz=113.74), SeedResult(seed=2, fmax_mhz=123.7)),
        median_mhz=118.72,
        min_mhz=113.74,
        max_mhz=123.7,
        critical_path=PATH,
        used={"LUT": 620, "FF": 500, "DSP": 4, "BRAM": 0},
        available={"LUT": 12144, "FF": 12144, "DSP": 28, "BRAM": 32},
    ),
    notes=("lut counts 4-input LUTs",),
    tools={"yosys": "pyosys 0.70"},
    steps=(),
)


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """Replace synthesis by one that notes what it was asked for."""
    asked = []

    def synthesize(build, target, *, progress, **options):
        asked.append({"build": build, "target": target} | options)
        progress(Progress("synthesis", "started"))
        progress(Progress("synthesis", "12.5 s", finished=True))
        return REPORT

    monkeypatch.setattr("hwgen.flow.synth.synthesize", synthesize)
    return asked


def run(*words: object):
    return CliRunner().invoke(cli, ["synth", *map(str, words)])


def test_the_table_shows_core_and_harness_apart_and_the_median(calls):
    result = run("build", "--target", "ecp5")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["core", "500", "60", "400", "4", "0", "2"] in lines
    assert ["harness", "26", "60", "400", "4", "0", "2"] in lines
    assert ["core", "a", "PE", "125.0", "15.0", "100.0", "1.0", "0.0", "0.5"] in lines
    assert "118.7 MHz, median of 2 seeds (113.7, 123.7); asked for 200 MHz" in result.stdout
    assert "admission.credits -> mesh.a_in, 8.24 ns = 2.97 logic + 5.27 routing" in result.stdout
    assert "LUT 620 of 12144 (5%)" in result.stdout
    assert str(Path("build") / "synth" / "ecp5" / "report.json") in result.stdout


def test_a_long_path_is_cut_in_the_middle(calls):
    assert "stage3 -> ... 4 more ... -> stage8" in run("build", "--target", "ecp5").stdout


def test_json_is_the_report_and_progress_stays_off_stdout(calls):
    result = run("build", "--target", "ecp5", "--json")
    assert json.loads(result.stdout) == json.loads(REPORT.to_json())
    assert "synthesis: 12.5 s" in result.stderr


def test_options_reach_synthesis(calls):
    words = "--freq 150 --seeds 5 --jobs 2 --device LFE5U-45F --no-pnr --flat -o there"
    run("build", "--target", "ecp5", *words.split())
    assert calls == [
        {
            "build": Path("build"),
            "target": "ecp5",
            "freq_mhz": 150.0,
            "seeds": 5,
            "jobs": 2,
            "device": "LFE5U-45F",
            "place": False,
            "flat": True,
            "output": Path("there"),
            "yosys": None,
            "nextpnr": None,
        }
    ]


def test_help_has_an_example_and_the_targets():
    result = run("--help")
    assert "hwgen synth build/demo --target ecp5" in result.stdout
    assert "ecp5, ice40, xcup" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-folder", "--target", "ecp5"], "there is no folder no-such-folder"),
        (["no-such-folder", "--target", "ecp6"], "unknown target 'ecp6'; known are ecp5, ice40"),
        (["no-such-folder"], "Missing option '--target'"),
        (["no-such-folder", "--target", "ecp5", "--seeds", "0"], "seeds is 0; allowed is"),
        (["no-such-folder", "--target", "ecp5", "--freq", "fast"], "Invalid value for '--freq'"),
    ],
    ids=["folder", "target", "no target", "seeds", "frequency"],
)
def test_misuse_is_one_line_and_exit_code_2(words, message):
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_tool_that_fails_is_one_line_and_exit_code_1(monkeypatch):
    def synthesize(*_, **__):
        raise ToolError("yosys failed (syntax error)", log="lots", hint="see yosys.log")

    monkeypatch.setattr("hwgen.flow.synth.synthesize", synthesize)
    result = run("build", "--target", "ecp5")
    assert result.exit_code == 1
    assert "yosys failed (syntax error); see yosys.log" in result.stderr
    assert len(result.stderr.splitlines()) == 1
