"""Reading an exploration that a report can be made of, whatever the file holds."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.explore.records import Exploration

__all__ = ["load"]


def load(path: Path) -> Exploration:
    """Read an exploration; every field has its type, and its text can be written anywhere.

    Raises
    ------
    HwgenError
        If the file cannot be read, or holds no exploration.
    """
    try:
        return _checked(Exploration.read(path), Exploration, "exploration")
    except _WrongTypeError as error:
        raise HwgenError(f"{path} holds no exploration: {error}") from None
    except RecursionError:
        raise HwgenError(f"{path} holds no exploration: it is nested too deep") from None


class _WrongTypeError(Exception):
    """A field holds something else than its record says."""


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return a value with its text made printable, if it is of a field's type."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        (kind,) = (part for part in kind.__args__ if part is not types.NoneType)
    origin = typing.get_origin(kind)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {
            field.name: _checked(getattr(value, field.name), hints[field.name], _join(where, field))
            for field in fields(kind)
        }
        return kind(**parts)
    if origin is list and isinstance(value, list):
        (element,) = typing.get_args(kind)
        return [_checked(part, element, f"{where}[{index}]") for index, part in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        _, element = typing.get_args(kind)
        return {
            _printable(key): _checked(part, element, f"{where}[{key!r}]")
            for key, part in value.items()
        }
    if kind is str and isinstance(value, str):
        return _printable(value)
    number = isinstance(value, int) and not isinstance(value, bool)
    if kind is int and number or kind is float and (number or isinstance(value, float)):
        return value
    if kind is bool and isinstance(value, bool):
        return value
    text = repr(value)
    raise _WrongTypeError(
        f"{where} is {text if len(text) <= 40 else text[:37] + '...'}, not a"
        f" {'number' if kind in (int, float) else origin.__name__ if origin else kind.__name__}"
    )


def _join(where: str, field: Any) -> str:
    return field.name if where == "exploration" else f"{where}.{field.name}"


def _printable(text: str) -> str:
    """Replace what neither XML nor UTF-8 can hold, and what would break a line."""
    return "".join(
        character
        if character.isprintable()
        else " "
        if character.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
