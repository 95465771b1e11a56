"""Builds in the user's cache: made once, by this very generator, and again when harmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_designs import make_design

from hwgen.emit.folder import open_build
from hwgen.errors import ToolError
from hwgen.runtime import builds
from hwgen.runtime.builds import cached_build


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HWGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def design():
    return make_design("int3", 1, 1)


def refuse(*words: object) -> None:
    raise AssertionError("generated again")


def test_a_build_is_made_once(design, cache, monkeypatch):
    folder = cached_build(design)
    assert open_build(folder).design == design
    monkeypatch.setattr(builds, "generate", refuse)
    assert cached_build(design) == folder
    assert list((cache / "builds").iterdir()) == [folder]


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_harmed_build_is_made_again(design, harm):
    verilog = open_build(cached_build(design)).verilog
    text = verilog.read_text("utf-8")
    if harm == "gone":
        verilog.unlink()
    else:
        verilog.write_text(text[:100], encoding="utf-8")
    assert open_build(cached_build(design)).verilog.read_text("utf-8") == text


def test_another_generator_makes_a_build_of_its_own(design, monkeypatch):
    folder = cached_build(design)
    monkeypatch.setattr(builds, "_generator", lambda: "of tomorrow")
    assert cached_build(design) != folder


def test_a_disk_that_is_full_on_the_way_is_told_as_such(design, monkeypatch):
    def fill(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builds, "generate", fill)
    with pytest.raises(ToolError, match="cannot write the cache .*: No space left"):
        cached_build(design)
