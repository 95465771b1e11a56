"""Operands of posits and block-scaled formats: the range test holds for every pair of them."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.formats import BlockScaled, Format, Kind, Scale, parse_format
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.operands import Operand, float_operand, normalised

PAIRS = [
    ("posit8", "posit8"),
    ("posit:8,0", "e4m3"),
    ("posit:7,1", "int4"),
    ("mxfp4", "mxfp4"),
    ("mxfp8", "mxfp4"),
    ("mxfp8:element=e5m2", "posit8"),
    ("mxint8", "mxfp6"),
    ("mxint8", "e3m2"),
    ("nvfp4", "nvfp4"),
    ("nvfp4", "mxint8"),
]


def numbers(fmt: Format) -> np.ndarray:
    """(n, 2) significand and exponent of every finite nonzero number; of blocks some scales'."""
    patterns = range(1 << fmt.width)
    if isinstance(fmt, BlockScaled):
        middle = 127 if fmt.scale is Scale.E8M0 else 0x38
        scales = [0, *range(middle - 8, middle + 9, 4), 0x7E]
        elements = range(1 << fmt.element.width)
        patterns = [scale << fmt.element.width | bits for scale in scales for bits in elements]
    decoded = (fmt.decode(bits) for bits in patterns)
    found = {(n.significand, n.exponent) for n in decoded if n.kind is Kind.FINITE}
    return np.array(sorted(pair for pair in found if pair[0]))


def leaving(fmt: Format, operand: Operand) -> tuple[np.ndarray, np.ndarray]:
    """Significands and exponents in steps as they leave the edge (see :class:`Operand`)."""
    significand, exponent = numbers(fmt).T
    if operand.normalised:
        room = operand.precision - np.frexp(significand)[1]
        significand, exponent = significand << room, exponent - room
    place = exponent - operand.base
    assert place.min() >= 0
    assert place.max() <= operand.max_exponent
    places = place + operand.offset
    return significand << places % operand.step, places // operand.step


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_range_test_tells_exactly_the_products_out_of_range(pair):
    a, b = (parse_format(name) for name in pair)
    exact = Datapath.parse(a=pair[0], b=pair[1], acc="exact", out="raw").window
    for msb in range(max(exact.lsb, -30), min(exact.msb, 30) + 3, 3):
        for lsb in (msb - 2, msb - 30):
            acc = f"window:msb={msb},lsb={lsb},ovf=1"
            spec = align(Datapath.parse(a=pair[0], b=pair[1], acc=acc, out="raw"))
            (left, left_steps), (right, right_steps) = leaving(a, spec.a), leaving(b, spec.b)
            product = np.multiply.outer(left, right)
            shift = np.add.outer(left_steps, right_steps)
            told = shift >= spec.certain_shift
            for doubtful, place in spec.doubtful_shifts.items():
                told |= (shift == doubtful) & (product >= 1 << max(0, place))
            origin = spec.a.base + spec.b.base - spec.a.offset - spec.b.offset
            value = np.ldexp(product.astype(np.float64), spec.step * shift + origin)  # exact
            truth = value >= 2.0 ** (msb + 1)
            assert spec.can_exceed or not truth.any(), acc
            if spec.can_exceed:
                np.testing.assert_array_equal(told, truth, err_msg=acc)


@pytest.mark.parametrize("name", ["posit8", "posit16", "posit:9,0", "posit:4,3"])
def test_a_posits_operand_is_normalised_already(name):
    operand = float_operand(parse_format(name))
    assert operand.normalised
    assert normalised(operand) == operand


@pytest.mark.parametrize(
    ("name", "precision", "max_exponent", "base"),
    [
        ("posit8", 4, 96 // 2, -24 - 3),
        ("mxfp4", 2, 2 + 254, -1 - 127),
        ("mxint8", 8, 254, -6 - 127),
        ("nvfp4", 6, 2 + 14, -1 - 9),
        ("mxfp8:element=e5m2", 3, 29 + 254, -16 - 127),
    ],
)
def test_operands_have_the_sizes_of_element_and_scale(name, precision, max_exponent, base):
    operand = float_operand(parse_format(name))
    assert (operand.precision, operand.max_exponent, operand.base) == (
        precision,
        max_exponent,
        base,
    )
