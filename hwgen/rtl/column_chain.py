"""Parts of one column each, side by side, with a token that passes from one to the next."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from amaranth.lib import wiring

from hwgen.rtl.structure import Net, Part, Structural, Structure, split

__all__ = ["ColumnChain", "ColumnPart"]


class ColumnPart(wiring.Component):
    """What stands in one column: ``token_in`` leaves as ``token_out`` a cycle later.

    Parameters
    ----------
    width : int
        Bits of an element.
    depth : int
        Elements that it can hold.
    """

    has_reset = True

    def __init__(self, width: int, depth: int) -> None:
        self._width = width
        self._depth = depth
        super().__init__(self.members(width, depth, 1))

    @staticmethod
    @abc.abstractmethod
    def lane_widths(width: int) -> dict[str, int]:
        """Bits of the ports that every column has for itself."""

    @classmethod
    @abc.abstractmethod
    def members(cls, width: int, depth: int, count: int) -> dict[str, wiring.Member]:
        """Ports of ``count`` columns; all but the tokens and the lanes are common to them."""


class ColumnChain(Structural):
    """``count`` columns by halving. Members as the part's, with ``count`` lanes."""

    has_reset = True
    part: type[ColumnPart]

    def __init__(self, width: int, depth: int, count: int) -> None:
        self._width = width
        self._depth = depth
        self._count = count
        super().__init__(self.part.members(width, depth, count))

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"{self.part.definition}s_x{self._count}"

    @property
    def structure(self) -> Structure:
        """Two halves, or the columns' parts."""
        structure = Structure()
        token = self.net("token_in")
        for first, count in split(self._count):
            last = first + count == self._count
            after = self.net("token_out") if last else structure.wire(f"token_{first}", token.stop)
            ports = self._lanes(first, count) | {"token_in": token, "token_out": after}
            structure.parts[f"columns_{first}"] = self._half(count), ports
            token = after
        return structure

    def _half(self, count: int) -> Part:
        size = (self._width, self._depth)
        return Part(type(self), (*size, count)) if count > 1 else Part(self.part, size)

    def _lanes(self, first: int, count: int) -> Mapping[str, Net]:
        widths = self.part.lane_widths(self._width)
        own = {port: self.net(port).lanes(first, count, bits) for port, bits in widths.items()}
        members = self.part.members(self._width, self._depth, self._count)
        common = [name for name in members if name not in own and not name.startswith("token_")]
        return own | self.nets(*common)
