"""The build folder: complete or not there at all, and never over somebody's files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from hwgen.emit import build as build_module
from hwgen.emit import generate
from hwgen.errors import SpecError, ToolError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

INT4 = Datapath.parse(a="int4", acc="int:12")
DESIGN = Design(datapath=INT4, rows=2, cols=1)
OTHER = Design(datapath=INT4, rows=1, cols=2)


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


def test_every_file_of_the_manifest_is_there_and_no_other(tmp_path):
    record = generate(DESIGN, tmp_path / "deep" / "build")
    files = contents(tmp_path / "deep" / "build")
    assert sorted(files) == sorted(record["files"])
    assert set(files) >= {"design.toml", "manifest.json", f"rtl/{DESIGN.name}.v", "tb/a.hex"}
    assert json.loads(files["manifest.json"]) == record
    assert Design.load(tmp_path / "deep" / "build") == DESIGN
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["build"]


def test_generating_from_the_folders_own_design_gives_the_same_bytes(tmp_path):
    generate(DESIGN, tmp_path / "one")
    generate(Design.load(tmp_path / "one"), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_lines_end_the_same_on_every_system(tmp_path):
    generate(DESIGN, tmp_path / "build")
    for name, data in contents(tmp_path / "build").items():
        assert b"\r" not in data, name
        assert data.endswith(b"\n"), name


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "build").mkdir()
    generate(DESIGN, tmp_path / "build")
    assert Design.load(tmp_path / "build") == DESIGN


def test_the_empty_folder_that_the_caller_works_in_is_filled(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    record = generate(DESIGN, ".")
    assert sorted(contents(tmp_path)) == sorted(record["files"])
    assert Path.cwd() == tmp_path  # not moved away
    with pytest.raises(OSError, match="cannot replace the build folder"):
        generate(OTHER, ".", force=True)
    assert sorted(contents(tmp_path)) == sorted(record["files"])
    assert list(tmp_path.parent.glob(f".*{tmp_path.name}*")) == []


def test_the_same_design_again_renews_its_files_and_keeps_results(tmp_path):
    folder = tmp_path / "build"
    generate(DESIGN, folder)
    before = contents(folder)
    for name in ("sim/icarus/results.npz", "synth/ecp5/report.json"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("kept", encoding="utf-8")
    (folder / "rtl" / f"{DESIGN.name}.v").write_text("edited", encoding="utf-8")
    generate(DESIGN, folder)
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    assert after["sim/icarus/results.npz"] == after["synth/ecp5/report.json"] == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def test_another_design_is_replaced_only_with_force(tmp_path):
    folder = tmp_path / "build"
    generate(DESIGN, folder)
    (folder / "sim").mkdir()
    (folder / "sim" / "old").write_text("", encoding="utf-8")
    before = contents(folder)
    with pytest.raises(SpecError, match="holds another design's build; replace it with force"):
        generate(OTHER, folder)
    assert contents(folder) == before
    record = generate(OTHER, folder, force=True)
    assert sorted(contents(folder)) == sorted(record["files"])


@pytest.mark.parametrize("force", [False, True])
def test_files_that_hwgen_did_not_write_stay(force, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    message = re.escape(f"{tmp_path} holds files that hwgen did not write; name a new or empty")
    with pytest.raises(SpecError, match=message):
        generate(DESIGN, tmp_path, force=force)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "build").write_text("", encoding="utf-8")
    with pytest.raises(SpecError, match="is a file; name a folder"):
        generate(DESIGN, tmp_path / "build")


@pytest.mark.parametrize("step", ["vectors", "emit_verilog", "testbench", "manifest"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "renewed"])
def test_a_failure_leaves_everything_as_it_was(step, there, monkeypatch, tmp_path):
    if there:
        generate(DESIGN, tmp_path / "build")
        (tmp_path / "build" / "sim").mkdir()
        (tmp_path / "build" / "sim" / "results").write_text("kept", encoding="utf-8")
    before = contents(tmp_path)

    def fail(*_args, **_kwargs):
        raise ToolError("out of order")

    monkeypatch.setattr(build_module, step, fail)
    with pytest.raises(ToolError, match="out of order"):
        generate(DESIGN, tmp_path / "build")
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["build"] * there


def test_a_failure_to_rename_loses_no_result(monkeypatch, tmp_path):
    folder = tmp_path / "build"
    generate(DESIGN, folder)
    (folder / "sim").mkdir()
    (folder / "sim" / "results").write_text("kept", encoding="utf-8")
    before = contents(tmp_path)

    rename = Path.rename

    def fail_on_the_new(self, target):
        if target == folder and self.parent == tmp_path:
            raise OSError("no room")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_on_the_new)
    with pytest.raises(OSError, match="no room"):
        generate(DESIGN, folder)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_parent_that_is_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        generate(DESIGN, tmp_path / "file" / "build")
    assert contents(tmp_path) == {"file": b""}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_an_error_of_the_system(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            generate(DESIGN, tmp_path / "build")
    finally:
        tmp_path.chmod(0o700)
    assert contents(tmp_path) == {}
