"""The random numbers of stochastic rounding: a register of full length, and words of full rank."""

from __future__ import annotations

import pytest

from hwgen.spec.dither import FEEDBACK, STATE_BITS, Side, initial_state, lane_masks, step

PERIOD = 2**32 - 1
PRIME_FACTORS = (3, 5, 17, 257, 65537)
LANES = 1024  # of the largest array

Linear = list[int]  # the images of the states with a single 1


def apply(steps: Linear, state: int) -> int:
    result = 0
    for place, image in enumerate(steps):
        if state >> place & 1:
            result ^= image
    return result


def power(count: int) -> Linear:
    """What ``count`` steps do, by repeated squaring."""
    result = [1 << place for place in range(STATE_BITS)]
    square = [step(state) for state in result]
    while count:
        if count & 1:
            result = [apply(square, state) for state in result]
        square = [apply(square, state) for state in square]
        count >>= 1
    return result


def test_the_register_runs_through_all_states_but_zero():
    identity = [1 << place for place in range(STATE_BITS)]
    assert power(PERIOD) == identity
    assert PERIOD == 3 * 5 * 17 * 257 * 65537
    assert all(power(PERIOD // prime) != identity for prime in PRIME_FACTORS)


def test_the_feedback_has_the_taps_of_the_published_table():
    assert [place + 1 for place in range(STATE_BITS) if FEEDBACK >> place & 1] == [1, 2, 22, 32]


@pytest.mark.parametrize("side", Side, ids=lambda side: side.name)
def test_a_block_never_starts_at_the_state_that_stays(side):
    states = {initial_state(seed, side) for seed in [*range(1, 5000), 2**32 - 1]}
    assert min(states) > 0
    assert max(states) < 2**32
    assert len(states) > 4990


def test_the_two_sides_start_apart():
    assert all(initial_state(seed, Side.A) != initial_state(seed, Side.B) for seed in range(1, 999))


@pytest.mark.parametrize("side", Side, ids=lambda side: side.name)
def test_each_bit_of_a_word_is_the_parity_of_three_bits_of_the_state(side):
    for lane in range(LANES):
        for mask in lane_masks(side, lane, 24):
            assert mask.bit_count() == 3
            assert mask < 2**32


def test_the_bits_of_a_word_are_linearly_independent():
    for side in Side:
        for lane in range(LANES):
            space = [0]
            for mask in lane_masks(side, lane, 8):
                assert mask not in space
                space += [mask ^ other for other in space]


def test_lanes_and_sides_draw_words_of_their_own():
    words = [lane_masks(side, lane, 8) for side in Side for lane in range(LANES)]
    assert len(set(words)) == 2 * LANES


def test_fewer_bits_are_the_lowest_of_more():
    assert lane_masks(Side.B, 7, 24)[:5] == lane_masks(Side.B, 7, 5)


def test_the_definition_does_not_change():
    """Values that a circuit made earlier has inside."""
    assert (initial_state(1, Side.A), initial_state(1, Side.B)) == (0x975835DE, 0x1D0B14E4)
    assert lane_masks(Side.A, 0, 3) == (0x80088000, 0x84000800, 0x10011000)
    assert (step(2), step(1), step(3)) == (1, 0x80200003, 0x80200002)
