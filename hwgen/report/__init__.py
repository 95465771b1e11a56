"""Pages and plots of explorations, from their records alone."""

from __future__ import annotations

from hwgen.report.loading import load
from hwgen.report.page import html_page
from hwgen.report.plots import Plots, draw_plots
from hwgen.report.summary import markdown_summary
from hwgen.report.svg import Picture, standalone

__all__ = [
    "Picture",
    "Plots",
    "draw_plots",
    "html_page",
    "load",
    "markdown_summary",
    "standalone",
]
