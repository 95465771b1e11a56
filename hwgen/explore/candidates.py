"""Datapaths that may do: which operand formats, and windows sized for what was observed.

Words, not objects, go into caches and to other machines; a :class:`Candidate` is four of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from hwgen.errors import SpecError
from hwgen.explore.profile import Profile, SiteProfile, rounding_bound
from hwgen.explore.records import LARGEST, Point
from hwgen.explore.sizing import Ranges, error_bound, size_window
from hwgen.formats import Format, parse_format
from hwgen.formats.exact import floor_log2
from hwgen.spec.accumulator import Overflow, Window, parse_accumulator
from hwgen.spec.datapath import Datapath

__all__ = [
    "BASELINE",
    "Candidate",
    "Operands",
    "Sizes",
    "narrower_sites",
    "operands_of",
    "parse_operands",
]

# Pipelined: with three lanes it has the clock of a window of its kind, and takes less energy than
# one cycle for all would (docs/energy.md).
BASELINE = "fma:fp32,lanes=3"
_MOST_BITS = 1024  # of a window worth trying


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """The formats of A's and of B's elements, and of results, by name.

    ``dot`` is how many products a window adds at once.
    """

    a: str
    b: str
    out: str
    dot: int = 1

    @property
    def text(self) -> str:
        """``bf16``, or ``bf16/e4m3`` where they differ."""
        return self.a if self.a == self.b else f"{self.a}/{self.b}"

    @property
    def formats(self) -> tuple[Format, Format]:
        """The operand formats."""
        return parse_format(self.a), parse_format(self.b)


def operands_of(point: Point) -> Operands:
    """Return the operands of a point."""
    return Operands(a=point.a, b=point.b, out=point.out, dot=parse_accumulator(point.acc).dot)


def parse_operands(
    text: str, *, mixed: bool = False, out: str | None = None, dot: int = 1
) -> list[Operands]:
    """Read ``fp32,bf16,fixed:1,7,bf16/e4m3``: formats for both operands, or one for each.

    Parameters
    ----------
    text : str
    mixed : bool
        Also every pair of the formats that are named for both.
    out : str, optional
        Result format; fp32 by default, or fp64 for operands of more than 24 significant bits.
    dot : int
        Products that a window adds at once.

    Raises
    ------
    FormatError
        If one is no format.
    SpecError
        If there is none.
    """
    names = _split(text)
    if not names:
        raise SpecError("--formats names no format; give some, such as fp32,bf16")
    same = list(dict.fromkeys(name for name in names if "/" not in name))
    pairs = [tuple(name.split("/", 1)) if "/" in name else (name, name) for name in names]
    if mixed:
        pairs += [(a, b) for a in same for b in same]
    found = []
    for a, b in dict.fromkeys(pairs):
        left, right = parse_format(a), parse_format(b)
        wide = max(left.precision, right.precision) > 24
        natural = "fp64" if wide else "fp32"
        found.append(Operands(a=left.name, b=right.name, out=out or natural, dot=dot))
    return list(dict.fromkeys(found))


def _split(text: str) -> list[str]:
    """Split at commas, but not within a format: what starts with no letter goes on with it."""
    names: list[str] = []
    for word in text.split(","):
        word = word.strip()
        if names and word and (not word[0].isalpha() or "=" in word.split(":")[0]):
            names[-1] += f",{word}"
        elif word:
            names.append(word)
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A datapath in words.

    Parameters
    ----------
    operands : Operands
    acc : str
        A window with numbers, or :data:`BASELINE`.
    """

    operands: Operands
    acc: str

    @classmethod
    def of(cls, operands: Operands, window: Window) -> Candidate:
        """Return the candidate with a window, of as many products at once as is asked for."""
        return cls(operands=operands, acc=str(replace(window, dot=operands.dot)))

    @property
    def words(self) -> dict[str, str]:
        """What :meth:`Datapath.parse` takes."""
        return {
            "a": self.operands.a,
            "b": self.operands.b,
            "acc": self.acc,
            "out": self.operands.out,
        }

    @property
    def datapath(self) -> Datapath:
        """The datapath."""
        return Datapath.parse(**self.words)

    @property
    def baseline(self) -> bool:
        """Whether it is the conventional unit that savings are stated against."""
        return self.acc == BASELINE

    @property
    def window(self) -> Window:
        """Its window; not of a baseline."""
        window = parse_accumulator(self.acc)
        assert isinstance(window, Window), self.acc
        return window

    @property
    def width(self) -> int:
        """Bits of the accumulator."""
        unit = self.datapath.float_sum
        return self.window.width if unit is None else unit.format.width

    @property
    def name(self) -> str:
        """Short, for tables and plots."""
        if self.baseline:
            return f"{self.operands.text} {self.acc}"
        window = self.window
        saturates = " sat" if window.overflow is Overflow.SATURATE else ""
        places = f"{window.ovf}:{window.msb}:{window.lsb}"
        dot = f" dot{window.dot}" if window.dot > 1 else ""
        return f"{self.operands.text} w{window.width} ({places}){saturates}{dot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is known of windows for some operands before anything is run.

    Parameters
    ----------
    operands : Operands
    profile : Profile
    margin : float
        How much larger other data may be than what was observed.
    """

    operands: Operands
    profile: Profile
    margin: float

    def window(self, tolerance: float | None, *, margin: float | None = None) -> Window:
        """Return the narrowest window without range events whose error is within a tolerance.

        Parameters
        ----------
        tolerance : float, optional
            Of what the accumulator loses, relative to the smallest of the products' largest
            results; where nothing less than the formats' rounding is asked for, 2**-26.
        margin : float, optional
            In place of :attr:`margin`.

        Raises
        ------
        SpecError
            If no window of a sensible width does, or a result may be beyond the result format.
        """
        ranges = self.ranges(margin)
        allowed = Fraction(2**-26 if tolerance is None else tolerance) * self._scale()
        window = size_window(ranges, allowed).window
        if window.width > _MOST_BITS:
            raise SpecError(
                f"{self.operands.text} needs a window of {window.width} bits for this data;"
                " try formats that round the small numbers away, or a larger tolerance"
            )
        return window

    def ranges(self, margin: float | None = None) -> Ranges:
        """Ranges of all sites together."""
        return self.profile.ranges(
            *self.operands.formats, margin=self.margin if margin is None else margin
        )

    def covers(self, window: Window, *, margin: float | None = None) -> bool:
        """Whether no range event can occur in data ``margin`` times as large as observed."""
        ranges = self.ranges(margin)
        if ranges.product and floor_log2(ranges.product) > window.msb:
            return False
        # Truncation makes no magnitude larger.
        return ranges.total < Fraction(2) ** (window.msb + window.ovf)

    def bound(self, candidate: Candidate) -> float | None:
        """Return a bound of the relative error for data as observed, operands' rounding included.

        Of results, from the exact product of what the program multiplied, relative to the smallest
        of the products' largest results; None where none is known.
        """
        if candidate.baseline or not self.covers(candidate.window, margin=1):
            return None
        ranges = self.ranges(1)
        rounded = rounding_bound(self.profile, *self.operands.formats, margin=1)
        if rounded is None or not math.isfinite(self.profile.least_result):
            return None
        try:
            error = error_bound(candidate.window, ranges, parse_format(self.operands.out))
        except SpecError:
            return None
        bound = (error + rounded) / Fraction(self.profile.least_result)
        return float(min(bound, Fraction(LARGEST)))

    def _scale(self) -> Fraction:
        least = self.profile.least_result
        # Where all results seen were 0 any error is too large, and nothing may be dropped.
        return Fraction(least) if math.isfinite(least) else Fraction(0)


def narrower_sites(sizes: Sizes, tolerance: float | None) -> list[tuple[SiteProfile, Window]]:
    """Return, for each call site, the window that would do for it alone."""
    found = []
    for site in sizes.profile.sites:
        alone = replace(sizes, profile=Profile(program=(), sites=(site,)))
        found.append((site, alone.window(tolerance)))
    return found
