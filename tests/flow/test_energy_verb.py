"""``hwgen synth --target asic``: what it says, asks for and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.errors import ToolError
from hwgen.flow.asic_records import AsicPart, AsicReport, EnergyFigure
from hwgen.flow.energy import Energy
from hwgen.flow.synth import Progress
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

MAC = Energy(nets=5.0, cells=4.0, clock=3.0, settled=6.0)
PART = AsicPart(
    name="pe",
    area=1234.5,
    cells={"DFF": 40, "NAND2": 60},
    flip_flops=40,
    registers={"": 30, "mesh": 10},
    leakage_uw=0.125,
    period_ns=5.0,
    fmax_mhz=200.0,
    timing="OpenSTA",
    critical_path=("acc[0]", "n1", "n2", "drain[9]"),
)


def figure(seed: int, error: float | None, rounding: Energy | None) -> EnergyFigure:
    return EnergyFigure(
        stimulus="relu",
        seed=seed,
        terms=128,
        macs=384,
        cycles=400,
        mac=MAC.scaled(seed),
        rounding=rounding,
        error=error,
    )


REPORT = AsicReport(
    name="gemm_2x2",
    digest="ab" * 32,
    rows=2,
    cols=2,
    datapath="a=bf16",
    library="tiny",
    voltage=1.8,
    scope="pe",
    parts=(PART,),
    energies=(figure(1, 3e-8, MAC.scaled(32)), figure(2, None, None)),
    assumptions={"slew_ns": 0.1},
    notes=("what it means",),
    tools={"yosys": "pyosys 0.70"},
    steps=(),
)


@pytest.fixture
def build(tmp_path) -> Path:
    path = Datapath.parse(a="int4", acc="int:12")
    (tmp_path / "design.toml").write_text(Design(datapath=path, rows=2, cols=2).to_toml())
    return tmp_path


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    asked = []

    def estimate(design, folder, *, progress, **options):
        asked.append({"design": design, "folder": folder} | options)
        progress(Progress("mapping pe", "1.5 s", finished=True))
        return REPORT

    monkeypatch.setattr("hwgen.flow.asic.estimate_asic", estimate)
    return asked


def run(*words: object):
    return CliRunner().invoke(cli, ["synth", *map(str, words), "--target", "asic"])


def test_the_table_shows_parts_and_energies(build, calls):
    result = run(build)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["pe", "1234", "100", "40", "200.0", "0.125"] in lines
    assert [
        "relu",
        "1",
        "12.00",
        "5.00",
        "4.00",
        "3.00",
        "9.00",
        "384.0",
        "15.00",
        "3e-08",
    ] in lines
    assert any(line[:2] == ["relu", "2"] and line[-1] == "invalid" for line in lines)
    assert "critical path of pe (OpenSTA): acc[0] -> (2 nets) -> drain[9]" in result.stdout
    assert "flip-flops of pe: 30 top, 10 mesh" in result.stdout
    assert str(build / "synth" / "asic" / "report.json") in result.stdout
    assert "mapping pe: 1.5 s" in result.stderr


def test_options_go_to_the_flow(build, calls):
    words = ["--seeds", 3, "--terms", 64, "--freq", 50, "--scope", "array", "--stimulus", "relu"]
    assert run(build, *words, "--liberty", "x.lib", "-o", build / "out").exit_code == 0
    (asked,) = calls
    assert (asked["design"].rows, asked["folder"]) == (2, build / "out")
    assert (asked["scope"], tuple(asked["kinds"]), asked["liberty"]) == (
        "array",
        ("relu",),
        Path("x.lib"),
    )
    conditions = asked["conditions"]
    assert (conditions.seeds, conditions.terms, conditions.freq_mhz) == (3, 64, 50.0)


def test_by_default_an_element_is_measured_on_the_kinds_that_the_flow_chooses(build, calls):
    assert run(build).exit_code == 0
    (asked,) = calls
    # All, or none beside recorded operands.
    assert (asked["scope"], asked["kinds"]) == ("pe", None)
    assert (asked["operands"], asked["liberty"], asked["conditions"].seeds) == (None, None, 2)


def test_recorded_operands_go_to_the_flow(build, calls):
    assert run(build, "--operands", "a.npy", "b.npy").exit_code == 0
    assert calls[0]["operands"] == (Path("a.npy"), Path("b.npy"))


def test_json_is_the_report(build, calls):
    table = json.loads(run(build, "--json").stdout)
    assert table == json.loads(REPORT.to_json())
    assert table["energies"][0]["dot_product_pj"] == pytest.approx(128 * 12 + 32 * 12)


def test_the_mean_over_seeds_keeps_an_invalid_result_visible():
    mean = REPORT.mean("relu")
    assert mean.mac == MAC.scaled(1.5)
    assert (mean.error, mean.rounding, mean.macs) == (None, None, 768)


@pytest.mark.parametrize("word", ["--flat", "--no-pnr", "--device=x", "--jobs=2", "--nextpnr=x"])
def test_options_of_fpgas_are_refused(build, calls, word):
    result = run(build, word)
    assert result.exit_code == 2
    assert f"{word.partition('=')[0]} does not go with target asic" in result.stderr


@pytest.mark.parametrize("word", ["--liberty=x", "--scope=pe", "--stimulus=relu", "--terms=4"])
def test_options_of_asic_are_refused_elsewhere(build, word):
    result = CliRunner().invoke(cli, ["synth", str(build), "--target", "ecp5", word])
    assert result.exit_code == 2
    assert f"{word.partition('=')[0]} does not go with target ecp5" in result.stderr


def test_a_missing_library_is_one_line_with_the_cure(build, monkeypatch, tmp_path):
    monkeypatch.setattr("hwgen.flow.asic.OSU018_FILES", (tmp_path / "none.lib",))
    result = run(build)
    assert result.exit_code == 1
    assert "apt-get install qflow-tech-osu018" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_failure_is_one_line(build, monkeypatch):
    def estimate(*arguments, **options):
        raise ToolError("the netlist does not compute what its RTL does, so no energy is told")

    monkeypatch.setattr("hwgen.flow.asic.estimate_asic", estimate)
    result = run(build)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
