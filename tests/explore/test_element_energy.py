"""Energies of a search: on drawn operands and on those of the program."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest

from hwgen.explore.element_energy import measure_element
from hwgen.explore.recorded import Recording

WORDS = {"a": "int4", "b": "int4", "acc": "int:12", "out": "fp32"}


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.sim
def test_the_programs_operands_are_a_fourth_stimulus(standard_cells):
    drawn = measure_element(WORDS, None)
    quiet = Recording(site="s", share=1.0, a=np.zeros((4, 64)), b=np.zeros((64, 4)))
    found = measure_element(WORDS, None, quiet.to_dict())
    assert list(found["energies"]) == ["recorded", "gaussian", "relu", "skewed"]
    assert found["energy_pj"] == pytest.approx(fmean(found["energies"].values()))
    assert {kind: found["energies"][kind] for kind in drawn["energies"]} == drawn["energies"]
    # Area is told by product a cycle.
    twice = measure_element(WORDS | {"acc": "int:12,dot=2"}, None)
    assert 0.6 * drawn["area_um2"] < twice["area_um2"] < drawn["area_um2"]
    # Nothing but the clock moves where all operands are 0.
    assert found["energies"]["recorded"] < 0.9 * min(drawn["energies"].values())
