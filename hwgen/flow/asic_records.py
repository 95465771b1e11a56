"""What a run for standard cells found, as values: area, timing, energy and what they rest on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwgen.flow.energy import Energy
from hwgen.flow.records import REPORT_VERSION, Step

__all__ = ["AsicPart", "AsicReport", "EnergyFigure", "mean_figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsicPart:
    """A mapped part of the design.

    Parameters
    ----------
    name : str
        "pe", "rounder" or "core".
    area : float
        Of its cells, in the library's unit, as a rule um^2.
    cells : mapping
        How many there are of each cell.
    flip_flops : int
    registers : mapping
        Flip-flops by the instance on the top level that they are in; "" for its own.
    leakage_uw : float
    period_ns : float
        Of its longest path between registers, setup included.
    fmax_mhz : float
    timing : str
        What told the period: "OpenSTA" or "hwgen's estimate".
    critical_path : tuple of str
        The nets of that path.
    """

    name: str
    area: float
    cells: Mapping[str, int]
    flip_flops: int
    registers: Mapping[str, int]
    leakage_uw: float
    period_ns: float
    fmax_mhz: float
    timing: str
    critical_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFigure:
    """Energy on one stimulus, in pJ.

    Parameters
    ----------
    stimulus : str
        Its kind.
    seed : int
    terms : int
        Products of one dot product.
    macs, cycles : int
        Products computed while measuring, by all elements together, and the cycles they took.
    mac : Energy
        Of one product: of an element or, for a whole core, of everything.
    rounding : Energy or None
        Of one result through a rounder; None for a whole core, whose ``mac`` holds it.
    error : float or None
        Of results, relative to float64; None where one is invalid.
    """

    stimulus: str
    seed: int
    terms: int
    macs: int
    cycles: int
    mac: Energy
    rounding: Energy | None
    error: float | None

    @property
    def rounded_mac_pj(self) -> float:
        """Dynamic energy of one product, with its share of the final rounding."""
        share = self.rounding.dynamic / self.terms if self.rounding else 0.0
        return self.mac.dynamic + share

    @property
    def dot_product_pj(self) -> float:
        """Dynamic energy of one dot product, final rounding included."""
        return self.terms * self.rounded_mac_pj

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with what follows from them."""
        return {
            "stimulus": self.stimulus,
            "seed": self.seed,
            "terms": self.terms,
            "macs": self.macs,
            "cycles": self.cycles,
            "mac_pj": _plain(self.mac),
            "rounding_pj": None if self.rounding is None else _plain(self.rounding),
            "rounded_mac_pj": self.rounded_mac_pj,
            "dot_product_pj": self.dot_product_pj,
            "error": self.error,
        }


def _plain(energy: Energy) -> dict[str, float]:
    return dataclasses.asdict(energy) | {
        "dynamic": energy.dynamic,
        "zero_delay": energy.zero_delay,
    }


def mean_figure(figures: tuple[EnergyFigure, ...]) -> EnergyFigure:
    """Return the mean over seeds of figures of one kind of stimulus; its error is the worst."""
    count = len(figures)
    first = figures[0]
    mac, rounding = first.mac, first.rounding
    for one in figures[1:]:
        mac = mac + one.mac
        rounding = None if rounding is None or one.rounding is None else rounding + one.rounding
    errors = [one.error for one in figures]
    return dataclasses.replace(
        first,
        macs=sum(one.macs for one in figures),
        cycles=sum(one.cycles for one in figures),
        mac=mac.scaled(1 / count),
        rounding=None if rounding is None else rounding.scaled(1 / count),
        error=None if None in errors else max(error for error in errors if error is not None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AsicReport:
    """Everything one run of :func:`hwgen.flow.asic.estimate_asic` found.

    Parameters
    ----------
    name, digest, rows, cols
        The design.
    datapath : str
    library : str
        Name of the Liberty library.
    voltage : float
    scope : str
        "pe": an element and a rounder by themselves. "array": the whole core.
    parts : tuple of AsicPart
    energies : tuple of EnergyFigure
    assumptions : mapping
        Numbers that no tool told, by name.
    notes : tuple of str
        What the figures mean.
    tools : mapping
        Versions by name.
    steps : tuple of Step
    """

    name: str
    digest: str
    rows: int
    cols: int
    datapath: str
    library: str
    voltage: float
    scope: str
    parts: tuple[AsicPart, ...]
    energies: tuple[EnergyFigure, ...]
    assumptions: Mapping[str, float]
    notes: tuple[str, ...]
    tools: Mapping[str, str]
    steps: tuple[Step, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of stimuli, in order."""
        return tuple(dict.fromkeys(figure.stimulus for figure in self.energies))

    def mean(self, kind: str) -> EnergyFigure:
        """The mean over the seeds of one kind of stimulus."""
        return mean_figure(tuple(one for one in self.energies if one.stimulus == kind))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, in the layout of report.json."""
        table = {"hwgen": REPORT_VERSION, "target": "asic", **dataclasses.asdict(self)}
        table["energies"] = [figure.to_dict() for figure in self.energies]
        return table

    def to_json(self) -> str:
        """Return the text of report.json."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
