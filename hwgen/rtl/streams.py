"""Stream plumbing at the core's border."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.spec.timing import STREAM_LATENCY

__all__ = ["InputBuffer", "beat_layout"]


def beat_layout(bits: int) -> data.StructLayout:
    """Layout of a beat: the elements, and whether it ends its block."""
    return data.StructLayout({"elements": bits, "last": 1})


class InputBuffer(wiring.Component):
    """One-entry buffer that registers ready; a beat passes straight through while it is not in use.

    Members
    -------
    i : In(stream)
    o : Out(stream)

    Notes
    -----
    Latency 0, one beat a cycle. AXI4-Stream forbids combinational paths between a subordinate's
    inputs and outputs (ARM IHI 0051B section 2.2); ``i.ready`` is a register for that reason. It is
    low in reset.
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
        spare = Signal(self._layout, reset_less=True)
        spare_valid = Signal()
        ready = Signal()
        arrives = Signal()
        left_over = Signal()  # a beat that stays here for the next cycle
        m.d.comb += [
            self.i.ready.eq(ready),
            arrives.eq(self.i.valid & ready),
            self.o.valid.eq(spare_valid | arrives),
            self.o.payload.eq(Mux(spare_valid, Value.cast(spare), Value.cast(self.i.payload))),
            left_over.eq(self.o.valid & ~self.o.ready),
        ]
        m.d.sync += [spare_valid.eq(left_over), ready.eq(~left_over)]
        with m.If(ready):
            m.d.sync += spare.eq(self.i.payload)
        return m
