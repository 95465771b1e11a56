"""Sums of sea surface heights: the window's are exact in any order, others are what they say."""

from __future__ import annotations

from argparse import Namespace
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("gmpy2")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

import sea_surface_energy
import sea_surface_height as experiment
from sea_surface_page import sea_surface_page
from sea_surface_time import METHODS, OPERATIONS, compiled, software_times, sum_of

ORDERS = 4


@pytest.fixture(scope="module", params=experiment.TOP_DECADES)
def values(request) -> np.ndarray:
    return experiment.heights(request.param, seed=1)


@pytest.fixture(scope="module")
def numbers(values) -> np.ndarray:
    return experiment.shuffled(values, 1, ORDERS, seed=1)


def test_the_data_add_up_to_the_published_sum(values):
    assert sum(map(Fraction, values.tolist())) == experiment.EXACT_SUM
    assert len(values) == 7680
    assert experiment.condition(values) > 1e16
    np.testing.assert_array_equal(values * 2**26, np.rint(values * 2**26))


def test_the_window_is_exact_in_every_order_and_doubles_are_not(values, numbers):
    summed = experiment.hardware(experiment.window_for(values, 2))
    assert set(summed(numbers).tolist()) == {float(experiment.EXACT_SUM)}
    twice = experiment.shuffled(values, 2, 2, seed=1)
    assert set(summed(twice).tolist()) == {float(2 * experiment.EXACT_SUM)}
    assert len(set(experiment.plain(numbers).tolist())) > 1


def test_a_narrower_window_is_not_exact(values, numbers):
    window = experiment.window_for(values, 1).window
    text = f"window:msb={window.msb},lsb={window.lsb + 4},ovf={window.ovf}"
    path = experiment.hwgen.Datapath.parse(a="fp64", b="uint:1", acc=text, out="fp64")
    assert set(experiment.hardware(path)(numbers).tolist()) != {float(experiment.EXACT_SUM)}


@pytest.mark.parametrize("name", METHODS)
def test_methods_in_c_and_in_python_agree(name, numbers):
    library = compiled()
    if library is None:
        pytest.skip("needs gcc with binary128")
    expected = experiment.METHODS[name](numbers)
    found = [sum_of(library, name, numbers[:, order]) for order in range(ORDERS)]
    assert found == expected.tolist()


def test_bits_and_deviation_of_known_sums():
    sums = np.array([1.0, 1.5, 3.0])
    assert experiment.accurate_bits(sums, Fraction(1)) == [53, 1.0, -1.0]
    assert experiment.deviation(np.array([2.0, 2.0]), Fraction(1)) == 0
    assert experiment.deviation(np.array([1.0, 3.0]), Fraction(4)) == 0.25


def test_units_of_a_group_differ_in_their_accumulator_alone():
    found = sea_surface_energy.units("window:msb=44,lsb=-26,ovf=15", ["uint:1", "fp64"], [3])
    assert [unit.conventional for unit in found] == [False, True, False, True]
    for window, unit in (found[:2], found[2:]):
        assert window.b == unit.b
        assert window.datapath.b == unit.datapath.b
        assert window.datapath.out == unit.datapath.out == window.datapath.a


def test_the_page_holds_what_was_found(values, monkeypatch, tmp_path):
    measured = {
        "sum_nj": 2.0,
        "zero_delay_nj": 1.0,
        "area_um2": 3,
        "flip_flops": 4,
        "fmax_mhz": 5.0,
        "cycles_a_number": 1.0,
        "library": "cells",
    }
    monkeypatch.setattr(experiment, "measured_unit", lambda *_, **__: measured)
    datapath = experiment.window_for(values, 1)
    summed = experiment.hardware(datapath)
    methods = {"binary64": experiment.plain, "hwgen": summed}
    options = Namespace(orders=2, seed=1, cache=tmp_path, multipliers=["uint:1"], lanes=[3])
    decade = {
        "top_decade": 13.5,
        "condition": experiment.condition(values),
        "window": str(datapath.window),
        "bits": datapath.window.width,
        "methods": experiment.accuracies(methods, values, [1], 2, 1),
        "ns_a_number": software_times(values, summed, repeats=1),
        "energies": experiment.energies(values, str(datapath.window), options),
    }
    ours = decade["methods"]["hwgen"]
    assert ours["worst_bits"] == [experiment.EXACT_BITS]
    assert ours["relative_standard_deviation"] == [0.0]
    assert ours["different_sums"] == [1]
    assert [record["bits_a_uj"] for record in decade["energies"]][0] == 53e3 / 2
    found = {
        "command": "python x.py",
        "orders": 2,
        "seed": 1,
        "numbers": [7680],
        "processor": "p",
        "compiler_flags": "-O2",
        "operations": OPERATIONS,
        "decades": [decade],
    }
    page = sea_surface_page(found)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "all 2 sums have at least 53 accurate bits" in text
    assert str(datapath.window) in text
