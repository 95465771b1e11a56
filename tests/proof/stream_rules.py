"""What the core's streams promise, as rules over its emitted Verilog, and what supports the proof.

Any stalls on any side, blocks of any length, of different lengths on the two sides too: no beat is
lost, none invented, every row of every block comes out once, in order, with the right results.
"""

from __future__ import annotations

from collections.abc import Callable

import z3
from stream_cycle import COUNT, NAMES, Cycle, lane, number
from stream_ghosts import (
    DELAYS,
    ROW,
    elements,
    has_reference_sums,
    induction_depth,
    stream_ghosts,
    sum_delay,
)

from hwgen.flow.induction import Induction, Rule, Transitions
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

Conditions = dict[str, Callable[[Cycle], z3.BoolRef]]

SKIPS = {"a": 1, "b": 2}  # the circuit's code for a side whose surplus is dropped


def stream_induction(design: Design, verilog: str) -> Induction:
    """Return the circuit with the ghosts and rules of its streams.

    The design's sums have one lane, and start from zero.
    """
    assert timing(design).lanes == 1, design
    # Where the reference reckons no results, there is no need for the circuit's arithmetic either.
    free = () if has_reference_sums(design) else ("result_bits", "result_status")
    circuit = Transitions(verilog, design.name, free=free)
    conditions = stream_promises(design) | stream_supports(design)
    rules = [
        Rule(name=name, holds=lambda f, holds=holds: holds(Cycle(design, f)))
        for name, holds in conditions.items()
    ]
    return Induction(
        circuit,
        stream_ghosts(design),
        rules,
        reset=lambda f: z3.Not(f["aresetn"]),
        shown=[name for name in NAMES.values() if name in circuit.widths],
    )


def stream_promises(design: Design) -> Conditions:
    """Return the rules that a user relies on."""
    rules = _output_promises(design) | _delay_promises(design)
    for side, other in ("ab", "ba"):
        rules |= _input_promises(side, other)
    return rules


def _output_promises(design: Design) -> Conditions:
    def is_next(c: Cycle) -> z3.BoolRef:
        return z3.And(c["c_valid"], c["watching"], c["position"] == 0)

    def right(c: Cycle) -> z3.BoolRef:
        same = [c.offered(col) == c[f"watched_{col}"] for col in range(design.cols)]
        return z3.Implies(is_next(c), z3.And(same))

    def ended(c: Cycle) -> z3.BoolRef:
        return z3.Implies(is_next(c), c["c_last"] == (c["watched_row"] == design.rows - 1))

    def stays(c: Cycle) -> z3.BoolRef:
        refused = z3.And(c["before_c_valid"], z3.Not(c["before_c_ready"]))
        same = [c[name] == c[f"before_{name}"] for name in ROW]
        return z3.Implies(refused, z3.And(c["c_valid"], *same))

    return {
        "no row is offered that is not owed": lambda c: z3.Implies(c["c_valid"], c["owed"] != 0),
        "no more rows are owed than the buffer holds": lambda c: z3.ULE(
            c["owed"], c.when.buffer_rows
        ),
        "a row holds its block's results": right,
        "tlast marks a block's last row": ended,
        "an offered row stays until it is taken": stays,
        "protocol_error tells that lengths differed": lambda c: c["protocol_error"] == c["error"],
    }


def _delay_promises(design: Design) -> Conditions:
    def shorter(name: str, cycles: Callable[[Cycle], int]) -> Callable[[Cycle], z3.BoolRef]:
        # The condition has held for c[name] cycles before this one.
        return lambda c: z3.Implies(DELAYS[name](c), z3.ULT(c[name] + 1, cycles(c)))

    return {
        "a row that is owed is offered after its latency": shorter(
            "row_delay", lambda c: c.when.first_result
        ),
        "a pair waits less than an interval while there is room": shorter(
            "pair_delay_with_room", lambda c: max(1 + c.when.clearing, c.when.block_interval)
        ),
        "a pair waits less than an interval while rows are taken": shorter(
            "pair_delay_with_consumer", lambda c: max(1 + c.when.clearing, c.when.block_interval)
        ),
        "a pair that ends no block does not wait": lambda c: z3.Implies(
            z3.And(c.pair_waits(), z3.Not(c.ends())), z3.ULT(c["age"], c.when.clearing)
        ),
    }


def _input_promises(side: str, other: str) -> Conditions:
    def dropped(c: Cycle) -> z3.BoolRef:
        return z3.Implies(z3.And(c[f"{side}_surplus"], c.present(side)), c.used(side))

    def paired(c: Cycle) -> z3.BoolRef:
        return z3.Implies(c.used(side), z3.Or(c[f"{side}_surplus"], c.used(other)))

    return {
        f"{side}: ready unless a beat waits": lambda c: z3.Implies(
            c["age"] != 0, c[f"{side}_ready"] == z3.Not(c[f"{side}_waits"])
        ),
        f"{side}: not ready in the cycle after reset": lambda c: z3.Implies(
            c["age"] == 0, z3.Not(c[f"{side}_ready"])
        ),
        f"{side}: no beat is used that is not there": lambda c: z3.Implies(
            c.used(side), c.present(side)
        ),
        f"{side}: a beat is used with its partner": paired,
        f"{side}: surplus beats are dropped at once": dropped,
        f"{side}: no beat is used while the other's surplus is dropped": lambda c: z3.Implies(
            c[f"{other}_surplus"], z3.Not(c.used(side))
        ),
    }


def stream_supports(design: Design) -> Conditions:
    """Return rules on registers inside, without which the induction would not close."""
    rules = _counting(design) | _buffer(design)
    if has_reference_sums(design):
        rules |= _sums(design)
    for side in "ab":
        rules |= _inputs(side)
    return rules


def _inputs(side: str) -> Conditions:
    """The circuit's state at its inputs is the reference's."""

    def kept(c: Cycle) -> z3.BoolRef:
        same = z3.Implies(c[f"{side}_waits"], c[f"{side}_spare"] == c[f"{side}_waiting"])
        return z3.And(c[f"{side}_kept"] == c[f"{side}_waits"], same)

    return {
        f"{side}: the beat that waits is kept": kept,
        f"{side}: surplus is skipped": lambda c: (c["skip"] == SKIPS[side]) == c[f"{side}_surplus"],
    }


def _counting(design: Design) -> Conditions:
    """Where the rows are that credits stand for."""

    def under_way(c: Cycle) -> z3.BitVecRef:
        word = c["under_way"]
        inside = [number(lane(word, bit, 1)) for bit in range(word.size())]
        # Those that have yet to enter: one at every odd number of cycles left.
        return sum(inside, z3.LShR(c.counter("left") + 1, 1))

    def may_end(c: Cycle) -> z3.BoolRef:
        room = z3.UGE(number(c["credits"]), design.rows)
        return z3.Implies(c["may_end"], z3.And(room, c.counter("interval_left") == 0))

    def spaced(c: Cycle) -> z3.BoolRef:
        # With so many cycles left the block's rows entered so many cycles ago, and every second
        # one since.
        word = c["under_way"]
        whole = 2 * (design.rows - 1)
        entered = {
            left: [
                lane(word, bit, 1) == 1 for bit in range(whole - left, -1, -2) if bit < word.size()
            ]
            for left in range(1, whole + 1)
        }
        return z3.And(
            [z3.Implies(c.counter("left") == left, z3.And(bits)) for left, bits in entered.items()]
        )

    return {
        "the first cycle clears the array": lambda c: c["clearing"] == (c["age"] == 0),
        "one side at most is skipped": lambda c: z3.ULE(c["skip"], max(SKIPS.values())),
        "a credit is there or a row is owed": lambda c: (
            number(c["credits"]) + c["owed"] == c.when.buffer_rows
        ),
        "what is owed is in the buffer or under way": lambda c: (
            c["owed"] == c.written(0) + under_way(c)
        ),
        "an end may enter if there is room and the chains are free": may_end,
        "the interval covers the rows that have yet to enter": lambda c: z3.ULE(
            c.counter("left"), c.counter("interval_left")
        ),
        "the interval is no longer than promised": lambda c: z3.ULT(
            c.counter("interval_left"), c.when.block_interval
        ),
        "a block's rows enter two cycles apart": spaced,
        "rows are written behind those that are there": lambda c: (
            c.address(c.written(0)) == c["write_address"]
        ),
    }


def _sums(design: Design) -> Conditions:
    """Every element's register holds the sum of the pairs that have reached it."""

    def holds(c: Cycle, row: int, col: int) -> z3.BoolRef:
        delay = sum_delay(design, row, col)
        assert delay < induction_depth(design)  # where the age stops
        # The clearing token has passed.
        cleared = z3.UGT(c["age"], delay)
        return z3.Implies(cleared, c.register(row, col) == c[f"sum_{row}_{col}_{delay}"])

    return {
        f"element {row}, {col} holds its sum": lambda c, at=(row, col): holds(c, *at)
        for row, col in elements(design)
    }


def _buffer(design: Design) -> Conditions:
    """The watched row is where it should be."""
    rows, cols = design.rows, range(design.cols)

    def kept(c: Cycle, col: int) -> z3.BoolRef:
        there = z3.And(c["watching"], z3.ULT(c["position"], c.written(col)))
        return z3.Implies(there, c.stored(col, c.address(c["position"])) == c[f"watched_{col}"])

    def shown(c: Cycle, col: int) -> z3.BoolRef:
        return z3.Implies(c["c_valid"], c.offered(col) == c.stored(col, c["read_address"]))

    def whole(c: Cycle) -> z3.BoolRef:
        blocks = z3.URem(c.row() + c["owed"], z3.BitVecVal(rows, COUNT)) == 0
        return z3.And(z3.ULT(c.row(), rows), blocks)

    def watched(c: Cycle) -> z3.BoolRef:
        index = z3.URem(c.row() + c["position"], z3.BitVecVal(rows, COUNT))
        inside = z3.And(z3.ULT(c["position"], c["owed"]), z3.ULT(c["watched_row"], rows))
        return z3.Implies(c["watching"], z3.And(inside, index == c["watched_row"]))

    rules: Conditions = {
        "rows leave block by block": whole,
        "the watched row is owed": watched,
    }
    for col in cols:
        rules |= {
            f"column {col} keeps the watched row": lambda c, col=col: kept(c, col),
            f"column {col} shows the row that is next": lambda c, col=col: shown(c, col),
        }
    return rules
