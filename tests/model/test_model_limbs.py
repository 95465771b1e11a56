"""Numbers of 32-bit words against Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.model import limbs

EDGES = [0, 1, 2, 3, 2**31, 2**32 - 1, 2**32, 2**52, 2**53 - 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1]


def to_words(values: list[int], words: int) -> np.ndarray:
    rows = [[value >> (32 * i) & 0xFFFF_FFFF for value in values] for i in range(words)]
    return np.array(rows, dtype=np.uint64)


def to_signed_words(values: list[int], words: int) -> np.ndarray:
    return np.concatenate([limbs.constant(value, words) for value in values], axis=1)


def to_integers(words) -> list[int]:
    return [
        sum(int(row[i]) << (32 * j) for j, row in enumerate(words)) for i in range(len(words[0]))
    ]


def random_integers(rng: np.random.Generator, bits: int, count: int) -> list[int]:
    """Integers of up to ``bits`` bits, of all lengths, with runs of ones and zeros."""
    values = []
    for _ in range(count):
        value = int.from_bytes(rng.bytes(bits // 8 + 1), "little") >> int(rng.integers(bits))
        values.append((value >> (k := int(rng.integers(bits))) << k) % (1 << bits))
    return [*values, 0, 1, (1 << bits) - 1, 1 << (bits - 1)]


def test_bit_length_and_trailing_zeros_equal_pythons():
    values = EDGES + random_integers(np.random.default_rng(0), 64, 200)
    array = np.array(values, dtype=np.uint64)
    assert limbs.bit_length(array).tolist() == [value.bit_length() for value in values]
    assert limbs.trailing_zeros(array).tolist() == [(v & -v).bit_length() - 1 for v in values]


@pytest.mark.parametrize("words_a", [1, 2])
@pytest.mark.parametrize("words_b", [1, 2])
def test_products_equal_pythons(words_a, words_b):
    rng = np.random.default_rng(1)
    a, b = random_integers(rng, 32 * words_a, 60), random_integers(rng, 32 * words_b, 60)
    product = limbs.multiply(
        limbs.split(np.array(a, dtype=np.uint64), words_a),
        limbs.split(np.array(b, dtype=np.uint64), words_b),
    )
    assert to_integers(product) == [x * y for x, y in zip(a, b, strict=True)]


def test_shifts_within_a_word_equal_pythons():
    rng = np.random.default_rng(2)
    values = random_integers(rng, 96, 100)
    amount = rng.integers(0, 32, len(values)).astype(np.uint64)
    shifted = limbs.shift_within_word(list(to_words(values, 3)), amount)
    assert to_integers(shifted) == [v << int(s) for v, s in zip(values, amount, strict=True)]


def test_bits_are_picked_and_are_zero_outside_the_number():
    value = 0x8000_0001_F000_0000_0000_0001
    words = list(to_words([value] * 140, 3))
    positions = np.arange(-20, 120)
    expected = [p >= 0 and bool(value >> p & 1) for p in positions.tolist()]
    assert limbs.bit(words, positions).tolist() == expected


def test_normalising_keeps_the_value_modulo_the_words():
    rng = np.random.default_rng(3)
    words = rng.integers(-(2**62), 2**62, (3, 50))
    expected = [value % 2**96 for value in to_integers(words)]
    limbs.normalise(words)
    assert ((words[:-1] >= 0) & (words[:-1] < 2**32)).all()
    assert (np.abs(words[-1]) <= 2**31).all()
    assert [value % 2**96 for value in to_integers(words)] == expected


def test_sign_and_magnitude_equal_pythons():
    sizes = random_integers(np.random.default_rng(4), 90, 60)
    values = [-size if i % 2 else size for i, size in enumerate(sizes)]
    negative, size = limbs.magnitude(to_signed_words(values, 3))
    assert negative.tolist() == [value < 0 for value in values]
    assert to_integers(size) == [abs(value) for value in values]


@pytest.mark.parametrize("words", [1, 2, 3, 5])
def test_the_leading_bits_and_sticky_describe_the_number(words):
    values = random_integers(np.random.default_rng(5), 32 * words, 200)
    significand, position, sticky = limbs.top_bits(to_words(values, words))
    for value, leading, place, below in zip(
        values, significand.tolist(), position.tolist(), sticky.tolist(), strict=True
    ):
        assert place == max(value.bit_length() - 64, 0)
        assert leading == value >> place
        assert below == (leading << place != value)


@pytest.mark.parametrize("position", [1, 5, 31, 32, 33, 64, 95, 96, 97, 130, 300])
def test_rounding_at_a_place_is_to_nearest_even(position):
    values = random_integers(np.random.default_rng(6), 95, 200)
    half = 1 << (position - 1)
    values += [half, half - 1, half + 1, 3 * half, 3 * half - 1, 3 * half + 1]
    values = [value for value in values if value < 2**96]
    rounded, inexact = limbs.round_at(to_words(values, 3), position)
    for value, result, lossy in zip(values, to_integers(rounded), inexact.tolist(), strict=True):
        quotient, remainder = divmod(value, 1 << position)
        up = remainder > half or (remainder == half and quotient % 2 == 1)
        assert result == quotient + up
        assert lossy == (remainder != 0)
