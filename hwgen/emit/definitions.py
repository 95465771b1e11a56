# amaranth: UnusedElaboratable=no
#
# The core is described by its structure here, and never elaborated: no mistake. (Amaranth reads the
# first line alone.)
"""Shared definitions: every distinct component is elaborated once, to one RTLIL module."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Fragment, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import data, wiring

from hwgen.emit.structural import structural_verilog
from hwgen.rtl.core import Core
from hwgen.rtl.structure import Structural, port_value, port_widths
from hwgen.spec.design import Design

__all__ = ["Definition", "collect_definitions", "define_component"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One Verilog module to be: its name, the comment above it, and its RTLIL or Verilog."""

    name: str
    comment: str
    rtlil: str = ""
    verilog: str = ""


class _Collector:
    """Turns components into definitions, each one once, parts before what they are part of."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.known: dict[str, Definition] = {}

    def define(self, component: wiring.Component) -> str:
        """Return the module name of a component; elaborate it unless that is known."""
        name = f"{self._prefix}_{component.definition}"
        if name not in self.known:
            if isinstance(component, Structural):
                text = structural_verilog(component, name, self.define)
                self.known[name] = Definition(name, _comment(component), verilog=text)
            else:
                self.known[name] = Definition(
                    name, _comment(component), rtlil=_rtlil(component, name)
                )
        return name


def _rtlil(component: wiring.Component, name: str) -> str:
    """Elaborate a component to RTLIL, its submodules with it."""
    domain = ClockDomain("sync", reset_less=not component.has_reset)
    ports: dict[str, tuple[Value, PortDirection]] = {"clk": (domain.clk, PortDirection.Input)}
    if component.has_reset:
        ports["rst"] = (domain.rst, PortDirection.Input)
    for port, (flow, _) in port_widths(component).items():
        direction = PortDirection.Input if flow == wiring.In else PortDirection.Output
        ports[port] = (port_value(component, port), direction)
    fragment = Fragment.get(component, None)
    fragment.add_domains(domain)
    text, _ = rtlil.convert_fragment(fragment, ports, name, emit_src=False)
    # Plain submodules are flattened into their definition; definitions stay apart, none is the top.
    return text.replace("attribute \\top 1\n", "attribute \\keep_hierarchy 1\n")


def collect_definitions(design: Design) -> list[Definition]:
    """Elaborate a design; the top module comes first, every module before those it instantiates."""
    collector = _Collector(design.name)
    core = Core(design)
    text = structural_verilog(core, design.name, collector.define, clock="aclk", reset_n="aresetn")
    top = Definition(design.name, _comment(core), verilog=text)
    return [top, *reversed(collector.known.values())]


def define_component(component: wiring.Component, name: str) -> list[Definition]:
    """Elaborate one component, which has logic of its own, by itself."""
    return [Definition(name, _comment(component), rtlil=_rtlil(component, name))]


def _comment(component: wiring.Component) -> str:
    """What a reader of the Verilog wants to know: the purpose, and the fields of packed ports."""
    lines = [inspect.getdoc(component).splitlines()[0]]
    for path, member, _ in component.signature.flatten(component):
        shape = member.shape
        lanes = ""
        if isinstance(shape, data.ArrayLayout):
            lanes = f" (per lane, {shape.length} lanes, lane 0 in the low bits)"
            shape = shape.elem_shape
        if isinstance(shape, data.StructLayout):
            lines.append(f"  {'__'.join(map(str, path))}{lanes}: {_fields(shape)}")
    return "\n".join(lines)


def _fields(layout: data.StructLayout) -> str:
    parts = []
    for name, field in layout:
        width = field.width
        high = field.offset + width - 1
        parts.append(f"{name}[{high}:{field.offset}]" if width > 1 else f"{name}[{high}]")
    return ", ".join(parts)
