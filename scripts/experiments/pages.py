"""Pages of experiments: text, tables and plots in one HTML file that needs nothing but itself.

They look like the pages of :mod:`hwgen.report`, and are made of its style sheet, its colours and
its plots. They hold no program and load nothing, and follow the screen: light or dark, wide or
narrow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwgen import __version__
from hwgen.errors import HwgenError, ToolError
from hwgen.report.canvas import INSTALL, WIDE, draw_picture, log_ticks, plain_axes
from hwgen.report.numbers import number
from hwgen.report.palette import LIGHT, stylesheet
from hwgen.report.svg import inline
from hwgen.report.templates import FOLDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LARGEST", "Page"]

LARGEST = 300_000  # bytes of a page
Cell = str | int | float | None
Points = tuple[Sequence[float | str], Sequence[float | None]]
Numbers = tuple[list[float], list[float]]
Bars = Mapping[str, tuple[Sequence[float], Sequence[float]]]

# A series is told by its colour and by its mark, since not everybody sees colours.
_STYLES = (
    ("front", "o"),
    ("sums", "s"),
    ("chosen", "D"),
    ("refused", "X"),
    ("products", "^"),
    ("b", "v"),
    ("baseline", "P"),
    ("other", "*"),
)
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))  # after eight series, again with broken lines
# A number, with a sign, a unit, an interval, but no words to speak of.
_NUMERIC = re.compile(r"\s*[<>≤≥≈~±−+-]?\s*\d(?!.*[a-zA-Z]{5})")
_COORDINATES = re.compile(r' (?:d|x|y|transform)="[^"]*"')
_STYLE = re.compile(r'style="([^"]*)"')
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
_EMPTY = {"", "–", "—"}
_MORE_STYLE = (
    "td.words,th.words{text-align:left}td.words{white-space:normal;min-width:9rem}"
    "footer{margin-top:3rem;color:var(--muted);font-size:.9rem}"
    "figure{margin:1.2rem 0}.scroll{margin:1rem 0}"
    "th:first-child{overflow-wrap:break-word}"
)
_TEMPLATE = """{% macro words(column) %}{% if column %} class="words"{% endif %}{% endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;\
 style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hwgen {{ version }}">
<title>{{ title }} – hwgen</title>
<link rel="icon" href="data:,">
<style>{{ style | safe }}</style>
</head>
<body>
<header>
<p class="kicker">hwgen experiment</p>
<h1>{{ title }}</h1>
<p class="answer">{{ summary }}</p>
</header>
<main>
{%- for section in sections %}
<section>
{%- if section.heading %}
<h2>{{ section.heading }}</h2>
{%- endif %}
{%- for part in section.parts %}
{%- if part.kind == "plot" %}
<figure>{{ part.svg | safe }}<figcaption>{{ part.text }}</figcaption></figure>
{%- elif part.kind == "table" %}
<div class="scroll" role="region" aria-label="{{ part.text }}" tabindex="0">
<table>
<caption>{{ part.text }}</caption>
<thead><tr>
{%- for name in part.head %}
<th scope="col"{{ words(part.words[loop.index0]) }}>{{ name }}</th>
{%- endfor -%}
</tr></thead>
<tbody>
{%- for row in part.rows %}
<tr><th scope="row">{{ row[0] }}</th>
{%- for cell in row[1:] %}<td{{ words(part.words[loop.index]) }}>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody>
</table>
</div>
{%- else %}
<p{% if part.kind == "note" %} class="remark"{% endif %}>{{ part.text }}</p>
{%- endif %}
{%- endfor %}
</section>
{%- endfor %}
</main>
<footer><p>Made by <code>{{ source }}</code>, hwgen {{ version }}.</p></footer>
</body>
</html>
"""


class Page:
    """A page, from top to bottom as its methods are called.

    Parameters
    ----------
    title, summary : str
        The heading, and in one line what was found.
    source : str
        The command that makes the page again.
    """

    def __init__(self, title: str, summary: str, *, source: str) -> None:
        self._title, self._summary, self._source = title, summary, source
        self._sections: list[dict[str, object]] = []
        self._plots = 0
        self._styles: dict[str, str] = {}  # names of those in plots

    def section(self, heading: str) -> None:
        """Begin a section."""
        self._sections.append({"heading": heading, "parts": []})

    def text(self, paragraph: str) -> None:
        """Add a paragraph of plain text."""
        self._add(kind="text", text=paragraph)

    def note(self, paragraph: str) -> None:
        """Add a paragraph in small print."""
        self._add(kind="note", text=paragraph)

    def table(self, caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Add a table.

        Parameters
        ----------
        caption : str
        head : sequence of str
            Names of the columns; the first column names the rows.
        rows : sequence of rows
            Text and integers are shown as they are, floats with three digits, None as "not
            measured". Columns of numbers, or of text that begins like one, stand right.

        Raises
        ------
        ValueError
            If a row has not as many cells as the head.
        """
        for row in rows:
            if len(row) != len(head):
                raise ValueError(f"a row of {len(row)} cells under {len(head)} columns: {row!r}")
        columns = [[row[index] for row in rows] for index in range(len(head))]
        self._add(
            kind="table",
            text=caption,
            head=list(head),
            rows=[[_written(cell) for cell in row] for row in rows],
            words=[not all(map(_is_numeric, column)) for column in columns],
        )

    def plot(
        self,
        caption: str,
        series: Mapping[str, Points],
        *,
        x: str,
        y: str,
        log_x: bool = False,
        log_y: bool = False,
        bars: Bars | None = None,
    ) -> None:
        """Add a plot of lines with marks.

        Parameters
        ----------
        caption : str
            What is to be seen, in words: also for those who do not see the plot.
        series : mapping of str to (xs, ys)
            Points by the series' name. Where y is None or not finite the line has a gap. If any
            x is text, all are names along the axis and there are marks without lines.
        x, y : str
            Of the axes.
        log_x, log_y : bool
            Logarithmic axes; zeros stand apart at a tick of their own, negative numbers are
            refused.
        bars : mapping of str to (lows, highs), optional
            Ends of error bars (not their lengths), for any of the series.

        Raises
        ------
        ValueError
            If lengths differ, a series is empty, or a logarithmic axis has a negative number.
        ToolError
            If Matplotlib is not installed.
        """
        drawing = _Drawing(series, bars or {}, names=(x, y), log=(log_x, log_y))
        self._plots += 1
        picture = draw_picture(
            f"plot-{self._plots}",
            f"Plot of {y} against {x}",
            caption,
            drawing.draw,
            heights=drawing.heights,
        )
        self._add(kind="plot", text=caption, svg=self._shortened(inline(picture)))

    def write(self, path: Path) -> None:
        """Write the page, and the folder it is in.

        Raises
        ------
        HwgenError
            If it has grown too large for a page.
        ToolError
            If Jinja is not installed.
        """
        text = self.html()
        if (size := len(text.encode())) > LARGEST:
            raise HwgenError(f"the page has {size} bytes; allowed are {LARGEST}: plot fewer points")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def html(self) -> str:
        """Return the page."""
        try:
            from jinja2 import Environment, StrictUndefined
        except ImportError:
            raise ToolError("Jinja is not installed", hint=INSTALL) from None
        sheet = (FOLDER / "page.css").read_text(encoding="utf-8") + _MORE_STYLE
        sheet += "".join(f".plot .{name}{{{style}}}" for style, name in self._styles.items())
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        return environment.from_string(_TEMPLATE).render(
            title=self._title,
            summary=self._summary,
            source=self._source,
            sections=self._sections,
            version=__version__,
            style=stylesheet() + sheet,
        )

    def _shortened(self, svg: str) -> str:
        """Round coordinates to a hundredth of a unit and name styles: most of a page is these."""

        def rounded(match: re.Match[str]) -> str:
            return _LONG_NUMBER.sub(lambda found: f"{float(found.group()):.2f}", match.group())

        def named(match: re.Match[str]) -> str:
            return f'class="{self._styles.setdefault(match[1], f"s{len(self._styles)}")}"'

        return _STYLE.sub(named, _COORDINATES.sub(rounded, svg))

    def _add(self, **part: object) -> None:
        if not self._sections:
            self._sections.append({"heading": "", "parts": []})
        self._sections[-1]["parts"].append(part)


def _is_numeric(cell: Cell) -> bool:
    return not isinstance(cell, str) or cell.strip() in _EMPTY or bool(_NUMERIC.match(cell))


def _written(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}".replace("-", "\N{MINUS SIGN}")
    return number(None if cell is None else float(cell))


class _Drawing:
    """One plot: its data, checked, and how they are drawn."""

    def __init__(
        self,
        series: Mapping[str, Points],
        bars: Bars,
        *,
        names: tuple[str, str],
        log: tuple[bool, bool],
    ) -> None:
        if not series or _unknown_bars(series, bars):
            raise ValueError(f"bars of {sorted(bars)} for series {sorted(series)}")
        for name, (xs, ys) in series.items():
            if len(xs) != len(ys) or not len(xs):
                raise ValueError(f"series {name!r} has {len(xs)} x and {len(ys)} y")
        self._places = _categories(series)
        self._series = {
            name: ([self._place(x) for x in xs], [_finite(y) for y in ys])
            for name, (xs, ys) in series.items()
        }
        self._bars = {
            name: tuple([_finite(end) for end in ends] for ends in both)
            for name, both in bars.items()
        }
        self._names, self._log = names, log
        ends = [end for both in self._bars.values() for end in (*both[0], *both[1])]
        drawn_x = [x for xs, _ in self._series.values() for x in xs]
        drawn_y = [y for _, ys in self._series.values() for y in ys] + ends
        self._axes = tuple(
            _LogAxis(values, name) if is_log else None
            for values, name, is_log in zip((drawn_x, drawn_y), names, log, strict=True)
        )

    @property
    def heights(self) -> tuple[int, int]:
        """Units, wide and narrow: a plot and its legend."""
        count = len(self._series) if len(self._series) > 1 else 0
        return 340 + 20 * math.ceil(count / 3), 300 + 20 * count

    def draw(self, figure: Figure, width: int) -> None:
        """Draw everything into a figure of that many units."""
        axes = figure.subplots()
        plain_axes(axes, grid="y" if self._places else "both")
        for index, (name, (xs, ys)) in enumerate(self._series.items()):
            self._draw_series(axes, index, name, (xs, ys))
        for axis, chosen, title in zip("xy", self._axes, self._names, strict=True):
            if chosen is not None:
                chosen.set_up(axes, axis, most=7 if width >= WIDE or axis == "y" else 4)
            getattr(axes, f"set_{axis}label")(title)
        if self._places:
            turned = {"rotation": 30, "ha": "right"} if _crowded(self._places, width) else {}
            axes.set_xticks(list(self._places.values()), list(self._places), **turned)
            axes.set_xlim(-0.5, len(self._places) - 0.5)
        if len(self._series) > 1:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=3 if width >= WIDE else 1,
                frameon=False,
                fontsize=11,
                labelcolor=LIGHT["ink"],
            )

    def _draw_series(self, axes: Axes, index: int, name: str, points: Numbers) -> None:
        colour, mark = _STYLES[index % len(_STYLES)]
        xs, ys = (
            [value if axis is None else axis.shown(value) for value in values]
            for axis, values in zip(self._axes, points, strict=True)
        )
        dashes = _DASHES[index // len(_STYLES) % len(_DASHES)]
        axes.plot(
            xs,
            ys,
            linestyle="none" if self._places else dashes,
            linewidth=1.6,
            marker=mark,
            markersize=6,
            color=LIGHT[colour],
            label=name,
        )
        if name in self._bars:
            lows, highs = (
                [end if self._axes[1] is None else self._axes[1].shown(end) for end in ends]
                for ends in self._bars[name]
            )
            axes.vlines(xs, lows, highs, color=LIGHT[colour], linewidth=1.2)

    def _place(self, x: float | str) -> float:
        return self._places[x] if self._places else float(x)


def _unknown_bars(series: Mapping[str, Points], bars: Bars) -> bool:
    """Tell whether bars belong to no series, or are not as many as its points."""
    return any(
        name not in series or {len(low), len(high)} != {len(series[name][0])}
        for name, (low, high) in bars.items()
    )


def _categories(series: Mapping[str, Points]) -> dict[str | float, int]:
    """Places of names along the axis, in the order they come; none if all are numbers."""
    found = list(dict.fromkeys(x for xs, _ in series.values() for x in xs))
    if not any(isinstance(x, str) for x in found):
        return {}
    return {x: place for place, x in enumerate(found)}


def _crowded(places: Mapping[str | float, int], width: int) -> bool:
    return sum(len(str(name)) + 2 for name in places) * 7 > width - 60


def _finite(value: float | None) -> float:
    """A number, or what Matplotlib leaves a gap for."""
    return math.nan if value is None or not math.isfinite(value) else float(value)


class _LogAxis:
    """A logarithmic axis on which zero has a place of its own."""

    def __init__(self, values: Sequence[float], name: str) -> None:
        known = [value for value in values if not math.isnan(value)]
        if any(value < 0 for value in known):
            raise ValueError(f"{name!r} is logarithmic and has the negative number {min(known)}")
        positive = [value for value in known if value > 0] or [1.0]
        self._low = math.floor(math.log10(min(positive)))
        self._high = max(math.ceil(math.log10(max(positive))), self._low + 1)
        self._room = max(1.0, (self._high - self._low) / 10)
        self._zero = 10.0 ** (self._low - self._room) if 0 in known else None
        self._span = min(positive), max(positive)  # what is drawn, less zeros

    def shown(self, value: float) -> float:
        """Where a number stands."""
        return self._zero if value == 0 and self._zero is not None else value

    def set_up(self, axes: Axes, axis: str, *, most: int) -> None:
        """Set scale, limits and ticks of the "x" or "y" axis."""
        getattr(axes, f"set_{axis}scale")("log")
        ticks, names = log_ticks(self._low, self._high, most)
        low, high = self._span
        if high / low < 100:  # decades are too far apart
            ticks = [digit * 10.0 ** (self._low + up) for up in range(3) for digit in (1, 2, 5)]
            names = [number(tick, 1) for tick in ticks]
        if self._zero is not None:
            ticks, names, low = [self._zero, *ticks], ["0", *names], self._zero
        getattr(axes, f"set_{axis}ticks")(ticks, names)
        axes.minorticks_off()
        room = (high / low) ** 0.05 if high > low else 2.0
        getattr(axes, f"set_{axis}lim")(low / room, high * room)
