"""Blocks and beats: packing is reversible, tiling adds nothing and loses nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwgen.errors import FormatError, SpecError
from hwgen.model import (
    beat_bytes,
    gemm_bits,
    operand_beats,
    pack_beats,
    tile,
    unpack_beats,
    untile,
)
from hwgen.model.blocks import beats_of, terms_of
from hwgen.spec.datapath import Datapath


def test_element_0_lies_in_the_low_bits_and_the_rest_follow_densely():
    assert pack_beats(np.array([[0x1, 0x2, 0x5], [0x7, 0x0, 0x7]]), 3) == [
        0b101_010_001,
        0b111_000_111,
    ]


def test_elements_wider_than_a_word_are_packed_lowest_word_first():
    elements = np.array([[[5, 1], [0, 2]]], dtype=np.uint64)
    assert pack_beats(elements, 66) == [5 | 1 << 64 | 2 << (66 + 64)]


@pytest.mark.parametrize("width", [1, 3, 8, 13, 16, 45, 63, 64, 65, 126, 128, 130])
@pytest.mark.parametrize("lanes", [1, 5, 8])
def test_unpacking_reverses_packing(width, lanes):
    rng = np.random.default_rng(width)
    words = -(-width // 64)
    elements = rng.integers(0, 2**64, (4, lanes, words), dtype=np.uint64)
    elements[..., -1] >>= np.uint64(64 * words - width)
    if words == 1:
        elements = elements[..., 0]
    beats = pack_beats(elements, width)
    assert max(beats).bit_length() <= 8 * beat_bytes(lanes, width)
    np.testing.assert_array_equal(unpack_beats(beats, lanes, width), elements)


def test_a_beat_of_several_terms_holds_those_of_lane_0_first_and_zeros_at_the_end():
    a = np.array([[1, 2, 3], [4, 5, 6]])
    b = np.array([[7], [8], [9]])
    a_beats, b_beats = operand_beats(a, b, 2)
    assert a_beats.tolist() == [[1, 2, 4, 5], [3, 0, 6, 0]]
    assert b_beats.tolist() == [[7, 8], [9, 0]]
    assert terms_of(a_beats, 2).T.tolist() == [[1, 2, 3, 0], [4, 5, 6, 0]]


@pytest.mark.parametrize("dot", [1, 2, 3, 16])
@pytest.mark.parametrize("terms", [1, 5, 32])
def test_terms_of_beats_are_those_that_were_put_in(terms, dot):
    b = np.arange(1, 4 * terms + 1).reshape(terms, 4)
    again = terms_of(beats_of(b, dot), dot)
    assert len(again) == -(-terms // dot) * dot
    np.testing.assert_array_equal(again[:terms], b)
    assert not again[terms:].any()


def test_padding_bits_are_ignored_when_unpacking():
    assert unpack_beats([0b1111_1_001], 1, 3).tolist() == [[1]]


@pytest.mark.parametrize(("lanes", "width", "expected"), [(1, 1, 1), (8, 3, 3), (5, 45, 29)])
def test_beats_are_padded_to_bytes(lanes, width, expected):
    assert beat_bytes(lanes, width) == expected


def test_an_element_wider_than_its_width_is_refused():
    with pytest.raises(FormatError, match="an element needs more than its 3 bits"):
        pack_beats(np.array([[8]]), 3)


@pytest.mark.parametrize(
    ("shape", "width", "message"),
    [
        ((3,), 8, "elements of 8 bits have shape (3,); it must be (beats, lanes)"),
        ((3, 2), 65, "elements of 65 bits have shape (3, 2); it must be (beats, lanes, 2)"),
        ((3, 2, 3), 65, "elements of 65 bits have shape (3, 2, 3)"),
    ],
)
def test_elements_of_the_wrong_shape_are_refused(shape, width, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        pack_beats(np.zeros(shape, dtype=np.uint64), width)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 5), (9, 2, 11), (8, 1, 10), (3, 20, 4)])
@pytest.mark.parametrize("out", ["fp32", "raw"])
def test_a_tiled_product_equals_the_whole(shape, out):
    m, k, n = shape
    rng = np.random.default_rng(m)
    datapath = Datapath.parse(a="bf16", acc="window:msb=9,lsb=-60,ovf=5", out=out)
    a = datapath.a.from_float(rng.standard_normal((m, k)))
    b = datapath.b.from_float(rng.standard_normal((k, n)))
    whole, whole_status = gemm_bits(a, b, datapath)
    results = [gemm_bits(block.a, block.b, datapath) for block in tile(a, b, 4, 5)]
    np.testing.assert_array_equal(untile([bits for bits, _ in results], m, n), whole)
    np.testing.assert_array_equal(untile([status for _, status in results], m, n), whole_status)


def test_blocks_come_in_row_major_order_padded_with_zeros():
    a, b = np.arange(1, 7).reshape(3, 2), np.arange(1, 7).reshape(2, 3)
    blocks = list(tile(a, b, 2, 2))
    assert [(block.row, block.col) for block in blocks] == [(0, 0), (0, 2), (2, 0), (2, 2)]
    assert blocks[3].a.tolist() == [[5, 6], [0, 0]]
    assert blocks[3].b.tolist() == [[3, 0], [6, 0]]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 3), (2, 3), "a has shape (2, 3) and b has shape (2, 3); the columns of a"),
        ((2, 0), (0, 3), "a has shape (2, 0) and b has shape (0, 3); every dimension must be"),
        ((2,), (2, 1), "a has shape (2,) and b has shape (2, 1); both must be matrices"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_once(a, b, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        tile(np.zeros(a, int), np.zeros(b, int), 4, 4)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_wrong_number_of_results_is_refused(count):
    with pytest.raises(SpecError, match="block results" if count == 0 else f"there are {count} "):
        untile([np.zeros((4, 4))] * count, 5, 5)
