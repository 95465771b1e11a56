"""Energies of sums come from the very data, and are measured once."""

from __future__ import annotations

import numpy as np
import pytest
import sea_surface_energy
from sea_surface_energy import Unit, measured_unit

from hwgen.explore.cache import Cache

UNIT = Unit(name="w", b="uint:1", acc="window:msb=6,lsb=-4,ovf=5", conventional=False)
STILL = np.full(16, 1.0)
MOVING = np.array([93.0, -1.5] * 8)


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.sim
def test_data_that_move_take_more_and_what_is_known_is_kept(standard_cells, tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    still = measured_unit(UNIT, STILL, cache=cache)
    moving = measured_unit(UNIT, MOVING, cache=cache)
    assert moving["area_um2"] == still["area_um2"]
    assert moving["sum_nj"] > 1.5 * still["sum_nj"]
    assert moving["sum_nj"] >= moving["zero_delay_nj"]
    monkeypatch.delattr(sea_surface_energy, "estimate_asic")
    assert measured_unit(UNIT, STILL, cache=cache) == still
    assert measured_unit(UNIT, MOVING, cache=cache) == moving
