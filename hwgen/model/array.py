"""The array cycle by cycle: which beats it takes, and which rows it offers when.

The model knows the rules of flow control and the latency formulas of :mod:`hwgen.spec.timing`,
but nothing of registers and wires; values come from :mod:`hwgen.model.gemm`. Tests compare every
output of every cycle with the circuit's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hwgen.model.blocks import terms_of
from hwgen.model.gemm import gemm_bits
from hwgen.spec.design import Design
from hwgen.spec.timing import STREAM_LATENCY, timing

__all__ = ["ArrayModel", "Beat", "Outputs", "Row"]


@dataclass(frozen=True, slots=True, eq=False)
class Beat:
    """One beat of an operand stream: its elements, and whether it ends its block.

    There are ``(lanes,)`` patterns, or ``(lanes * dot,)``
    (:func:`~hwgen.model.blocks.operand_beats`).
    """

    elements: np.ndarray
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of results: ``(cols,)`` patterns, ``(cols,)`` status, and whether it is the last."""

    bits: np.ndarray
    status: np.ndarray
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the array shows during one cycle."""

    a_ready: bool
    b_ready: bool
    row: Row | None
    protocol_error: bool
    start_ready: bool = False


class _InputBuffer:
    """Keeps one beat that could not be used at once; whether it can is decided a cycle ahead."""

    def __init__(self) -> None:
        self.kept: Beat | None = None
        self.ready = False

    def front(self, offered: Beat | None) -> Beat | None:
        """The beat that the array sees."""
        return self.kept or (offered if self.ready else None)

    def step(self, offered: Beat | None, *, take: bool) -> None:
        self.kept = None if take else self.front(offered)
        self.ready = self.kept is None


class _StartBuffer:
    """Rows of start values: those that no block has yet, and room that comes free once they are
    read.
    """

    def __init__(self, design: Design) -> None:
        self._rows = design.rows
        self._cols = design.cols
        self._when = timing(design)
        self._room = self._when.buffer_rows
        self._freed: deque[int] = deque()  # the cycles in which room comes free
        self._place = 0  # of the next row in its block
        self.loaded: deque[Row] = deque()
        self.ready = False
        self.misplaced = False

    def end(self, cycle: int) -> list[Row]:
        """Take the rows of a block that ends; each is kept until the last column has read it."""
        first = cycle + self._when.start_read + self._cols
        self._freed.extend(first + self._when.row_interval * row for row in range(self._rows))
        return [self.loaded.popleft() for _ in range(self._rows)]

    def step(self, cycle: int, offered: Row | None) -> None:
        """Take what is offered, if there is room."""
        if self._freed and self._freed[0] == cycle:
            self._freed.popleft()
            self._room += 1
        if offered is not None and self.ready:
            self._room -= 1
            self.loaded.append(offered)
            self._place = (self._place + 1) % self._rows
            self.misplaced |= offered.last != (self._place == 0)
        self.ready = self._room > 0


class ArrayModel:
    """Cycle-level model of a design's core.

    Parameters
    ----------
    design : Design

    Notes
    -----
    A new model is in the state of the first cycle after reset.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._timing = timing(design)
        self.reset()

    def reset(self) -> None:
        """Forget everything under way."""
        self._inputs = {"a": _InputBuffer(), "b": _InputBuffer()}
        self._cycle = 0
        self._block: list[tuple[Beat, Beat]] = []
        self._last_pair = 0  # cycle in which the last one was admitted
        self._skipping = ""  # the stream whose surplus beats are dropped
        self._protocol_error = False
        self._credits = self._timing.buffer_rows
        # The first cycles clear the array; the drain chains are then busy as after a block.
        when = self._timing
        self._next_admission = when.clearing
        self._next_end = when.clearing - 1 + when.block_interval - when.lane_cycles
        self._rows: deque[tuple[int, Row]] = deque()  # (first cycle in which it is offered, row)
        self._starts = _StartBuffer(self._design) if self._design.starts else None

    def step(
        self, a: Beat | None, b: Beat | None, *, c_ready: bool, start: Row | None = None
    ) -> Outputs:
        """Advance by one cycle.

        Parameters
        ----------
        a, b : Beat or None
            What is offered in this cycle.
        c_ready : bool
            Whether a row would be taken in this cycle.
        start : Row or None
            The row of start values that is offered in this cycle, if the design has them.

        Returns
        -------
        Outputs
            What the array shows in this cycle; a beat is taken if it is offered and ready.
        """
        row = self._rows[0][1] if self._rows and self._rows[0][0] <= self._cycle else None
        shown = Outputs(
            a_ready=self._inputs["a"].ready,
            b_ready=self._inputs["b"].ready,
            row=row,
            protocol_error=self._protocol_error,
            start_ready=self._starts is not None and self._starts.ready,
        )
        fronts = {side: self._inputs[side].front(offered) for side, offered in (("a", a), ("b", b))}
        taken = self._admit(fronts)
        if row is not None and c_ready:
            self._rows.popleft()
            self._credits += 1
        for side, offered in (("a", a), ("b", b)):
            self._inputs[side].step(offered, take=side in taken)
        if self._starts is not None:
            self._starts.step(self._cycle, start)
            self._protocol_error |= self._starts.misplaced
        self._cycle += 1
        return shown

    def _admit(self, fronts: dict[str, Beat | None]) -> str:
        """Pair, admit or drop beats; returns the sides whose front beat is taken."""
        a, b = fronts["a"], fronts["b"]
        if self._skipping:
            return self._drop(fronts)
        if a is None or b is None or not self._in_turn():
            return ""
        when = self._timing
        full = when.block_terms and len(self._block) % when.block_terms == when.block_terms - 1
        if (a.last or b.last or full) and self._cycle < self._next_end:
            return ""
        if a.last or b.last:
            if self._credits < self._design.rows:
                return ""
            if self._starts is not None and len(self._starts.loaded) < self._design.rows:
                return ""
            end = self._cycle + when.lane_wait(len(self._block) + 1)
            self._next_end = end + when.block_interval
            self._next_admission = end + when.lane_cycles + 1
        elif full:
            self._next_end = self._cycle + when.block_interval
        self._last_pair = self._cycle
        self._block.append((a, b))
        # A block of A and B of different lengths uses up its start values too.
        ends = self._starts is not None and (a.last or b.last)
        starts = self._starts.end(self._cycle) if ends else []
        if a.last and b.last:
            self._credits -= self._design.rows
            self._finish_block(starts)
        elif a.last or b.last:
            self._protocol_error = True
            self._skipping = "b" if a.last else "a"
            self._block = []
        return "ab"

    def _in_turn(self) -> bool:
        """Whether the array is ready, and the next pair's lane comes by."""
        since = self._cycle - self._last_pair - 1 if self._block else 0
        return self._cycle >= self._next_admission and since % self._timing.lanes == 0

    def _drop(self, fronts: dict[str, Beat | None]) -> str:
        side = self._skipping
        beat = fronts[side]
        if beat is None:
            return ""
        if beat.last:
            self._skipping = ""
        return side

    def _finish_block(self, starts: list[Row]) -> None:
        dot = self._design.datapath.dot
        a = terms_of(np.stack([beat.elements for beat, _ in self._block]), dot).T
        b = terms_of(np.stack([beat.elements for _, beat in self._block]), dot)
        start = None
        if starts:
            start = np.stack([row.bits for row in starts]), np.stack([row.status for row in starts])
        bits, status = gemm_bits(a, b, self._design.datapath, start=start)
        when = self._timing
        first = self._cycle + when.first_result + when.lane_wait(len(self._block)) - STREAM_LATENCY
        for i in range(self._design.rows):
            row = Row(bits[i], status[i], last=i == self._design.rows - 1)
            self._rows.append((first + i * self._timing.row_interval, row))
        self._block = []
