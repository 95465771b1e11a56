"""From what a search measured to the records that tables and reports are made of."""

from __future__ import annotations

import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hwgen import __version__
from hwgen.errors import SpecError
from hwgen.explore.candidates import Candidate, Sizes, narrower_sites, operands_of
from hwgen.explore.judge import Goal
from hwgen.explore.profile import OTHER, Profile
from hwgen.explore.records import Exploration, Point
from hwgen.explore.search import Found, Measured
from hwgen.spec.accumulator import Overflow, Window, parse_accumulator

__all__ = [
    "at_once",
    "at_once_notes",
    "chosen_point",
    "exploration",
    "mark_front",
    "proven_point",
    "site_notes",
]

_MOST_NOTED = 8  # call sites; a program may have hundreds
_PROVEN = "proven"  # how notes on proven ranges begin
_AT_ONCE = (2, 4)  # products worth trying to add at once
_WORTH_NOTING = 0.01  # of a product's energy


def exploration(
    found: Found,
    *,
    program: Sequence[str],
    goal: Goal,
    margin: float,
    commands: Sequence[str],
    seconds: float,
) -> Exploration:
    """Return the records of a search.

    Parameters
    ----------
    found : Found
    program : sequence of str
    goal : Goal
    margin : float
        Of the safe windows.
    commands : sequence of str
        How to do it again.
    seconds : float
        What it took.
    """
    points = [_point(one, found, goal, margin) for one in found.measured]
    libraries = {one.energy["library"] for one in found.measured if one.energy is not None}
    return Exploration(
        title=f"Tailored to {shlex.join(program)}",
        command=list(program),
        points=mark_front(points, goal),
        call_sites=[site.call_site() for site in found.profile.sites],
        commands=list(commands),
        versions={
            "hwgen": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        tolerance=goal.tolerance,
        metric_name=None if goal.metric is None else goal.metric.name,
        metric_smaller_is_better=goal.metric is not None and goal.metric.smaller_is_better,
        native_metric=found.native_metric,
        library=min(libraries, default=None),
        seconds=seconds,
    )


def _point(one: Measured, found: Found, goal: Goal, margin: float) -> Point:
    candidate, judgement = one.candidate, one.judgement
    sizes = Sizes(operands=candidate.operands, profile=found.profile, margin=margin)
    notes = list(judgement.notes)
    if not candidate.baseline and judgement.does:
        notes.append(_range_note(sizes, one, margin))
    energy = one.energy or {}
    return Point(
        name=candidate.name,
        a=candidate.operands.a,
        b=candidate.operands.b,
        acc=candidate.acc,
        out=candidate.operands.out,
        baseline=candidate.baseline,
        width=candidate.width,
        bound=sizes.bound(candidate),
        error=judgement.error,
        site_errors=_by_site(judgement.site_errors, found.profile),
        metric=judgement.metric,
        acceptable=judgement.does,
        energy_pj=energy.get("energy_pj"),
        energies=energy.get("energies", {}),
        area_um2=energy.get("area_um2"),
        fmax_mhz=energy.get("fmax_mhz"),
        notes=notes,
    )


def _by_site(errors: Mapping[str, float | None], profile: Profile) -> dict[str, float | None]:
    """Errors under the profile's names: what has no site of its own is among the others."""
    names = {site.name for site in profile.sites}
    found: dict[str, float] = {}
    for name, error in errors.items():
        name = name if name in names else OTHER
        found[name] = max(found.get(name, 0.0), math.inf if error is None else error)
    return {name: None if math.isinf(error) else error for name, error in found.items()}


def _range_note(sizes: Sizes, one: Measured, margin: float) -> str:
    window = one.candidate.window
    if sizes.covers(window):
        return f"{_PROVEN}: no range event in data up to {margin:g} times as large"
    if window.overflow is Overflow.SATURATE:
        return "range only as this run needs it: larger sums saturate"
    return "range only as this run needs it: larger sums become NaN"


def mark_front(points: Sequence[Point], goal: Goal) -> list[Point]:
    """Mark the points that no other acceptable point beats, and the cheapest design of them.

    A point beats another if it is no worse in energy, error and metric, and better in one.
    """
    able = [point for point in points if point.acceptable and point.energy_pj is not None]
    front = [point for point in able if not any(_beats(other, point, goal) for other in able)]
    designs = [point for point in front if not point.baseline]
    chosen = min(designs, key=lambda point: (point.energy_pj, point.width), default=None)
    return [replace(point, front=point in front, chosen=point is chosen) for point in points]


def _beats(one: Point, other: Point, goal: Goal) -> bool:
    marks = [_marks(point, goal) for point in (one, other)]
    return marks[0] != marks[1] and all(x <= y for x, y in zip(*marks, strict=True))


def _marks(point: Point, goal: Goal) -> tuple[float, ...]:
    assert point.energy_pj is not None
    error = float("inf") if point.error is None else point.error
    metric = 0.0
    if goal.metric is not None and point.metric is not None:
        metric = point.metric if goal.metric.smaller_is_better else -point.metric
    return point.energy_pj, error, metric


def chosen_point(points: Sequence[Point]) -> Point | None:
    """Return the recommended point, if there is one."""
    return next((point for point in points if point.chosen), None)


def proven_point(points: Sequence[Point]) -> Point | None:
    """Return the cheapest acceptable point whose range is proven, if there is one."""
    able = [
        point
        for point in points
        if point.acceptable
        and point.energy_pj is not None
        and any(note.startswith(_PROVEN) for note in point.notes)
    ]
    return min(able, key=lambda point: (point.energy_pj, point.width), default=None)


def site_notes(profile: Profile, sizes: Sizes, tolerance: float | None) -> list[str]:
    """Say what windows single call sites would need, against one for all; widest first.

    Of windows sized with the margin, for the chosen operands, at the sites with the most work.
    """
    if len(profile.sites) < 2:
        return []
    try:
        whole = sizes.window(tolerance)
        alone = narrower_sites(sizes, tolerance)
    except SpecError:
        return []
    lines = [f"one window for all call sites takes {whole.width} bits; alone they would take"]
    for site, window in sorted(alone[:_MOST_NOTED], key=lambda pair: -pair[1].width):
        share = site.macs / max(1, sum(each.macs for each in profile.sites))
        lines.append(
            f"{site.name} ({share:.0%} of the work): {window.width} bits"
            f" ({window.width - whole.width:+d})"
        )
    if len(alone) > _MOST_NOTED:
        lines.append(f"{len(alone) - _MOST_NOTED} more call sites with less work each")
    return lines


def at_once(chosen: Point) -> list[Candidate]:
    """Return the recommended window with several products at once, where no run need be repeated.

    A run without range events has none either where fewer of its sums are judged; what saturates
    may differ.
    """
    window = parse_accumulator(chosen.acc)
    if not isinstance(window, Window) or window.dot > 1 or window.overflow is Overflow.SATURATE:
        return []
    operands = operands_of(chosen)
    return [Candidate.of(replace(operands, dot=dot), window) for dot in _AT_ONCE]


def at_once_notes(chosen: Point, energies: Mapping[Candidate, float]) -> list[str]:
    """Say what several products at once would save, of what was measured."""
    lines = []
    for candidate in at_once(chosen):
        energy = energies.get(candidate)
        if energy is None or not chosen.energy_pj:
            continue
        saved = 1 - energy / chosen.energy_pj
        if saved >= _WORTH_NOTING:
            dot = candidate.window.dot
            lines.append(f"{dot} products at once take {saved:.0%} less energy each (--dot {dot})")
    return lines
