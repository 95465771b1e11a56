"""Why a program may be out of reach of a preloaded library, as far as its file tells."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from pathlib import Path

__all__ = ["obstacles"]

_INTERPRETER = 3  # PT_INTERP: the loader, which reads LD_PRELOAD
_SCRIPTS_DEEP = 4  # as the kernel allows


def obstacles(program: Path, library: Path) -> list[str]:
    """Return reasons, in words, why the loader would not preload ``library`` into ``program``.

    A script is judged by its interpreter. What cannot be read gives no reason.
    """
    for _ in range(_SCRIPTS_DEEP):
        interpreter = _interpreter(program)
        if interpreter is None:
            break
        program = interpreter
    try:
        return _found(program, library)
    except OSError:
        return []


def _found(program: Path, library: Path) -> list[str]:
    reasons = []
    status = program.stat()
    changes = (status.st_mode & stat.S_ISUID and status.st_uid != os.geteuid()) or (
        status.st_mode & stat.S_ISGID and status.st_gid != os.getegid()
    )
    if changes or "security.capability" in os.listxattr(program):
        reasons.append(f"{program} runs with other rights (setuid), so that nothing is preloaded")
    header = _header(program)
    if header is not None:
        ours = _header(library)
        if ours is not None and header[0] != ours[0]:
            reasons.append(f"{program} is built for another kind of processor than {library.name}")
        elif _INTERPRETER not in header[1]:
            reasons.append(f"{program} is linked statically, with all libraries inside")
    return reasons


def _interpreter(program: Path) -> Path | None:
    """Return what runs a script, from its first line."""
    try:
        with program.open("rb") as file:
            line = file.readline(256)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    words = line[2:].decode(errors="replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    found = shutil.which(words[0]) if words else None
    return None if found is None else Path(found)


def _header(path: Path) -> tuple[tuple[int, int], set[int]] | None:
    """Return (class, machine) of an ELF file and the types of its segments; None for others."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or not head.startswith(b"\x7fELF"):
            return None
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
        machine = struct.unpack_from(f"{order}H", head, 18)[0]
        offset = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
        file.seek(offset)
        table = file.read(size * count)
    types = {struct.unpack_from(f"{order}I", table, i * size)[0] for i in range(count)}
    return (head[4], machine), types
