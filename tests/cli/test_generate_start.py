"""``hwgen generate --start``: a core with a third input stream."""

from __future__ import annotations

import json

from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.spec.design import Design

OPTIONS = ["--a", "int4", "--acc", "int:12", "--rows", "2", "--cols", "3"]


def test_the_option_is_in_the_design_the_manifest_and_the_summary(tmp_path):
    words = ["generate", *OPTIONS, "--start", "raw", "-o", str(tmp_path / "build")]
    ran = CliRunner().invoke(cli, words)
    assert ran.exit_code == 0, ran.output
    assert "2 rows of raw registers a block, on s_axis_c" in ran.output
    assert Design.load(tmp_path / "build").starts
    manifest = json.loads((tmp_path / "build" / "manifest.json").read_text("utf-8"))
    ports = {port["name"]: (port["direction"], port["width"]) for port in manifest["ports"]}
    assert manifest["start"] == "raw"
    assert ports["s_axis_c_tdata"] == ("input", 40)
    assert ports["s_axis_c_tuser"] == ("input", 9)
    assert ports["s_axis_c_tready"] == ("output", 1)


def test_a_floating_point_sum_is_refused_with_a_cure(tmp_path):
    words = ["--a", "bf16", "--acc", "fma:fp32", "--rows", "1", "--cols", "1", "--start", "raw"]
    ran = CliRunner().invoke(cli, ["generate", *words, "-o", str(tmp_path / "build")])
    assert ran.exit_code != 0
    assert "use window: or exact:" in ran.output + str(ran.exception)
    assert not (tmp_path / "build").exists()
