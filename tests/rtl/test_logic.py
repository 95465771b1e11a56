"""Comparisons with constants, written as gates: every value against every bound."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Shape, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.logic import any_of, at_least, first_set, in_range
from sim.pysim import pipeline


class Gates(wiring.Component):
    """Applies functions to one value."""

    def __init__(self, shape: Shape, functions) -> None:
        self._functions = functions
        super().__init__({"value": In(shape), "results": Out(len(functions))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            result.eq(function(self.value))
            for result, function in zip(self.results, self._functions, strict=True)
        ]
        m.d.sync += Signal().eq(0)  # the test bench wants a clock
        return m


def results(shape: Shape, functions) -> dict[int, list[bool]]:
    values = list(range(-4, 4)) if shape.signed else list(range(8))
    dut = Gates(shape, functions)
    rows = pipeline(
        dut, [(value,) for value in values], inputs=[dut.value], outputs=[dut.results], latency=0
    )
    return {
        value: [bool(row[0] >> index & 1) for index in range(len(functions))]
        for value, row in zip(values, rows, strict=True)
    }


@pytest.mark.parametrize("shape", [signed(3), unsigned(3)], ids=["signed", "unsigned"])
def test_at_least_compares_with_any_bound_inside_and_outside_the_range(shape):
    bounds = range(-6, 11)
    told = results(shape, [lambda v, bound=bound: at_least(v, bound) for bound in bounds])
    for value, row in told.items():
        assert row == [value >= bound for bound in bounds]


def test_in_range_needs_to_tell_possible_values_only():
    possible = range(-3, 3)
    wanted = [range(low, high) for low in range(-5, 5) for high in range(low, 6)]
    told = results(signed(3), [lambda v, r=r: in_range(v, r, possible) for r in wanted])
    for value in possible:
        assert told[value] == [value in r for r in wanted]


def test_no_flags_are_not_any():
    told = results(unsigned(3), [lambda v: any_of([]), lambda v: any_of([v[0], v[2]])])
    assert {value: row[1] for value, row in told.items()} == {v: bool(v & 5) for v in range(8)}
    assert not any(row[0] for row in told.values())


@pytest.mark.parametrize("count", range(1, 9))
def test_the_first_set_flag_is_found_among_any_number_of_flags(count):
    shape = unsigned(8)

    class Finder(wiring.Component):
        def __init__(self) -> None:
            super().__init__({"value": In(shape), "index": Out(8)})

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.d.comb += self.index.eq(first_set([self.value[place] for place in range(count)]))
            m.d.sync += Signal().eq(0)
            return m

    dut = Finder()
    values = range(1 << count)
    rows = pipeline(
        dut, [(value,) for value in values], inputs=[dut.value], outputs=[dut.index], latency=0
    )
    for value, (index,) in zip(values, rows, strict=True):
        flags = [value >> place & 1 for place in range(count)]
        assert index == (flags.index(1) if any(flags) else count - 1)
