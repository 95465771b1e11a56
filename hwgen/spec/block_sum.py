"""Sums of scale blocks: the two factors that the edge multiplies, as operands.

Where ``per=block``, the array multiplies bare elements and sums a scale block exactly. At its edge
such a sum is multiplied by the block's two scales, moved to its place in the window and added to
the register. That is one more product of two operands: the sum, and the product of the scales.
"""

from __future__ import annotations

from hwgen.formats.block import BlockScaled
from hwgen.formats.ieee import Float
from hwgen.formats.scale import POWER_BIAS, POWER_NAN, SCALE_FLOAT, Scale
from hwgen.spec.accumulator import Window
from hwgen.spec.operands import Operand

__all__ = ["scale_operand", "sum_operand"]


def sum_operand(a: BlockScaled, b: BlockScaled, window: Window) -> Operand:
    """Sign and magnitude of a block's exact sum, which never leaves its register ``window``.

    Its leading one is moved to the top, and what exponent that gives it goes to the scales': a
    significand that stays where it is takes the widest step.
    """
    specials = [fmt.element for fmt in (a, b)]
    return Operand(
        precision=window.width - 1,
        max_exponent=0,
        base=window.lsb - (window.width - 2),
        twos_complement=False,
        signed=True,
        has_nan=any(fmt.has_nan or fmt.has_inf for fmt in specials),
        has_inf=any(fmt.has_inf for fmt in specials),
        normalised=True,
    )


def scale_operand(a: BlockScaled, b: BlockScaled, window: Window) -> Operand:
    """The product of two scales: exponents added, that of the sum too, significands multiplied."""
    parts = [_scale(fmt.scale) for fmt in (a, b)]
    powers = all(fmt.scale is Scale.E8M0 for fmt in (a, b))
    max_exponent = sum(exponent for _, exponent, _ in parts) + window.width - 2
    return Operand(
        precision=sum(bits for bits, _, _ in parts) or 1,
        max_exponent=max_exponent,
        base=sum(base for _, _, base in parts),
        twos_complement=False,
        signed=not powers,
        has_nan=True,
        has_inf=False,
        normalised=powers,
        # 1 * 1 has a zero above it, and so has a subnormal scale times the largest power of two.
        loose_exponent=0 if powers else max_exponent,
    )


def _scale(scale: Scale) -> tuple[int, int, int]:
    """Bits of a scale's significand (none for a power of two), largest exponent, and base."""
    if scale is Scale.E8M0:
        return 0, POWER_NAN - 1, -POWER_BIAS
    fmt: Float = SCALE_FLOAT
    largest_field = fmt.max_finite_bits >> fmt.fraction_bits
    return fmt.precision, largest_field - 1, fmt.min_exponent
