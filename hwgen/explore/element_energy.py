"""Energy, area and speed of a candidate's processing element, in plain values."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from hwgen.flow.asic import Conditions, estimate_asic
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

__all__ = ["measure_element"]


def measure_element(words: dict[str, str], liberty: str | None) -> dict[str, Any]:
    """Map an element and a rounder onto standard cells and simulate them.

    Parameters
    ----------
    words : dict of str to str
        The datapath, as :meth:`Datapath.parse` takes it.
    liberty : str, optional
        A library; OSU's 0.18 um by default.

    Returns
    -------
    dict
        ``energy_pj`` of a MAC with its share of the rounding, the mean over all kinds of stimuli,
        ``area_um2`` of the element, ``fmax_mhz`` of element and rounder, and ``library``.

    Raises
    ------
    HwgenError, ToolError
        As :func:`estimate_asic` does.
    """
    design = Design(datapath=Datapath.parse(**words), rows=1, cols=1)
    with tempfile.TemporaryDirectory(prefix="hwgen-energy.") as folder:
        report = estimate_asic(
            design, Path(folder) / "asic", liberty=liberty, conditions=Conditions(seeds=1)
        )
    return {
        "energy_pj": fmean(figure.rounded_mac_pj for figure in report.energies),
        "area_um2": report.parts[0].area,
        "fmax_mhz": min(part.fmax_mhz for part in report.parts),
        "library": report.library,
    }
