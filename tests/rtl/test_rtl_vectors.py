"""All known answers of Berkeley TestFloat for ties to even, on emitted Verilog.

Numbers and products go through an unpacker, an accumulator and a rounder: through the rounding of
the floating-point sum, and through that of a register which loses nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Mux, Signal
from testfloat import FORMATS, read_vectors, wrong_cases
from verilog_pipeline import emitted_sums

from hwgen.model import gemm_bits
from hwgen.rtl import float_accumulator, round_float_sum
from hwgen.rtl.round import FloatRounder
from hwgen.rtl.round_float_sum import FloatSumRounder
from hwgen.spec.datapath import Datapath

pytestmark = pytest.mark.sim

CONVERSIONS = [("f32", "bf16"), ("f32", "f16"), ("f64", "f16"), ("f64", "f32")]
SUMS = [(acc, name) for acc in ("fma", "exact") for name in ("f16", "f32", "f64")]
# A register of fp64 numbers has 2100 bits, one of their products 4200.
EVERY_CONVERSION = [
    pytest.param(acc, *names, marks=pytest.mark.slow if (acc, names[0]) == ("exact", "f64") else ())
    for acc in ("fma", "exact")
    for names in CONVERSIONS
]


def conversion(acc: str, source: str, target: str) -> Datapath:
    operand, out = FORMATS[source], FORMATS[target]
    if acc == "exact":  # the other factor is 0 or 1, for the shortest register
        return Datapath.parse(a=operand, b="uint1", acc="exact:terms=1", out=out)
    return Datapath.parse(a=operand, acc=f"fma:{operand}", out=out)


def addition(acc: str, name: str) -> Datapath:
    fmt = FORMATS[name]
    return Datapath.parse(a=fmt, acc="exact:terms=2" if acc == "exact" else f"fma:{fmt}", out=fmt)


def ones(datapath: Datapath, like: np.ndarray) -> np.ndarray:
    return np.full_like(like, int(datapath.b.encode(1).bits))


def converted(datapath: Datapath, x: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Patterns and status of every number times one."""
    column = ones(datapath, x)[:, np.newaxis]
    return emitted_sums(datapath, x[:, np.newaxis], column, folder, simulator="icarus")


def added(
    datapath: Datapath, cases: np.ndarray, folder: Path, simulator: str
) -> tuple[np.ndarray, np.ndarray]:
    """Patterns and status of every c * 1 + a * b."""
    a, b, c = cases.T[:3]
    rows = np.stack([c, a], axis=1), np.stack([ones(datapath, b), b], axis=1)
    return emitted_sums(datapath, *rows, folder, simulator=simulator)


@pytest.mark.parametrize(("acc", "name"), [pair for pair in SUMS if pair != ("exact", "f64")])
def test_a_sample_of_products_added_to_numbers_equals_testfloats(acc, name, tmp_path):
    cases = read_vectors(f"{name}_mulAdd_near_even")[::53]
    bits, status = added(addition(acc, name), cases, tmp_path, "icarus")
    assert wrong_cases(bits, status, *cases.T[3:], FORMATS[name]).size == 0


@pytest.mark.slow
@pytest.mark.parametrize(("acc", "name"), SUMS)
def test_every_product_added_to_a_number_equals_testfloats(acc, name, tmp_path):
    cases = read_vectors(f"{name}_mulAdd_near_even")
    assert len(cases) == 19978
    bits, status = added(addition(acc, name), cases, tmp_path, "verilator")
    assert wrong_cases(bits, status, *cases.T[3:], FORMATS[name]).size == 0


def ties(datapath: Datapath) -> np.ndarray:
    """Numbers halfway between two neighbours of the result format, of all sizes and both signs.

    TestFloat's conversions have next to none: its significands are mostly zeros or ones.
    """
    source, out = datapath.a, datapath.out
    top = out.max_finite_bits
    below = np.random.default_rng(1).integers(top - 1, size=200)
    patterns = []
    for pattern in [0, 1, 2, top - 1, top, *below.tolist()]:
        value = out.decode(pattern).fraction
        other = out.decode(pattern - 1 if pattern == top else pattern + 1).fraction
        middle = source.encode(value + abs(other - value) / 2)
        assert not middle.inexact
        patterns += [middle.bits, middle.bits | 1 << (source.width - 1)]
    return np.array(patterns, dtype=np.uint64)


def exactly(datapath: Datapath, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patterns and status of every number times one, as fractions have it."""
    one = np.array([[int(datapath.b.encode(1).bits)]])
    bits, status = gemm_bits(x[:, np.newaxis], one, datapath, engine="exact")
    return bits[:, 0], status[:, 0]


@pytest.mark.parametrize(("acc", "source", "target"), EVERY_CONVERSION)
def test_every_conversion_equals_testfloats_and_every_tie_goes_to_even(
    acc, source, target, tmp_path
):
    datapath, halfway = conversion(acc, source, target), ties(conversion(acc, source, target))
    x, expected, flags = read_vectors(f"{source}_to_{target}_near_even").T
    assert len(x) >= 600
    bits, status = converted(datapath, np.concatenate([x, halfway]), tmp_path)
    part = slice(len(x))
    assert wrong_cases(bits[part], status[part], expected, flags, FORMATS[target]).size == 0
    for ours, fractions in zip((bits, status), exactly(datapath, halfway), strict=True):
        np.testing.assert_array_equal(ours[len(x) :], fractions)


def ties_away_from_a_register(patch: pytest.MonkeyPatch) -> None:
    original = FloatRounder._round

    def faulty(self, m, fields):
        field, sign = fields["field"], fields["sign"]
        place = len(field) - 2 - self._datapath.out.fraction_bits
        guard, rest, odd = field[place], field[:place], field[place + 1]
        # Of a negative register the field holds one unit less, in ones.
        tie = Mux(sign, ~guard & rest.all(), guard & ~rest.any())
        fields = original(self, m, dict(fields))
        return fields | {"packed": fields["packed"] + (tie & ~odd)}

    patch.setattr(FloatRounder, "_round", faulty)


def ties_away_from_a_sum(patch: pytest.MonkeyPatch) -> None:
    original = FloatSumRounder._rounded

    def faulty(self, m, fields):
        guard, odd, sticky = fields["kept"][0], fields["kept"][1], fields["sticky"]
        fields = original(self, m, dict(fields))
        return fields | {"packed": fields["packed"] + (guard & ~sticky & ~odd)}

    patch.setattr(FloatSumRounder, "_rounded", faulty)


@pytest.mark.parametrize(
    ("fault", "acc"),
    [(ties_away_from_a_register, "exact"), (ties_away_from_a_sum, "fma")],
    ids=["register", "sum"],
)
def test_ties_away_from_zero_are_found(fault, acc, tmp_path, monkeypatch):
    fault(monkeypatch)
    datapath = conversion(acc, "f32", "bf16")
    halfway = ties(datapath)
    bits, status = converted(datapath, halfway, tmp_path)
    expected, expected_status = exactly(datapath, halfway)
    np.testing.assert_array_equal(status, expected_status)
    # Those above an even pattern are wrong.
    assert 0.4 < np.mean(bits != expected) < 0.6


def test_ties_up_in_the_accumulator_are_found(tmp_path, monkeypatch):
    original = float_accumulator.rounded

    def faulty(m, total):
        tail, inexact = original(m, total)
        wrong = Signal(name="rounded_up")
        m.d.comb += wrong.eq(Mux(total.sticky, tail, total.guard | total.tail))
        return wrong, inexact

    for module in (float_accumulator, round_float_sum):
        monkeypatch.setattr(module, "rounded", faulty)
    cases = read_vectors("f16_mulAdd_near_even")[::7]
    bits, status = added(addition("fma", "f16"), cases, tmp_path, "icarus")
    assert wrong_cases(bits, status, *cases.T[3:], "fp16").size > 0
