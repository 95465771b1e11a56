"""What synthesis makes of a core, ECP5 cells and wires, computes what the model says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ecp5_cells import cell_models, verdict

from hwgen.emit import generate
from hwgen.flow import synthesize
from hwgen.flow.yosys import synthesis_script
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

pytestmark = [pytest.mark.synth, pytest.mark.sim]

DESIGNS = (
    pytest.param({"a": "int8", "acc": "int:32"}, id="int8"),
    pytest.param(
        {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9"}, id="bf16", marks=pytest.mark.slow
    ),
    pytest.param({"a": "bf16", "acc": "fma:fp32"}, id="fma", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module")
def models() -> dict[str, str]:
    return cell_models()


@pytest.fixture(scope="module", params=DESIGNS)
def build(request, models, tmp_path_factory) -> Path:
    """A build folder with the netlist of its core."""
    folder = tmp_path_factory.mktemp("netlist") / "build"
    path = Datapath.parse(**request.param)
    generate(Design(datapath=path, rows=2, cols=2, name="core"), folder)

    def script(*arguments, **options) -> str:
        return synthesis_script(*arguments, **options) + "write_verilog -noattr netlist.v\n"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwgen.flow.synth.synthesis_script", script)
        synthesize(folder, "ecp5", place=False)
    return folder


def test_a_netlist_passes_the_testbench_of_its_design(build, models, tmp_path):
    netlist = (build / "synth" / "ecp5" / "netlist.v").read_text(encoding="utf-8")
    assert verdict(build, netlist, models, tmp_path).startswith("PASS")


def inverted(match: re.Match[str]) -> str:
    return f"{match[1]}{int(match[2], 16) ^ 0xFFFF:04x}"


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"(LUT4 #\(\s*\.INIT\(16'h)(\w{4})", inverted),
        (r"(CCU2C #\(\s*\.INIT0\(16'h)(\w{4})(?=[^;]*accumulator[^;]*\.S0\()", inverted),
        (r"(\.A7)\([^()]*\)(?=[^;]*\.SIGNEDA)", r"\1(1'h0)"),
        (r'(\.LSRMUX\(")LSR', r"\1INV"),
    ],
    ids=["table", "carry", "factor", "reset"],
)
def test_a_faulty_netlist_fails_it(pattern, replacement, build, models, tmp_path):
    netlist = (build / "synth" / "ecp5" / "netlist.v").read_text(encoding="utf-8")
    faulty, count = re.subn(pattern, replacement, netlist, count=1)
    assert count == 1
    assert verdict(build, faulty, models, tmp_path).startswith("FAIL")
