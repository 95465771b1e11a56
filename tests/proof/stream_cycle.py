"""One cycle of the core as the stream rules see it: what its ports, registers and the ghosts say.

A beat at the ports waits in a queue of the reference's until the circuit uses it. When it does so
is the circuit's choice; which beat that is, what it does to the sums and what a block's end owes to
the consumer is reckoned here, from the ports.
"""

from __future__ import annotations

from functools import cache, reduce

import z3

from hwgen.flow.induction import Frame
from hwgen.model import exact
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.design import Design
from hwgen.spec.timing import Timing, timing

COUNT = 8  # bits of counts and positions

# The circuit's signals by what they are to the rules; no other place knows the circuit's own names.
NAMES = {
    "a_valid": "s_axis_a_tvalid",
    "a_ready": "s_axis_a_tready",
    "a_data": "s_axis_a_tdata",
    "a_last": "s_axis_a_tlast",
    "b_valid": "s_axis_b_tvalid",
    "b_ready": "s_axis_b_tready",
    "b_data": "s_axis_b_tdata",
    "b_last": "s_axis_b_tlast",
    "c_valid": "m_axis_c_tvalid",
    "c_ready": "m_axis_c_tready",
    "c_data": "m_axis_c_tdata",
    "c_last": "m_axis_c_tlast",
    "c_user": "m_axis_c_tuser",
    "protocol_error": "protocol_error",
    "a_kept": "a_buffer.spare_valid",
    "a_spare": "a_buffer.spare",
    "b_kept": "b_buffer.spare_valid",
    "b_spare": "b_buffer.spare",
    "a_beat_valid": "admission.a__valid",
    "a_beat_ready": "admission.a__ready",
    "b_beat_valid": "admission.b__valid",
    "b_beat_ready": "admission.b__ready",
    "clearing": "admission.clearing",
    "skip": "admission.skip",
    "may_end": "admission.may_end",
    "interval_left": "admission.interval_left",
    "credits": "admission.credits",
    "left": "row_tokens.left",
    "under_way": "row_tokens.under_way",
    "write_address": "row_tokens.token_address",
    "result_bits": "result_bits",
    "result_status": "result_status",
    "filled": "output_control.filled",
    "read_address": "output_control.address",
    "row": "output_control.row",
}
TOKEN = "column_buffers.columns_{col}.token_out"
WORD = "column_buffers.columns_{col}.storage[{address}]"
REGISTER = "mesh.pe_{row}_{col}.accumulator_acc_0"
SEEN = "mesh.pe_{row}_{col}.accumulator_seen"


def number(term: z3.ExprRef, bits: int = COUNT) -> z3.BitVecRef:
    """A Bool or a bit vector as an unsigned number of so many bits."""
    if z3.is_bool(term):
        return z3.If(term, z3.BitVecVal(1, bits), z3.BitVecVal(0, bits))
    return z3.ZeroExt(bits - term.size(), term)


def lane(word: z3.BitVecRef, index: int, bits: int) -> z3.BitVecRef:
    """A lane of a packed word."""
    return z3.Extract((index + 1) * bits - 1, index * bits, word)


def pick(index: z3.BitVecRef, terms: list[z3.ExprRef]) -> z3.ExprRef:
    """The term of that index; the first one if the index is beyond."""
    return reduce(
        lambda other, i: z3.If(index == i, terms[i], other), range(1, len(terms)), terms[0]
    )


class Cycle:
    """A frame of the core's.

    Parameters
    ----------
    design : Design
        Integer operands of few bits, and an integer accumulator that wraps around.
    frame : Frame
    """

    def __init__(self, design: Design, frame: Frame) -> None:
        self.design = design
        self._frame = frame

    def __getitem__(self, name: str) -> z3.ExprRef:
        """A ghost, or a signal by its name in NAMES."""
        return self._frame[NAMES.get(name, name)]

    def counter(self, name: str) -> z3.BitVecRef:
        """A counter of the circuit's, which small designs do without: then 0."""
        return number(self[name]) if NAMES[name] in self._frame else z3.BitVecVal(0, COUNT)

    @property
    def when(self) -> Timing:
        """The design's timing."""
        return timing(self.design)

    # Input.

    def beat_bits(self, side: str) -> int:
        """Bits of a beat: tlast above the elements."""
        path = self.design.datapath
        rows, cols = self.design.rows, self.design.cols
        return 1 + (rows * path.a.width if side == "a" else cols * path.b.width)

    def accepted(self, side: str) -> z3.BoolRef:
        """A beat crosses the port."""
        return z3.And(self[f"{side}_valid"], self[f"{side}_ready"])

    def present(self, side: str) -> z3.BoolRef:
        """A beat waits or arrives."""
        return z3.Or(self[f"{side}_waits"], self.accepted(side))

    def beat(self, side: str) -> z3.BitVecRef:
        """The beat next in line: the one that waits, else the one that arrives."""
        data = z3.Extract(self.beat_bits(side) - 2, 0, self[f"{side}_data"])
        arriving = z3.Concat(number(self[f"{side}_last"], 1), data)
        return z3.If(self[f"{side}_waits"], self[f"{side}_waiting"], arriving)

    def last(self, side: str) -> z3.BoolRef:
        """The beat next in line ends its block."""
        return lane(self.beat(side), self.beat_bits(side) - 1, 1) == 1

    def used(self, side: str) -> z3.BoolRef:
        """The circuit uses a beat: pairs it, or drops it."""
        return z3.And(self[f"{side}_beat_valid"], self[f"{side}_beat_ready"])

    def paired(self) -> z3.BoolRef:
        """A pair enters the array."""
        return z3.And(self.used("a"), self.used("b"))

    def pair_waits(self) -> z3.BoolRef:
        """A pair is there and does not enter."""
        surplus = z3.Or(self["a_surplus"], self["b_surplus"])
        return z3.And(self.present("a"), self.present("b"), z3.Not(surplus), z3.Not(self.paired()))

    def ends(self) -> z3.BoolRef:
        """The pair next in line ends a block on one side or on both."""
        return z3.Or(self.last("a"), self.last("b"))

    def differs(self) -> z3.BoolRef:
        """The pair next in line ends a block on one side alone."""
        return self.last("a") != self.last("b")

    def block_ends(self) -> z3.BoolRef:
        """The end of a block that makes rows enters."""
        return z3.And(self.paired(), self.last("a"), self.last("b"))

    # Sums.

    def total(self, row: int, col: int) -> z3.BitVecRef:
        """An element's sum with this cycle's pair; above it whether it ever left the register."""
        path = self.design.datapath
        bits = path.window.width
        before = self[f"sum_{row}_{col}"]
        value = z3.SignExt(bits, z3.Extract(bits - 1, 0, before))
        product = [
            (z3.SignExt if fmt.signed else z3.ZeroExt)(
                2 * bits - fmt.width, lane(self.beat(side), index, fmt.width)
            )
            for side, index, fmt in (("a", row, path.a), ("b", col, path.b))
        ]
        value += product[0] * product[1]
        register = z3.Extract(bits - 1, 0, value)
        left = z3.Extract(bits, bits, before) | number(z3.SignExt(bits, register) != value, 1)
        return z3.If(self.paired(), z3.Concat(left, register), before)

    def result(self, row: int, col: int) -> z3.BitVecRef:
        """Status above pattern of an element, should the block end here."""
        table = [z3.BitVecVal(word, self.result_bits) for word in _results(self.design)]
        return pick(self.total(row, col), table)

    @property
    def result_bits(self) -> int:
        """Bits of a result's pattern and status."""
        return self.design.datapath.out_width + STATUS_BITS

    def rounded(self, col: int) -> z3.BitVecRef:
        """Status above pattern of an element that comes out of a rounder."""
        pattern = lane(self["result_bits"], col, self.design.datapath.out_width)
        return z3.Concat(lane(self["result_status"], col, STATUS_BITS), pattern)

    # Output.

    def row_leaves(self) -> z3.BoolRef:
        """A row crosses the port."""
        return z3.And(self["c_valid"], self["c_ready"])

    def offered(self, col: int) -> z3.BitVecRef:
        """Status above pattern of an element at the output."""
        pattern = lane(self["c_data"], col, self.design.datapath.out_width)
        return z3.Concat(lane(self["c_user"], col, STATUS_BITS), pattern)

    def row(self) -> z3.BitVecRef:
        """Index of the row that is next at the output."""
        # Of two rows the counter is tlast; of one there is none.
        if self.design.rows == 1:
            return z3.BitVecVal(0, COUNT)
        return number(self["c_last" if self.design.rows == 2 else "row"])

    def written(self, col: int) -> z3.BitVecRef:
        """Rows of a column that are in the buffer and have not left it."""
        tokens = [self[TOKEN.format(col=c)] for c in range(col, self.design.cols)]
        return sum((number(lane(token, 0, 1)) for token in tokens), number(self["filled"]))

    def address(self, position: z3.BitVecRef) -> z3.BitVecRef:
        """Where in the buffer the row is that leaves after so many others."""
        read = self["read_address"]
        return read + z3.Extract(read.size() - 1, 0, position)

    def stored(self, col: int, address: z3.BitVecRef) -> z3.BitVecRef:
        """Status above pattern in a column's buffer."""
        names = (WORD.format(col=col, address=n) for n in range(self.when.buffer_rows))
        return pick(address, [self[name] for name in names])

    def register(self, row: int, col: int) -> z3.BitVecRef:
        """An element's register, in the form of :meth:`total`."""
        bits = self.design.datapath.window.width
        word = self[REGISTER.format(row=row, col=col)]
        # The bit above the register tells that the last sum left it.
        leaves = lane(word, bits, 1) ^ lane(word, bits - 1, 1)
        left = number(self[SEEN.format(row=row, col=col)], 1) | leaves
        return z3.Concat(left, z3.Extract(bits - 1, 0, word))


@cache
def _results(design: Design) -> list[int]:
    """Status above pattern for every sum in the form of :meth:`Cycle.total`, by the exact judge."""
    path = design.datapath
    count = 1 << path.window.width
    one, minus_one = (int(pattern) for pattern in path.a.from_float([1.0, -1.0]))
    # Upwards and downwards from zero, then once around.
    runs = [(one, terms, terms) for terms in range(count // 2)]
    runs += [(minus_one, terms, -terms % count) for terms in range(1, count // 2 + 1)]
    runs += [(one, terms, count + terms % count) for terms in range(count // 2, 3 * count // 2)]
    results = {}
    for a, terms, total in runs:
        pattern, status = exact.dot([a] * terms, [1] * terms, path)
        results[total] = status << path.out_width | pattern
    return [results[total] for total in range(2 * count)]
