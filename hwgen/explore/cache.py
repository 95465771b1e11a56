"""What an exploration has measured already, kept in files: one a trial, written at once.

A result is known by a digest of all that it depends on, so a search that was killed takes up where
it was, and a second one is over at once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwgen import __version__
from hwgen.errors import HwgenError

__all__ = ["Cache", "program_digest"]

_LARGEST = 1 << 26  # bytes of an argument's file that a digest covers


class Cache:
    """Results in a folder, by kind and digest.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    HwgenError
        If it cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HwgenError(
                f"cannot make the folder {folder}: {error.strerror}; give another -o"
            ) from None
        if not os.access(folder, os.W_OK):
            raise HwgenError(f"the folder {folder} cannot be written; give another -o")

    def get(self, kind: str, key: Sequence[object]) -> dict[str, Any] | None:
        """Return what was kept for a key, or None; a damaged file counts as none."""
        try:
            table = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return table["result"] if isinstance(table, dict) and "result" in table else None

    def put(self, kind: str, key: Sequence[object], result: dict[str, Any]) -> None:
        """Keep a result: aside first, then in place, so that what is there is whole."""
        path = self._path(kind, key)
        aside = path.with_suffix(".part")
        table = {"key": [str(part) for part in key], "result": result}
        aside.write_text(json.dumps(table, allow_nan=False) + "\n", encoding="utf-8")
        aside.replace(path)

    def _path(self, kind: str, key: Sequence[object]) -> Path:
        text = json.dumps([__version__, kind, *map(str, key)])
        return self._folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def program_digest(program: Sequence[str], folder: Path) -> str:
    """Return a digest of a command: its words, and the contents of files that they name.

    Modules that a script imports and data that it opens by itself are not seen.
    """
    digest = hashlib.sha256()
    for word in program:
        digest.update(f"{len(word)}:{word}".encode())
        path = folder / word
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                digest.update(path.read_bytes())
        except (OSError, ValueError):
            continue  # a word that is no path
    return digest.hexdigest()
