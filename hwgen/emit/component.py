"""Verilog of one component by itself: what benchmarks and proofs work on."""

from __future__ import annotations

from amaranth.lib import wiring

from hwgen.emit.definitions import define_component
from hwgen.emit.verilog import definitions_text

__all__ = ["component_verilog"]


def component_verilog(component: wiring.Component, name: str) -> str:
    """Return the Verilog of a component and of the parts it is made of.

    Parameters
    ----------
    component : wiring.Component
        With an attribute ``has_reset``; its ports are clk, rst where it has a reset, and its
        members as flat words.
    name : str
        Name of its module, and the prefix of its parts' names.

    Raises
    ------
    ToolError
        If Yosys fails.
    """
    return definitions_text(define_component(component, name))
