"""A build folder around any Verilog module, so that it can be synthesized by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_component_build"]


def write_component_build(
    folder: Path, name: str, text: str, ports: Mapping[str, tuple[str, int]]
) -> Path:
    """Write what :func:`hwgen.flow.synthesize` needs to know of a module, and return the folder.

    Parameters
    ----------
    folder : Path
        Made here.
    name : str
        Of the module on top.
    text : str
        Verilog of the module and of all that it holds.
    ports : mapping
        Name of each port to its direction, "input" or "output", and its width.
    """
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / f"{name}.v").write_text(text)
    entries = [
        {"name": port, "direction": direction, "width": width}
        for port, (direction, width) in ports.items()
    ]
    manifest = {"name": name, "top": name, "digest": "", "rows": 1, "cols": 1, "ports": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
