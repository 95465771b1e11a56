"""Induction proves what holds for ever, and finds the runs that break what does not."""

from __future__ import annotations

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")
pytest.importorskip("pyosys", reason="needs Yosys: pip install 'hwgen[synth]'")

import z3

from hwgen.errors import ToolError
from hwgen.flow.induction import Frame, Ghost, Induction, Rule, Transitions

# Counts enabled cycles from 0 to 9 and over again; a word of memory keeps the last count.
COUNTER = """
module inner(input clk, input rst, input up, output reg [3:0] count, output full);
  assign full = count == 9;
  always @(posedge clk)
    if (rst) count <= 0; else if (up) count <= full ? 0 : count + 1;
endmodule
module counter(input clk, input rst, input up, output [3:0] count, output full, output soon,
               output [3:0] kept);
  reg [3:0] words [0:1];
  reg place;
  inner inner(.clk(clk), .rst(rst), .up(up), .count(count), .full(full));
  assign soon = full & up;
  always @(posedge clk) begin
    place <= ~place;
    words[place] <= count;
  end
  assign kept = words[~place];
endmodule
"""


def induction(*rules: tuple[str, object], ghosts: tuple[Ghost, ...] = ()) -> Induction:
    return Induction(
        Transitions(COUNTER, "counter"),
        ghosts,
        [Rule(name=name, holds=holds) for name, holds in rules],
        reset=lambda f: f["rst"],
        shown=("count", "up"),
    )


def bounded(f: Frame) -> z3.BoolRef:
    return z3.ULE(f["count"], 9)


def test_a_rule_that_keeps_itself_is_proven():
    induction(("bounded", bounded)).prove(1)


def test_a_run_that_breaks_a_rule_is_the_shortest():
    trace = induction(("below 4", lambda f: z3.ULT(f["count"], 4))).search(20)
    assert trace.broken == ("below 4",)
    assert [cycle["count"] for cycle in trace.cycles] == [0, 1, 2, 3, 4]
    assert [cycle["up"] for cycle in trace.cycles][:4] == [1, 1, 1, 1]


def test_a_broken_rule_is_not_proven():
    with pytest.raises(AssertionError, match="a run from reset breaks rules: below 4: broken in"):
        induction(("below 4", lambda f: z3.ULT(f["count"], 4))).prove(6)


def test_a_rule_that_needs_support_is_not_proven_without():
    # 15 is as good as any other state until something says that it is never reached.
    rule = ("not 11", lambda f: f["count"] != 11)
    with pytest.raises(AssertionError, match="from a state that reset may not lead to"):
        induction(rule).prove(1)
    induction(rule, ("bounded", bounded)).prove(1)


def test_a_ghost_remembers():
    before = Ghost(name="before", width=4, start=0, after=lambda f: f["count"])
    steps = Ghost(name="stepped", width=0, start=False, after=lambda f: f["up"])
    rule = (
        "one step at most",
        lambda f: z3.Implies(f["count"] == f["before"] + 1, f["stepped"]),
    )
    induction(rule, ghosts=(before, steps)).prove(1)


def test_a_memory_is_part_of_the_state():
    before = Ghost(name="before", width=4, after=lambda f: f["count"])
    started = Ghost(name="started", width=0, start=False, after=lambda f: z3.BoolVal(True))
    rule = ("kept", lambda f: z3.Implies(f["started"], f["kept"] == f["before"]))
    induction(rule, ghosts=(before, started)).prove(2)


def test_a_goal_is_reached_by_the_shortest_run():
    trace = induction(("bounded", bounded)).reach(20, lambda f: f["soon"])
    assert len(trace.cycles) == 10
    assert induction(("bounded", bounded)).reach(9, lambda f: f["soon"]) is None


def test_a_free_signal_has_any_value():
    circuit = Transitions(COUNTER, "counter", free=("inner.full",))
    rule = Rule(name="bounded", holds=bounded)
    trace = Induction(circuit, (), [rule], reset=lambda f: f["rst"], shown=("count",)).search(20)
    assert trace.cycles[-1]["count"] == 10


def test_inputs_of_the_same_cycle_are_told():
    circuit = Transitions(COUNTER, "counter")
    assert {name: circuit.inputs_of(name) for name in ("full", "soon", "kept")} == {
        "full": set(),
        "soon": {"up"},
        "kept": set(),
    }


def test_a_signal_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="the circuit has no signal 'counts'"):
        induction(("counts", lambda f: f["counts"] != 1)).search(1)


def test_verilog_that_yosys_refuses_is_refused():
    with pytest.raises(ToolError, match="syntax error"):
        Transitions("module counter(;", "counter")
