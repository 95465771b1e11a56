"""The report as Markdown: the same words and tables, for a README or a merge request."""

from __future__ import annotations

from collections.abc import Sequence

from hwgen.explore.records import Exploration
from hwgen.report.designs import designs, measured, quantities, reference
from hwgen.report.svg import Picture
from hwgen.report.templates import render

__all__ = ["markdown_summary"]


def markdown_summary(exploration: Exploration, pictures: Sequence[tuple[str, Picture]] = ()) -> str:
    """Return the summary; it shows the pictures that lie at the given paths."""
    base = reference(designs(exploration))
    ratios = [
        quantity
        for quantity in quantities(exploration)
        if quantity.compared and base is not None and measured(quantity, [base.point])
    ]
    return render("summary.md.jinja", exploration, pictures=pictures, ratios=ratios)
