"""A run's settings, its folder and the environment of its programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hwgen.errors import SpecError, ToolError, UnsupportedError
from hwgen.runtime import session as module
from hwgen.runtime.session import HOOK, RunSettings, check_design, environment, session
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

WINDOW = "window:msb=5,lsb=-30,ovf=9"
DATAPATH = Datapath.parse(a="bf16", acc=WINDOW)


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """Stand for the compiled libraries."""
    path = tmp_path / "libhwgen_blas.so"
    path.touch()
    monkeypatch.setattr(module, "library_path", lambda name: path)
    monkeypatch.setattr(module, "read_datapath", lambda description: 1)
    return path


def entries(settings: RunSettings) -> list[tuple[str, str]]:
    return [tuple(line.split("=", 1)) for line in settings.config().splitlines()]


def test_the_plain_settings_serve_everything_on_the_kernels():
    found = dict(entries(RunSettings(datapath=DATAPATH)))
    assert found.pop("datapath").startswith("hwgen ")
    assert found == {
        "backend": "c",
        "min_mnk": "0",
        "precisions": "sdczh",
        "threads": "1",
        "check": "0",
        "assert": "0",
    }


def test_every_setting_reaches_the_library_with_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = RunSettings(
        datapath=DATAPATH,
        array=(4, 8),
        device=Path("device.so"),
        min_mnk=100,
        only=("k >= 64", "m<8, n<8"),
        precisions="ds",
        threads=0,
        log=Path("log.json"),
        check=True,
        assert_same=True,
    )
    found = entries(settings)
    assert "lanes 4 8" in found[0][1]
    assert found[1:] == [
        ("backend", "device"),
        ("device", str(tmp_path / "device.so")),
        ("min_mnk", "100"),
        ("only", "k>=64"),
        ("only", "m<8,n<8"),
        ("precisions", "sd"),
        ("threads", "0"),
        ("log", str(tmp_path / "log.json")),
        ("check", "1"),
        ("assert", "1"),
    ]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"datapath": Datapath.parse(a="bf16", acc=WINDOW, out="raw")},
            UnsupportedError,
            "out=raw hands out registers",
        ),
        ({"min_mnk": -1}, SpecError, "min-mnk is -1; allowed is 0 to"),
        ({"threads": 2**31}, SpecError, "threads is 2147483648; allowed is 0 to"),
        ({"only": ("k=3",)}, SpecError, "a comparison is one of"),
        ({"precisions": "q"}, SpecError, "give letters of"),
        ({"assert_same": True}, SpecError, "give --backend rtl too"),
        ({"log": Path("a\nb")}, SpecError, "has a line break in it"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        RunSettings(**{"datapath": DATAPATH} | change)


def test_start_values_are_for_the_kernels_only():
    design = Design(datapath=DATAPATH, rows=2, cols=2, start="raw")
    check_design(design, "c")
    with pytest.raises(UnsupportedError, match="wants registers to start from"):
        check_design(design, "rtl")


def test_boards_and_other_systems_are_not_built(monkeypatch):
    design = Design(datapath=DATAPATH, rows=2, cols=2)
    with pytest.raises(UnsupportedError, match="no board support yet; use c"):
        check_design(design, "board")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UnsupportedError, match="this is darwin"):
        check_design(design, "c")


def test_the_folder_holds_the_config_and_is_gone_afterwards(library):
    settings = RunSettings(datapath=DATAPATH)
    with session(settings) as folder:
        assert (folder / "config").read_text() == settings.config()
        (folder / "counters.1").touch()
    assert not folder.exists()
    with pytest.raises(KeyboardInterrupt), session(settings) as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_log_that_cannot_be_written_is_refused_at_once(library, tmp_path):
    settings = RunSettings(datapath=DATAPATH, log=tmp_path / "no" / "log")
    with pytest.raises(SpecError, match="cannot write the log"), session(settings):
        pass


def test_a_log_may_have_a_name_that_is_no_text(library, tmp_path):
    log = tmp_path / os.fsdecode(b"log\xff")
    with session(RunSettings(datapath=DATAPATH, log=log)) as folder:
        assert os.fsencode(f"log={log}\n") in (folder / "config").read_bytes()


def test_a_log_that_is_there_is_kept(library, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    with session(RunSettings(datapath=DATAPATH, log=log)):
        pass
    assert log.read_text() == "before\n"


def test_without_the_library_nothing_is_left_behind(monkeypatch, tmp_path):
    def missing(name: str) -> Path:
        raise ToolError(f"lib{name}.so was not found")

    monkeypatch.setattr(module, "library_path", missing)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(ToolError, match="libhwgen_blas.so was not found"),
        session(RunSettings(datapath=DATAPATH)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_library_and_hook_stand_before_what_the_user_has(library, tmp_path):
    base = {"LD_PRELOAD": "mine.so", "PYTHONPATH": "my/modules", "HOME": "there"}
    assert environment(tmp_path, base) == {
        "HOME": "there",
        "HWGEN_RUN": str(tmp_path),
        "LD_PRELOAD": f"{library}:mine.so",
        "PYTHONPATH": f"{HOOK}:my/modules",
    }
    bare = environment(tmp_path, {})
    assert (bare["LD_PRELOAD"], bare["PYTHONPATH"]) == (str(library), str(HOOK))


def test_a_library_whose_path_the_loader_would_split_is_linked_to(tmp_path, monkeypatch):
    path = tmp_path / "two words" / "libhwgen_blas.so"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(module, "library_path", lambda name: path)
    preload = Path(environment(tmp_path, {})["LD_PRELOAD"])
    assert preload == tmp_path / "libhwgen_blas.so"
    assert preload.resolve() == path.resolve()


def test_folders_that_the_loader_would_split_both_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "two words"
    monkeypatch.setattr(module, "library_path", lambda name: folder / "libhwgen_blas.so")
    with pytest.raises(ToolError, match="can stand in LD_PRELOAD"):
        environment(folder, {})
