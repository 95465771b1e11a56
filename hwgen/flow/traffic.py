"""What goes through a simulated core: phases of beats, and the files in which they travel.

The bench inside the simulator (``sim/bench.py``, where the files are described) knows beats only;
this module turns blocks into beats and rows back into results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwgen.errors import SpecError
from hwgen.model import beat_bytes, operand_beats, pack_beats, unpack_beats
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

__all__ = [
    "MAX_STALL",
    "Beats",
    "Outcome",
    "Phase",
    "StartRows",
    "read_results",
    "write_stimulus",
]

MAX_STALL = 0.95
STATUS_BITS = 3

_Operands = tuple[np.ndarray, np.ndarray]
_Start = tuple[np.ndarray, np.ndarray]  # registers, status


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The beats of one stream.

    Parameters
    ----------
    elements : (beats, lanes) array of patterns
        See :func:`~hwgen.model.operand_beats`.
    last : (beats,) array of bool
    """

    elements: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, blocks: Sequence[np.ndarray]) -> Beats:
        """Put the (beats, lanes) arrays of blocks one after another; each ends with tlast."""
        lengths = [len(block) for block in blocks]
        last = np.zeros(sum(lengths), dtype=np.bool_)
        last[np.cumsum(lengths) - 1] = True
        return cls(np.concatenate(list(blocks)), last)


@dataclass(frozen=True, slots=True, eq=False)
class StartRows:
    """The beats of a stream of start values.

    Parameters
    ----------
    bits : (beats, cols) array of raw registers
        Or with a last axis of 64-bit words, as :func:`~hwgen.model.gemm_bits` has it.
    status : (beats, cols) array of uint8
    last : (beats,) array of bool
    """

    bits: np.ndarray
    status: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, blocks: Sequence[_Start]) -> StartRows:
        """Put blocks, each registers and their status, one after another."""
        bits = Beats.of([bits for bits, _ in blocks])
        return cls(bits.elements, np.concatenate([status for _, status in blocks]), bits.last)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Phase:
    """A reset, and then the beats that a core is sent.

    Parameters
    ----------
    a, b : Beats
    blocks : int
        How many blocks have results.
    stalls : float or tuple of three floats
        Probability in each cycle that A offers no new beat, that B does not, that C is not ready.
        Start values stall as A does.
    seed : int
        Of the stalls.
    start : StartRows, optional
        For a core with start values, and for no other.
    cut : int, optional
        End the phase, perhaps in mid-block, as soon as so many beats of A were taken. What came
        until then is kept; the next phase's reset forgets the rest.
    """

    a: Beats
    b: Beats
    blocks: int
    stalls: float | tuple[float, float, float] = 0.0
    seed: int = 0
    start: StartRows | None = None
    cut: int | None = None

    def __post_init__(self) -> None:
        if not all(0 <= stall <= MAX_STALL for stall in self.stall_of):
            raise SpecError(f"stalls is {self.stalls}; allowed is 0 to {MAX_STALL}")

    @property
    def stall_of(self) -> tuple[float, float, float]:
        """Stall probabilities of A, B and C."""
        return self.stalls if isinstance(self.stalls, tuple) else (self.stalls,) * 3

    @classmethod
    def of(
        cls,
        blocks: Iterable[_Operands],
        *,
        dot: int = 1,
        starts: Sequence[_Start] | None = None,
        stalls: float | tuple[float, float, float] = 0.0,
        seed: int = 0,
        cut: int | None = None,
    ) -> Phase:
        """Send blocks, each an (rows, k) and a (k, cols) array of patterns, back to back.

        ``dot`` is the datapath's; ``starts`` are a start value and its status a block, each of
        (rows, cols) elements.
        """
        pairs = [operand_beats(a, b, dot) for a, b in blocks]
        return cls(
            a=Beats.of([a for a, _ in pairs]),
            b=Beats.of([b for _, b in pairs]),
            blocks=len(pairs),
            stalls=stalls,
            seed=seed,
            start=None if starts is None else StartRows.of(starts),
            cut=cut,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """What a core made of a phase.

    Parameters
    ----------
    c_bits : (blocks, rows, cols) array of patterns
        Or with a last axis of 64-bit words, as :func:`~hwgen.model.gemm_bits` has it. Of a phase
        that was cut, or that has a fault, the complete blocks.
    status : (blocks, rows, cols) array of uint8
    a_taken, b_taken : array of int
        The cycle of each transfer, counted from the end of the reset.
    c_taken, c_offered : array of int
        For each row, when it was taken and when it was first offered.
    cycles : int
        Length of the phase after its reset.
    protocol_error : bool
        The core's output at the end of the phase.
    fault : str
        A broken rule of the streams, or a lack of progress; empty if there was none.
    """

    c_bits: np.ndarray
    status: np.ndarray
    a_taken: np.ndarray
    b_taken: np.ndarray
    c_taken: np.ndarray
    c_offered: np.ndarray
    cycles: int
    protocol_error: bool
    fault: str


def write_stimulus(path: Path, design: Design, phases: Sequence[Phase]) -> None:
    """Write what ``sim/bench.py`` reads."""
    when = timing(design)
    # A row that nobody asked for would come within this time; a core that lives moves a beat in it.
    quiet = when.first_result + when.row_interval * design.rows
    patience = 1000 + 4 * (quiet + when.block_interval)
    plans = [
        {
            "a_beats": len(phase.a.last),
            "b_beats": len(phase.b.last),
            "rows": phase.blocks * design.rows,
            "cut": phase.cut,
            **_start_plan(phase),
            **{f"stall_{side}": p for side, p in zip("abc", phase.stall_of, strict=True)},
            "seed": phase.seed,
            "quiet": quiet,
            "patience": patience,
        }
        for phase in phases
    ]
    path_of = design.datapath
    np.savez(
        path,
        phases=np.array(json.dumps(plans)),
        a_data=_data([phase.a for phase in phases], design.rows * path_of.dot, path_of.a.width),
        b_data=_data([phase.b for phase in phases], design.cols * path_of.dot, path_of.b.width),
        a_last=np.concatenate([phase.a.last for phase in phases]).astype(np.uint8),
        b_last=np.concatenate([phase.b.last for phase in phases]).astype(np.uint8),
        **_start_arrays(design, phases),
    )


def _start_plan(phase: Phase) -> dict[str, object]:
    if phase.start is None:
        return {}
    return {"start_beats": len(phase.start.last), "stall_start": phase.stall_of[0]}


def _start_arrays(design: Design, phases: Sequence[Phase]) -> dict[str, np.ndarray]:
    rows = [phase.start for phase in phases if phase.start is not None]
    if len(rows) != (len(phases) if design.starts else 0):
        raise SpecError(
            f"{design.name} has start = {design.start} and {len(rows)} of {len(phases)} phases have"
            " start values; give all of them start values if the design has them, else none"
        )
    if not rows:
        return {}
    width = design.datapath.window.width
    return {
        "start_data": _packed([row.bits for row in rows], design.cols, width),
        "start_user": _packed([row.status for row in rows], design.cols, STATUS_BITS),
        "start_last": np.concatenate([row.last for row in rows]).astype(np.uint8),
    }


def _data(streams: Sequence[Beats], lanes: int, width: int) -> np.ndarray:
    return _packed([beats.elements for beats in streams], lanes, width)


def _packed(elements: Sequence[np.ndarray], lanes: int, width: int) -> np.ndarray:
    size = beat_bytes(lanes, width)
    words = pack_beats(np.concatenate(list(elements)), width)
    joined = b"".join(word.to_bytes(size, "little") for word in words)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(words), size)


def read_results(path: Path, design: Design) -> tuple[list[Outcome], float, float]:
    """Read what ``sim/bench.py`` wrote: the outcomes, and wall and processor time of the phases."""
    with np.load(path) as file:
        results = {name: file[name] for name in file.files}
    bits = _elements(results["c_data"], design.cols, design.datapath.out_width)
    status = _elements(results["c_user"], design.cols, STATUS_BITS)
    outcomes = []
    first = {"a": 0, "b": 0, "c": 0}
    for summary in json.loads(str(results["phases"])):
        counts = {"a": summary["a_beats"], "b": summary["b_beats"], "c": summary["rows"]}
        part = {side: slice(first[side], first[side] + counts[side]) for side in counts}
        first = {side: part[side].stop for side in counts}
        complete = slice(part["c"].start, part["c"].stop - counts["c"] % design.rows)
        wrong = _wrong_last(results["c_last"][part["c"]], design.rows)
        outcomes.append(
            Outcome(
                c_bits=_by_block(bits[complete], design.rows),
                status=_by_block(status[complete], design.rows),
                a_taken=results["a_taken"][part["a"]],
                b_taken=results["b_taken"][part["b"]],
                c_taken=results["c_taken"][part["c"]],
                c_offered=results["c_offered"][part["c"]],
                cycles=summary["cycles"],
                protocol_error=summary["protocol_error"],
                fault=summary["fault"] or wrong,
            )
        )
    return outcomes, float(results["seconds"]), float(results["cpu_seconds"])


def _elements(data: np.ndarray, lanes: int, width: int) -> np.ndarray:
    return unpack_beats([int.from_bytes(row.tobytes(), "little") for row in data], lanes, width)


def _by_block(rows: np.ndarray, rows_per_block: int) -> np.ndarray:
    return rows.reshape(-1, rows_per_block, *rows.shape[1:])


def _wrong_last(last: np.ndarray, rows: int) -> str:
    """Describe the first row whose tlast is wrong; empty if there is none."""
    due = np.arange(len(last)) % rows == rows - 1
    wrong = np.flatnonzero(last != due)
    if not len(wrong):
        return ""
    row = int(wrong[0])
    return f"row {row % rows} of block {row // rows} came with tlast = {int(last[row])}"
