"""The build folder: written aside, then renamed; a half-written one never looks complete."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwgen.emit.manifest import manifest
from hwgen.emit.testbench import testbench, vectors
from hwgen.emit.verilog import emit_verilog
from hwgen.errors import SpecError
from hwgen.spec.design import Design

__all__ = ["generate"]

_MARKS = ("design.toml", "manifest.json")
_RESULTS = ("sim", "synth")  # what simulation and synthesis write into the folder


def generate(design: Design, path: str | Path, *, force: bool = False) -> dict[str, Any]:
    """Write a design's build folder.

    Parameters
    ----------
    design : Design
    path : str or Path
        The folder; parents are made. It must not exist, be empty, or hold the same design already,
        in which case only what generation writes is renewed and simulations and reports stay.
    force : bool
        Replace a folder that holds another design's build.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    SpecError
        If the folder holds something else.
    ToolError
        If Yosys fails.
    OSError
        If the folder cannot be written.
    """
    path = Path(path)
    keep = _check(path, design, force=force)
    with _folder_aside(path) as aside:
        files = _write(design, aside)
        record = manifest(design, files)
        _write_text(aside / "manifest.json", json.dumps(record, indent=2) + "\n")
        _replace(path, aside, keep=_RESULTS if keep else ())
    return record


def _check(path: Path, design: Design, *, force: bool) -> bool:
    """Refuse to destroy what is there; returns whether it is this very design's build."""
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file; name a folder")
    if not path.exists() or not any(path.iterdir()):
        return False
    if not all((path / name).is_file() for name in _MARKS):
        raise SpecError(f"{path} holds files that hwgen did not write; name a new or empty folder")
    if (path / "design.toml").read_text("utf-8") == design.to_toml():
        return True
    if not force:
        raise SpecError(
            f"{path} holds another design's build; replace it with force, or name another"
        )
    return False


@contextmanager
def _folder_aside(path: Path) -> Iterator[Path]:
    # A folder that is there and empty may be one that cannot be renamed: the one that the caller
    # works in, or another file system's. It is filled from inside.
    filled = path.is_dir() and not any(path.iterdir())
    parent = path if filled else path.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
    except OSError as error:
        # The user named the build folder, not the one beside it.
        reason = f"cannot write the build folder: {error.strerror}"
        raise type(error)(error.errno, reason, str(path)) from None
    try:
        aside.chmod(0o755)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(design: Design, folder: Path) -> list[str]:
    lines = vectors(design)
    texts = {
        "design.toml": design.to_toml(),
        f"rtl/{design.name}.v": emit_verilog(design),
        f"tb/{design.name}_tb.v": testbench(design, len(lines["a"]), len(lines["c"])),
    }
    texts |= {f"tb/{stream}.hex": "\n".join(words) + "\n" for stream, words in lines.items()}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write_text(folder / name, text)
    return sorted([*texts, "manifest.json"])


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _replace(path: Path, aside: Path, *, keep: tuple[str, ...]) -> None:
    """Put the new folder in the old one's place; the old one goes only once the new one stands.

    Entries of the old folder named in ``keep`` go over to the new one. An empty folder stays, and
    gets the new one's entries, those last that tell a build.
    """
    if not path.exists():
        aside.rename(path)
        return
    if path.samefile(aside.parent):
        for entry in sorted(aside.iterdir(), key=lambda entry: entry.name in _MARKS):
            entry.rename(path / entry.name)
        return
    attic = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.absolute().parent))
    old = attic / "build"
    try:
        path.rename(old)
    except OSError as error:
        attic.rmdir()
        reason = f"cannot replace the build folder ({error.strerror}); empty it, or name another"
        raise type(error)(error.errno, reason, str(path)) from None
    try:
        aside.rename(path)
    except OSError:
        old.rename(path)
        attic.rmdir()
        raise
    for name in keep:
        if (old / name).exists():
            (old / name).rename(path / name)
    shutil.rmtree(attic)
