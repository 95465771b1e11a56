"""The mesh, built by halving: two half-meshes side by side or one above the other, down to one element.

Emission writes every size of half-mesh once, so that the text grows with the logarithm of the array.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.pe import ProcessingElement
from hwgen.rtl.records import operand_layout, partial_layout
from hwgen.rtl.shared import Shared
from hwgen.spec.alignment import Alignment

__all__ = ["Mesh"]


class Mesh(wiring.Component):
    """``rows`` x ``cols`` processing elements.

    Members
    -------
    a_in, last_in : In, one lane a row
        Operands and end tokens from the west.
    b_in : In, one lane a column
        Operands from the north.
    drain_in : In, one lane a column
        Results from the south.
    a_out, last_out, b_out, drain_out : Out
        To the east, south and north.

    Notes
    -----
    An operand takes one cycle an element. The result of row i, of operands that entered skewed by one
    cycle a row and column, leaves column j ``2*i + j`` cycles after that of element (0, 0).
    """

    has_reset = False

    def __init__(self, alignment: Alignment, rows: int, cols: int) -> None:
        self._alignment = alignment
        self._rows = rows
        self._cols = cols
        a = data.ArrayLayout(operand_layout(alignment, "a"), rows)
        b = data.ArrayLayout(operand_layout(alignment, "b"), cols)
        partial = data.ArrayLayout(partial_layout(alignment), cols)
        super().__init__(
            {
                "a_in": In(a),
                "last_in": In(rows),
                "b_in": In(b),
                "drain_in": In(partial),
                "a_out": Out(a),
                "last_out": Out(rows),
                "b_out": Out(b),
                "drain_out": Out(partial),
            }
        )

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"mesh_{self._rows}x{self._cols}"

    def elaborate(self, platform: object) -> Module:
        if self._rows == self._cols == 1:
            return self._single()
        if self._rows >= self._cols:
            return self._stacked()
        return self._side_by_side()

    def _single(self) -> Module:
        m = Module()
        m.submodules.pe = pe = Shared(ProcessingElement, self._alignment)
        for name in ("a_in", "b_in", "drain_in"):
            m.d.comb += getattr(pe, name).eq(getattr(self, name)[0])
        for name in ("a_out", "b_out", "drain_out"):
            m.d.comb += getattr(self, name)[0].eq(getattr(pe, name))
        m.d.comb += [pe.last_in.eq(self.last_in), self.last_out.eq(pe.last_out)]
        return m

    def _stacked(self) -> Module:
        m = Module()
        upper = self._rows - self._rows // 2
        m.submodules.north = north = Shared(Mesh, self._alignment, upper, self._cols)
        m.submodules.south = south = Shared(Mesh, self._alignment, self._rows - upper, self._cols)
        _split_lanes(m, self, north, south, ("a", "last"))
        m.d.comb += [
            north.b_in.eq(self.b_in),
            south.b_in.eq(north.b_out),
            self.b_out.eq(south.b_out),
            south.drain_in.eq(self.drain_in),
            north.drain_in.eq(south.drain_out),
            self.drain_out.eq(north.drain_out),
        ]
        return m

    def _side_by_side(self) -> Module:
        m = Module()
        left = self._cols - self._cols // 2
        m.submodules.west = west = Shared(Mesh, self._alignment, self._rows, left)
        m.submodules.east = east = Shared(Mesh, self._alignment, self._rows, self._cols - left)
        _split_lanes(m, self, west, east, ("b", "drain"))
        for name in ("a", "last"):
            m.d.comb += [
                getattr(west, f"{name}_in").eq(getattr(self, f"{name}_in")),
                getattr(east, f"{name}_in").eq(getattr(west, f"{name}_out")),
                getattr(self, f"{name}_out").eq(getattr(east, f"{name}_out")),
            ]
        return m


def _split_lanes(
    m: Module,
    whole: wiring.Component,
    first: wiring.Component,
    second: wiring.Component,
    names: tuple[str, ...],
) -> None:
    """Give the low lanes of ``whole`` to ``first`` and the others to ``second``."""
    for name in names:
        inner = [Value.cast(getattr(part, f"{name}_in")) for part in (first, second)]
        outer = [Value.cast(getattr(part, f"{name}_out")) for part in (first, second)]
        m.d.comb += [
            Cat(*inner).eq(Value.cast(getattr(whole, f"{name}_in"))),
            Value.cast(getattr(whole, f"{name}_out")).eq(Cat(*outer)),
        ]
