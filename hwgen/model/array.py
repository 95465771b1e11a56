"""The array cycle by cycle: which beats it takes, and which rows it offers when.

The model knows the rules of flow control and the latency formulas of :mod:`hwgen.spec.timing`,
but nothing of registers and wires; values come from :mod:`hwgen.model.gemm`. Tests compare every
output of every cycle with the circuit's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from hwgen.model.gemm import gemm_bits
from hwgen.spec.design import Design
from hwgen.spec.timing import STREAM_LATENCY, timing

__all__ = ["ArrayModel", "Beat", "Outputs", "Row"]


@dataclass(frozen=True, slots=True, eq=False)
class Beat:
    """One beat of an operand stream: ``(lanes,)`` patterns, and whether it ends its block."""

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
        self._skipping = ""  # the stream whose surplus beats are dropped
        self._protocol_error = False
        self._credits = self._timing.buffer_rows
        # The first cycle clears the array; the drain chains are then busy as after a block.
        self._next_admission = 1
        self._next_end = self._timing.block_interval
        self._rows: deque[tuple[int, Row]] = deque()  # (first cycle in which it is offered, row)

    def step(self, a: Beat | None, b: Beat | None, *, c_ready: bool) -> Outputs:
        """Advance by one cycle.

        Parameters
        ----------
        a, b : Beat or None
            What is offered in this cycle.
        c_ready : bool
            Whether a row would be taken in this cycle.

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
        )
        fronts = {side: self._inputs[side].front(offered) for side, offered in (("a", a), ("b", b))}
        taken = self._admit(fronts)
        if row is not None and c_ready:
            self._rows.popleft()
            self._credits += 1
        for side, offered in (("a", a), ("b", b)):
            self._inputs[side].step(offered, take=side in taken)
        self._cycle += 1
        return shown

    def _admit(self, fronts: dict[str, Beat | None]) -> str:
        """Pair, admit or drop beats; returns the sides whose front beat is taken."""
        a, b = fronts["a"], fronts["b"]
        if self._skipping:
            return self._drop(fronts)
        if a is None or b is None or self._cycle < self._next_admission:
            return ""
        if a.last or b.last:
            if self._credits < self._design.rows or self._cycle < self._next_end:
                return ""
            self._next_end = self._cycle + self._timing.block_interval
        self._block.append((a, b))
        if a.last and b.last:
            self._credits -= self._design.rows
            self._finish_block()
        elif a.last or b.last:
            self._protocol_error = True
            self._skipping = "b" if a.last else "a"
            self._block = []
        return "ab"

    def _drop(self, fronts: dict[str, Beat | None]) -> str:
        side = self._skipping
        beat = fronts[side]
        if beat is None:
            return ""
        if beat.last:
            self._skipping = ""
        return side

    def _finish_block(self) -> None:
        a = np.stack([beat.elements for beat, _ in self._block], axis=1)
        b = np.stack([beat.elements for _, beat in self._block], axis=0)
        bits, status = gemm_bits(a, b, self._design.datapath)
        first = self._cycle + self._timing.first_result - STREAM_LATENCY
        for i in range(self._design.rows):
            row = Row(bits[i], status[i], last=i == self._design.rows - 1)
            self._rows.append((first + i * self._timing.row_interval, row))
        self._block = []
