"""Every pair of operands of the small formats through one emitted processing element."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hwgen.flow.simulators import run_phases
from hwgen.flow.traffic import Beats, Phase
from hwgen.model import gemm_bits

pytestmark = pytest.mark.sim

# One list of windows for both: what the model was checked on is what the circuit is checked on.
_MODEL_TEST = Path(__file__).parents[1] / "model" / "test_model_exhaustive.py"


def _windows():
    spec = importlib.util.spec_from_file_location("windows_of_the_model_test", _MODEL_TEST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WINDOWS = _windows()
EVERYDAY = {
    (("e4m3", "e4m3"), "range-saturate"),
    (("e5m2", "e5m2"), "truncates"),
    (("e4m3", "e5m2"), "range-wrap-even"),
    (("int4", "int4"), "rounds"),
    (("int4", "int4"), "lossless"),
}


def cases():
    for pair in WINDOWS.PAIRS:
        for geometry in WINDOWS.GEOMETRIES:
            marks = () if (pair, geometry) in EVERYDAY else (pytest.mark.slow,)
            yield pytest.param(pair, geometry, id=f"{'x'.join(pair)}-{geometry}", marks=marks)


@pytest.mark.parametrize(("pair", "geometry"), list(cases()))
def test_every_product_equals_the_model(pair, geometry, make_build, usable):
    datapath = WINDOWS.make_datapath(pair, geometry)
    a, b = WINDOWS.all_patterns(datapath)
    # Small enough for Icarus, which does not need compiling; the rest is for Verilator.
    simulator = "icarus" if len(a) * len(b) < 1000 else "verilator"
    usable(simulator)
    build = make_build(datapath, 1, 1)
    pairs = np.stack([grid.ravel() for grid in np.meshgrid(a, b, indexing="ij")], axis=1)
    last = np.ones(len(pairs), dtype=np.bool_)
    phase = Phase(a=Beats(pairs[:, :1], last), b=Beats(pairs[:, 1:], last), blocks=len(pairs))
    (outcome,) = run_phases(build, [phase], simulator=simulator).outcomes
    assert outcome.fault == ""
    # Every pair is a block of its own, in row 0 and column 0.
    bits, status = gemm_bits(a[:, np.newaxis], b[np.newaxis], datapath, lanes=(1, 1))
    got = outcome.c_bits.reshape(bits.shape)
    wrong = np.argwhere((got != bits).reshape(len(a), len(b), -1).any(axis=2))
    assert not len(wrong), (
        f"{len(wrong)} products differ, the first {a[wrong[0][0]]:#x}, {wrong[0]}"
    )
    np.testing.assert_array_equal(outcome.status.reshape(status.shape), status)
