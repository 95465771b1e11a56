"""Integers: fixed point without fraction bits, under names of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.formats.fixed import FixedPoint

__all__ = ["Integer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(FixedPoint):
    """A two's complement (2 to 64 bits) or unsigned (1 to 63 bits) integer.

    Parameters
    ----------
    integer_bits : int
        Bits of a pattern, the sign included where there is one.
    signed : bool
        Two's complement or unsigned.
    """

    fraction_bits: int = field(default=0, init=False, repr=False)

    @property
    def name(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.integer_bits}"
