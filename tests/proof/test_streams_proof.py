"""The streams keep their rules for ever: any stalls, any blocks, from any reset on."""

from __future__ import annotations

from functools import cache

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")
pytest.importorskip("pyosys", reason="needs Yosys: pip install 'hwgen[synth]'")

import z3
from stream_cycle import Cycle
from stream_faults import FAULTS, faulty_verilog
from stream_ghosts import induction_depth
from stream_rules import stream_induction, stream_promises

from hwgen.emit import emit_verilog
from hwgen.flow.induction import Induction, Transitions
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

SMALL = {"a": "int2", "b": "uint1", "acc": "int:4"}
# Shared rounders: the reference reckons what integers round to.
SHARED = SMALL | {"out": "e2m1"}
PROVEN = {
    "int_2x2": (SMALL, 2, 2),
    "int_1x1": (SMALL, 1, 1),
    "int_2x1": (SMALL, 2, 1),
}
PROVEN_SLOWLY = {
    "shared_2x2": (SHARED, 2, 2),
    "raw_2x2": (SMALL | {"out": "raw"}, 2, 2),
    "int_1x2": (SMALL, 1, 2),
    "int_3x2": (SMALL, 3, 2),
    "shared_1x2": (SHARED, 1, 2),
    "shared_2x3": (SHARED, 2, 3),
    # Arithmetic cut out, since the reference has none for floats.
    "float_2x2": ({"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "e2m1"}, 2, 2),
    "fma_2x2": ({"a": "e4m3", "acc": "fma:bf16"}, 2, 2),
}

LONG = 16  # cycles; runs that may be longer are not searched for every day


def make_design(names: dict[str, str], rows: int, cols: int) -> Design:
    return Design(datapath=Datapath.parse(**names), rows=rows, cols=cols)


@cache
def small_core() -> Induction:
    design = make_design(SMALL, 2, 2)
    return stream_induction(design, emit_verilog(design))


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=name) for name, case in PROVEN.items()),
        *(
            pytest.param(case, id=name, marks=pytest.mark.slow)
            for name, case in PROVEN_SLOWLY.items()
        ),
    ],
)
def test_the_streams_keep_their_rules_for_ever(case):
    design = make_design(*case)
    stream_induction(design, emit_verilog(design)).prove(induction_depth(design))


GOALS = {
    "a block's last row is watched to the output": lambda c: z3.And(
        c.row_leaves(), c["watching"], c["position"] == 0, c["watched_row"] == 1
    ),
    "a row comes of a sum that left its register": lambda c: z3.And(
        c.row_leaves(), c["watching"], c["position"] == 0, z3.Extract(5, 5, c["watched_0"]) == 1
    ),
    "the buffer is full": lambda c: z3.And(c["owed"] == c.when.buffer_rows, z3.Not(c["c_ready"])),
    "an end waits for room": lambda c: z3.And(
        c.pair_waits(), c["owed"] == c.when.buffer_rows, c["pair_delay_with_room"] == 0
    ),
    "a block's end enters behind one of different lengths": lambda c: z3.And(
        c["error"], c.block_ends()
    ),
    "A and B each had surplus": lambda c: z3.And(c["error"], c["b_surplus"]),
}


@pytest.mark.parametrize("goal", GOALS)
def test_the_rules_leave_room_for(goal):
    design = make_design(SMALL, 2, 2)
    assert small_core().reach(20, lambda f: GOALS[goal](Cycle(design, f))) is not None


def test_no_output_depends_on_an_input_of_the_same_cycle():
    design = make_design(SMALL, 2, 2)
    circuit = Transitions(emit_verilog(design), design.name)
    outputs = ["s_axis_a_tready", "s_axis_b_tready", "protocol_error"]
    outputs += [f"m_axis_c_t{name}" for name in ("valid", "data", "last", "user")]
    assert set(outputs) <= circuit.widths.keys()
    assert {name: circuit.inputs_of(name) for name in outputs} == {name: set() for name in outputs}
    # The question can be answered otherwise.
    assert circuit.inputs_of("row_taken") == {"m_axis_c_tready"}
    assert {"s_axis_a_tvalid", "s_axis_b_tlast"} <= circuit.inputs_of("block_end")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if fault.cycles > LONG else [])
        for name, fault in FAULTS.items()
    ],
)
def test_a_fault_breaks_a_rule(name):
    fault = FAULTS[name]
    design = make_design(SMALL | {"out": fault.out}, 2, 2)
    assert fault.breaks in stream_promises(design)
    trace = stream_induction(design, faulty_verilog(design, fault)).search(
        fault.cycles, fault.breaks
    )
    assert trace is not None, f"no run of {fault.cycles} cycles breaks the rule"
    assert trace.broken == (fault.breaks,)


def test_every_promise_has_a_fault_that_breaks_it():
    def either_side(names):
        return {name.removeprefix("a: ").removeprefix("b: ") for name in names}

    promises = either_side(stream_promises(make_design(SMALL, 2, 2)))
    assert either_side(fault.breaks for fault in FAULTS.values()) == promises
