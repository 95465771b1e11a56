"""The proofs' specification is the exact model's: the two were written apart."""

from __future__ import annotations

import random
from dataclasses import fields
from types import SimpleNamespace

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")

import z3

from hwgen.flow.proof_specification import Pair, Sum, agree, empty_sum, next_sum
from hwgen.formats import Format
from hwgen.spec.datapath import Datapath

DATAPATHS = (
    {"a": "e2m1", "acc": "window:msb=3,lsb=0,ovf=1,round=even,overflow=saturate"},
    {"a": "e2m1", "acc": "exact:terms=8"},
    {"a": "e3m2", "b": "e2m3", "acc": "window:msb=1,lsb=-3,ovf=0,round=odd,overflow=wrap"},
    {"a": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=1"},
    {"a": "e5m2", "acc": "window:msb=1,lsb=-4,ovf=1,round=even"},
    {"a": "bf16", "b": "e4m3", "acc": "window:msb=5,lsb=-30,ovf=9,round=even"},
    {"a": "posit8", "acc": "window:msb=5,lsb=-8,ovf=1,round=even"},
    {"a": "posit8", "b": "e4m3", "acc": "window:msb=9,lsb=4,ovf=0,overflow=saturate"},
    {"a": "int8", "acc": "int:18,overflow=saturate"},
    {"a": "uint4", "b": "fixed:2,6", "acc": "window:msb=4,lsb=-3,ovf=0,round=even,overflow=wrap"},
    {"a": "ufixed:3,1", "acc": "window:msb=20,lsb=9,ovf=1"},
    {"a": "e5m2", "b": "int4", "acc": "window:msb=2,lsb=-40,ovf=0,overflow=saturate"},
    {"a": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=0,round=even,overflow=saturate,dot=2"},
    {"a": "e5m2", "b": "e2m1", "acc": "window:msb=1,lsb=-4,ovf=0,overflow=wrap,dot=3"},
    {"a": "int8", "b": "uint4", "acc": "window:msb=9,lsb=2,ovf=1,dot=4"},
)
COUNT = 40


def cases(path: Datapath):
    """Random pairs and sums, the sums' extremes and special patterns among them."""
    generator = random.Random(str(path))
    low, high = -(1 << (path.window.width - 1)), (1 << (path.window.width - 1)) - 1
    for _ in range(COUNT):
        near = generator.choice([0, 0, low, high, generator.randint(low, high)])
        before = {field.name: int(generator.random() < 0.1) for field in fields(Sum)}
        before["register"] = min(high, max(low, near + generator.randint(-9, 9)))
        if before["nan"] or before["positive_inf"]:
            before["negative_inf"] = 0
        if before["nan"]:
            before["positive_inf"] = 0
        yield before, {name: word(generator, getattr(path, name), path.dot) for name in "ab"}


def word(generator: random.Random, fmt: Format, count: int) -> int:
    return sum(pattern(generator, fmt) << (index * fmt.width) for index in range(count))


def as_pairs(words: dict[str, int], path: Datapath) -> list[Pair]:
    def part(name: str, term: int) -> z3.BitVecRef:
        width = getattr(path, name).width
        return z3.BitVecVal(words[name] >> (term * width), width)

    return [Pair(a=part("a", term), b=part("b", term)) for term in range(path.dot)]


def pattern(generator: random.Random, fmt: Format) -> int:
    top = 1 << (fmt.width - 1)
    special = [fmt.nan_bits, fmt.infinity_bits(False), 0, 1, top - 1, top, top + 1, 2 * top - 1]
    return generator.choice([generator.randrange(2 * top), generator.choice(special)])


def as_terms(values: dict[str, int], width: int) -> Sum:
    flags = {name: z3.BoolVal(bool(value)) for name, value in values.items() if name != "register"}
    return Sum(register=z3.BitVecVal(values["register"], width), **flags)


@pytest.mark.parametrize("names", DATAPATHS, ids=lambda names: f"{names['a']}-{names['acc']}")
def test_a_step_is_the_exact_models(names, judged):
    path = Datapath.parse(**names)
    window = path.window
    for before, pair in cases(path):
        start = as_terms(before, window.width)
        after = next_sum(start, as_pairs(pair, path), (path.a, path.b), window)
        pair |= {"a_token": 1, "b_token": 1}
        right = judged(SimpleNamespace(before=before, inputs=[{}, pair]), path)
        same = agree(after, as_terms(right, window.width), window)
        assert z3.is_true(z3.simplify(same)), (before, pair, right)


def test_the_empty_sum_is_zero_and_has_seen_nothing():
    window = Datapath.parse(a="e4m3", acc="exact").window
    values = [z3.simplify(getattr(empty_sum(window), field.name)) for field in fields(Sum)]
    assert values[0].as_long() == 0
    assert not any(map(z3.is_true, values[1:]))


def test_sums_that_differ_do_not_agree():
    window = Datapath.parse(a="e5m2", acc="window:msb=1,lsb=-4,ovf=1").window
    nothing = empty_sum(window)
    for field in fields(Sum):
        values = {entry.name: int(entry.name == field.name) for entry in fields(Sum)}
        assert z3.is_false(z3.simplify(agree(nothing, as_terms(values, window.width), window)))
