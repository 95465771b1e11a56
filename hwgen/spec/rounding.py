"""How a finished register is rounded to the result format: the constants of one rounder.

A rounder to a floating-point format or a posit works on the one's complement magnitude: the
register with its bits inverted where it is negative, standing for ``field.111...`` then, so that no
carry chain is spent on negation. It moves the leading one to the top of a field, but never past the
place where the format's subnormals begin; what is then on top, the bit under it and the rest decide
the rounding. A posit has no subnormals; its fraction moves down again behind a regime of any
length.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.formats import Format
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.formats.posit import Posit
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.float_conversion import conversion
from hwgen.spec.operands import shift_digits

__all__ = [
    "Normalisation",
    "normalise",
    "posit_fraction_bits",
    "rounder_columns",
    "rounding_stages",
    "whole_stages",
]

START_LATENCY = 1  # of the addition of a start value, a part of the sum at a time


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
        Exponent field of a number whose leading one is the field's top bit, before any shift; for a
        posit, which has no such field, the weight exponent of that bit.
    max_shift : int
        Largest left shift; more would pass the format's least exponent, or the field's last bit: -1
        reads as a field of zeros followed by ones.
    bounded : bool
        Whether ``max_shift`` is set by the format, so that the shift must be limited.
    places_per_stage : int
        Binary places done between two registers.
    """

    width: int
    pad_low: int
    top_field: int
    max_shift: int
    bounded: bool
    places_per_stage: int

    @property
    def digits(self) -> list[tuple[int, int]]:
        """Lowest place and places of the shift's digits, a stage each, most significant first."""
        return shift_digits(self.max_shift.bit_length(), self.places_per_stage)


def normalise(datapath: Datapath) -> Normalisation:
    """Derive the normalising shift of a datapath with a floating-point or posit result."""
    out = datapath.out
    if isinstance(out, Posit):
        return _normalise_for_posit(datapath, out)
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
        places_per_stage=datapath.pipeline.rounder_places,
    )


def _normalise_for_posit(datapath: Datapath, out: Posit) -> Normalisation:
    window = datapath.window
    magnitude_bits = window.width - 1
    pad_low = max(0, 1 + posit_fraction_bits(out) - magnitude_bits)
    return Normalisation(
        width=magnitude_bits + pad_low,
        pad_low=pad_low,
        top_field=window.lsb + magnitude_bits - 1,
        max_shift=magnitude_bits,  # brings the ones below bit 0 to the top
        bounded=False,
        places_per_stage=datapath.pipeline.rounder_places,
    )


def posit_fraction_bits(out: Posit) -> int:
    """Fraction bits behind the shortest regime, and a guard bit."""
    return max(0, out.width - 2 - out.exponent_bits)


def rounding_stages(datapath: Datapath, *, start: bool = False) -> int:
    """Latency of a rounder in cycles; what follows its last register goes into the output buffer.

    Registers handed out as they are take 0, other fixed-point results 1 (round; then saturate);
    floating-point results take 1 (register the input), the normalising shift's stages and 1 (round;
    then overflow and specials); posits 2 more (regime and exponent; their shift). Floating-point
    sums take 1 (finish the last rounding) and what the conversion to another format takes. All wait
    for the highest part of a sum that is added in parts. A ``start`` value is added before all
    that, which takes 1.
    """
    if datapath.float_sum is not None:
        converted = conversion(datapath)
        return 1 + (converted.stages if converted else 0)
    out: Format | None = datapath.out
    aligned = whole_stages(datapath, start=start)
    if datapath.hands_out_register:
        return aligned
    if isinstance(out, FixedPoint):
        return aligned + 1
    return aligned + 1 + len(normalise(datapath).digits) + (3 if isinstance(out, Posit) else 1)


def whole_stages(datapath: Datapath, *, start: bool = False) -> int:
    """Cycles that a rounder waits for a sum's highest part, and takes to add a ``start`` value."""
    return align(datapath).skew + (START_LATENCY if start else 0)


def rounder_columns(datapath: Datapath, cols: int) -> int:
    """Columns that share a rounder.

    A column brings a row every two cycles, its neighbour in the cycles between: one rounder to a
    floating-point format or a posit, which is larger than the multiplexer before it, serves both.
    So does a unit that scales sums of scale blocks, with any rounder behind it.
    """
    shared = isinstance(datapath.out, Float | Posit) or datapath.block_terms
    return 2 if cols > 1 and shared else 1
