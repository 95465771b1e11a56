"""How operands are unpacked and products are placed in the window: the constants of one datapath.

A product of two unpacked operands is ``significand_a * significand_b`` times a power of two. Its
place is the sum of the operands' exponents, in steps of several binary places: what is left below
one step has moved the significands at the edge (see :class:`~hwgen.spec.operands.Operand`). The
circuit only ever shifts left: the product enters ``below`` bits under the window and moves up by
``shift`` steps, so that bits under the window are simply not wired.

Whether a product is out of range follows from the shift alone but for a few shifts, where the
product's top bits decide. That rests on normalised significands: subnormals and integers are
normalised at the edge where the shift could otherwise tell wrongly for an operand with leading
zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from hwgen.formats import Format
from hwgen.formats.block import BlockScaled
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.posit import Posit
from hwgen.spec.accumulator import Overflow, Rounding, Window
from hwgen.spec.block_sum import scale_operand, sum_operand
from hwgen.spec.datapath import Datapath
from hwgen.spec.float_sum import FloatAlignment, align_float
from hwgen.spec.operands import Operand, float_operand, integer_operand, normalised
from hwgen.spec.pipeline import Pipeline, limbs, product_stages

__all__ = ["Alignment", "align"]

_MAX_STEP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The constants of a datapath's multiply and align steps.

    Attributes
    ----------
    a, b : Operand
    window : Window
    product_bits : int
        Bits of the product's magnitude (of its two's complement value for fixed-point operands).
    below : int
        Product bits that can lie under the window.
    min_distance, max_distance : int
        Range, over all finite operands, of how far the lowest bit of the product of significands
        that have not moved lies above the window's lowest bit.
    largest_product : int
        Bound on the magnitude of such a product, in units of its lowest bit.
    quantum : int
        Every product is a multiple of ``2**quantum``.
    pipeline : Pipeline
    """

    a: Operand
    b: Operand
    window: Window
    product_bits: int
    below: int
    min_distance: int
    max_distance: int
    largest_product: int
    quantum: int
    pipeline: Pipeline = Pipeline()

    @property
    def step(self) -> int:
        """Binary places of one unit of the shift."""
        return self.a.step

    @property
    def shifts(self) -> range:
        """Shifts of a product, in steps; a negative one leaves nothing in the window."""
        a, b = self.a.steps, self.b.steps
        return range(a.start + b.start, a[-1] + b[-1] + 1)

    @property
    def field_bits(self) -> int:
        """Bits of the field that the product is rotated in: a power of two of steps."""
        steps = -(-self.product_bits // self.step)
        return self.step << (steps - 1).bit_length()

    @property
    def rotation_bits(self) -> int:
        """Bits of the rotation, in steps; 0 where all products have one shift."""
        if len(self.shifts) == 1:
            return 0
        return (self.field_bits // self.step).bit_length() - 1

    @property
    def groups(self) -> range:
        """Steps of the field, from the product's entry on, that hold what the window looks at."""
        lowest = self.below - (self.guard_bits if self.can_drop else 0)
        return range(lowest // self.step, (self.below + self.magnitude_bits - 1) // self.step + 1)

    @property
    def guard_bits(self) -> int:
        """Bits right below the window that rounding looks at."""
        return _guard_bits(self.window, self.quantum)

    @property
    def random_bits(self) -> int:
        """Upper bits of a random number that meet product bits; those under them make no carry."""
        return self.guard_bits if self.window.rounding is Rounding.STOCHASTIC else 0

    def filling_shifts(self, group: int) -> range:
        """Shifts that put a part of the product into a group."""
        return range(group - self.field_bits // self.step + 1, group + 1)

    @property
    def product_stages(self) -> int:
        """Stages of the multiplier."""
        return product_stages(
            self.a.significand_bits, self.b.significand_bits, self.pipeline.multiplier_bits
        )

    @property
    def chunks(self) -> tuple[range, ...]:
        """The adder's parts, lowest first: bits of a sum.

        Part i adds one cycle after part i - 1 and takes its carry from a register, so that a wide
        sum is as fast as a narrow one; a part's summand comes, and its result leaves, as much
        later. A sum that is clamped at each step must be known whole, and is one part.
        """
        bits = self.sum_bits
        size = self.pipeline.chunk
        if self.a.twos_complement or self.window.overflow is Overflow.SATURATE or bits <= size:
            return (range(bits),)
        count = -(-bits // size)
        cuts = [bits * part // count for part in range(count + 1)]
        return tuple(range(low, high) for low, high in zip(cuts, cuts[1:], strict=False))

    @property
    def skew(self) -> int:
        """Cycles from a summand's lowest part to its highest."""
        return len(self.chunks) - 1

    @property
    def dot(self) -> int:
        """Summands that are added at once."""
        return self.window.dot

    @property
    def rotation_stage(self) -> bool:
        """Whether a register follows the rotation."""
        return self.magnitude_bits > self.pipeline.wide_window

    @property
    def needs_zero(self) -> bool:
        """Whether the array must know that an operand is zero."""
        return self.can_drop or self.has_inf or self.can_exceed

    @property
    def needs_trailing(self) -> bool:
        """Whether the array must know how many zeros a significand ends in."""
        return self.can_drop

    @property
    def certain_shift(self) -> int:
        """Shift from which on every nonzero product is out of range."""
        least_top = self.a.precision + self.b.precision - 2
        return -((least_top - self._range_place) // self.step)

    @property
    def doubtful_shifts(self) -> dict[int, int]:
        """Shifts with which a product is out of range if it has a one at or above a place: that."""
        places = {
            shift: self._range_place - self.step * shift
            for shift in self.shifts
            if shift < self.certain_shift
        }
        return {shift: place for shift, place in places.items() if place < self.product_bits}

    @property
    def _range_place(self) -> int:
        """The lowest place of the shifted field that is out of range."""
        return self.below + self.window.summand_bits

    @property
    def can_exceed(self) -> bool:
        """Whether a product can be out of range."""
        return _scaled(self.largest_product, self.max_distance) >= 1 << self.window.summand_bits

    @property
    def can_drop(self) -> bool:
        """Whether nonzero product bits can be dropped under the window."""
        return self.quantum < self.window.lsb

    @property
    def rounds(self) -> bool:
        """Whether a carry from below the window can enter the sum."""
        carries = (Rounding.EVEN, Rounding.STOCHASTIC)
        return self.can_drop and self.window.rounding in carries

    @property
    def wraps(self) -> bool:
        """Whether out-of-range products keep their low bits."""
        return self.can_exceed and self.window.overflow is Overflow.WRAP

    @property
    def clamps(self) -> bool:
        """Whether out-of-range products are replaced by the largest summand."""
        return self.can_exceed and self.window.overflow is Overflow.SATURATE

    @property
    def magnitude_bits(self) -> int:
        """Bits of an aligned magnitude, before the carry from rounding."""
        field = self.window.width if self.wraps else self.window.summand_bits
        largest = math.floor(_scaled(self.largest_product, self.max_distance))
        return max(1, min(field, largest.bit_length()))

    @property
    def sum_bits(self) -> int:
        """Bits of the exact sum of the register and the summands of one step."""
        largest = (1 << self.magnitude_bits) - (0 if self.rounds else 1)
        lowest = -(1 << (self.window.width - 1)) - self.dot * largest
        return (-lowest - 1).bit_length() + 1

    @property
    def has_nan(self) -> bool:
        """Whether a product can be NaN."""
        return self.a.has_nan or self.b.has_nan or self.has_inf

    @property
    def has_inf(self) -> bool:
        """Whether a product can be infinite."""
        return self.a.has_inf or self.b.has_inf


def align(datapath: Datapath) -> Alignment | FloatAlignment:
    """Derive the constants of a datapath's multiply and align steps.

    Where sums of scale blocks are summands, these are the steps at the array's edge: operand a is
    such a sum, b the product of its scales. The processing elements' own are those of
    ``datapath.elements``.
    """
    if datapath.float_sum is not None:
        return align_float(datapath)
    if datapath.integer_operands:
        return _align_fixed(datapath)
    a, b = _operands(datapath)
    while True:
        alignment = _placed(a, b, datapath)
        wanted = _must_normalise(alignment)
        if not any(wanted):
            return alignment
        # The steps change with an operand's range, and with them what the other one needs.
        a, b = (
            normalised(operand) if missing else operand
            for operand, missing in zip((a, b), wanted, strict=True)
        )


def _operands(datapath: Datapath) -> tuple[Operand, Operand]:
    a, b = datapath.a, datapath.b
    if not datapath.block_terms:
        return float_operand(a), float_operand(b)
    assert isinstance(a, BlockScaled), a
    assert isinstance(b, BlockScaled), b
    window = datapath.elements.window
    return sum_operand(a, b, window), scale_operand(a, b, window)


def _placed(a: Operand, b: Operand, datapath: Datapath) -> Alignment:
    """Choose steps and offsets for two operands."""
    window = datapath.window
    step = _widest_step(a, b, datapath.pipeline.multiplier_bits)
    min_distance = a.base + b.base - window.lsb
    product_bits = sum(_moved_bits(operand, step) for operand in (a, b))
    # The window's offset goes to one whose exponent leaves the edge as a field, if there is one.
    swapped = a.max_exponent < step <= b.max_exponent
    bias, other = (b, a) if swapped else (a, b)
    # Exponents of IEEE formats count from field 1: an offset of 1 makes one the field itself.
    other_offset = 1 if other.max_exponent >= step else 0
    offset = 1 if bias.max_exponent >= step else 0
    # A product one step under the field must miss the window and what rounding looks at.
    quantum = datapath.a.min_exponent + datapath.b.min_exponent
    missing = max(0, product_bits - step + _guard_bits(window, quantum))
    below = min(max(0, offset + other_offset - min_distance), missing)
    offset = min_distance + below - other_offset
    if bias.max_exponent < step:
        # Then the exponent leaves the edge as a constant.
        below, offset = below + -offset % step, offset + -offset % step
    bias = replace(bias, step=step, offset=offset)
    other = replace(other, step=step, offset=other_offset)
    a, b = (other, bias) if swapped else (bias, other)
    return Alignment(
        a=a,
        b=b,
        window=window,
        product_bits=a.significand_bits + b.significand_bits,
        below=below,
        min_distance=min_distance,
        max_distance=min_distance + a.max_exponent + b.max_exponent,
        largest_product=_largest(datapath.a, a) * _largest(datapath.b, b),
        quantum=quantum,
        pipeline=datapath.pipeline,
    )


def _guard_bits(window: Window, quantum: int) -> int:
    if window.rounding is Rounding.STOCHASTIC:
        return max(0, min(window.random_bits, window.lsb - quantum))
    return int(window.rounding is Rounding.EVEN)


def _widest_step(a: Operand, b: Operand, multiplier_bits: int) -> int:
    """The widest step that takes no more multipliers than the significands themselves."""
    step = 1
    if not multiplier_bits:
        return step
    room = [limbs(operand.precision, multiplier_bits) * multiplier_bits for operand in (a, b)]
    while step < _MAX_STEP and all(
        _moved_bits(operand, 2 * step) <= bits for operand, bits in zip((a, b), room, strict=True)
    ):
        step *= 2
    return step


def _moved_bits(operand: Operand, step: int) -> int:
    return operand.precision + min(step - 1, operand.max_exponent)


def _largest(fmt: Format, operand: Operand) -> int:
    """Bound on a significand, before it is moved, of the largest exponent."""
    if isinstance(fmt, Posit):
        return 1 << (operand.precision - 1)  # the largest posit is a power of two
    if isinstance(fmt, FixedPoint) and not operand.normalised:
        return int(fmt.max_finite / Fraction(2) ** fmt.min_exponent)
    return (1 << operand.precision) - 1


def _must_normalise(alignment: Alignment) -> tuple[bool, bool]:
    """Whether the range test could err for an operand with leading zeros."""
    a, b = alignment.a, alignment.b
    certain = alignment.certain_shift
    if not alignment.can_exceed:
        return False, False
    return (
        not a.normalised and a.loose_step + b.steps[-1] >= certain,
        not b.normalised and a.steps[-1] + b.loose_step >= certain,
    )


def _align_fixed(datapath: Datapath) -> Alignment:
    a, b = integer_operand(datapath.a), integer_operand(datapath.b)
    # The product of two unsigned operands needs a zero sign bit on top; a signed one brings one.
    product_bits = a.precision + b.precision + (not a.signed and not b.signed)
    distance = a.base + b.base - datapath.window.lsb
    return Alignment(
        a=a,
        b=b,
        window=datapath.window,
        product_bits=product_bits,
        below=max(0, -distance),
        min_distance=distance,
        max_distance=distance,
        largest_product=int(
            datapath.a.max_finite * datapath.b.max_finite / Fraction(2) ** (a.base + b.base)
        ),
        quantum=a.base + b.base,
        pipeline=datapath.pipeline,
    )


def _scaled(value: int, exponent: int) -> Fraction:
    return value * Fraction(2) ** exponent
