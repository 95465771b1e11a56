"""Sums that saturate at most of their steps, as values, where no status is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen import model
from hwgen.runtime import gemm
from hwgen.spec.datapath import Datapath

SHAPE = (19, 300, 37)


def saturating(a: str, rounding: str, *, ovf: int = 1, b: str = "bf16") -> Datapath:
    acc = f"window:msb=2,lsb=-9,ovf={ovf},round={rounding},overflow=saturate"
    return Datapath.parse(a=a, b=b, acc=acc, out="fp32")


def drawn(rng: np.random.Generator, scale: float) -> tuple[np.ndarray, np.ndarray]:
    m, k, n = SHAPE
    return scale * rng.standard_normal((m, k)), rng.standard_normal((k, n))


def assert_alike(a: np.ndarray, b: np.ndarray, path: Datapath, instructions: str) -> np.ndarray:
    """Compare with the model, bit for bit but for the payload of NaN; returns the result."""
    expected = model.gemm(a, b, path)
    result = gemm(a, b, path, engine=instructions)
    assert np.array_equal(result, expected, equal_nan=True)
    assert np.array_equal(np.signbit(result), np.signbit(expected))
    return result


@pytest.mark.parametrize("rounding", ["zero", "even", "odd", "stochastic"])
@pytest.mark.parametrize("fmt", ["bf16", "fp16", "fp32", "e4m3", "posit8", "int8"])
def test_every_step_saturates_as_the_model_does(fmt, rounding, instructions, rng):
    path = saturating(fmt, rounding)
    # Alternating signs take the sums from end to end, and few results lie at an end.
    result = assert_alike(*drawn(rng, 5.0), path, instructions)
    assert len(np.unique(result)) > 20
    assert np.abs(result).max() <= 8


@pytest.mark.parametrize("dot", [2, 7])
def test_sums_of_several_products_saturate_as_a_whole(dot, instructions, rng):
    path = saturating("bf16", "zero")
    grouped = Datapath.parse(a="bf16", acc=f"{path.acc},dot={dot}", out="fp32")
    a, b = drawn(rng, 5.0)
    result = assert_alike(a, b, grouped, instructions)
    assert (result != model.gemm(a, b, path)).any()


@pytest.mark.parametrize("ovf", [0, 3, 38, 39])
def test_registers_of_any_width_saturate(ovf, instructions, rng):
    path = saturating("bf16", "even", ovf=ovf)
    a, b = drawn(rng, 2.0**ovf)
    assert_alike(np.abs(a), b, path, instructions)


@pytest.mark.parametrize("rounding", ["zero", "even"])
def test_the_ends_of_the_ranges_are_kept(rounding, instructions):
    """The largest product in range, the first beyond it, and one that rounds up out of it."""
    path = saturating("fp32", rounding, ovf=0, b="fp32")
    edge = 8.0
    products = [edge, np.nextafter(edge, 0.0, dtype=np.float32), edge - 2.0**-9, edge - 2.0**-10]
    a = np.array(
        [[sign * product] + [0.25 * -sign] * 200 for product in products for sign in (1, -1)]
    )
    b = np.ones((201, 16))
    assert_alike(a, b, path, instructions)
    assert_alike(a[:, :1], b[:1], path, instructions)


def test_lines_with_specials_are_judged_among_sums_that_saturate(instructions, rng):
    path = saturating("bf16", "even")
    a, b = drawn(rng, 5.0)
    a[3, 7], a[5, 0], b[11, 2] = np.inf, np.nan, -np.inf
    a[8], a[9, ::2] = 0.0, -0.0
    result = assert_alike(a, b, path, instructions)
    assert np.isnan(result[5]).all()
    assert np.isfinite(result[0, 3:]).all()
