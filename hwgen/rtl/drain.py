"""Results on their way out: which cycle brings which row, and the buffer that credits stand for."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.column_chain import ColumnChain, ColumnPart
from hwgen.rtl.logic import advanced
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.timing import BUFFER_LATENCY

__all__ = ["ColumnBuffer", "ColumnBuffers", "OutputControl", "RowTokens", "token_layout"]


def token_layout(depth: int) -> data.StructLayout:
    """Layout of a write token: a row arrives, and where it goes."""
    return data.StructLayout({"write": 1, "address": range(depth)})


class RowTokens(wiring.Component):
    """Mark the cycles in which a block's rows come out of column 0's rounder.

    Parameters
    ----------
    rows : int
    latency : int
        Cycles from a block's end to its row 0.
    depth : int
        Rows of the output buffer.
    lead : int
        Latency of the rounders.

    Members
    -------
    block_end : In(1)
    take : Out(1)
        A row of column 0 is at its rounder's input.
    token : Out(token_layout)

    Notes
    -----
    Row i comes ``latency + 2*i`` cycles after ``block_end``. Reset forgets all rows under way.
    """

    has_reset = True

    definition = "row_tokens"

    def __init__(self, rows: int, latency: int, depth: int, lead: int) -> None:
        assert lead < latency
        self._rows = rows
        self._latency = latency
        self._lead = lead
        self._depth = depth
        super().__init__({"block_end": In(1), "take": Out(1), "token": Out(token_layout(depth))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row: Value = self.block_end
        if self._rows > 1:
            # Cycles left to the block's last row: rows come at every odd count, two cycles apart.
            left = Signal(range(2 * self._rows - 1))
            with m.If(self.block_end):
                m.d.sync += left.eq(2 * (self._rows - 1))
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)
            row = Signal()
            m.d.comb += row.eq(self.block_end | left[0])
        under_way = Signal(self._latency)
        m.d.sync += under_way.eq(Cat(row, under_way))
        write = under_way[-1]
        with m.If(write):
            m.d.sync += self.token.address.eq(
                advanced(self.token.address, self._depth, Const(1, 1))
            )
        m.d.comb += [
            self.token.write.eq(write),
            self.take.eq(under_way[self._latency - 1 - self._lead]),
        ]
        return m


class ColumnBuffer(ColumnPart):
    """One column's part of the output buffer.

    Members
    -------
    token_in : In(token_layout, flat)
        Write this cycle's element.
    token_out : Out(token_layout, flat)
        The same a cycle later, for the next column.
    bits, status : In
        The element.
    read_address : In
        Address of the element wanted in the next cycle.
    read_bits, read_status : Out

    Notes
    -----
    An element written in one cycle can be addressed in the next and is then read in the one after.
    """

    definition = "column_buffer"

    @staticmethod
    def lane_widths(width: int) -> dict[str, int]:
        """Bits of the ports that every column has for itself."""
        return {
            "bits": width,
            "status": STATUS_BITS,
            "read_bits": width,
            "read_status": STATUS_BITS,
        }

    @classmethod
    def members(cls, width: int, depth: int, count: int) -> dict[str, wiring.Member]:
        """Ports of ``count`` columns."""
        token = token_layout(depth).size
        lanes = {port: bits * count for port, bits in cls.lane_widths(width).items()}
        return {
            "token_in": In(token),
            "token_out": Out(token),
            "bits": In(lanes["bits"]),
            "status": In(lanes["status"]),
            "read_address": In(range(depth)),
            "read_bits": Out(lanes["read_bits"]),
            "read_status": Out(lanes["read_status"]),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = token_layout(self._depth)
        arriving = layout(self.token_in)
        token = Signal(layout)
        m.d.sync += token.eq(arriving)
        m.d.comb += self.token_out.eq(token)
        m.submodules.storage = storage = memory.Memory(
            shape=self._width + STATUS_BITS, depth=self._depth, init=[]
        )
        write = storage.write_port()
        read = storage.read_port()
        m.d.comb += [
            write.en.eq(arriving.write),
            write.addr.eq(arriving.address),
            write.data.eq(Cat(self.bits, self.status)),
            read.en.eq(1),
            read.addr.eq(self.read_address),
            Cat(self.read_bits, self.read_status).eq(read.data),
        ]
        return m


class ColumnBuffers(ColumnChain):
    """Column buffers in a chain of tokens. Members as :class:`ColumnBuffer`."""

    part = ColumnBuffer


class OutputControl(wiring.Component):
    """Offer complete rows to the consumer in order.

    Members
    -------
    row_complete : In(1)
        The last column has written a row (one cycle ago).
    read_address : Out
        Of the row wanted in the next cycle.
    row_valid, row_last : Out(1)
    row_ready : In(1)
    row_taken : Out(1)
    """

    has_reset = True

    definition = "output_control"

    def __init__(self, rows: int, depth: int) -> None:
        self._rows = rows
        self._depth = depth
        super().__init__(
            {
                "row_complete": In(1),
                "read_address": Out(range(depth)),
                "row_valid": Out(1),
                "row_last": Out(1),
                "row_ready": In(1),
                "row_taken": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last column's write to ``row_valid``."""
        return BUFFER_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        filled = Signal(range(self._depth + 1))
        address = Signal(range(self._depth))
        m.d.comb += [
            self.row_valid.eq(filled != 0),
            self.row_taken.eq(self.row_valid & self.row_ready),
            self.read_address.eq(advanced(address, self._depth, self.row_taken)),
        ]
        m.d.sync += [
            filled.eq(filled + self.row_complete - self.row_taken),
            address.eq(self.read_address),
        ]
        if self._rows == 1:
            m.d.comb += self.row_last.eq(1)
            return m
        row = Signal(range(self._rows))
        m.d.comb += self.row_last.eq(row == self._rows - 1)
        with m.If(self.row_taken):
            m.d.sync += row.eq(Mux(self.row_last, 0, row + 1))
        return m
