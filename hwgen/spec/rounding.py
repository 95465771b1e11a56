"""How a finished register is rounded to the result format: the constants of one rounder.

A rounder to a floating-point format moves the register's leading one to the top of a field, but
never past the place where the format's subnormals begin; what is then on top, the bit under it and
the OR of the rest decide the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.formats import Format
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.spec.datapath import Datapath

__all__ = ["Normalisation", "normalise", "rounding_stages"]

DIGITS_PER_STAGE = 2  # binary places of the normalising shift done between two registers


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """Constants of the normalising shift.

    Attributes
    ----------
    width : int
        Bits of the shifted field: the register's magnitude, zeros added above where all of it lies
        in the subnormal range and below where it is narrower than a significand and its guard bit.
    pad_low : int
        Zeros added below.
    top_field : int
        Exponent field of a number whose leading one is the field's top bit, before any shift.
    max_shift : int
        Largest left shift; more would pass the format's least exponent, or the register's last bit.
    bounded : bool
        Whether ``max_shift`` is set by the format, so that the shift must be limited.
    """

    width: int
    pad_low: int
    top_field: int
    max_shift: int
    bounded: bool

    @property
    def places(self) -> int:
        """Binary places of the shift distance."""
        return self.max_shift.bit_length()

    @property
    def stages(self) -> int:
        """Pipeline stages of the shift."""
        return -(-self.places // DIGITS_PER_STAGE)


def normalise(datapath: Datapath) -> Normalisation:
    """Derive the normalising shift of a datapath with a floating-point result."""
    out = datapath.out
    assert isinstance(out, Float), out
    window = datapath.window
    # Weight of the magnitude's top bit; -2**(W-1) has a magnitude of W bits.
    top_weight = window.lsb + window.width - 1
    least_normal = out.min_exponent + out.fraction_bits
    top_field = top_weight - least_normal + 1
    pad_high = max(0, 1 - top_field)
    pad_low = max(0, out.fraction_bits + 2 - window.width - pad_high)
    last_one = window.width + pad_high - 1  # shift that brings the register's bit 0 to the top
    to_subnormal = top_field + pad_high - 1
    return Normalisation(
        width=window.width + pad_high + pad_low,
        pad_low=pad_low,
        top_field=top_field + pad_high,
        max_shift=min(last_one, to_subnormal),
        bounded=to_subnormal < last_one,
    )


def rounding_stages(datapath: Datapath) -> int:
    """Latency of a rounder in cycles.

    Raw results take 1, fixed-point results 3 (register, round, saturate); floating-point results
    take the magnitude, the normalising shift, then guard and sticky, the increment and the choice
    of specials.
    """
    out: Format | None = datapath.out
    if out is None:
        return 1
    if isinstance(out, FixedPoint):
        return 3
    return 1 + normalise(datapath).stages + 3
