"""The cocotb bench of a core: streams the beats of a stimulus file through it, phase by phase.

A phase begins with a reset. The working folder of the simulator holds:

``stimulus.npz`` (read)
    ``phases``: JSON text, a list of objects with ``a_beats``, ``b_beats`` (how many), ``rows`` (how
    many to expect), ``cut`` (end the phase when so many beats of A were taken, or null),
    ``stall_a``, ``stall_b``, ``stall_c`` (probabilities), ``seed``, ``quiet`` (cycles without a row
    to see at the end) and ``patience`` (cycles without any transfer after which the core has
    failed). ``a_data``, ``b_data``: (beats, bytes) uint8, little-endian tdata of all phases one
    after another. ``a_last``, ``b_last``: (beats,) uint8. For a core with start values also
    ``start_beats`` and ``stall_start`` in each phase, ``start_data``, ``start_last`` and
    ``start_user``: (beats, bytes) uint8, tuser.
``progress`` (written, from time to time)
    Rows taken so far.
``results.npz`` (written)
    ``phases``: JSON text, a list of objects with ``rows`` (how many came), ``cycles`` (length of
    the phase after reset), ``protocol_error`` and ``fault`` (what the core did wrong; empty if
    nothing). The list ends with the first phase that has a fault. ``seconds``, ``cpu_seconds``:
    wall time and processor time of the phases. ``c_data``, ``c_user``: (rows, bytes) uint8.
    ``c_last``: (rows,) uint8. ``c_taken``, ``c_offered``, ``a_taken``, ``b_taken``: int64, cycles
    of the transfers within their phase.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from sim.streams import RuleError, Sink, Source, is_high

PERIOD_NS = 10
RESET_CYCLES = 4
REPORT_EVERY_CYCLES = 256
REPORT_EVERY_S = 0.2


class _Progress:
    """Writes the number of rows taken so far to a file, not too often."""

    def __init__(self) -> None:
        self._file = Path("progress")
        self._due = 0.0
        self.rows_before = 0

    def report(self, rows: int) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REPORT_EVERY_S
            self._file.write_text(str(self.rows_before + rows), encoding="ascii")


class _Phase:
    """One phase: what to send, and what came of it."""

    def __init__(
        self, dut, plan: dict[str, Any], a: _Beats, b: _Beats, start: _Beats | None
    ) -> None:
        self._dut = dut
        self._plan = plan
        seed = plan["seed"]
        self.a, self.b = (
            Source(
                dut,
                f"s_axis_{side}",
                words=beats.words(plan[f"{side}_beats"]),
                lasts=beats.lasts(plan[f"{side}_beats"]),
                stall=plan[f"stall_{side}"],
                rng=random.Random(f"{seed} {side}"),
            )
            for side, beats in (("a", a), ("b", b))
        )
        self.sources = [self.a, self.b]
        if start is not None:
            count = plan["start_beats"]
            source = Source(
                dut,
                "s_axis_c",
                words=start.words(count),
                lasts=start.lasts(count),
                users=start.users(count),
                stall=plan["stall_start"],
                rng=random.Random(f"{seed} start"),
            )
            self.sources.append(source)
        self.c = Sink(dut, "m_axis_c", stall=plan["stall_c"], rng=random.Random(f"{seed} c"))
        self.cycle = 0
        self.fault = ""
        self.protocol_error = False

    async def run(self, edge: RisingEdge, progress: _Progress) -> None:
        """Reset the core and stream; a fault of the core is kept in ``fault``."""
        try:
            await self._reset(edge)
            await self._stream(edge, progress)
            if self._plan["cut"] is None:
                await self._be_quiet(edge)
            self.protocol_error = is_high(self._dut.protocol_error)
        except RuleError as fault:
            self.fault = f"{fault} (cycle {self.cycle})"

    async def _reset(self, edge: RisingEdge) -> None:
        self._dut.aresetn.value = 0
        for source in self.sources:
            source.idle()
        await edge
        for _ in range(RESET_CYCLES):
            await edge
            if is_high(self._dut.m_axis_c_tvalid):
                raise RuleError("m_axis_c_tvalid is high in reset")
        self._dut.aresetn.value = 1
        self.c.start()

    async def _stream(self, edge: RisingEdge, progress: _Progress) -> None:
        a, b, c, plan, sources = self.a, self.b, self.c, self._plan, self.sources
        rows, cut, patience = plan["rows"], plan["cut"], plan["patience"]
        seen, deadline = -1, 0
        while not (len(c.rows) >= rows and all(source.done for source in sources)):
            await edge
            cycle = self.cycle
            for source in sources:
                source.edge(cycle)
            c.edge(cycle)
            self.cycle = cycle = cycle + 1
            if cut is not None and len(a.taken) >= cut:
                return
            if cycle % REPORT_EVERY_CYCLES == 0:
                progress.report(len(c.rows))
            if cycle >= deadline:
                transfers = sum(len(source.taken) for source in sources) + len(c.rows)
                if transfers == seen:
                    raise RuleError(
                        f"no transfer for {patience} cycles, with {len(a.taken)} beats of A and"
                        f" {len(b.taken)} of B taken and {len(c.rows)} of {rows} rows given"
                    )
                seen, deadline = transfers, cycle + patience

    async def _be_quiet(self, edge: RisingEdge) -> None:
        rows = self._plan["rows"]
        for _ in range(self._plan["quiet"]):
            await edge
            self.c.edge(self.cycle)
            self.cycle += 1
        if len(self.c.offered) > rows:
            raise RuleError(f"{rows} rows were due and more came")


class _Beats:
    """The beats of one stream, handed out phase by phase."""

    def __init__(self, data: np.ndarray, last: np.ndarray, user: np.ndarray | None = None) -> None:
        self._data = data
        self._user = user
        self._last = last.tolist()
        self._next_word = 0
        self._next_user = 0
        self._next_last = 0

    def words(self, count: int) -> list[int]:
        """The tdata of the next beats."""
        first = self._next_word
        self._next_word += count
        return _numbers(self._data[first : first + count])

    def users(self, count: int) -> list[int]:
        """The tuser of the next beats."""
        first = self._next_user
        self._next_user += count
        return _numbers(self._user[first : first + count])

    def lasts(self, count: int) -> list[int]:
        """The tlast of the next beats."""
        first = self._next_last
        self._next_last += count
        return self._last[first : first + count]


def _numbers(octets: np.ndarray) -> list[int]:
    """Read rows of little-endian bytes."""
    size, joined = octets.shape[1], octets.tobytes()
    firsts = range(0, len(joined), size)
    return [int.from_bytes(joined[i : i + size], "little") for i in firsts]


def _octets(words: list[int], bits: int) -> np.ndarray:
    size = -(-bits // 8)
    joined = b"".join(word.to_bytes(size, "little") for word in words)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(words), size)


def _write_results(dut, phases: list[_Phase], seconds: float, cpu_seconds: float) -> None:
    rows = [row for phase in phases for row in phase.c.rows]
    cycles = {
        name: np.array([cycle for phase in phases for cycle in taken(phase)], dtype=np.int64)
        for name, taken in (
            ("a_taken", lambda phase: phase.a.taken),
            ("b_taken", lambda phase: phase.b.taken),
            ("c_taken", lambda phase: phase.c.taken),
            ("c_offered", lambda phase: phase.c.offered[: len(phase.c.rows)]),
        )
    }
    summary = [
        {
            "rows": len(phase.c.rows),
            "a_beats": len(phase.a.taken),
            "b_beats": len(phase.b.taken),
            "cycles": phase.cycle,
            "protocol_error": phase.protocol_error,
            "fault": phase.fault,
        }
        for phase in phases
    ]
    with Path("results.npz").open("wb") as file:
        np.savez(
            file,
            phases=np.array(json.dumps(summary)),
            seconds=np.array(seconds),
            cpu_seconds=np.array(cpu_seconds),
            c_data=_octets([row[0] for row in rows], len(dut.m_axis_c_tdata)),
            c_user=_octets([row[1] for row in rows], len(dut.m_axis_c_tuser)),
            c_last=np.array([row[2] for row in rows], dtype=np.uint8),
            **cycles,
        )


# The real limit is each phase's patience; this one is here so that no fault of the bench runs for
# ever.
@cocotb.test(timeout_time=1000, timeout_unit="sec")
async def stream_phases(dut) -> None:
    """Run all phases of the stimulus; faults of the core are results, not failures of the bench."""
    with np.load("stimulus.npz") as stimulus:
        plans = json.loads(str(stimulus["phases"]))
        a, b = (_Beats(stimulus[f"{side}_data"], stimulus[f"{side}_last"]) for side in "ab")
        start = None
        if "start_data" in stimulus:
            start = _Beats(*(stimulus[f"start_{part}"] for part in ("data", "last", "user")))
    fields = ("tvalid", "tdata", "tlast")
    idle = {"s_axis_a": fields, "s_axis_b": fields}
    if start is not None:
        idle["s_axis_c"] = (*fields, "tuser")
    for name, signals in idle.items():
        for signal in signals:
            getattr(dut, f"{name}_{signal}").value = 0
    dut.m_axis_c_tready.value = 0
    dut.aresetn.value = 0
    # The first edge must not race with these first values.
    await Timer(PERIOD_NS, unit="ns")
    Clock(dut.aclk, PERIOD_NS, unit="ns", impl="gpi").start()
    edge = RisingEdge(dut.aclk)
    progress = _Progress()
    done: list[_Phase] = []
    begin, cpu_begin = time.perf_counter(), time.process_time()
    for plan in plans:
        phase = _Phase(dut, plan, a, b, start)
        await phase.run(edge, progress)
        done.append(phase)
        progress.rows_before += len(phase.c.rows)
        if phase.fault:
            break
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    _write_results(dut, done, seconds, cpu_seconds)
