"""Finished accumulators as the rounders get them, for the tests of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwgen.rtl.records import partial_lags, partial_layout
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath


def partial_words(
    datapath: Datapath, cases: Sequence[tuple[int, Mapping[str, int]]]
) -> list[tuple[int]]:
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
