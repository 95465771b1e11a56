"""Delays, slews and the longest path, by hand and by OpenSTA."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from energy_cells import TEXT, netlist, tiny_library

from hwgen.flow.cell_library import Library
from hwgen.flow.gate_netlist import GateNetlist, Wires
from hwgen.flow.gate_timing import longest_path, typical_edges
from hwgen.flow.opensta import find_opensta, run_opensta
from hwgen.flow.tools import Runner

CLOCK, D, Q1, N1, N2, Q2 = range(2, 8)


def pipeline(folder: Path, **options) -> GateNetlist:
    """From d to a register, through a NAND2 with d and an inverter to another one."""
    return netlist(
        folder,
        {"clk": ("input", [CLOCK]), "d": ("input", [D]), "q": ("output", [Q2])},
        [
            ("INV", {"A": N1, "Y": N2}),
            ("DFF", {"CK": CLOCK, "D": N2, "Q": Q2}),
            ("NAND2", {"A": Q1, "B": D, "Y": N1}),
            ("DFF", {"CK": CLOCK, "D": D, "Q": Q1}),
        ],
        **options,
    )


def test_typical_delays_are_means_over_inputs_at_the_load(tmp_path):
    edges = typical_edges(pipeline(tmp_path), slew_ns=0.1)
    # A NAND2 that drives 0.01 pF: 0.3 and 0.4 ns to rise, 0.5 and 0.6 to fall, 2 ns a pF on top.
    assert edges.delays[N1] == pytest.approx((0.35 + 0.02, 0.55 + 0.02))
    assert edges.delays[N2] == pytest.approx((0.10 + 0.10, 0.20 + 0.10))
    assert edges.delays[Q1] == pytest.approx((0.5 + 0.04, 0.7 + 0.04))
    assert edges.slews == pytest.approx({CLOCK: 0.1, D: 0.1, Q1: 0.2, Q2: 0.2, N1: 0.2, N2: 0.2})


def test_the_longest_path_takes_the_latest_edges_and_setup(tmp_path):
    path = longest_path(pipeline(tmp_path), slew_ns=0.1)
    # q1 rises at 0.54, n1 falls 0.52 later, n2 rises 0.20 later: 1.26, setup 0.25: 1.51.
    # q1 falls at 0.74, n1 rises 0.32 later, n2 falls 0.30 later: 1.36, setup 0.15: 1.51 as well.
    assert path.period_ns == pytest.approx(1.51)
    assert path.nets == (str(Q1), str(N1), str(N2))


def test_a_path_to_an_output_counts(tmp_path):
    gates = netlist(
        tmp_path,
        {"clk": ("input", [2]), "a": ("input", [3]), "y": ("output", [5])},
        [("NAND2", {"A": 3, "B": 3, "Y": 4}), ("INV", {"A": 4, "Y": 5})],
    )
    # The slower edge: a rises, y rises.
    assert longest_path(gates, slew_ns=0.1).period_ns == pytest.approx(0.6 + 0.02 + 0.10)


def random_logic(folder: Path, library: Library, gates: int, seed: int) -> GateNetlist:
    """Gates between registers, each after those whose outputs it may take."""
    rng = random.Random(seed)
    cells = [("DFF", {"CK": 2, "D": 3, "Q": net}) for net in range(10, 16)]
    nets = list(range(10, 16))
    for net in range(16, 16 + gates):
        kind = rng.choice(["INV", "NAND2", "XOR2", "BUF"])
        pins = {"A": rng.choice(nets), "Y": net}
        if kind in ("NAND2", "XOR2"):
            pins["B"] = rng.choice(nets)
        cells.append((kind, pins))
        nets.append(net)
    cells += [("DFF", {"CK": 2, "D": net, "Q": 1000 + net}) for net in nets[-8:]]
    ports = {"clk": ("input", [2]), "d": ("input", [3]), "q": ("output", [1000 + nets[-1]])}
    return netlist(folder, ports, cells, library=library, wires=Wires(pf_per_um=0.002))


@pytest.mark.parametrize("seed", range(4))
def test_the_own_estimate_is_opensta_s(tmp_path, seed):
    tool = find_opensta()
    if tool is None:
        pytest.skip("needs OpenSTA: apt-get install opensta")
    (tmp_path / "tiny.lib").write_text(TEXT, encoding="utf-8")
    gates = random_logic(tmp_path, tiny_library(), 40, seed)
    own = longest_path(gates, slew_ns=0.1)
    other = run_opensta(tool, Runner(tmp_path), tmp_path, gates, "tiny.lib", slew_ns=0.1)
    assert own.period_ns == pytest.approx(other.period_ns, rel=1e-3)
    assert own.nets[0] == other.nets[0]
