"""The netlist that goes to place and route, registers inside the multipliers, computes what the
model says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ecp5_cells import cell_models, verdict

from hwgen.emit import generate
from hwgen.flow import synthesize
from hwgen.flow.multipliers import absorb_registers
from hwgen.flow.tools import Runner, find_yosys
from hwgen.flow.wrapper import HARNESS, INSTANCE
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

pytestmark = [pytest.mark.synth, pytest.mark.sim]

W45 = "window:msb=5,lsb=-30,ovf=9"
DESIGNS = (
    pytest.param(({"a": "int8", "acc": "int:32"}, 2, 2), id="int8"),
    pytest.param(({"a": "bf16", "acc": W45}, 2, 2), id="bf16", marks=pytest.mark.slow),
    # The significands of fp32 take four multipliers.
    pytest.param(({"a": "fp32", "acc": W45}, 1, 1), id="fp32", marks=pytest.mark.slow),
    pytest.param(({"a": "fp32", "acc": "fma:fp32"}, 1, 1), id="fma", marks=pytest.mark.slow),
)
MULTIPLIERS = 4  # of every design above


@pytest.fixture(scope="module")
def models() -> dict[str, str]:
    return cell_models()


@pytest.fixture(scope="module", params=DESIGNS)
def build(request, models, tmp_path_factory) -> Path:
    """A build folder with the netlist of its core in the harness, ready to be placed."""
    names, rows, cols = request.param
    folder = tmp_path_factory.mktemp("absorbed") / "build"
    generate(Design(datapath=Datapath.parse(**names), rows=rows, cols=cols, name="core"), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwgen.flow.synth._Run.place", lambda self, tool, **options: None)
        synthesize(folder, "ecp5")
    return folder


def blocks(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The multipliers of a netlist in Yosys' JSON."""
    cells = table["modules"][HARNESS]["cells"].values()
    return [cell for cell in cells if cell["type"] == "MULT18X18D"]


def core_verilog(table: dict[str, Any], build: Path, folder: Path) -> str:
    """Return a netlist as Verilog, with a core around it that has the ports of the design's own.

    The harness' input registers are cut away, so that what they hold comes from outside.
    """
    top = table["modules"][HARNESS]
    nets = {name: top["netnames"][name]["bits"] for name in ("stimulus", "reset_q", "result")}
    driven = {*nets["stimulus"], *nets["reset_q"]}
    top["cells"] = {
        name: cell
        for name, cell in top["cells"].items()
        if not (cell["type"] == "TRELLIS_FF" and cell["connections"]["Q"][0] in driven)
    }
    for name, bits in nets.items():
        top["ports"][name] = {"direction": "output" if name == "result" else "input", "bits": bits}
    (folder / "cut.json").write_text(json.dumps(table), encoding="utf-8")
    script = "read_json cut.json\nwrite_verilog -noattr cut.v\n"
    (folder / "cut.ys").write_text(script, encoding="utf-8")
    Runner(folder).run(find_yosys(), ["cut.ys"], log="cut.log")
    return (folder / "cut.v").read_text(encoding="utf-8") + wrapper(build)


def wrapper(build: Path) -> str:
    """A module with a core's ports, whose words lie in the harness' as its netlist has them."""
    manifest = json.loads((build / "manifest.json").read_text(encoding="utf-8"))
    ports = [port for port in manifest["ports"] if port["name"] not in ("aclk", "aresetn")]
    declared = ", ".join(
        f"{port['direction']} [{port['width'] - 1}:0] {port['name']}" for port in ports
    )
    words = {
        side: ", ".join(port["name"] for port in reversed(ports) if port["direction"] == side)
        for side in ("input", "output")
    }
    return f"""
module core(input aclk, input aresetn, {declared});
  {HARNESS} harness(
    .clk(aclk), .resetn(aresetn), .serial_in(1'b0), .serial_out(),
    .reset_q(aresetn), .stimulus({{{words["input"]}}}), .result({{{words["output"]}}})
  );
endmodule
"""


def test_a_netlist_with_absorbed_registers_passes_the_testbench(build, models, tmp_path):
    table = json.loads((build / "synth" / "ecp5" / "netlist.json").read_text(encoding="utf-8"))
    assert len(blocks(table)) == MULTIPLIERS
    for block in blocks(table):
        registers = {name for name in block["parameters"] if name.endswith("_CLK")}
        assert registers == {"REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_OUTPUT_CLK"}
    verilog = core_verilog(table, build, tmp_path)
    assert verdict(build, verilog, models, tmp_path).startswith("PASS")


def one_register_more(path: Path) -> None:
    """The product of one block comes a cycle late."""
    table = json.loads(path.read_text(encoding="utf-8"))
    block = blocks(table)[0]["parameters"]
    block |= {f"REG_PIPELINE_{kind}": f"{kind}0" for kind in ("CLK", "CE", "RST")}
    path.write_text(json.dumps(table), encoding="utf-8")


def one_register_less(path: Path) -> None:
    """The flip-flops before one factor are gone, and the block's own register is off."""
    table = json.loads(path.read_text(encoding="utf-8"))
    blocks(table)[0]["parameters"]["REG_INPUTA_CLK"] = "NONE"
    path.write_text(json.dumps(table), encoding="utf-8")


def absorbed_twice(path: Path) -> None:
    """The next flip-flops before the blocks, too, go into registers that are in use already."""
    table = json.loads(path.read_text(encoding="utf-8"))
    for block in blocks(table):
        block["parameters"] = {}
    path.write_text(json.dumps(table), encoding="utf-8")
    assert absorb_registers(path, inside=f"{INSTANCE}.") > 0


@pytest.mark.parametrize("fault", [one_register_more, one_register_less, absorbed_twice])
def test_a_register_too_many_or_too_few_fails_it(fault: Callable, build, models, tmp_path):
    path = tmp_path / "netlist.json"
    path.write_bytes((build / "synth" / "ecp5" / "netlist.json").read_bytes())
    fault(path)
    verilog = core_verilog(json.loads(path.read_text(encoding="utf-8")), build, tmp_path)
    assert verdict(build, verilog, models, tmp_path).startswith("FAIL")
