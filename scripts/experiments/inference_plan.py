"""What is tried: the windows of the paper, sweeps around them, and the conventional units.

The windows are the 27 datapaths of L. Ledoux and M. Casas, *An Open-Source Framework for Efficient
Numerically-Tailored Computations*, FPL 2023 (arXiv 2406.02579): two starting points, (9, 6, -48)
for binary32 and (2, 5, -24) for bfloat16 as (ovf, msb, lsb), each with one number changed at a
time. That the 27 come about so is inferred from the sources of its evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwgen.spec.accumulator import Overflow, Window
from hwgen.spec.datapath import Datapath

__all__ = [
    "OPERANDS",
    "STARTS",
    "UNITS",
    "Case",
    "fraction_cases",
    "paper_cases",
    "paper_windows",
    "range_cases",
    "unit_cases",
]

OPERANDS = ("fp32", "bf16")
STARTS = (Window(ovf=9, msb=6, lsb=-48), Window(ovf=2, msb=5, lsb=-24))
_BINARY32 = {
    "lsb": (-10, -18, -20, -24, -28, -32, -36, -38, -40, -48),
    "msb": (3, 4, 5),
    "ovf": (1, 3, 5, 7),
}
_BFLOAT16 = {"lsb": (-20, -24, -26, -28, -30, -35, -40, -50), "msb": (3, 4)}
UNITS = ("fma:fp32", "fma:bf16")
# Of the sweep of ranges: enough fraction bits for any of the models.
_SWEPT_LSB = -24
_SWEPT_TOPS = range(7)
_FINE_LSBS = (-8, -6, -5, -4, -3, -2, -1, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One datapath: operands, both of one format, and an accumulator, as hwgen run takes them."""

    operands: str
    accumulator: str

    @property
    def datapath(self) -> Datapath:
        """The datapath itself."""
        return Datapath.parse(a=self.operands, acc=self.accumulator)

    @property
    def words(self) -> list[str]:
        """Options of ``hwgen run``."""
        return ["--a", self.operands, "--acc", self.accumulator]

    @property
    def window(self) -> Window | None:
        """The window, or None for a floating-point sum."""
        path = self.datapath
        return None if path.float_sum is not None else path.window


def paper_windows() -> list[Window]:
    """Return the 27 windows, the starting points first."""
    found = list(STARTS)
    for start, changes in zip(STARTS, (_BINARY32, _BFLOAT16), strict=True):
        for name, values in changes.items():
            found += [replace(start, **{name: value}) for value in values]
    return list(dict.fromkeys(found))


def _both(operands: str, windows: list[Window]) -> list[Case]:
    return [
        Case(operands=operands, accumulator=str(replace(window, overflow=overflow)))
        for window in windows
        for overflow in (Overflow.NAN, Overflow.SATURATE)
    ]


def paper_cases(operands: str) -> list[Case]:
    """Return the paper's windows, each with NaN and with saturation at an overflow."""
    return _both(operands, paper_windows())


def range_cases(operands: str) -> list[Case]:
    """Return windows for sums below 2**0 to 2**6, with one overflow bit: where range runs out."""
    return _both(operands, [Window(ovf=1, msb=top - 1, lsb=_SWEPT_LSB) for top in _SWEPT_TOPS])


def fraction_cases(operands: str) -> list[Case]:
    """Return the first starting point with few fraction bits, where they run out."""
    windows = [replace(STARTS[0], lsb=lsb) for lsb in _FINE_LSBS]
    return [Case(operands=operands, accumulator=str(window)) for window in windows]


def unit_cases(operands: str) -> list[Case]:
    """Return the conventional units."""
    return [Case(operands=operands, accumulator=unit) for unit in UNITS]
