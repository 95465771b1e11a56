"""The picture of a window: the register's bits under the exponents of the data it was made for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwgen.explore.records import CallSite, Histogram
from hwgen.report.canvas import WIDE, draw_picture, plain_axes, write
from hwgen.report.numbers import power, share, signed
from hwgen.report.palette import LIGHT
from hwgen.report.sites import SiteView, occupied
from hwgen.report.svg import Picture
from hwgen.spec.accumulator import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["register_plot"]

_CELLS = 64  # registers up to this width show every bit
_LEAST_SPAN = 8
_ROOM = 130  # units that the names of msb and lsb take, side by side


def register_plot(view: SiteView) -> Picture:
    """Return the exponents of a call site, and the register under them."""
    span = _span(view.site, view.window)

    def draw(figure: Figure, width: int) -> None:
        rows = figure.subplots(4, 1, sharex=True, height_ratios=(1, 1, 1, 0.7))
        _draw(rows, width, view.site, view.window, span)
        if view.allowed is not None:
            _draw_allowed(rows, view.allowed)

    title = f"Exponents of {view.site.name}"
    return draw_picture(view.key, title, " ".join(view.facts), draw, heights=(470, 450))


def _span(site: CallSite, window: Window | None) -> tuple[int, int]:
    """The exponents to draw, from the lowest to one above the highest."""
    ranges = [occupied(part) for part in (site.a, site.b, site.products, site.sums)]
    if window is not None:
        ranges.append((window.lsb, window.msb + window.ovf))
    low = min(part[0] for part in ranges if part)
    high = max(part[1] for part in ranges if part) + 1
    missing = max(0, _LEAST_SPAN - (high - low))
    margin = 1 + (high - low) // 40 + missing // 2
    return low - margin, high + margin


def _draw(
    rows: Sequence[Axes],
    width: int,
    site: CallSite,
    window: Window | None,
    span: tuple[int, int],
) -> None:
    histograms = (
        [("a", site.a), ("b", site.b)],
        [("products", site.products)],
        [("sums", site.sums)],
    )
    titles = ("operands: A filled, B a line", "products", "partial sums")
    for axes, title, parts in zip(rows, titles, histograms, strict=False):
        _draw_histograms(axes, title, parts)
        if window is not None:
            _draw_bands(axes, window)
    # Large weights on the left, as a register is written.
    rows[3].set_xlim(span[1], span[0])
    _draw_register(rows[3], window, width)
    step = next(
        step
        for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**9)
        if (span[1] - span[0]) / step <= (14 if width >= WIDE else 6)
    )
    ticks = [e for e in range(span[0], span[1] + 1) if e % step == 0]
    rows[3].set_xticks(ticks, [power(2, e) for e in ticks])
    rows[3].set_xlabel("magnitude, and weight of a bit")


def _draw_histograms(axes: Axes, title: str, parts: Sequence[tuple[str, Histogram]]) -> None:
    plain_axes(axes)
    axes.set_yscale("log")
    top = 1.0
    for index, (name, histogram) in enumerate(parts):
        ends = occupied(histogram)
        if ends is None:
            continue
        first, last = ends
        counts = histogram.counts[first - histogram.first : last - histogram.first + 1]
        colour = LIGHT[name]
        axes.stairs(
            # A base below one keeps a single count visible on the logarithmic axis.
            [max(count, 0.5) for count in counts],
            range(first, last + 2),
            baseline=0.5,
            fill=index == 0,
            color=colour,
            alpha=0.85 if index == 0 else 1.0,
            linewidth=0 if index == 0 else 1.6,
        )
        top = max(top, *counts)
    axes.set_ylim(0.5, float(top) ** 1.1 * 2)
    axes.set_yticks([])
    axes.minorticks_off()
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=0)
    style = {"loc": "left", "fontsize": 12, "fontweight": "bold", "pad": 4}
    axes.set_title(title, color=LIGHT[parts[0][0]], **style)
    zeros = sum(histogram.zeros for _, histogram in parts)
    if zeros:
        whole = zeros + sum(sum(histogram.counts) for _, histogram in parts)
        text = f"zeros: {share(zeros, whole)}"
        axes.set_title(text, loc="right", fontsize=11, color=LIGHT["muted"], pad=4)


def _draw_bands(axes: Axes, window: Window) -> None:
    low, edge, high = window.lsb, window.msb + 1, window.msb + window.ovf + 1
    axes.axvspan(low, edge, color=LIGHT["chosen"], alpha=0.13, linewidth=0, zorder=0)
    if high > edge:
        axes.axvspan(edge, high, color=LIGHT["chosen"], alpha=0.05, linewidth=0, zorder=0)
    for place in {low, edge, high}:
        axes.axvline(place, color=LIGHT["chosen"], linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)


def _draw_allowed(rows: Sequence[Axes], allowed: float) -> None:
    """Mark how large an error may be, in the rows of products and sums."""
    for axes in rows[1:3]:
        axes.axvline(allowed, color=LIGHT["refused"], linewidth=1.4, zorder=3)
    left, right = rows[1].get_xlim()
    beyond = allowed - right < 0.3 * (left - right)
    rows[1].annotate(
        "allowed error",
        (allowed, 0.97),
        (-4 if beyond else 4, 0),
        xycoords=rows[1].get_xaxis_transform(),
        textcoords="offset points",
        color=LIGHT["refused"],
        fontsize=11,
        ha="right" if beyond else "left",
        va="top",
    )


def _draw_register(axes: Axes, window: Window | None, width: int) -> None:
    plain_axes(axes)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if window is None:
        write(axes, 0.5, 0.5, "no window: the sum is a floating-point number", ha="center")
        return
    low, edge, high = window.lsb, window.msb + 1, window.msb + window.ovf + 1
    colour = LIGHT["chosen"]
    axes.axvspan(low, edge, 0.18, 0.58, facecolor=colour, linewidth=0)
    if high > edge:
        axes.axvspan(edge, high, 0.18, 0.58, facecolor=colour, alpha=0.35, linewidth=0)
    if window.width <= (_CELLS if width >= WIDE else _CELLS // 2):
        for place in range(low + 1, high):
            axes.plot([place, place], [0.18, 0.58], color=LIGHT["page"], linewidth=0.8)
    axes.plot([low, high, high, low, low], [0.18, 0.18, 0.58, 0.58, 0.18], color=colour)
    options = {"transform": axes.transData, "color": colour, "va": "bottom", "fontweight": "bold"}
    write(axes, edge, 0.66, f"msb {signed(window.msb)}", ha="left", **options)
    # A short window has no room for two names above it.
    left, right = axes.get_xlim()
    if (edge - low) / abs(left - right) * width >= _ROOM:
        write(axes, low, 0.66, f"lsb {signed(window.lsb)}", ha="right", **options)
    else:
        write(axes, low, 0.62, f" lsb {signed(window.lsb)}", ha="left", **options | {"va": "top"})
    if window.ovf:
        room = window.ovf / abs(left - right) * width >= _ROOM / 2
        place, across = ((edge + high) / 2, "center") if room else (edge, "right")
        # The space keeps it off the name of msb.
        text = f"ovf {window.ovf}" + ("" if room else "\N{NO-BREAK SPACE}" * 2)
        write(axes, place, 0.66, text, ha=across, **options)
