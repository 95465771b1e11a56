"""Energy of a sum of sea surface heights in standard cells: windows against fused multiply-adds.

The operands are the very data, times ones. Units are as :func:`hwgen.flow.asic.estimate_asic`
measures them, one processing element each; picojoules of a 0.18 um library are for ratios only.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.explore.cache import Cache
from hwgen.flow.asic import Conditions, estimate_asic, find_library
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import CELLS

__all__ = ["Unit", "measured_unit", "units"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A processing element to be measured.

    Parameters
    ----------
    name : str
    b : str
        Format of the ones: "uint:1" makes an adder of the element, "fp64" a multiplier too.
    acc : str
    conventional : bool
        A floating-point accumulator, which windows with the same ``b`` are compared with.
    """

    name: str
    b: str
    acc: str
    conventional: bool

    @property
    def datapath(self) -> Datapath:
        """Of doubles, pipelined for standard cells."""
        return Datapath.parse(a="fp64", b=self.b, acc=self.acc, out="fp64", target=CELLS)


def units(window: str, multipliers: Sequence[str], lanes: Sequence[int]) -> list[Unit]:
    """Return a window and fused multiply-adds of so many lanes, by the ones' formats."""
    found = []
    for b in multipliers:
        what = "adder" if b == "uint:1" else "multiplier and adder"
        found.append(Unit(name=f"window, {what}", b=b, acc=window, conventional=False))
        found += [
            Unit(
                name=f"binary64, {what}, {count} lanes",
                b=b,
                acc=f"fma:fp64,lanes={count}",
                conventional=True,
            )
            for count in lanes
        ]
    return found


def measured_unit(
    unit: Unit, values: np.ndarray, *, cache: Cache | None = None, liberty: Path | None = None
) -> dict[str, Any]:
    """Measure what one sum of the numbers takes.

    Parameters
    ----------
    unit : Unit
    values : (n,) array of float64
        Added in this order.
    cache : Cache, optional
        Where figures are kept.
    liberty : path, optional
        A library; OSU's 0.18 um by default.

    Returns
    -------
    dict
        ``sum_nj``, dynamic with glitches and one rounding, ``zero_delay_nj`` without glitches,
        ``add_pj``, ``leakage_uw``, ``area_um2``, ``flip_flops``, ``fmax_mhz`` of the element,
        ``datapath`` and ``library``.

    Raises
    ------
    HwgenError, ToolError
        As :func:`hwgen.flow.asic.estimate_asic` does.
    """
    path = unit.datapath
    library = hashlib.sha256(find_library(liberty).read_bytes()).hexdigest()
    key = (path, hashlib.sha256(values.tobytes()).hexdigest(), library)
    known = cache.get("sum", key) if cache else None
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="hwgen-sum.") as scratch:
        folder = Path(scratch)
        np.save(folder / "a.npy", values[np.newaxis])
        np.save(folder / "b.npy", np.ones((len(values), 1)))
        report = estimate_asic(
            Design(datapath=path, rows=1, cols=1, name="core"),
            folder / "asic",
            liberty=liberty,
            operands=(folder / "a.npy", folder / "b.npy"),
            conditions=Conditions(terms=len(values), macs=len(values), seeds=1),
        )
    element, figure = report.parts[0], report.energies[0]
    rounding = figure.rounding.zero_delay if figure.rounding else 0.0
    result = {
        "sum_nj": round(figure.dot_product_pj / 1e3, 3),
        "zero_delay_nj": round((figure.terms * figure.mac.zero_delay + rounding) / 1e3, 3),
        "add_pj": round(figure.mac.dynamic, 3),
        "clock_pj": round(figure.mac.clock, 3),
        "leakage_uw": round(element.leakage_uw, 4),
        "area_um2": round(element.area),
        "flip_flops": element.flip_flops,
        "fmax_mhz": element.fmax_mhz,
        "cycles_a_number": round(figure.cycles / figure.macs, 4),
        "datapath": str(path),
        "library": report.library,
        "seconds": round(sum(step.seconds for step in report.steps)),
    }
    if cache:
        cache.put("sum", key, result)
    return result
