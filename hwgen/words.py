"""The little language of names: ``head:positional,key=value,...``.

Formats (``float:5,10``, ``e4m3:overflow=nan``) and accumulators (``window:msb=5,lsb=-30``) share
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hwgen.errors import HwgenError

__all__ = ["Words", "parse_integer", "parse_words"]


@dataclass(frozen=True, slots=True)
class Words:
    """A parsed name: its head, its positional values and its options, all still text."""

    text: str
    head: str
    positional: tuple[str, ...]
    options: Mapping[str, str]


def parse_words(text: str, *, error: type[HwgenError]) -> Words:
    """Split ``head:a,b,key=value`` into its parts; raises ``error`` on malformed text."""
    if not isinstance(text, str):
        raise error(f"expected a name such as 'bf16' or 'window:msb=5,lsb=-30', got {text!r}")
    head, colon, rest = text.strip().partition(":")
    if not re.fullmatch(r"[a-z][a-z0-9]*", head):
        raise error(f"{text!r} does not start with a name in lower case letters and digits")
    positional: list[str] = []
    options: dict[str, str] = {}
    for item in rest.split(",") if colon else ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key or (equals and not value):
            raise error(f"{text!r} has an empty item; write head:value or head:key=value,key=value")
        if not equals:
            if options:
                raise error(f"{text!r}: the bare value {key!r} must stand before key=value items")
            positional.append(key)
        elif key in options:
            raise error(f"{text!r} gives {key} twice")
        else:
            options[key] = value
    return Words(text, head, tuple(positional), options)


def parse_integer(text: str, what: str, *, error: type[HwgenError], digits: int = 6) -> int:
    """Read a decimal integer of at most so many digits; raises ``error`` naming ``what``."""
    if not re.fullmatch(rf"[+-]?[0-9]{{1,{digits}}}", text):
        raise error(f"{what} is {text!r}; it must be a decimal integer of at most {digits} digits")
    return int(text)
