"""Flow control: pairs the two operand streams, admits beats to the array, keeps credits.

The array never stalls. A block's end is admitted only when the output buffer has room for all its
rows and the drain chains have finished with the block before.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.streams import beat_layout

__all__ = ["A_TOKEN_BITS", "B_TOKEN_BITS", "Admission"]

A_TOKEN_BITS = 2  # a lane's pair is admitted, its block ends
B_TOKEN_BITS = 1  # a lane's pair is admitted


class _Skip(enum.Enum, shape=2):
    NOTHING = 0
    A = 1  # drop the rest of a block of A whose partner in B has ended
    B = 2


class Admission(wiring.Component):
    """Admit pairs of beats to the array.

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of a beat's elements.
    rows, cols : int
        Lanes; a block makes ``rows`` rows of results and takes as many credits.
    block_interval : int
        Least cycles between the ends of consecutive blocks.
    buffer_rows : int
        Credits at reset.

    Members
    -------
    a, b : In(stream of beats)
    a_elements, b_elements : Out
        To the skew registers; what they hold where no pair is admitted does not matter.
    a_token : Out(rows lanes of 2)
        Whether a pair is admitted, and whether the block ends here. An end without a pair is sent
        in the first cycle after reset, to clear the array.
    b_token : Out(cols lanes of 1)
        Whether a pair is admitted.
    block_end : Out(1)
        A block that makes results ends here.
    row_taken : In(1)
        A row has left the output buffer.
    protocol_error : Out(1)
        Sticky: an A and a B block of different lengths met. Their rows are not computed; the longer
        one's remaining beats are dropped.

    Notes
    -----
    Latency 0. One pair a cycle.
    """

    has_reset = True

    definition = "admission"

    def __init__(
        self,
        a_bits: int,
        b_bits: int,
        rows: int,
        cols: int,
        block_interval: int,
        buffer_rows: int,
    ) -> None:
        self._rows = rows
        self._cols = cols
        self._block_interval = block_interval
        self._buffer_rows = buffer_rows
        super().__init__(
            {
                "a": In(stream.Signature(beat_layout(a_bits))),
                "b": In(stream.Signature(beat_layout(b_bits))),
                "a_elements": Out(a_bits),
                "b_elements": Out(b_bits),
                "a_token": Out(A_TOKEN_BITS * rows),
                "b_token": Out(B_TOKEN_BITS * cols),
                "block_end": Out(1),
                "row_taken": In(1),
                "protocol_error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = self.a.payload, self.b.payload
        skip = Signal(_Skip, init=_Skip.NOTHING)
        clearing = Signal(init=1)
        m.d.sync += clearing.eq(0)

        paired = Signal()
        ends = Signal()
        differ = Signal()
        admitted = Signal()
        last = Signal()
        may_end = self._may_end(m, last)
        m.d.comb += [
            paired.eq(self.a.valid & self.b.valid & (skip == _Skip.NOTHING) & ~clearing),
            ends.eq(a.last | b.last),
            differ.eq(a.last ^ b.last),
            admitted.eq(paired & (~ends | may_end)),
            last.eq((admitted & ends) | clearing),
            self.a.ready.eq(admitted | (skip == _Skip.A)),
            self.b.ready.eq(admitted | (skip == _Skip.B)),
            self.a_elements.eq(a.elements),
            self.b_elements.eq(b.elements),
            self.a_token.eq(Cat(admitted, last).replicate(self._rows)),
            self.b_token.eq(admitted.replicate(self._cols)),
            self.block_end.eq(admitted & ends & ~differ),
        ]

        with m.If(admitted & differ):
            m.d.sync += [
                self.protocol_error.eq(1),
                skip.eq(Mux(a.last, _Skip.B, _Skip.A)),
            ]
        with m.If((skip == _Skip.A) & self.a.valid & a.last):
            m.d.sync += skip.eq(_Skip.NOTHING)
        with m.If((skip == _Skip.B) & self.b.valid & b.last):
            m.d.sync += skip.eq(_Skip.NOTHING)
        return m

    def _may_end(self, m: Module, last: Signal) -> Signal:
        """Whether a block's end may enter now: credits for its rows, and the drain chains free.

        Decided a cycle ahead, so that the answer is a register.
        """
        credits = Signal(range(self._buffer_rows + 1), init=self._buffer_rows)
        available = Signal(range(self._buffer_rows + 2))
        m.d.comb += available.eq(credits + self.row_taken)
        m.d.sync += credits.eq(available - Mux(self.block_end, self._rows, 0))
        # After an end the drain chains are busy, and its credits are gone before they are free; an
        # array of one row may have ends in consecutive cycles.
        needed = self._rows
        if self._block_interval == 1:
            needed = Mux(self.block_end, 2 * self._rows, self._rows)
        free = Signal()
        if self._block_interval == 1:
            m.d.comb += free.eq(1)
        elif self._block_interval == 2:
            m.d.comb += free.eq(~last)
        else:
            # Cycles in which no end may enter; the clearing token starts them too.
            interval_left = Signal(range(self._block_interval))
            m.d.comb += free.eq(~last & (interval_left <= 1))
            with m.If(last):
                m.d.sync += interval_left.eq(self._block_interval - 1)
            with m.Elif(interval_left != 0):
                m.d.sync += interval_left.eq(interval_left - 1)
        may_end = Signal()
        m.d.sync += may_end.eq(free & (available >= needed))
        return may_end
