from __future__ import annotations

import re

import pytest

from hwgen.errors import HwgenError
from hwgen.flow.wrapper import Port, serial_harness

CLOCK = Port(name="aclk", direction="input", width=1)


def harness(*ports: Port) -> str:
    return serial_harness([CLOCK, *ports], core="thing")


def test_every_bit_of_every_port_has_its_own_slice():
    text = harness(
        Port(name="a", direction="input", width=5),
        Port(name="b", direction="input", width=3),
        Port(name="c", direction="output", width=7),
        Port(name="d", direction="output", width=1),
    )
    assert ".aclk(clk)" in text
    assert ".a(stimulus[4:0])" in text
    assert ".b(stimulus[7:5])" in text
    assert ".c(result[6:0])" in text
    assert ".d(result[7:7])" in text


def test_the_reset_is_not_driven_by_the_shift_register():
    text = harness(
        Port(name="aresetn", direction="input", width=1),
        Port(name="a", direction="input", width=1),
        Port(name="c", direction="output", width=1),
    )
    assert ".aresetn(reset_q)" in text
    assert "reg [0:0] stimulus;" in text


@pytest.mark.parametrize("width", [1, 2, 4, 5, 16, 17, 64, 65, 1000])
def test_the_fold_reaches_every_output_once_and_ends_in_one_bit(width):
    text = harness(
        Port(name="a", direction="input", width=1),
        Port(name="c", direction="output", width=width),
    )
    widths = {name: int(high) + 1 for high, name in re.findall(r"reg \[(\d+):0\] (fold\d+);", text)}
    read: dict[str, list[int]] = {}
    for name, high, low in re.findall(r"<= \^(fold\d+)\[(\d+):(\d+)\]", text):
        assert int(high) - int(low) < 4
        read.setdefault(name, []).extend(range(int(low), int(high) + 1))
    last = re.search(r"assign serial_out = (fold\d+)\[0\]", text)[1]
    assert widths["fold0"] == width
    assert widths[last] == 1
    assert read == {name: list(range(count)) for name, count in widths.items() if name != last}


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ([], "no input 'aclk'"),
        ([CLOCK, Port(name="a", direction="input", width=1)], "no outputs"),
        ([CLOCK, Port(name="c", direction="output", width=1)], "no inputs"),
    ],
    ids=["no clock", "no outputs", "no inputs"],
)
def test_a_core_that_cannot_be_timed_is_refused(ports, message):
    with pytest.raises(HwgenError, match=message):
        serial_harness(ports, core="thing")
