"""The designs as a reader compares them: quantities, kinds, ratios, and how to make each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwgen.explore.records import Exploration, Point
from hwgen.report.numbers import drawable, finite, number, ratio
from hwgen.report.sites import window_of

__all__ = [
    "KINDS",
    "MOST_DESIGNS",
    "Design",
    "Quantity",
    "accuracy",
    "designs",
    "measured",
    "quantities",
    "reference",
]

# What a design is called in a table, and drawn as; the first that holds.
KINDS = {
    "chosen": "recommended",
    "baseline": "baseline",
    "front": "front",
    "refused": "too inaccurate",
    "other": "other",
}

_SIDE = 8  # of an array where none is named
MOST_DESIGNS = 600  # shown; a page of thousands would be megabytes that nobody reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something known of designs.

    Parameters
    ----------
    key : str
        The field of a point.
    title, unit : str
    larger_is_better : bool
    compared : bool
        Whether its ratio to a baseline's is of interest.
    """

    key: str
    title: str
    unit: str = ""
    larger_is_better: bool = False
    compared: bool = False

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def of(self, point: Point) -> float | None:
        """Return a point's number, also one that is not finite; None is not measured."""
        return getattr(point, self.key)

    def text(self, point: Point) -> str:
        """Write a point's number, without the unit."""
        value = self.of(point)
        return str(value) if self.key == "width" and value is not None else number(value)


_WIDTH = Quantity(key="width", title="Width", unit="bits", compared=True)
_ERROR = Quantity(key="error", title="Error seen")
_BOUND = Quantity(key="bound", title="Error bound")
_COSTS = (
    Quantity(key="energy_pj", title="Energy", unit="pJ a MAC", compared=True),
    Quantity(key="area_um2", title="Area", unit="µm²", compared=True),
    Quantity(key="fmax_mhz", title="fmax", unit="MHz", larger_is_better=True, compared=True),
)


def quantities(exploration: Exploration) -> list[Quantity]:
    """Return what an exploration may know of its designs, measured or not."""
    asked = []
    if exploration.metric_name is not None or measured(_metric(exploration), exploration.points):
        asked = [_metric(exploration)]
    costs = list(_COSTS)
    windows = map(window_of, exploration.points)
    if any(window is not None and window.dot > 1 for window in windows):
        # Of an element, by the products that it takes in a cycle.
        costs = [
            replace(cost, unit="µm² a MAC") if cost.key == "area_um2" else cost for cost in costs
        ]
    return [_WIDTH, *costs, *asked, _ERROR, _BOUND]


def accuracy(exploration: Exploration) -> Quantity | None:
    """Return what designs are judged by: the metric, else the error seen, else its bound."""
    for quantity in (_metric(exploration), _ERROR, _BOUND):
        if any(drawable(quantity.of(point)) is not None for point in exploration.points):
            return quantity
    return None


def measured(quantity: Quantity, points: Sequence[Point]) -> int:
    """Return for how many points a quantity is known."""
    return sum(quantity.of(point) is not None for point in points)


def _metric(exploration: Exploration) -> Quantity:
    title = exploration.metric_name or "Metric"
    return Quantity(
        key="metric",
        title=title[:1].upper() + title[1:],
        larger_is_better=not exploration.metric_smaller_is_better,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A point and what a reader does with it.

    Parameters
    ----------
    anchor : str
        Its id in the page.
    point : Point
    kind : str
        A key of ``KINDS``.
    command : str
        Makes its Verilog.
    """

    anchor: str
    point: Point
    kind: str
    command: str

    @property
    def datapath(self) -> str:
        """The datapath in words."""
        point = self.point
        return f"a={point.a} b={point.b} acc={point.acc} out={point.out}"

    @property
    def stimuli(self) -> str:
        """Energy by stimulus, as in "gaussian 4.1, recorded 3.2"; empty if it is not known."""
        energies = self.point.energies
        return ", ".join(f"{kind} {number(energy)}" for kind, energy in energies.items())

    def ratio(self, quantity: Quantity, baseline: Design | None) -> float | None:
        """Return how many times the baseline's number this one's is; None is not known."""
        if baseline is None or not quantity.compared:
            return None
        return ratio(quantity.of(self.point), quantity.of(baseline.point))


def designs(exploration: Exploration) -> list[Design]:
    """Return the designs: the recommended one, the baselines, the front, and others that fit."""
    found = [
        Design(
            anchor=f"design-{index}",
            point=point,
            kind=_kind(point),
            command=_command(point, index, exploration),
        )
        for index, point in enumerate(exploration.points, start=1)
    ]
    order = ("chosen", "baseline", "front", "other", "refused")
    found.sort(key=lambda design: (order.index(design.kind), _cost(design.point)))
    return found[:MOST_DESIGNS]


def reference(found: Sequence[Design]) -> Design | None:
    """Return the baseline that ratios are stated against: the first of those most is known of."""
    baselines = [design for design in found if design.point.baseline]
    return max(
        baselines,
        key=lambda design: sum(measured(cost, [design.point]) for cost in _COSTS),
        default=None,
    )


def _kind(point: Point) -> str:
    if point.chosen:
        return "chosen"
    if point.baseline:
        return "baseline"
    if point.acceptable is False:
        return "refused"
    return "front" if point.front else "other"


def _cost(point: Point) -> tuple[float, float]:
    """What designs of a kind are ordered by: energy, then width; unknown ones last."""
    known = [finite(value) for value in (point.energy_pj, point.width)]
    return tuple(float("inf") if value is None else value for value in known)


def _command(point: Point, index: int, exploration: Exploration) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", point.name.lower()).strip("_") or f"design_{index}"
    words = ["hwgen", "generate", "--a", point.a, "--b", point.b, "--acc", point.acc]
    rows, cols = (str(_SIDE if n is None else n) for n in (exploration.rows, exploration.cols))
    words += ["--out", point.out, "--rows", rows, "--cols", cols, "-o", f"build/{slug}"]
    return shlex.join(words)
