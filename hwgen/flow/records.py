"""What a synthesis run found, as values: area, timing, the tools and commands behind them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Area",
    "CriticalPath",
    "Placement",
    "Segment",
    "SeedResult",
    "Step",
    "SynthesisReport",
]

REPORT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Mapped cells by kind.

    Parameters
    ----------
    lut, carry, ff, dsp, bram, lutram : int
        Look-up tables, carry cells, flip-flops, multipliers, block RAMs, distributed-RAM cells;
        the target's notes say what exactly one of each is.
    cells : mapping
        Every cell type that occurs and how often.
    """

    lut: int
    carry: int
    ff: int
    dsp: int
    bram: int
    lutram: int
    cells: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One step of a path: its ``kind`` (clk-to-q, logic, routing, setup), where it ends, its delay.

    ``source`` is the signal of the Verilog source that the cell reached belongs to, ``cell`` that
    cell's own name, ``net`` the net crossed (empty but for routing), ``delay_ns`` in nanoseconds.
    """

    kind: str
    source: str
    cell: str
    net: str
    delay_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPath:
    """The slowest path from register to register."""

    begin: str
    end: str
    delay_ns: float
    logic_ns: float
    routing_ns: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One placement: its seed and the clock frequency it allows, in MHz."""

    seed: int
    fmax_mhz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What place and route found on one device.

    Parameters
    ----------
    device : str
        The part.
    requested_mhz : float
        The frequency the tools were asked for.
    seeds : tuple of SeedResult
        Every placement made, in the order of the seeds.
    median_mhz, min_mhz, max_mhz : float
        Over the seeds.
    critical_path : CriticalPath
        Of the seed at the median (of the lower of two).
    used, available : mapping
        Scarce resources of the device, harness included: LUT (carries counted too) or LC (logic
        cells), FF, DSP, BRAM.
    """

    device: str
    requested_mhz: float
    seeds: tuple[SeedResult, ...]
    median_mhz: float
    min_mhz: float
    max_mhz: float
    critical_path: CriticalPath
    used: Mapping[str, int]
    available: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command that ran: ``seconds`` is wall time."""

    name: str
    command: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisReport:
    """Everything one run of :func:`hwgen.flow.synthesize` found.

    Parameters
    ----------
    name, top, digest, rows, cols
        The design, from its manifest.
    target, title : str
        The target's name, and what it is in words.
    flat : bool
        Whether every PE and rounder was mapped by itself and not one of each for all.
    area : Area
        The core alone.
    harness : Area or None
        What the serial test harness added for place and route.
    placement : Placement or None
        None where nothing was placed.
    notes : tuple of str
        What the counts mean.
    tools : mapping
        Versions by name.
    steps : tuple of Step
        The commands, in the order in which they ended.
    """

    name: str
    top: str
    digest: str
    rows: int
    cols: int
    target: str
    title: str
    flat: bool
    area: Area
    harness: Area | None
    placement: Placement | None
    notes: tuple[str, ...]
    tools: Mapping[str, str]
    steps: tuple[Step, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, in the layout of report.json."""
        return {"hwgen": REPORT_VERSION, **dataclasses.asdict(self)}

    def to_json(self) -> str:
        """Return the text of report.json."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
