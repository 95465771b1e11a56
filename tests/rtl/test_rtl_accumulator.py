"""The window accumulator alone: sums of chosen summands at the register's edges."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from hwgen.rtl.accumulator import WindowAccumulator
from hwgen.spec.accumulator import Overflow
from hwgen.spec.alignment import Alignment, align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import SUM_LATENCY
from sim.pysim import pipeline

OPERANDS = {
    "floats": ("e5m2", ""),  # a carry from negation, infinities
    "floats_even": ("e5m2", ",round=even"),  # a carry from rounding, too
    "nan_only": ("e4m3", ""),
    "integers": ("int4", ""),
    "unsigned": ("uint4", ",round=even"),
}
# In the first products fill the window, in the second the register is as narrow as a summand.
WINDOWS = ["window:msb=5,lsb=1,ovf=1", "window:msb=4,lsb=1,ovf=0", "window:msb=5,lsb=1,ovf=3"]


@dataclass
class Register:
    """The definition of arithmetic.md section 3, in integers."""

    spec: Alignment
    value: int = 0
    overflow: int = 0

    def add(self, summand: int, exceeds: int) -> None:
        window = self.spec.window
        lowest, highest = -(1 << (window.width - 1)), (1 << (window.width - 1)) - 1
        total = self.value + summand
        self.overflow |= exceeds | (not lowest <= total <= highest)
        if window.overflow is Overflow.SATURATE:
            self.value = min(max(total, lowest), highest)
        else:
            self.value = (total - lowest) % (1 << window.width) + lowest


def random_summand(rng: random.Random, spec: Alignment, members: list[str]) -> dict[str, int]:
    """A summand of any size, often the largest there is."""
    largest = (1 << spec.magnitude_bits) - 1
    size = rng.choice([0, 1, largest, largest, rng.randrange(largest + 1)])
    fields = {"value": rng.choice((-1, 1)) * size}
    for name in members:
        if name == "carry":  # of a negation, or of rounding
            fields[name] = rng.randrange(2) if spec.rounds or fields["value"] < 0 else 0
        elif name != "value":
            fields[name] = int(rng.random() < 0.05)
    return fields


@pytest.mark.parametrize("overflow", [overflow.value for overflow in Overflow])
@pytest.mark.parametrize("acc", WINDOWS)
@pytest.mark.parametrize(("operand", "options"), OPERANDS.values(), ids=OPERANDS)
def test_random_sums_at_the_edges_equal_the_definition(operand, options, acc, overflow):
    acc = f"{acc},overflow={overflow}{options}"
    datapath = Datapath.parse(a=operand, acc=acc, out="raw")
    spec = align(datapath)
    dut = WindowAccumulator(spec)
    members = list(dut.summand.shape().members)
    results = list(dut.drain_out.shape().members)
    rng = random.Random(acc + operand)
    stimulus, expected = [], []
    register, sticky = Register(spec), dict.fromkeys(results, 0)
    for _ in range(600):
        fields = random_summand(rng, spec, members)
        last = int(rng.random() < 0.15)
        below = {name: rng.randrange(2) for name in results}
        inputs = [fields[name] for name in members] + [below[name] for name in results]
        stimulus.append([*inputs, last])
        register.add(fields["value"] + fields.get("carry", 0), fields.get("exceeds", 0))
        for name in sticky:
            sticky[name] |= fields.get(name, 0)
        if not last:
            expected.append(below)
            continue
        expected.append(sticky | {"value": register.value, "overflow": register.overflow})
        register, sticky = Register(spec), dict.fromkeys(results, 0)
    seen = pipeline(
        dut,
        stimulus,
        inputs=[
            *(dut.summand[name] for name in members),
            *(dut.drain_in[name] for name in results),
            dut.last,
        ],
        outputs=[dut.drain_out[name] for name in results],
        latency=SUM_LATENCY,
    )
    assert dut.latency == SUM_LATENCY
    width = spec.window.width
    for row, values, want in zip(stimulus, seen, expected, strict=True):
        got = dict(zip(results, values, strict=True))
        if row[-1]:  # a sum that left the register in its last step shows it in its top bits
            total = got["value"]
            got["value"] = (total + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
            got["overflow"] |= got["value"] != total
        assert got == want
