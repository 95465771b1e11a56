"""Sized windows against data: the worst that a search finds, and the narrowest window that holds.

Sums come from the C kernels, raw registers included. What they should be is exact: operands are
cut into integers so short that float64 products of matrices are exact, and put together as Python
integers. `bench_sizing` makes tables of it, and the tests take a few cases.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hwgen.errors import SpecError
from hwgen.explore import Ranges, Sizing, size_window
from hwgen.formats import Format, parse_format
from hwgen.model.operands import Operand
from hwgen.runtime.gemm import gemm_bits
from hwgen.spec.accumulator import Rounding, Window
from hwgen.spec.datapath import Datapath

DETERMINISTIC = (Rounding.ZERO, Rounding.EVEN, Rounding.ODD)
OVERFLOW = 2  # bit of the status
SIDE = 24  # rows and columns of a random product
PAIRS = 24  # of the worst numbers, crossed with each other
CANDIDATES = 600  # numbers of a wide format that worst pairs are sought among
MOST_BITS = 12  # below, that a search may find too many
LIMB = 20  # bits; with K up to 2**13 sums of products stay below 2**53

Operands = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Declared ranges, and what is asked for.

    Parameters
    ----------
    a, b : str
        Formats.
    terms : int
    limits : tuple of two Fractions or None
        Largest magnitudes; None for the format's.
    rounding : Rounding
    bits : int
        The tolerance is 2**-bits of K times the largest product.
    out : str
        Result format, or raw.
    """

    a: str
    b: str
    terms: int
    limits: tuple[Fraction | None, Fraction | None]
    rounding: Rounding
    bits: int
    out: str = "raw"

    @property
    def formats(self) -> tuple[Format, Format]:
        """Of the operands."""
        return parse_format(self.a), parse_format(self.b)

    @property
    def ranges(self) -> Ranges:
        """All data up to the limits."""
        a_max, b_max = self.limits
        return Ranges.declared(*self.formats, terms=self.terms, a_max=a_max, b_max=b_max)

    @property
    def tolerance(self) -> Fraction:
        """Of an element of the product."""
        return self.ranges.total * Fraction(2) ** -self.bits

    def size(self) -> Sizing:
        """The window for it."""
        out = None if self.out == "raw" else parse_format(self.out)
        return size_window(self.ranges, self.tolerance, rounding=self.rounding, out=out)


# --- exact products and errors -------------------------------------------------------------------


def exact_product(a: Operand, b: Operand) -> tuple[np.ndarray, int]:
    """A B as Python integers, and the weight of their unit."""
    left, low_a = _limbs(a)
    right, low_b = _limbs(b)
    shape = a.exponent.shape[0], b.exponent.shape[1]
    total = np.zeros(shape, dtype=object)
    for (i, x), (j, y) in itertools.product(enumerate(left), enumerate(right)):
        part = (x @ y).astype(np.int64).astype(object)
        total += part * (1 << LIMB * (i + j))
    return total, low_a + low_b


def _limbs(x: Operand) -> tuple[list[np.ndarray], int]:
    """An operand as integers of LIMB bits in float64, lowest first, and the weight of the unit."""
    if x.empty:
        return [np.zeros(x.exponent.shape)], 0
    low = x.lowest
    shift = np.where(x.significand == 0, 0, x.exponent - low)
    whole = x.significand.astype(object) << shift.astype(object)
    whole = np.where(x.negative, -whole, whole)
    count = -(-(x.highest - low) // LIMB)
    sign, size = np.sign(whole), abs(whole)
    mask = (1 << LIMB) - 1
    return [(sign * (size >> LIMB * i & mask)).astype(np.float64) for i in range(count)], low


def errors(bits: Operands, formats: tuple[Format, Format], window: Window, out: str) -> tuple:
    """Largest |C - A B| over a product of patterns, and whether a range event occurred."""
    a, b = formats
    datapath = Datapath.parse(a=a.name, b=b.name, acc=str(window), out=out)
    found, status = gemm_bits(*bits, datapath)
    right, unit = exact_product(Operand.unpack(bits[0], a), Operand.unpack(bits[1], b))
    if (status & OVERFLOW).any():
        return math.inf, True
    if datapath.out is None:
        return _raw_error(found, window, right, unit), False
    values = datapath.out.to_float(found).ravel()
    scale = Fraction(2) ** unit
    pairs = zip(values, right.ravel(), strict=True)
    return max(abs(Fraction(float(c)) - int(r) * scale) for c, r in pairs), False


def _raw_error(found: np.ndarray, window: Window, right: np.ndarray, unit: int) -> Fraction:
    words = found.reshape(*right.shape, -1).astype(object)
    numbers = sum(words[..., i] << 64 * i for i in range(words.shape[2]))
    signed = numbers - (numbers >> window.width - 1 << window.width)
    low = min(window.lsb, unit)
    difference = (signed << window.lsb - low) - (right << unit - low)
    return int(abs(difference).max()) * Fraction(2) ** low


# --- operands ------------------------------------------------------------------------------------


def random_operands(
    rng: np.random.Generator, formats: tuple[Format, Format], limits: Sequence[float], terms: int
) -> Iterator[Operands]:
    """Operands within limits: uniform, normal, positive, over many binades, near the limits."""
    shapes = (SIDE, terms), (terms, SIDE)
    kinds = (
        lambda shape: rng.uniform(-1, 1, shape),
        lambda shape: np.clip(rng.normal(size=shape) / 3, -1, 1),
        lambda shape: rng.exponential(size=shape).clip(0, 6) / 6,
        lambda shape: rng.choice([-1, 1], shape) * 2.0 ** -rng.uniform(0, 12, shape),
        lambda shape: rng.uniform(0.97, 1, shape),
        # Large sums with their lowest bits in use, for the final rounding.
        lambda shape: np.where(
            rng.random(shape) < 0.05, 2.0 ** -rng.uniform(2, 12, shape), rng.uniform(0.8, 1, shape)
        ),
    )
    for kind in kinds:
        yield tuple(
            within(fmt, kind(shape) * limit, limit)
            for fmt, shape, limit in zip(formats, shapes, limits, strict=True)
        )


def within(fmt: Format, values: np.ndarray, limit: float) -> np.ndarray:
    """Patterns of values, none beyond the limit's own pattern."""
    return fmt.from_float(np.clip(values, -limit, limit))


def numbers_of(rng: np.random.Generator, fmt: Format, limit: float) -> np.ndarray:
    """Patterns of numbers up to a limit: all of a short format, some of a long one."""
    if fmt.width <= 8:
        bits = np.arange(1 << fmt.width, dtype=fmt.dtype)
        parts = fmt.unpack(bits)
        bits = bits[~parts.nan & ~parts.inf]
        values = np.abs(fmt.to_float(bits))
        largest = np.abs(fmt.to_float(fmt.from_float(np.array([limit, -limit])))).max()
        return bits[(values > 0) & (values <= largest)]
    binades = rng.integers(0, 14, CANDIDATES)
    return within(fmt, limit * rng.uniform(0.5, 1, CANDIDATES) * 2.0**-binades, limit)


def worst_operands(
    rng: np.random.Generator,
    formats: tuple[Format, Format],
    limits: Sequence[float],
    ranges: Ranges,
    window: Window,
) -> Iterator[Operands]:
    """Sums of K equal products: of those that rounding moves most, and of the largest.

    No product is above the ranges' total over K, so that their sum is within the ranges.
    """
    found = [numbers_of(rng, fmt, limit) for fmt, limit in zip(formats, limits, strict=True)]
    x, y = (Operand.unpack(bits, fmt) for bits, fmt in zip(found, formats, strict=True))
    sizes = [fmt.to_float(bits) for bits, fmt in zip(found, formats, strict=True)]
    product = np.abs(np.outer(*sizes))
    allowed = product <= float(min(ranges.product, ranges.total / ranges.terms))
    if not allowed.any():
        return
    moved = np.where(allowed, np.abs(movement(x, y, window)), -1.0)
    for marks in (moved, np.where(allowed, product, -1.0)):
        order = np.argsort(marks, axis=None)[::-1][:PAIRS]
        rows, columns = np.unravel_index(order, marks.shape)
        if not allowed[np.ix_(rows, columns)].all():
            # Crossed with others they would leave the ranges: one by one.
            rows, columns = rows[:1], columns[:1]
        a = np.repeat(found[0][rows][:, None], ranges.terms, axis=1)
        b = np.repeat(found[1][columns][None], ranges.terms, axis=0)
        yield a, b
        if formats[0].signed:
            yield formats[0].from_float(-formats[0].to_float(a)), b


def movement(x: Operand, y: Operand, window: Window) -> np.ndarray:
    """How far rounding moves the magnitudes of products of two lists, in units of lsb."""
    product = np.multiply.outer(x.significand, y.significand)
    weight = np.add.outer(x.exponent, y.exponent)
    shift = np.clip(window.lsb - weight, 0, 63).astype(np.uint64)
    whole = product >> shift
    rest = np.ldexp((product - (whole << shift)).astype(np.float64), weight - window.lsb)
    odd = (whole & np.uint64(1)).astype(bool)
    if window.rounding is Rounding.EVEN:
        return np.where((rest > 0.5) | (rest == 0.5) & odd, 1 - rest, -rest)
    if window.rounding is Rounding.ODD:
        return np.where((rest > 0) & ~odd, 1 - rest, -rest)
    return -rest


def float_limits(case: Case) -> tuple[float, float]:
    """The limits as float64, none above the declared one."""
    found = []
    for limit, fmt in zip(case.limits, case.formats, strict=True):
        exact = fmt.max_finite if limit is None else limit
        near = float(exact)
        found.append(near if Fraction(near) <= exact else math.nextafter(near, 0))
    return tuple(found)


# --- bounds kept ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What came of one case: how much of the bound was used, of how many dot products."""

    case: Case
    window: Window
    share: float | None
    dots: int
    events: int


def operand_sets(
    case: Case, rng: np.random.Generator, window: Window, dots: int
) -> Iterator[Operands]:
    """The worst operands, then random ones until there are so many dot products."""
    formats, limits = case.formats, float_limits(case)
    yield from worst_operands(rng, formats, limits, case.ranges, window)
    for _ in range(max(1, -(-dots // (6 * SIDE * SIDE)))):
        yield from random_operands(rng, formats, limits, case.terms)


def check_bound(case: Case, rng: np.random.Generator, dots: int = 0) -> Kept:
    """Feed a sized window with random and worst operands, at least so many dot products."""
    sizing = case.size()
    worst, count, events = Fraction(0), 0, 0
    for bits in operand_sets(case, rng, sizing.window, dots):
        error, event = errors(bits, case.formats, sizing.window, case.out)
        events += event
        worst = max(worst, error)
        count += bits[0].shape[0] * bits[1].shape[1]
    share = None
    if worst == math.inf or (worst and not sizing.bound):
        share = math.inf
    elif sizing.bound:
        share = float(worst / sizing.bound)
    return Kept(case=case, window=sizing.window, share=share, dots=count, events=events)


LIMITS = {
    "fp32": ((Fraction(1), Fraction(1)), (Fraction(40), Fraction(1, 3))),
    "bf16": ((Fraction(1), Fraction(1)), (Fraction(4), Fraction(7, 3))),
    "fp16": ((Fraction(1), Fraction(1)), (None, Fraction(1, 10))),
    "e4m3": ((Fraction(1), Fraction(1)), (None, None)),
    "e5m2": ((Fraction(1), Fraction(1)), (Fraction(3), Fraction(100))),
    "int8": ((None, None), (Fraction(100), Fraction(9))),
    "posit16": ((Fraction(1), Fraction(1)), (Fraction(50), Fraction(1, 3))),
}


def grid() -> list[Case]:
    """The cases of the bounds."""
    found = []
    for name, both in LIMITS.items():
        for limits, terms, rounding, bits in itertools.product(
            both, (1, 5, 64, 1024), DETERMINISTIC, (4, 9, 18)
        ):
            found.append(
                Case(a=name, b=name, terms=terms, limits=limits, rounding=rounding, bits=bits)
            )
    mixed = (Fraction(2), Fraction(1))
    for (a, b), terms, rounding in itertools.product(
        (("bf16", "e4m3"), ("fp16", "int8"), ("fp32", "bf16")), (16, 200), DETERMINISTIC
    ):
        found.append(Case(a=a, b=b, terms=terms, limits=mixed, rounding=rounding, bits=10))
    for name, out, bits in itertools.product(("bf16", "e4m3"), ("fp32", "bf16"), (7, 12, 20)):
        case = Case(
            a=name, b=name, terms=100, limits=mixed, rounding=Rounding.ZERO, bits=bits, out=out
        )
        try:
            case.size()
        except SpecError:
            continue  # rounding to the result format alone takes more
        found.append(case)
    return found


# --- the narrowest window -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Width:
    """A sized window, and the width of the narrowest one that was found to hold."""

    name: str
    sized: Window
    least: Window

    @property
    def extra(self) -> int:
        """Bits too many."""
        return self.sized.width - self.least.width

    @property
    def parts(self) -> tuple[int, int]:
        """Bits too many above and below."""
        tops = [window.msb + window.ovf for window in (self.sized, self.least)]
        return tops[0] - tops[1], self.least.lsb - self.sized.lsb


Data = Callable[[Window], Iterable[Operands]]


def narrowest(
    sized: Window, data: Data, formats: tuple[Format, Format], tolerance: Fraction
) -> Window:
    """The narrowest window that holds for data: every lsb is tried, then fewer bits above."""

    def holds(window: Window) -> bool:
        for bits in data(window):
            error, event = errors(bits, formats, window, "raw")
            if event or error > tolerance:
                return False
        return True

    top = sized.msb + sized.ovf
    # Range has room to spare here: rounding up must not be what fails.
    roomy = replace(sized, ovf=sized.ovf + 1)
    places = range(min(sized.msb, sized.lsb + MOST_BITS), sized.lsb, -1)
    lsb = next((lsb for lsb in places if holds(replace(roomy, lsb=lsb))), sized.lsb)
    best = replace(sized, lsb=lsb)
    if not holds(best):
        return replace(roomy, lsb=lsb)
    while top - 1 > lsb:
        top -= 1
        tighter = replace(best, msb=min(sized.msb, top), ovf=max(0, top - sized.msb))
        if not holds(tighter):
            break
        best = tighter
    return best


def declared_width(case: Case, rng: np.random.Generator) -> Width:
    """Against the worst data found within declared ranges."""
    sizing, limits = case.size(), float_limits(case)
    some = list(random_operands(rng, case.formats, limits, case.terms))

    def data(window: Window) -> Iterator[Operands]:
        yield from worst_operands(rng, case.formats, limits, case.ranges, window)
        yield from some

    least = narrowest(sizing.window, data, case.formats, case.tolerance)
    text = f"{case.a} K={case.terms} {case.rounding.value} 2**-{case.bits}"
    return Width(name=text, sized=sizing.window, least=least)
