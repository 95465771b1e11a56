"""Errors that hwgen raises on purpose.

Every message says what was given, what is allowed and what to do next; the command line prints it
as one line. A :class:`HwgenError` is the user's to mend (exit code 2), a :class:`ToolError` is a
failure of a program that hwgen runs (exit code 1).
"""

from __future__ import annotations

__all__ = ["FormatError", "HwgenError", "SpecError", "ToolError", "UnsupportedError"]


class HwgenError(ValueError):
    """Base class of all errors caused by what the user asked for."""


class FormatError(HwgenError):
    """A number format is unknown or malformed, or a value has no place in it."""


class SpecError(HwgenError):
    """A design, datapath or accumulator is inconsistent."""


class UnsupportedError(HwgenError):
    """What was asked for is sensible but not built."""


class ToolError(RuntimeError):
    """An external program is missing or failed.

    Parameters
    ----------
    message : str
        What happened, in one line.
    command : str
        The command that ran (empty if none did).
    version : str
        The tool's own version string, where known.
    log : str
        The tail of its output.
    hint : str
        What to do next.
    """

    def __init__(
        self,
        message: str,
        *,
        command: str = "",
        version: str = "",
        log: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.command = command
        self.version = version
        self.log = log
        self.hint = hint
