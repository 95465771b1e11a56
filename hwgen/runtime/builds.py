"""Build folders that nobody asked to keep: for datapaths given on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from hwgen import __version__
from hwgen.emit import generate
from hwgen.errors import ToolError
from hwgen.runtime.cache import cache_home
from hwgen.spec.design import Design

__all__ = ["cached_build"]


def cached_build(design: Design) -> Path:
    """Return a build folder of the design in the user's cache, generated unless it is there.

    Raises
    ------
    ToolError
        If it cannot be generated or written.
    """
    folder = cache_home() / "builds" / f"{design.name[:100]}-{design.digest[:16]}"
    if not _is_build(folder):
        try:
            generate(design, folder, force=True)
        except OSError as error:
            raise ToolError(
                f"cannot write the cache {folder.parent}: {error.strerror}",
                hint="name a folder that you may write with the environment variable HWGEN_CACHE",
            ) from None
    return folder


def _is_build(folder: Path) -> bool:
    """Whether this version of hwgen has written the folder to its end."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest["tools"]["hwgen"] == __version__
