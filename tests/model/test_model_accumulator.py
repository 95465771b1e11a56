"""The register at its very ends, and its three implementations against each other."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.formats import parse_format
from hwgen.model import INVALID, OVERFLOW, accumulator, gemm_bits
from hwgen.model.accumulator import accumulate, lane_sum, limb_sum, matmul_sum
from hwgen.model.operands import Operand, exact_lane_scales
from hwgen.model.random_words import random_words
from hwgen.spec.accumulator import Overflow, Rounding, Window
from hwgen.spec.datapath import Datapath

CHUNK = 50  # bits of a piece of a long number, which an fp64 operand holds exactly


def operands(a: np.ndarray, b: np.ndarray, fmt: str) -> tuple[Operand, Operand]:
    number_format = parse_format(fmt)
    return (
        Operand.unpack(number_format.from_float(a), number_format),
        Operand.unpack(number_format.from_float(b), number_format),
    )


def reach(target: int, extra: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors whose products sum up to ``target``, from the top down, and then ``extra``."""
    sign, size = (1, target) if target >= 0 else (-1, -target)
    weights = range(0, size.bit_length(), CHUNK)
    pieces = [(sign * (size >> w & ((1 << CHUNK) - 1)), 2.0**w) for w in reversed(weights)]
    pieces.append((extra, 1.0))
    return np.array([[piece for piece, _ in pieces]]), np.array([[w] for _, w in pieces])


@pytest.mark.parametrize("overflow", list(Overflow), ids=lambda mode: mode.value)
@pytest.mark.parametrize("width", [8, 31, 32, 33, 51, 52, 53, 63, 64, 65, 95, 96, 126, 127, 128])
def test_an_event_is_raised_one_step_beyond_either_end_of_the_register(width, overflow):
    window = Window(msb=width - 1, lsb=0, ovf=0, overflow=overflow)
    datapath = Datapath(a=parse_format("fp64"), b=parse_format("fp64"), acc=window, out=None)
    highest, lowest = (1 << (width - 1)) - 1, -(1 << (width - 1))
    beyond = {
        Overflow.NAN: (0, 0),
        Overflow.SATURATE: (highest, lowest),
        Overflow.WRAP: (lowest, highest),
    }[overflow]
    for end, outward, result in ((highest, 1, beyond[0]), (lowest, -1, beyond[1])):
        for extra, expected in ((0, end), (outward, result)):
            a, b = reach(end, extra)
            bits, status = gemm_bits(datapath.a.from_float(a), datapath.b.from_float(b), datapath)
            words = np.atleast_1d(bits[0, 0])
            register = sum(int(word) << (64 * i) for i, word in enumerate(words))
            assert register == expected % (1 << width)
            assert bool(status[0, 0] & OVERFLOW) == bool(extra)
            assert bool(status[0, 0] & INVALID) == (bool(extra) and overflow is Overflow.NAN)


@pytest.mark.parametrize("judge", [False, True])
@pytest.mark.parametrize("rounding", list(Rounding), ids=lambda mode: mode.value)
def test_lane_and_limbs_hold_the_same_registers(rounding, judge):
    rng = np.random.default_rng(1)
    a, b = operands(rng.standard_normal((9, 40)), rng.standard_normal((40, 7)), "bf16")
    random = rounding is Rounding.STOCHASTIC
    window = Window(
        msb=9, lsb=-12, ovf=9, rounding=rounding, seed=5 * random, random_bits=4 * random
    )
    numbers = random_words(window, (9, 40, 7), (9, 7))
    scale_a, scale_b = exact_lane_scales(a, b, window.lsb)
    lane, lane_event = lane_sum(
        a.scaled_float(scale_a), b.scaled_float(scale_b), window, numbers, judge=judge
    )
    words, limb_event = limb_sum(a, b, window, numbers, judge=judge)
    assert len(words) == 2
    np.testing.assert_array_equal((words[1] << 32 | words[0]).reshape(lane.shape), lane)
    assert not lane_event.any()
    assert not limb_event.any()


@pytest.mark.parametrize("dot", [1, 2, 7])
@pytest.mark.parametrize("overflow", list(Overflow), ids=lambda mode: mode.value)
def test_judged_lane_and_limbs_raise_the_same_events(overflow, dot):
    rng = np.random.default_rng(2)
    a, b = operands(3 * rng.standard_normal((9, 40)), rng.standard_normal((40, 7)), "bf16")
    window = Window(msb=2, lsb=-12, ovf=1, overflow=overflow, dot=dot)
    scale_a, scale_b = exact_lane_scales(a, b, window.lsb)
    lane, lane_event = lane_sum(
        a.scaled_float(scale_a), b.scaled_float(scale_b), window, judge=True
    )
    words, limb_event = limb_sum(a, b, window, judge=True)
    np.testing.assert_array_equal(limb_event, lane_event)
    assert lane_event.sum() > 0
    np.testing.assert_array_equal(words[0].reshape(lane.shape), lane)


def test_the_matrix_product_is_chosen_only_where_nothing_can_be_lost(monkeypatch):
    calls = []
    for name, function in (("matmul", matmul_sum), ("lane", lane_sum), ("limb", limb_sum)):

        def spy(*args, _name=name, _function=function, **options):
            calls.append((_name, options.get("judge", False)))
            return _function(*args, **options)

        monkeypatch.setattr(accumulator, f"{name}_sum", spy)
    whole = operands(np.full((2, 8), 3.0), np.full((8, 2), 5.0), "bf16")
    small = operands(np.full((2, 8), 3.0), np.full((8, 2), 2.0**-9), "bf16")
    for factors, window, expected in (
        (whole, Window(msb=5, lsb=0, ovf=4), ("matmul", False)),
        (whole, Window(msb=5, lsb=0, ovf=1), ("lane", True)),
        (whole, Window(msb=2, lsb=0, ovf=4), ("lane", True)),
        (small, Window(msb=5, lsb=-8, ovf=4), ("lane", False)),
        (whole, Window(msb=5, lsb=-50, ovf=4), ("limb", False)),
        (whole, Window(msb=5, lsb=-50, ovf=1), ("limb", True)),
    ):
        calls.clear()
        accumulate(*factors, window)
        assert calls == [expected]


def test_limbs_move_their_carries_before_a_word_can_overflow(monkeypatch):
    # The true period cannot be reached here; with a period of one step nothing may change.
    rng = np.random.default_rng(3)
    a, b = operands(rng.standard_normal((5, 30)), rng.standard_normal((30, 5)), "fp64")
    window = Window(msb=20, lsb=-100, ovf=3)
    words, _ = limb_sum(a, b, window, judge=False)
    monkeypatch.setattr(accumulator, "_CARRY_PERIOD", 1)
    often, _ = limb_sum(a, b, window, judge=False)
    np.testing.assert_array_equal(often, words)
