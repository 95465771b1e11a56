"""Starting a program and waiting for it, as if it had been started without us."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwgen.errors import HwgenError

__all__ = ["CANNOT_START", "NOT_FOUND", "StartError", "find_program", "launch"]

# What shells return for a program that is there but does not start, and for one that is not.
CANNOT_START, NOT_FOUND = 126, 127

_WAITING_FOR = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,  # by which batch systems say that time is nearly over
    signal.SIGUSR2,
    signal.SIGCHLD,
)
_POLL_S = 0.5


class StartError(HwgenError):
    """A program could not be started.

    Parameters
    ----------
    message : str
    status : int
        The exit status that a shell gives it.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def find_program(name: str, environment: Mapping[str, str]) -> Path:
    """Return the file that ``name`` starts, as a shell finds it.

    Raises
    ------
    StartError
        If there is none, or it is not executable.
    """
    path = shutil.which(name, path=environment.get("PATH", os.defpath))
    if path is not None:
        return Path(path)
    here = Path(name)
    if not here.exists():
        where = "there is no such file" if os.sep in name else "it is nowhere in PATH"
        raise StartError(f"cannot run {name!r}: {where}", status=NOT_FOUND)
    if here.is_dir():
        raise StartError(f"cannot run {name!r}: it is a folder", status=CANNOT_START)
    python = here.suffix == ".py"
    if os.access(here, os.X_OK):
        advice = f"it is not in PATH; write ./{name}"
    else:
        advice = f"it is not executable; write {'python' if python else 'sh'} {name}"
    raise StartError(f"cannot run {name!r}: {advice}", status=CANNOT_START)


def launch(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end and return its exit status, 128 + n for signal n.

    The program has our terminal, files and process group. Signals that would end us meanwhile are
    left to it: those of the terminal reach it by themselves, others are passed on.

    Raises
    ------
    StartError
        If it does not start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING_FOR)
    try:
        process = _start(command, environment, before)
        while process.poll() is None:
            news = signal.sigtimedwait(_WAITING_FOR, _POLL_S)
            if news is not None and news.si_signo != signal.SIGCHLD and not _has_it(news):
                process.send_signal(news.si_signo)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status = process.returncode
    return status if status >= 0 else 128 - status


def _start(
    command: Sequence[str], environment: Mapping[str, str], mask: set[signal.Signals]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command),
            env=dict(environment),
            close_fds=False,
            # What we block, the program must not.
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
        )
    except FileNotFoundError:
        # The file is there, so it is the interpreter named in its first line.
        raise StartError(
            f"cannot run {command[0]!r}: its interpreter is missing", status=NOT_FOUND
        ) from None
    except OSError as error:
        raise StartError(
            f"cannot run {command[0]!r}: {error.strerror}; a script needs a first line #!, or its"
            " interpreter before it",
            status=CANNOT_START,
        ) from None


def _has_it(news: signal.struct_siginfo) -> bool:
    """Whether a signal has reached the program too, which is in our process group.

    The terminal signals the whole group, and so do programs in the group as a rule. SIGTERM and
    SIGHUP are passed on in any case but the terminal's: twice is no more than once.
    """
    if news.si_code > 0:  # from the kernel
        return True
    if news.si_signo in (signal.SIGTERM, signal.SIGHUP):
        return False
    try:
        return os.getpgid(news.si_pid) == os.getpgrp()
    except ProcessLookupError:
        return False
