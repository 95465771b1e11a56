"""Operands as the array sees them: what the unpackers at the edge make of a format's patterns."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwgen.formats import Format
from hwgen.formats.block import BlockScaled
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.formats.posit import Posit
from hwgen.formats.scale import POWER_BIAS, POWER_NAN, SCALE_FLOAT, Scale

__all__ = ["Operand", "float_operand", "integer_operand", "normalised", "shift_digits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """What an unpacker hands to the array: sign and magnitude times ``2**(exponent + base)``.

    The exponent counts from 0. Before it leaves the edge ``offset`` is added to it and it is split
    into steps of ``step`` binary places and a rest below one step; the significand is moved up by
    the rest. Multipliers of an FPGA are wider than most significands, so the places that the edge
    has moved need no shifter in the processing elements.

    Parameters
    ----------
    precision : int
        Bits of the magnitude before it is moved; of the two's complement value where
        ``twos_complement``.
    max_exponent : int
        Largest exponent; 0 if all numbers share one.
    base : int
        Weight exponent of the significand's lowest bit at exponent 0.
    twos_complement : bool
        Both operands are fixed point: the value goes unchanged into a signed product.
    signed, has_nan, has_inf : bool
    normalised : bool
        The leading one is at the top of the significand; for most formats the unpacker moves it.
    loose_exponent : int
        Largest exponent of a number whose leading one is not at the top, where not normalised.
    step : int
        Binary places of one unit of the exponent that leaves the edge, a power of two.
    offset : int
        Added to the exponent before it is split.
    """

    precision: int
    max_exponent: int
    base: int
    twos_complement: bool
    signed: bool
    has_nan: bool
    has_inf: bool
    normalised: bool
    loose_exponent: int = 0
    step: int = 1
    offset: int = 0

    @property
    def loose_step(self) -> int:
        """Largest exponent, in steps, of a number whose leading one is not at the top."""
        return (self.loose_exponent + self.offset) // self.step

    @property
    def steps(self) -> range:
        """Exponents that leave the edge, in steps."""
        return range(self.offset // self.step, (self.max_exponent + self.offset) // self.step + 1)

    @property
    def places(self) -> int:
        """Most binary places that the significand is moved up by."""
        if len(self.steps) > 1:
            return self.step - 1
        return (self.max_exponent + self.offset) % self.step

    @property
    def significand_bits(self) -> int:
        """Bits of the significand that leaves the edge."""
        return self.precision + self.places

    @property
    def trailing_bits(self) -> int:
        """Bits of a count of trailing zeros of a nonzero significand."""
        return (self.significand_bits - 1).bit_length()


def float_operand(fmt: Format) -> Operand:
    """Sign, magnitude and exponent of a format's numbers; subnormals keep their leading zeros."""
    if isinstance(fmt, Posit):
        return _posit_operand(fmt)
    if isinstance(fmt, BlockScaled):
        return _block_operand(fmt)
    max_exponent = 0
    if isinstance(fmt, Float):
        # Field 0 and 1 share their weight: the circuit's exponent is max(field, 1) - 1.
        largest_field = (fmt.max_finite_bits >> fmt.fraction_bits) & ((1 << fmt.exponent_bits) - 1)
        max_exponent = largest_field - 1
    return Operand(
        precision=fmt.precision,
        max_exponent=max_exponent,
        base=fmt.min_exponent,
        twos_complement=False,
        signed=fmt.signed,
        has_nan=fmt.has_nan,
        has_inf=fmt.has_inf,
        normalised=False,
    )


def _posit_operand(fmt: Posit) -> Operand:
    """A leading one on top of as many bits as a posit can have; the exponent from the least one."""
    return Operand(
        precision=fmt.precision,
        max_exponent=2 * fmt.max_exponent,
        base=-fmt.max_exponent - (fmt.precision - 1),
        twos_complement=False,
        signed=True,
        has_nan=True,
        has_inf=False,
        normalised=True,
    )


def _block_operand(fmt: BlockScaled) -> Operand:
    """The element with its scale's exponent added; significands of both multiplied at the edge."""
    element = float_operand(fmt.element)
    if fmt.scale is Scale.E8M0:
        base, added, loose = -POWER_BIAS, POWER_NAN - 1, element.loose_exponent + POWER_NAN - 1
    else:
        scale = float_operand(SCALE_FLOAT)
        base, added = scale.base, scale.max_exponent
        loose = element.max_exponent + added  # 1 * 1 has a zero above it
    return replace(
        element,
        precision=fmt.precision,
        max_exponent=element.max_exponent + added,
        base=element.base + base,
        has_nan=True,
        loose_exponent=loose,
    )


def integer_operand(fmt: FixedPoint) -> Operand:
    """The two's complement value of a fixed-point format's numbers."""
    return Operand(
        precision=fmt.width,
        max_exponent=0,
        base=fmt.min_exponent,
        twos_complement=True,
        signed=fmt.signed,
        has_nan=False,
        has_inf=False,
        normalised=False,
    )


def shift_digits(places: int, places_per_stage: int) -> list[tuple[int, int]]:
    """Cut the binary places of a shift's distance into digits, a stage each.

    Returns
    -------
    list of tuple of two ints
        Lowest place and places of each digit, the most significant first.
    """
    stages = -(-places // places_per_stage)
    result = []
    for stage in range(stages):
        # Shorter digits first, which count in larger groups and may move a wider field.
        size = places // (stages - stage)
        places -= size
        result.append((places, size))
    return result


def normalised(operand: Operand) -> Operand:
    """The same numbers with the leading one moved to the top of the significand."""
    if operand.normalised:
        return operand
    room = operand.precision - 1
    return replace(
        operand,
        max_exponent=operand.max_exponent + room,
        base=operand.base - room,
        normalised=True,
    )
