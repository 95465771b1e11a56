"""Start values: both routes agree, and a sum that is split over K merges bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import FormatError, SpecError
from hwgen.flow.patterns import random_patterns
from hwgen.model import gemm_bits
from hwgen.model.start import random_start, start_from_float
from hwgen.spec.datapath import Datapath

W45 = "window:msb=5,lsb=-30,ovf=9"
DATAPATHS = {
    "stochastic": {"a": "e4m3", "acc": "window:msb=9,lsb=-4,ovf=5,round=stochastic"},
    "bf16": {"a": "bf16", "acc": W45},
    "bf16_saturate": {"a": "bf16", "acc": "window:msb=2,lsb=-6,ovf=1,overflow=saturate"},
    "bf16_wrap_raw": {
        "a": "bf16",
        "acc": "window:msb=0,lsb=-8,ovf=0,round=even,overflow=wrap",
        "out": "raw",
    },
    "bf16_odd_31": {"a": "bf16", "acc": "window:msb=10,lsb=-16,ovf=4,round=odd", "out": "bf16"},
    "int8": {"a": "int8", "acc": "int:32"},
    "int8_saturate": {"a": "int8", "acc": "int:10,overflow=saturate"},
    "w33": {"a": "e4m3", "acc": "window:msb=10,lsb=-20,ovf=2,overflow=saturate", "out": "raw"},
    "w64": {"a": "e4m3", "acc": "window:msb=30,lsb=-30,ovf=3,overflow=wrap", "out": "raw"},
    "w65": {"a": "e4m3", "acc": "window:msb=30,lsb=-30,ovf=4", "out": "raw"},
    "fp16_exact": {"a": "fp16", "acc": "exact"},
    "fp32_exact": {"a": "fp32", "acc": "exact"},
    "posit8": {"a": "posit8", "acc": "exact"},
}


def operands(path: Datapath, m: int, k: int, n: int, *, seed: int, specials: bool = False):
    rng = np.random.default_rng(seed)
    return (
        random_patterns(path.a, (m, k), rng, specials=specials),
        random_patterns(path.b, (k, n), rng, specials=specials),
        random_start(path.window, (m, n), rng),
    )


@pytest.mark.parametrize("specials", [False, True], ids=["finite", "specials"])
@pytest.mark.parametrize("name", DATAPATHS)
def test_both_routes_agree_on_any_start_and_status(name, specials):
    path = Datapath.parse(**DATAPATHS[name])
    for seed, k in enumerate((0, 1, 7)):
        a, b, start = operands(path, 9, k, 7, seed=seed, specials=specials)
        bits, status = gemm_bits(a, b, path, start=start)
        wanted, wanted_status = gemm_bits(a, b, path, start=start, engine="exact")
        np.testing.assert_array_equal(bits, wanted)
        np.testing.assert_array_equal(status, wanted_status)


@pytest.mark.parametrize("overflow", ["nan", "saturate", "wrap"])
def test_every_start_of_a_small_register_follows_the_overflow_rule(overflow):
    # Independent of both routes: the rule, written out.
    path = Datapath.parse(a="int4", acc=f"window:msb=4,lsb=0,ovf=0,overflow={overflow}", out="raw")
    width = path.window.width
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    starts = np.arange(1 << width, dtype=np.uint8)
    for factor in range(-5, 6):
        a = np.array([[3]], dtype=np.uint8)
        b = np.full((1, len(starts)), factor & 15, dtype=np.uint8)
        bits, status = gemm_bits(a, b, path, start=starts[np.newaxis])
        for start, got, flags in zip(starts.tolist(), bits[0].tolist(), status[0], strict=True):
            total = 3 * factor + (start if start <= high else start - (1 << width))
            event = not low <= total <= high
            if overflow == "saturate":
                total = min(max(total, low), high)
            invalid = event and overflow == "nan"
            assert flags == 2 * event + invalid
            assert got == (0 if invalid else total % (1 << width))


MERGED = {
    "bf16": {"a": "bf16", "acc": "window:msb=12,lsb=-30,ovf=9", "out": "fp32"},
    "bf16_few_bits": {"a": "bf16", "acc": "window:msb=12,lsb=-4,ovf=9", "out": "bf16"},
    "int8": {"a": "int8", "acc": "int:32"},
    "fp32_exact": {"a": "fp32", "acc": "exact", "out": "fp32"},
    "posit16_exact": {"a": "posit16", "acc": "exact"},
}


@pytest.mark.parametrize("engine", ["numpy", "exact"])
@pytest.mark.parametrize("name", MERGED)
def test_a_sum_split_over_k_merges_bit_for_bit(name, engine):
    words = MERGED[name]
    whole = Datapath.parse(**words)
    raw = Datapath.parse(a=words["a"], acc=words["acc"], out="raw")
    a, b, _ = operands(whole, 5, 23, 6, seed=3)
    if words["a"] == "bf16":  # a NaN goes through the parts as well
        a[2, 4] = whole.a.nan_bits
    start = None
    for first, last in ((0, 9), (9, 10), (10, 20)):
        start = gemm_bits(a[:, first:last], b[first:last], raw, engine=engine, start=start)
    merged = gemm_bits(a[:, 20:], b[20:], whole, engine=engine, start=start)
    wanted = gemm_bits(a, b, whole, engine=engine)
    assert not (gemm_bits(a, b, raw)[1] & 2).any(), "a range event; the case is badly chosen"
    np.testing.assert_array_equal(merged[0], wanted[0])
    np.testing.assert_array_equal(merged[1], wanted[1])


def test_the_flags_of_a_start_count_as_the_blocks_own():
    path = Datapath.parse(a="bf16", acc=f"{W45},overflow=wrap", out="fp32")
    zeros = np.zeros((1, 8), dtype=np.uint64)
    flags = np.arange(8, dtype=np.uint8)[np.newaxis]
    a, b = np.zeros((1, 1), dtype=np.uint16), np.zeros((1, 8), dtype=np.uint16)
    bits, status = gemm_bits(a, b, path, start=(zeros, flags))
    np.testing.assert_array_equal(status, flags)
    np.testing.assert_array_equal(bits, [[0, path.out.nan_bits] * 4])
    # A range event makes the result NaN where the window says so, wherever it happened.
    path = Datapath.parse(a="bf16", acc=W45, out="fp32")
    _, status = gemm_bits(a, b, path, start=(zeros, flags))
    np.testing.assert_array_equal(status, [[0, 1, 3, 3, 4, 5, 7, 7]])


def test_an_infinite_part_is_invalid_and_stays_so():
    words = {"a": "bf16", "acc": W45}
    raw, path = Datapath.parse(**words, out="raw"), Datapath.parse(**words, out="fp32")
    one = path.a.from_float(np.array([[1.0]]))
    infinite = path.a.from_float(np.array([[np.inf]]))
    start = gemm_bits(infinite, one, raw)
    bits, status = gemm_bits(one, one, path, start=start)
    assert (bits[0, 0], status[0, 0]) == (path.out.nan_bits, 1)


def test_what_is_no_start_is_refused():
    path = Datapath.parse(a="int4", acc="int:12", out="raw")
    a, b = np.ones((2, 3), dtype=np.uint8), np.ones((3, 4), dtype=np.uint8)
    with pytest.raises(SpecError, match=r"shape \(2, 3\); registers of 12 bits"):
        gemm_bits(a, b, path, start=np.zeros((2, 3), dtype=np.uint16))
    with pytest.raises(FormatError, match="no register of 12 bits"):
        gemm_bits(a, b, path, start=np.full((2, 4), 1 << 12))
    with pytest.raises(FormatError, match="dtype float64"):
        gemm_bits(a, b, path, start=np.zeros((2, 4)))
    with pytest.raises(FormatError, match="dtype int64"):
        gemm_bits(a, b, path, start=np.full((2, 4), -1))
    with pytest.raises(SpecError, match="status has shape"):
        gemm_bits(a, b, path, start=(np.zeros((2, 4), dtype=int), np.zeros(4, dtype=int)))
    with pytest.raises(FormatError, match="3 bits"):
        gemm_bits(a, b, path, start=(np.zeros((2, 4), dtype=int), np.full((2, 4), 8)))
    with pytest.raises(SpecError, match="use window: or exact:"):
        gemm_bits(
            a, b, Datapath.parse(a="bf16", acc="fma:fp32"), start=np.zeros((2, 4), dtype=np.uint16)
        )


@pytest.mark.parametrize("acc", ["int:12", "window:msb=60,lsb=-30,ovf=4"], ids=["w12", "w95"])
def test_numbers_become_the_registers_that_read_as_them(acc):
    path = Datapath.parse(a="e4m3" if "window" in acc else "int4", acc=acc, out="raw")
    window = path.window
    unit = 2.0**window.lsb
    values = np.array([[0, 1, -1, 5], [-7, 300, -301, 2.5]]) * unit
    bits = start_from_float(values, path)
    zeros = np.zeros((2, 1), dtype=np.uint8), np.zeros((1, 4), dtype=np.uint8)
    registers, _ = gemm_bits(*zeros, path, start=bits)
    words = registers.reshape(2, 4, -1)
    wanted = [[0, 1, -1, 5], [-7, 300, -301, 2]]  # ties to even
    for row, line in enumerate(wanted):
        for col, value in enumerate(line):
            pattern = sum(int(word) << (64 * place) for place, word in enumerate(words[row, col]))
            assert pattern == value % (1 << window.width)
    for wrong in (np.inf, np.nan, 2.0 ** (window.msb + window.ovf)):
        with pytest.raises(FormatError, match="no value of the register"):
            start_from_float(np.array([[wrong]]), path)
    lowest = start_from_float(np.array([[-(2.0 ** (window.msb + window.ovf))]]), path)
    assert int(lowest.reshape(-1)[-1]) == 1 << ((window.width - 1) % 64)
