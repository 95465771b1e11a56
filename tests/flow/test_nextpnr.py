from __future__ import annotations

import json

import pytest

from hwgen.errors import ToolError
from hwgen.flow.nextpnr import parse_report, parse_utilisation

PACK_LOG = """\
Info: Logic utilisation before packing:
Info:     Total LUT4s:      6082/83640     7%
Info: Device utilisation:
Info: \t          TRELLIS_IO:       4/    365     1%
Info: \t          MULT18X18D:      16/    156    10%
Info: \t        TRELLIS_COMB:    6606/  83640     7%
Info: Program finished normally.
"""


def step(kind: str, cell: str, delay: float, **more: str) -> dict[str, object]:
    place = {"cell": cell, "loc": [1, 2], "port": "Q"}
    return {"type": kind, "from": place, "to": place, "delay": delay, **more}


CLOCK = "$glbnet$clk"
REPORT = {
    "fmax": {CLOCK: {"achieved": 152.703, "constraint": 200}},
    "utilization": {
        "TRELLIS_COMB": {"used": 831, "available": 24288},
        "DP16KD": {"used": 0, "available": 56},
    },
    "critical_paths": [
        {"from": "<async>", "to": f"posedge {CLOCK}", "path": []},
        {
            "from": f"posedge {CLOCK}",
            "to": f"posedge {CLOCK}",
            "path": [
                step("clk-to-q", "core.pe.m_TRELLIS_FF_Q_3", 0.5),
                step("routing", "core.pe.sum_LUT4_Z", 1.25, net="core.pe.m[3]"),
                step("logic", "core.pe.sum_LUT4_Z", 0.25),
                step("setup", "core.pe.acc_TRELLIS_FF_Q_DI_PFUMX_Z", 0.0),
            ],
        },
    ],
}


def written(tmp_path, report):
    path = tmp_path / "seed1.json"
    path.write_text(json.dumps(report))
    return path


def test_the_need_is_read_from_the_packing_log():
    used = parse_utilisation(PACK_LOG)
    assert used == {"TRELLIS_IO": 4, "MULT18X18D": 16, "TRELLIS_COMB": 6606}


def test_a_log_without_utilisation_is_a_tool_error():
    with pytest.raises(ToolError, match="no table of utilisation"):
        parse_utilisation("Info: hello")


def test_the_report_gives_fmax_and_used_resources(tmp_path):
    routed = parse_report(written(tmp_path, REPORT), instance="core")
    assert routed.fmax_mhz == 152.7
    assert routed.used == {"TRELLIS_COMB": 831, "DP16KD": 0}


def test_the_critical_path_speaks_of_the_source(tmp_path):
    path = parse_report(written(tmp_path, REPORT), instance="core").critical_path
    assert (path.begin, path.end) == ("pe.m", "pe.acc")
    assert [segment.source for segment in path.segments] == ["pe.m", "pe.sum", "pe.sum", "pe.acc"]
    assert path.segments[1].net == "pe.m[3]"
    assert path.segments[1].cell == "pe.sum_LUT4_Z"
    assert (path.delay_ns, path.logic_ns, path.routing_ns) == (2.0, 0.75, 1.25)


def test_the_slowest_of_several_clocks_counts(tmp_path):
    fast = {"fast": {"achieved": 400.0, "constraint": 200}}
    report = REPORT | {"fmax": fast | REPORT["fmax"]}
    assert parse_report(written(tmp_path, report), instance="core").fmax_mhz == 152.7


@pytest.mark.parametrize("report", [{}, [], REPORT | {"fmax": {}}, REPORT | {"critical_paths": []}])
def test_a_report_of_another_layout_is_a_tool_error(tmp_path, report):
    with pytest.raises(ToolError, match="cannot read nextpnr's report"):
        parse_report(written(tmp_path, report), instance="core")
