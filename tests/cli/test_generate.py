"""``hwgen generate``: what it builds, what it says, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.spec.design import Design

WINDOW = "window:msb=5,lsb=-30,ovf=9"
OPTIONS = ["--a", "bf16", "--acc", WINDOW, "--rows", "2", "--cols", "3"]
GOOD = {"a": "bf16", "acc": WINDOW, "rows": "2", "cols": "3"}


def run(*words: str):
    return CliRunner().invoke(cli, ["generate", *map(str, words)])


@pytest.fixture
def emitted(monkeypatch) -> list[Design]:
    """Replace emission by one that writes a design file only; returns the designs it was given."""
    designs = []

    def generate(design: Design, path: Path, *, force: bool = False) -> dict:
        designs.append(design)
        path.mkdir(parents=True, exist_ok=True)
        (path / "design.toml").write_text(design.to_toml())
        (path / "manifest.json").write_text("{}")
        return {"name": design.name, "digest": design.digest}

    monkeypatch.setitem(sys.modules, "hwgen.emit", types.SimpleNamespace(generate=generate))
    return designs


def test_options_make_the_design(emitted, tmp_path):
    assert (
        run(*OPTIONS, "--b", "e4m3", "--out", "fp16", "--name", "mine", "-o", tmp_path).exit_code
        == 0
    )
    (design,) = emitted
    assert str(design.datapath) == f"a=bf16 b=e4m3 acc={WINDOW} out=fp16"
    assert (design.rows, design.cols, design.name) == (2, 3, "mine")


def test_a_design_file_and_a_build_folder_make_the_same_design(emitted, tmp_path):
    assert run(*OPTIONS, "-o", tmp_path / "one").exit_code == 0
    assert run(tmp_path / "one" / "design.toml", "-o", tmp_path / "two").exit_code == 0
    assert run(tmp_path / "one", "-o", tmp_path / "three").exit_code == 0
    assert len(set(emitted)) == 1


def test_the_summary_names_the_design_and_its_files(emitted, tmp_path):
    output = run(*OPTIONS, "-o", tmp_path / "x").output
    for word in (
        "gemm_2x3_bf16_w45_fp32",
        "45 bits",
        "2 x 3",
        emitted[0].digest[:12],
        "design.toml",
    ):
        assert word in output


@pytest.mark.parametrize(
    ("acc", "freq", "text"),
    [
        (WINDOW, "100", r"\d+(\.\d)? MHz expected on ecp5, 100 asked for"),
        (WINDOW, "500", r"MHz expected on ecp5, short of the 500 asked for; .* longest: control"),
        (
            "fma:fp32",
            "180",
            r"MHz expected on ecp5, short of the 180 .* longest: loop \(more lanes",
        ),
    ],
)
def test_the_summary_says_whether_the_frequency_can_be_reached(emitted, tmp_path, acc, freq, text):
    words = ["--a", "bf16", "--acc", acc, "--rows", "2", "--cols", "3"]
    output = run(*words, "--target", "ecp5", "--freq", freq, "-o", tmp_path / "x").output
    assert re.search(text, output), output


def test_json_prints_the_manifest_alone(emitted, tmp_path):
    output = run(*OPTIONS, "-o", tmp_path / "x", "--json").output
    assert json.loads(output)["digest"] == emitted[0].digest


def test_an_empty_folder_is_filled(emitted, tmp_path):
    (tmp_path / "x").mkdir()
    assert run(*OPTIONS, "-o", tmp_path / "x").exit_code == 0


def test_a_build_folder_is_replaced_only_by_force(emitted, tmp_path):
    assert run(*OPTIONS, "-o", tmp_path / "x").exit_code == 0
    result = run(*OPTIONS, "-o", tmp_path / "x")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert run(*OPTIONS, "-o", tmp_path / "x", "--force").exit_code == 0


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["plain", "force"])
def test_a_folder_of_other_files_is_never_touched(emitted, tmp_path, force):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = run(*OPTIONS, "-o", tmp_path, *force)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "hwgen did not write" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_never_taken_for_the_folder(emitted, tmp_path):
    (tmp_path / "x").write_text("mine")
    result = run(*OPTIONS, "-o", tmp_path / "x", "--force")
    assert result.exit_code == 2
    assert "is a file" in result.stderr
    assert (tmp_path / "x").read_text() == "mine"


# Wrong options: what to change in the good ones (None: leave out), and what the line must hold.
WRONG_OPTIONS = {
    "msb below lsb": ({"acc": "window:msb=-31,lsb=-30"}, "msb=-31"),
    "unknown format": ({"a": "bf17"}, "'bf17'"),
    "unknown second format": ({"b": "posix8"}, "'posix8'"),
    "unknown result format": ({"out": "half"}, "'half'"),
    "empty format": ({"a": ""}, "''"),
    "zero rows": ({"rows": "0"}, "rows is 0"),
    "negative columns": ({"cols": "-4"}, "cols is -4"),
    "too many rows": ({"rows": "1025"}, "rows is 1025"),
    "rows in words": ({"rows": "abc"}, "'abc'"),
    "half a row": ({"rows": "2.5"}, "'2.5'"),
    "negative ovf": ({"acc": "window:msb=5,lsb=-30,ovf=-1"}, "ovf=-1"),
    "ovf not a number": ({"acc": "window:msb=5,lsb=-30,ovf=x"}, "'x'"),
    "unknown option of acc": ({"acc": "window:msb=5,lsb=-30,osv=9"}, "'osv'"),
    "option of acc twice": ({"acc": "window:msb=5,msb=6,lsb=0"}, "msb twice"),
    "lsb left out": ({"acc": "window:msb=5"}, "lacks lsb"),
    "unknown rounding": ({"acc": "window:msb=5,lsb=-3,round=up"}, "round=up"),
    "unknown accumulator": ({"acc": "windows:msb=5,lsb=-3"}, "'windows:msb=5,lsb=-3'"),
    "no accumulator": ({"acc": None}, "--acc"),
    "no format": ({"a": None}, "--a"),
    "no size": ({"rows": None, "cols": None}, "--rows, --cols"),
    "integer accumulator for floats": ({"acc": "int:32"}, "bf16"),
    "window too wide": ({"acc": "window:msb=9000,lsb=-9000"}, "18002 bits"),
    "weight out of bounds": ({"acc": "window:msb=5,lsb=-999999"}, "lsb=-999999"),
    "zero terms": ({"acc": "exact:terms=0"}, "terms=0"),
    "one exponent bit": ({"a": "float:1,0"}, "exponent bits"),
    "too many exponent bits": ({"a": "float:12,3"}, "12"),
    "a number too few": ({"a": "float:5"}, "'float:5'"),
    "integer without bits": ({"a": "int:0"}, "0 integer bits"),
    "integer too wide": ({"a": "int:65"}, "65"),
    "name not an identifier": ({"name": "8x8"}, "'8x8'"),
    "name with a dash": ({"name": "my-gemm"}, "'my-gemm'"),
    "name of a path": ({"name": "../gemm"}, "'../gemm'"),
    "reserved name": ({"name": "module"}, "'module'"),
    "reserved name in SystemVerilog": ({"name": "logic"}, "'logic'"),
    "unknown option": ({"row": "8"}, "--row"),
}


def assert_refused(result, *, code: int, text: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("hwgen: error: ")
    assert result.stderr.count("\n") == 1
    assert text in result.stderr


@pytest.mark.parametrize(("change", "text"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_one_line_and_nothing_is_written(tmp_path, change, text):
    options = {key: value for key, value in (GOOD | change).items() if value is not None}
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    assert_refused(run(*words, "-o", tmp_path / "new"), code=2, text=text)
    assert list(tmp_path.iterdir()) == []


DESIGN = 'a = "bf16"\nacc = "window:msb=5,lsb=-30,ovf=9"\nrows = 2\ncols = 3\n'
WRONG_FILES = {
    "bad TOML": (DESIGN.encode() + b"cols = = 3\n", "TOML"),
    "key twice": (DESIGN.encode() + b"rows = 3\n", "TOML"),
    "unknown key": (DESIGN.encode() + b"colour = 3\n", "'colour'"),
    "missing key": (DESIGN.replace("rows = 2\n", "").encode(), "'rows'"),
    "rows as text": (DESIGN.replace("2", '"2"').encode(), "rows is '2'"),
    "rows as a truth": (DESIGN.replace("rows = 2", "rows = true").encode(), "rows is True"),
    "format as a number": (DESIGN.replace('"bf16"', "16").encode(), "a = 16"),
    "of a later version": (b"hwgen = 2\n" + DESIGN.encode(), "hwgen = 2"),
    "not UTF-8": (DESIGN.encode() + b"# \xff\xfe\n", "UTF-8"),
    "empty": (b"", "lacks 'a'"),
    "binary": (bytes(range(256)), "UTF-8"),
}


@pytest.mark.parametrize(("content", "text"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_design_file_is_one_line_and_nothing_is_written(tmp_path, content, text):
    design = tmp_path / "design.toml"
    design.write_bytes(content)
    assert_refused(run(design, "-o", tmp_path / "new"), code=2, text=text)
    assert [path.name for path in tmp_path.iterdir()] == ["design.toml"]


def test_a_design_file_that_does_not_exist_is_named(tmp_path):
    assert_refused(run(tmp_path / "no.toml", "-o", tmp_path / "new"), code=2, text="no.toml")


def test_a_folder_that_is_no_build_is_no_design(tmp_path):
    assert_refused(run(tmp_path, "-o", tmp_path / "new"), code=2, text="design.toml")


def test_a_design_file_and_options_do_not_mix(tmp_path):
    (tmp_path / "design.toml").write_text(DESIGN)
    result = run(tmp_path / "design.toml", "--rows", "4", "-o", tmp_path / "new")
    assert_refused(result, code=2, text="--rows does not go with")


def test_the_output_folder_must_be_named():
    assert_refused(run(*OPTIONS), code=2, text="--output")


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = run(*OPTIONS, "-o", tmp_path / "file" / "below" / "new")
    assert_refused(result, code=1, text=str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_read_only_folder_is_a_failure(tmp_path):
    # /proc refuses new folders even to root.
    target = Path("/proc/hwgen/new")
    if not target.parent.parent.is_dir():
        pytest.skip("no /proc on this system")
    assert_refused(run(*OPTIONS, "-o", target), code=1, text="/proc/hwgen")
