"""The mesh: where and when operands pass and results come out."""

from __future__ import annotations

import pytest

from hwgen.rtl.mesh import Mesh
from hwgen.rtl.records import partial_layout
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import OPERAND_LATENCY, SUM_LATENCY, summand_stages
from sim.pysim import simulate

SPEC = align(Datapath.parse(a="int4", acc="int:12"))
LANE_BITS = partial_layout(SPEC).size
SIZES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (3, 7), (2, 6)]
CYCLES = 60


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


class Bench:
    """Feeds skewed lanes into a mesh and keeps what leaves it, a word a port and cycle."""

    def __init__(self, rows: int, cols: int) -> None:
        self.mesh = Mesh(SPEC, rows, cols)
        self.rows, self.cols = rows, cols
        self.stimulus = [{"a": 0, "b": 0, "last": 0} for _ in range(CYCLES)]
        self.seen: dict[str, list[int]] = {}

    def feed(
        self, start: int, a: list[list[int]], b: list[list[int]], *, last: bool = True
    ) -> None:
        """A block: ``a[i][k]`` to row i at cycle start + k + i, ``b[k][j]`` to column j alike."""
        for k in range(len(b)):
            for i in range(self.rows):
                self.stimulus[start + k + i]["a"] |= (a[i][k] % 16) << (4 * i)
                if last and k == len(b) - 1:
                    self.stimulus[start + k + i]["last"] |= 1 << i
            for j in range(self.cols):
                self.stimulus[start + k + j]["b"] |= (b[k][j] % 16) << (4 * j)

    def run(self) -> None:
        outputs = ("a_out", "b_out", "last_out", "drain_out")
        self.seen = {name: [] for name in outputs}

        async def testbench(ctx) -> None:
            for values in self.stimulus:
                for name, value in values.items():
                    ctx.set(getattr(self.mesh, f"{name}_in"), value)
                _, _, *words = await ctx.tick().sample(*(getattr(self.mesh, o) for o in outputs))
                for name, word in zip(outputs, words, strict=True):
                    self.seen[name].append(word)

        simulate(self.mesh, testbench)

    def result(self, cycle: int, col: int) -> int:
        """The sum that leaves a column in a cycle."""
        lane = self.seen["drain_out"][cycle] >> (col * LANE_BITS)
        bits = partial_layout(SPEC).members["value"].width
        return signed(lane & ((1 << bits) - 1), bits)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_row_i_of_column_j_leaves_at_the_formulas_cycle(size):
    rows, cols = size
    bench = Bench(rows, cols)
    a = [[(2 * i + 3 * k) % 8 - 3 for k in range(3)] for i in range(rows)]
    b = [[(5 * j - k) % 8 - 4 for j in range(cols)] for k in range(3)]
    bench.feed(2, a, b)
    bench.run()
    last = 2 + 3 - 1
    first = last + OPERAND_LATENCY + summand_stages(SPEC) + SUM_LATENCY
    for i in range(rows):
        for j in range(cols):
            expected = sum(a[i][k] * b[k][j] for k in range(3))
            assert bench.result(first + 2 * i + j, j) == expected, (i, j)


def test_blocks_one_interval_apart_do_not_meet():
    rows, cols = 3, 2
    bench = Bench(rows, cols)
    interval = 2 * rows - 1
    blocks = [([[n + i] for i in range(rows)], [[j + 1 for j in range(cols)]]) for n in range(4)]
    for n, (a, b) in enumerate(blocks):
        bench.feed(1 + n * interval, a, b)
    bench.run()
    first = 1 + OPERAND_LATENCY + summand_stages(SPEC) + SUM_LATENCY
    for n, (a, b) in enumerate(blocks):
        for i in range(rows):
            for j in range(cols):
                cycle = first + n * interval + 2 * i + j
                assert bench.result(cycle, j) == a[i][0] * b[0][j], (n, i, j)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_operands_cross_an_element_a_cycle(size):
    rows, cols = size
    bench = Bench(rows, cols)
    a = [[i % 7 + 1, -1] for i in range(rows)]
    b = [[j % 7 + 1 for j in range(cols)], [2] * cols]
    bench.feed(0, a, b)
    bench.run()
    for i in range(rows):
        out = [word >> (4 * i) & 15 for word in bench.seen["a_out"]]
        ends = [word >> i & 1 for word in bench.seen["last_out"]]
        assert out[i + cols : i + cols + 2] == [i % 7 + 1, 15]
        assert [cycle for cycle, end in enumerate(ends) if end] == [i + cols + 1]
    for j in range(cols):
        out = [word >> (4 * j) & 15 for word in bench.seen["b_out"]]
        assert out[j + rows : j + rows + 2] == [j % 7 + 1, 2]
