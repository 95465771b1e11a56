"""Circuits to files: the build folder with its Verilog, manifest and testbench."""

from __future__ import annotations

from hwgen.emit.build import generate
from hwgen.emit.verilog import emit_verilog

__all__ = ["emit_verilog", "generate"]
