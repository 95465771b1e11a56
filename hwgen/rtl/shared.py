# amaranth: UnusedElaboratable=no
# In emission, components are created here only for their interface: the definition that they name is
# elaborated once, by the emitter. That an object made in this file is never elaborated is no mistake.
"""Components that are emitted once and instantiated many times.

In simulation :class:`Shared` is a plain submodule. In emission, the platform handed to ``elaborate``
collects definitions, and :class:`Shared` becomes an instance of one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import flipped

__all__ = ["Definitions", "Shared"]


@runtime_checkable
class Definitions(Protocol):
    """What emission hands to ``elaborate`` in place of a platform."""

    def define(self, component: wiring.Component) -> tuple[str, bool]:
        """Register a component's definition; return its Verilog name and whether it has a reset."""


class Shared(wiring.Component):
    """A component whose definition is emitted once, whatever the number of its instances.

    Parameters
    ----------
    factory : callable
        Component class. It has a class attribute ``has_reset`` and a property ``definition``, a name
        that is equal for equal parameters.
    args : tuple
        Hashable parameters.

    Members
    -------
    The component's own, under the same names.
    """

    def __init__(self, factory: Callable[..., wiring.Component], *args: object) -> None:
        self._inner = factory(*args)
        super().__init__(self._inner.signature)

    @property
    def definition(self) -> str:
        """Name of the shared definition."""
        return self._inner.definition

    @property
    def has_reset(self) -> bool:
        """Whether the definition has a reset input."""
        return self._inner.has_reset

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inner = self._inner
        if not isinstance(platform, Definitions):
            m.submodules.inner = inner
            wiring.connect(m, inner, flipped(self))
            return m
        name, has_reset = platform.define(inner)
        ports: dict[str, Value] = {"i_clk": ClockSignal()}
        if has_reset:
            ports["i_rst"] = ResetSignal()
        for path, member, value in self.signature.flatten(self):
            prefix = "i" if member.flow == wiring.In else "o"
            ports[f"{prefix}_{'__'.join(map(str, path))}"] = Value.cast(value)
        m.submodules.inner = Instance(name, **ports)
        return m
