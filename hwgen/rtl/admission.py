"""Flow control: pairs the two operand streams, admits beats to the array, keeps credits.

The array never stalls. A block's end is admitted only when the output buffer has room for all its
rows and the drain chains have finished with the block before.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.lane_order import LaneOrder
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
    lanes : int
        Interleaved sums of a processing element, see :class:`~hwgen.rtl.lane_order.LaneOrder`.
    block_terms : int
        Beats of a scale block, whose sum leaves the array by itself; 0 where blocks' sums do.
    starts : bool
        Blocks have start values, which a block's end waits for; with one lane only.

    Members
    -------
    a, b : In(stream of beats)
    a_elements, b_elements : Out
        To the skew registers; with ``zeroed`` zeros where no pair is admitted, else anything.
    a_token : Out(rows lanes of 2)
        Whether a pair is admitted, and whether the block (with ``block_terms``: a scale block) ends
        here. An end without a pair is sent in the first cycle after reset, to clear the array. With
        several lanes ends are what :class:`~hwgen.rtl.float_accumulator.FloatAccumulator` wants to
        be told.
    b_token : Out(cols lanes of 1)
        Whether a pair is admitted.
    block_end : Out(1)
        A block that makes results ends here; with several lanes: their sum is complete.
    scale_block_end, scale_block_first : Out(1)
        With ``block_terms``: a scale block ends here, and it is its block's first one.
    row_taken : In(1)
        A row has left the output buffer.
    start_ready : In(1)
        With ``starts``: a block's start values will be there in the next cycle.
    start_end : Out(1)
        With ``starts``: a block ends here that uses up its start values, whether or not it makes
        results.
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
        lanes: int = 1,
        starts: bool = False,
        zeroed: bool = False,
        block_terms: int = 0,
    ) -> None:
        assert lanes == 1 or not (starts or block_terms)
        assert block_interval > 1 or not block_terms
        self._block_terms = block_terms
        self._zeroed = zeroed
        self._starts = starts
        self._rows = rows
        self._cols = cols
        self._block_interval = block_interval
        self._buffer_rows = buffer_rows
        self._lanes = lanes
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
            | ({"start_ready": In(1), "start_end": Out(1)} if starts else {})
            | ({"scale_block_end": Out(1), "scale_block_first": Out(1)} if block_terms else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = self.a.payload, self.b.payload
        skip = Signal(_Skip, init=_Skip.NOTHING)
        paired = Signal()
        ends = Signal()
        differ = Signal()
        admitted = Signal()
        last = Signal()
        ready = Signal()
        complete = Signal()
        may_end, may_leave = self._may_end(m, complete)
        leaves, may_pass = ends, ~ends | may_end
        if self._block_terms:
            leaves = self._scale_block_ends(m, admitted, ends)
            may_pass = may_pass & (~leaves | may_leave)
        m.d.comb += [
            paired.eq(self.a.valid & self.b.valid & (skip == _Skip.NOTHING) & ready),
            ends.eq(a.last | b.last),
            differ.eq(a.last ^ b.last),
            admitted.eq(paired & may_pass),
            self.a.ready.eq(admitted | (skip == _Skip.A)),
            self.b.ready.eq(admitted | (skip == _Skip.B)),
            self.a_token.eq(Cat(admitted, last).replicate(self._rows)),
            self.b_token.eq(admitted.replicate(self._cols)),
        ]
        for elements, beat in ((self.a_elements, a), (self.b_elements, b)):
            shown = Mux(admitted, beat.elements, 0) if self._zeroed else beat.elements
            m.d.comb += elements.eq(shown)
        if self._lanes == 1:
            clearing = Signal(init=1)
            m.d.sync += clearing.eq(0)
            m.d.comb += [
                ready.eq(~clearing),
                last.eq((admitted & leaves) | clearing),
                complete.eq(last),
                self.block_end.eq(admitted & ends & ~differ),
            ]
        else:
            m.submodules.lane_order = order = LaneOrder(self._lanes)
            makes_results = Signal()
            with m.If(admitted & ends):
                m.d.sync += makes_results.eq(~differ)
            m.d.comb += [
                order.admitted.eq(admitted),
                order.ends.eq(ends),
                ready.eq(order.ready),
                last.eq(order.last),
                complete.eq(order.complete),
                self.block_end.eq(complete & makes_results),
            ]

        if self._starts:
            m.d.comb += self.start_end.eq(admitted & ends)
        self._skip_rest(m, skip, admitted & differ)
        return m

    def _skip_rest(self, m: Module, skip: Signal, differ: Value) -> None:
        """Drop the rest of the longer one of two blocks whose lengths differ."""
        a, b = self.a.payload, self.b.payload
        with m.If(differ):
            m.d.sync += [
                self.protocol_error.eq(1),
                skip.eq(Mux(a.last, _Skip.B, _Skip.A)),
            ]
        with m.If((skip == _Skip.A) & self.a.valid & a.last):
            m.d.sync += skip.eq(_Skip.NOTHING)
        with m.If((skip == _Skip.B) & self.b.valid & b.last):
            m.d.sync += skip.eq(_Skip.NOTHING)

    def _scale_block_ends(self, m: Module, admitted: Signal, ends: Signal) -> Signal:
        """Whether a scale block ends with the pair at the front: it is full, or its block ends."""
        full = Signal(init=self._block_terms == 1)
        leaves = Signal()
        if self._block_terms > 1:
            left = Signal(range(self._block_terms), init=self._block_terms - 1)
            m.d.comb += full.eq(left == 0)
            with m.If(admitted):
                m.d.sync += left.eq(Mux(leaves, self._block_terms - 1, left - 1))
        first = Signal(init=1)
        with m.If(self.scale_block_end):
            m.d.sync += first.eq(ends)
        m.d.comb += [
            leaves.eq(ends | full),
            self.scale_block_end.eq(admitted & leaves),
            self.scale_block_first.eq(first),
        ]
        return leaves

    def _may_end(self, m: Module, complete: Signal) -> tuple[Signal, Signal]:
        """Whether a block's end may enter now: credits for its rows, and the drain chains free.

        Where blocks have start values, those too must be there. The second answer is whether the
        drain chains are free.

        Decided a cycle ahead, so that the answers are registers.
        """
        credits = Signal(range(self._buffer_rows + 1), init=self._buffer_rows)
        available = Signal(range(self._buffer_rows + 2))
        m.d.comb += available.eq(credits + self.row_taken)
        m.d.sync += credits.eq(available - Mux(self.block_end, self._rows, 0))
        # After an end the drain chains are busy, and its credits are gone before they are free; an
        # array of one row may have ends in consecutive cycles. While lanes are added no end comes.
        needed = self._rows
        lane_cycles = self._lanes * self._lanes if self._lanes > 1 else 0
        interval = self._block_interval - lane_cycles
        if interval == 1:
            needed = Mux(self.block_end, 2 * self._rows, self._rows)
        free = Signal()
        if interval == 1:
            m.d.comb += free.eq(1)
        elif interval == 2:
            m.d.comb += free.eq(~complete)
        else:
            # Cycles in which no end may enter; the clearing token starts them too.
            interval_left = Signal(range(interval))
            m.d.comb += free.eq(~complete & (interval_left <= 1))
            with m.If(complete):
                m.d.sync += interval_left.eq(interval - 1)
            with m.Elif(interval_left != 0):
                m.d.sync += interval_left.eq(interval_left - 1)
        may_end = Signal()
        enough = free & (available >= needed)
        m.d.sync += may_end.eq(enough & self.start_ready if self._starts else enough)
        may_leave = Signal()
        if self._block_terms:
            m.d.sync += may_leave.eq(free)
        return may_end, may_leave
