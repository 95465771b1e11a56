"""Icarus and Verilator find nothing to complain about but what the waiver file lists."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from hwgen.spec.design import Design

pytestmark = pytest.mark.sim

WAIVERS = Path(str(resources.files("hwgen.emit").joinpath("lint.vlt")))


@pytest.fixture(scope="module")
def sources(tmp_path_factory, designs, verilog) -> dict[Design, Path]:
    folder = tmp_path_factory.mktemp("lint")
    files = {design: folder / f"{design.name}.v" for design in designs.values()}
    for design, path in files.items():
        path.write_text(verilog(design), encoding="utf-8")
    return files


def test_icarus_has_no_warning(design, sources):
    if shutil.which("iverilog") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")
    command = ["iverilog", "-Wall", "-g2005", "-t", "null", "-s", design.name, sources[design]]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_verilator_has_no_warning_beyond_the_waivers(design, sources, verilator, tmp_path):
    assert verilator(tmp_path, WAIVERS, sources[design]) == []


def waiver_lines() -> list[str]:
    lines = WAIVERS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("lint_off")]


@pytest.mark.parametrize("line", waiver_lines())
def test_every_waiver_is_needed_by_some_design(line, sources, verilator, tmp_path):
    others = WAIVERS.read_text(encoding="utf-8").replace(f"{line}\n", "")
    (tmp_path / "others.vlt").write_text(others, encoding="utf-8")
    assert any(verilator(tmp_path, "others.vlt", path) for path in sources.values())


def test_every_waiver_has_its_reason_above_it():
    paragraphs = WAIVERS.read_text(encoding="utf-8").split("\n\n")
    for line in waiver_lines():
        (paragraph,) = [text for text in paragraphs if line in text]
        assert paragraph.startswith("// "), line


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        # A wire too narrow for its ports, one that nothing drives, one that nothing reads.
        (" partials;", " partials_2; wire partials;", "WIDTH"),
        (".row_taken(row_taken)", ".row_taken()", "PINMISSING|PINCONNECTEMPTY|UNDRIVEN"),
        ("block_end;", "block_end; wire nothing = block_end;", "UNUSEDSIGNAL"),
    ],
)
def test_a_real_flaw_is_not_waived(old, new, complaint, designs, verilog, verilator, tmp_path):
    design = designs["int8"]
    text = verilog(design)
    assert old in text
    (tmp_path / f"{design.name}.v").write_text(text.replace(old, new, 1), encoding="utf-8")
    complaints = verilator(tmp_path, WAIVERS, f"{design.name}.v")
    assert any(word in line for line in complaints for word in complaint.split("|")), complaints
