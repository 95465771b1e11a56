"""Energy of a product: processing elements of the datapaths that serve, and the units they replace.

Measured by :func:`hwgen.flow.asic.estimate_asic` on netlists of standard cells. A measurement is
known by the Verilog that it was made of, and by the sources of what measures, so a change of either
has it made anew.

The stimuli have a deviation of 1 and their sums of 128 products reach 2**8, more than those of the
networks. Where they would leave a window it is measured with msb and lsb moved up together. That
is the same circuit but for constants that are added to exponents, and the same operands but for a
power of two.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from inference_plan import Case

from hwgen import flow
from hwgen.emit import emit_verilog
from hwgen.explore.cache import Cache
from hwgen.flow.asic import Conditions, estimate_asic, find_library
from hwgen.flow.stimuli import KINDS
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

__all__ = ["LANES", "compare", "measure", "units"]

# Of which one takes least energy: wide products are slow, so that few sums are enough.
LANES = {"fp32": (2, 3), "bf16": (3, 4)}
_CONDITIONS = Conditions(seeds=2)
_SUMS = 8  # the skewed stimulus adds up 128 products with a mean of 1


def units(operands: str) -> list[Case]:
    """Return the conventional units, pipelined to clocks like the windows' by so many lanes."""
    return [Case(operands=operands, accumulator=f"fma:fp32,lanes={n}") for n in LANES[operands]]


def moved(case: Case) -> str:
    """Return the accumulator that is measured, moved up so that the stimuli's sums stay in it."""
    if (window := case.window) is None:
        return case.accumulator
    up = max(0, _SUMS - window.msb - window.ovf)
    return str(replace(window, msb=window.msb + up, lsb=window.lsb + up))


def measure(case: Case, cache: Cache) -> dict[str, Any]:
    """Return energies of a product on each stimulus in pJ, their errors, area, clock.

    Raises
    ------
    HwgenError, ToolError
        As :func:`estimate_asic` does.
    """
    path = Datapath.parse(a=case.operands, acc=moved(case), target="asic")
    design = Design(datapath=path, rows=1, cols=1, name="core")
    library = find_library()
    key = [
        hashlib.sha256(emit_verilog(design).encode()).hexdigest(),
        hashlib.sha256(library.read_bytes()).hexdigest(),
        _measuring(),
        asdict(_CONDITIONS),
    ]
    if (found := cache.get("energy", key)) is None:
        found = _measured(design)
        cache.put("energy", key, found)
    return {"operands": case.operands, "acc": case.accumulator, "measured": moved(case), **found}


def _measuring() -> str:
    """Return a digest of the sources that map, simulate and count."""
    digest = hashlib.sha256()
    for path in sorted(Path(flow.__file__).parent.glob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _measured(design: Design) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="hwgen-energy.") as folder:
        report = estimate_asic(design, Path(folder) / "asic", conditions=_CONDITIONS)
    first, means = report.parts[0], [report.mean(kind) for kind in KINDS]
    return {
        "pj": [round(mean.rounded_mac_pj, 2) for mean in means],
        "error": [mean.error for mean in means],
        "area_um2": round(first.area),
        "flip_flops": first.flip_flops,
        "mhz": round(min(part.fmax_mhz for part in report.parts), 1),
        "library": report.library,
    }


def compare(
    chosen: list[dict[str, Any]], cache: Cache, told: Callable[[str], None]
) -> dict[str, Any]:
    """Measure chosen datapaths, and tell how much less they take than the cheapest unit.

    Parameters
    ----------
    chosen : list of dict
        ``program`` is the format that the program's numbers have for the conventional unit,
        ``operands`` and ``acc`` are the datapath.
    cache : Cache
    told : callable
        Called with a line before each measurement.

    Returns
    -------
    dict
        ``rows``, measurements; ``ratios``, of the units' energies to each chosen one's, by
        stimulus; ``baselines``, the unit that takes least over the stimuli, by program.
    """
    wanted = [Case(operands=one["operands"], accumulator=one["acc"]) for one in chosen]
    programs = list(dict.fromkeys(one["program"] for one in chosen))
    wanted += [unit for program in programs for unit in units(program)]
    rows = {}
    for case in dict.fromkeys(wanted):
        told(f"energy of {case.operands} {case.accumulator}")
        rows[case] = measure(case, cache)
    baselines = {
        program: min(units(program), key=lambda unit: sum(rows[unit]["pj"])) for program in programs
    }
    ratios = []
    for one, case in zip(chosen, wanted, strict=False):
        unit = rows[baselines[one["program"]]]["pj"]
        found = [round(a / b, 3) for a, b in zip(unit, rows[case]["pj"], strict=True)]
        mean = round(sum(unit) / sum(rows[case]["pj"]), 3)
        ratios.append({**one, "ratio": found, "mean": mean})
    return {
        "stimuli": list(KINDS),
        "conditions": asdict(_CONDITIONS),
        "rows": list(rows.values()),
        "baselines": {program: unit.accumulator for program, unit in baselines.items()},
        "ratios": ratios,
    }
