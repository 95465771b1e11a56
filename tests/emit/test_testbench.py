"""The plain-Verilog testbench passes on what is emitted, and on nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hwgen.emit import generate
from hwgen.emit import testbench as bench
from hwgen.emit.testbench import vectors
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

pytestmark = pytest.mark.sim

BF16 = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")


def run(folder: Path, icarus) -> list[str]:
    (rtl,), (bench,) = (folder / "rtl").glob("*.v"), (folder / "tb").glob("*.v")
    return icarus(folder, str(rtl.relative_to(folder)), str(bench.relative_to(folder))).splitlines()


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    """A small build; tests that alter it work on a copy."""
    folder = tmp_path_factory.mktemp("testbench") / "build"
    generate(Design(datapath=BF16, rows=3, cols=2, name="core"), folder)
    return folder


def test_it_passes_on_every_kind_of_design(design, icarus, tmp_path):
    generate(design, tmp_path / "build")
    (line,) = run(tmp_path / "build", icarus)
    assert re.fullmatch(r"PASS: \d+ rows of \d+ beats, bit for bit, in \d+ cycles", line)


# Formats and windows at the ends of what can be asked for.
EXTREMES = (
    {"a": "fp32", "acc": "exact"},
    {"a": "int:64", "acc": "int:140", "out": "int:64"},
    {"a": "uint:1", "acc": "int:8"},
    {"a": "float:2,1", "acc": "exact:terms=2", "out": "float:11,52"},
    {
        "a": "fp64",
        "b": "int4",
        "acc": "window:msb=0,lsb=-3,ovf=0,overflow=saturate,round=even",
        "out": "uint:3",
    },
    {"a": "ufixed:0,8", "b": "fixed:8,0", "acc": "window:msb=20,lsb=-4,ovf=1,overflow=wrap"},
    {"a": "e4m3", "acc": "window:msb=-200,lsb=-210,ovf=3", "out": "fp16"},
    {"a": "bf16", "acc": "window:msb=300,lsb=280,ovf=2", "out": "e5m2"},
    {"a": "tf32", "b": "uint:63", "acc": "window:msb=10,lsb=10,ovf=1,overflow=wrap"},
    {"a": "e2m1", "b": "e4m3", "acc": "exact"},
    {"a": "e3m2", "b": "e2m3", "acc": "window:msb=3,lsb=-3,ovf=2,round=even", "out": "e2m1"},
    {"a": "float:3,30", "acc": "window:msb=2,lsb=-40,ovf=6", "out": "raw"},
)


@pytest.mark.parametrize("names", EXTREMES, ids=lambda names: f"{names['a']}-{names['acc']}")
def test_it_passes_on_extreme_datapaths(names, icarus, tmp_path):
    design = Design(datapath=Datapath.parse(**names), rows=2, cols=3)
    generate(design, tmp_path / "build")
    assert run(tmp_path / "build", icarus)[-1].startswith("PASS")


@pytest.mark.slow
def test_it_passes_on_the_widest_exact_accumulator(icarus, tmp_path):
    design = Design(datapath=Datapath.parse(a="fp64", acc="exact"), rows=1, cols=1)
    generate(design, tmp_path / "build")
    assert run(tmp_path / "build", icarus)[-1].startswith("PASS")


def test_it_passes_on_a_larger_array(icarus, tmp_path):
    generate(Design(datapath=BF16, rows=8, cols=8), tmp_path / "build")
    assert run(tmp_path / "build", icarus)[-1].startswith("PASS")


@pytest.mark.parametrize(
    "names",
    [
        {"a": "mxfp4:block=1", "acc": "window:msb=5,lsb=-5,per=block"},
        {"a": "e2m1", "acc": "fma:float:2,1,lanes=16"},
    ],
    ids=lambda names: names["acc"],
)
def test_it_waits_longer_than_sums_need_to_leave_the_array(names):
    design = Design(datapath=Datapath.parse(**names), rows=128, cols=1)
    when, beats, blocks = timing(design), 400, 8
    text = bench.testbench(design, beats, blocks * design.rows)
    (waits,) = re.findall(r"TIMEOUT = (\d+) \+ 40 \* \(BEATS \+ ROWS\)", text)
    ends = beats // when.block_terms if when.block_terms else blocks
    needed = when.first_result + ends * when.block_interval
    assert int(waits) + 40 * (beats + blocks * design.rows) > 1.2 * needed


@pytest.mark.parametrize("field", ["tdata", "tuser", "tlast"])
def test_it_fails_where_an_expected_word_differs(field, build, icarus, tmp_path):
    folder = shutil.copytree(build, tmp_path / "build")
    path = folder / "tb" / "c.hex"
    lines = path.read_text(encoding="utf-8").splitlines()
    bit = {"tdata": 5, "tuser": 64 + 4, "tlast": 64 + 6}[field]
    lines[7] = f"{int(lines[7], 16) ^ 1 << bit:x}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    seen = run(folder, icarus)
    assert seen[0].startswith("row 7: got ")
    assert seen[-1] == "FAIL: 1 rows differ"


def test_it_fails_where_rows_are_missing(build, icarus, tmp_path):
    folder = shutil.copytree(build, tmp_path / "build")
    bench = folder / "tb" / "core_tb.v"
    text = bench.read_text(encoding="utf-8")
    (beats,) = re.findall(r"localparam BEATS = (\d+);", text)
    bench.write_text(
        text.replace(f"BEATS = {beats};", f"BEATS = {int(beats) - 1};"), encoding="utf-8"
    )
    assert run(folder, icarus)[-1].startswith("FAIL")


@pytest.mark.parametrize(
    ("module", "pattern", "replacement"),
    [
        ("pe", r" \+ ", " - "),
        ("pe", r"(partial_0_0 <= .*?);", r"\1 << 1;"),
        ("admission", r"(protocol_error <= ).*?;", r"\1 1'h1;"),
        ("output_control", r"(assign row_last = ).*?;", r"\1 1'h0;"),
        ("column_buffer", r"(read_status = .*?);", r"\1 ^ 4;"),
    ],
    ids=["sum", "product", "protocol_error", "tlast", "status"],
)
def test_it_fails_on_a_faulty_core(module, pattern, replacement, build, icarus, tmp_path):
    folder = shutil.copytree(build, tmp_path / "build")
    path = folder / "rtl" / "core.v"
    text = path.read_text(encoding="utf-8")
    begin = text.index(f"module core_{module}(")
    end = text.index("endmodule", begin)
    body, count = re.subn(pattern, replacement, text[begin:end], count=1)
    assert count == 1
    path.write_text(text[:begin] + body + text[end:], encoding="utf-8")
    assert run(folder, icarus)[-1].startswith("FAIL")


def test_the_vectors_are_the_same_every_time_and_differ_between_designs(designs):
    assert vectors(designs["bf16"]) == vectors(designs["bf16"])
    other = Design(datapath=designs["bf16"].datapath, rows=4, cols=4, name="other")
    assert vectors(other)["a"] != vectors(designs["bf16"])["a"]


def test_the_vectors_hold_blocks_of_several_lengths_and_corner_cases(design):
    lines = vectors(design)
    assert len(lines["a"]) == len(lines["b"])
    data_bits = -(-design.a_bits // 8) * 8
    ends = [int(word, 16) >> data_bits for word in lines["a"]]
    assert len(lines["c"]) == design.rows * sum(ends)
    assert ends[-1] == 1
    assert sum(ends) >= 8


def test_a_large_array_has_few_vectors():
    design = Design(datapath=BF16, rows=1000, cols=1000)
    assert len(vectors(design)["c"]) == 1000
