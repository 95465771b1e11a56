"""A build folder as those see it that use one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import SpecError
from hwgen.spec.design import Design

__all__ = ["Build", "open_build"]


@dataclass(frozen=True, slots=True)
class Build:
    """A build folder: where it is, its design, and the file with the Verilog."""

    folder: Path
    design: Design
    verilog: Path


def open_build(folder: str | Path) -> Build:
    """Look at a build folder; raises SpecError if it is none or its parts do not fit together."""
    folder = Path(folder)
    manifest_file = folder / "manifest.json"
    design = Design.load(folder)
    try:
        manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
        digest = manifest["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpecError(
            f"cannot read {manifest_file}: {getattr(error, 'strerror', None) or error};"
            " give a folder made by hwgen generate"
        ) from None
    if digest != design.digest:
        raise SpecError(
            f"{folder / 'design.toml'} is not the design that the Verilog was generated from;"
            " run hwgen generate again"
        )
    verilog = folder / "rtl" / f"{design.name}.v"
    if not verilog.is_file():
        raise SpecError(f"{verilog} is missing; run hwgen generate again")
    return Build(folder.resolve(), design, verilog.resolve())
