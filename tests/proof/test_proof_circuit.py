"""Verilog and its functions are the same circuit."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")
pytest.importorskip("pyosys", reason="needs Yosys: pip install 'hwgen[synth]'")

import z3

from hwgen.errors import ToolError
from hwgen.flow.proof_circuit import Circuit

# A one-bit port, a register in parts, parts of an input, a module inside.
COUNTER = """
module adder(input [3:0] x, input [3:0] y, output [4:0] sum);
  assign sum = x + y;
endmodule
module counter(input clk, input clear, input [7:0] step, output [4:0] next, output odd);
  reg [3:0] count;
  reg [1:0] kept;
  adder inner(.x(count), .y(step[6:3]), .sum(next));
  always @(posedge clk) begin
    if (clear) count <= 0; else count <= next[3:0];
    kept[0] <= step[0];
    if (step[7]) kept[1] <= kept[0];
  end
  assign odd = ^kept;
endmodule
"""


def number(term) -> int:
    return z3.simplify(term).as_long()


def test_cycles_are_those_of_the_circuit():
    circuit = Circuit.from_verilog(COUNTER, "counter")
    generator = random.Random(1)
    state = {name: z3.BitVecVal(0, term.size()) for name, term in circuit.registers.items()}
    count, kept = 0, [0, 0]
    for _ in range(50):
        clear, step = int(generator.random() < 0.1), generator.randrange(256)
        inputs = {"clear": z3.BitVecVal(clear, 1), "step": z3.BitVecVal(step, 8)}
        outputs, state = circuit.cycle(state, inputs)
        total = count + (step >> 3 & 15)
        assert {name: number(term) for name, term in outputs.items()} == {
            "next": total,
            "odd": kept[0] ^ kept[1],
        }
        count = 0 if clear else total % 16
        kept = [step & 1, kept[0] if step >> 7 else kept[1]]


def test_the_clock_is_no_input_and_all_registers_are_state():
    circuit = Circuit.from_verilog(COUNTER, "counter")
    assert {name: term.size() for name, term in circuit.inputs.items()} == {"clear": 1, "step": 8}
    assert sum(term.size() for term in circuit.registers.values()) == 6
    assert circuit.following.keys() == circuit.registers.keys()


def test_a_state_of_which_nothing_is_known_is_new_every_time():
    circuit = Circuit.from_verilog(COUNTER, "counter")
    one, other = circuit.any_state("one"), circuit.any_state("other")
    assert not any(z3.eq(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("text", "log"),
    [
        (COUNTER.replace("assign odd = ^kept;", ""), "odd"),
        (COUNTER.replace("assign sum = x +", "assign sum = z +"), "z"),
        (COUNTER.replace("module adder", "module other"), "adder"),
    ],
    ids=["undriven output", "unknown wire", "missing module"],
)
def test_half_a_circuit_is_refused(text, log):
    with pytest.raises(ToolError) as caught:
        Circuit.from_verilog(text, "counter")
    assert log in caught.value.log
