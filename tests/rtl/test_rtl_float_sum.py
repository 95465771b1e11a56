"""One processing element with a floating-point sum, between unpackers and rounder, against exact
arithmetic."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from element import Element

from hwgen.formats import Format
from hwgen.model import gemm_bits
from hwgen.spec.datapath import Datapath
from sim.pysim import pipeline


@dataclass
class Stimulus:
    """Rows of (a, b, present, last), as admission would send them, and the results due."""

    datapath: Datapath
    rng: random.Random
    bubbles: float = 0.0
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    due: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lanes = self.datapath.float_sum.lanes
        clearing = self.lanes + 1 if self.lanes > 1 else 1
        self.rows += [(0, 0, 0, 1)] * clearing

    def _bubble(self, last: int = 0) -> None:
        """Whatever the wires hold."""
        self.rows.append((self.rng.randrange(1 << self.datapath.a.width), 1, 0, last))

    def add(self, a: list[int], b: list[int]) -> None:
        """Append a block: its pairs in step with their lanes, then the pulses that add those."""
        while self.rng.random() < self.bubbles:
            self._bubble()
        start = len(self.rows)
        for k, pair in enumerate(zip(a, b, strict=True)):
            while k and (
                (len(self.rows) - start - k) % self.lanes or self.rng.random() < self.bubbles
            ):
                self._bubble()
            self.rows.append((*pair, 1, self.lanes == 1 and k == len(a) - 1))
        if self.lanes > 1:
            self._end(start)
        self.due[len(self.rows) - 1] = (a, b)

    def _end(self, start: int) -> None:
        while (len(self.rows) - start) % self.lanes:
            self._bubble()
        for _ in range(self.lanes - 1):
            self._bubble(last=1)
            for _ in range(self.lanes):
                self._bubble()
        # The cycle before the whole sum comes by belongs to the pulse.
        *before, _ = self.rows.pop()
        self.rows += [(*before, 1)]
        self._bubble(last=1)

    def check(self) -> None:
        """Run the element and compare every block's result."""
        dut = Element(self.datapath)
        results = pipeline(
            dut,
            self.rows,
            inputs=[dut.a, dut.b, dut.present, dut.last],
            outputs=[dut.bits, dut.status],
            latency=dut.latency,
        )
        assert self.due
        for cycle, (a, b) in self.due.items():
            assert results[cycle] == exactly(self.datapath, a, b), (a, b)


def exactly(datapath: Datapath, a: list[int], b: list[int]) -> tuple[int, int]:
    """The result and status that fractions give."""
    column = np.array(b, dtype=np.uint64)[:, np.newaxis]
    bits, status = gemm_bits(np.array([a], dtype=np.uint64), column, datapath, engine="exact")
    return int(bits[0, 0]), int(status[0, 0])


def pattern(rng: random.Random, fmt: Format, kind: str) -> int:
    """One operand: any pattern, a number of ordinary size, or one of few bits."""
    if kind == "any":
        return rng.randrange(1 << fmt.width)
    value = rng.gauss(0, 2)
    if kind == "round":
        value = rng.choice([-1, 1]) * 2.0 ** rng.randint(-3, 3) * rng.choice([1, 1, 1.5])
    return int(fmt.from_float(np.array([value if fmt.signed else abs(value)]))[0])


def check_random(datapath: Datapath, *, blocks: int, seed: int = 1) -> None:
    """Check random blocks with bubbles between their terms."""
    rng = random.Random(seed)
    stimulus = Stimulus(datapath, rng, bubbles=0.2)
    for _ in range(blocks):
        terms = rng.choice([1, 2, 3, 4, 9])
        sides = (
            (fmt, rng.choice(["any", "ordinary", "round"])) for fmt in (datapath.a, datapath.b)
        )
        stimulus.add(*([pattern(rng, fmt, kind) for _ in range(terms)] for fmt, kind in sides))
    stimulus.check()


SUMS = {
    "bf16": {"a": "bf16", "acc": "fma:fp32"},
    "bf16_lanes": {"a": "bf16", "acc": "fma:fp32,lanes=3"},
    "fp32": {"a": "fp32", "acc": "fma:fp32"},
    "fp32_lanes": {"a": "fp32", "acc": "fma:fp32,lanes=4"},
    "fp32_rounded": {"a": "fp32", "acc": "muladd:fp32,lanes=2", "out": "fp64"},
    "fp16_bf16": {"a": "fp16", "acc": "fma:fp16", "out": "bf16"},
    "fp64_bf16": {"a": "fp64", "acc": "fma:bf16"},
    "e5m2": {"a": "e5m2", "acc": "fma:e5m2"},
    "e5m2_rounded": {"a": "e5m2", "acc": "muladd:e5m2"},
    "e4m3": {"a": "e4m3", "acc": "fma:float:4,3", "out": "e4m3"},
    "e2m1": {"a": "e2m1", "acc": "fma:float:2,1", "out": "e2m1"},
    "tiny_lanes": {"a": "float:3,2", "acc": "fma:float:4,3,lanes=2"},
    "tiny_most_lanes": {"a": "float:3,2", "acc": "muladd:float:3,2,lanes=16", "out": "float:5,1"},
    "int8": {"a": "int8", "acc": "fma:fp16", "out": "fp32:overflow=saturate"},
    "uint4_e3m2": {
        "a": "uint4",
        "b": "e3m2",
        "acc": "muladd:fp16",
        "out": "e4m3:overflow=nan",
    },
    "uint1": {"a": "uint1", "acc": "fma:float:3,1"},
    "uint1_least": {"a": "uint1", "acc": "fma:float:2,1"},
    "uint4_lanes": {"a": "uint4", "b": "uint1", "acc": "fma:float:4,1,lanes=2"},
    "posit8": {"a": "posit8", "acc": "fma:fp16"},
    "posit16_e4m3": {"a": "posit16", "b": "e4m3", "acc": "muladd:bf16,lanes=2"},
}


@pytest.mark.parametrize("names", SUMS.values(), ids=SUMS)
def test_random_blocks_with_bubbles_equal_exact_arithmetic(names):
    check_random(Datapath.parse(**names), blocks=40)


@pytest.mark.slow
@pytest.mark.parametrize("names", SUMS.values(), ids=SUMS)
def test_many_random_blocks_with_bubbles_equal_exact_arithmetic(names):
    check_random(Datapath.parse(**names), blocks=500, seed=2)


@pytest.mark.parametrize("acc", ["fma:float:2,1", "muladd:float:2,1,lanes=2", "fma:float:3,1"])
def test_every_two_terms_of_a_tiny_format_equal_exact_arithmetic(acc):
    datapath = Datapath.parse(a="float:2,1", acc=acc)
    one = int(datapath.b.encode(1).bits)
    stimulus = Stimulus(datapath, random.Random(1))
    patterns = range(1 << datapath.a.width)
    for index, (c, a, b) in enumerate(itertools.product(patterns, repeat=3)):
        if index % 3 == 0:  # a step that shares no factor with the patterns' number
            stimulus.add([c, a], [one, b])
    stimulus.check()


def corners(fmt: Format) -> list[int]:
    """Zeros, the ends of the subnormals and normals, numbers around 1, infinity and NaN."""
    fraction = fmt.fraction_bits
    one = int(fmt.encode(1).bits)
    least_normal = 1 << fraction
    magnitudes = [0, 1, 2, 3, least_normal - 1, least_normal, least_normal + 1]
    magnitudes += [one - 1, one, one + 1, one + least_normal - 1, fmt.max_finite_bits - 1]
    magnitudes += [fmt.max_finite_bits, fmt.infinity_bits(False), fmt.nan_bits]
    return [sign << (fmt.width - 1) | bits for bits in magnitudes for sign in (0, 1)]


@pytest.mark.parametrize("acc", ["fma:fp16", "fma:fp16,lanes=2", "muladd:fp16"])
def test_sums_of_corner_cases_equal_exact_arithmetic(acc):
    # Cancellation by one ulp and to zero, ties, subnormal results, carries, overflow, specials.
    datapath = Datapath.parse(a="fp16", acc=acc)
    numbers = corners(datapath.a)
    one = int(datapath.a.encode(1).bits)
    stimulus = Stimulus(datapath, random.Random(1))
    for c, a in itertools.product(numbers, repeat=2):
        stimulus.add([c, a], [one, one])
    stimulus.check()


@pytest.mark.parametrize("lanes", [1, 3])
def test_products_of_corner_cases_added_to_their_negation_equal_exact_arithmetic(lanes):
    datapath = Datapath.parse(a="float:4,3", acc=f"fma:float:4,3,lanes={lanes}")
    numbers = corners(datapath.a)
    sign = 1 << (datapath.a.width - 1)
    stimulus = Stimulus(datapath, random.Random(1))
    for a, b in itertools.product(numbers[::2], numbers):
        stimulus.add([a, 1, a], [b, numbers[-4], b ^ sign])
    stimulus.check()


def test_a_block_leaves_nothing_behind_whatever_it_met():
    datapath = Datapath.parse(a="e5m2", acc="fma:e5m2,lanes=3")
    one, big, nan = (int(datapath.a.encode(value).bits) for value in (1, 57344, float("nan")))
    stimulus = Stimulus(datapath, random.Random(1))
    for a in ([nan, big, big], [big] * 5, [one, one ^ 0x80, big]):
        stimulus.add(a, [big] * len(a))
        stimulus.add([one], [one])
    stimulus.check()


def test_stimulus_reports_a_wrong_sum(monkeypatch):
    stimulus = Stimulus(Datapath.parse(a="e5m2", acc="fma:e5m2"), random.Random(1))
    stimulus.add([0x3C], [0x3C])
    monkeypatch.setitem(globals(), "exactly", lambda *_: (0, 0))
    with pytest.raises(AssertionError):
        stimulus.check()
