from __future__ import annotations

import pytest

from hwgen.errors import HwgenError, UnsupportedError
from hwgen.flow.targets import load_target, target_names


def test_the_targets_are_known_by_name():
    assert {"ecp5", "ice40", "xcup"} <= set(target_names())


@pytest.mark.parametrize("name", target_names())
def test_every_target_is_complete(name):
    target = load_target(name)
    assert target.title
    assert target.notes
    assert bool(target.place) == bool(target.devices) == bool(target.resources)
    for device in target.devices:
        assert set(device.capacity) == set(target.resources.values())
    # Devices that may be chosen after synthesis must not change it.
    assert len({device.synthesis for device in target.devices if device.automatic}) <= 1


def test_cells_are_counted_by_kind():
    area = load_target("ice40").area({"SB_LUT4": 7, "SB_DFF": 2, "SB_DFFESR": 3, "SB_CARRY": 4})
    assert (area.lut, area.ff, area.carry, area.dsp, area.bram) == (7, 5, 4, 0, 0)
    area = load_target("xcup").area({"LUT2": 1, "LUT6": 2, "INV": 4, "LUT6_2": 8, "SRL16E": 3})
    assert (area.lut, area.lutram) == (7, 3)


@pytest.mark.parametrize(
    ("used", "device"),
    [
        ({"TRELLIS_COMB": 100}, "LFE5U-12F"),
        ({"TRELLIS_COMB": 12144}, "LFE5U-25F"),
        ({"TRELLIS_COMB": 100, "TRELLIS_FF": 30_000}, "LFE5U-45F"),
        ({"TRELLIS_COMB": 100, "MULT18X18D": 28}, "LFE5U-12F"),
        ({"TRELLIS_COMB": 100, "MULT18X18D": 29}, "LFE5U-45F"),
        ({"TRELLIS_COMB": 100, "DP16KD": 200}, "LFE5U-85F"),
    ],
    ids=["small", "nearly full", "flip-flops", "multipliers just fit", "multipliers", "memories"],
)
def test_the_smallest_device_that_fits_is_taken(used, device):
    assert load_target("ecp5").smallest(used).name == device


def test_a_design_too_large_for_the_family_is_refused_with_both_numbers():
    with pytest.raises(
        UnsupportedError, match="needs 9000 LC but the largest device hx8k has 7680"
    ):
        load_target("ice40").smallest({"ICESTORM_LC": 9000})


def test_a_design_too_large_for_the_named_device_is_refused():
    target = load_target("ecp5")
    device = target.device("lfe5u-12f")
    assert target.smallest({"TRELLIS_COMB": 12144}, only=device) is device
    with pytest.raises(UnsupportedError, match="needs 29 DSP but device LFE5U-12F has 28"):
        target.smallest({"MULT18X18D": 29}, only=device)


def test_an_unknown_target_is_refused_with_those_there_are():
    with pytest.raises(UnsupportedError, match="'ecp6'; known are ecp5, ice40, xcup"):
        load_target("ecp6")


def test_an_unknown_device_is_refused_with_those_there_are():
    with pytest.raises(HwgenError, match="no device 'LFE5U-99F'; known are LFE5U-12F"):
        load_target("ecp5").device("LFE5U-99F")
    with pytest.raises(HwgenError, match="xcup takes no device"):
        load_target("xcup").device("xcvu9p")
