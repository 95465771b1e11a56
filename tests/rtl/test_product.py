"""Products of any width, in the stages that the formula says."""

from __future__ import annotations

import random

import pytest

from hwgen.rtl.product import Product
from hwgen.spec.pipeline import product_stages
from sim.pysim import pipeline


@pytest.mark.parametrize(
    ("a", "b", "multiplier", "stages"),
    [
        (1, 1, 18, 1),
        (18, 18, 18, 1),
        (19, 18, 18, 2),
        (31, 31, 18, 3),
        (36, 8, 18, 2),
        (54, 54, 18, 4),
        (54, 20, 18, 3),
        (24, 24, 0, 1),
        (7, 5, 2, 4),
    ],
)
def test_any_width_multiplies_exactly_after_the_stated_stages(a, b, multiplier, stages):
    assert product_stages(a, b, multiplier) == stages
    generator = random.Random(a * 100 + b)
    corners = [(x, y) for x in (0, 1, (1 << a) - 1) for y in (0, 1, (1 << b) - 1)]
    pairs = corners + [(generator.getrandbits(a), generator.getrandbits(b)) for _ in range(60)]
    dut = Product(a, b, stages, multiplier_bits=multiplier)
    rows = pipeline(dut, pairs, inputs=[dut.a, dut.b], outputs=[dut.product], latency=dut.latency)
    assert [row[0] for row in rows] == [x * y for x, y in pairs]
