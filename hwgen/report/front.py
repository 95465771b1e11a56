"""The plots to choose by: what designs cost, against how accurate they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwgen.explore.records import Exploration
from hwgen.report.canvas import WIDE, draw_picture, log_ticks, plain_axes
from hwgen.report.designs import KINDS, Design, Quantity, accuracy, quantities
from hwgen.report.numbers import drawable, number
from hwgen.report.palette import LIGHT
from hwgen.report.svg import Link, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

__all__ = ["fronts"]

_LOG_FROM = 12.0  # costs that differ by more are drawn on a logarithmic axis
_LABELS = 8  # names written into the plot; the others are a tap away
# Where a name may stand, from its design to the right and up, in units; the best place first.
_PLACES = ((9, 0), (0, 9), (-9, 0), (0, -9), (7, 7), (-7, -7), (-7, 7), (7, -7))
_FAR_PLACES = ((0, 24), (0, -24), (-7, 24), (-7, -24), (7, 24), (7, -24), (-7, 44))
_OUTSIDE = 8  # units by which a name may leave the axes on the right
_MARKERS = {  # marker, size in units, filled
    "chosen": ("*", 17, True),
    "baseline": ("s", 9, True),
    "front": ("o", 8, True),
    "other": ("o", 6.5, False),
    "refused": ("x", 7, False),
}
# Drawn in this order, so that what matters lies on top.
_ORDER = ("refused", "other", "front", "baseline", "chosen")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A design and its place in the plot."""

    design: Design
    x: float
    y: float


def fronts(exploration: Exploration, found: Sequence[Design]) -> list[Picture]:
    """Return the plots of energy and of width; of those only that can be drawn."""
    judged = accuracy(exploration)
    if judged is None:
        return []
    costs = {quantity.key: quantity for quantity in quantities(exploration)}
    return [
        picture
        for key in ("energy_pj", "width")
        if (picture := _front(exploration, found, costs[key], judged)) is not None
    ]


def _front(
    exploration: Exploration, found: Sequence[Design], cost: Quantity, judged: Quantity
) -> Picture | None:
    known = [
        _Spot(design=design, x=x, y=y)
        for design in found
        if (x := drawable(judged.of(design.point))) is not None
        and (y := drawable(cost.of(design.point))) is not None
    ]
    if not known:
        return None
    known.sort(key=lambda spot: (_ORDER.index(spot.design.kind), spot.x, spot.y))

    def draw(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        scale = _accuracy_axis(axes, exploration, judged, known, width)
        _cost_axis(axes, cost, known)
        placed = [_Spot(design=spot.design, x=scale(spot.x), y=spot.y) for spot in known]
        _draw_line(axes, placed, judged)
        for spot in placed:
            _draw_spot(axes, spot)
        _draw_limit(axes, exploration, judged, scale)
        _name_spots(figure, axes, placed, width)

    missing = len(found) - len(known)
    links = {
        f"spot-{spot.design.anchor}": Link(
            target=spot.design.anchor, label=_describe(spot.design, cost, judged)
        )
        for spot in known
    }
    return draw_picture(
        cost.key.split("_")[0],
        f"{cost.title} against {judged.title.lower()}",
        f"{len(known)} designs" + (f"; {missing} not drawn, not measured" if missing else ""),
        draw,
        heights=(430, 340),
        links=links,
    )


def _describe(design: Design, cost: Quantity, judged: Quantity) -> str:
    point = design.point
    return (
        f"{point.name}, {KINDS[design.kind]}: {cost.title.lower()} {cost.text(point)} {cost.unit},"
        f" {judged.title.lower()} {judged.text(point)}"
    )


def _accuracy_axis(
    axes: Axes,
    exploration: Exploration,
    judged: Quantity,
    known: Sequence[_Spot],
    width: int,
) -> Callable[[float], float]:
    """Set up the horizontal axis; return the function from a number to its place there."""
    plain_axes(axes, grid="both")
    if judged.key == "metric":
        name = _short(judged.title)
        more, less = f"{name} (more is better) →", f"← {name} (less is better)"
        axes.set_xlabel(more if judged.larger_is_better else less)
        axes.margins(x=0.08)
        axes.xaxis.get_major_locator().set_params(nbins=9 if width >= WIDE else 5)
        return lambda value: value
    axes.set_xlabel(f"← {judged.title.lower()}, of the largest result (less is better)")
    if width < WIDE:
        axes.set_xlabel(f"← {judged.title.lower()} (less is better)")
    positive = [spot.x for spot in known if spot.x > 0]
    tolerance = drawable(exploration.tolerance)
    if tolerance is not None and tolerance > 0:
        positive.append(tolerance)
    low = math.floor(math.log10(min(positive))) if positive else 0
    high = math.ceil(math.log10(max(positive))) if positive else 0
    high = max(high, low + 1)
    # An error of 0 has no logarithm: it stands left of the others, under its own tick.
    room = max(1.0, (high - low) / 10)
    zero = 10.0 ** (low - room)
    ticks, names = log_ticks(low, high, 8 if width >= WIDE else 5)
    axes.set_xscale("log")
    has_zero = len([spot for spot in known if spot.x <= 0]) > 0
    if has_zero:
        ticks, names = [zero, *ticks], ["0", *names]
    axes.set_xticks(ticks, names)
    axes.minorticks_off()
    left = zero / 10 ** (room / 2) if has_zero else 10.0 ** (low - room / 4)
    axes.set_xlim(left, 10.0 ** (high + room / 4))
    return lambda value: value if value > 0 else zero


def _cost_axis(axes: Axes, cost: Quantity, known: Sequence[_Spot]) -> None:
    values = [spot.y for spot in known]
    axes.set_ylabel(f"← {cost.heading}")
    if min(values) > 0 and max(values) > _LOG_FROM * min(values):
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 1.7, max(values) * 1.5)
        steps = [m * 10.0**e for e in range(low, high + 1) for m in (1, 2, 5)]
        steps = [step for step in steps if min(values) / 1.7 <= step <= max(values) * 1.5]
        if len(steps) > 9:
            steps, names = log_ticks(low, high, 7)
            axes.set_yticks(steps, names)
        else:
            axes.set_yticks(steps, [f"{step:g}" for step in steps])
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1.12 * max(values) or 1)


def _draw_line(axes: Axes, placed: Sequence[_Spot], judged: Quantity) -> None:
    """Join the front by steps: what lies behind them, some acceptable design beats.

    The front of this plot's two axes, which need not be all that the front was judged by.
    """
    rising = judged.larger_is_better
    line: list[tuple[float, float]] = []
    able = [(spot.x, spot.y) for spot in placed if spot.design.point.acceptable]
    # From the most accurate on, each cheaper than all before it.
    for x, y in sorted(able, key=lambda at: (-at[0] if rising else at[0], at[1])):
        if not line or y < line[-1][1]:
            line.append((x, y))
    axes.step(
        [x for x, _ in line],
        [y for _, y in line],
        where="post",
        color=LIGHT["front"],
        linewidth=1.6,
        alpha=0.55,
    )


def _draw_spot(axes: Axes, spot: _Spot) -> None:
    marker, size, filled = _MARKERS[spot.design.kind]
    colour = LIGHT[spot.design.kind]
    (line,) = axes.plot(
        [spot.x],
        [spot.y],
        marker=marker,
        markersize=size,
        linestyle="none",
        markeredgecolor=LIGHT["page"] if filled else colour,
        markerfacecolor=colour if filled else "none",
        markeredgewidth=0.8 if filled else 1.4,
        clip_on=False,
        zorder=4 + _ORDER.index(spot.design.kind) / 10,
    )
    line.set_gid(f"spot-{spot.design.anchor}")


def _draw_limit(
    axes: Axes, exploration: Exploration, judged: Quantity, scale: Callable[[float], float]
) -> None:
    """Draw the tolerance, or the metric of the unchanged program."""
    if judged.key == "metric":
        limit, text = drawable(exploration.native_metric), "unchanged program"
    else:
        limit, text = drawable(exploration.tolerance), "allowed"
    if limit is None or (limit <= 0 and judged.key != "metric"):
        return
    place = scale(limit)
    axes.axvline(place, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    axes.text(
        place,
        1.01,
        f"{text} {number(limit)}",
        transform=axes.get_xaxis_transform(),
        ha="right" if judged.key != "metric" else "center",
        va="bottom",
        fontsize=11,
        color=LIGHT["muted"],
    )


def _name_spots(figure: Figure, axes: Axes, placed: Sequence[_Spot], width: int) -> None:
    """Write the names that fit, the most important first."""
    figure.draw_without_rendering()  # the layout, so that places are known
    figure.set_layout_engine("none")
    taken = [_box(axes, spot, 5) for spot in placed]
    important = [spot for spot in reversed(placed) if spot.design.kind not in ("other", "refused")]
    for spot in important[: _LABELS if width >= WIDE else _LABELS // 2]:
        # Only one name may stand so far off that another design is nearer.
        for place in _PLACES + (_FAR_PLACES if spot.design.kind == "chosen" else ()):
            text = _name_spot(axes, spot, place)
            box = text.get_window_extent(figure.canvas.get_renderer())
            frame = axes.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 + _OUTSIDE and frame.y0 <= box.y0
            if inside and box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _name_spot(axes: Axes, spot: _Spot, place: tuple[int, int]) -> Annotation:
    right, up = place
    return axes.annotate(
        _short(spot.design.point.name),
        (spot.x, spot.y),
        place,
        textcoords="offset points",
        ha="center" if right == 0 else "left" if right > 0 else "right",
        va="center" if up == 0 else "bottom" if up > 0 else "top",
        fontsize=11,
        color=LIGHT[spot.design.kind],
        fontweight="bold" if spot.design.kind == "chosen" else "normal",
        bbox={"facecolor": LIGHT["page"], "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
        annotation_clip=False,
    )


def _box(axes: Axes, spot: _Spot, half: float) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((spot.x, spot.y))
    return Bbox([[x - half, y - half], [x + half, y + half]])


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"
