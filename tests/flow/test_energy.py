"""Energy of netlists: sums worked out by hand, glitches, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from energy_cells import netlist

from hwgen.errors import ToolError, UnsupportedError
from hwgen.flow.energy import Energy, clock_energy, dynamic_energy, measured_energy
from hwgen.flow.gate_netlist import GateNetlist, Wires
from hwgen.flow.gate_simulation import Toggles, counted_nets, gates_verilog, read_toggles
from hwgen.flow.gate_timing import typical_edges

VOLTAGE = 2.0
A, B, M, Y = 2, 3, 4, 5


def two_gates(folder: Path, **options) -> GateNetlist:
    """y = !(!(a b))."""
    return netlist(
        folder,
        {"a": ("input", [A]), "b": ("input", [B]), "y": ("output", [Y])},
        [("INV", {"A": M, "Y": Y}), ("NAND2", {"A": A, "B": B, "Y": M})],
        **options,
    )


def test_energy_of_two_gates_is_what_a_hand_works_out(tmp_path):
    gates = two_gates(tmp_path)
    edges = typical_edges(gates, slew_ns=0.5)
    nets, cells = dynamic_energy(gates, edges, {A: 4, B: 2, M: 3, Y: 3}, VOLTAGE)
    # Half of 2 V squared, times the pins' capacitance and edges: a, b and m; y drives nothing.
    assert nets == pytest.approx(0.5 * 4 * (0.02 * 4 + 0.03 * 2 + 0.01 * 3))
    # NAND2: 0.5 pJ if a causes it, 0.2 if b does, which moves half as often. INV: at a slew of 0.2
    # ns the mean of 0.3 and 0.5 pJ.
    assert cells == pytest.approx(3 * (4 * 0.5 + 2 * 0.2) / 6 + 3 * 0.4)


def test_an_edge_without_a_moving_input_has_the_mean_of_its_causes(tmp_path):
    gates = two_gates(tmp_path)
    edges = typical_edges(gates, slew_ns=0.5)
    assert dynamic_energy(gates, edges, {M: 1}, VOLTAGE)[1] == pytest.approx((0.5 + 0.2) / 2)


def test_wires_weigh_by_the_pins_they_reach_and_the_mean_cell(tmp_path):
    gates = two_gates(tmp_path, wires=Wires(pf_per_um=0.01, pitches=2.0))
    wire = 0.01 * 2.0 * ((4 + 9) / 2) ** 0.5
    assert gates.wire_pf == pytest.approx(wire)
    assert gates.loads == pytest.approx({A: 0.02 + wire, B: 0.03 + wire, M: 0.01 + wire, Y: 0.0})


def register(folder: Path) -> GateNetlist:
    """q takes d."""
    return netlist(
        folder,
        {"clk": ("input", [2]), "d": ("input", [3]), "q": ("output", [4])},
        [("DFF", {"CK": 2, "D": 3, "Q": 4})],
    )


def test_the_clock_takes_energy_while_nothing_else_moves(tmp_path):
    gates = register(tmp_path)
    edges = typical_edges(gates, slew_ns=0.5)
    # Two edges: C V^2 of the pin, and 0.1 and 0.3 pJ inside.
    assert clock_energy(gates, edges, VOLTAGE) == pytest.approx(4 * 0.04 + 0.4)
    toggles = Toggles(edges=np.zeros(2, np.int64), settled=np.zeros(2, np.int64), cycles=10)
    energy = measured_energy(gates, edges, toggles, VOLTAGE)
    assert energy.dynamic == energy.clock == energy.zero_delay == pytest.approx(5.6)


def test_a_registers_edges_take_their_own_energy_and_the_clocks_apart(tmp_path):
    gates = register(tmp_path)
    edges = typical_edges(gates, slew_ns=0.5)
    assert counted_nets(gates) == (3, 4)
    nets, cells = dynamic_energy(gates, edges, {3: 6, 4: 4}, VOLTAGE)
    assert nets == pytest.approx(0.5 * 4 * 0.05 * 6)
    assert cells == pytest.approx(0.05 * 6 + 0.7 * 4)


def test_energies_add_and_scale():
    one = Energy(nets=1.0, cells=2.0, clock=3.0, settled=0.5)
    assert (one.dynamic, one.zero_delay) == (6.0, 3.5)
    assert one + one == one.scaled(2.0)


BENCH = """\
`timescale 1ps/1ps
module bench;
  reg a = 0, measuring = 0, sample = 0;
  wire y;
  gates gates (.measuring(measuring), .sample(sample), .a(a), .y(y));
  integer cycle;
  initial begin
    #10000 measuring = 1;
    for (cycle = 0; cycle < 8; cycle = cycle + 1) begin
      a = ~a;
      #9998 sample = 1;
      #1 sample = 0;
      #1;
    end
    measuring = 0;
    #1;
    $finish;
  end
endmodule
"""


def counted(folder: Path, gates: GateNetlist) -> Toggles:
    """Toggle the input a eight times."""
    if shutil.which("iverilog") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")
    text = gates_verilog(gates, typical_edges(gates, slew_ns=0.5), module="gates", seed=1)
    (folder / "gates.v").write_text(text, encoding="utf-8")
    (folder / "bench.v").write_text(BENCH, encoding="utf-8")
    for command in (["iverilog", "-g2005-sv", "-o", "sim", "bench.v", "gates.v"], ["vvp", "sim"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return read_toggles(folder, "gates", gates)


def chain(folder: Path, inverters: int) -> GateNetlist:
    """y = a ^ a, one of them through so many inverters: an even number, so that y is always 0."""
    nets = [2, *range(10, 10 + inverters)]
    cells = [("INV", {"A": x, "Y": y}) for x, y in zip(nets, nets[1:], strict=False)]
    return netlist(
        folder,
        {"a": ("input", [2]), "y": ("output", [3])},
        [*cells, ("XOR2", {"A": 2, "B": nets[-1], "Y": 3})],
    )


@pytest.mark.sim
def test_glitches_are_counted_and_left_out_of_the_zero_delay_figure(tmp_path):
    gates = chain(tmp_path, 2)
    toggles = counted(tmp_path, gates)
    index = counted_nets(gates).index(3)
    assert toggles.cycles == 8
    # Each edge of a makes a pulse of 0.3 ns, longer than the gate's 0.1 ns.
    assert (toggles.edges[index], toggles.settled[index]) == (16, 0)
    assert toggles.edges[0] == toggles.settled[0] == 8
    energy = measured_energy(gates, typical_edges(gates, slew_ns=0.5), toggles, VOLTAGE)
    # Both inputs move equally often; eight edges in each inverter, sixteen in the last gate.
    assert energy.cells == pytest.approx(8 * (0.7 + 0.4) + 16 * 0.5)
    assert energy.settled == pytest.approx(energy.nets + 8 * (0.7 + 0.4))
    assert energy.zero_delay < energy.dynamic


@pytest.mark.sim
def test_a_pulse_shorter_than_a_gates_delay_does_not_pass_it(tmp_path):
    # The first gate's pulse of 0.3 ns is lost in a NAND2 that takes 0.3 to 0.6 ns.
    gates = netlist(
        tmp_path,
        {"a": ("input", [2]), "y": ("output", [6])},
        [
            ("INV", {"A": 2, "Y": 3}),
            ("INV", {"A": 3, "Y": 4}),
            ("XOR2", {"A": 2, "B": 4, "Y": 5}),
            ("NAND2", {"A": 5, "B": "1", "Y": 6}),
        ],
    )
    toggles = counted(tmp_path, gates)
    edges = dict(zip(counted_nets(gates), toggles.edges.tolist(), strict=True))
    assert (edges[5], edges[6]) == (16, 0)


def test_files_cut_off_are_refused(tmp_path):
    gates = two_gates(tmp_path)
    with pytest.raises(ToolError, match="cannot read what the simulation counted"):
        read_toggles(tmp_path, "gates", gates)
    (tmp_path / "gates.edges").write_text("1\n2\n3\n")
    (tmp_path / "gates.settled").write_text("0000\n0000\n")
    with pytest.raises(ToolError, match="counted 3 of 4 nets"):
        read_toggles(tmp_path, "gates", gates)
    (tmp_path / "gates.edges").write_text("1\n2\n3\n4\n")
    (tmp_path / "gates.settled").write_text("0000\n00x0\n")
    with pytest.raises(ToolError, match="or found unknown values"):
        read_toggles(tmp_path, "gates", gates)


PORTS = {"clk": ("input", [2]), "d": ("input", [3]), "q": ("output", [4])}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([("$_AND_", {"A": 3, "B": 3, "Y": 4})], "left .*_AND_ .* unmapped"),
        ([("NAND2", {"A": 3, "Y": 4})], "the pin B of u0, a NAND2, is open"),
        (
            [("INV", {"A": 2, "Y": 9}), ("DFF", {"CK": 9, "D": 3, "Q": 4})],
            "clocks flip-flops and is no input",
        ),
        (
            [("DFF", {"CK": 2, "D": 3, "Q": 4}), ("DFF", {"CK": 3, "D": 2, "Q": 5})],
            "clocked by several nets: clk, d",
        ),
        (
            [("NAND2", {"A": 3, "B": 9, "Y": 4}), ("INV", {"A": 4, "Y": 9})],
            "logic forms a loop through q|logic forms a loop through 9",
        ),
    ],
    ids=["unmapped", "open", "derived", "two clocks", "loop"],
)
def test_netlists_that_cannot_be_weighed_are_refused(tmp_path, cells, message):
    with pytest.raises(UnsupportedError, match=message):
        netlist(tmp_path, PORTS, cells)
