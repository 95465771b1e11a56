"""The mesh, built by halving: two half-meshes side by side or stacked, down to a few elements.

Emission writes every size of half-mesh once, so that the text grows with the logarithm of the
array.
"""

from __future__ import annotations

from amaranth.lib.wiring import In, Out

from hwgen.rtl.pe import ProcessingElement
from hwgen.rtl.records import operands_layout, partial_layout
from hwgen.rtl.structure import LEAF_SIDE, Net, Part, Structural, Structure
from hwgen.spec.alignment import Alignment

__all__ = ["Mesh"]


class Mesh(Structural):
    """Mesh of processing elements.

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
    An operand takes one cycle an element. The result of row i, of operands that entered skewed by
    one cycle a row and column, leaves column j ``2*i + j`` cycles after that of element (0, 0).
    """

    has_reset = False

    def __init__(self, alignment: Alignment, rows: int, cols: int) -> None:
        self._alignment = alignment
        self._rows = rows
        self._cols = cols
        self._lane_bits = {
            "a": operands_layout(alignment, "a").size,
            "last": 1,
            "b": operands_layout(alignment, "b").size,
            "drain": partial_layout(alignment).size,
        }
        lanes = {"a": rows, "last": rows, "b": cols, "drain": cols}
        super().__init__(
            {
                f"{name}_{suffix}": flow(bits * lanes[name])
                for name, bits in self._lane_bits.items()
                for suffix, flow in (("in", In), ("out", Out))
            }
        )

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"mesh_{self._rows}x{self._cols}"

    @property
    def structure(self) -> Structure:
        """The elements, or two half-meshes: the longer side is halved."""
        if max(self._rows, self._cols) <= LEAF_SIDE:
            return self._leaf()
        if self._rows >= self._cols:
            return self._stacked()
        return self._side_by_side()

    def _leaf(self) -> Structure:
        """Every element, with a wire for each connection between two."""
        structure = Structure()
        part = Part(ProcessingElement, (self._alignment,))
        # Along which index each connection runs, and in which direction.
        routes = {"a": ("col", 1), "last": ("col", 1), "b": ("row", 1), "drain": ("row", -1)}

        def net(name: str, row: int, col: int, suffix: str) -> Net:
            along, step = routes[name]
            lane, place, end = (row, col, self._cols) if along == "col" else (col, row, self._rows)
            # Number the wires between elements by the element that drives them.
            source = place if suffix == "out" else place - step
            if not 0 <= source < end or not 0 <= source + step < end:
                return self.net(f"{name}_{suffix}").lanes(lane, 1, self._lane_bits[name])
            wire = f"{name}_{lane}_{source}" if along == "col" else f"{name}_{source}_{lane}"
            if wire not in structure.wires:
                structure.wire(wire, self._lane_bits[name])
            return structure.net(wire)

        for row in range(self._rows):
            for col in range(self._cols):
                structure.parts[f"pe_{row}_{col}"] = (
                    part,
                    {
                        f"{name}_{suffix}": net(name, row, col, suffix)
                        for name in routes
                        for suffix in ("in", "out")
                    },
                )
        return structure

    def _lanes(self, names: tuple[str, ...], first: int, count: int) -> dict[str, Net]:
        """The given lanes of this mesh's own ports."""
        return {
            port: self.net(port).lanes(first, count, self._lane_bits[name])
            for name in names
            for port in (f"{name}_in", f"{name}_out")
        }

    def _stacked(self) -> Structure:
        upper = self._rows - self._rows // 2
        b, drain = Net("b_between", 0, len(self.b_in)), Net("drain_between", 0, len(self.drain_in))
        north = self._lanes(("a", "last"), 0, upper) | self.nets("b_in", "drain_out")
        south = self._lanes(("a", "last"), upper, self._rows - upper)
        south |= self.nets("b_out", "drain_in")
        return Structure(
            wires={b.name: b.stop, drain.name: drain.stop},
            parts={
                "north": (self._half(upper, self._cols), north | {"b_out": b, "drain_in": drain}),
                "south": (
                    self._half(self._rows - upper, self._cols),
                    south | {"b_in": b, "drain_out": drain},
                ),
            },
        )

    def _side_by_side(self) -> Structure:
        left = self._cols - self._cols // 2
        a, last = Net("a_between", 0, len(self.a_in)), Net("last_between", 0, len(self.last_in))
        west = self._lanes(("b", "drain"), 0, left) | self.nets("a_in", "last_in")
        east = self._lanes(("b", "drain"), left, self._cols - left)
        east |= self.nets("a_out", "last_out")
        return Structure(
            wires={a.name: a.stop, last.name: last.stop},
            parts={
                "west": (self._half(self._rows, left), west | {"a_out": a, "last_out": last}),
                "east": (
                    self._half(self._rows, self._cols - left),
                    east | {"a_in": a, "last_in": last},
                ),
            },
        )

    def _half(self, rows: int, cols: int) -> Part:
        return Part(Mesh, (self._alignment, rows, cols))
