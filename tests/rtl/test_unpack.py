"""Unpackers: every pattern becomes a record that means the same number."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from hwgen.formats import BlockScaled, Format
from hwgen.formats.base import Kind
from hwgen.rtl.unpack import TOKEN_SIDE, Unpacker
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.timing import unpack_stages
from sim.pysim import pipeline

WIDE = "window:msb=400,lsb=-400,ovf=1"  # nothing can exceed it, so nothing is normalised
NARROW = "window:msb=-6,lsb=-9,ovf=1,round=even"  # operands are normalised, bits are dropped
FORMATS = ["e4m3", "e5m2", "float:3,2", "float:2,1", "float:2,5", "int4", "uint4", "fixed:2,5"]
BLOCKS = ["mxfp4", "nvfp4", "mxfp6", "mxfp6:element=e2m3", "mxfp8", "mxfp8:element=e5m2", "mxint8"]
POSITS = ["posit8", "posit:8,0", "posit:6,1", "posit:3,0", "posit3", "posit:7,4", "posit16"]
WIDER_POSITS = ["posit32", "posit:32,0", "posit:21,3"]
WIDER = ["fp16", "bf16", "float:6,3", "tf32", "fp32", "fp64", "int16", "uint16"]


def patterns(fmt: Format) -> list[int]:
    """Every pattern of a narrow format; corners and random ones of a wide format."""
    if fmt.width <= 12:
        return list(range(1 << fmt.width))
    rng = random.Random(1)
    ones = (1 << fmt.width) - 1
    corners = [0, 1, 2, 3, ones, ones >> 1, 1 << (fmt.width - 1), 3 << (fmt.width - 2)]
    corners += [1 << place for place in range(fmt.width)]
    corners += [ones ^ (1 << place) for place in range(fmt.width)]
    if isinstance(fmt, BlockScaled):  # every element with some scales
        scales = [0, 1, 0x7E, 0x7F, 0xFE, 0xFF]
        elements = range(1 << fmt.element.width)
        corners += [scale << fmt.element.width | bits for scale in scales for bits in elements]
    return corners + [rng.getrandbits(fmt.width) for _ in range(400)]


def unpacked(
    datapath: Datapath, side: str, stimulus: list[tuple[int, int]]
) -> list[dict[str, int]]:
    """Feed (pattern, token) rows; return the fields of each one's record, and ``last``."""
    dut = Unpacker(datapath, side)
    members = list(dut.operand.shape().members)
    outputs = [dut.operand[name] for name in members]
    if side == TOKEN_SIDE:
        members.append("last")
        outputs.append(dut.last)
    rows = pipeline(
        dut,
        stimulus,
        inputs=[dut.bits, dut.token],
        outputs=outputs,
        latency=unpack_stages(align(datapath)),
    )
    return [dict(zip(members, row, strict=True)) for row in rows]


def trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def check(datapath: Datapath, side: str) -> None:
    """Compare each record with the format's decoding, as records.operand_layout defines it."""
    spec = align(datapath)
    operand = getattr(spec, side)
    fmt = getattr(datapath, side)
    bits = patterns(fmt)
    for pattern, record in zip(bits, unpacked(datapath, side, [(b, 1) for b in bits]), strict=True):
        number = fmt.decode(pattern)
        finite = number.kind is Kind.FINITE
        assert record.get("special", 0) == (not finite), hex(pattern)
        significand = record["significand"]
        if finite:
            sign = -1 if record.get("sign", 0) else 1
            steps = record.get("exponent", operand.steps[0])
            exponent = steps * operand.step - operand.offset + operand.base
            assert sign * significand * Fraction(2) ** exponent == number.fraction, hex(pattern)
        else:
            assert significand == 0, hex(pattern)
            assert record["sign"] == number.sign, hex(pattern)
        if "zero" in record:
            zero_or_nan = number.kind is Kind.NAN or (finite and not significand)
            assert record["zero"] == zero_or_nan, hex(pattern)
        if significand:
            if "trailing" in record:
                assert record["trailing"] == trailing_zeros(significand), hex(pattern)
            if operand.normalised:
                moved = significand.bit_length() - operand.precision
                assert 0 <= moved <= operand.places, hex(pattern)


@pytest.mark.parametrize("normalised", [False, True], ids=["as_it_is", "normalised"])
@pytest.mark.parametrize("side", "ab")
@pytest.mark.parametrize("fmt", [*FORMATS, *WIDER, *BLOCKS])
def test_a_record_means_its_patterns_number(fmt, side, normalised):
    # The other side is a float, so that the array takes sign and magnitude.
    formats = {"a": "e5m2", "b": "e5m2"} | {side: fmt}
    # In a window at the low end of the products even those of subnormals are out of range.
    lsb = Datapath.parse(**formats, acc="exact").window.lsb + 1
    acc = f"window:msb={lsb + 1},lsb={lsb},ovf=1" if normalised else WIDE
    datapath = Datapath.parse(**formats, acc=acc, out="raw")
    assert getattr(align(datapath), side).normalised == normalised
    check(datapath, side)


@pytest.mark.parametrize("side", "ab")
@pytest.mark.parametrize("fmt", [*POSITS, *WIDER_POSITS])
@pytest.mark.parametrize("acc", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_posits_record_is_normalised_and_means_its_number(fmt, acc, side):
    datapath = Datapath.parse(**({"a": "e5m2", "b": "e5m2"} | {side: fmt}), acc=acc)
    assert getattr(align(datapath), side).normalised
    check(datapath, side)


@pytest.mark.parametrize("side", "ab")
@pytest.mark.parametrize("fmt", ["posit8", "posit:6,1", "posit16", "nvfp4"])
def test_operands_of_like_arrays_mean_their_numbers(fmt, side):
    check(Datapath.parse(a=fmt, acc="exact", out="fp32"), side)


@pytest.mark.parametrize("side", "ab")
@pytest.mark.parametrize("fmt", ["e4m3", "int4"])
def test_every_pattern_in_a_window_that_only_drops(fmt, side):
    formats = {"a": "float:5,1", "b": "float:5,1"} | {side: fmt}
    check(Datapath.parse(**formats, acc="window:msb=40,lsb=-3,ovf=1"), side)


@pytest.mark.parametrize("side", "ab")
@pytest.mark.parametrize("fmt", ["int4", "uint4", "fixed:2,3", "uint1", "int8"])
def test_operands_of_fixed_point_arrays_pass_unchanged(fmt, side):
    datapath = Datapath.parse(a=fmt, acc="window:msb=9,lsb=-6,ovf=1", out="raw")
    parsed = getattr(datapath, side)
    bits = list(range(1 << parsed.width))
    records = unpacked(datapath, side, [(pattern, 1) for pattern in bits])
    for pattern, record in zip(bits, records, strict=True):
        value = parsed.decode(pattern).fraction / Fraction(2) ** parsed.min_exponent
        assert record["value"] == value


@pytest.mark.parametrize("acc", [WIDE, NARROW], ids=["as_it_is", "normalised"])
@pytest.mark.parametrize(("a", "b"), [("e5m2", "e5m2"), ("int4", "e4m3"), ("posit8", "mxfp4")])
def test_without_an_operand_the_record_is_a_zero(a, b, acc):
    datapath = Datapath.parse(a=a, b=b, acc=acc, out="raw")
    for side in "ab":
        fmt = getattr(datapath, side)
        for record in unpacked(datapath, side, [(bits, 0) for bits in range(1 << fmt.width)]):
            assert record.pop("zero", 1) == 1
            assert not any(record.values())


def test_the_end_of_a_block_travels_with_its_operand():
    for acc in (WIDE, NARROW):
        datapath = Datapath.parse(a="e5m2", acc=acc, out="raw")
        tokens = [0b01, 0b11, 0b00, 0b10, 0b01, 0b11, 0b11]
        records = unpacked(datapath, "a", [(0x3C, token) for token in tokens])
        assert [record["last"] for record in records] == [token >> 1 for token in tokens]
        assert [bool(record["significand"]) for record in records] == [
            bool(token & 1) for token in tokens
        ]


def test_both_sides_take_equally_long_where_one_is_normalised():
    datapath = Datapath.parse(a="fp16", b="int4", acc="window:msb=9,lsb=0,ovf=1")
    assert align(datapath).a.normalised != align(datapath).b.normalised
    assert unpack_stages(align(datapath)) == 1
    for side in "ab":
        check(datapath, side)
