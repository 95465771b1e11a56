"""Start values on their way in: the buffer that a block's end waits for, and who reads it when."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.column_chain import ColumnChain, ColumnPart
from hwgen.rtl.drain import RowTokens, token_layout
from hwgen.rtl.logic import advanced
from hwgen.rtl.round import STATUS_BITS
from hwgen.rtl.start_adder import start_layout

__all__ = ["StartColumn", "StartColumns", "StartControl", "StartTokens"]


class StartTokens(RowTokens):
    """Mark the cycles in which column 0 reads a block's start values."""

    definition = "start_tokens"


class StartControl(wiring.Component):
    """Take rows of start values while there is room, and say when a block's rows are there.

    Parameters
    ----------
    rows : int
        Of a block.
    depth : int
        Rows of the buffer, a power of two.
    block_interval : int
        Least cycles between the ends of consecutive blocks.

    Members
    -------
    valid, last : In(1)
    ready : Out(1)
        The stream; ``ready`` is a register, low in reset.
    write : Out(token_layout, flat)
        Where this cycle's row goes.
    block_end : In(1)
        A block's end is admitted, whose rows are not available to another one.
    block_ready : Out(1)
        A block may end in the next cycle: all its rows will be there.
    freed : In(1)
        The last column has read a row.
    lengths_differ : In(1)
    protocol_error : Out(1)
        ``lengths_differ``, or (sticky) a row came whose ``last`` is not what its place says. Rows
        are counted: every block takes ``rows`` of them, whatever ``last`` says.
    """

    has_reset = True
    definition = "start_control"

    def __init__(self, rows: int, depth: int, block_interval: int) -> None:
        self._rows = rows
        self._depth = depth
        self._block_interval = block_interval
        super().__init__(
            {
                "valid": In(1),
                "ready": Out(1),
                "last": In(1),
                "write": Out(token_layout(depth).size),
                "block_end": In(1),
                "block_ready": Out(1),
                "freed": In(1),
                "lengths_differ": In(1),
                "protocol_error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, depth = self._rows, self._depth
        taken = Signal()
        address = Signal(range(depth))
        room = Signal(range(depth + 1), init=depth)
        room_left = Signal(range(depth + 2))
        ready = Signal()
        m.d.comb += [
            taken.eq(self.valid & ready),
            room_left.eq(room + self.freed - taken),
            self.ready.eq(ready),
            self.write.eq(Cat(taken, address)),
        ]
        m.d.sync += [
            room.eq(room_left),
            ready.eq(room_left != 0),
            address.eq(advanced(address, depth, taken)),
        ]
        loaded = Signal(range(depth + 1))
        available = Signal(range(depth + 2))
        # After an end none comes in the next cycle, by when its rows are gone; but those of an
        # array of one row may come in consecutive cycles.
        needed = rows
        if self._block_interval == 1:
            needed = Mux(self.block_end, 2 * rows, rows)
        m.d.comb += [
            available.eq(loaded + taken),
            self.block_ready.eq(available >= needed),
        ]
        m.d.sync += loaded.eq(available - Mux(self.block_end, rows, 0))
        misplaced = Signal()
        self._check_last(m, taken, misplaced)
        wrong = Signal()
        m.d.sync += wrong.eq(wrong | misplaced)
        m.d.comb += self.protocol_error.eq(wrong | self.lengths_differ)
        return m

    def _check_last(self, m: Module, taken: Signal, misplaced: Signal) -> None:
        if self._rows == 1:
            m.d.comb += misplaced.eq(taken & ~self.last)
            return
        row = Signal(range(self._rows))
        is_last = Signal()
        m.d.comb += [
            is_last.eq(row == self._rows - 1),
            misplaced.eq(taken & (self.last ^ is_last)),
        ]
        with m.If(taken):
            m.d.sync += row.eq(Mux(is_last, 0, row + 1))


class StartColumn(ColumnPart):
    """One column's part of the start values' buffer.

    Members
    -------
    write : In(token_layout, flat)
        Take this cycle's element.
    bits, status : In
        The element.
    token_in : In(token_layout, flat)
        Read a row: its start value is handed out in the next cycle.
    token_out : Out(token_layout, flat)
        The same a cycle later, for the next column.
    start : Out(start_layout, flat)
    """

    definition = "start_column"

    @staticmethod
    def lane_widths(width: int) -> dict[str, int]:
        """Bits of the ports that every column has for itself."""
        return {"bits": width, "status": STATUS_BITS, "start": start_layout(width).size}

    @classmethod
    def members(cls, width: int, depth: int, count: int) -> dict[str, wiring.Member]:
        """Ports of ``count`` columns."""
        token = token_layout(depth).size
        lanes = {port: bits * count for port, bits in cls.lane_widths(width).items()}
        return {
            "write": In(token),
            "token_in": In(token),
            "token_out": Out(token),
            "bits": In(lanes["bits"]),
            "status": In(lanes["status"]),
            "start": Out(lanes["start"]),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = token_layout(self._depth)
        arriving, written = layout(self.token_in), layout(self.write)
        token = Signal(layout)
        m.d.sync += token.eq(arriving)
        m.submodules.storage = storage = memory.Memory(
            shape=start_layout(self._width).size, depth=self._depth, init=[]
        )
        write = storage.write_port()
        read = storage.read_port()
        m.d.comb += [
            self.token_out.eq(token),
            write.en.eq(written.write),
            write.addr.eq(written.address),
            write.data.eq(Cat(self.bits, self.status)),
            read.en.eq(1),
            read.addr.eq(arriving.address),
            self.start.eq(read.data),
        ]
        return m


class StartColumns(ColumnChain):
    """Start values' buffers in a chain of tokens. Members as :class:`StartColumn`."""

    part = StartColumn
