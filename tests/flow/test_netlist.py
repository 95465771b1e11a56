"""What synthesis makes of a core, ECP5 cells and wires, computes what the model says."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

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
LIBRARY = ("common_sim.vh", "ccu2c_sim.vh")
MODULE = re.compile(r"^module (\w+)\s*\(.*?^endmodule$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^  ([A-Z]\w+) (?:#\(|\\?\w)", re.MULTILINE)


def multiplier() -> str:
    """The multiplier block, of which Yosys has no simulation model, as the flow uses it.

    P is the product of A and B, each signed or not, without any register (Lattice TN1267, *ECP5
    sysDSP Usage Guide*).
    """

    def word(name: str, bits: int) -> str:
        return ", ".join(f"{name}{bit}" for bit in reversed(range(bits)))

    return f"""
module MULT18X18D (
  input {word("A", 18)}, input {word("B", 18)}, input {word("C", 18)},
  input SIGNEDA, input SIGNEDB, input SOURCEA, input SOURCEB,
  output {word("P", 36)}
);
  wire [17:0] a = {{{word("A", 18)}}};
  wire [17:0] b = {{{word("B", 18)}}};
  wire signed [35:0] wide_a = {{{{18{{SIGNEDA & a[17]}}}}, a}};
  wire signed [35:0] wide_b = {{{{18{{SIGNEDB & b[17]}}}}, b}};
  assign {{{word("P", 36)}}} = wide_a * wide_b;
endmodule
"""


@pytest.fixture(scope="module")
def models() -> dict[str, str]:
    """Simulation models of cells by name: Yosys' own, and the multiplier."""
    spec = importlib.util.find_spec("pyosys")
    if spec is None:
        pytest.skip("needs Yosys: pip install 'hwgen[synth]'")
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")
    folder = Path(spec.origin).parent / "share" / "lattice"
    # One by one: among the others is what Icarus cannot read.
    library = "".join((folder / name).read_text("utf-8") for name in LIBRARY)
    found = {match[1]: match[0] for match in MODULE.finditer(library)}
    return found | {"MULT18X18D": multiplier()}


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


def simulated(build: Path, netlist: str, models: dict[str, str], folder: Path) -> str:
    """The last line that the generated testbench prints about a netlist."""
    used = set(CELL.findall(netlist)) | {"LUT2", "LUT4"}  # the carry cell is made of two
    assert {"CCU2C", "LUT4", "MULT18X18D", "TRELLIS_FF"} <= used <= models.keys()
    cells = "\n".join(models[cell] for cell in sorted(used))
    (folder / "netlist.v").write_text(netlist + cells, encoding="utf-8")
    program = folder / "simulation"
    sources = [folder / "netlist.v", build / "tb" / "core_tb.v"]
    output = ""
    for command in (["iverilog", "-g2012", "-o", program, *sources], ["vvp", "-n", program]):
        # The testbench finds its vectors from the build folder.
        result = subprocess.run(
            command, cwd=build, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stderr) == (0, ""), command
        output = result.stdout
    return output.splitlines()[-1]


def test_a_netlist_passes_the_testbench_of_its_design(build, models, tmp_path):
    netlist = (build / "synth" / "ecp5" / "netlist.v").read_text(encoding="utf-8")
    assert simulated(build, netlist, models, tmp_path).startswith("PASS")


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
    assert simulated(build, faulty, models, tmp_path).startswith("FAIL")
