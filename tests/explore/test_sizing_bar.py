"""What sized windows are worth: bounds are kept and reached, and few bits are too many.

A few of the cases that scripts/bench_sizing measures, and a million dot products as a slow one.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import numpy as np
import pytest

from hwgen.errors import ToolError
from hwgen.explore import Ranges
from hwgen.formats import parse_format
from hwgen.model.operands import Operand
from hwgen.runtime.library import library_path
from hwgen.spec.accumulator import Rounding, parse_accumulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from sizing_data import (
    Case,
    check_bound,
    declared_width,
    errors,
    exact_product,
    grid,
    movement,
    narrowest,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ZERO, EVEN, ODD = Rounding.ZERO, Rounding.EVEN, Rounding.ODD
ONE = Fraction(1)
SMALL = [
    Case(a="bf16", b="bf16", terms=64, limits=(ONE, ONE), rounding=ZERO, bits=9),
    Case(a="bf16", b="bf16", terms=64, limits=(ONE, 4 * ONE), rounding=EVEN, bits=9),
    Case(a="fp16", b="fp16", terms=7, limits=(None, ONE / 3), rounding=ODD, bits=12),
    Case(a="fp32", b="bf16", terms=33, limits=(40 * ONE, ONE), rounding=ZERO, bits=20),
    Case(a="e4m3", b="e4m3", terms=100, limits=(None, None), rounding=EVEN, bits=6),
    Case(a="e5m2", b="e4m3", terms=16, limits=(ONE, ONE), rounding=ZERO, bits=10),
    Case(a="int8", b="int8", terms=50, limits=(None, None), rounding=ZERO, bits=6),
    Case(a="posit16", b="posit16", terms=20, limits=(ONE, ONE), rounding=ZERO, bits=12),
    Case(a="bf16", b="bf16", terms=64, limits=(ONE, ONE), rounding=ZERO, bits=9, out="fp32"),
]


@pytest.fixture(autouse=True)
def kernels() -> None:
    """Skip without the compiled kernels."""
    try:
        library_path("hwgen")
    except ToolError as error:
        pytest.skip(str(error))


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("case", SMALL, ids=lambda case: f"{case.a}-{case.rounding.value}")
def test_no_data_found_breaks_the_bound_and_some_comes_within_eight_times(case):
    kept = check_bound(case, random())
    assert kept.dots > 2000
    assert kept.events == 0
    assert 1 / 8 <= kept.share <= 1


@pytest.mark.parametrize("case", SMALL[:-1], ids=lambda case: f"{case.a}-{case.rounding.value}")
def test_no_window_found_is_three_bits_narrower(case):
    assert 0 <= declared_width(case, random()).extra <= 2


@pytest.mark.parametrize(("kind", "own"), [("positive", 2), ("normal", 4)])
def test_a_profiles_window_is_as_narrow_as_the_worst_data_of_its_ranges_allow(kind, own):
    loader = SourceFileLoader("bench_sizing", str(SCRIPTS / "bench_sizing"))
    bench = module_from_spec(spec_from_loader("bench_sizing", loader))
    loader.exec_module(bench)
    worst, alone = bench.observed_widths("bf16", kind, 64, 10, seed=1)
    assert 0 <= worst.extra <= 1
    # Where signs cancel, a guarantee for all data costs more than the data by themselves need.
    assert worst.extra <= alone.extra <= own


@pytest.mark.slow
def test_a_million_dot_products_keep_to_their_bounds():
    cases = grid()
    found = [
        check_bound(case, random(seed), -(-1_000_000 // len(cases)))
        for seed, case in enumerate(cases)
    ]
    assert sum(kept.dots for kept in found) >= 1_000_000
    assert sum(kept.events for kept in found) == 0
    shares = [kept.share for kept in found if kept.share is not None]
    assert len(shares) > 0.8 * len(found)
    assert min(shares) >= 1 / 8
    assert max(shares) <= 1


# --- the measurement itself ----------------------------------------------------------------------


def test_a_bound_that_is_too_small_is_noticed(monkeypatch):
    import sizing_data

    case = SMALL[0]
    honest = sizing_data.size_window

    def boastful(*words, **names):
        sizing = honest(*words, **names)
        return replace(sizing, bound=sizing.bound * Fraction(9, 10))

    monkeypatch.setattr(sizing_data, "size_window", boastful)
    assert check_bound(case, random()).share > 1


def test_a_window_without_room_is_noticed():
    case = SMALL[0]
    window = case.size().window
    tight = replace(window, ovf=window.ovf - 1)
    ones = np.full((1, case.terms), 1.0)
    a, b = case.formats
    bits = a.from_float(ones), b.from_float(ones.T)
    assert not errors(bits, case.formats, window, "raw")[1]
    assert errors(bits, case.formats, tight, "raw")[1]


def test_windows_that_are_too_wide_are_found_out():
    case = SMALL[0]
    window = case.size().window
    wide = replace(window, ovf=window.ovf + 3, lsb=window.lsb - 4)
    ones = np.full((1, case.terms), 0.99609375)
    a, b = case.formats
    bits = a.from_float(ones), b.from_float(ones.T)
    least = narrowest(wide, lambda _: [bits], case.formats, case.tolerance)
    assert wide.width - least.width >= 7


@pytest.mark.parametrize("name", ["fp32", "bf16", "int8", "posit16"])
def test_exact_products_are_those_of_fractions(name):
    fmt = parse_format(name)
    rng = random(3)
    a = fmt.from_float(rng.normal(size=(3, 9)) * 2.0 ** rng.integers(-20, 5, (3, 9)))
    b = fmt.from_float(rng.normal(size=(9, 2)) * 2.0 ** rng.integers(-20, 5, (9, 2)))
    found, unit = exact_product(Operand.unpack(a, fmt), Operand.unpack(b, fmt))
    for i, j in np.ndindex(3, 2):
        right = sum(
            fmt.decode(int(a[i, k])).fraction * fmt.decode(int(b[k, j])).fraction for k in range(9)
        )
        assert int(found[i, j]) * Fraction(2) ** unit == right


@pytest.mark.parametrize("mode", ["zero", "even", "odd"])
def test_movements_are_those_of_the_kernels(mode):
    fmt = parse_format("bf16")
    window = parse_accumulator(f"window:msb=4,lsb=-6,ovf=1,round={mode}")
    rng = random(4)
    x, y = (fmt.from_float(rng.uniform(0.1, 3, 40)) for _ in "xy")
    told = movement(Operand.unpack(x, fmt), Operand.unpack(y, fmt), window)
    for i, j in np.ndindex(40, 40):
        seen = errors((x[i].reshape(1, 1), y[j].reshape(1, 1)), (fmt, fmt), window, "raw")[0]
        assert seen == Fraction(abs(float(told[i, j]))) * Fraction(2) ** window.lsb


def test_ranges_of_a_profile_are_not_left_by_the_worst_data():
    from sizing_data import worst_operands

    fmt = parse_format("bf16")
    ranges = Ranges(terms=40, product=Fraction(9), total=Fraction(50), lowest=-40)
    window = parse_accumulator("window:msb=3,lsb=-9,ovf=3")
    for a, b in worst_operands(random(), (fmt, fmt), (3.0, 3.0), ranges, window):
        x, y = fmt.to_float(a), fmt.to_float(b)
        assert (np.abs(x) @ np.abs(y)).max() <= 50
        assert x.shape[1] == 40
