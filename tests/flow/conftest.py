"""A tiny core with the ports of a generated one, as a build folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PORTS = (
    ("aclk", "input", 1),
    ("aresetn", "input", 1),
    ("s_axis_a_tdata", "input", 8),
    ("s_axis_a_tvalid", "input", 1),
    ("s_axis_b_tdata", "input", 8),
    ("m_axis_c_tdata", "output", 20),
    ("m_axis_c_tvalid", "output", 1),
)

# Two instances of one multiply-accumulate, so that the hierarchy matters.
VERILOG = """
module tiny_pe(input clk, input clear, input [7:0] a, input [7:0] b, output reg [19:0] sum);
  reg [15:0] product;
  always @(posedge clk) begin
    product <= a * b;
    if (clear) sum <= 0; else sum <= sum + product;
  end
endmodule
module tiny(input aclk, input aresetn, input [7:0] s_axis_a_tdata, input s_axis_a_tvalid,
            input [7:0] s_axis_b_tdata, output [19:0] m_axis_c_tdata, output reg m_axis_c_tvalid);
  wire [19:0] x, y;
  tiny_pe left(.clk(aclk), .clear(!aresetn), .a(s_axis_a_tdata), .b(s_axis_b_tdata), .sum(x));
  tiny_pe right(.clk(aclk), .clear(!aresetn), .a(~s_axis_a_tdata), .b(s_axis_b_tdata), .sum(y));
  assign m_axis_c_tdata = x ^ y;
  always @(posedge aclk) m_axis_c_tvalid <= s_axis_a_tvalid;
endmodule
"""


@pytest.fixture
def tiny_build(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny build"
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "tiny.v").write_text(VERILOG, encoding="utf-8")
    ports = [{"name": n, "direction": d, "width": w, "meaning": ""} for n, d, w in PORTS]
    manifest = {"name": "tiny", "top": "tiny", "digest": "ab" * 32, "rows": 1, "cols": 2}
    text = json.dumps(manifest | {"ports": ports, "files": ["rtl/tiny.v"]})
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return folder
