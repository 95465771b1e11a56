"""Alignment constants, proven by every pair of operands of small formats."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from hwgen.formats import Format
from hwgen.formats.base import Kind
from hwgen.formats.ieee import Float
from hwgen.spec.accumulator import Overflow, Rounding
from hwgen.spec.alignment import Alignment, align
from hwgen.spec.datapath import Datapath
from hwgen.spec.operands import Operand

PAIRS = [
    ("e4m3", "e4m3"),
    ("e5m2", "e5m2"),
    ("e4m3", "e5m2"),
    ("int4", "e4m3"),
    ("e5m2", "uint4"),
    ("float:2,1", "float:4,3"),
    ("float:3,2", "float:3,2"),
    ("fixed:2,3", "float:5,1"),
    ("float:2,5", "uint1"),
]
FIXED_PAIRS = [("int4", "int4"), ("uint4", "uint4"), ("int5", "uint3"), ("fixed:2,3", "ufixed:1,4")]
OPTIONS = [
    f"round={rounding.value},overflow={overflow.value}"
    for rounding, overflow in itertools.product(Rounding, Overflow)
]


@dataclass(frozen=True)
class Record:
    """Finite operands as the unpackers of an alignment hand them out (see rtl/unpack.py)."""

    significand: np.ndarray
    steps: np.ndarray
    value: list[Fraction]


def records(fmt: Format, operand: Operand) -> Record:
    """Unpack all finite patterns of a small format, from their exact decoding."""
    rows = []
    for bits in range(1 << fmt.width):
        number = fmt.decode(bits)
        if number.kind is not Kind.FINITE:
            continue
        significand, exponent = number.significand, number.exponent - operand.base
        if isinstance(fmt, Float):
            # The circuit knows a significand's place from the exponent field alone.
            field = max(bits >> fmt.fraction_bits & ((1 << fmt.exponent_bits) - 1), 1)
            significand <<= exponent - (field - 1) if not operand.normalised else 0
            exponent = field - 1 if not operand.normalised else exponent
        if operand.normalised:
            room = operand.precision - significand.bit_length() if significand else 0
            significand <<= room
            exponent -= room
        steps, places = divmod(exponent + operand.offset, operand.step)
        rows.append((significand << places, steps, abs(number.fraction)))
    columns = list(zip(*rows, strict=True))
    return Record(np.array(columns[0]), np.array(columns[1]), list(columns[2]))


@dataclass(frozen=True)
class Products:
    """The distinct nonzero products of two formats, as the array sees them."""

    moved: list[int]  # products of the significands that leave the edge
    shift: list[int]  # in steps
    value: list[Fraction]  # magnitudes, in units of the window's lowest bit

    @classmethod
    def of(cls, datapath: Datapath, alignment: Alignment) -> Products:
        a, b = records(datapath.a, alignment.a), records(datapath.b, alignment.b)
        moved = np.multiply.outer(a.significand, b.significand).reshape(-1).tolist()
        shift = np.add.outer(a.steps, b.steps).reshape(-1).tolist()
        found = [
            (m, s, m * Fraction(2) ** (alignment.step * s - alignment.below))
            for m, s in sorted({*zip(moved, shift, strict=True)})
            if m
        ]
        return cls(*(list(column) for column in zip(*found, strict=True)))

    def each(self) -> list[tuple[int, int, Fraction]]:
        return list(zip(self.moved, self.shift, self.value, strict=True))

    def scaled(self) -> list[Fraction]:
        """Magnitudes in units of the window's lowest bit."""
        return self.value


def weights(datapath: Datapath) -> tuple[int, int]:
    """Weights of the lowest bit and of the highest bit that a product can have."""
    lowest = datapath.a.min_exponent + datapath.b.min_exponent
    largest = datapath.a.max_finite * datapath.b.max_finite / Fraction(2) ** lowest
    return lowest, lowest + int(largest).bit_length() - 1


def windows(a: str, b: str, *, step: int = 1) -> list[tuple[int, int]]:
    """(msb, lsb) of windows that lie below, in, across and above the products' range."""
    low, high = weights(Datapath.parse(a=a, b=b, acc="exact"))
    return [
        (msb, msb - length)
        for msb in range(low - 3, high + 4, step)
        for length in (1, 4, high - low)
        if length
    ]


def float_datapath(a: str, b: str, msb: int, lsb: int, options: str = "") -> Datapath:
    return Datapath.parse(a=a, b=b, acc=f"window:msb={msb},lsb={lsb},ovf=1{options}", out="raw")


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_shift_and_top_bits_tell_exactly_the_products_out_of_range(pair):
    for msb, lsb in windows(*pair, step=3):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        for moved, shift, value in Products.of(datapath, spec).each():
            doubt = spec.doubtful_shifts.get(shift)
            told = shift >= spec.certain_shift or (
                doubt is not None and moved >> max(0, doubt) != 0
            )
            assert told == (value >= 1 << spec.window.summand_bits), (datapath, moved, shift)
            assert spec.can_exceed or not told, datapath


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_products_and_shifts_lie_in_the_stated_ranges(pair):
    for msb, lsb in windows(*pair, step=3):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        products = Products.of(datapath, spec)
        assert {*products.shift} <= {*spec.shifts}
        assert max(products.moved) < 1 << spec.product_bits <= 1 << 36
        assert max(products.value) <= spec.largest_product * Fraction(2) ** spec.max_distance
        drops = any(value.denominator > 1 for value in products.value)
        assert spec.can_drop or not drops, datapath


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_moved_significands_and_shifts_mean_the_products_of_the_formats_numbers(pair):
    for msb, lsb in windows(*pair, step=15):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        a, b = records(datapath.a, spec.a), records(datapath.b, spec.b)
        unit = Fraction(2) ** lsb
        exact = {x * y / unit for x, y in itertools.product({*a.value}, {*b.value}) if x * y}
        assert {*Products.of(datapath, spec).value} == exact, datapath


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_rotated_field_holds_every_bit_that_counts(pair, options):
    for msb, lsb in windows(*pair, step=11):
        datapath = float_datapath(*pair, msb, lsb, f",{options}")
        spec = align(datapath)
        filled = {shift: filled_places(spec, shift) for shift in spec.shifts}
        repeat = sum(1 << spec.field_bits * i for i in range(1 + spec.groups.stop))
        for moved, shift, value in Products.of(datapath, spec).each():
            if value >= 1 << spec.window.summand_bits and not spec.wraps:
                continue  # marked as out of range, or clamped
            turn = spec.step * shift % spec.field_bits
            rotated = (moved << turn | moved >> (spec.field_bits - turn)) % (1 << spec.field_bits)
            window = rotated * repeat & filled[shift]
            kept = window >> spec.below
            assert kept == int(value) % (1 << spec.magnitude_bits), (datapath, moved, shift)
            if spec.rounds and spec.window.rounding is Rounding.EVEN:
                guard = int(value * 2) & 1
                assert window >> (spec.below - 1) & 1 == guard, (datapath, moved, shift)


def filled_places(spec: Alignment, shift: int) -> int:
    """Mask of the field's places that take bits of a product with this shift."""
    step = (1 << spec.step) - 1
    mask = sum(step << spec.step * g for g in spec.groups if shift in spec.filling_shifts(g))
    return mask & ((1 << spec.below + spec.magnitude_bits) - 1)


def largest_summand(datapath: Datapath, values: list[Fraction]) -> int:
    """Largest magnitude added to the register, by the definition (wrapped summands reduced)."""
    window = datapath.window
    limit = Fraction(2) ** window.summand_bits
    largest = 0
    for value in values:
        rounded = {
            Rounding.ZERO: int(value),
            Rounding.ODD: int(value) | (value.denominator > 1),
            Rounding.EVEN: round(value),
            Rounding.STOCHASTIC: math.ceil(value),
        }[window.rounding]
        if value >= limit:
            rounded = {
                Overflow.NAN: 0,
                Overflow.SATURATE: (1 << window.summand_bits) - 1,
                Overflow.WRAP: rounded % (1 << window.width),
            }[window.overflow]
        largest = max(largest, rounded)
    return largest


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("pair", [*PAIRS, *FIXED_PAIRS], ids="-".join)
def test_the_sum_has_a_bit_for_every_case_and_none_to_spare_but_two(pair, options):
    for msb, lsb in windows(*pair, step=7):
        datapath = float_datapath(*pair, msb, lsb, f",{options}")
        spec = align(datapath)
        products = fixed_magnitudes(datapath) if spec.a.twos_complement else None
        values = products or Products.of(datapath, spec).scaled()
        largest = largest_summand(datapath, values)
        lowest = -(1 << (spec.window.width - 1)) - largest
        needed = (-lowest - 1).bit_length() + 1
        assert needed <= spec.sum_bits <= max(needed + 2, spec.window.width + 2), datapath


def fixed_magnitudes(datapath: Datapath) -> list[Fraction]:
    unit = Fraction(2) ** datapath.window.lsb
    numbers = [
        {abs(fmt.decode(bits).fraction) for bits in range(1 << fmt.width)}
        for fmt in (datapath.a, datapath.b)
    ]
    return [a * b / unit for a, b in itertools.product(*numbers) if a * b]


@pytest.mark.parametrize("pair", FIXED_PAIRS, ids="-".join)
def test_fixed_point_products_are_bounded_and_placed(pair):
    for msb, lsb in windows(*pair):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        values = fixed_magnitudes(datapath)
        assert spec.min_distance == spec.max_distance
        assert max(values) == spec.largest_product * Fraction(2) ** spec.max_distance
        assert spec.can_exceed == (max(values) >= 1 << spec.window.summand_bits)
        assert spec.can_drop or all(value.denominator == 1 for value in values)
        most = (1 << (spec.product_bits - 1)) - 1
        assert spec.largest_product <= most


@pytest.mark.parametrize(
    ("a", "b", "msb", "normalised"),
    [
        # A window wide enough for all products of a subnormal: nothing to normalise.
        ("bf16", "bf16", 5, (False, False)),
        ("fp16", "fp16", 5, (False, False)),
        # e4m3's largest times its subnormals reaches 448 * 7/512 = 6.1; its range test is at
        # 2**(msb+1).
        ("e4m3", "e4m3", 5, (False, False)),
        ("e4m3", "e4m3", -13, (True, True)),
        # An integer has leading zeros at every size; a float's own subnormals do not matter here.
        ("int4", "bf16", 5, (True, False)),
    ],
)
def test_only_operands_that_could_deceive_the_test_are_normalised(a, b, msb, normalised):
    spec = align(float_datapath(a, b, msb, msb - 8))
    assert (spec.a.normalised, spec.b.normalised) == normalised


def test_an_exact_window_neither_drops_nor_exceeds():
    for name in ("e4m3", "e5m2", "fp16", "bf16", "fp32", "float:3,2"):
        spec = align(Datapath.parse(a=name, acc="exact:terms=4096"))
        assert not (spec.can_drop or spec.can_exceed or spec.rounds), name
        assert not (spec.a.normalised or spec.b.normalised), name


def test_the_offset_rides_on_a_side_whose_exponent_is_a_field():
    for a, b in (("int4", "bf16"), ("bf16", "int4")):
        spec = align(float_datapath(a, b, 5, -3))  # the integer is normalised
        assert {len(spec.a.steps) > 1, len(spec.b.steps) > 1} == {True, False}
        constant = spec.a if len(spec.a.steps) == 1 else spec.b
        assert [*constant.steps] == [0]


@pytest.mark.parametrize(
    ("a", "acc", "step", "shifts"),
    [
        ("bf16", "window:msb=10,lsb=-29,ovf=8", 8, 63),
        # All of a small format's exponents fit one multiplier: its numbers are fixed point.
        ("e4m3", "exact", 16, 1),
        ("e2m1", "exact", 16, 1),
        ("fp32", "exact", 8, 63),
    ],
)
def test_the_edge_takes_places_off_the_shift_while_the_multiplier_has_room(a, acc, step, shifts):
    spec = align(Datapath.parse(a=a, acc=acc))
    assert (spec.step, len(spec.shifts)) == (step, shifts)
    limbs = -(-spec.a.precision // 18)
    assert spec.a.significand_bits <= 18 * limbs
