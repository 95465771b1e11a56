"""How errors are spread: over the designs, and what call sites do to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwgen.explore.records import CallSite, Exploration
from hwgen.report.canvas import NARROW, WIDE, draw_picture, log_ticks, plain_axes, write
from hwgen.report.designs import Design
from hwgen.report.numbers import drawable, number
from hwgen.report.palette import LIGHT
from hwgen.report.svg import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_BARS", "cancellation_plot", "error_plot"]

MOST_BARS = 16
_KINDS = {  # marker, colour
    "accepted": ("o", "front"),
    "refused": ("x", "refused"),
    "baseline": ("s", "baseline"),
}


def error_plot(exploration: Exploration, found: Sequence[Design]) -> Picture | None:
    """Return the errors of all designs, in order of size, with their proven bounds."""
    known = sorted(
        (error, index)
        for index, design in enumerate(found)
        if (error := drawable(design.point.error)) is not None
    )
    if not known:
        return None
    tolerance = drawable(exploration.tolerance)
    numbers = [error for error, _ in known]
    bounds = [drawable(found[index].point.bound) for _, index in known]

    def draw(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        plain_axes(axes, grid="y")
        drawn = [*numbers, *bounds, tolerance]
        zero = _log_axis(axes, [value for value in drawn if value is not None])
        _draw_errors(axes, found, known, bounds, zero)
        if tolerance is not None and tolerance > 0:
            axes.axhline(tolerance, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
            # On the left, where errors are smallest, nothing lies so high.
            options = {"transform": axes.get_yaxis_transform(), "va": "bottom"}
            write(axes, 0.01, tolerance, f"allowed {number(tolerance)}", **options)
        axes.set_xlabel("designs, in order of the error seen")
        axes.set_ylabel("relative error")
        axes.set_xlim(0.3, len(known) + 0.7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=4 if width >= WIDE else 2,
            frameon=False,
            fontsize=11,
            labelcolor=LIGHT["ink"],
            handletextpad=0.3,
        )

    middle = numbers[len(numbers) // 2]
    label = (
        f"{len(known)} designs. Errors seen from {number(numbers[0])} to {number(numbers[-1])},"
        f" median {number(middle)}"
    )
    return draw_picture("errors", "Errors of the designs", label, draw, heights=(340, 340))


def _draw_errors(
    axes: Axes,
    found: Sequence[Design],
    known: Sequence[tuple[float, int]],
    bounds: Sequence[float | None],
    zero: float,
) -> None:
    proven = [(place, bound) for place, bound in enumerate(bounds, start=1) if bound is not None]
    if proven:
        axes.plot(
            [place for place, _ in proven],
            [bound if bound > 0 else zero for _, bound in proven],
            linestyle="none",
            marker="_",
            markersize=8,
            markeredgewidth=1.6,
            color=LIGHT["other"],
            label="proven bound",
        )
    for kind, (marker, colour) in _KINDS.items():
        spots = [
            (place, error)
            for place, (error, index) in enumerate(known, start=1)
            if _kind(found[index]) == kind
        ]
        if spots:
            axes.plot(
                [place for place, _ in spots],
                [error if error > 0 else zero for _, error in spots],
                linestyle="none",
                marker=marker,
                markersize=6,
                markeredgewidth=1.4,
                markeredgecolor=LIGHT[colour],
                color=LIGHT[colour],
                label={"accepted": "seen", "refused": "seen, too inaccurate"}.get(kind, kind),
            )


def _kind(design: Design) -> str:
    if design.point.baseline:
        return "baseline"
    return "refused" if design.kind == "refused" else "accepted"


def _log_axis(axes: Axes, values: Sequence[float]) -> float:
    """Set up a logarithmic vertical axis; return where an error of 0 stands."""
    positive = [value for value in values if value > 0]
    low = math.floor(math.log10(min(positive))) if positive else 0
    high = max(math.ceil(math.log10(max(positive))), low + 1) if positive else 1
    room = max(1.0, (high - low) / 10)
    zero = 10.0 ** (low - room)
    ticks, names = log_ticks(low, high, 6)
    bottom = low - room / 3
    if len(positive) < len(values):
        ticks, names, bottom = [zero, *ticks], ["0", *names], low - room * 1.4
    axes.set_yscale("log")
    axes.set_yticks(ticks, names)
    axes.minorticks_off()
    axes.set_ylim(10.0**bottom, 10.0 ** (high + room / 3))
    return zero


def cancellation_plot(sites: Sequence[CallSite]) -> Picture | None:
    """Return how much call sites cancel: the sites where a relative error grows most."""
    known = [site for site in sites if (drawable(site.cancellation) or 0) >= 1]
    known.sort(key=lambda site: -site.cancellation)
    shown = known[:MOST_BARS]
    if not shown:
        return None
    most = 1.5 * max(4.0, shown[0].cancellation)

    def draw(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        plain_axes(axes, grid="x")
        axes.set_xscale("log")
        places = range(len(shown))
        axes.barh(
            places,
            [site.cancellation - 0.9 for site in shown],
            left=0.9,
            height=0.36,
            color=LIGHT["sums"],
        )
        for place, site in zip(places, shown, strict=True):
            # Above its bar: names are long, and a phone is narrow.
            text = f"{_short(site.name, 60 if width > NARROW else 34)}: {number(site.cancellation)}"
            options = {"transform": axes.transData, "color": LIGHT["ink"]}
            write(axes, 1, place - 0.28, text, va="bottom", **options)
        axes.set_ylim(len(shown) - 0.6, -0.95)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0.9, most)
        ticks, names = log_ticks(0, math.floor(math.log10(most)), 6)
        axes.set_xticks(ticks, names)
        axes.minorticks_off()
        axes.set_xlabel("sum of magnitudes ÷ magnitude of the sum, at worst")

    height = 70 + 36 * len(shown)
    label = f"{shown[0].name} cancels most, by {number(shown[0].cancellation)}"
    return draw_picture("cancellation", "Cancellation", label, draw, heights=(height, height))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
