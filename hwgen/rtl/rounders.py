"""The rounders above the mesh: one a column, or one for two neighbours that take turns."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.records import partial_lags, partial_layout
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.start_adder import start_layout
from hwgen.rtl.structure import Net, Part, Structural, Structure
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath

__all__ = ["RounderPair", "SharedRounders"]


class RounderPair(wiring.Component):
    """A rounder that serves two neighbouring columns in alternate cycles.

    Parameters
    ----------
    datapath : Datapath
    start : bool
        Add start values, as :class:`~hwgen.rtl.round_base.Rounder`.

    Members
    -------
    partial : In(2 lanes of partial_layout)
    start : In(2 lanes of start_layout)
        With ``start`` only.
    take : In(1)
        The first column's row is at the input; the second one's follows in the next cycle.
    take_out : Out(1)
        ``take`` for the next pair, two cycles later.
    bits, status : Out(2 lanes)
        The result, the same in both lanes.
    """

    has_reset = False
    definition = "round_pair"

    def __init__(self, datapath: Datapath, start: bool = False) -> None:
        self._datapath = datapath
        self._start = start
        super().__init__(_members(datapath, 2, start=start))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rounder = rounder = _rounder(self._datapath, self._start).make()
        alignment = align(self._datapath)
        lags = partial_lags(alignment)
        lane = partial_layout(alignment).size
        delayed = Signal(max(2, 1 + max(lag for _, lag in lags)), reset_less=True)
        m.d.sync += delayed.eq((delayed << 1) | self.take)
        take = Cat(self.take, delayed)
        first, second = self.partial[:lane], self.partial[lane:]
        m.d.comb += [
            rounder.partial.eq(
                Cat(
                    Mux(take[lag], first[bits.start : bits.stop], second[bits.start : bits.stop])
                    for bits, lag in lags
                )
            ),
            self.bits.eq(rounder.bits.replicate(2)),
            self.status.eq(rounder.status.replicate(2)),
            self.take_out.eq(delayed[1]),
        ]
        if self._start:
            half = len(self.start) // 2
            m.d.comb += rounder.start.eq(Mux(self.take, self.start[:half], self.start[half:]))
        return m


class SharedRounders(Structural):
    """Rounders of ``cols >= 2`` columns by halving, an odd last column with one of its own.

    Members as :class:`RounderPair`, with ``cols`` lanes.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, cols: int, start: bool = False) -> None:
        assert cols >= 2
        self._datapath = datapath
        self._cols = cols
        self._start = start
        self._widths = {
            "partial": partial_layout(align(datapath)).size,
            "bits": datapath.out_width,
            "status": STATUS_BITS,
        }
        if start:
            self._widths["start"] = start_layout(datapath.window.width).size
        super().__init__(_members(datapath, cols, start=start))

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
            single = _rounder(self._datapath, self._start)
            structure.parts["upper"] = (single, self._lanes(lower, 1))
        return structure

    def _part(self, cols: int) -> Part:
        if cols == 2:
            return Part(RounderPair, (self._datapath, self._start))
        return Part(SharedRounders, (self._datapath, cols, self._start))

    def _lanes(self, first: int, count: int) -> Mapping[str, Net]:
        return {
            port: self.net(port).lanes(first, count, bits) for port, bits in self._widths.items()
        }


def _rounder(datapath: Datapath, start: bool) -> Part:
    return Part(rounder_class(datapath), (datapath, start) if start else (datapath,))


def _members(datapath: Datapath, cols: int, *, start: bool) -> dict[str, wiring.Member]:
    members = {
        "partial": In(partial_layout(align(datapath)).size * cols),
        "take": In(1),
        "take_out": Out(1),
        "bits": Out(datapath.out_width * cols),
        "status": Out(STATUS_BITS * cols),
    }
    if start:
        members["start"] = In(start_layout(datapath.window.width).size * cols)
    return members
