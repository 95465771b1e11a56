"""``hwgen formats``: the number formats that hwgen knows, and the facts about each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import click

from hwgen.cli.console import json_option, print_json, print_pairs, print_table
from hwgen.formats import (
    BlockScaled,
    FixedPoint,
    Float,
    Format,
    Posit,
    known_formats,
    parse_format,
)

__all__ = ["command", "describe"]


@click.command("formats")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the number formats, or describe the ones named.

    A NAME may be a general one, such as float:5,2 or int:12.

    \b
    Example: hwgen formats bf16 fixed:4,12
    """
    formats = [parse_format(name) for name in names]
    if as_json:
        print_json([describe(fmt) for fmt in formats] if names else _catalogue())
    elif names:
        for index, fmt in enumerate(formats):
            if index:
                click.echo()
            print_pairs([(_TITLES[key], _text(value)) for key, value in describe(fmt).items()])
    else:
        _print_catalogue()


def describe(fmt: Format) -> dict[str, Any]:
    """Return the facts about a format; numbers are integers or float64."""
    facts: dict[str, Any] = {
        "name": fmt.name,
        "width": fmt.width,
        "precision": fmt.precision,
        "max": _number(_largest(fmt)),
        "min": _number(_lowest(fmt)),
        "smallest_normal": None,
        "smallest": _number(Fraction(2) ** fmt.min_exponent),
        "inf": fmt.has_inf,
        "nan": fmt.has_nan,
    }
    if isinstance(fmt, Float):
        facts["smallest_normal"] = _number(Fraction(2) ** (fmt.min_exponent + fmt.precision - 1))
        facts["exponent_bits"] = fmt.exponent_bits
        facts["fraction_bits"] = fmt.fraction_bits
        facts["bias"] = fmt.bias
        facts["overflow"] = fmt.overflow.value
    else:
        facts["overflow"] = "saturate"
    if isinstance(fmt, Posit):
        facts["exponent_bits"] = fmt.exponent_bits
    if isinstance(fmt, BlockScaled):
        facts["element"] = fmt.element.name
        facts["scale"] = fmt.scale.value
        facts["block"] = fmt.block
    return facts


_TITLES = {
    "name": "name",
    "width": "width (bits)",
    "precision": "precision (bits)",
    "max": "largest",
    "min": "lowest",
    "smallest_normal": "smallest normal",
    "smallest": "smallest above zero",
    "inf": "infinities",
    "nan": "NaN",
    "exponent_bits": "exponent bits",
    "fraction_bits": "fraction bits",
    "bias": "exponent bias",
    "overflow": "a result too large",
    "element": "element",
    "scale": "scale",
    "block": "elements a scale",
}


def _catalogue() -> list[dict[str, Any]]:
    """Return one entry a line of the catalogue; families have no facts without their numbers."""
    entries = []
    for known in known_formats():
        entry = {"name": known.name, "description": known.description}
        if not _is_family(known.name):
            entry |= describe(parse_format(known.name))
        entries.append(entry)
    return entries


def _print_catalogue() -> None:
    named = [entry for entry in _catalogue() if "width" in entry]
    keys = ("name", "width", "precision", "max", "smallest_normal", "smallest", "inf", "nan")
    header = ("name", "bits", "precision", "largest", "min normal", "min > 0", "inf", "nan")
    rows = [[_text(entry[key]) for key in keys] for entry in named]
    print_table(
        [*header, "what it is"],
        [[*row, entry["description"]] for row, entry in zip(rows, named, strict=True)],
        left=("name", "what it is"),
    )
    click.echo("\nFamilies (write numbers for the letters; hwgen formats NAME tells the rest):")
    families = [known for known in known_formats() if _is_family(known.name)]
    print_pairs([(family.name, family.description) for family in families])


def _is_family(name: str) -> bool:
    return ":" in name


def _largest(fmt: Format) -> Fraction:
    if isinstance(fmt, FixedPoint):
        return fmt.decode((1 << (fmt.width - fmt.signed)) - 1).fraction
    if isinstance(fmt, BlockScaled):
        return _largest(fmt.element) * (fmt.max_finite / fmt.element.max_finite)
    return fmt.max_finite


def _lowest(fmt: Format) -> Fraction:
    return -fmt.max_finite if fmt.signed else Fraction(0)


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 and abs(value) < 1 << 64 else float(value)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > 1 << 20):
        return f"{value:.6g}"
    return str(value)
