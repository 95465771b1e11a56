"""What becomes of a product's bits below the window: to odd, and at random."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import SpecError
from hwgen.model import INEXACT, INVALID, OVERFLOW, accumulator, gemm_bits, tile, untile
from hwgen.model.exact import dot
from hwgen.spec.datapath import Datapath
from hwgen.spec.dither import Side, initial_state, lane_masks, step

ROUTES = ["exact", "lane", "limbs"]


def multiply(a, b, datapath: Datapath, route: str, monkeypatch, lanes=None):
    """Products of real matrices by one of the routes."""
    if route == "limbs":
        monkeypatch.setattr(accumulator, "exact_lane_scales", lambda *_: None)
    a_bits, b_bits = datapath.a.from_float(a), datapath.b.from_float(b)
    engine = "exact" if route == "exact" else "numpy"
    return gemm_bits(a_bits, b_bits, datapath, engine=engine, lanes=lanes)


def registers(bits: np.ndarray, datapath: Datapath) -> np.ndarray:
    """Raw registers as signed integers."""
    top = np.int64(1) << np.int64(datapath.window.width - 1)
    return (bits.astype(np.int64) ^ top) - top


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("value", "units", "status"),
    [
        (0.0, 0, 0),
        (0.25, 1, 0),
        (0.5, 2, 0),
        (0.5625, 3, INEXACT),  # 2.25 units: 2, and the lowest bit set
        (0.8125, 3, INEXACT),  # 3.25 units: odd already
        (0.9375, 3, INEXACT),
        (0.125, 1, INEXACT),  # everything is dropped
        (2.0**-100, 1, INEXACT),
        (15.9375, 63, INEXACT),  # never rounded up to the limit of the range
        (3.9999, 15, INEXACT),
    ],
)
def test_to_odd_truncates_and_marks_what_was_lost(value, units, status, route, monkeypatch):
    datapath = Datapath.parse(a="fp32", acc="window:msb=3,lsb=-2,ovf=1,round=odd", out="raw")
    bits, raised = multiply([[value], [-value]], [[1.0]], datapath, route, monkeypatch)
    assert registers(bits, datapath)[:, 0].tolist() == [units, -units]
    assert raised[:, 0].tolist() == [status, status]


@pytest.mark.parametrize("rounding", ["round=odd", "round=stochastic,seed=9,bits=3"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_clamped_product_is_not_rounded(rounding, route, monkeypatch):
    acc = f"window:msb=3,lsb=-2,ovf=2,{rounding},overflow=saturate"
    datapath = Datapath.parse(a="fp32", acc=acc, out="raw")
    bits, status = multiply(np.full((8, 1), 16.2), [[1.0, -1.0]], datapath, route, monkeypatch)
    assert registers(bits, datapath).tolist() == [[63, -63]] * 8
    assert (status == OVERFLOW | INEXACT).all()


def random_number(seed: int, lane_a: int, lane_b: int, bits: int, k: int) -> int:
    """The definition, spelt out once more."""
    number = 0
    for side, lane in ((Side.A, lane_a), (Side.B, lane_b)):
        state = initial_state(seed, side)
        for _ in range(k):
            state = step(state)
        for place, mask in enumerate(lane_masks(side, lane, bits)):
            number ^= ((state & mask).bit_count() & 1) << place
    return number


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("bits", [1, 4, 9, 24])
def test_a_carry_out_of_the_dropped_bits_and_the_random_number_lifts_the_magnitude(
    bits, route, monkeypatch
):
    acc = f"window:msb=9,lsb=-3,ovf=4,round=stochastic,seed=3,bits={bits}"
    datapath = Datapath.parse(a="fp32", acc=acc, out="raw")
    rng = np.random.default_rng(bits)
    values = rng.integers(-(2**23), 2**23, (5, 1)) * np.exp2(-(20.0 + rng.integers(0, 9, (5, 1))))
    # Zeros are products as well: the third number meets the random number of k = 2.
    a = np.concatenate([np.zeros((5, 2)), values], axis=1)
    result, status = multiply(a, np.ones((3, 4)), datapath, route, monkeypatch)
    for i, value in enumerate(values[:, 0]):
        whole, rest = divmod(abs(int(value * 2**40)), 2**37)
        dropped = rest >> (37 - bits)
        for j in range(4):
            carry = dropped + random_number(3, i, j, bits, 2) >= 1 << bits
            units = (whole + carry) * (1 if value > 0 else -1)
            assert registers(result, datapath)[i, j] == units
    assert (status == INEXACT).all()


@pytest.mark.parametrize("route", ROUTES)
def test_the_range_is_judged_before_rounding_at_random(route, monkeypatch):
    acc = "window:msb=3,lsb=-2,ovf=1,round=stochastic,bits=8,overflow=wrap"
    datapath = Datapath.parse(a="fp32", acc=acc, out="raw")
    bits, status = multiply(
        np.full((30, 1), -(16 - 2.0**-4)), np.ones((1, 4)), datapath, route, monkeypatch
    )
    units = registers(bits, datapath)
    assert set(np.unique(units)) == {-64, -63}
    assert (status == INEXACT).all()  # -64 is the register's lowest value: no event


@pytest.mark.parametrize("bits", [1, 3, 8, 16])
def test_many_roundings_at_random_are_right_on_average(bits):
    """Mean error over 64 x 64 x 128 roundings, against the standard deviation of that mean.

    A fraction f that R bits can express is lifted with probability f, an error of variance
    f (1 - f). Sums of one row share their words with other columns', so the deviation of the mean
    is bounded by that of 64 x 128 independent roundings.
    """
    acc = f"window:msb=9,lsb=0,ovf=9,round=stochastic,seed=1,bits={bits}"
    datapath = Datapath.parse(a="fp32", acc=acc, out="raw")
    rng = np.random.default_rng(1)
    a = rng.integers(-(2 ** (bits + 3)), 2 ** (bits + 3), (64, 128)) * 2.0**-bits
    b = rng.choice([-1.0, 1.0], (128, 64))
    result, _ = gemm_bits(datapath.a.from_float(a), datapath.b.from_float(b), datapath)
    error = registers(result, datapath) - a @ b
    assert abs(error.mean()) / 128 < 3 * 0.5 / np.sqrt(64 * 128)
    # The errors of one sum are those of 128 independent roundings, less than 1/4 each.
    assert 0.5 < error.std() / np.sqrt(128 * np.mean(np.abs(a % 1 * (1 - a % 1)))) < 1.5


def test_truncation_is_wrong_on_average_where_rounding_at_random_is_not():
    means = {}
    for rounding in ("zero", "stochastic"):
        datapath = Datapath.parse(a="fp32", acc=f"window:msb=9,lsb=0,ovf=9,round={rounding}")
        a = np.full((32, 256), 0.25)
        bits, _ = gemm_bits(
            datapath.a.from_float(a), datapath.b.from_float(np.ones((256, 32))), datapath
        )
        means[rounding] = datapath.out.to_float(bits).mean()
    assert means["zero"] == 0.0
    assert abs(means["stochastic"] - 64.0) < 2.0


def test_a_word_takes_every_value_about_equally_often():
    datapath = Datapath.parse(a="fp32", acc="window:msb=9,lsb=0,ovf=1,round=stochastic,bits=3")
    # One product a block, rounded up if the random number is at least 8 - 8 f.
    for eighths in range(8):
        a = np.full((300, 1), eighths / 8)
        bits, _ = gemm_bits(
            datapath.a.from_float(a), datapath.b.from_float(np.ones((1, 300))), datapath
        )
        assert abs(datapath.out.to_float(bits).mean() - eighths / 8) < 0.05


@pytest.mark.parametrize("engine", ["numpy", "exact"])
def test_tiles_of_an_array_equal_the_whole_with_the_arrays_lanes(engine):
    datapath = Datapath.parse(a="bf16", acc="window:msb=9,lsb=-2,ovf=5,round=stochastic")
    rng = np.random.default_rng(2)
    a = datapath.a.from_float(rng.standard_normal((9, 6)))
    b = datapath.b.from_float(rng.standard_normal((6, 11)))
    whole, status = gemm_bits(a, b, datapath, engine=engine, lanes=(4, 5))
    parts = [gemm_bits(block.a, block.b, datapath) for block in tile(a, b, 4, 5)]
    np.testing.assert_array_equal(untile([bits for bits, _ in parts], 9, 11), whole)
    np.testing.assert_array_equal(untile([raised for _, raised in parts], 9, 11), status)
    assert (gemm_bits(a, b, datapath)[0] != whole).any()


def test_tiles_inside_the_model_do_not_show():
    datapath = Datapath.parse(a="bf16", acc="window:msb=9,lsb=-2,ovf=5,round=stochastic")
    rng = np.random.default_rng(3)
    a = datapath.a.from_float(rng.standard_normal((140, 6)))
    b = datapath.b.from_float(rng.standard_normal((6, 133)))
    bits, _ = gemm_bits(a, b, datapath)
    for i, j in ((0, 0), (139, 132), (5, 131), (129, 2)):
        assert bits[i, j] == dot(a[i], b[:, j], datapath, lanes=(i, j))[0]


def test_the_seed_changes_the_result_and_the_same_seed_repeats_it():
    results = []
    for seed in (1, 2, 1):
        acc = f"window:msb=9,lsb=-2,ovf=5,round=stochastic,seed={seed}"
        datapath = Datapath.parse(a="bf16", acc=acc)
        a = datapath.a.from_float(np.linspace(0, 3, 80).reshape(8, 10))
        results.append(gemm_bits(a, a.T, datapath)[0])
    np.testing.assert_array_equal(results[0], results[2])
    assert (results[0] != results[1]).any()


def test_an_array_without_rows_is_refused():
    datapath = Datapath.parse(a="bf16", acc="exact")
    with pytest.raises(SpecError, match=r"lanes is \(0, 4\); the rows and columns"):
        gemm_bits([[1]], [[1]], datapath, lanes=(0, 4))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("rounding", ["odd", "stochastic"])
def test_an_event_still_makes_the_block_invalid(rounding, route, monkeypatch):
    datapath = Datapath.parse(a="fp32", acc=f"window:msb=3,lsb=-2,ovf=1,round={rounding}")
    _, status = multiply([[17.1]], [[1.0]], datapath, route, monkeypatch)
    assert status[0, 0] == INVALID | OVERFLOW | INEXACT
