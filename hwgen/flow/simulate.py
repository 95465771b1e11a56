"""A matrix product on the emitted Verilog, compared with the model bit by bit."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.errors import SpecError
from hwgen.flow.patterns import random_patterns
from hwgen.flow.simulators import Build, Progress, open_build, run_phases
from hwgen.flow.traffic import MAX_STALL, Outcome, Phase
from hwgen.model import gemm_bits, tile, untile
from hwgen.model.gemm import check_operands
from hwgen.model.start import Start, random_start

__all__ = ["Mismatch", "SimulationResult", "simulate"]

_Pair = tuple[np.ndarray, np.ndarray]

SHOWN_MISMATCHES = 8
MAX_BEATS = 10_000_000  # of random operands; more would not fit in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """An element of C that the circuit and the model do not agree on."""

    row: int
    col: int
    got: int
    want: int
    got_status: int
    want_status: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SimulationResult:
    """What a simulation found.

    Parameters
    ----------
    name, simulator, tool : str
        The design, the simulator, and its version.
    m, k, n, blocks : int
        Size of the product and how many blocks it took.
    seed : int
    stalls : float
    cycles : int
        From the first input beat taken to the last row taken, both included.
    mac_cycles : int
        Cycles that bring a beat of A and of B into the array.
    utilisation : float
        Useful multiply-accumulates over those that the array could take in ``cycles``.
    input_utilisation : float
        ``mac_cycles`` over the cycles from the first to the last input beat taken.
    first_result_latency : int
        Cycles from the last beat of the first block to the offer of its row 0.
    simulated_cycles : int
        All cycles that the simulator ran.
    seconds, cpu_seconds, compile_seconds : float
        Wall time and processor time of the cycles (without the simulator's start), and wall time of
        compilation (0 if there was nothing to compile).
    cycles_per_second : float
        ``simulated_cycles`` over ``seconds``.
    mismatch_count : int
        Elements of C with a wrong bit, in the result or in its status.
    mismatches : tuple of Mismatch
        The first few of them.
    fault : str
        A broken rule of the streams, or a lack of progress; empty if there was none.
    c_bits : (m, n) array of patterns
        As :func:`~hwgen.model.gemm_bits` has it; zeros where no result came.
    status : (m, n) array of uint8
    waves, report : Path or None
        Files that were written.
    """

    name: str
    simulator: str
    tool: str
    m: int
    k: int
    n: int
    blocks: int
    seed: int
    stalls: float
    cycles: int
    mac_cycles: int
    utilisation: float
    input_utilisation: float
    first_result_latency: int
    simulated_cycles: int
    seconds: float
    cpu_seconds: float
    compile_seconds: float
    cycles_per_second: float
    mismatch_count: int
    mismatches: tuple[Mismatch, ...]
    fault: str
    c_bits: np.ndarray
    status: np.ndarray
    waves: Path | None
    report: Path

    @property
    def ok(self) -> bool:
        """Whether every bit came as the model has it, by the rules."""
        return not self.fault and not self.mismatch_count

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the matrices, ready for JSON."""
        left_out = {"c_bits", "status", "mismatches", "waves", "report"}
        record = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in left_out
        }
        record["ok"] = self.ok
        record["mismatches"] = [dataclasses.asdict(mismatch) for mismatch in self.mismatches]
        record["waves"] = None if self.waves is None else str(self.waves)
        record["report"] = str(self.report)
        return record


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """The products to compute: either one, tiled, or unrelated blocks whose results are stacked.

    ``starts`` are the blocks' start values and their status, if the design has them.
    """

    blocks: list[_Pair]
    starts: list[_Pair] | None
    c_bits: np.ndarray
    status: np.ndarray
    k: int
    stacked: bool

    @property
    def size(self) -> tuple[int, int]:
        """m and n."""
        return self.c_bits.shape[0], self.c_bits.shape[1]

    def assemble(self, results: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Put block results together; what is missing becomes zeros, what is too much goes."""
        results = results[: len(self.blocks)]
        missing = len(self.blocks) - len(results)
        if missing:
            zeros = np.zeros((missing, *results.shape[1:]), dtype=results.dtype)
            results = np.concatenate([results, zeros])
        if self.stacked:
            return results.reshape(like.shape)
        return untile(results, *self.size)


def simulate(
    build: str | Path,
    *,
    simulator: str = "icarus",
    a_bits: np.ndarray | None = None,
    b_bits: np.ndarray | None = None,
    start: np.ndarray | _Pair | None = None,
    blocks: int = 32,
    k: int = 64,
    stalls: float = 0.0,
    seed: int = 0,
    specials: bool = False,
    waves: bool = False,
    progress: Progress | None = None,
) -> SimulationResult:
    """Run a matrix product through the emitted Verilog and compare every bit with the model.

    Parameters
    ----------
    build : path
        A folder made by :func:`hwgen.generate`.
    simulator : {"icarus", "verilator"}
    a_bits : (m, k) array of patterns, optional
    b_bits : (k, n) array of patterns, optional
        The operands, both or neither. They are tiled over the array, blocks back to back.
    start : array or tuple of two arrays, optional
        With operands, for a design with start values: what C starts from, and perhaps its status,
        as :func:`~hwgen.model.gemm_bits` takes it; by default zeros. Random blocks start from
        random values.
    blocks, k : int
        Without operands: so many random blocks of the array's size, of ``k`` terms each. Their
        results stand one above the other in C.
    stalls : float
        Probability in each cycle that a stream stalls, for each of the three independently.
    seed : int
        Of the random operands and the stalls.
    specials : bool
        Infinities and NaN among the random operands.
    waves : bool
        Write a wave file (slow).
    progress : callable, optional
        Called with what is under way, the rows of C done and the rows due (0 and 0 while
        compiling).

    Raises
    ------
    SpecError, FormatError
        If the folder or an argument makes no sense; nothing has run then.
    ToolError
        If the simulator is missing or fails.
    """
    opened = open_build(build)
    _check_numbers(blocks=blocks, k=k, stalls=stalls, seed=seed)
    _check_start(opened, start, given=a_bits is not None)
    if a_bits is None and b_bits is None:
        job = _random_job(opened, blocks=blocks, k=k, seed=seed, specials=specials)
    else:
        job = _job(opened, a_bits, b_bits, start)
    dot = opened.design.datapath.dot
    phase = Phase.of(job.blocks, dot=dot, starts=job.starts, stalls=stalls, seed=seed)
    report = opened.folder / "sim" / simulator / "report.json"
    # An earlier run's report must not be taken for this run's.
    with contextlib.suppress(OSError):
        report.unlink()
    run = run_phases(opened, [phase], simulator=simulator, waves=waves, progress=progress)
    outcome = run.outcomes[0]
    m, n = job.size
    result = SimulationResult(
        name=opened.design.name,
        simulator=simulator,
        tool=run.tool,
        m=m,
        k=job.k,
        n=n,
        blocks=len(job.blocks),
        seed=seed,
        stalls=stalls,
        seconds=run.seconds,
        cpu_seconds=run.cpu_seconds,
        compile_seconds=run.compile_seconds,
        simulated_cycles=outcome.cycles,
        cycles_per_second=outcome.cycles / run.seconds,
        waves=run.waves,
        report=report,
        fault=outcome.fault or _protocol_error(outcome),
        **_cycle_counts(outcome, opened, job),
        **_compare(outcome, job),
    )
    _write_json(report, result.to_dict())
    return result


def _check_numbers(*, blocks: int, k: int, stalls: float, seed: int) -> None:
    for what, value in (("blocks", blocks), ("k", k)):
        if not 1 <= value <= MAX_BEATS:
            raise SpecError(f"{what} is {value}; allowed is 1 to {MAX_BEATS}")
    if blocks * k > MAX_BEATS:
        raise SpecError(f"{blocks} blocks of k={k} are too many; allowed are {MAX_BEATS} beats")
    if not 0 <= stalls <= MAX_STALL:
        raise SpecError(f"stalls is {stalls}; allowed is 0 to {MAX_STALL}")
    if seed < 0:
        raise SpecError(f"seed is {seed}; it must be 0 or more")


def _check_start(build: Build, start: object, *, given: bool) -> None:
    if start is None:
        return
    if not build.design.starts:
        raise SpecError(
            f"{build.design.name} has no start values; generate it with start = raw to add C"
        )
    if not given:
        raise SpecError("start values are given without a and b; give all three")


def _job(
    build: Build,
    a_bits: np.ndarray | None,
    b_bits: np.ndarray | None,
    start: np.ndarray | _Pair | None,
) -> _Job:
    """One product, tiled."""
    design = build.design
    path = design.datapath
    if a_bits is None or b_bits is None:
        raise SpecError("only one of a and b is given; give both matrices, or none")
    a_bits, b_bits = check_operands(a_bits, b_bits, path)
    tiles = list(tile(a_bits, b_bits, design.rows, design.cols))
    starts = None
    if design.starts:
        shape = (a_bits.shape[0], b_bits.shape[1])
        checked = Start.zeros(path, shape) if start is None else Start.of(start, path, shape)
        start = checked.bits, checked.status
        size = (design.rows, design.cols)
        starts = [_cut(checked, x.row, x.col, size) for x in tiles]
    c_bits, status = gemm_bits(a_bits, b_bits, path, lanes=(design.rows, design.cols), start=start)
    pairs = [(x.a, x.b) for x in tiles]
    return _Job(pairs, starts, c_bits, status, a_bits.shape[1], stacked=False)


def _cut(start: Start, row: int, col: int, size: tuple[int, int]) -> _Pair:
    """Return a block's start values, padded with zeros to the array's size."""
    part = start[row : row + size[0], col : col + size[1]]
    return tuple(
        np.pad(
            array,
            [(0, size[axis] - array.shape[axis]) for axis in (0, 1)] + [(0, 0)] * (array.ndim - 2),
        )
        for array in (part.bits, part.status)
    )


def _random_job(build: Build, *, blocks: int, k: int, seed: int, specials: bool) -> _Job:
    """Unrelated blocks of the array's size."""
    design = build.design
    path = design.datapath
    rng = np.random.default_rng(seed)
    a_all = random_patterns(path.a, (blocks, design.rows, k), rng, specials=specials)
    b_all = random_patterns(path.b, (blocks, k, design.cols), rng, specials=specials)
    pairs = list(zip(a_all, b_all, strict=True))
    starts = None
    if design.starts:
        starts = [random_start(path.window, (design.rows, design.cols), rng) for _ in pairs]
    wanted = [
        gemm_bits(a, b, path, start=start)
        for (a, b), start in zip(pairs, starts or [None] * blocks, strict=True)
    ]
    c_bits = np.concatenate([c for c, _ in wanted])
    status = np.concatenate([s for _, s in wanted])
    return _Job(pairs, starts, c_bits, status, k, stacked=True)


def _protocol_error(outcome: Outcome) -> str:
    return "the core raised protocol_error" if outcome.protocol_error else ""


def _cycle_counts(outcome: Outcome, build: Build, job: _Job) -> dict[str, Any]:
    """Count cycles; all counts are 0 where a fault left nothing to count."""
    design = build.design
    names = ("cycles", "mac_cycles", "utilisation", "input_utilisation", "first_result_latency")
    a, b, c = outcome.a_taken, outcome.b_taken, outcome.c_taken
    if not (len(a) and len(b) and len(c) and len(c) == design.rows * len(job.blocks)):
        return dict.fromkeys(names, 0)
    first = min(int(a[0]), int(b[0]))
    cycles = int(c[-1]) - first + 1
    input_cycles = max(int(a[-1]), int(b[-1])) - first + 1
    block_end = design.beats(job.k) - 1
    m, n = job.size
    values = (
        cycles,
        len(a),
        m * job.k * n / (design.macs_per_cycle * cycles),
        len(a) / input_cycles,
        int(outcome.c_offered[0]) - max(int(a[block_end]), int(b[block_end])),
    )
    return dict(zip(names, values, strict=True))


def _compare(outcome: Outcome, job: _Job) -> dict[str, Any]:
    c_bits = job.assemble(outcome.c_bits, job.c_bits)
    status = job.assemble(outcome.status, job.status)
    differ = c_bits != job.c_bits
    if differ.ndim == 3:  # elements of several words
        differ = differ.any(axis=2)
    wrong = differ | (status != job.status)
    places = np.argwhere(wrong)
    mismatches = tuple(
        Mismatch(
            row=int(i),
            col=int(j),
            got=_whole(c_bits[i, j]),
            want=_whole(job.c_bits[i, j]),
            got_status=int(status[i, j]),
            want_status=int(job.status[i, j]),
        )
        for i, j in places[:SHOWN_MISMATCHES]
    )
    return {
        "c_bits": c_bits,
        "status": status,
        "mismatch_count": len(places),
        "mismatches": mismatches,
    }


def _whole(element: np.ndarray) -> int:
    """Join the 64-bit words of an element, lowest first."""
    words = np.atleast_1d(element).tolist()
    return sum(word << (64 * index) for index, word in enumerate(words))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)
