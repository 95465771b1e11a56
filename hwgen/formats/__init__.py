"""Number formats as values: :func:`parse_format` turns the names that users type into them."""

from __future__ import annotations

from hwgen.formats.base import Encoding, Format, Kind, Number, Packed, Unpacked, pattern_dtype
from hwgen.formats.block import BlockScaled
from hwgen.formats.catalog import KnownFormat, known_formats, parse_format
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float, FloatOverflow, Specials
from hwgen.formats.integer import Integer
from hwgen.formats.posit import Posit
from hwgen.formats.scale import Scale

__all__ = [
    "BlockScaled",
    "Encoding",
    "FixedPoint",
    "Float",
    "FloatOverflow",
    "Format",
    "Integer",
    "Kind",
    "KnownFormat",
    "Number",
    "Packed",
    "Posit",
    "Scale",
    "Specials",
    "Unpacked",
    "known_formats",
    "parse_format",
    "pattern_dtype",
]
