"""Drawing with Matplotlib: one style, two sizes, the same bytes for the same data.

Matplotlib, since its SVG is text that needs no program to be shown, in a page as in a paper; what
moves in the page is a few lines of its own. Charting libraries for browsers are megabytes of
program a page, and show nothing without it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwgen.errors import ToolError
from hwgen.report.numbers import power
from hwgen.report.palette import LIGHT
from hwgen.report.svg import Link, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INSTALL", "NARROW", "WIDE", "Draw", "draw_picture", "log_ticks", "plain_axes", "write"]

INSTALL = "install what reports need with: pip install 'hwgen[report]'"
WIDE, NARROW = 760, 360  # units; a unit is about a pixel
_UNITS_PER_INCH = 72

# Draws into an empty figure of the given width in units.
Draw = Callable[["Figure", int], None]


def draw_picture(
    name: str,
    title: str,
    label: str,
    draw: Draw,
    *,
    heights: tuple[int, int],
    links: Mapping[str, Link] | None = None,
) -> Picture:
    """Draw a plot in both sizes, of the given heights in units (wide, narrow).

    Raises
    ------
    ToolError
        If Matplotlib is not installed.
    """
    wide, narrow = (
        _render(draw, width, height) for width, height in zip((WIDE, NARROW), heights, strict=True)
    )
    return Picture(name=name, title=title, label=label, wide=wide, narrow=narrow, links=links or {})


def _render(draw: Draw, width: int, height: int) -> str:
    with _style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        size = (width / _UNITS_PER_INCH, height / _UNITS_PER_INCH)
        figure = Figure(figsize=size, dpi=_UNITS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)  # knows how long texts are; what is written is SVG
        draw(figure, width)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    try:
        import matplotlib
    except ImportError:
        raise ToolError("Matplotlib is not installed", hint=INSTALL) from None
    settings = {
        "svg.fonttype": "none",  # text stays text: to be read aloud, found and copied
        "svg.hashsalt": "hwgen",  # and ids stay what they were
        "text.parse_math": False,  # names are no formulas
        "axes.unicode_minus": True,
        "font.size": 12,
        "axes.labelsize": 12,
        "axes.titlesize": 12,
        "text.color": LIGHT["ink"],
        "axes.labelcolor": LIGHT["muted"],
        "axes.edgecolor": LIGHT["line"],
        "xtick.color": LIGHT["line"],
        "ytick.color": LIGHT["line"],
        "xtick.labelcolor": LIGHT["muted"],
        "ytick.labelcolor": LIGHT["muted"],
        "grid.color": LIGHT["line"],
        "grid.linewidth": 0.6,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "hatch.linewidth": 0.8,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Names may be in any script; the reader's own fonts will show them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def write(axes: Axes, x: float, y: float, text: str, **options: object) -> None:
    """Write into a plot, by default in axes coordinates, small and muted."""
    defaults = {"transform": axes.transAxes, "fontsize": 11, "color": LIGHT["muted"]}
    axes.text(x, y, text, **(defaults | options))


def plain_axes(axes: Axes, *, grid: str | None = None) -> None:
    """Leave out the frame but for the axes; add rules along ``grid`` ("x", "y" or "both")."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(visible=True, axis=grid)


def log_ticks(low: int, high: int, most: int) -> tuple[list[float], list[str]]:
    """Return powers of ten from exponent ``low`` to ``high``, at most about ``most``, and names."""
    step = max(1, -(-(high - low + 1) // most))
    exponents = [e for e in range(low, high + 1) if e % step == 0]
    return [10.0**e for e in exponents], [power(10, e) for e in exponents]
