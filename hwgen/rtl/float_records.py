"""Bit layouts of floating-point sums, derived from a datapath's alignment.

Numbers are two's complement with a tail, see :mod:`hwgen.spec.float_sum`. Both infinities together
mean NaN.
"""

from __future__ import annotations

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from hwgen.spec.float_sum import FloatAlignment

__all__ = ["EVENTS", "addend_layout", "float_partial_layout", "sum_layout"]

EVENTS = ("overflow", "inexact")  # what IEEE 754 calls exceptions, kept until the block ends


def _number_layout(magnitude_bits: int, exponents: range) -> dict[str, Shape]:
    return {
        "value": unsigned(magnitude_bits + 1),
        "exponent": Shape.cast(exponents),
        "positive_inf": unsigned(1),
        "negative_inf": unsigned(1),
    }


def addend_layout(alignment: FloatAlignment) -> data.StructLayout:
    """Layout of what is added to a sum: a product, or another lane's sum.

    ``negative`` is the sign that counts where the value is zero.
    """
    members = _number_layout(alignment.addend_bits, alignment.addend_exponents)
    members |= {"tail": unsigned(1), "negative": unsigned(1)}
    if not alignment.sum.fused:
        members |= dict.fromkeys(EVENTS, unsigned(1))
    return data.StructLayout(members)


def sum_layout(alignment: FloatAlignment) -> data.StructLayout:
    """Layout of a sum before its rounding is done.

    Below ``value`` follow a ``guard`` bit and, if ``sticky``, ones and zeros, else ``tail`` for
    ever. An exact zero, which may read 0 or -1 with a tail, is -0 if ``both_negative``, as its
    summands were, else +0.
    """
    members = _number_layout(alignment.precision, alignment.sum_exponents)
    members |= dict.fromkeys(("guard", "sticky", "tail", "both_negative"), unsigned(1))
    return data.StructLayout(members)


def float_partial_layout(alignment: FloatAlignment) -> data.StructLayout:
    """Layout of a finished sum on its way out: with the events of all but the last rounding."""
    return data.StructLayout(
        dict(sum_layout(alignment).members) | dict.fromkeys(EVENTS, unsigned(1))
    )
