"""How a floating-point sum is converted to another format: the constants of the edge's rounder."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.formats.ieee import Float
from hwgen.spec.datapath import Datapath

__all__ = ["Conversion", "conversion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Constants of a conversion between floating-point formats.

    Attributes
    ----------
    exponent_offset : int
        The binade of the sum's least normal number, counted from the result's.
    max_left : int
        Most places that a subnormal number of the sum's format moves up by, to be normalised or to
        reach the result's subnormals; 0 if those lie as high.
    max_right : int
        Most places that matter which a number moves down by to be subnormal in the result.
    """

    exponent_offset: int
    max_left: int
    max_right: int

    @property
    def stages(self) -> int:
        """Latency behind the finished sum: a shift up, a shift down, the rounding."""
        return (self.max_left > 0) + (self.max_right > 0) + 1


def conversion(datapath: Datapath) -> Conversion | None:
    """Derive the conversion of a datapath's sum to its result; None if the formats are equal."""
    unit, out = datapath.float_sum, datapath.out
    assert unit is not None, datapath
    assert isinstance(out, Float), out
    if out == unit.format:
        return None
    offset = _least_normal(unit.format) - _least_normal(out)
    return Conversion(
        exponent_offset=offset,
        max_left=max(0, min(offset, unit.format.fraction_bits)),
        # Significand and guard bit may leave the field; one place more tells that from a tie.
        max_right=max(0, min(-offset, out.precision + 2)),
    )


def _least_normal(fmt: Float) -> int:
    return fmt.min_exponent + fmt.fraction_bits
