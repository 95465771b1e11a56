"""Start values in the emitted Verilog: any traffic, and sums split over K that merge."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.emit import generate
from hwgen.errors import SpecError
from hwgen.flow.patterns import random_patterns
from hwgen.flow.simulate import simulate
from hwgen.flow.simulators import Build, open_build, run_phases
from hwgen.flow.traffic import Phase, StartRows
from hwgen.model import gemm_bits
from hwgen.model.start import random_start
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

W45 = "window:msb=5,lsb=-30,ovf=9"
BUILDS = {
    "bf16": ({"a": "bf16", "acc": W45, "out": "fp32"}, 3, 2),
    "int8_raw": ({"a": "int8", "acc": "int:20,overflow=saturate", "out": "raw"}, 2, 3),
    "fp16_exact": ({"a": "fp16", "acc": "exact"}, 2, 3),
    "one": ({"a": "int4", "acc": "int:12"}, 1, 1),
}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Return a function that generates a design with start values, once."""
    builds: dict[str, Build] = {}

    def make(words: dict[str, str], rows: int, cols: int, start: str = "raw") -> Build:
        design = Design(datapath=Datapath.parse(**words), rows=rows, cols=cols, start=start)
        if design.digest not in builds:
            folder = tmp_path_factory.mktemp("start") / design.name
            generate(design, folder)
            builds[design.digest] = open_build(folder)
        return builds[design.digest]

    return make


def blocks_of(design: Design, lengths: list[int], seed: int):
    """Random operands and start values of blocks of so many beats."""
    path, rng = design.datapath, np.random.default_rng(seed)
    pairs = [
        (
            random_patterns(path.a, (design.rows, k), rng, specials=bool(index % 2)),
            random_patterns(path.b, (k, design.cols), rng, specials=bool(index % 2)),
        )
        for index, k in enumerate(lengths)
    ]
    return pairs, [random_start(path.window, (design.rows, design.cols), rng) for _ in lengths]


@pytest.mark.sim
@pytest.mark.parametrize("name", BUILDS)
def test_the_verilog_equals_the_model_whatever_the_traffic(name, started):
    build = started(*BUILDS[name])
    design = build.design
    lengths = [3, 1, 1, 2, design.rows, 20, 1, 2 * design.rows + 1, 1]
    phases, wanted = [], []
    for seed, (stalls, cut) in enumerate(
        [(0.0, None), (0.4, None), ((0.0, 0.0, 0.9), None), (0.2, 15), ((0.8, 0.0, 0.0), None)]
    ):
        pairs, starts = blocks_of(design, lengths, seed)
        phases.append(Phase.of(pairs, starts=starts, stalls=stalls, seed=seed, cut=cut))
        wanted.append((pairs, starts))
    outcomes = run_phases(build, phases, simulator="icarus").outcomes
    assert len(outcomes) == len(phases)
    for phase, outcome, (pairs, starts) in zip(phases, outcomes, wanted, strict=True):
        assert (outcome.fault, outcome.protocol_error) == ("", False)
        assert phase.cut is not None or len(outcome.c_bits) == len(pairs)
        for index, (got, flags) in enumerate(zip(outcome.c_bits, outcome.status, strict=True)):
            bits, status = gemm_bits(*pairs[index], design.datapath, start=starts[index])
            np.testing.assert_array_equal(got, bits)
            np.testing.assert_array_equal(flags, status)


@pytest.mark.sim
@pytest.mark.parametrize("words", [BUILDS["bf16"][0], BUILDS["fp16_exact"][0]], ids=["45", "93"])
def test_a_product_of_any_size_merges_over_tiles_of_k(words, started):
    raw, whole = started({**words, "out": "raw"}, 3, 2), started(words, 3, 2)
    path, rng = whole.design.datapath, np.random.default_rng(2)
    a, b = random_patterns(path.a, (5, 17), rng), random_patterns(path.b, (17, 7), rng)
    start = None
    for build, part in ((raw, slice(0, 8)), (raw, slice(8, 9)), (whole, slice(9, 17))):
        result = simulate(build.folder, a_bits=a[:, part], b_bits=b[part], start=start, stalls=0.1)
        assert result.ok, result.fault
        start = result.c_bits, result.status
    bits, status = gemm_bits(a, b, path)
    np.testing.assert_array_equal(start[0], bits)
    np.testing.assert_array_equal(start[1], status)


@pytest.mark.sim
def test_random_blocks_start_from_random_values(started):
    result = simulate(started(*BUILDS["one"]).folder, blocks=20, k=2, stalls=0.3)
    assert result.ok
    assert len(np.unique(result.c_bits)) > 5


@pytest.mark.sim
def test_the_command_line_adds_a_matrix_of_numbers(started, tmp_path):
    folder = started(*BUILDS["bf16"]).folder
    rng = np.random.default_rng(4)
    a, b, c = rng.integers(-3, 4, (4, 5)), rng.integers(-3, 4, (5, 3)), rng.integers(-9, 9, (4, 3))
    files = {"--a": a, "--b": b, "--c": c / 8}
    given = []
    for option, matrix in files.items():
        np.save(tmp_path / f"{option}.npy", matrix.astype(np.float64))
        given += [option, str(tmp_path / f"{option}.npy")]
    output = tmp_path / "result.npy"
    ran = CliRunner().invoke(cli, ["simulate", str(folder), *given, "-o", str(output)])
    assert ran.exit_code == 0, ran.output
    np.testing.assert_array_equal(np.load(output), a @ b + c / 8)


def test_start_values_are_refused_where_they_make_no_sense(started, tmp_path):
    plain = started(BUILDS["one"][0], 1, 1, "none")
    a = np.ones((1, 1), dtype=np.uint8)
    with pytest.raises(SpecError, match="generate it with start = raw"):
        simulate(plain.folder, a_bits=a, b_bits=a, start=a)
    with pytest.raises(SpecError, match="start values are given without a and b"):
        simulate(started(*BUILDS["one"]).folder, start=a)
    np.save(tmp_path / "one.npy", a)
    words = [f"--{name}={tmp_path / 'one.npy'}" for name in "abc"]
    ran = CliRunner().invoke(cli, ["simulate", str(plain.folder), *words])
    assert "generate it with --start raw" in ran.output or "start raw" in str(ran.exception)
    ran = CliRunner().invoke(cli, ["simulate", str(plain.folder), words[2]])
    assert ran.exit_code == 2


def test_phases_without_start_values_do_not_go_to_a_core_that_waits_for_them(started):
    build = started(*BUILDS["one"])
    pairs, starts = blocks_of(build.design, [2, 2], 1)
    with pytest.raises(SpecError, match="0 of 1 phases have start values"):
        run_phases(build, [Phase.of(pairs)], simulator="icarus")
    assert len(StartRows.of(starts).last) == 2
