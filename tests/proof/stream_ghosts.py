"""What the stream rules remember: queues, sums, rows owed, and one watched row among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import z3
from stream_cycle import COUNT, Cycle, pick

from hwgen.flow.induction import Ghost
from hwgen.rtl.core import padded
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.accumulator import IntegerSum, Overflow
from hwgen.spec.design import Design
from hwgen.spec.timing import BUFFER_LATENCY, OPERAND_LATENCY, timing

MAX_SUM_BITS = 5  # of sums whose results are reckoned one by one
ROW = ("c_data", "c_last", "c_user")  # what is offered with tvalid


def sum_delay(design: Design, row: int, col: int) -> int:
    """Cycles from when the reference has a sum to when an element's register does."""
    when = timing(design)
    return row + col + when.unpack + OPERAND_LATENCY + when.summand


def result_delay(design: Design) -> int:
    """Cycles from a block's end to element 0 of its row 0 at the output buffer."""
    return timing(design).first_result - BUFFER_LATENCY - (design.cols - 1)


def elements(design: Design) -> list[tuple[int, int]]:
    """Row and column of every element."""
    return [(row, col) for row in range(design.rows) for col in range(design.cols)]


def induction_depth(design: Design) -> int:
    """Cycles from a block's end to its last row at the output, and two more.

    With as many cycles of induction a row's whole way through the array lies inside them, and
    nothing need be said about the registers on that way.
    """
    when = timing(design)
    return when.first_result + when.row_interval * (design.rows - 1) + 2


def stream_ghosts(design: Design) -> list[Ghost]:
    """Return the reference's registers."""
    groups = [_inputs, _rows, _outputs]
    if has_reference_sums(design):
        groups.append(_sums)
    return [ghost for group in groups for ghost in group(design)]


def has_reference_sums(design: Design) -> bool:
    """Whether the reference reckons results itself: integers, and a register that wraps around.

    Of other designs a row's values are what the rounders hand out in the cycles in which the array
    and they are due to; that these values are right is proven of the arithmetic alone.
    """
    acc = design.datapath.acc
    wraps = isinstance(acc, IntegerSum) and acc.overflow is Overflow.WRAP
    return wraps and acc.bits <= MAX_SUM_BITS


def _ghost(
    design: Design,
    name: str,
    width: int,
    after: Callable[[Cycle], z3.ExprRef],
    start: int | bool | None = None,
) -> Ghost:
    return Ghost(name=name, width=width, start=start, after=lambda f: after(Cycle(design, f)))


def _inputs(design: Design) -> Iterator[Ghost]:
    """A queue a side, of one beat, and whether the rest of a side's block is surplus."""
    path = design.datapath
    for side, bits in (("a", design.rows * path.a.width), ("b", design.cols * path.b.width)):

        def waits(c: Cycle, side: str = side) -> z3.BoolRef:
            return z3.And(c.present(side), z3.Not(c.used(side)))

        def surplus(c: Cycle, side: str = side) -> z3.BoolRef:
            # Its partner was shorter.
            begins = z3.And(c.paired(), c.differs(), z3.Not(c.last(side)))
            stops = z3.And(c.used(side), c.last(side))
            return z3.Or(begins, z3.And(c[f"{side}_surplus"], z3.Not(stops)))

        yield _ghost(design, f"{side}_waits", 0, waits, False)
        yield _ghost(design, f"{side}_waiting", 1 + bits, lambda c, side=side: c.beat(side))
        yield _ghost(design, f"{side}_surplus", 0, surplus, False)
    yield _ghost(
        design, "error", 0, lambda c: z3.Or(c["error"], z3.And(c.paired(), c.differs())), False
    )


def _sums(design: Design) -> Iterator[Ghost]:
    """Every element's running sum, and what it was in the cycles before."""
    bits = design.datapath.window.width + 1
    for row, col in elements(design):

        def after(c: Cycle, row: int = row, col: int = col) -> z3.BitVecRef:
            ended = z3.And(c.paired(), c.ends())
            return z3.If(ended, z3.BitVecVal(0, bits), c.total(row, col))

        name = f"sum_{row}_{col}"
        yield _ghost(design, name, bits, after, 0)
        for delay in range(1, sum_delay(design, row, col) + 1):
            before = f"{name}_{delay - 1}" if delay > 1 else name
            yield _ghost(design, f"{name}_{delay}", bits, lambda c, before=before: c[before])


def _rows(design: Design) -> Iterator[Ghost]:
    """Rows that are owed to the consumer, and the watched one among them."""
    rows = z3.BitVecVal(design.rows, COUNT)
    none = z3.BitVecVal(0, COUNT)

    def still_owed(c: Cycle) -> z3.BitVecRef:
        return z3.If(c.row_leaves(), c["owed"] - 1, c["owed"])

    def watching(c: Cycle) -> z3.BoolRef:
        begins = z3.And(c["choose"], z3.ULT(c["choice"], rows), c.block_ends())
        leaves = z3.And(c.row_leaves(), c["position"] == 0)
        return z3.If(c["watching"], z3.Not(leaves), begins)

    def position(c: Cycle) -> z3.BitVecRef:
        # How many rows leave before the watched one.
        moved = z3.If(c.row_leaves(), c["position"] - 1, c["position"])
        return z3.If(c["watching"], moved, still_owed(c) + c["choice"])

    def watched(c: Cycle, col: int) -> z3.BitVecRef:
        if has_reference_sums(design):
            results = [c.result(row, col) for row in range(design.rows)]
            return z3.If(c["watching"], c[f"watched_{col}"], pick(c["choice"], results))
        due = result_delay(design) + col + 2 * c["watched_row"]
        return z3.If(c["since"] == due, c.rounded(col), c[f"watched_{col}"])

    yield _ghost(
        design, "owed", COUNT, lambda c: still_owed(c) + z3.If(c.block_ends(), rows, none), 0
    )
    # A free choice: to watch a row of the block that ends in this cycle, and which one.
    yield Ghost(name="choose", width=0)
    yield Ghost(name="choice", width=COUNT)
    yield _ghost(design, "watching", 0, watching, False)
    yield _ghost(design, "position", COUNT, position)
    yield _ghost(
        design,
        "watched_row",
        COUNT,
        lambda c: z3.If(c["watching"], c["watched_row"], c["choice"]),
    )
    one = z3.BitVecVal(1, COUNT)
    yield _ghost(design, "since", COUNT, lambda c: z3.If(c["watching"], _later(c, "since"), one))
    for col in range(design.cols):
        bits = design.datapath.out_width + STATUS_BITS
        yield _ghost(design, f"watched_{col}", bits, lambda c, col=col: watched(c, col))


def _later(c: Cycle, name: str) -> z3.BitVecRef:
    """One cycle more, as far as it matters."""
    return z3.If(z3.ULT(c[name], induction_depth(c.design)), c[name] + 1, c[name])


def _outputs(design: Design) -> Iterator[Ghost]:
    """The output in the cycle before, how long delays have lasted, and cycles since reset."""
    widths = {
        "c_data": padded(design.cols * design.datapath.out_width),
        "c_user": STATUS_BITS * design.cols,
    }
    for name in ("c_valid", "c_ready", *ROW):
        start = None if name in ROW else False
        yield _ghost(
            design, f"before_{name}", widths.get(name, 0), lambda c, name=name: c[name], start
        )
    none = z3.BitVecVal(0, COUNT)
    for name, condition in DELAYS.items():

        def after(c: Cycle, name: str = name, condition=condition) -> z3.BitVecRef:
            return z3.If(condition(c), c[name] + 1, none)

        yield _ghost(design, name, COUNT, after, 0)
    yield _ghost(design, "age", COUNT, lambda c: _later(c, "age"), 0)


def _end_waits_with_room(c: Cycle) -> z3.BoolRef:
    return z3.And(c.pair_waits(), z3.ULE(c["owed"] + c.design.rows, c.when.buffer_rows))


DELAYS = {
    "row_delay": lambda c: z3.And(c["owed"] != 0, z3.Not(c["c_valid"])),
    "pair_delay_with_room": _end_waits_with_room,
    "pair_delay_with_consumer": lambda c: z3.And(c.pair_waits(), c["c_ready"]),
}
