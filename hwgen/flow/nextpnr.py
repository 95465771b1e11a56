"""Place and route with nextpnr: the arguments, and the reading of its log and report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import ToolError
from hwgen.flow.records import CriticalPath, Segment

__all__ = ["Routed", "pack_arguments", "parse_report", "parse_utilisation", "place_arguments"]

# "Info:   TRELLIS_COMB:    6324/  83640     7%"
_UTILISATION = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%$", re.MULTILINE)
# Yosys names a cell after the net at its output and the cells between: keep the net.
_CELL_SUFFIX = re.compile(
    r"_(?:TRELLIS_FF|LUT4|PFUMX|L6MUX21|CCU2C|MULT18X18D|TRELLIS_DPR16X4|DP16KD|SB_\w+?)(?:_.*)?$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """One placed and routed netlist: frequency in MHz, resources by nextpnr's names."""

    fmax_mhz: float
    critical_path: CriticalPath
    used: Mapping[str, int]


def pack_arguments(device: tuple[str, ...], *, top: str) -> list[str]:
    """Return the arguments that pack netlist.json, which tells exactly what it needs."""
    return [*device, "--json", "netlist.json", "--top", top, "--pack-only"]


def place_arguments(
    device: tuple[str, ...], *, top: str, freq_mhz: float, seed: int, report: str
) -> list[str]:
    """Return the arguments that place and route netlist.json."""
    return [
        *device,
        *("--json", "netlist.json", "--top", top),
        *("--freq", f"{freq_mhz:g}", "--seed", str(seed)),
        # Asking for more than is possible shows what is possible.
        *("--timing-allow-fail", "--report", report),
    ]


def parse_utilisation(log: str) -> Mapping[str, int]:
    """Read the resources used from the log of a packing run.

    Raises
    ------
    ToolError
        If the log has no such table.
    """
    used = {name: int(count) for name, count, _ in _UTILISATION.findall(log)}
    if not used:
        raise ToolError(
            "nextpnr's log has no table of utilisation",
            log=log[-2000:],
            hint="this version of nextpnr may differ from the tested one, 0.11.1",
        )
    return used


def parse_report(path: Path, *, instance: str) -> Routed:
    """Read nextpnr's JSON report.

    Parameters
    ----------
    path : Path
        The report.
    instance : str
        Name of the core inside the harness; the prefix is taken off all names.

    Raises
    ------
    ToolError
        If it is not what nextpnr writes, or holds no clock.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        clock, fmax = min(table["fmax"].items(), key=lambda item: item[1]["achieved"])
        paths = [
            entry
            for entry in table["critical_paths"]
            if entry["from"] == entry["to"] == f"posedge {clock}"
        ]
        return Routed(
            fmax_mhz=round(float(fmax["achieved"]), 2),
            critical_path=_critical_path(paths[0]["path"], instance),
            used={name: entry["used"] for name, entry in table["utilization"].items()},
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ToolError(
            f"cannot read nextpnr's report ({type(error).__name__}: {error})",
            hint="this version of nextpnr may differ from the tested one, 0.11.1",
        ) from error


def _critical_path(steps: list[dict[str, Any]], instance: str) -> CriticalPath:
    segments = tuple(
        Segment(
            kind=step["type"],
            source=_readable(step["to"]["cell"], instance),
            cell=step["to"]["cell"].removeprefix(f"{instance}."),
            net=step.get("net", "").removeprefix(f"{instance}."),
            delay_ns=round(float(step["delay"]), 3),
        )
        for step in steps
    )
    routing = sum(segment.delay_ns for segment in segments if segment.kind == "routing")
    delay = sum(segment.delay_ns for segment in segments)
    return CriticalPath(
        begin=_readable(steps[0]["from"]["cell"], instance),
        end=segments[-1].source,
        delay_ns=round(delay, 3),
        logic_ns=round(delay - routing, 3),
        routing_ns=round(routing, 3),
        segments=segments,
    )


def _readable(name: str, instance: str) -> str:
    """Take the harness and the names of mapped cells off a name, down to the source's own net."""
    return _CELL_SUFFIX.sub("", name).removeprefix(f"{instance}.")
