"""All plots of a report."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.explore.records import Exploration
from hwgen.report.content import chosen_design
from hwgen.report.designs import designs
from hwgen.report.distribution import cancellation_plot, error_plot
from hwgen.report.front import fronts
from hwgen.report.register import register_plot
from hwgen.report.sites import site_views
from hwgen.report.svg import Picture

__all__ = ["Plots", "draw_plots"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """What could be drawn; None or an empty list is what could not."""

    fronts: list[Picture]
    sites: list[Picture]
    errors: Picture | None
    cancellation: Picture | None

    @property
    def pictures(self) -> list[Picture]:
        """All of them, in the order of the page."""
        drawn = [*self.fronts, *self.sites]
        return drawn + [part for part in (self.errors, self.cancellation) if part is not None]


def draw_plots(exploration: Exploration) -> Plots:
    """Draw everything that is known.

    Raises
    ------
    ToolError
        If Matplotlib is not installed.
    """
    found = designs(exploration)
    chosen = chosen_design(found)
    return Plots(
        fronts=fronts(exploration, found),
        sites=[register_plot(view) for view in site_views(exploration, chosen and chosen.point)],
        errors=error_plot(exploration, found),
        cancellation=cancellation_plot(exploration.call_sites),
    )
