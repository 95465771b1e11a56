"""The report as one HTML page: it needs nothing but itself, and no network."""

from __future__ import annotations

import base64
import hashlib

from hwgen.explore.records import Exploration
from hwgen.report.designs import designs
from hwgen.report.distribution import MOST_BARS
from hwgen.report.palette import stylesheet
from hwgen.report.plots import Plots
from hwgen.report.templates import FOLDER, render

__all__ = ["html_page"]

_MOST_ROWS = 40  # longer tables are folded, to the front and what it is compared with
_MARKS = {"chosen": "★", "baseline": "■", "front": "●", "other": "○", "refused": "×"}


def html_page(exploration: Exploration, plots: Plots) -> str:
    """Return the page.

    It shows everything without its program too, which adds choosers, sorting and the facts of the
    spot that is pointed at. Its Content-Security-Policy forbids all other programs and all loading.
    """
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return render(
        "page.html.jinja",
        exploration,
        script=script,
        script_hash=_hash(script),
        style=stylesheet() + (FOLDER / "page.css").read_text(encoding="utf-8"),
        marks=_MARKS,
        kinds_seen={design.kind for design in designs(exploration)},
        plots=plots,
        most_bars=MOST_BARS,
        most_rows=_MOST_ROWS,
    )


def _hash(script: str) -> str:
    """What allows this script and no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
