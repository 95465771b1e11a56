"""The core: three AXI4-Streams around the array."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.admission import Admission
from hwgen.rtl.drain import ColumnBuffers, OutputControl, RowTokens
from hwgen.rtl.lanes import Lanes, Skew
from hwgen.rtl.mesh import Mesh
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.shared import Shared
from hwgen.rtl.streams import InputBuffer
from hwgen.rtl.unpack import Unpacker
from hwgen.spec.alignment import align
from hwgen.spec.design import Design
from hwgen.spec.timing import OPERAND_LATENCY, STREAM_LATENCY, SUM_LATENCY, timing

__all__ = ["Core", "Top", "padded"]


def padded(bits: int) -> int:
    """Bits of a stream's tdata: whole bytes."""
    return -(-bits // 8) * 8


def _stream_members(prefix: str, bits: int, direction, reverse) -> dict[str, wiring.Member]:
    return {
        f"{prefix}_tvalid": direction(1),
        f"{prefix}_tready": reverse(1),
        f"{prefix}_tdata": direction(padded(bits)),
        f"{prefix}_tlast": direction(1),
    }


class Core(wiring.Component):
    """The array with its edges and flow control, in clock domain ``sync``.

    Parameters
    ----------
    design : Design

    Members
    -------
    s_axis_a_*, s_axis_b_*, m_axis_c_*
        AXI4-Streams as design.md section 3 describes them.
    protocol_error : Out(1)

    Notes
    -----
    Latency and throughput: :func:`~hwgen.spec.timing.timing`.
    """

    has_reset = True

    def __init__(self, design: Design) -> None:
        self._design = design
        path = design.datapath
        self._a_bits = design.rows * path.a.width
        self._b_bits = design.cols * path.b.width
        self._c_bits = design.cols * path.out_width
        super().__init__(
            _stream_members("s_axis_a", self._a_bits, In, Out)
            | _stream_members("s_axis_b", self._b_bits, In, Out)
            | _stream_members("m_axis_c", self._c_bits, Out, In)
            | {"m_axis_c_tuser": Out(STATUS_BITS * design.cols), "protocol_error": Out(1)}
        )

    @property
    def timing(self):
        """Latency and throughput of the core."""
        return timing(self._design)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        design, when = self._design, self.timing
        m.submodules.admission = admission = Admission(
            a_bits=self._a_bits,
            b_bits=self._b_bits,
            rows=design.rows,
            block_interval=when.block_interval,
            buffer_rows=when.buffer_rows,
        )
        self._connect_inputs(m, admission)
        mesh = self._mesh(m, admission)
        rounders = Lanes(design.cols, rounder_class(design.datapath), design.datapath)
        m.submodules.rounders = rounders
        m.d.comb += rounders.partial.eq(mesh.drain_out)
        latency = when.unpack + OPERAND_LATENCY + when.summand + SUM_LATENCY + when.rounding
        control = self._output(m, admission, rounders, latency)
        m.d.comb += [
            admission.row_taken.eq(control.row_taken),
            self.protocol_error.eq(admission.protocol_error),
        ]
        assert STREAM_LATENCY + latency + design.cols - 1 + control.latency == when.first_result
        return m

    def _connect_inputs(self, m: Module, admission: Admission) -> None:
        for side, bits in (("a", self._a_bits), ("b", self._b_bits)):
            buffer = InputBuffer(bits)
            m.submodules[f"{side}_buffer"] = buffer
            port = f"s_axis_{side}"
            m.d.comb += [
                buffer.i.valid.eq(getattr(self, f"{port}_tvalid")),
                buffer.i.payload.elements.eq(getattr(self, f"{port}_tdata")),
                buffer.i.payload.last.eq(getattr(self, f"{port}_tlast")),
                getattr(self, f"{port}_tready").eq(buffer.i.ready),
            ]
            wiring.connect(m, buffer.o, getattr(admission, side))

    def _mesh(self, m: Module, admission: Admission) -> Shared:
        """Skew registers, unpackers and the mesh."""
        design = self._design
        path = design.datapath
        width = path.a.width + 1
        m.submodules.a_skew = a_skew = Shared(Skew, width, design.rows)
        m.submodules.b_skew = b_skew = Shared(Skew, path.b.width, design.cols)
        m.submodules.a_unpack = a_unpack = Lanes(design.rows, Unpacker, path, "a")
        m.submodules.b_unpack = b_unpack = Lanes(design.cols, Unpacker, path, "b")
        m.submodules.mesh = mesh = Shared(Mesh, align(path), design.rows, design.cols)
        lanes = [admission.a_elements.word_select(i, path.a.width) for i in range(design.rows)]
        skewed = [a_skew.q.word_select(i, width) for i in range(design.rows)]
        m.d.comb += [
            a_skew.d.eq(Cat(Cat(lane, admission.last) for lane in lanes)),
            b_skew.d.eq(admission.b_elements),
            Value.cast(a_unpack.bits).eq(Cat(lane[:-1] for lane in skewed)),
            Value.cast(a_unpack.last).eq(Cat(lane[-1] for lane in skewed)),
            Value.cast(b_unpack.bits).eq(b_skew.q),
            mesh.a_in.eq(a_unpack.operand),
            mesh.last_in.eq(a_unpack.last_out),
            mesh.b_in.eq(b_unpack.operand),
        ]
        return mesh

    def _output(
        self, m: Module, admission: Admission, rounders: Lanes, latency: int
    ) -> OutputControl:
        """Write tokens, column buffers, and the result stream."""
        design = self._design
        depth = self.timing.buffer_rows
        result_bits = design.datapath.out_width
        width = result_bits + STATUS_BITS
        m.submodules.row_tokens = tokens = RowTokens(
            rows=design.rows, latency=latency, depth=depth
        )
        m.submodules.buffers = buffers = Shared(ColumnBuffers, width, depth, design.cols)
        m.submodules.output_control = control = OutputControl(rows=design.rows, depth=depth)
        columns = range(design.cols)
        elements = [Cat(rounders.bits[j], rounders.status[j]) for j in columns]
        read = [buffers.read.word_select(j, width) for j in columns]
        m.d.comb += [
            tokens.block_end.eq(admission.block_end),
            buffers.token_in.eq(tokens.token),
            buffers.element.eq(Cat(elements)),
            buffers.read_address.eq(control.read_address),
            control.row_complete.eq(buffers.token_out.write),
            control.row_ready.eq(self.m_axis_c_tready),
            self.m_axis_c_tvalid.eq(control.row_valid),
            self.m_axis_c_tlast.eq(control.row_last),
            self.m_axis_c_tdata.eq(Cat(word[:result_bits] for word in read)),
            self.m_axis_c_tuser.eq(Cat(word[result_bits:] for word in read)),
        ]
        return control


class Top(wiring.Component):
    """The core with the clock and reset that AXI4-Stream users expect.

    Members
    -------
    aclk, aresetn : In(1)
        Clock; synchronous reset, active low.
    the rest
        As :class:`Core`.
    """

    def __init__(self, design: Design) -> None:
        self._core = Core(design)
        super().__init__(
            {"aclk": In(1), "aresetn": In(1)} | dict(self._core.signature.members.items())
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.core = self._core
        for name, member in self._core.signature.members.items():
            inner, outer = getattr(self._core, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        return m
