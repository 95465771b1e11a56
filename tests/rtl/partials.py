"""Finished accumulators as the rounders get them, for the tests of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hwgen.rtl.records import partial_lags, partial_layout
from hwgen.rtl.round import rounder_class
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.rounding import rounding_stages
from sim.pysim import pipeline

Case = tuple[int, Mapping[str, int]]  # an accumulator's value, and its flags
Expected = Callable[[Datapath, int, Mapping[str, int]], tuple[int, int]]  # bits and status


def partial_words(datapath: Datapath, cases: Sequence[Case]) -> list[tuple[int]]:
    """Lay out a value and its flags a cycle; parts of wide sums come later, as in the circuit."""
    alignment = align(datapath)
    layout = partial_layout(alignment)
    lags = partial_lags(alignment)
    words = [0] * (len(cases) + max(lag for _, lag in lags))
    for cycle, (value, flags) in enumerate(cases):
        word = layout.const({"value": value, **flags}).as_value().value
        for bits, lag in lags:
            words[cycle + lag] |= word & ((1 << bits.stop) - (1 << bits.start))
    return [(word,) for word in words]


def value_range(datapath: Datapath) -> range:
    """Every value that the accumulator may hand out."""
    bits = partial_layout(align(datapath)).members["value"].width
    return range(-(1 << (bits - 1)), 1 << (bits - 1))


def flag_names(datapath: Datapath) -> list[str]:
    return [name for name in partial_layout(align(datapath)).members if name != "value"]


def check_rounder(datapath: Datapath, cases: Sequence[Case], expected: Expected) -> None:
    """Feed one accumulator a cycle and compare every result at the formula's latency."""
    dut = rounder_class(datapath)(datapath)
    results = pipeline(
        dut,
        partial_words(datapath, cases),
        inputs=[dut.partial.as_value()],
        outputs=[dut.bits, dut.status],
        latency=rounding_stages(datapath),
    )[: len(cases)]
    assert dut.latency == rounding_stages(datapath)
    wrong = [
        (value, flags, result, expected(datapath, value, flags))
        for (value, flags), result in zip(cases, results, strict=True)
        if result != expected(datapath, value, flags)
    ]
    assert wrong == []
