"""The names of formats: what users type, and what each name means."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from hwgen.errors import FormatError
from hwgen.formats.base import Format
from hwgen.formats.block import NAMED_BLOCKS, BlockScaled, NamedBlock
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import ALLOWED_OVERFLOW, NAMED_FLOATS, Float, FloatOverflow, Specials
from hwgen.formats.integer import Integer
from hwgen.formats.posit import STANDARD_EXPONENT_BITS, Posit
from hwgen.words import Words, parse_integer, parse_words

__all__ = ["KnownFormat", "known_formats", "parse_format"]


@dataclass(frozen=True, slots=True)
class KnownFormat:
    """One line of the catalogue: what to type, and what it is."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class _Family:
    """A family of formats with numbers in their names.

    Parameters
    ----------
    usage : str
        The name with letters for its numbers, as error messages show it.
    description : str
        One line for the catalogue.
    parse : callable
        Makes the format of the parsed name.
    numbered : bool
        Whether ``headN`` is short for ``head:N``.
    """

    usage: str
    description: str
    parse: Callable[[Words], Format]
    numbered: bool = False


def known_formats() -> tuple[KnownFormat, ...]:
    """Return the catalogue: names and families, each with a one-line description."""
    named = [KnownFormat(entry.name, entry.description) for entry in NAMED_FLOATS]
    posits = [
        KnownFormat(f"posit{width}", f"Posit Standard 2022, {width} bits, 2 of them exponent")
        for width in (8, 16, 32)
    ]
    blocks = [KnownFormat(entry.name, entry.description) for entry in NAMED_BLOCKS]
    families = [KnownFormat(entry.usage, entry.description) for entry in _FAMILIES.values()]
    return (*named, *posits, *blocks, *families)


def parse_format(text: str) -> Format:
    """Return the format that ``text`` names, e.g. ``bf16``, ``e4m3:overflow=nan``, ``int:12``.

    Raises
    ------
    FormatError
        If the name is unknown or malformed, or a number in it is out of range.
    """
    words = parse_words(text, error=FormatError)
    named = _NAMED.get(words.head)
    if named is not None:
        choices = "|".join(choice.value for choice in ALLOWED_OVERFLOW[named.specials])
        usage = f"{words.head}[:overflow={choices}]"
        _check(words, positional=0, options=("overflow",), usage=usage)
        return Float(
            exponent_bits=named.exponent_bits,
            fraction_bits=named.fraction_bits,
            specials=named.specials,
            overflow=_choice(words, "overflow", FloatOverflow),
        )
    block = _BLOCKS.get(words.head)
    if block is not None:
        return _parse_block(words, block)
    family = _FAMILIES.get(words.head)
    short = re.fullmatch(r"([a-z]+)(\d+)", words.head)
    if family is None and short is not None and short[1] in _FAMILIES:
        numbered = _FAMILIES[short[1]]
        if numbered.numbered:
            family = numbered
            words = replace(words, head=short[1], positional=(short[2], *words.positional))
    if family is None:
        raise FormatError(_unknown(words))
    return family.parse(words)


def _unknown(words: Words) -> str:
    names = [entry.name for entry in known_formats()]
    heads = {name.partition(":")[0]: name for name in (*names, "int8", "uint8")}
    close = difflib.get_close_matches(words.head, heads, n=1)
    guess = f"; did you mean {heads[close[0]]}?" if close else ";"
    return f"unknown format {words.text!r}{guess} known are {', '.join(names)}"


def _check(words: Words, *, positional: int, options: tuple[str, ...], usage: str) -> None:
    unknown = [key for key in words.options if key not in options]
    if unknown:
        raise FormatError(f"{words.text!r} has no option {unknown[0]!r}; write {usage}")
    if len(words.positional) != positional:
        raise FormatError(f"{words.text!r} is malformed; write {usage}")


def _choice(words: Words, key: str, kind: type[enum.Enum]):
    value = words.options.get(key)
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise FormatError(f"{words.text!r} has {key}={value}; allowed is {allowed}") from None


def _number(words: Words, index: int, what: str) -> int:
    return parse_integer(words.positional[index], f"{what} of {words.text!r}", error=FormatError)


def _parse_float(words: Words) -> Float:
    _check(
        words,
        positional=2,
        options=("specials", "overflow"),
        usage="float:E,F[,specials=ieee|nan|none][,overflow=infinity|saturate|nan]",
    )
    return Float(
        exponent_bits=_number(words, 0, "exponent bits"),
        fraction_bits=_number(words, 1, "fraction bits"),
        specials=_choice(words, "specials", Specials) or Specials.IEEE,
        overflow=_choice(words, "overflow", FloatOverflow),
    )


def _parse_integer(words: Words) -> Integer:
    _check(words, positional=1, options=(), usage=_FAMILIES[words.head].usage)
    return Integer(integer_bits=_number(words, 0, "width"), signed=words.head == "int")


def _parse_posit(words: Words) -> Posit:
    # positN and posit:N are the standard's.
    standard = len(words.positional) == 1
    _check(words, positional=1 if standard else 2, options=(), usage="positN or posit:N,ES")
    return Posit(
        width=_number(words, 0, "bits"),
        exponent_bits=(STANDARD_EXPONENT_BITS if standard else _number(words, 1, "exponent bits")),
    )


def _parse_block(words: Words, named: NamedBlock) -> BlockScaled:
    elements = {element.name: element for element in named.elements}
    if len(elements) == 1:
        _check(words, positional=0, options=("block",), usage=f"{named.name}[:block=N]")
    else:
        usage = f"{named.name}[:element={'|'.join(elements)}][,block=N]"
        _check(words, positional=0, options=("element", "block"), usage=usage)
    element = words.options.get("element", named.elements[0].name)
    if element not in elements:
        raise FormatError(
            f"{words.text!r} has element={element}; allowed is {' or '.join(elements)}"
        )
    block = words.options.get("block")
    return BlockScaled(
        element=elements[element],
        scale=named.scale,
        block=(
            named.block
            if block is None
            else parse_integer(block, f"block of {words.text!r}", error=FormatError)
        ),
    )


def _parse_fixed(words: Words) -> FixedPoint:
    _check(words, positional=2, options=(), usage=_FAMILIES[words.head].usage)
    return FixedPoint(
        integer_bits=_number(words, 0, "integer bits"),
        fraction_bits=_number(words, 1, "fraction bits"),
        signed=words.head == "fixed",
    )


_NAMED = {entry.name: entry for entry in NAMED_FLOATS}
_BLOCKS = {entry.name: entry for entry in NAMED_BLOCKS}
_FAMILIES = {
    "float": _Family(
        "float:E,F",
        "IEEE-like float, E exponent bits (2 to 11), F fraction bits (1 to 52)",
        _parse_float,
    ),
    "posit": _Family(
        "posit:N,ES",
        "posit of N bits (3 to 32) with ES exponent bits (0 to 4)",
        _parse_posit,
        True,
    ),
    "int": _Family("int:N", "two's complement integer of N bits (2 to 64)", _parse_integer, True),
    "uint": _Family("uint:N", "unsigned integer of N bits (1 to 63)", _parse_integer, True),
    "fixed": _Family(
        "fixed:I,F",
        "two's complement fixed point, I integer bits (sign included), F fraction bits",
        _parse_fixed,
    ),
    "ufixed": _Family(
        "ufixed:I,F", "unsigned fixed point, I integer bits, F fraction bits", _parse_fixed
    ),
}
