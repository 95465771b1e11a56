"""``hwgen report``: which files it writes, and what it says of those it cannot read or write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.explore.records import Exploration, Point

FOUND = Exploration(
    title="small",
    command=["true"],
    points=[
        Point(
            name="w20",
            a="bf16",
            b="bf16",
            acc="window:msb=5,lsb=-10,ovf=4",
            out="fp32",
            width=20,
            error=1e-3,
            chosen=True,
        )
    ],
    call_sites=[],
    commands=[],
    versions={},
)


@pytest.fixture
def path(tmp_path) -> Path:
    found = tmp_path / "found.json"
    FOUND.write(found)
    return found


def run(*words: object):
    return CliRunner().invoke(cli, ["report", *map(str, words)])


def test_a_page_lies_beside_the_exploration(path):
    pytest.importorskip("matplotlib")
    result = run(path)
    assert (result.exit_code, result.stderr) == (0, "")
    page = path.with_suffix(".html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert result.stdout.startswith(str(page))


@pytest.mark.parametrize(
    ("name", "words", "starts"),
    [("x.md", [], "# small"), ("x", ["--format", "md"], "# small"), ("x.txt", [], "<!doctype")],
)
def test_the_format_is_asked_for_or_the_ending(path, name, words, starts):
    if starts.startswith("<"):
        pytest.importorskip("matplotlib")
    output = path.parent / name
    assert run(path, "-o", output, *words).exit_code == 0
    assert output.read_text(encoding="utf-8").startswith(starts)


def test_plots_are_files_that_the_summary_shows(path, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "notes").mkdir()
    output, folder = tmp_path / "notes" / "found.md", tmp_path / "plots"
    result = run(path, "-o", output, "--svg", folder, "--json")
    assert result.exit_code == 0
    files = json.loads(result.stdout)
    assert files["designs"] == 1
    assert sorted(files["files"]) == sorted(map(str, [output, *folder.iterdir()]))
    assert {file.name for file in folder.iterdir()} == {"width.svg", "errors.svg"}
    assert "](<../plots/width.svg>)" in output.read_text(encoding="utf-8")


def test_the_folder_of_an_exploration_will_do(path):
    pytest.importorskip("matplotlib")
    path = path.rename(path.with_name("exploration.json"))
    assert run(path.parent).exit_code == 0
    assert path.with_suffix(".html").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot read"),
        ("{}", "holds no exploration of this version of hwgen; make it with hwgen tailor"),
        ("no JSON", "holds no exploration"),
        ('{"version": 1, "title": 7}', "holds no exploration"),
    ],
)
def test_a_file_that_is_no_exploration_is_one_line(tmp_path, text, says):
    path = tmp_path / "found.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    result = run(path)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not path.with_suffix(".html").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "none/page.html"], "make it, or name another file with -o"),
        (["-o", "."], "is a folder; name a file with -o"),
        (["-o", "found.json"], "is the exploration itself"),
        (["--svg", "found.json"], "is a file; name a folder with --svg"),
        (["--svg", "none/plots"], "make it, or name another one with --svg"),
        (["--format", "pdf"], "'pdf' is not one of"),
    ],
)
def test_what_cannot_be_written_is_one_line(path, monkeypatch, words, says):
    monkeypatch.chdir(path.parent)
    result = run("found.json", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [file.name for file in path.parent.iterdir()] == ["found.json"]


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_a_missing_library_is_named_with_its_extra(path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    result = run(path)
    assert result.exit_code == 1
    assert "pip install 'hwgen[report]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1
