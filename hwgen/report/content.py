"""What a report says in words and tables, whatever it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwgen.explore.records import Exploration
from hwgen.report.designs import Design, Quantity, accuracy, quantities, reference
from hwgen.report.numbers import NOT_MEASURED, finite, number, ratio, ratio_text
from hwgen.report.sites import MOST_SITES, window_of

__all__ = [
    "Comparison",
    "Fact",
    "answer",
    "chosen_design",
    "comparisons",
    "facts",
    "gaps",
    "saving_sentence",
]

_LEAST_SAVING = 0.005  # of the energy; less is within what estimates are off


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A number of the recommended design, and what it is to be compared with."""

    title: str
    value: str
    unit: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The recommended design against one baseline; a ratio for each compared quantity."""

    baseline: Design
    ratios: list[str]


def chosen_design(found: Sequence[Design]) -> Design | None:
    """Return the recommended design."""
    return next((design for design in found if design.kind == "chosen"), None)


def answer(exploration: Exploration, found: Sequence[Design]) -> str:
    """Return what was found, in a sentence or two."""
    chosen = chosen_design(found)
    if chosen is None:
        if not found:
            return "No design was explored."
        if all(point.acceptable is False for point in exploration.points):
            return f"Of {_designs(len(exploration.points))} explored, none is accurate enough."
        return f"Of {_designs(len(exploration.points))} explored, none is recommended."
    window = window_of(chosen.point)
    kind = f", a register of {window.width} bits" if window is not None else ""
    text = f"{chosen.point.name} is recommended{kind}."
    base = reference(found)
    if base is not None and base is not chosen:
        savings = [
            f"{ratio_text(value)} the {quantity.title.lower()}"
            for quantity in quantities(exploration)
            if quantity.compared and quantity.key != "width"
            if (value := chosen.ratio(quantity, base)) is not None
        ]
        if savings:
            text += f" It has {_join(savings)} of {base.point.name}."
    return text


def facts(exploration: Exploration, found: Sequence[Design]) -> list[Fact]:
    """Return the numbers of the recommended design, measured or not."""
    chosen, base = chosen_design(found), reference(found)
    if chosen is None:
        return []
    return [
        Fact(
            title=quantity.title,
            value=quantity.text(chosen.point),
            unit=quantity.unit if quantity.of(chosen.point) is not None else "",
            remark=_remark(exploration, chosen, base, quantity),
        )
        for quantity in quantities(exploration)
    ]


def _remark(
    exploration: Exploration, chosen: Design, base: Design | None, quantity: Quantity
) -> str:
    if quantity.key == "metric":
        native = exploration.native_metric
        return "" if native is None else f"unchanged program: {number(native)}"
    if quantity.key == "error":
        return "" if exploration.tolerance is None else f"allowed: {number(exploration.tolerance)}"
    if quantity.key == "bound":
        return "proven from ranges" if chosen.point.bound is not None else ""
    value = chosen.ratio(quantity, base)
    if value is None or base is chosen:
        return ""
    return f"{ratio_text(value)} {base.point.name}"


def comparisons(exploration: Exploration, found: Sequence[Design]) -> list[Comparison]:
    """Return the recommended design's ratios to each baseline."""
    chosen = chosen_design(found)
    if chosen is None:
        return []
    compared = [quantity for quantity in quantities(exploration) if quantity.compared]
    found_ratios = []
    for design in found:
        if not design.point.baseline or design is chosen:
            continue
        ratios = [ratio(q.of(chosen.point), q.of(design.point)) for q in compared]
        texts = [NOT_MEASURED if value is None else ratio_text(value) for value in ratios]
        found_ratios.append(Comparison(baseline=design, ratios=texts))
    return found_ratios


def saving_sentence(exploration: Exploration) -> str:
    """Return what a design for each call site would save; empty where that is not known."""
    saving = finite(exploration.site_saving)
    if saving is None or not exploration.site_designs:
        return ""
    amount = "next to nothing" if saving < _LEAST_SAVING else f"about {100 * saving:.2g} %"
    return (
        f"A design for each call site, weighted by MACs, would save {amount} of the energy of one"
        " for all. This is an estimate: energies are measured, but windows follow from the sums and"
        " errors seen at each call site, and no program was run on them."
    )


def gaps(exploration: Exploration, found: Sequence[Design]) -> list[str]:
    """Return what is not known, so that nobody takes silence for a zero."""
    said = []
    for quantity in quantities(exploration):
        names = [point.name for point in exploration.points if quantity.of(point) is None]
        if not names:
            continue
        if len(names) == len(exploration.points):
            said.append(f"{quantity.title}: {NOT_MEASURED}.")
            continue
        which = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        said.append(
            f"{quantity.title}: {NOT_MEASURED} for {len(names)} of "
            f"{_designs(len(exploration.points))} ({which})."
        )
    if len(found) < len(exploration.points):
        said.append(
            f"Designs: {len(found)} of {len(exploration.points)} are shown, the front's first."
        )
    if not any(design.point.baseline for design in found):
        said.append("Baseline: none was explored, so nothing is stated as a ratio.")
    if exploration.tolerance is None and exploration.metric_name is None:
        said.append("Requirement: neither a tolerance nor a metric was given.")
    if exploration.metric_name is not None and exploration.native_metric is None:
        said.append(f"{exploration.metric_name} of the unchanged program: {NOT_MEASURED}.")
    if not exploration.call_sites:
        said.append("Call sites: none were recorded, so no exponents are shown.")
    if len(exploration.call_sites) > MOST_SITES:
        said.append(
            f"Call sites: the {MOST_SITES} with the most MACs of {len(exploration.call_sites)} are"
            " drawn, and all of them together."
        )
    if exploration.library is None:
        said.append("Cell library: none is named, so energy and area hold for none in particular.")
    if exploration.seconds is None:
        said.append(f"Time of the exploration: {NOT_MEASURED}.")
    judged = accuracy(exploration)
    if judged is None:
        said.append(
            "Accuracy: neither a metric, an error nor a bound is known, so no front is drawn."
        )
    return said


def _designs(count: int) -> str:
    return "1 design" if count == 1 else f"{count} designs"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
