"""Folders in the user's cache: complete and intact, or made anew.

A folder is written aside and renamed, so that it is there whole or not at all, also when several
processes make it at once. A list of its files' hashes lies in it; one that does not fit any more
(a full disk, a curious hand) is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["cache_home", "cached_folder"]

_LIST = "files.json"
_ATTEMPTS = 3


def cache_home() -> Path:
    """Return hwgen's cache, which may be deleted at any time.

    It is ``$HWGEN_CACHE``, or else ``$XDG_CACHE_HOME/hwgen``, by default ``~/.cache/hwgen``.
    """
    if given := os.environ.get("HWGEN_CACHE"):
        return Path(given).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home).absolute() if home else Path.home() / ".cache") / "hwgen"


def cached_folder(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the cache, made unless it is there and intact.

    Parameters
    ----------
    name : str
        Relative to :func:`cache_home`; it must change with everything the contents depend on.
    make : callable
        Writes the contents into the empty folder that it is given.

    Raises
    ------
    ToolError
        If the cache cannot be written.
    """
    folder = cache_home() / name
    if _is_intact(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            aside.chmod(0o755)
            make(aside)
            (aside / _LIST).write_text(json.dumps(_hashes(aside)), encoding="utf-8")
            _put(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise ToolError(
            f"cannot write the cache {folder.parent}: {error.strerror}",
            hint="name a folder that you may write with the environment variable HWGEN_CACHE",
        ) from None
    return folder


def _put(aside: Path, folder: Path) -> None:
    """Rename a complete folder, unless another process has put an intact one there meanwhile."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(OSError):
            aside.rename(folder)
        if _is_intact(folder):
            return
        broken = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        with contextlib.suppress(OSError):
            folder.rename(broken / folder.name)
        shutil.rmtree(broken, ignore_errors=True)
    raise ToolError(
        f"cannot write {folder}: something puts other files there",
        hint="delete it, or name another cache with the environment variable HWGEN_CACHE",
    )


def _is_intact(folder: Path) -> bool:
    try:
        listed = json.loads((folder / _LIST).read_text(encoding="utf-8"))
        return listed == _hashes(folder)
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder and below it but the list itself."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path != folder / _LIST and not path.is_dir()
    }
