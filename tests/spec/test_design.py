"""Designs: text and back, digests, names, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from hwgen.errors import HwgenError, SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

W45 = "window:msb=5,lsb=-30,ovf=9"
BF16 = Datapath.parse(a="bf16", acc=W45)
PATHS = [
    {"a": "bf16", "acc": W45},
    {"a": "e4m3", "b": "e5m2", "acc": f"{W45},round=even,overflow=saturate", "out": "e4m3"},
    {"a": "e4m3:overflow=nan", "acc": "exact:terms=64", "out": "raw"},
    {"a": "int8", "b": "uint4", "acc": "int:20,overflow=saturate", "out": "fixed:4,2"},
    {"a": "fp64", "acc": "exact"},
    {"a": "float:3,2,specials=nan", "b": "ufixed:0,4", "acc": W45, "out": "float:6,3"},
]
TEXT = f"""\
a = "bf16"
acc = "{W45}"
rows = 8
cols = 4
"""


@pytest.mark.parametrize("names", PATHS, ids=lambda names: names["a"])
def test_a_design_reads_back_from_its_own_text(names):
    design = Design(datapath=Datapath.parse(**names), rows=7, cols=3)
    again = Design.from_toml(design.to_toml())
    assert again == design
    assert (again.to_toml(), again.digest) == (design.to_toml(), design.digest)


def test_the_shortest_text_is_completed():
    design = Design.from_toml(TEXT)
    assert design == Design(datapath=BF16, rows=8, cols=4)
    assert design.name == "gemm_8x4_bf16_w45_fp32"
    assert Design.from_toml(design.to_toml()) == design


def test_the_digest_is_the_same_in_every_process():
    design = Design(datapath=BF16, rows=8, cols=4)
    code = "import sys; from hwgen.spec.design import Design;"
    code += "print(Design.from_toml(sys.stdin.read()).digest)"
    result = subprocess.run(
        [sys.executable, "-c", code], input=TEXT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == design.digest
    assert re.fullmatch("[0-9a-f]{64}", design.digest)


@pytest.mark.parametrize(
    "other",
    [
        Design(datapath=BF16, rows=4, cols=8),
        Design(datapath=BF16, rows=8, cols=4, name="other"),
        Design(datapath=Datapath.parse(a="bf16", acc=W45, out="bf16"), rows=8, cols=4),
        Design(datapath=Datapath.parse(a="bf16", acc=f"{W45},round=even"), rows=8, cols=4),
    ],
)
def test_another_design_has_another_digest(other):
    assert other.digest != Design(datapath=BF16, rows=8, cols=4).digest


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ({"a": "bf16", "acc": W45}, "gemm_2x3_bf16_w45_fp32"),
        ({"a": "e4m3", "b": "e5m2", "acc": "exact", "out": "raw"}, "gemm_2x3_e4m3_e5m2_w63_raw"),
        ({"a": "int8", "acc": "int:32"}, "gemm_2x3_int8_w32_int32"),
        (
            {"a": "float:3,2", "acc": W45, "out": "e4m3:overflow=nan"},
            "gemm_2x3_float_3_2_w45_e4m3_overflow_nan",
        ),
    ],
)
def test_the_name_derives_from_the_parameters(names, name):
    assert Design(datapath=Datapath.parse(**names), rows=2, cols=3).name == name


@pytest.mark.parametrize("side", ["rows", "cols"])
@pytest.mark.parametrize("size", [0, -1, 1025])
def test_a_size_out_of_range_is_refused(side, size):
    sizes = {"rows": 8, "cols": 8} | {side: size}
    with pytest.raises(SpecError, match=f"{side} is {size}; allowed is 1 to 1024"):
        Design(datapath=BF16, **sizes)


@pytest.mark.parametrize("size", [8.0, "8", True, None])
def test_a_size_that_is_no_integer_is_refused(size):
    with pytest.raises(SpecError, match=f"rows is {size!r}; it must be an integer"):
        Design(datapath=BF16, rows=size, cols=8)


@pytest.mark.parametrize("size", [1, 1024])
def test_the_least_and_the_largest_size_are_allowed(size):
    assert Design(datapath=BF16, rows=size, cols=size).rows == size


@pytest.mark.parametrize("name", ["8x8", "_core", "a-b", "a b", "a\n", "naïve", "x" * 201, "a$"])
def test_a_name_that_is_no_plain_identifier_is_refused(name):
    with pytest.raises(SpecError, match="it must start with a letter"):
        Design(datapath=BF16, rows=1, cols=1, name=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows = ", "is not valid TOML"),
        (TEXT.replace("acc", "accu"), "unknown key 'accu'; known are"),
        (TEXT.replace('a = "bf16"\n', ""), "lacks 'a'; a, acc, rows and cols are required"),
        (TEXT.replace("cols = 4\n", ""), "lacks 'cols'"),
        (TEXT + "hwgen = 2\n", "has hwgen = 2; this hwgen reads 1"),
        (TEXT.replace('"bf16"', "16"), "has a = 16; it must be a string"),
        (TEXT + "out = true\n", "has out = True; it must be a string"),
        (TEXT.replace("8", '"8"'), "rows is '8'; it must be an integer"),
        (TEXT.replace("msb=5", "msb=-50"), "msb must be at least lsb"),
    ],
)
def test_a_faulty_text_is_refused_in_one_line(text, message):
    with pytest.raises(HwgenError, match=re.escape(message)) as error:
        Design.from_toml(text, source="my.toml")
    assert "\n" not in str(error.value)


def test_a_design_loads_from_its_file_and_from_its_folder(tmp_path):
    (tmp_path / "design.toml").write_text(TEXT, encoding="utf-8")
    assert Design.load(tmp_path) == Design.load(tmp_path / "design.toml") == Design.from_toml(TEXT)


def test_a_design_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecError, match="cannot read the design .*absent.toml: No such file"):
        Design.load(tmp_path / "absent.toml")
    (tmp_path / "design.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="it is not UTF-8 text; give a TOML file or a folder"):
        Design.load(tmp_path)
