"""Numbers as text."""

from __future__ import annotations

import pytest

from hwgen.report.numbers import number, power, ratio, ratio_text, share, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not measured"),
        (0, "0"),
        (0.0, "0"),
        (1, "1.00"),
        (1.236, "1.24"),
        (45.67, "45.7"),
        (1234.5, "1,234"),
        (0.00123, "0.00123"),
        (4.2e-7, "4.20×10⁻⁷"),
        (1e-6, "10⁻⁶"),
        (1e9, "10⁹"),
        (-2.5, "−2.50"),
        (float("inf"), "beyond all bounds"),
        (float("nan"), "not a number"),
        (10**400, "beyond all bounds"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (1.0, 4.0, 0.25),
        (None, 4.0, None),
        (1.0, None, None),
        (1.0, 0.0, None),
        (float("inf"), 1.0, None),
        (1e308, 1e-308, None),
    ],
)
def test_a_ratio_needs_two_known_numbers(value, reference, expected):
    assert ratio(value, reference) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25×"),
        (3.14159, "3.14×"),
        (1.125, "1.13×"),
        (1e-5, "under 0.001×"),
        (1e7, "over 100000×"),
    ],
)
def test_ratios_are_short(value, text):
    assert ratio_text(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "none"),
        (10, 10, "all"),
        (1, 10, "10 %"),
        (1, 10**9, "less than 0.01 %"),
        (10**9 - 1, 10**9, "99.9 %"),
    ],
)
def test_a_part_that_is_there_is_never_nothing_or_all(part, whole, text):
    assert share(part, whole) == text


def test_powers_and_signs_are_typeset():
    assert power(2, -30) == "2⁻³⁰"
    assert signed(-30) == "−30"
