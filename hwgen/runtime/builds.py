"""Build folders that nobody asked to keep: for datapaths given on the command line."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from hwgen.emit import generate
from hwgen.emit.verilog import yosys_version
from hwgen.runtime.cache import cached_folder
from hwgen.spec.design import Design

__all__ = ["cached_build"]


def cached_build(design: Design) -> Path:
    """Return a build folder of the design in the user's cache, generated unless it is there.

    Raises
    ------
    ToolError
        If it cannot be generated or written.
    """

    def make(folder: Path) -> None:
        generate(design, folder)

    return cached_folder(f"builds/{design.name[:100]}-{design.digest[:16]}-{_generator()}", make)


@lru_cache(maxsize=1)
def _generator() -> str:
    """Return a hash of what writes the Verilog, which may change between two versions too."""
    digest = hashlib.sha256(f"{metadata.version('amaranth')} {yosys_version()}".encode())
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(data)} ".encode() + data)
    return digest.hexdigest()[:16]
