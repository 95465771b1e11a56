"""The narrowest window that loses no more than is allowed, by bisection of its three numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from inference_plan import Case

from hwgen.errors import HwgenError
from hwgen.spec.accumulator import Overflow, Window

__all__ = ["Search"]

_HIGHEST, _LOWEST = 12, -2  # of the exponent that sums stay below
_START_LSB = -24


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search for one operand format and one treatment of overflow.

    Parameters
    ----------
    operands : str
    overflow : Overflow
    worst_loss : callable
        Points that the model that loses most loses on a datapath.
    allowed : float
        Points.
    """

    operands: str
    overflow: Overflow
    worst_loss: Callable[[Case], float]
    allowed: float

    def narrowest(self) -> Window:
        """Return it.

        First the range of sums, at 24 fraction bits; then the lowest bit; then products that are
        out of range although sums would not be. Each step takes for granted that what is
        narrower in that one number loses no less.

        Raises
        ------
        HwgenError
            If even the widest loses too much.
        """
        start = self._window(_HIGHEST, _START_LSB)
        if not self._serves(start):
            raise HwgenError(
                f"{self.operands} loses more than {self.allowed:g} points even in {start}"
            )
        top = _smallest(_LOWEST, _HIGHEST, lambda top: self._serves(self._window(top, _START_LSB)))
        lsb = -_smallest(
            -(top - 2), -_START_LSB, lambda bits: self._serves(self._window(top, -bits))
        )
        window = self._window(top, lsb)
        most = top - lsb - 1
        ovf = most + 1 - _smallest(1, most, lambda n: self._serves(_moved(window, most + 1 - n)))
        return _moved(window, ovf)

    def _window(self, top: int, lsb: int) -> Window:
        return Window(ovf=1, msb=top - 1, lsb=lsb, overflow=self.overflow)

    def _serves(self, window: Window) -> bool:
        case = Case(operands=self.operands, accumulator=str(window))
        return self.worst_loss(case) <= self.allowed


def _moved(window: Window, ovf: int) -> Window:
    """Return a window of the same bits with another range of products."""
    return replace(window, ovf=ovf, msb=window.msb + window.ovf - ovf)


def _smallest(low: int, high: int, serves: Callable[[int], bool]) -> int:
    """Return the smallest number from ``low`` to ``high`` that serves; ``high`` is known to."""
    while low < high:
        middle = (low + high) // 2
        if serves(middle):
            high = middle
        else:
            low = middle + 1
    return high
