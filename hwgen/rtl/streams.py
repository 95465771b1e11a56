"""Stream plumbing at the core's border."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.spec.timing import STREAM_LATENCY

__all__ = ["InputBuffer", "beat_layout"]


def beat_layout(bits: int) -> data.StructLayout:
    """Layout of a beat: the elements, and whether it ends its block."""
    return data.StructLayout({"elements": bits, "last": 1})


class InputBuffer(wiring.Component):
    """Two-entry buffer: registers payload, valid and ready, so that no path crosses the border.

    Members
    -------
    i : In(stream)
    o : Out(stream)

    Notes
    -----
    Latency 1 cycle, one beat a cycle. AXI4-Stream forbids combinational paths between a
    subordinate's inputs and outputs (ARM IHI 0051B section 2.2); ``i.ready`` is a register for that
    reason.
    """

    has_reset = True

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._layout = beat_layout(bits)
        signature = stream.Signature(self._layout)
        super().__init__({"i": In(signature), "o": Out(signature)})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"input_buffer_{self._bits}b"

    @property
    def latency(self) -> int:
        """Cycles from ``i`` to ``o``."""
        return STREAM_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        front = Signal(self._layout, reset_less=True)
        spare = Signal(self._layout, reset_less=True)
        front_valid = Signal()
        # Ready is low in reset, and exactly while the spare entry is in use after it.
        ready = Signal()
        spare_valid = Signal()
        m.d.comb += [
            self.i.ready.eq(ready),
            self.o.valid.eq(front_valid),
            self.o.payload.eq(front),
        ]
        arrives = Signal()
        m.d.comb += arrives.eq(self.i.valid & ready)
        with m.If(self.o.ready | ~front_valid):
            m.d.sync += [
                front_valid.eq(spare_valid | arrives),
                spare_valid.eq(0),
                ready.eq(1),
            ]
            with m.If(spare_valid):
                m.d.sync += front.eq(spare)
            with m.Else():
                m.d.sync += front.eq(self.i.payload)
        with m.Elif(arrives):
            m.d.sync += [spare_valid.eq(1), ready.eq(0)]
        with m.Elif(~spare_valid):
            m.d.sync += ready.eq(1)
        with m.If(ready):
            m.d.sync += spare.eq(self.i.payload)
        return m
