"""How floating-point sums are built: widths, exponents and pipeline stages of one datapath.

The sum ``acc + a*b`` is rounded at every step, so a step's result is needed before the next one of
the same lane can begin: alignment, addition, normalisation and rounding form a loop. What can be
kept out of the loop is:

* Operands are normalised at the edge, a product by one place at most. A number is then at least 1
  in units of its exponent, or has the format's least exponent.
* Numbers are two's complement with a *tail*, ones that go on for ever below the lowest bit:
  ``value.111...`` is ``value + 1``. A negative product is its magnitude inverted, with a tail. A
  sum that was rounded up is its truncation with a tail. So neither negation nor rounding takes a
  carry chain; that is left to the rounder at the edge of the array.

A number is ``value * 2**exponent``, value from -2 to 2, exponent 0 that of the format's least
normal number. In a step the number of larger exponent stays and the other one moves right, into a
*field* of ``fraction_bits`` below the binary point and three bits above. Where the exponents differ
by more than one, the sum needs at most two places to the left: its significand, a guard bit and
what is below, told by one *sticky* flag, are in the field. Else nothing is lost: the field holds
all of the product and one place more.

With one lane all of this is to happen in one cycle. Then the two cases have a path each, one
without the long shift to the left, the other without the one to the right. With more lanes there
is a stage a lane, and one path.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwgen.spec.accumulator import FloatSum
from hwgen.spec.datapath import Datapath
from hwgen.spec.operands import Operand, float_operand, normalised
from hwgen.spec.pipeline import product_stages

__all__ = ["GROUP", "FloatAlignment", "Step", "align_float"]

GROUP = 4  # bits of the sum that are looked at together to count leading zeros


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the loop: what it does, its binary place if it shifts, its delay in LUTs.

    The circuit of each kind is in :mod:`hwgen.rtl.float_loop`.
    """

    kind: str
    place: int = 0
    delay: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatAlignment:
    """The constants of a datapath whose sum is rounded at every step.

    Attributes
    ----------
    a, b : Operand
        Normalised. Their exponents add up to that of a product whose top bit is 0.
    sum : FloatSum
    multiplier_bits : int
        As of a pipeline (:class:`~hwgen.spec.pipeline.Pipeline`).
    """

    a: Operand
    b: Operand
    sum: FloatSum
    multiplier_bits: int

    # What the edges of the array want to know of any datapath.
    needs_zero = True
    needs_trailing = False
    random_bits = 0
    dot = 1

    @property
    def bubble_sign(self) -> str:
        """The operand that is -0 where no pair is admitted: only -0 leaves every sum unchanged.

        Sums of unsigned operands are never -0, so that they do with +0.
        """
        return "a" if self.a.signed else "b"

    @property
    def precision(self) -> int:
        """Bits of the sum's significand."""
        return self.sum.format.precision

    @property
    def product_bits(self) -> int:
        """Bits of a product's magnitude; its leading one is one of the upper two."""
        return self.a.significand_bits + self.b.significand_bits

    @property
    def addend_bits(self) -> int:
        """Bits of the magnitude that is added to the sum: the product, rounded or not.

        With several lanes, a lane's sum takes the product's place at the end of a block.
        """
        if not self.sum.fused:
            return self.precision
        return max(self.product_bits, self.precision if self.sum.lanes > 1 else 0)

    @property
    def fraction_bits(self) -> int:
        """Bits of the field below the binary point."""
        return max(self.addend_bits, self.precision + 1)

    @property
    def product_exponents(self) -> range:
        """Exponents of products other than zero, whose exponent is 0."""
        a, b = self.a.steps, self.b.steps
        return range(a.start + b.start, a[-1] + b[-1] + 2)

    @property
    def max_exponent(self) -> int:
        """Exponent of the format's largest binade."""
        return (1 << self.sum.format.exponent_bits) - 3

    @property
    def sum_exponents(self) -> range:
        """Exponents of a sum, up to those that make it infinite."""
        return range(max(self.max_exponent, self.product_exponents[-1]) + 2)

    @property
    def addend_exponents(self) -> range:
        """Exponents of what is added to the sum."""
        lowest, highest = min(0, self.product_exponents[0]), max(0, self.product_exponents[-1])
        if not self.sum.fused:
            lowest = 0
        if self.sum.lanes > 1:
            highest = max(highest, self.sum_exponents[-1])
        return range(lowest, highest + 1)

    @property
    def differences(self) -> range:
        """The sum's exponent less the addend's."""
        addend, total = self.addend_exponents, self.sum_exponents
        return range(-addend[-1], total[-1] - addend[0] + 1)

    @property
    def right_places(self) -> int:
        """Binary places of the right shift; one of ``2**right_places`` and more drops all."""
        largest = max(self.differences[-1], -self.differences[0] - 1)
        return min(self.fraction_bits.bit_length(), largest.bit_length())

    @property
    def left_places(self) -> int:
        """Binary places of the normalising left shift."""
        return 2 + (self.groups - 1).bit_length()

    @property
    def groups(self) -> int:
        """Groups of bits of the field below its sign, before it is normalised."""
        # The near path's sum may be twice as large.
        return -(-(self.fraction_bits + 2 + self.two_paths) // GROUP)

    @property
    def product_stages(self) -> int:
        """Stages of the multiplier."""
        return product_stages(
            self.a.significand_bits, self.b.significand_bits, self.multiplier_bits
        )

    @property
    def denormalises(self) -> bool:
        """Whether a product is rounded to a subnormal number before it is added."""
        return not self.sum.fused and self.product_exponents[0] < 0

    @property
    def summand_stages(self) -> int:
        """Latency from the operand registers to the loop.

        The multiplier, the product's normalisation; where it is rounded, the shift of what becomes
        subnormal, and the rounding.
        """
        return self.product_stages + 1 + (not self.sum.fused) + self.denormalises

    @property
    def two_paths(self) -> bool:
        """Whether one path aligns and another one normalises: where one cycle must do for all."""
        return self.sum.lanes == 1

    @property
    def alignment_steps(self) -> list[Step]:
        """From the difference of the exponents to the sum."""
        shifts = [Step("right", place) for place in range(self.right_places)]
        return [Step("swap", delay=1.2), *shifts, Step("vanish"), Step("add", delay=3.0)]

    @property
    def normalisation_steps(self) -> list[Step]:
        """What moves a sum's leading digit to the top."""
        coarse = self.left_places - 2
        shifts = [Step("left", place) for place in reversed(range(coarse))]
        return [Step("count", delay=2.0 + coarse / 2), *shifts, Step("fine", delay=3.0)]

    @property
    def steps(self) -> list[Step]:
        """What the loop does, in order."""
        if self.two_paths:
            return [Step("two_paths")]
        added = [Step("compare", delay=3.0), *self.alignment_steps]
        return [*added, *self.normalisation_steps, Step("round", delay=2.0)]

    @property
    def stages(self) -> tuple[tuple[Step, ...], ...]:
        """The loop's steps between two registers each; one stage a lane.

        The longest stage is as short as it can be. More lanes than useful stages make empty stages,
        plain delays, at the end.
        """
        return _stages(tuple(self.steps), self.sum.lanes)


@functools.cache
def _stages(steps: tuple[Step, ...], count: int) -> tuple[tuple[Step, ...], ...]:
    """Split steps into ``count`` stages so that the longest is as short as possible."""
    bounds = sorted(
        {_delay(steps[i:j]) for i in range(len(steps)) for j in range(i, len(steps) + 1)}
    )
    for bound in bounds:
        stages = _greedy(steps, bound)
        if stages is not None and len(stages) <= count:
            return (*stages, *((),) * (count - len(stages)))
    raise AssertionError("the sum of all delays is a bound")


def _greedy(steps: tuple[Step, ...], bound: float) -> list[tuple[Step, ...]] | None:
    stages: list[tuple[Step, ...]] = []
    rest = list(steps)
    while rest:
        size = 0
        while size < len(rest) and _delay(rest[: size + 1]) <= bound:
            size += 1
        if not size:
            return None
        stages.append(tuple(rest[:size]))
        rest = rest[size:]
    return stages


def _delay(steps: Sequence[Step]) -> float:
    return sum(step.delay for step in steps)


def align_float(datapath: Datapath) -> FloatAlignment:
    """Derive the constants of a datapath with a floating-point sum."""
    unit = datapath.float_sum
    assert unit is not None, datapath
    a, b = (normalised(float_operand(fmt)) for fmt in (datapath.a, datapath.b))
    least_normal = unit.format.min_exponent + unit.format.fraction_bits
    # Of a product with its leading one in the second place from the top.
    leading = a.base + b.base + a.precision + b.precision - 2
    offset = leading - least_normal
    if a.max_exponent:
        a = replace(a, offset=offset)
    else:
        b = replace(b, offset=offset)
    return FloatAlignment(a=a, b=b, sum=unit, multiplier_bits=datapath.pipeline.multiplier_bits)
