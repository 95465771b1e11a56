"""Synthesis with Yosys: the script, and the reading of what it counts.

The core is synthesised with its hierarchy kept, which maps every module once however many
instances an array has, and is flattened afterwards. Its cells are counted then, before the
harness around it is dissolved too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["parse_counts", "synthesis_script"]


def synthesis_script(
    command: str, *, sources: list[str], core: str, harness: str = "", flat: bool = False
) -> str:
    """Write the Yosys script.

    Parameters
    ----------
    command : str
        The target's synthesis command, which keeps the hierarchy.
    sources : list of str
        Verilog files, relative to the working folder.
    core : str
        The module whose cells are counted, into counts.json.
    harness : str
        The module around it that is to be placed; with one, the counts of the whole go into
        counts_all.json and the netlist into netlist.json.
    flat : bool
        Flatten the core first: a few per cent fewer cells, for several times the time.
    """
    top = harness or core
    lines = [f"read_verilog {source}" for source in sources]
    lines += [f"hierarchy -check -top {top}", "proc"]
    if flat:
        lines.append(f"flatten {core}")
    lines += [
        f"setattr -mod -set keep_hierarchy 1 {core}",
        f"{command} -top {top}",
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
