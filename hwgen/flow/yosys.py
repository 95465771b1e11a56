"""Synthesis with Yosys: the script, and the reading of what it counts.

The parts that an array repeats are mapped once each and dissolved into the core afterwards; the
rest of the core is flattened first, because its slow paths cross module boundaries. The core's
cells are counted before the harness around it is dissolved too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["parse_counts", "synthesis_script"]


def synthesis_script(
    command: str,
    *,
    sources: Sequence[str],
    core: str,
    freq_mhz: float,
    shared: Sequence[str] = (),
    harness: str = "",
) -> str:
    """Write the Yosys script.

    Parameters
    ----------
    command : str
        The target's synthesis command, which keeps the hierarchy.
    sources : sequence of str
        Verilog files, relative to the working folder.
    core : str
        The module whose cells are counted, into counts.json.
    freq_mhz : float
        Logic that is faster than this is mapped for area.
    shared : sequence of str
        Modules inside the core that are mapped once each; best where registers bound them.
    harness : str
        The module around it that is to be placed; with one, the counts of the whole go into
        counts_all.json and the netlist into netlist.json.
    """
    top = harness or core
    lines = [f"read_verilog {source}" for source in sources]
    lines += [f"hierarchy -check -top {top}", "proc"]
    lines += [f"setattr -mod -set keep_hierarchy 1 {module}" for module in (core, *shared)]
    lines += [
        f"flatten {core}",
        # Without a goal ABC makes every module as fast as it can, a quarter larger on ECP5.
        f"scratchpad -set abc9.D {round(1e6 / freq_mhz)}",
        f"{command} -top {top}",
    ]
    lines += [f"setattr -mod -unset keep_hierarchy {module}" for module in shared]
    lines += [
        f"flatten {core}",
        "opt_clean",
        f"tee -q -o counts.json stat -json {core}",
    ]
    if harness:
        lines += [
            f"setattr -mod -unset keep_hierarchy {core}",
            "flatten",
            "opt_clean",
            "tee -q -o counts_all.json stat -json",
            "write_json netlist.json",
        ]
    return "\n".join(lines) + "\n"


def parse_counts(path: Path, module: str) -> Mapping[str, int]:
    """Read how many cells of each type ``module`` holds, from what ``stat -json`` wrote.

    Raises
    ------
    ToolError
        If the file is not what Yosys writes.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        cells = table["modules"][f"\\{module}"]["num_cells_by_type"]
        # $scopeinfo cells only remember the names of flattened modules.
        return {cell: int(cells[cell]) for cell in sorted(cells) if not cell.startswith("$scope")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"cannot read the cell counts that Yosys wrote ({type(error).__name__}: {error})",
            hint="this version of Yosys may differ from the tested one, 0.70",
        ) from error
