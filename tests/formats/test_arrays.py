"""The vectorised helpers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.formats.arrays import count_leading_zeros, round_right_shift, split_float64


def test_leading_zeros_are_counted_at_every_power_of_two() -> None:
    powers = [1 << bit for bit in range(64)]
    values = [0, *powers, *(power - 1 for power in powers[1:]), (1 << 64) - 1]
    actual = count_leading_zeros(np.array(values, dtype=np.uint64))
    assert actual.tolist() == [64 - value.bit_length() for value in values]


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, (1 << 64) - 1) | st.integers(0, 63).map(lambda bit: 1 << bit),
    st.integers(1, 70),
    st.booleans(),
)
def test_right_shift_rounds_to_nearest_even(value: int, distance: int, sticky: bool) -> None:
    exact = (value + Fraction(int(sticky), 3)) / (1 << distance)
    rounded, inexact = round_right_shift(
        np.array([value], dtype=np.uint64), np.array([distance]), sticky=np.array([sticky])
    )
    assert int(rounded[0]) == round(exact)
    assert inexact[0] == (exact.denominator != 1)


@settings(max_examples=300, deadline=None)
@given(st.floats())
def test_a_float64_is_taken_apart_exactly(value: float) -> None:
    parts = split_float64(np.array([value]))
    assert parts.nan[0] == np.isnan(value)
    assert parts.inf[0] == np.isinf(value)
    assert parts.sign[0] == np.signbit(value)
    if np.isfinite(value):
        magnitude = int(parts.significand[0]) * Fraction(2) ** int(parts.exponent[0])
        assert magnitude == abs(Fraction(value))
    else:
        assert parts.significand[0] == 0
