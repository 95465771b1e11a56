"""How a finished register is rounded to the result format: the constants of one rounder.

A rounder to a floating-point format works on the one's complement magnitude: the register with its
bits inverted where it is negative, standing for ``field.111...`` then, so that no carry chain is
spent on negation. It moves the leading one to the top of a field, but never past the place where
the format's subnormals begin; what is then on top, the bit under it and the rest decide the
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.formats import Format
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.spec.datapath import Datapath

__all__ = ["Normalisation", "normalise", "rounder_columns", "rounding_stages"]

PLACES_PER_STAGE = 3  # binary places of the normalising shift done between two registers


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """Constants of the normalising shift.

    Attributes
    ----------
    width : int
        Bits of the shifted field: the register's without its sign, zeros added above where all of
        it lies in the subnormal range, copies of the sign below where it is narrower than a
        significand and its guard bit.
    pad_low : int
        Bits added below.
    top_field : int
        Exponent field of a number whose leading one is the field's top bit, before any shift.
    max_shift : int
        Largest left shift; more would pass the format's least exponent, or the field's last bit: -1
        reads as a field of zeros followed by ones.
    bounded : bool
        Whether ``max_shift`` is set by the format, so that the shift must be limited.
    """

    width: int
    pad_low: int
    top_field: int
    max_shift: int
    bounded: bool

    @property
    def digits(self) -> list[tuple[int, int]]:
        """Lowest place and places of the shift's digits, a stage each, most significant first."""
        places = self.max_shift.bit_length()
        stages = -(-places // PLACES_PER_STAGE)
        result = []
        for stage in range(stages):
            size = -(-places // (stages - stage))
            places -= size
            result.append((places, size))
        return result


def normalise(datapath: Datapath) -> Normalisation:
    """Derive the normalising shift of a datapath with a floating-point result."""
    out = datapath.out
    assert isinstance(out, Float), out
    window = datapath.window
    magnitude_bits = window.width - 1
    top_weight = window.lsb + magnitude_bits - 1
    least_normal = out.min_exponent + out.fraction_bits
    top_field = top_weight - least_normal + 1
    pad_high = max(0, 1 - top_field)
    pad_low = max(0, out.fraction_bits + 2 - magnitude_bits - pad_high)
    past_last = magnitude_bits + pad_high  # the shift that brings the ones below bit 0 to the top
    to_subnormal = top_field + pad_high - 1
    return Normalisation(
        width=magnitude_bits + pad_high + pad_low,
        pad_low=pad_low,
        top_field=top_field + pad_high,
        max_shift=min(past_last, to_subnormal),
        bounded=to_subnormal < past_last,
    )


def rounding_stages(datapath: Datapath) -> int:
    """Latency of a rounder in cycles; what follows its last register goes into the output buffer.

    Raw results take 0, fixed-point results 1 (round; then saturate); floating-point results take 1
    (register the input), the normalising shift's stages and 1 (round; then overflow and specials).
    """
    out: Format | None = datapath.out
    if out is None:
        return 0
    if isinstance(out, FixedPoint):
        return 1
    return 1 + len(normalise(datapath).digits) + 1


def rounder_columns(datapath: Datapath, cols: int) -> int:
    """Columns that share a rounder.

    A column brings a row every two cycles, its neighbour in the cycles between: one rounder to a
    floating-point format, which is larger than the multiplexer before it, serves both.
    """
    return 2 if cols > 1 and isinstance(datapath.out, Float) else 1
