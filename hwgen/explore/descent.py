"""From the widest window to the narrowest that still does: the order in which windows are tried.

One descent serves one choice of operand formats. It is a generator that asks for trials in batches
and is sent their verdicts, so that many descents share one pool of processes. What fails excludes
everything narrower on the same axis: errors grow with ``lsb``, and a register that a sum leaves is
left by it when there is less room too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from hwgen.errors import HwgenError
from hwgen.explore.candidates import BASELINE, Candidate, Operands
from hwgen.spec.accumulator import Overflow, Window

__all__ = ["Descent", "Start", "descend", "spread", "with_top"]

_MOST_SATURATED = 4  # bits of range that saturation may stand in for
Descent = Generator[list[Candidate], Sequence[bool], None]
_Axis = Generator[list[Candidate], Sequence[bool], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a descent begins.

    Parameters
    ----------
    operands : Operands
    safe : Window
        Sized with a margin.
    tight : Window
        With as much range as the data observed may need; ``safe`` itself where range is not to be
        given up.
    """

    operands: Operands
    safe: Window
    tight: Window


def descend(start: Start, *, together: int, designs: int) -> Descent:
    """Yield batches of candidates; take whether each of them does.

    Parameters
    ----------
    start : Start
    together : int
        Trials worth asking for at once.
    designs : int
        How many lsb to have tried in the end, for a front with steps in it.
    """
    of = _Windows(start.operands)
    does = yield [of.window(start.safe), *of.baseline()]
    if not does[0]:
        return
    window = start.safe
    if start.tight != start.safe:
        (enough,) = yield [of.window(start.tight)]
        if enough:
            window = start.tight
            none = -1 if window.msb > window.lsb else 0  # a register has two bits or more
            least = yield from _section(of.changing(window, "ovf"), window.ovf, none, together)
            window = replace(window, ovf=least)
    finest = window.lsb
    beyond = window.msb + min(1, window.ovf)
    coarsest = yield from _section(of.changing(window, "lsb"), finest, beyond, together)
    places = dict.fromkeys(spread(finest, coarsest, designs))
    yield [of.window(replace(window, lsb=lsb)) for lsb in places]
    if window == start.safe:
        return
    yield [of.window(replace(start.safe, lsb=coarsest))]
    saturating = replace(window, lsb=coarsest, overflow=Overflow.SATURATE)
    top = window.msb + window.ovf
    lowest = max(coarsest, top - _MOST_SATURATED - 1)
    yield from _section(lambda place: of.window(with_top(saturating, place)), top, lowest, together)


class _Windows:
    """Makes candidates of windows for some operands."""

    def __init__(self, operands: Operands) -> None:
        self._operands = operands

    def window(self, window: Window) -> Candidate:
        return Candidate.of(self._operands, window)

    def changing(self, window: Window, name: str) -> Callable[[int], Candidate]:
        return lambda value: self.window(replace(window, **{name: value}))

    def baseline(self) -> list[Candidate]:
        """The conventional unit, if there is one for these formats."""
        candidate = Candidate(operands=self._operands, acc=BASELINE)
        try:
            return [candidate] if candidate.datapath else []
        except HwgenError:
            return []


def _section(make: Callable[[int], Candidate], good: int, bad: int, together: int) -> _Axis:
    """Return the last value that does, between one that does and one that does not."""
    while abs(bad - good) > 1:
        step = 1 if bad > good else -1
        places = list(dict.fromkeys(spread(good, bad, min(together, abs(bad - good) - 1) + 2)))
        inner = [place for place in places if place not in (good, bad)] or [good + step]
        verdicts = yield [make(place) for place in inner]
        for place, does in zip(inner, verdicts, strict=True):
            if not does:
                bad = place
                break
            good = place
    return good


def spread(first: int, last: int, count: int) -> list[int]:
    """``count`` whole numbers at equal distances, as well as may be, both ends included."""
    if count < 2 or first == last:
        return [last]
    return [round(first + (last - first) * i / (count - 1)) for i in range(count)]


def with_top(window: Window, top: int) -> Window:
    """Return the window whose sign bit weighs ``2**top``."""
    if top >= window.msb:
        return replace(window, ovf=top - window.msb)
    return replace(window, msb=top, ovf=0)
