"""Known faults of earlier generators, in the circuit; the table is the models' own."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import pytest

from hwgen.rtl.core import Core
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from sim.pysim import Axis, receive, send, simulate

TABLE = Path(__file__).parents[1] / "model" / "known_faults.toml"
CASES = tomllib.loads(TABLE.read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_known_fault_is_not_in_the_circuit(case):
    core = Core(Design(datapath=Datapath.parse(**case["datapath"]), rows=1, cols=1))
    last = len(case["a"]) - 1
    rows: list = []

    def sender(side: str):
        async def testbench(ctx) -> None:
            beats = [(word, k == last) for k, word in enumerate(case[side])]
            await send(ctx, Axis(core, f"s_axis_{side}"), beats, rng=random.Random(0))

        return testbench

    async def receiver(ctx) -> None:
        rows.extend(await receive(ctx, Axis(core, "m_axis_c"), 1, rng=random.Random(0)))

    simulate(core, sender("a"), sender("b"), receiver, max_cycles=2_000)
    (row,) = rows
    assert (hex(row.data), row.user) == (hex(case["bits"]), case["status"])
