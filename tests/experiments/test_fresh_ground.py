"""The programs of the experiment on fresh ground compute what they say, and all of it is served."""

from __future__ import annotations

import argparse

import attention_app
import fresh_ground_attention as attention
import fresh_ground_runs as runs
import fresh_ground_solver as solver
import numpy as np
import pytest
import solver_app
import training_app

EXACT = runs.Unit(a="fp32", acc="exact:terms=512")
FMA = runs.Unit(a="fp32", acc="fma:fp32,lanes=3")


@pytest.fixture
def runner(tmp_path, monkeypatch) -> runs.Runner:
    monkeypatch.setenv("HWGEN_CACHE", str(tmp_path / "problems"))
    return runs.Runner(tmp_path / "cache")


def test_refinement_on_an_exact_window_reaches_full_precision_and_on_an_fma_does_not(runner):
    arguments = ["refine", "--conditions", "1e4"]
    runner.native("solver_app.py", *arguments)  # makes the problem
    errors = []
    for unit in (EXACT, FMA):
        output = runner.served(unit, "solver_app.py", *arguments)["output"]
        errors.append(float(runs.numbers(solver.LINE, output)[0][4]))
    assert errors[0] < 1e-7 < 1e-5 < errors[1]
    assert runner.served_calls > 1000


def test_a_narrow_window_stops_conjugate_gradients_too_soon_and_scaling_is_the_remedy(runner):
    arguments = ["cg", "--conditions", "1e3"]
    runner.native("solver_app.py", *arguments)
    narrow = runs.Unit(a="fp32", acc="window:msb=7,lsb=-32,ovf=8")
    residuals = []
    for options in ([], ["--scale"]):
        output = runner.served(narrow, "solver_app.py", *arguments, *options)["output"]
        residuals.append(float(runs.numbers(solver.LINE, output)[0][3]))
    assert residuals[1] < 2e-6 < 1e-5 < residuals[0]


def test_the_narrowest_window_as_accurate_as_the_fused_unit_is_chosen():
    def row(kind: str, acc: str, width: int, error: float | None, accuracy: float = 0.99):
        words = {"a": "bf16", "acc": acc}
        errors = {"attention_error": error, "output_error": error}
        return {"kind": kind, "words": words, "width": width, "accuracy": accuracy, **errors}

    rows = [
        row("fma", "fma:fp32", 32, 0.1) | {"interval": [0.98, 1.0]},
        row("window", "wide", 30, 0.1),
        row("window", "narrow", 20, 0.104),
        row("window", "inaccurate", 19, 0.2),
        row("range", "overflows", 18, None),
        row("window", "wrong", 17, 0.1, accuracy=0.97),
    ]
    assert attention.cheapest(rows, "bf16", "fma:fp32")["words"]["acc"] == "narrow"
    assert attention.cheapest(rows[:1], "bf16", "fma:fp32") is None


def test_scaling_by_powers_of_two_changes_no_bit_of_native_results(tmp_path):
    given = solver_app.problem(tmp_path, "cg", 1e3, "float32", 0)
    plain, scaled = (
        solver_app.solve("cg", given, "float32", scale=scale) for scale in (False, True)
    )
    assert plain[1] == scaled[1]
    np.testing.assert_array_equal(plain[0], scaled[0])


@pytest.mark.parametrize("method", ["normal", "qr"])
def test_least_squares_are_the_reference_within_what_the_condition_allows(method, tmp_path):
    given = solver_app.problem(tmp_path, method, 1e2, "float64", 0)
    x, _ = solver_app.solve(method, given, "float64", scale=False)
    np.testing.assert_allclose(x, given["solution"], rtol=0, atol=1e-11)


def test_a_run_that_is_not_wholly_served_is_refused():
    total = {"served_calls": 7, "served_flops": 14, "native_calls": 0, "failed_calls": 0}
    summary = {"total": total, "unreachable": [], "warnings": ["said so"]}
    assert runs._checked(summary, EXACT) == {"calls": 7, "flops": 14}
    for change in ({"native_calls": 1}, {"failed_calls": 1}, {"served_calls": 0}):
        with pytest.raises(RuntimeError, match="said so"):
            runs._checked({**summary, "total": {**total, **change}}, EXACT)
    with pytest.raises(RuntimeError, match="not all was served"):
        runs._checked({**summary, "unreachable": [{"what": "numpy.linalg.qr"}]}, EXACT)


def slope(function, array: np.ndarray, place: tuple[int, ...], step: float = 1e-5) -> float:
    """The derivative of a function by one element of an array that it reads."""
    kept = array[place]
    ends = []
    for sign in (1, -1):
        array[place] = kept + sign * step
        ends.append(function())
    array[place] = kept
    return (ends[0] - ends[1]) / (2 * step)


def test_gradients_of_training_are_derivatives_of_its_loss():
    random = np.random.default_rng(3)
    network = training_app.Network.random(random)
    for values in (network.weights, network.biases):
        values[:] = [value.astype(np.float64) for value in values]
    pixels, labels = random.random((8, 64)), random.integers(10, size=8)

    def loss() -> float:
        chance = training_app.softmax(network.forward(pixels)[-1])
        return float(-np.log(chance[np.arange(8), labels]).mean())

    found = network.gradients(pixels, labels, scale=16.0)
    for value, gradient in zip(network.weights + network.biases, found, strict=True):
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        assert gradient[place] / 16 == pytest.approx(slope(loss, value, place), rel=1e-4)


def test_gradients_of_attention_are_derivatives_of_its_loss():
    random = np.random.default_rng(4)
    shapes = {**attention_app.LAYERS, "keys": (64, 64), "values": (32, 64), "role": (1, 64)}
    weights = {name: 0.2 * random.normal(size=shape) for name, shape in shapes.items()}
    keys, values, asked = attention_app.sequences(random, 2)
    answers = np.take_along_axis(values, asked, axis=1)

    def loss() -> float:
        tokens = attention_app.embed(weights, keys, values, asked, 4.0)
        chance = attention_app.softmax(attention_app.Block(weights).forward(tokens)["scores"])
        return float(-np.log(np.take_along_axis(chance, answers[..., None], 2)).mean())

    tokens = attention_app.embed(weights, keys, values, asked, 4.0)
    found = attention_app.gradients(attention_app.Block(weights), tokens, answers)
    by_token = found.pop("tokens")
    found |= attention_app.embedding_gradients(weights, by_token, keys, values, asked)
    for name, gradient in found.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        assert gradient[place] == pytest.approx(slope(loss, weights[name], place), rel=1e-3), name


def test_a_dynamic_scale_backs_off_where_gradients_are_not_finite():
    options = argparse.Namespace(epochs=1, loss_scale=2.0**24, dynamic=True)
    random = np.random.default_rng(5)
    # So large that the scaled gradients are beyond float32, not the forward pass.
    pixels = (1e18 * random.random((256, 64))).astype(np.float32)
    labels = random.integers(10, size=256)
    with np.errstate(all="ignore"):
        network, skipped, scale = training_app.train(pixels, labels, options, 0)
    assert skipped > 0 and scale < options.loss_scale
    assert all(np.isfinite(weight).all() for weight in network.weights)


def test_intervals_are_students_and_wilsons():
    mean, half = runs.student([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (mean, half) == (3.0, pytest.approx(1.963, abs=1e-3))
    assert runs.wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert runs.wilson(1.0, 10)[1] == pytest.approx(1.0)
