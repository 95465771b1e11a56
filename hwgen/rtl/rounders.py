"""The rounders above the mesh: one a column, or one for two neighbours that take turns."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import partial_layout
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.structure import Net, Part, Structural, Structure
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath

__all__ = ["RounderPair", "SharedRounders"]


class RounderPair(wiring.Component):
    """A rounder that serves two neighbouring columns in alternate cycles.

    Members
    -------
    partial : In(2 lanes of partial_layout)
    take : In(1)
        The first column's row is at the input; the second one's follows in the next cycle.
    take_out : Out(1)
        ``take`` for the next pair, two cycles later.
    bits, status : Out(2 lanes)
        The result, the same in both lanes.
    """

    has_reset = False
    definition = "round_pair"

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        super().__init__(_members(datapath, 2))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rounder = rounder = rounder_class(self._datapath)(self._datapath)
        lane = partial_layout(align(self._datapath)).size
        delayed = Signal(2, reset_less=True)
        m.d.sync += delayed.eq((delayed << 1) | self.take)
        m.d.comb += [
            rounder.partial.eq(Mux(self.take, self.partial[:lane], self.partial[lane:])),
            self.bits.eq(rounder.bits.replicate(2)),
            self.status.eq(rounder.status.replicate(2)),
            self.take_out.eq(delayed[-1]),
        ]
        return m


class SharedRounders(Structural):
    """Rounders of ``cols >= 2`` columns by halving, an odd last column with one of its own.

    Members as :class:`RounderPair`, with ``cols`` lanes.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, cols: int) -> None:
        assert cols >= 2
        self._datapath = datapath
        self._cols = cols
        self._widths = {
            "partial": partial_layout(align(datapath)).size,
            "bits": datapath.out_width,
            "status": STATUS_BITS,
        }
        super().__init__(_members(datapath, cols))

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"rounders_x{self._cols}"

    @property
    def structure(self) -> Structure:
        """Two halves of whole pairs; at the end one pair, and the odd column."""
        pairs = self._cols // 2
        lower = 2 * (pairs - pairs // 2) if pairs > 1 else 2
        take, take_out = self.net("take"), self.net("take_out")
        structure = Structure()
        between = take_out if self._cols - lower < 2 else structure.wire("take_between", 1)
        structure.parts["lower"] = (
            self._part(lower),
            self._lanes(0, lower) | {"take": take, "take_out": between},
        )
        rest = self._cols - lower
        if rest >= 2:
            tokens = {"take": between, "take_out": take_out}
            structure.parts["upper"] = (self._part(rest), self._lanes(lower, rest) | tokens)
        elif rest:
            single = Part(rounder_class(self._datapath), (self._datapath,))
            structure.parts["upper"] = (single, self._lanes(lower, 1))
        return structure

    def _part(self, cols: int) -> Part:
        if cols == 2:
            return Part(RounderPair, (self._datapath,))
        return Part(SharedRounders, (self._datapath, cols))

    def _lanes(self, first: int, count: int) -> Mapping[str, Net]:
        return {
            port: self.net(port).lanes(first, count, bits) for port, bits in self._widths.items()
        }


def _members(datapath: Datapath, cols: int) -> dict[str, wiring.Member]:
    return {
        "partial": In(partial_layout(align(datapath)).size * cols),
        "take": In(1),
        "take_out": Out(1),
        "bits": Out(datapath.out_width * cols),
        "status": Out(STATUS_BITS * cols),
    }
