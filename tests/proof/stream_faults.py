"""Faults seeded into the flow control, each with the rule that must catch it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

from hwgen.emit import emit_verilog
from hwgen.spec.design import Design

RESULTS = "a row holds its block's results"
ROOM = "no more rows are owed than the buffer holds"
STAYS = "an offered row stays until it is taken"
OWED = "no row is offered that is not owed"
LATENCY = "a row that is owed is offered after its latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A change of the circuit's source.

    Attributes
    ----------
    module : str
        In hwgen.rtl.
    right, wrong : str
        Text that occurs once in it, and what stands there instead.
    breaks : str
        The rule that a run from reset then breaks.
    cycles : int
        Length of the shortest such run is at most that.
    out : str
        Result format of the design; a float one makes columns share rounders.
    """

    module: str
    right: str
    wrong: str
    breaks: str
    cycles: int
    out: str = "int4"


FAULTS = {
    "credits are not spent": Fault(
        module="admission",
        right="available - Mux(self.block_end, self._rows, 0)",
        wrong="available",
        breaks=ROOM,
        cycles=18,
    ),
    "a taken row counts twice": Fault(
        module="admission",
        right="credits + self.row_taken",
        wrong="credits + 2 * self.row_taken",
        breaks=ROOM,
        cycles=20,
    ),
    "an end enters one credit short": Fault(
        module="admission",
        right="available >= needed",
        wrong="available >= needed - 1",
        breaks=ROOM,
        cycles=20,
    ),
    "the buffer is one row short": Fault(
        module="core",
        right="when.buffer_rows,",
        wrong="when.buffer_rows + 1,",
        breaks=ROOM,
        cycles=20,
    ),
    "the interval is one cycle short": Fault(
        module="core",
        right="when.block_interval,",
        wrong="when.block_interval - 1,",
        breaks=RESULTS,
        cycles=12,
    ),
    "the interval is one cycle short for shared rounders": Fault(
        module="core",
        right="when.block_interval,",
        wrong="when.block_interval - 1,",
        breaks=RESULTS,
        cycles=16,
        out="e2m1",
    ),
    "an end may enter in one cycle alone": Fault(
        module="admission",
        right="(interval_left <= 1)",
        wrong="(interval_left == 1)",
        breaks="a pair waits less than an interval while there is room",
        cycles=8,
    ),
    "the array is not cleared": Fault(
        module="admission",
        right="clearing = Signal(init=1)",
        wrong="clearing = Signal()",
        breaks=RESULTS,
        cycles=12,
    ),
    "the wrong side is dropped": Fault(
        module="admission",
        right="Mux(a.last, _Skip.B, _Skip.A)",
        wrong="Mux(a.last, _Skip.A, _Skip.B)",
        breaks="a: surplus beats are dropped at once",
        cycles=6,
    ),
    "different lengths make rows": Fault(
        module="admission",
        right="self.block_end.eq(admitted & ends & ~differ)",
        wrong="self.block_end.eq(admitted & ends)",
        breaks=OWED,
        cycles=12,
    ),
    "different lengths leave their sums": Fault(
        module="admission",
        right="last.eq((admitted & leaves) | clearing)",
        wrong="last.eq((admitted & leaves & ~differ) | clearing)",
        breaks=RESULTS,
        cycles=16,
    ),
    "B goes on while A waits for room": Fault(
        module="admission",
        right="self.b.ready.eq(admitted",
        wrong="self.b.ready.eq(paired",
        breaks="b: a beat is used with its partner",
        cycles=4,
    ),
    "a credit is lost": Fault(
        module="admission",
        right="credits + self.row_taken",
        wrong="credits + (self.row_taken & ~self.block_end)",
        breaks="a pair waits less than an interval while rows are taken",
        cycles=28,
    ),
    "every pair waits for room": Fault(
        module="admission",
        right="leaves, may_pass = ends, ~ends | may_end",
        wrong="leaves, may_pass = ends, may_end",
        breaks="a pair that ends no block does not wait",
        cycles=4,
    ),
    "pairs enter while surplus is dropped": Fault(
        module="admission",
        right="self.b.valid & (skip == _Skip.NOTHING)",
        wrong="self.b.valid",
        breaks="b: no beat is used while the other's surplus is dropped",
        cycles=8,
    ),
    "protocol_error tells of one side alone": Fault(
        module="admission",
        right="self.protocol_error.eq(1)",
        wrong="self.protocol_error.eq(a.last)",
        breaks="protocol_error tells that lengths differed",
        cycles=6,
    ),
    "tlast marks the first row": Fault(
        module="drain",
        right="self.row_last.eq(row == self._rows - 1)",
        wrong="self.row_last.eq(row == 0)",
        breaks="tlast marks a block's last row",
        cycles=12,
    ),
    "ready in the cycle after reset": Fault(
        module="streams",
        right="ready = Signal()",
        wrong="ready = Signal(init=1)",
        breaks="a: not ready in the cycle after reset",
        cycles=1,
    ),
    "a beat is kept that was not accepted": Fault(
        module="streams",
        right="arrives.eq(self.i.valid & ready)",
        wrong="arrives.eq(self.i.valid)",
        breaks="a: no beat is used that is not there",
        cycles=4,
    ),
    "the kept beat is overwritten": Fault(
        module="streams",
        right="with m.If(ready):",
        wrong="with m.If(self.i.valid):",
        breaks=RESULTS,
        cycles=16,
    ),
    "ready while a beat is kept": Fault(
        module="streams",
        right="ready.eq(~left_over)",
        wrong="ready.eq(1)",
        breaks="a: ready unless a beat waits",
        cycles=4,
    ),
    "ready drops behind every beat": Fault(
        module="streams",
        right="ready.eq(~left_over)",
        wrong="ready.eq(~self.o.valid)",
        breaks="a: ready unless a beat waits",
        cycles=6,
    ),
    "the read address moves on in a stall": Fault(
        module="drain",
        right="advanced(address, self._depth, self.row_taken)",
        wrong="advanced(address, self._depth, self.row_valid)",
        breaks=STAYS,
        cycles=12,
    ),
    "the read address stays": Fault(
        module="drain",
        right="advanced(address, self._depth, self.row_taken)",
        wrong="address",
        breaks=RESULTS,
        cycles=14,
    ),
    "tlast moves on in a stall": Fault(
        module="drain",
        right="with m.If(self.row_taken):",
        wrong="with m.If(self.row_valid):",
        breaks=STAYS,
        cycles=12,
    ),
    "the last row of all is held back": Fault(
        module="drain",
        right="self.row_valid.eq(filled != 0)",
        wrong="self.row_valid.eq(filled > 1)",
        breaks=LATENCY,
        cycles=12,
    ),
    "a row that comes while one leaves is lost": Fault(
        module="drain",
        right="filled + self.row_complete - self.row_taken",
        wrong="Mux(self.row_taken, filled - 1, filled + self.row_complete)",
        breaks=LATENCY,
        cycles=24,
    ),
    "a row too many": Fault(
        module="drain",
        right="left.eq(2 * (self._rows - 1))",
        wrong="left.eq(2 * self._rows - 1)",
        breaks=OWED,
        cycles=16,
    ),
    "the write address moves on too early": Fault(
        module="drain",
        right="with m.If(write):",
        wrong="with m.If(row):",
        breaks=RESULTS,
        cycles=12,
    ),
}


def faulty_verilog(design: Design, fault: Fault) -> str:
    """Emit a design with a fault."""
    with mock.patch.dict(sys.modules):
        changed = _module(fault.module, fault.right, fault.wrong)
        sys.modules[changed.__name__] = changed
        core = changed if fault.module == "core" else _module("core")
        with mock.patch("hwgen.emit.definitions.Core", core.Core):
            return emit_verilog(design)


def _module(name: str, right: str = "", wrong: str = "") -> ModuleType:
    """Run a module's source, with a change, as a module of its own."""
    spec = importlib.util.find_spec(f"hwgen.rtl.{name}")
    source = Path(spec.origin).read_text(encoding="utf-8")
    if right:
        assert source.count(right) == 1, (right, source.count(right))
        source = source.replace(right, wrong)
    module = ModuleType(spec.name)
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module
