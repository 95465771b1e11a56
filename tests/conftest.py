"""What tests of several folders need installed: they are skipped without, and say what it is."""

from __future__ import annotations

import shutil

import pytest

from hwgen.errors import ToolError
from hwgen.flow.asic import find_library
from hwgen.runtime.library import library_path


@pytest.fixture(scope="session")
def blas_library() -> None:
    """Skip without the library that is preloaded into programs."""
    try:
        library_path("hwgen_blas")
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def gate_tools() -> None:
    """Skip without what maps a netlist and simulates its gates."""
    pytest.importorskip("pyosys")
    if shutil.which("iverilog") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")


@pytest.fixture(scope="session")
def standard_cells(gate_tools: None) -> None:
    """Skip without the library of cells that energy is measured with by default, too."""
    try:
        find_library()
    except ToolError as error:
        pytest.skip(str(error))
