"""Filling in the templates of page and summary, which say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from hwgen import __version__
from hwgen.errors import ToolError
from hwgen.explore.records import CallSite, Exploration
from hwgen.report.canvas import INSTALL
from hwgen.report.content import (
    answer,
    chosen_design,
    comparisons,
    facts,
    gaps,
    saving_sentence,
)
from hwgen.report.designs import KINDS, Design, designs, measured, quantities, reference
from hwgen.report.numbers import NOT_MEASURED, number, ratio_text
from hwgen.report.sites import MOST_SITES, site_views, window_of
from hwgen.report.svg import inline

__all__ = ["FOLDER", "render"]

FOLDER = Path(__file__).parent
# What Markdown takes for its own: at the start of a line, and anywhere.
_LIST = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
_MARKDOWN = re.compile(r"([\\`*{}\[\]<>#|~!&$]|(?<!\w)_|_(?!\w))")


def render(template: str, exploration: Exploration, **more: Any) -> str:
    """Return a template's text; names and notes may hold anything, they are shown as text.

    Raises
    ------
    ToolError
        If Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ToolError("Jinja is not installed", hint=INSTALL) from None
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=template.endswith(".html.jinja"),
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "amounts": _amounts,
        "cell": _cell,
        "code": _code,
        "draw": inline,
        "notes": _notes,
        "number": number,
        "ratio": ratio_text,
        "shell": shlex.join,
    }
    return environment.get_template(template).render(**_values(exploration), **more)


def _values(exploration: Exploration) -> dict[str, Any]:
    found = designs(exploration)
    chosen = chosen_design(found)
    known = quantities(exploration)
    return {
        "exploration": exploration,
        "hwgen_version": __version__,
        "answer": answer(exploration, found),
        "chosen": chosen,
        "registered": chosen if chosen and window_of(chosen.point) else None,
        "facts": facts(exploration, found),
        "comparisons": comparisons(exploration, found),
        "compared": [quantity for quantity in known if quantity.compared],
        # What is known of no design has no column; it is said elsewhere.
        "columns": [quantity for quantity in known if measured(quantity, exploration.points)],
        "designs": found,
        "base": reference(found),
        "advised": [d for d in found if d.kind in ("chosen", "baseline", "front")],
        "baselines": [design for design in found if design.point.baseline],
        "noted": [design for design in found if design.point.notes or design.stimuli],
        "kinds": KINDS,
        "sites": site_views(exploration, chosen and chosen.point),
        "gaps": gaps(exploration, found),
        "saving": saving_sentence(exploration),
        "most_sites": MOST_SITES,
        "not_measured": NOT_MEASURED,
    }


def _amounts(site: CallSite) -> str:
    calls = "1 call" if site.calls == 1 else f"{site.calls:,} calls"
    return f"{calls}, {site.macs:,} MACs, up to {site.terms:,} products a sum"


def _notes(design: Design) -> str:
    """A design's notes in one line."""
    energies = [f"energy by stimulus, pJ a MAC: {design.stimuli}"] if design.stimuli else []
    return "; ".join([*design.point.notes, *energies])


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, also within a table and at the start of a line."""
    return _LIST.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", text))


def _code(text: str) -> str:
    """Text as code: between more backticks than it holds itself."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"
