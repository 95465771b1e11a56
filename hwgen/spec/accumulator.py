"""Accumulators: what a sum of products is kept in.

Users write an accumulator as ``kind:key=value,...``. What the circuit and the models build is a
:class:`Window` or a :class:`FloatSum`; the other kinds name a window in more convenient terms and
:meth:`resolve` to it once the operand formats are known.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction

from hwgen.errors import SpecError
from hwgen.formats import Format, parse_format
from hwgen.formats.block import BlockScaled
from hwgen.formats.ieee import Float, FloatOverflow, Specials
from hwgen.formats.integer import Integer
from hwgen.formats.posit import STANDARD_EXPONENT_BITS, Posit
from hwgen.words import Words, parse_integer, parse_words

__all__ = [
    "Accumulator",
    "Exact",
    "FloatSum",
    "IntegerSum",
    "Overflow",
    "Per",
    "Rounding",
    "Window",
    "parse_accumulator",
]

QUIRE_OVERFLOW_BITS = 31
MAX_LANES = 16
MAX_DOT = 16
DEFAULT_TERMS = 4096
MAX_RANDOM_BITS = 24
MAX_SEED = (1 << 32) - 1
DEFAULT_SEED = 1
DEFAULT_RANDOM_BITS = 8  # a bias below 2**-9 of the last place
MAX_WIDTH = 8192  # bits; fp64 exact needs 4209
MAX_WEIGHT = (
    1 << 14
)  # bound on |msb| and |lsb|, so that a typing slip cannot ask for a huge circuit


class Overflow(enum.Enum):
    """What a range event does (arithmetic.md section 3)."""

    NAN = "nan"
    SATURATE = "saturate"
    WRAP = "wrap"


class Per(enum.Enum):
    """What a summand of a window is: one product, or the exact sum of a scale block's products."""

    PRODUCT = "product"
    BLOCK = "block"


class Rounding(enum.Enum):
    """What happens to a product's bits below the window."""

    ZERO = "zero"
    EVEN = "even"
    ODD = "odd"
    STOCHASTIC = "stochastic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A truncated Kulisch accumulator: two's complement, bit 0 weighs ``2**lsb``.

    Parameters
    ----------
    msb : int
        A summand is in range iff its magnitude is below ``2**(msb + 1)``.
    lsb : int
        Weight exponent of the lowest bit.
    ovf : int
        Overflow bits above ``msb``; the sign bit weighs ``2**(msb + ovf)``.
    rounding : Rounding
        Treatment of product bits below ``lsb``.
    overflow : Overflow
        Treatment of range events.
    per : Per
        What is scaled, judged, rounded and added at once: a product, or the exact sum of the
        products of a scale block (block-scaled operands only).
    seed : int
        Start of the random numbers of stochastic rounding, 1 to 2**32 - 1; 0 in other modes.
    random_bits : int
        Dropped bits that stochastic rounding looks at, 1 to 24; 0 in other modes.
    dot : int
        D, summands that are added at once, 1 to 16: those of terms 0 to D-1, D to 2D-1, ... Each is
        judged and rounded by itself, their exact sum with the register once.

    References
    ----------
    U. Kulisch, *Computer Arithmetic and Validity*; the (ovf, msb, lsb) triple after Ledoux & Casas,
    FPL 2023.
    """

    msb: int
    lsb: int
    ovf: int = 1
    rounding: Rounding = Rounding.ZERO
    overflow: Overflow = Overflow.NAN
    per: Per = Per.PRODUCT
    seed: int = 0
    random_bits: int = 0
    dot: int = 1

    def __post_init__(self) -> None:
        if self.msb < self.lsb:
            raise SpecError(
                f"window has msb={self.msb} below lsb={self.lsb}; msb must be at least lsb"
            )
        if self.ovf < 0:
            raise SpecError(f"window has ovf={self.ovf}; it must be 0 or more")
        for name, value in (("msb", self.msb), ("lsb", self.lsb)):
            if abs(value) > MAX_WEIGHT:
                raise SpecError(
                    f"window has {name}={value}; allowed is -{MAX_WEIGHT} to {MAX_WEIGHT}"
                )
        if not 2 <= self.width <= MAX_WIDTH:
            raise SpecError(
                f"window is {self.width} bits wide (ovf + msb - lsb + 1);"
                f" allowed is 2 to {MAX_WIDTH}"
            )
        _check_dot("window", self.dot)
        if self.dot > 1 and self.per is Per.BLOCK:
            raise SpecError(
                f"window has dot={self.dot} with per=block, which adds one scale block's sum at a"
                " time; leave one of them out"
            )
        random = self.rounding is Rounding.STOCHASTIC
        if random and self.per is Per.BLOCK:
            raise SpecError(
                "window has round=stochastic with per=block; random numbers belong to products, so"
                " choose round=zero, even or odd, or leave per=block out"
            )
        for name, value, most in (
            ("seed", self.seed, MAX_SEED),
            ("bits", self.random_bits, MAX_RANDOM_BITS),
        ):
            if random and not 1 <= value <= most:
                raise SpecError(f"window has {name}={value}; allowed is 1 to {most}")
            if not random and value:
                raise SpecError(
                    f"window has {name}={value} with round={self.rounding.value};"
                    f" {name} belongs to round=stochastic"
                )

    @property
    def width(self) -> int:
        """W, the bits of the register."""
        return self.ovf + self.msb - self.lsb + 1

    @property
    def summand_bits(self) -> int:
        """Bits of an in-range summand's magnitude, ``msb - lsb + 1``."""
        return self.msb - self.lsb + 1

    def resolve(self, a: Format, b: Format) -> Window:
        """Return the window to build for operands of formats ``a`` and ``b``: itself.

        Raises
        ------
        SpecError
            If summands are the sums of scale blocks, and the operands have none of equal length.
        """
        if self.per is Per.PRODUCT:
            return self
        for operand, fmt in (("a", a), ("b", b)):
            if not isinstance(fmt, BlockScaled):
                raise SpecError(
                    f"acc={self} adds a scale block at a time but {operand} is {fmt.name}, which"
                    " has no blocks; use mxfp8, mxfp6, mxfp4, mxint8 or nvfp4, or leave per=block"
                    " out"
                )
        if a.block != b.block:
            raise SpecError(
                f"acc={self} adds a scale block at a time but a has blocks of {a.block} and b of"
                f" {b.block}; they must be equal (:block=N), or leave per=block out"
            )
        return self

    def __str__(self) -> str:
        text = f"window:msb={self.msb},lsb={self.lsb},ovf={self.ovf}"
        if self.rounding is not Rounding.ZERO:
            text += f",round={self.rounding.value}"
        if self.rounding is Rounding.STOCHASTIC:
            text += f",seed={self.seed},bits={self.random_bits}"
        if self.overflow is not Overflow.NAN:
            text += f",overflow={self.overflow.value}"
        if self.per is not Per.PRODUCT:
            text += f",per={self.per.value}"
        return text + _dot_text(self.dot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The window that loses nothing over ``terms`` products of the operand formats.

    Every product is a multiple of ``2**(min_exponent_a + min_exponent_b)`` and at most
    ``max_a * max_b``; ``ovf = 1 + ceil(log2 terms)`` keeps the sum in the register. For two posits
    of N bits as in the standard it is the standard's quire of 16 N bits, whose 31 overflow bits are
    enough for any number of terms allowed here.

    References
    ----------
    Posit Working Group, *Standard for Posit Arithmetic (2022)*, section 3.4.
    """

    terms: int = DEFAULT_TERMS
    dot: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.terms <= 999_999:
            raise SpecError(f"exact has terms={self.terms}; allowed is 1 to 999999")
        _check_dot("exact", self.dot)

    def resolve(self, a: Format, b: Format) -> Window:
        largest = a.max_finite * b.max_finite
        lsb = a.min_exponent + b.min_exponent
        # Smallest msb with largest < 2**(msb + 1): the quotient is an integer by definition of lsb.
        msb = lsb + int(largest / Fraction(2) ** lsb).bit_length() - 1
        ovf = 1 + (self.terms - 1).bit_length()
        if a == b and isinstance(a, Posit) and a.exponent_bits == STANDARD_EXPONENT_BITS:
            ovf = QUIRE_OVERFLOW_BITS
        return Window(msb=msb, lsb=lsb, ovf=ovf, dot=self.dot)

    def __str__(self) -> str:
        return f"exact:terms={self.terms}{_dot_text(self.dot)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerSum:
    """The two's complement integer accumulator of ``bits`` bits, for integer operands.

    It equals the window with lsb = 0 and ovf = 0: a product that the window would call out of range
    makes the sum leave the register whatever it held before, so values and status agree.
    """

    bits: int
    overflow: Overflow = Overflow.WRAP
    dot: int = 1

    def __post_init__(self) -> None:
        _check_dot("int accumulator", self.dot)
        if not 2 <= self.bits <= MAX_WIDTH:
            raise SpecError(f"int accumulator has {self.bits} bits; allowed is 2 to {MAX_WIDTH}")
        if self.overflow is Overflow.NAN:
            raise SpecError(
                "int accumulator has overflow=nan; allowed is wrap or saturate"
                " (a window with lsb=0 offers nan)"
            )

    def resolve(self, a: Format, b: Format) -> Window:
        for operand, fmt in (("a", a), ("b", b)):
            if not isinstance(fmt, Integer):
                raise SpecError(
                    f"acc={self} needs integer operands but {operand} is {fmt.name};"
                    " use window:msb=..,lsb=..,ovf=.. or exact"
                )
        return Window(msb=self.bits - 1, lsb=0, ovf=0, overflow=self.overflow, dot=self.dot)

    def __str__(self) -> str:
        suffix = "" if self.overflow is Overflow.WRAP else f",overflow={self.overflow.value}"
        return f"int:{self.bits}{suffix}{_dot_text(self.dot)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatSum:
    """The conventional unit: a floating-point sum, rounded at every step, ties to even.

    Parameters
    ----------
    format : Float
        Of the sum; an IEEE-like format.
    lanes : int
        L interleaved sums, 1 to 16: product k goes into sum k mod L. After the last product they
        are added in ascending order, ``((s0 + s1) + s2) + ...``, each addition rounded. Sums that
        met no product are +0.
    fused : bool
        ``acc = round(acc + a*b)``; otherwise ``acc = round(acc + round(a*b))``.
    """

    format: Float
    lanes: int = 1
    fused: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.format, Float) or self.format.specials is not Specials.IEEE:
            raise SpecError(
                f"{self.kind} has the format {self.format.name}; it must be an IEEE-like float:"
                " fp64, fp32, tf32, bf16, fp16, e5m2 or float:E,F"
            )
        if self.format.overflow is not FloatOverflow.INFINITY:
            raise SpecError(
                f"{self.kind} has the format {self.format.name}; its sums overflow to infinity,"
                " so write the format without an overflow option"
            )
        if not 1 <= self.lanes <= MAX_LANES:
            raise SpecError(f"{self.kind} has lanes={self.lanes}; allowed is 1 to {MAX_LANES}")

    @property
    def dot(self) -> int:
        """Products that are added at once: each one is rounded by itself."""
        return 1

    @property
    def kind(self) -> str:
        """The word that users type: ``fma`` or ``muladd``."""
        return "fma" if self.fused else "muladd"

    def resolve(self, a: Format, b: Format) -> FloatSum:
        """Return what to build for operands of formats ``a`` and ``b``: itself."""
        return self

    def __str__(self) -> str:
        lanes = f",lanes={self.lanes}" if self.lanes > 1 else ""
        return f"{self.kind}:{self.format.name}{lanes}"


Accumulator = Window | Exact | IntegerSum | FloatSum


def _check_dot(kind: str, dot: int) -> None:
    if not 1 <= dot <= MAX_DOT:
        raise SpecError(f"{kind} has dot={dot}; allowed is 1 to {MAX_DOT} products at once")


def _dot_text(dot: int) -> str:
    return f",dot={dot}" if dot > 1 else ""


def parse_accumulator(text: str) -> Accumulator:
    """Parse an accumulator's name, e.g. ``window:msb=5,lsb=-30,ovf=9``, ``exact``, ``int:32``.

    Raises
    ------
    SpecError
        If the kind or an option is unknown, an option is missing, or a value is out of range.
    """
    words = parse_words(text, error=SpecError)
    parser = _PARSERS.get(words.head)
    if parser is None:
        raise SpecError(f"unknown accumulator {text!r}; known are {', '.join(_USAGE.values())}")
    return parser(words)


def _options(words: Words, allowed: tuple[str, ...], positional: int = 0) -> dict[str, str]:
    usage = _USAGE[words.head]
    unknown = [key for key in words.options if key not in allowed]
    if unknown:
        raise SpecError(f"{words.text!r} has no option {unknown[0]!r}; write {usage}")
    if len(words.positional) != positional:
        raise SpecError(f"{words.text!r} is malformed; write {usage}")
    return dict(words.options)


def _choice(words: Words, key: str, kind: type[enum.Enum], default: enum.Enum):
    value = words.options.get(key)
    if value is None:
        return default
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise SpecError(f"{words.text!r} has {key}={value}; allowed is {allowed}") from None


def _integer(words: Words, key: str, default: int, **limits: int) -> int:
    value = words.options.get(key)
    if value is None:
        return default
    return parse_integer(value, f"{key} of {words.text!r}", error=SpecError, **limits)


def _parse_window(words: Words) -> Window:
    options = _options(
        words, ("msb", "lsb", "ovf", "round", "overflow", "per", "seed", "bits", "dot")
    )
    for key in ("msb", "lsb"):
        if key not in options:
            raise SpecError(f"{words.text!r} lacks {key}; write {_USAGE['window']}")
    weights = {
        key: parse_integer(options[key], f"{key} of {words.text!r}", error=SpecError)
        for key in ("msb", "lsb", "ovf")
        if key in options
    }
    rounding = _choice(words, "round", Rounding, Rounding.ZERO)
    random = rounding is Rounding.STOCHASTIC
    return Window(
        **weights,
        rounding=rounding,
        seed=_integer(words, "seed", DEFAULT_SEED if random else 0, digits=len(str(MAX_SEED))),
        random_bits=_integer(words, "bits", DEFAULT_RANDOM_BITS if random else 0),
        overflow=_choice(words, "overflow", Overflow, Overflow.NAN),
        per=_choice(words, "per", Per, Per.PRODUCT),
        dot=_integer(words, "dot", 1),
    )


def _parse_exact(words: Words) -> Exact:
    _options(words, ("terms", "dot"))
    return Exact(terms=_integer(words, "terms", DEFAULT_TERMS), dot=_integer(words, "dot", 1))


def _parse_integer_sum(words: Words) -> IntegerSum:
    _options(words, ("overflow", "dot"), positional=1)
    return IntegerSum(
        bits=parse_integer(words.positional[0], f"width of {words.text!r}", error=SpecError),
        overflow=_choice(words, "overflow", Overflow, Overflow.WRAP),
        dot=_integer(words, "dot", 1),
    )


def _parse_float_sum(words: Words) -> FloatSum:
    # A format's name may hold commas of its own, as float:8,12 does.
    _options(words, ("lanes",), positional=max(1, len(words.positional)))
    return FloatSum(
        format=parse_format(",".join(words.positional)),
        lanes=_integer(words, "lanes", 1),
        fused=words.head == "fma",
    )


_USAGE = {
    "window": (
        "window:msb=M,lsb=L[,ovf=V][,round=zero|even|odd|stochastic][,overflow=nan|saturate|wrap]"
        "[,per=product|block][,seed=S,bits=R (stochastic)][,dot=D]"
    ),
    "exact": "exact[:terms=K][,dot=D]",
    "int": "int:N[,overflow=wrap|saturate][,dot=D]",
    "fma": "fma:FORMAT[,lanes=L]",
    "muladd": "muladd:FORMAT[,lanes=L]",
}
_PARSERS = {
    "window": _parse_window,
    "exact": _parse_exact,
    "int": _parse_integer_sum,
    "fma": _parse_float_sum,
    "muladd": _parse_float_sum,
}
