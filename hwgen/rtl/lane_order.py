"""Which lane of floating-point sums comes by: when pairs may enter, and when lanes are added."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LaneOrder"]


class LaneOrder(wiring.Component):
    """Keep a block's pairs and its lanes in step, and have the lanes added at the block's end.

    Parameters
    ----------
    lanes : int
        L, 2 or more: each lane comes by once every L cycles.

    Members
    -------
    admitted, ends : In(1)
        A pair enters; the front pair is its block's last.
    ready : Out(1)
        A pair may enter: a block's first one at any time that no lanes are added, the others when
        their lane comes by.
    last : Out(1)
        To the processing elements: in the first L + 1 cycles after reset, to clear them; when a
        lane comes by to which the next one is to be added; and, in the cycle before too, when the
        last lane comes by with the whole sum.
    complete : Out(1)
        The whole sum comes by, or everything is clear.

    Notes
    -----
    Lane 0 comes by in one of the L cycles after a block's last pair, the sum of lanes 0 to j comes
    by ``j * (L + 1)`` cycles later.
    """

    def __init__(self, lanes: int) -> None:
        assert lanes >= 2
        self._lanes = lanes
        super().__init__(
            {
                "admitted": In(1),
                "ends": In(1),
                "ready": Out(1),
                "last": Out(1),
                "complete": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self._lanes
        # Clearing is the end of a block whose whole sum comes by after L cycles, as it were.
        clearing = Signal(init=1)
        left = Signal(range(lanes + 1), init=1)  # lanes that are still to come by, 0 within a block
        cycles = Signal(range(lanes + 1), init=lanes)  # until the next one of them does
        lane = Signal(range(lanes))  # of the next pair
        wait = Signal(range(lanes))  # cycles until that lane comes by
        taken = Signal()
        m.d.comb += [
            taken.eq((left != 0) & (cycles == 0)),
            self.complete.eq(taken & (left == 1)),
            self.ready.eq((left == 0) & (wait == 0)),
            self.last.eq(clearing | taken | ((left == 1) & (cycles == 1))),
        ]
        m.d.sync += [
            cycles.eq(Mux(taken, lanes, cycles - 1)),
            left.eq(left - taken),
        ]
        with m.If(self.complete):
            m.d.sync += clearing.eq(0)
        with m.If(self.admitted & self.ends):
            m.d.sync += [left.eq(lanes), cycles.eq(lanes - 1 - lane), lane.eq(0)]
        with m.Elif(self.admitted):
            m.d.sync += lane.eq(Mux(lane == lanes - 1, 0, lane + 1))
        # Before a block's first pair the counter rests.
        started = Signal()
        with m.If(self.admitted):
            m.d.sync += started.eq(~self.ends)
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(started & ~self.admitted):
            m.d.sync += wait.eq(lanes - 1)
        return m
