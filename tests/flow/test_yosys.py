from __future__ import annotations

import json

import pytest

from hwgen.errors import ToolError
from hwgen.flow.yosys import parse_counts, synthesis_script


def script(**options) -> list[str]:
    text = synthesis_script("synth_x -y", sources=["a.v"], core="core", freq_mhz=200.0, **options)
    return text.splitlines()


def test_the_core_is_counted_before_the_harness_is_dissolved():
    lines = script(harness="around")
    assert "synth_x -y -top around" in lines
    assert lines.index("tee -q -o counts.json stat -json core") < lines.index("flatten")
    assert lines[-1] == "write_json netlist.json"


def test_without_a_harness_the_core_is_the_top_and_no_netlist_is_written():
    lines = script()
    assert "synth_x -y -top core" in lines
    assert not any("netlist" in line or "counts_all" in line for line in lines)


def test_shared_modules_are_mapped_by_themselves_and_then_dissolved():
    lines = script(shared=["pe"])
    kept = lines.index("setattr -mod -set keep_hierarchy 1 pe")
    freed = lines.index("setattr -mod -unset keep_hierarchy pe")
    flattened = [index for index, line in enumerate(lines) if line == "flatten core"]
    assert kept < flattened[0] < lines.index("synth_x -y -top core") < freed < flattened[1]


def test_the_requested_frequency_is_the_goal_of_mapping():
    assert "scratchpad -set abc9.D 5000" in script()


def test_counts_leave_out_what_is_no_cell(tmp_path):
    path = tmp_path / "counts.json"
    cells = {"$scopeinfo": 2, "LUT4": 642, "CCU2C": 74}
    path.write_text(json.dumps({"modules": {"\\core": {"num_cells_by_type": cells}}}))
    assert parse_counts(path, "core") == {"CCU2C": 74, "LUT4": 642}


@pytest.mark.parametrize("text", ["", "[]", '{"modules": {}}'])
def test_counts_of_another_layout_are_a_tool_error(tmp_path, text):
    path = tmp_path / "counts.json"
    path.write_text(text)
    with pytest.raises(ToolError, match="cannot read the cell counts"):
        parse_counts(path, "core")


def test_missing_counts_are_a_tool_error(tmp_path):
    with pytest.raises(ToolError, match="cannot read the cell counts"):
        parse_counts(tmp_path / "none.json", "core")
