"""Bit patterns of every format family, decoded into the fields that the array knows.

The fields are ``significand`` (zero for specials), ``exponent`` (counted from 0, with ``offset``
added), ``sign`` and, where the format has such patterns, ``nan`` and ``special`` (infinite or NaN).
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from hwgen.formats import Format
from hwgen.formats.block import BlockScaled
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float, Specials
from hwgen.formats.posit import Posit
from hwgen.formats.scale import SCALE_FLOAT, Scale

__all__ = ["decode", "decode_scales", "multiplied", "posit_completed"]


def decode(m: Module, fmt: Format, bits: Value, offset: int) -> dict[str, Value]:
    """Return the fields of a pattern; of a posit those that :func:`posit_completed` takes on."""
    if isinstance(fmt, Float):
        return _float_fields(m, fmt, bits, offset)
    if isinstance(fmt, Posit):
        return _posit_fields(m, fmt, bits)
    if isinstance(fmt, BlockScaled):
        return _block_fields(m, fmt, bits, offset)
    assert isinstance(fmt, FixedPoint), fmt
    return _magnitude_fields(m, fmt, bits, offset)


def _float_fields(m: Module, fmt: Float, bits: Value, offset: int) -> dict[str, Value]:
    """IEEE-like patterns: subnormals share the exponent of the least normal binade."""
    fraction = bits[: fmt.fraction_bits]
    field = bits[fmt.fraction_bits : -1]
    normal = Signal()
    m.d.comb += normal.eq(field.any())
    special = Signal()
    nan = Signal()
    if fmt.specials is Specials.IEEE:
        m.d.comb += [special.eq(field.all()), nan.eq(special & fraction.any())]
    elif fmt.specials is Specials.NAN_ONLY:
        m.d.comb += [special.eq(field.all() & fraction.all()), nan.eq(special)]
    significand = Signal(fmt.precision)
    with m.If(~special):
        m.d.comb += significand.eq(Cat(fraction, normal))
    return {
        "significand": significand,
        # One adder: the subnormals' exponent, that of field 1, is a constant.
        "exponent": Mux(normal, field + (offset - 1), offset),
        "sign": bits[-1],
        "nan": nan,
        "special": special,
    }


def _magnitude_fields(m: Module, fmt: FixedPoint, bits: Value, offset: int) -> dict[str, Value]:
    """Fixed-point patterns: sign and magnitude, no exponent."""
    significand = Signal(fmt.width)
    sign = Signal()
    if fmt.signed:
        m.d.comb += sign.eq(bits[-1])
    m.d.comb += significand.eq(Mux(sign, -bits, bits))
    exponent = Const(offset, Shape.cast(range(offset, offset + 1)))
    return {"significand": significand, "exponent": exponent, "sign": sign}


def _block_fields(m: Module, fmt: BlockScaled, bits: Value, offset: int) -> dict[str, Value]:
    """An element and its scale: exponents add, significands multiply."""
    element = decode(m, fmt.element, bits[: fmt.element.width], offset)
    scale_bits = bits[fmt.element.width :]
    none = Const(0, 1)
    nan = Signal()
    significand = Signal(fmt.precision)
    if fmt.scale is Scale.E8M0:
        sign, scale_exponent, scale_nan = element["sign"], scale_bits, scale_bits.all()
        with m.If(~scale_nan):
            m.d.comb += significand.eq(element["significand"])
    else:
        scale = _float_fields(m, SCALE_FLOAT, scale_bits, 0)
        sign = element["sign"] ^ scale["sign"]
        scale_exponent, scale_nan = scale["exponent"], scale["nan"]
        m.d.comb += significand.eq(multiplied(element["significand"], scale["significand"]))
    m.d.comb += nan.eq(element.get("nan", none) | scale_nan)
    return {
        "significand": significand,
        "exponent": element["exponent"] + scale_exponent,
        "sign": sign,
        "nan": nan,
        "special": element.get("special", none) | nan,
    }


def multiplied(few: Value, other: Value) -> Value:
    """Product by a factor of few bits: additions, and no multiplier that synthesis takes."""
    return sum(Mux(bit, other << place, 0) for place, bit in enumerate(few))


def decode_scales(
    m: Module, scales: Sequence[tuple[Scale, Value]], offset: int
) -> dict[str, Value]:
    """Return the fields of the product of two scales, but for its significand.

    Its factors are ``factor_0`` ..., as many as scales have significands.
    """
    factors: dict[str, Value] = {}
    exponent: Value = Const(offset)
    sign: Value = Const(0, 1)
    nan: Value = Const(0, 1)
    for scale, bits in scales:
        if scale is Scale.E8M0:
            exponent, nan = exponent + bits, nan | bits.all()
            continue
        fields = _float_fields(m, SCALE_FLOAT, bits, 0)
        exponent, nan = exponent + fields["exponent"], nan | fields["nan"]
        sign = sign ^ fields["sign"]
        factors[f"factor_{len(factors)}"] = fields["significand"]
    return factors | {
        "exponent": exponent,
        "sign": sign,
        "nan": nan,
        "special": nan,
    }


def _posit_fields(m: Module, fmt: Posit, bits: Value) -> dict[str, Value]:
    """The magnitude's bits under the sign, and how long the run of equal bits at their top is."""
    magnitude = Signal(fmt.width - 1)
    m.d.comb += magnitude.eq(Mux(bits[-1], -bits, bits))
    nothing = Signal()  # zero or NaR
    m.d.comb += nothing.eq(~bits[:-1].any())
    repeated = Signal(range(fmt.width - 1))  # bits equal to the first, after it
    m.d.comb += repeated.eq(fmt.width - 2)
    for place in range(fmt.width - 2):
        with m.If(magnitude[place] ^ magnitude[-1]):
            m.d.comb += repeated.eq(fmt.width - 3 - place)
    return {
        "magnitude": magnitude,
        "repeated": repeated,
        "nothing": nothing,
        "sign": bits[-1],
    }


def posit_completed(
    m: Module, fmt: Posit, fields: dict[str, Value], offset: int
) -> dict[str, Value]:
    """Take exponent and fraction from behind the regime."""
    magnitude, repeated, nothing = (fields[name] for name in ("magnitude", "repeated", "nothing"))
    behind = Signal(max(fmt.width - 3, fmt.exponent_bits))
    unused = len(behind) - (fmt.width - 3)
    m.d.comb += behind[unused:].eq(magnitude[:-2] << repeated)
    fraction = behind[: fmt.precision - 1]
    exponent = behind[len(behind) - fmt.exponent_bits :]
    # The regime, counted from the smallest posit's: r repeated ones mean r, r zeros -r - 1.
    least = fmt.width - 2
    regime = Signal(range(2 * least + 1))
    m.d.comb += regime.eq(Mux(magnitude[-1], least + repeated, least - 1 - repeated))
    nan = Signal()
    m.d.comb += nan.eq(nothing & fields["sign"])
    return {
        "significand": Cat(fraction, ~nothing),
        "exponent": Cat(exponent, regime) + offset,
        "sign": fields["sign"],
        "nan": nan,
        "special": nan,
    }
