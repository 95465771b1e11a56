"""Scale blocks on their way in: scales leave their elements and wait for the elements' sums."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats.block import BlockScaled
from hwgen.formats.scale import SCALE_BITS

__all__ = ["ScaleBlockTokens", "ScaleSplit", "Scales", "sum_token_layout"]


def sum_token_layout(rows: int) -> data.StructLayout:
    """Layout of the token of a row of scale blocks' sums that leaves the mesh.

    ``take``: there is one in this column; ``first``: of its block, so that nothing is added to it.
    """
    return data.StructLayout({"take": 1, "first": 1, "row": range(max(2, rows))})


class ScaleSplit(wiring.Component):
    """Take one lane's patterns apart.

    Members
    -------
    bits : In(format width)
    element, scale : Out
    """

    has_reset = False

    def __init__(self, fmt: BlockScaled, side: str) -> None:
        self._side = side
        super().__init__(
            {
                "bits": In(fmt.width),
                "element": Out(fmt.element.width),
                "scale": Out(SCALE_BITS),
            }
        )

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"split_{self._side}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += Cat(self.element, self.scale).eq(self.bits)
        return m


class Scales(wiring.Component):
    """Keep the scales of a scale block's last beat.

    Members
    -------
    ends : In(1)
        A scale block ends with this cycle's beat.
    a_beat, b_beat : In(lanes of 8)
    a : Out(8)
        Row i's scale, in the cycles ``1 + 2*i`` and ``2 + 2*i`` after the end.
    b : Out(lanes of 8)
        From the cycle after the end to the next end.
    """

    has_reset = False
    definition = "scales"

    def __init__(self, rows: int, cols: int) -> None:
        super().__init__(
            {
                "ends": In(1),
                "a_beat": In(SCALE_BITS * rows),
                "b_beat": In(SCALE_BITS * cols),
                "a": Out(SCALE_BITS),
                "b": Out(SCALE_BITS * cols),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(len(self.a_beat), reset_less=True)
        kept = Signal(len(self.b_beat), reset_less=True)
        shown = Signal(reset_less=True)  # for a cycle
        m.d.comb += [self.a.eq(left), self.b.eq(kept)]
        m.d.sync += shown.eq(~shown & ~self.ends)
        with m.If(self.ends):
            m.d.sync += [left.eq(self.a_beat), kept.eq(self.b_beat)]
        with m.Elif(shown):
            m.d.sync += left.eq(left >> SCALE_BITS)
        return m


class ScaleBlockTokens(wiring.Component):
    """Mark the cycles in which the sums of scale blocks come out of column 0.

    Parameters
    ----------
    rows : int
    latency : int
        Cycles from a scale block's end to its row 0.

    Members
    -------
    ends : In(1)
        A scale block ends.
    first : In(1)
        It is the first one of its block.
    token : Out(sum_token_layout)

    Notes
    -----
    Row i comes ``latency + 2*i`` cycles after ``ends``.
    """

    has_reset = True
    definition = "scale_block_tokens"

    def __init__(self, rows: int, latency: int) -> None:
        assert latency >= 2
        self._rows = rows
        self._latency = latency
        super().__init__({"ends": In(1), "first": In(1), "token": Out(sum_token_layout(rows))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ended = Signal(self._latency - 1)
        firsts = Signal(self._latency - 1, reset_less=True)
        m.d.sync += [ended.eq(Cat(self.ends, ended)), firsts.eq(Cat(self.first, firsts))]
        starts = ended[-1]
        token = Signal(self.token.shape())
        take: Value = starts
        if self._rows > 1:
            # Cycles left to the last row: rows come at every odd count, two cycles apart.
            left = Signal(range(2 * self._rows - 1))
            with m.If(starts):
                m.d.sync += left.eq(2 * (self._rows - 1))
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)
            take = starts | left[0]
            with m.If(take):
                m.d.sync += token.row.eq(Mux(starts, 0, token.row + 1))
        m.d.sync += token.take.eq(take)
        with m.If(starts):
            m.d.sync += token.first.eq(firsts[-1])
        m.d.comb += self.token.eq(token)
        return m
