"""What a program's matrix products are like: the profile that ``hwgen run --profile`` makes.

The preloaded library (``runtime/csrc/blas/profile.c``) writes one ``profile.<pid>`` a process into
the run's folder. Here they are read, merged, kept as JSON, and turned into ranges that a window can
be sized for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.errors import HwgenError, SpecError, ToolError
from hwgen.explore.records import LARGEST, CallSite, Histogram
from hwgen.explore.sizing import Ranges
from hwgen.formats import FixedPoint, Float, Format

__all__ = ["OTHER", "Profile", "SiteProfile", "read_folder", "rounding_bound", "site_name"]

VERSION = 1
OTHER = "other products"  # the name of the site that gathers what has no room of its own
_LEAST_EXPONENT = -1074  # of a double other than 0
_NUMBER_BINS, _PRODUCT_BINS = 2098, 4195
_NONE = np.iinfo(np.int64).max  # no bit was set
_HEADER = np.dtype(
    [("magic", "S8"), ("version", "<u4"), ("bytes", "<u4"), ("used", "<u4"), ("pad", "<u4")]
)
# The layout of hw_site (csrc/blas/profile.h).
_COUNTS = (
    *("calls", "macs", "terms", "zeros_a", "zeros_b", "zero_products", "zero_sums"),
    *("special_a", "special_b", "samples"),
)
_NUMBERS = (
    *("largest_a", "largest_b", "largest_product", "largest_total"),
    *("largest_result", "least_result", "cancellation"),
)
_SITE = np.dtype(
    [
        ("symbol", "S40"),
        *((name, "<i8") for name in ("m", "n", "k")),
        *((name, "<u8") for name in _COUNTS),
        *((name, "<f8") for name in _NUMBERS),
        *((name, "<i8") for name in ("lowest_a", "lowest_b")),
        *((name, "<u8", _NUMBER_BINS) for name in ("a", "b")),
        ("products", "<u8", _PRODUCT_BINS),
        ("sums", "<u8", _NUMBER_BINS),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteProfile:
    """Products of one BLAS symbol with one K and about the same M and N.

    Parameters
    ----------
    symbol : str
    m, n : int
        Rounded down to powers of two; -1 where sites without room of their own are gathered.
    k : int
        As the call has it; -1 as above.
    calls, macs : int
        Real products (a complex one is four), and their multiplications.
    terms : int
        The largest K of a product; in triangular routines smaller than ``k``.
    a, b : Histogram
        Of the elements of the operands, once for each product they are in.
    products : Histogram
        Of all products: bin e holds those whose factors' exponents add up to e, so that
        ``2**e <= |x| < 2**(e + 2)``.
    sums : Histogram
        Of partial sums of sampled elements.
    special_a, special_b : int
        Infinities and NaN, counted nowhere else.
    samples : int
        Elements whose partial sums were followed.
    largest_a, largest_b, largest_product : float
    largest_total : float
        No sum over k of ``|a b|`` is larger; infinite if not known.
    largest_result : float
        Of sampled elements.
    least_result : float
        The smallest, over products, of the largest magnitude of a sampled element; infinite where
        all were 0.
    cancellation : float
        Of sampled elements: the largest ratio of the sum of ``|a b|`` to the sum's magnitude.
    lowest_a, lowest_b : int or None
        Every element is a multiple of two to this power; None if all are 0.
    """

    symbol: str
    m: int
    n: int
    k: int
    calls: int
    macs: int
    terms: int
    a: Histogram
    b: Histogram
    products: Histogram
    sums: Histogram
    special_a: int
    special_b: int
    samples: int
    largest_a: float
    largest_b: float
    largest_product: float
    largest_total: float
    largest_result: float
    least_result: float
    cancellation: float
    lowest_a: int | None
    lowest_b: int | None

    @property
    def name(self) -> str:
        """Symbol and shape, such as ``cblas_sgemm 64 x 32 x 100 (m x n x k)``."""
        if self.k < 0:
            return OTHER
        return f"{self.symbol} m~{self.m} n~{self.n} k={self.k}"

    def merge(self, other: SiteProfile) -> SiteProfile:
        """Return both together; they must be of the same site."""
        return replace(
            self,
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in ("calls", "macs", "special_a", "special_b", "samples")
            },
            **{
                name: max(getattr(self, name), getattr(other, name))
                for name in ("terms", *_NUMBERS)
                if name != "least_result"
            },
            **{
                name: _together(getattr(self, name), getattr(other, name))
                for name in ("a", "b", "products", "sums")
            },
            least_result=min(self.least_result, other.least_result),
            lowest_a=_lower(self.lowest_a, other.lowest_a),
            lowest_b=_lower(self.lowest_b, other.lowest_b),
        )

    def call_site(self) -> CallSite:
        """Return what a report shows of it."""
        return CallSite(
            name=self.name,
            calls=self.calls,
            macs=self.macs,
            terms=self.terms,
            a=self.a,
            b=self.b,
            products=self.products,
            sums=self.sums,
            largest_total=min(self.largest_total, LARGEST),
            cancellation=min(self.cancellation, LARGEST),
        )

    def ranges(self, a: Format, b: Format, *, margin: float = 1.0) -> Ranges:
        """Return ranges of the data after rounding to formats, their magnitudes times a margin.

        Rounding to nearest moves ``x`` to at most ``|x| (1 + u) + q / 2``, with ``u`` half a unit
        in the last place of 1 and ``q`` the format's quantum. Of formats for which that does not
        hold (posits, block-scaled ones) the largest numbers are taken.

        Parameters
        ----------
        a, b : Format
        margin : float
            1 or more: how much larger other data may be. With 1 the quantum is that of the data,
            else that of the formats.

        Raises
        ------
        SpecError
            If the margin is below 1, or operands were beyond what a profile can tell.
        """
        if not margin >= 1:
            raise SpecError(f"margin is {margin:g}; it must be 1 or more")
        if not math.isfinite(self.largest_total):
            raise SpecError(f"{self.name}: its sums are beyond what float64 holds; scale the data")
        scale = Fraction(margin)
        largest = [Fraction(self.largest_a) * scale, Fraction(self.largest_b) * scale]
        outer = Ranges.declared(
            a,
            b,
            terms=max(1, self.terms),
            a_max=min(largest[0], a.max_finite),
            b_max=min(largest[1], b.max_finite),
        )
        lowest = outer.lowest
        if margin == 1:
            lowest = _lowest(self.lowest_a, self.a, a) + _lowest(self.lowest_b, self.b, b)
        product, total = outer.product, outer.total
        if all(isinstance(fmt, Float | FixedPoint) for fmt in (a, b)):
            growth, slack = _rounding(a, b, *largest)
            product = min(product, Fraction(self.largest_product) * scale * growth + slack)
            whole = Fraction(self.largest_total) * scale * growth + outer.terms * slack
            total = min(total, whole)
        return Ranges(terms=outer.terms, product=product, total=total, lowest=lowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All call sites of a program, most work first.

    Parameters
    ----------
    program : tuple of str
    sites : tuple of SiteProfile
    """

    program: tuple[str, ...]
    sites: tuple[SiteProfile, ...]

    @classmethod
    def merged(cls, program: Sequence[str], sites: Iterable[SiteProfile]) -> Profile:
        """Return a profile with each site once."""
        found: dict[tuple[object, ...], SiteProfile] = {}
        for site in sites:
            key = site.symbol, site.m, site.n, site.k
            found[key] = found[key].merge(site) if key in found else site
        order = sorted(found.values(), key=lambda site: (-site.macs, site.name))
        return cls(program=tuple(program), sites=tuple(order))

    def ranges(self, a: Format, b: Format, *, margin: float = 1.0) -> Ranges:
        """Return ranges that hold at every site; see :meth:`SiteProfile.ranges`.

        Raises
        ------
        SpecError
            If there is no site, or as :meth:`SiteProfile.ranges` does.
        """
        if not self.sites:
            raise SpecError("the profile has no product in it; the program called no BLAS")
        every = [site.ranges(a, b, margin=margin) for site in self.sites]
        whole = every[0]
        for one in every[1:]:
            whole = whole.merge(one)
        return whole

    @property
    def least_result(self) -> float:
        """The smallest, over products, of the largest result seen; infinite if all were 0."""
        return min((site.least_result for site in self.sites), default=math.inf)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "profile": VERSION,
            "program": list(self.program),
            "sites": [_to_json(site) for site in self.sites],
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Profile:
        """Return what :meth:`to_dict` was made of; KeyError or TypeError if it is none."""
        if table["profile"] != VERSION:
            raise KeyError("profile")
        sites = tuple(_from_json(site) for site in table["sites"])
        return cls(program=tuple(table["program"]), sites=sites)

    def write(self, path: Path) -> None:
        """Write JSON, aside first and then in place."""
        aside = path.with_name(f"{path.name}.part")
        aside.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", encoding="utf-8")
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read what :meth:`write` wrote.

        Raises
        ------
        HwgenError
            If the file cannot be read or holds something else.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise HwgenError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HwgenError(
                f"{path} holds no profile of this version; make it with hwgen run --profile {path}"
            ) from error


def rounding_bound(profile: Profile, a: Format, b: Format, *, margin: float) -> Fraction | None:
    """Return a bound of how far rounding the operands moves an element of any product.

    None for formats without a bound of their rounding (posits, block-scaled ones) or without signs,
    and where an operand is beyond its format.
    """
    if not all(isinstance(fmt, Float | FixedPoint) and fmt.signed for fmt in (a, b)):
        return None
    bound = Fraction(0)
    for site in profile.sites:
        largest = [Fraction(most) * Fraction(margin) for most in (site.largest_a, site.largest_b)]
        if largest[0] > a.max_finite or largest[1] > b.max_finite:
            return None
        growth, slack = _rounding(a, b, *largest)
        total = Fraction(site.largest_total) * Fraction(margin)
        bound = max(bound, total * (growth - 1) + site.terms * slack)
    return bound


def site_name(symbol: str, m: int, n: int, k: int) -> str:
    """Return the name of the call site that a call belongs to, if it has one of its own."""
    low = [1 << size.bit_length() - 1 if size > 0 else 0 for size in (m, n)]
    return f"{symbol} m~{low[0]} n~{low[1]} k={k}"


def read_folder(folder: Path) -> list[SiteProfile]:
    """Return the sites that the processes of a run left in its folder, unmerged.

    Raises
    ------
    ToolError
        If a file is of another layout than this version's.
    """
    return [site for path in sorted(folder.glob("profile.*")) for site in _read_file(path)]


def _read_file(path: Path) -> list[SiteProfile]:
    with path.open("rb") as file:
        data = file.read(_HEADER.itemsize)
        if len(data) < _HEADER.itemsize or data[:8] == bytes(8):
            return []  # the process ended while it was made
        header = np.frombuffer(data, _HEADER)[0]
        known = b"hwprofil", VERSION, _SITE.itemsize
        if (header["magic"], header["version"], header["bytes"]) != known:
            raise ToolError(
                f"{path.name} is version {header['version']} with records of {header['bytes']}"
                f" bytes; this hwgen reads version {VERSION} with {_SITE.itemsize}",
                hint="libhwgen_blas is of another version: reinstall hwgen",
            )
        text = file.read(int(header["used"]) * _SITE.itemsize)
    records = np.frombuffer(text, _SITE, count=len(text) // _SITE.itemsize)
    return [_site(record) for record in records if record["calls"]]


def _site(record: np.void) -> SiteProfile:
    lowest = {
        name: None if record[name] == _NONE else int(record[name])
        for name in ("lowest_a", "lowest_b")
    }
    plain = ("m", "n", "k", "calls", "macs", "terms", "special_a", "special_b", "samples")
    return SiteProfile(
        symbol=record["symbol"].decode("ascii", "replace"),
        **{name: int(record[name]) for name in plain},
        **{name: float(record[name]) for name in _NUMBERS},
        **lowest,
        a=_histogram(record["a"], _LEAST_EXPONENT, record["zeros_a"]),
        b=_histogram(record["b"], _LEAST_EXPONENT, record["zeros_b"]),
        products=_histogram(record["products"], 2 * _LEAST_EXPONENT, record["zero_products"]),
        sums=_histogram(record["sums"], _LEAST_EXPONENT, record["zero_sums"]),
    )


def _histogram(bins: np.ndarray, first: int, zeros: np.uint64) -> Histogram:
    """The part of the bins that is in use."""
    used = np.flatnonzero(bins)
    if not used.size:
        return Histogram(first=0, counts=[], zeros=int(zeros))
    low, high = int(used[0]), int(used[-1])
    counts = [int(count) for count in bins[low : high + 1]]
    return Histogram(first=first + low, counts=counts, zeros=int(zeros))


def _together(one: Histogram, other: Histogram) -> Histogram:
    zeros = one.zeros + other.zeros
    parts = [part for part in (one, other) if part.counts]
    if not parts:
        return Histogram(first=0, counts=[], zeros=zeros)
    first = min(part.first for part in parts)
    counts = [0] * (max(part.first + len(part.counts) for part in parts) - first)
    for part in parts:
        for place, count in enumerate(part.counts, start=part.first - first):
            counts[place] += count
    return Histogram(first=first, counts=counts, zeros=zeros)


def _lower(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return min(known, default=None)


def _lowest(lowest: int | None, histogram: Histogram, fmt: Format) -> int:
    """Every element of a histogram is a multiple of two to this power once it is rounded.

    Rounding drops low bits and sets none below them; a float keeps ``precision`` bits.
    """
    if lowest is None or not isinstance(fmt, Float | FixedPoint):
        return fmt.min_exponent
    bounds = [lowest, fmt.min_exponent]
    if isinstance(fmt, Float):
        bounds.append(histogram.first - fmt.precision + 1)
    return max(bounds)


def _rounding(a: Format, b: Format, a_max: Fraction, b_max: Fraction) -> tuple[Fraction, Fraction]:
    """A factor and a summand that bound what rounding both factors makes of a product."""
    growth = [
        1 + (Fraction(2) ** -fmt.precision if isinstance(fmt, Float) else 0) for fmt in (a, b)
    ]
    half = [Fraction(2) ** (fmt.min_exponent - 1) for fmt in (a, b)]
    slack = a_max * growth[0] * half[1] + b_max * growth[1] * half[0] + half[0] * half[1]
    return growth[0] * growth[1], slack


def _to_json(site: SiteProfile) -> dict[str, Any]:
    table = asdict(site)
    # JSON has no infinities.
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in table.items()
    }


def _from_json(table: Mapping[str, Any]) -> SiteProfile:
    histograms = {name: Histogram(**table[name]) for name in ("a", "b", "products", "sums")}
    numbers = {name: math.inf if table[name] is None else table[name] for name in _NUMBERS}
    return SiteProfile(**{**table, **histograms, **numbers})
