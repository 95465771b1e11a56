"""Alignment constants, proven by every pair of operands of small formats."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from hwgen.formats import Format
from hwgen.formats.base import Kind
from hwgen.spec.accumulator import Overflow, Rounding
from hwgen.spec.alignment import Alignment, Operand, align
from hwgen.spec.datapath import Datapath

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
    exponent: np.ndarray
    negative: np.ndarray


def records(fmt: Format, operand: Operand) -> Record:
    """Unpack all finite patterns of a small format, from their exact decoding."""
    rows = []
    for bits in range(1 << fmt.width):
        number = fmt.decode(bits)
        if number.kind is not Kind.FINITE:
            continue
        significand = number.significand
        exponent = number.exponent - operand.base
        if operand.normalised:
            room = operand.significand_bits - significand.bit_length() if significand else 0
            significand <<= room
            exponent -= room
        rows.append((significand, exponent, number.sign))
    columns = np.array(rows).T
    return Record(columns[0], columns[1], columns[2].astype(bool))


@dataclass(frozen=True)
class Products:
    """All products of two formats, as the array sees them."""

    product: np.ndarray  # significands multiplied
    distance: np.ndarray  # of the product's lowest bit above the window's
    nonzero: np.ndarray
    negative: np.ndarray

    @classmethod
    def of(cls, datapath: Datapath, alignment: Alignment) -> Products:
        a, b = records(datapath.a, alignment.a), records(datapath.b, alignment.b)
        product = np.multiply.outer(a.significand, b.significand).reshape(-1)
        base = alignment.a.base + alignment.b.base - datapath.window.lsb
        return cls(
            product=product,
            distance=np.add.outer(a.exponent, b.exponent).reshape(-1) + base,
            nonzero=product != 0,
            negative=np.logical_xor.outer(a.negative, b.negative).reshape(-1),
        )

    def scaled(self) -> list[Fraction]:
        """Magnitudes of the distinct nonzero products, in units of the window's lowest bit."""
        pairs = {*zip(self.product.tolist(), self.distance.tolist(), strict=True)}
        return [product * Fraction(2) ** distance for product, distance in pairs if product]


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
def test_the_exponent_test_tells_exactly_the_products_out_of_range(pair):
    for msb, lsb in windows(*pair):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        products = Products.of(datapath, spec)
        top = products.product >> (spec.product_bits - 1) != 0
        by_exponent = products.nonzero & (
            (products.distance >= spec.range_distance)
            | ((products.distance == spec.range_distance - 1) & top)
        )
        # |product| * 2**distance >= 2**summand_bits, in integers.
        room = np.clip(spec.window.summand_bits - products.distance, 0, 62)
        by_value = products.nonzero & (products.product >> room != 0)
        assert np.array_equal(by_exponent, by_value), datapath
        assert spec.can_exceed or not by_value.any(), datapath


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_distances_lie_in_the_stated_range(pair):
    for msb, lsb in windows(*pair, step=3):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        products = Products.of(datapath, spec)
        distance = products.distance[products.nonzero]
        assert spec.min_distance <= distance.min()
        assert distance.max() <= spec.max_distance
        assert products.product.max() <= spec.largest_product < 1 << spec.product_bits


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_can_vanish_or_drop_is_foreseen(pair):
    for msb, lsb in windows(*pair, step=2):
        datapath = float_datapath(*pair, msb, lsb)
        spec = align(datapath)
        products = Products.of(datapath, spec)
        scaled = products.scaled()
        assert spec.can_drop or all(value.denominator == 1 for value in scaled), datapath
        shift = products.distance + spec.below
        gone = products.nonzero & (shift < 0)
        assert spec.can_vanish or not gone.any(), datapath
        # What is shifted below the circuit's field would round to zero.
        lost = products.product[gone] * 2.0 ** products.distance[gone]
        assert (lost < 0.5).all(), datapath


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_no_product_that_counts_needs_a_longer_shift_than_the_circuit_has(pair, options):
    for msb, lsb in windows(*pair, step=5):
        datapath = float_datapath(*pair, msb, lsb, f",{options}")
        spec = align(datapath)
        products = Products.of(datapath, spec)
        too_far = products.nonzero & (products.distance + spec.below > spec.max_shift)
        distance = products.distance[too_far]
        if spec.wraps:  # only what lies above the register altogether
            assert (distance >= spec.window.width).all(), datapath
        else:  # only what is out of range
            room = np.clip(spec.window.summand_bits - distance, 0, 62)
            assert (products.product[too_far] >> room != 0).all(), datapath


def largest_summand(datapath: Datapath, values: list[Fraction]) -> int:
    """Largest magnitude added to the register, by the definition (wrapped summands reduced)."""
    window = datapath.window
    limit = Fraction(2) ** window.summand_bits
    largest = 0
    for value in values:
        rounded = int(value) if window.rounding is Rounding.ZERO else round(value)
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
        assert not spec.can_vanish or spec.below >= spec.product_bits


@pytest.mark.parametrize(
    ("a", "b", "msb", "normalised"),
    [
        # A window wide enough for all products of a subnormal: nothing to normalise.
        ("bf16", "bf16", 5, (False, False)),
        ("fp16", "fp16", 5, (False, False)),
        # e4m3's largest times its subnormals reaches 448 * 7/512 = 6.1; its range test is at
        # 2**(msb+1).
        ("e4m3", "e4m3", 5, (False, False)),
        ("e4m3", "e4m3", -3, (True, True)),
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
        assert not (spec.can_drop or spec.can_vanish or spec.rounds), name
        assert not (spec.a.normalised or spec.b.normalised), name


def test_the_offset_rides_on_a_side_that_has_an_exponent():
    assert (
        align(float_datapath("int4", "bf16", 5, -3)).bias_side == "a"
    )  # normalised, so it has one
    wide = align(float_datapath("int4", "bf16", 140, -3))
    assert not wide.a.max_exponent
    assert wide.bias_side == "b"
