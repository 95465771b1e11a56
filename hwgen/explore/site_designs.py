"""What a design for each call site would save, against one that serves them all.

A call site's window is the recommended one, less the bits that the site does not need: above, as
many as its sums are smaller than the largest of any site; below, as many as its error is smaller
than the worst of any site, since a bit less doubles it. Energies of the windows that matter most
are measured; the other sites are counted as if they had the recommended one. No program runs on
such designs, so it is an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from hwgen.errors import SpecError
from hwgen.explore.candidates import Candidate, Sizes, operands_of
from hwgen.explore.descent import with_top
from hwgen.explore.profile import SiteProfile
from hwgen.explore.records import Point, SiteDesign
from hwgen.formats.exact import floor_log2
from hwgen.spec.accumulator import Window, parse_accumulator

__all__ = ["saving", "site_designs", "site_windows", "worth_measuring"]

_MOST_MEASURED = 3  # windows; a measurement takes as long as one for the front
_LEAST_SHARE = 0.02  # of the MACs; less saves nothing that counts


def site_windows(chosen: Point, sizes: Sizes) -> list[tuple[SiteProfile, Candidate]]:
    """Return what each call site would need, most work first.

    Parameters
    ----------
    chosen : Point
        The design for all call sites. Sites whose errors are not among its own did not run on it
        and are left out.
    sizes : Sizes
        Of its operands.

    Returns
    -------
    list of pairs
        Empty if fewer than two call sites ran on it, or it has no window.
    """
    window = parse_accumulator(chosen.acc)
    sites = [site for site in sizes.profile.sites if site.name in chosen.site_errors]
    if len(sites) < 2 or not isinstance(window, Window):
        return []
    try:
        formats = sizes.operands.formats
        totals = [site.ranges(*formats).total for site in sites]
    except SpecError:
        return []
    errors = [chosen.site_errors[site.name] for site in sites]
    worst = max((error for error in errors if error is not None), default=0.0)
    found = []
    for site, total, error in zip(sites, totals, errors, strict=True):
        above = _bits_between(total, max(totals))
        below = 0 if error is None else _bits_between(Fraction(error), Fraction(worst))
        found.append((site, Candidate.of(sizes.operands, _narrowed(window, above, below))))
    return found


def worth_measuring(
    windows: Sequence[tuple[SiteProfile, Candidate]], chosen: Point
) -> list[Candidate]:
    """Return the windows whose energies matter most, other than the recommended one."""
    macs: dict[Candidate, int] = {}
    for site, candidate in windows:
        macs[candidate] = macs.get(candidate, 0) + site.macs
    least = _LEAST_SHARE * sum(macs.values())
    able = [one for one in macs if one.acc != chosen.acc and macs[one] >= least]
    return sorted(able, key=lambda one: (-macs[one], one.acc))[:_MOST_MEASURED]


def site_designs(
    windows: Sequence[tuple[SiteProfile, Candidate]],
    chosen: Point,
    energies: Mapping[Candidate, float],
) -> list[SiteDesign]:
    """Return the designs of call sites with their energies.

    Parameters
    ----------
    windows : sequence of pairs
        Of :func:`site_windows`.
    chosen : Point
    energies : mapping
        What was measured, in pJ a MAC. A site whose window was not, or takes no less, is counted
        with the recommended one.
    """
    if chosen.energy_pj is None:
        return []
    same = Candidate(operands=operands_of(chosen), acc=chosen.acc)
    macs = sum(site.macs for site, _ in windows)
    found = []
    for site, candidate in windows:
        energy = energies.get(candidate, math.inf)
        used, energy = (
            (candidate, energy) if energy < chosen.energy_pj else (same, chosen.energy_pj)
        )
        found.append(
            SiteDesign(
                name=site.name,
                share=site.macs / max(1, macs),
                acc=used.acc,
                width=used.width,
                energy_pj=energy,
            )
        )
    return found


def saving(designs: Sequence[SiteDesign], chosen: Point) -> float | None:
    """Return the part of the energy that designs for each site save, weighted by MACs."""
    if not designs or not chosen.energy_pj:
        return None
    return 1 - sum(design.share * design.energy_pj for design in designs) / chosen.energy_pj


def _bits_between(small: Fraction, large: Fraction) -> int:
    """How many times a number may be doubled without getting above another; 0 for a 0."""
    return floor_log2(large / small) if small else 0


def _narrowed(window: Window, above: int, below: int) -> Window:
    """A window with so many bits less above and below, but two bits or more."""
    top = max(window.msb + window.ovf - above, window.lsb + 1)
    lsb = min(window.lsb + below, top - 1)
    if top < window.msb:
        return replace(window, lsb=lsb, msb=top, ovf=0)
    return with_top(replace(window, lsb=min(lsb, window.msb)), top)
