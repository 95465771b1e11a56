"""AXI4-Stream ends for cocotb, made for speed: one coroutine serves all streams of a core.

A :class:`Source` and a :class:`Sink` are not tasks. A bench calls them once a clock cycle, right
after the rising edge, while signals still have the values that the edge saw; what they drive then
is seen by the next edge. Transfers happen where tvalid and tready were both high at the edge, and
nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["RuleError", "Sink", "Source", "is_high", "read_word"]


class RuleError(AssertionError):
    """The core broke a rule of its streams."""


def is_high(handle) -> bool:
    """Read a one-bit signal; raises :class:`RuleError` if it is neither 0 nor 1."""
    value = handle.value
    try:
        return bool(value)
    except ValueError:
        raise RuleError(f"{handle._name} is {value}") from None


def read_word(handle) -> int:
    """Read an unsigned signal; raises :class:`RuleError` if a bit is neither 0 nor 1."""
    value = handle.value
    try:
        return int(value)
    except ValueError:
        raise RuleError(f"{handle._name} is {value}") from None


class Source:
    """Sends beats, holding tvalid and the beat until it is taken.

    Parameters
    ----------
    dut : handle of the top module
    prefix : str
        Of the stream's ports, e.g. "s_axis_a".
    words : sequence of int
        tdata of the beats.
    lasts : sequence of int
        tlast of the beats.
    users : sequence of int, optional
        tuser of the beats, of a stream that has it.
    stall : float
        Probability that in a cycle no new beat is offered.
    rng : random.Random
    """

    def __init__(
        self,
        dut,
        prefix: str,
        *,
        words: Sequence[int],
        lasts: Sequence[int],
        users: Sequence[int] | None = None,
        stall: float,
        rng: random.Random,
    ) -> None:
        self._valid = getattr(dut, f"{prefix}_tvalid")
        self._ready = getattr(dut, f"{prefix}_tready")
        self._data = getattr(dut, f"{prefix}_tdata")
        self._last = getattr(dut, f"{prefix}_tlast")
        self._user = None if users is None else getattr(dut, f"{prefix}_tuser")
        self._words = words
        self._lasts = lasts
        self._users = users
        self._stall = stall
        self._random = rng.random
        self._offering = False
        self._driven_last: int | None = None
        self.taken: list[int] = []  # the cycles in which beats were taken

    @property
    def done(self) -> bool:
        """Whether all beats were taken."""
        return len(self.taken) == len(self._words)

    def idle(self) -> None:
        """Offer nothing."""
        self._valid.value = 0
        self._offering = False

    def edge(self, cycle: int) -> None:
        """Look at the edge that ends ``cycle``, then drive the next cycle."""
        taken = self.taken
        was_offering = self._offering
        if was_offering:
            if not is_high(self._ready):
                return
            taken.append(cycle)
        index = len(taken)
        if index < len(self._words) and not (self._stall and self._random() < self._stall):
            self._data.value = self._words[index]
            if self._user is not None:
                self._user.value = self._users[index]
            last = self._lasts[index]
            if last != self._driven_last:
                self._last.value = self._driven_last = last
            if not was_offering:
                self._valid.value = 1
                self._offering = True
        elif was_offering:
            self.idle()


class Sink:
    """Takes rows and checks that an offered row stays as it is until it is taken.

    Parameters
    ----------
    dut : handle of the top module
    prefix : str
        Of the stream's ports, e.g. "m_axis_c".
    stall : float
        Probability that tready is low in a cycle.
    rng : random.Random
    """

    def __init__(self, dut, prefix: str, *, stall: float, rng: random.Random) -> None:
        self._prefix = prefix
        self._valid = getattr(dut, f"{prefix}_tvalid")
        self._ready = getattr(dut, f"{prefix}_tready")
        self._fields = tuple(
            getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tuser", "tlast")
        )
        self._stall = stall
        self._random = rng.random
        self._is_ready = False
        self._waiting: tuple[int, int, int] | None = None
        self.rows: list[tuple[int, int, int]] = []  # tdata, tuser, tlast
        self.taken: list[int] = []  # the cycles in which rows were taken
        self.offered: list[int] = []  # the cycles in which rows were first offered

    def start(self) -> None:
        """Drive the first cycle."""
        self._is_ready = not (self._stall and self._random() < self._stall)
        self._ready.value = int(self._is_ready)

    def edge(self, cycle: int) -> None:
        """Look at the edge that ends ``cycle``, then drive the next cycle."""
        if is_high(self._valid):
            row = tuple(read_word(field) for field in self._fields)
            if self._waiting is None:
                self.offered.append(cycle)
            elif row != self._waiting:
                raise RuleError(f"{self._prefix} changed a row that was offered and not yet taken")
            if self._is_ready:
                self.rows.append(row)
                self.taken.append(cycle)
                self._waiting = None
            else:
                self._waiting = row
        elif self._waiting is not None:
            raise RuleError(f"{self._prefix}_tvalid fell before the row was taken")
        if self._stall:
            ready = self._random() >= self._stall
            if ready != self._is_ready:
                self._is_ready = ready
                self._ready.value = int(ready)
