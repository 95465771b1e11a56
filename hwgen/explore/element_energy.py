"""Energy, area and speed of a candidate's processing element, in plain values."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from hwgen.explore.recorded import Recording
from hwgen.flow.asic import Conditions, estimate_asic, find_library
from hwgen.flow.cell_library import Library
from hwgen.flow.stimuli import KINDS
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import CELLS

__all__ = ["check_library", "measure_element"]


def check_library(liberty: str | None) -> None:
    """Refuse a library that no energy could be measured with, before anything is run.

    Raises
    ------
    HwgenError
        If it is no Liberty file, or has no tables of internal power.
    ToolError
        If none is named and OSU's is not installed.
    """
    Library.read(find_library(liberty))


def measure_element(
    words: dict[str, str], liberty: str | None, operands: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Map an element and a rounder onto standard cells and simulate them.

    Parameters
    ----------
    words : dict of str to str
        The datapath, as :meth:`Datapath.parse` takes it.
    liberty : str, optional
        A library; OSU's 0.18 um by default.
    operands : dict, optional
        A :class:`~hwgen.explore.recorded.Recording` in plain values: one more stimulus.

    Returns
    -------
    dict
        ``energy_pj`` of a MAC with its share of the rounding, the mean over all kinds of stimuli,
        ``energies`` of each kind, ``area_um2`` of the element, by the products that it takes a
        cycle, ``fmax_mhz`` of element and rounder, and ``library``.

    Raises
    ------
    HwgenError, ToolError
        As :func:`estimate_asic` does.
    """
    # Standard cells have no multipliers of a fixed width to cut products for.
    path = Datapath.parse(**({"target": CELLS} | words))
    design = Design(datapath=path, rows=1, cols=1)
    with tempfile.TemporaryDirectory(prefix="hwgen-energy.") as folder:
        files = None
        if operands is not None:
            files = Recording.from_dict(operands).save(Path(folder))
        report = estimate_asic(
            design,
            Path(folder) / "asic",
            liberty=liberty,
            kinds=KINDS,
            operands=files,
            conditions=Conditions(seeds=1),
        )
    energies = {figure.stimulus: figure.rounded_mac_pj for figure in report.energies}
    return {
        "energy_pj": fmean(energies.values()),
        "energies": energies,
        "area_um2": report.parts[0].area / path.dot,
        "fmax_mhz": min(part.fmax_mhz for part in report.parts),
        "library": report.library,
    }
