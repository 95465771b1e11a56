"""``hwgen size``: the narrowest window that is safe for declared or for observed data."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import click

from hwgen.cli.console import json_option, print_json, print_pairs
from hwgen.errors import SpecError
from hwgen.explore import Ranges, Sizing, magnitude_text, size_window
from hwgen.explore.profile import Profile
from hwgen.formats import Format, parse_format
from hwgen.spec.accumulator import Overflow, Rounding

__all__ = ["command"]

_RAW = "raw"


@click.command("size")
@click.option("--a", required=True, metavar="FORMAT", help="Format of A's elements.")
@click.option("--b", metavar="FORMAT", help="Format of B's elements.  [default: as A's]")
@click.option("--terms", type=click.IntRange(1), help="Largest K.")
@click.option("--a-max", metavar="NUMBER", help="Largest magnitude in A.  [default: A's format's]")
@click.option("--b-max", metavar="NUMBER", help="Largest magnitude in B.  [default: B's format's]")
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Size for the data of a program, as hwgen run --profile observed them, in place of"
    " --terms, --a-max and --b-max.",
)
@click.option(
    "--margin",
    type=float,
    metavar="NUMBER",
    help="With --profile: how much larger other data may be.  [default: 2]",
)
@click.option(
    "--tolerance",
    metavar="NUMBER",
    help="Most that a result may be off A B.  [default: nothing is dropped]",
)
@click.option(
    "--relative",
    is_flag=True,
    help="The tolerance is a fraction of K times the largest product; with --profile, of the"
    " smallest of the products' largest results.",
)
@click.option(
    "--round",
    "rounding",
    type=click.Choice([mode.value for mode in Rounding if mode is not Rounding.STOCHASTIC]),
    default=Rounding.ZERO.value,
    show_default=True,
    help="Treatment of bits below the window.",
)
@click.option(
    "--out",
    default=_RAW,
    show_default=True,
    metavar="FORMAT",
    help="Format of C, whose rounding counts.",
)
@json_option
def command(
    a: str,
    b: str | None,
    terms: int | None,
    a_max: str | None,
    b_max: str | None,
    profile: Path | None,
    margin: float | None,
    tolerance: str | None,
    relative: bool,
    rounding: str,
    out: str,
    as_json: bool,
) -> None:
    """Find the narrowest accumulator that is safe for all data of a size, or of a program.

    For operands of the given formats and magnitudes and sums of up to K products: no result
    overflows, and none is further from the exact product than the tolerance, whatever the data.

    \b
    Examples:
    hwgen size --a bf16 --terms 512 --a-max 4 --b-max 1 --tolerance 1e-3
    hwgen size --a bf16 --profile profile.json --tolerance 1e-3 --relative
    """
    left = parse_format(a)
    right = left if b is None else parse_format(b)
    allowed = _number(tolerance, "--tolerance")
    if relative and allowed is None:
        raise click.UsageError("--relative needs --tolerance, the fraction that is allowed")
    if profile is not None:
        declared = {"--terms": terms, "--a-max": a_max, "--b-max": b_max}
        for option, value in declared.items():
            if value is not None:
                raise click.UsageError(f"{option} does not go with --profile, which has it")
        ranges, scale = _observed(profile, left, right, 2.0 if margin is None else margin)
    elif terms is None:
        raise click.UsageError("missing --terms, the largest K; or give --profile")
    elif margin is not None:
        raise click.UsageError("--margin belongs to --profile; declare larger magnitudes")
    else:
        ranges = Ranges.declared(
            left,
            right,
            terms=terms,
            a_max=_number(a_max, "--a-max"),
            b_max=_number(b_max, "--b-max"),
        )
        scale = ranges.total
    if relative and allowed is not None:
        allowed *= scale
    sizing = size_window(
        ranges,
        allowed,
        rounding=Rounding(rounding),
        overflow=Overflow.NAN,
        out=None if out == _RAW else parse_format(out),
    )
    _print(sizing, ranges, as_json=as_json)


def _observed(path: Path, a: Format, b: Format, margin: float) -> tuple[Ranges, Fraction]:
    """Return the ranges of a profile, and what its tolerances are relative to."""
    profile = Profile.read(path)
    least = profile.least_result
    scale = Fraction(least) if math.isfinite(least) else Fraction(0)
    return profile.ranges(a, b, margin=margin), scale


def _number(text: str | None, option: str) -> Fraction | None:
    if text is None:
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise SpecError(f"{option} is {text!r}; give a number such as 0.5, 1e-3 or 1/3") from None


def _print(sizing: Sizing, ranges: Ranges, *, as_json: bool) -> None:
    window = sizing.window
    if as_json:
        facts: dict[str, object] = {"acc": str(window), "width": window.width}
        # Exact, since float64 holds neither all of them nor every digit.
        bounds = {"bound": sizing.bound, "product": ranges.product, "total": ranges.total}
        print_json(facts | {name: str(value) for name, value in bounds.items()})
        return
    print_pairs(
        [
            ("accumulator", str(window)),
            ("width", f"{window.width} bits"),
            ("error", f"at most {magnitude_text(sizing.bound)}" if sizing.bound else "none"),
            ("products", f"at most {magnitude_text(ranges.product)}"),
            ("sums", f"at most {magnitude_text(ranges.total)}"),
        ]
    )
