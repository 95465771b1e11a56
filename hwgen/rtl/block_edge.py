"""The edge above the mesh where sums of scale blocks leave it: scale, add, round."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats.scale import SCALE_BITS
from hwgen.rtl.block_sum import BlockScaler, RegisterFile
from hwgen.rtl.records import partial_lags, partial_layout
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.scale_blocks import sum_token_layout
from hwgen.rtl.structure import Net, Part, Structural, Structure
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import TAKE_LATENCY, scaling_stages

__all__ = ["BlockEdge", "BlockEdges"]


class BlockEdge(wiring.Component):
    """Scale, add and round the sums of one column, or of two that take turns.

    Parameters
    ----------
    datapath : Datapath
    rows : int
    cols : int
        1 or 2.

    Members
    -------
    partial : In(lanes of the elements' partial_layout)
        Sums of scale blocks; the second column's row follows the first one's by a cycle.
    a_scale : In(8)
        Of the row at the first column, for two cycles.
    b_scale : In(lanes of 8)
    token : In(sum_token_layout, flat)
        The row at the first column.
    a_scale_out, token_out : Out
        For the next columns, two cycles later.
    bits, status : Out(lanes)
        The result, the same in both lanes.

    Notes
    -----
    Latency: :func:`~hwgen.spec.timing.scaling_stages` and the rounder's.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, rows: int, cols: int) -> None:
        self._datapath = datapath
        self._rows = rows
        self._cols = cols
        super().__init__(_members(datapath, rows, cols))

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"block_edge_x{self._cols}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        path = self._datapath
        places = (self._rows - 1).bit_length()  # of a row's number
        depth = max(2, self._cols << places)
        m.submodules.scaler = scaler = BlockScaler(path)
        m.submodules.registers = registers = RegisterFile(align(path), depth)
        m.submodules.rounder = rounder = rounder_class(path)(path)
        skew = align(path.elements).skew
        assert skew + TAKE_LATENCY + scaler.latency + registers.latency == scaling_stages(path)
        layout = sum_token_layout(self._rows)
        before = _delays(m, "token", self.token, 2)
        m.d.comb += [
            self.token_out.eq(before[2]),
            self.a_scale_out.eq(_delays(m, "a_scale", self.a_scale, 2)[2]),
        ]
        here = layout(before[0])
        second = Signal()
        token, b_scale = here, self.b_scale[:SCALE_BITS]
        if self._cols == 2:
            m.d.comb += second.eq(~here.take)
            token = layout(Mux(second, before[1], before[0]))
            b_scale = Mux(second, self.b_scale[SCALE_BITS:], b_scale)
        taken = Cat(token.take, token.first, token.row[:places], second)
        # All that is told apart waits for the sum's highest part.
        scales = _delays(m, "scales", Cat(self.a_scale, b_scale), skew + TAKE_LATENCY)[-1]
        wait = skew + TAKE_LATENCY + scaler.latency - 1
        m.d.comb += [
            scaler.sum.as_value().eq(self._chosen(m, second)),
            scaler.a_scale.eq(scales[:SCALE_BITS]),
            scaler.b_scale.eq(scales[SCALE_BITS:]),
            registers.token.as_value().eq(_delays(m, "register", taken, wait)[-1]),
            registers.summand.eq(scaler.summand),
            rounder.partial.eq(registers.partial),
            self.bits.eq(rounder.bits.replicate(self._cols)),
            self.status.eq(rounder.status.replicate(self._cols)),
        ]
        return m

    def _chosen(self, m: Module, second: Value) -> Value:
        """One column's sum, with all its parts in one cycle."""
        elements = align(self._datapath.elements)
        lane = partial_layout(elements).size
        seconds = _delays(m, "second", second, elements.skew)
        parts = []
        for bits, lag in partial_lags(elements):
            part: Value = self.partial[bits.start : bits.stop]
            if self._cols == 2:
                part = Mux(seconds[lag], self.partial[lane + bits.start : lane + bits.stop], part)
            wait = elements.skew - lag + TAKE_LATENCY
            parts.append(_delays(m, f"part_{bits.start}", part, wait)[-1])
        return Cat(parts)


class BlockEdges(Structural):
    """Edges of ``cols >= 2`` columns by halving, an odd last column with one of its own.

    Members as :class:`BlockEdge`, with ``cols`` lanes.
    """

    has_reset = False

    def __init__(self, datapath: Datapath, rows: int, cols: int) -> None:
        assert cols >= 2
        self._datapath = datapath
        self._rows = rows
        self._cols = cols
        super().__init__(_members(datapath, rows, cols))

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"block_edges_x{self._cols}"

    @property
    def structure(self) -> Structure:
        """Two halves of whole pairs; at the end one pair, and the odd column."""
        pairs = self._cols // 2
        lower = 2 * (pairs - pairs // 2) if pairs > 1 else 2
        structure = Structure()
        arriving = self.nets("token", "a_scale")
        for first, count in ((0, lower), (lower, self._cols - lower)):
            if not count:
                break
            leaving = self.nets("token_out", "a_scale_out")
            if first + count < self._cols:
                leaving = {
                    name: structure.wire(f"{name}_between", net.stop)
                    for name, net in leaving.items()
                }
            structure.parts["upper" if first else "lower"] = (
                Part(BlockEdge if count <= 2 else BlockEdges, (self._datapath, self._rows, count)),
                self._lanes(first, count) | arriving | leaving,
            )
            arriving = {name.removesuffix("_out"): net for name, net in leaving.items()}
        return structure

    def _lanes(self, first: int, count: int) -> dict[str, Net]:
        return {
            port: self.net(port).lanes(first, count, bits)
            for port, bits in _lane_widths(self._datapath).items()
        }


def _lane_widths(datapath: Datapath) -> dict[str, int]:
    return {
        "partial": partial_layout(align(datapath.elements)).size,
        "b_scale": SCALE_BITS,
        "bits": datapath.out_width,
        "status": STATUS_BITS,
    }


def _members(datapath: Datapath, rows: int, cols: int) -> dict[str, wiring.Member]:
    token = sum_token_layout(rows).size
    lanes = _lane_widths(datapath)
    return {
        "partial": In(lanes["partial"] * cols),
        "b_scale": In(lanes["b_scale"] * cols),
        "bits": Out(lanes["bits"] * cols),
        "status": Out(lanes["status"] * cols),
        "token": In(token),
        "token_out": Out(token),
        "a_scale": In(SCALE_BITS),
        "a_scale_out": Out(SCALE_BITS),
    }


def _delays(m: Module, name: str, value: Value, cycles: int) -> list[Value]:
    """Return a value as it is, and as it was 1 to ``cycles`` cycles ago."""
    values = [Value.cast(value)]
    for cycle in range(cycles):
        register = Signal(len(values[0]), name=f"{name}_{cycle}", reset_less=True)
        m.d.sync += register.eq(values[-1])
        values.append(register)
    return values
