"""The bench notices what a core does wrong. The core here is hand-written, to be broken."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwgen.errors import ToolError
from hwgen.flow.simulate import simulate
from hwgen.flow.simulators import open_build, run_phases
from hwgen.flow.traffic import Phase
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

pytestmark = pytest.mark.sim

DESIGN = Design(datapath=Datapath.parse(a="int4", acc="int:8"), rows=1, cols=1, name="tiny")

# One multiplier, one row at a time; correct as it stands.
VERILOG = """
module tiny(
  input aclk, input aresetn,
  input s_axis_a_tvalid, output s_axis_a_tready, input [7:0] s_axis_a_tdata, input s_axis_a_tlast,
  input s_axis_b_tvalid, output s_axis_b_tready, input [7:0] s_axis_b_tdata, input s_axis_b_tlast,
  output m_axis_c_tvalid, input m_axis_c_tready, output [7:0] m_axis_c_tdata, output m_axis_c_tlast,
  output [2:0] m_axis_c_tuser, output protocol_error);
  reg signed [7:0] sum = 0, result = 0;
  reg full = 0, over = 0, seen = 0;
  reg [7:0] waited = 0, rows = 0;
  wire both = s_axis_a_tvalid & s_axis_b_tvalid & ~full;
  wire signed [3:0] a = s_axis_a_tdata[3:0], b = s_axis_b_tdata[3:0];
  wire signed [8:0] next = sum + a * b;
  wire event_now = over | (next > 127) | (next < -128);
  assign s_axis_a_tready = both, s_axis_b_tready = both;
  assign m_axis_c_tvalid = full, m_axis_c_tdata = result, m_axis_c_tlast = 1'b1;
  assign m_axis_c_tuser = {1'b0, seen, 1'b0}, protocol_error = 1'b0;
  always @(posedge aclk)
    if (!aresetn) begin sum <= 0; full <= 0; over <= 0; waited <= 0; rows <= 0; end
    else begin
      waited <= full ? waited + 1 : 0;
      if (both) begin
        sum <= s_axis_a_tlast ? 0 : next;
        over <= s_axis_a_tlast ? 0 : event_now;
        if (s_axis_a_tlast) begin
          full <= 1; result <= next; seen <= event_now; rows <= rows + 1;
        end
      end
      if (full & m_axis_c_tready) full <= 0;
    end
endmodule
"""

BROKEN = {
    "no-ready": ("s_axis_a_tready = both", "s_axis_a_tready = 1'b0", "no transfer for"),
    "no-row": ("m_axis_c_tvalid = full", "m_axis_c_tvalid = 1'b0", "no transfer for"),
    "valid-falls": (
        "m_axis_c_tvalid = full",
        "m_axis_c_tvalid = full & (waited == 0)",
        "m_axis_c_tvalid fell before the row was taken",
    ),
    "row-changes": (
        "m_axis_c_tdata = result",
        "m_axis_c_tdata = result + waited",
        "m_axis_c changed a row that was offered and not yet taken",
    ),
    "wrong-last": (
        "m_axis_c_tlast = 1'b1",
        "m_axis_c_tlast = rows != 3",
        "row 0 of block 2 came with",
    ),
    "valid-in-reset": (
        "m_axis_c_tvalid = full",
        "m_axis_c_tvalid = full | ~aresetn",
        "m_axis_c_tvalid is high in reset",
    ),
    "unknown-valid": ("m_axis_c_tvalid = full", "m_axis_c_tvalid = full | 1'bx", "is X"),
    "unknown-data": ("m_axis_c_tdata = result", "m_axis_c_tdata = {result[7:1], 1'bx}", "tdata is"),
    "one-row-more": (
        "if (full & m_axis_c_tready) full <= 0;",
        "if (full & m_axis_c_tready) full <= rows == 40;",
        "40 rows were due and more came",
    ),
    "protocol-error": (
        "protocol_error = 1'b0",
        "protocol_error = full | (rows > 5)",
        "protocol_error",
    ),
}


def make_core(folder, text: str = VERILOG):
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "tiny.v").write_text(text, encoding="utf-8")
    (folder / "design.toml").write_text(DESIGN.to_toml(), encoding="utf-8")
    manifest = {"name": "tiny", "top": "tiny", "digest": DESIGN.digest, "files": ["rtl/tiny.v"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_a_correct_core_passes_and_a_second_run_compiles_nothing(tmp_path):
    folder = make_core(tmp_path / "tiny build")
    first = simulate(folder, blocks=40, k=5, stalls=0.3, seed=2)
    again = simulate(folder, blocks=40, k=5, stalls=0.3, seed=2)
    assert first.ok
    assert (first.compile_seconds > 0, again.compile_seconds) == (True, 0)
    assert (first.c_bits == again.c_bits).all()
    assert first.cycles == again.cycles
    assert json.loads(again.report.read_text(encoding="utf-8"))["seed"] == 2
    # Nothing is left over but the compiled simulation, the logs and the report.
    assert sorted(path.name.split("-")[0] for path in again.report.parent.iterdir()) == [
        "compile.log",
        "compiled",
        "report.json",
        "run.log",
    ]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_a_fault(name, tmp_path):
    right, wrong, complaint = BROKEN[name]
    assert right in VERILOG
    folder = make_core(tmp_path / "b", VERILOG.replace(right, wrong))
    result = simulate(folder, blocks=40, k=3, stalls=0.5, seed=7)
    assert complaint in result.fault
    assert not result.ok


def test_wrong_bits_are_listed_and_change_with_the_verilog(tmp_path):
    folder = make_core(tmp_path / "b")
    assert simulate(folder, blocks=6, k=2).ok
    text = VERILOG.replace("result <= next;", "result <= next ^ (rows == 4);")
    (folder / "rtl" / "tiny.v").write_text(text, encoding="utf-8")
    result = simulate(folder, blocks=6, k=2)
    assert result.fault == ""
    assert result.mismatch_count == 1
    (mismatch,) = result.mismatches
    assert (mismatch.row, mismatch.col, mismatch.got ^ mismatch.want) == (4, 0, 1)


def test_a_phase_with_a_fault_ends_the_run(tmp_path):
    text = VERILOG.replace("m_axis_c_tvalid = full", "m_axis_c_tvalid = full & (rows < 3)")
    build = open_build(make_core(tmp_path / "b", text))
    one = np.ones((1, 1), dtype=np.uint8)
    blocks = [(one, one), (one, one)]
    phases = [Phase.of(blocks), Phase.of(blocks * 2), Phase.of(blocks)]
    outcomes = run_phases(build, phases).outcomes
    assert [bool(outcome.fault) for outcome in outcomes] == [False, True]
    assert outcomes[0].c_bits.tolist() == [[[1]], [[1]]]


def test_verilog_that_does_not_compile_is_a_tool_error_with_its_log(tmp_path):
    folder = make_core(tmp_path / "b", "module tiny(; endmodule")
    with pytest.raises(
        ToolError, match=r"icarus failed to compile tiny\.v; see .*compile\.log"
    ) as error:
        simulate(folder)
    assert "syntax error" in error.value.log
    assert not (folder / "sim" / "icarus" / "report.json").exists()
    assert not list((folder / "sim" / "icarus").glob("compiled-*"))


def test_a_simulator_that_dies_is_a_tool_error(tmp_path):
    text = VERILOG.replace("sum <= s_axis_a_tlast", "if (rows == 3) $finish; sum <= s_axis_a_tlast")
    with pytest.raises(ToolError, match="icarus failed to run"):
        simulate(make_core(tmp_path / "b", text))
