"""Call sites: the exponents of their data, and what they say about a register."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hwgen.errors import HwgenError
from hwgen.explore.records import CallSite, Exploration, Histogram, Point
from hwgen.formats import parse_format
from hwgen.report.numbers import finite, number, power, share, signed
from hwgen.spec.accumulator import FloatSum, Rounding, Window, parse_accumulator

__all__ = ["MOST_SITES", "SiteView", "occupied", "site_views", "window_of"]

MOST_SITES = 12  # shown one by one; a page of hundreds would be slow to make and to read


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A call site and what its exponents say about a register.

    Parameters
    ----------
    key : str
        Of its picture.
    site : CallSite
    window : Window
        The register; None if there is none to speak of.
    allowed : float
        About the binary logarithm of the allowed error; None if no tolerance is known.
    facts : list of str
        Sentences.
    """

    key: str
    site: CallSite
    window: Window | None
    allowed: float | None
    facts: list[str]


def window_of(point: Point | None) -> Window | None:
    """Return the register of a design; None where it is a floating-point sum or unknown."""
    if point is None:
        return None
    try:
        resolved = parse_accumulator(point.acc).resolve(
            parse_format(point.a), parse_format(point.b)
        )
    except HwgenError:
        return None
    return None if isinstance(resolved, FloatSum) else resolved


def site_views(exploration: Exploration, point: Point | None) -> list[SiteView]:
    """Return all call sites together, then those with the most MACs."""
    window = window_of(point)
    sites = sorted(exploration.call_sites, key=lambda site: -site.macs)
    tolerance = finite(exploration.tolerance) or 0.0
    weights = [_allowed(site, tolerance) for site in sites]
    shown = list(zip(sites, weights, strict=True))[:MOST_SITES]
    if len(sites) > 1:
        strictest = min((weight for weight in weights if weight is not None), default=None)
        shown = [(_together(sites), strictest), *shown]
    seen = _errors(point, len(sites) > 1)
    return [
        _view(site, window, allowed, f"site-{index}", seen)
        for index, (site, allowed) in enumerate(shown)
        if any(occupied(histogram) for histogram in (site.a, site.b, site.products, site.sums))
    ]


def _errors(point: Point | None, several: bool) -> Mapping[str, float | None]:
    """The errors of the recommended design that are known to be of one call site."""
    return point.site_errors if point is not None and several else {}


def _allowed(site: CallSite, tolerance: float) -> float | None:
    """About the binary logarithm of the allowed error, which is relative to the largest result."""
    sums = occupied(site.sums)
    return None if tolerance <= 0 or sums is None else math.log2(tolerance) + sums[1]


def _together(sites: Sequence[CallSite]) -> CallSite:
    """All call sites as one: the window must serve each of them."""
    histograms = {
        name: _merge([getattr(site, name) for site in sites])
        for name in ("a", "b", "products", "sums")
    }
    return CallSite(
        name=f"All {len(sites)} call sites together",
        calls=sum(site.calls for site in sites),
        macs=sum(site.macs for site in sites),
        terms=max(site.terms for site in sites),
        largest_total=max(site.largest_total for site in sites),
        cancellation=max(site.cancellation for site in sites),
        **histograms,
    )


def _merge(histograms: Sequence[Histogram]) -> Histogram:
    counts: dict[int, int] = {}
    for histogram in histograms:
        for exponent, count in enumerate(histogram.counts, start=histogram.first):
            counts[exponent] = counts.get(exponent, 0) + count
    first, last = min(counts, default=0), max(counts, default=-1)
    return Histogram(
        first=first,
        counts=[counts.get(exponent, 0) for exponent in range(first, last + 1)],
        zeros=sum(histogram.zeros for histogram in histograms),
    )


def _view(
    site: CallSite,
    window: Window | None,
    allowed: float | None,
    name: str,
    seen: Mapping[str, float | None],
) -> SiteView:
    facts = _facts(site, window)
    if window is not None and allowed is not None:
        facts.append(_allowed_fact(site, window, allowed))
    if site.name in seen:
        error = seen[site.name]
        size = "infinite" if error is None else f"at most {number(error)}"
        facts.append(f"The error seen here is {size}, relative to a product's largest result.")
    return SiteView(key=name, site=site, window=window, allowed=allowed, facts=facts)


def _facts(site: CallSite, window: Window | None) -> list[str]:
    """What the picture says: why the register ends where it does."""
    products, sums = occupied(site.products), occupied(site.sums)
    facts = []
    if products:
        facts.append(
            f"Products lie from {power(2, products[0])} to below {power(2, products[1] + 1)}."
        )
    if sums:
        facts.append(f"Partial sums stay below {power(2, sums[1] + 1)}.")
    if window is None:
        return [*facts, "The design has no window to draw under them."]
    if products:
        facts.append(_msb_fact(site.products, products[1], window))
    if sums:
        facts.append(_ovf_fact(site.sums, sums[1], window))
    if products:
        facts.append(_lsb_fact(site.products, products[0], window))
    return facts


def _msb_fact(products: Histogram, highest: int, window: Window) -> str:
    spare = window.msb - highest
    if spare >= 0:
        room = "with no bit to spare" if spare == 0 else f"with {_bits(spare)} to spare"
        return f"msb {signed(window.msb)} holds the largest product {room}."
    above = _count(products, lambda exponent: exponent > window.msb)
    return (
        f"{_capital(share(above, sum(products.counts)))} of the products lie above msb"
        f" {signed(window.msb)}: each is a range event."
    )


def _ovf_fact(sums: Histogram, highest: int, window: Window) -> str:
    top = window.msb + window.ovf  # weight of the sign bit: magnitudes stay below it
    spare = top - 1 - highest
    if spare < 0:
        above = _count(sums, lambda exponent: exponent >= top)
        part = _capital(share(above, sum(sums.counts)))
        return f"{part} of the partial sums reach the sign bit, which weighs {power(2, top)}."
    room = "no bit" if spare == 0 else _bits(spare)
    return f"With ovf {window.ovf} the register holds sums below {power(2, top)}: {room} to spare."


def _lsb_fact(products: Histogram, lowest: int, window: Window) -> str:
    low = _count(products, lambda exponent: exponent < window.lsb)
    whole = sum(products.counts)
    lsb = f"lsb {signed(window.lsb)}"
    if not low:
        return f"No product lies wholly below {lsb}."
    fate = "are dropped" if window.rounding is Rounding.ZERO else "are rounded to it or to 0"
    return f"{_capital(share(low, whole))} of the products lie wholly below {lsb} and {fate}."


def _allowed_fact(site: CallSite, window: Window, allowed: float) -> str:
    below = math.floor(allowed) - window.lsb
    where = f"{_bits(abs(below))} {'above' if below >= 0 else 'below'} lsb" if below else "at lsb"
    return (
        f"The allowed error weighs about {power(2, math.floor(allowed))}, {where}; the roundings of"
        f" up to {site.terms:,} products may add up to"
        f" {_bits((site.terms - 1).bit_length())} above it."
    )


def occupied(histogram: Histogram) -> tuple[int, int] | None:
    """Return the lowest and the highest exponent that occurred; None if none did."""
    places = [place for place, count in enumerate(histogram.counts) if count > 0]
    return (histogram.first + places[0], histogram.first + places[-1]) if places else None


def _count(histogram: Histogram, wanted: Callable[[int], bool]) -> int:
    return sum(
        count
        for exponent, count in enumerate(histogram.counts, start=histogram.first)
        if wanted(exponent)
    )


def _bits(count: int) -> str:
    return "1 bit" if count == 1 else f"{count} bits"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
