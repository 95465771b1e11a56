"""The end of ``hwgen run``: a table of what was served, and warnings, on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

__all__ = ["print_report"]


def print_report(record: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """Print a run's record on stderr: as a table, or as JSON, or only its warnings."""
    if as_json:
        click.echo(json.dumps(record, indent=2, allow_nan=False), err=True)
        return
    if not quiet and record["symbols"]:
        _print_table(record)
        for line in _lines(record):
            click.echo(f"hwgen: {line}", err=True)
    for warning in record["warnings"]:
        click.echo(f"hwgen: {click.style('warning', fg='yellow', bold=True)}: {warning}", err=True)


def _print_table(record: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    total = record["total"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("BLAS symbol", "total", no_wrap=True)
    columns = _columns(total)
    for name, show in columns:
        table.add_column(name, show(total), justify="right", no_wrap=True)
    if total["native_calls"]:
        table.add_column("why native", no_wrap=True)
    for use in record["symbols"]:
        reason = [use["why_native"]] if total["native_calls"] else []
        table.add_row(use["symbol"], *(show(use) for _, show in columns), *reason)
    console = Console(stderr=True, highlight=False)
    # Rather let the terminal wrap lines than lose digits.
    needed = Console(width=1000).measure(table).maximum
    console.width = max(console.width, needed)
    console.print(table)


_Column = tuple[str, Callable[[dict[str, Any]], str]]


def _columns(total: dict[str, Any]) -> list[_Column]:
    """Return names of columns and what each shows; what is zero throughout is left out."""
    columns: list[_Column] = [
        ("served", lambda use: str(use["served_calls"])),
        ("flops", lambda use: _scaled(use["served_flops"])),
    ]
    if total["native_calls"]:
        columns += [
            ("native", lambda use: str(use["native_calls"])),
            ("flops", lambda use: _scaled(use["native_flops"])),
        ]
    if total["failed_calls"]:
        columns.append(("failed", lambda use: str(use["failed_calls"])))
    columns += [
        ("share", lambda use: _share(use["served_share"])),
        ("seconds", lambda use: f"{use['seconds']:.3f}"),
    ]
    if total["max_error"] is not None:
        columns.append(("max error", lambda use: _error(use["max_error"])))
    return columns


def _share(share: float) -> str:
    # No rounding up to all.
    return f"{share if share == 1 else min(share, 0.999):.1%}"


def _error(error: float | str) -> str:
    return error if isinstance(error, str) else f"{error:.1e}"


def _lines(record: dict[str, Any]) -> list[str]:
    count = record["processes"]
    processes = f"{count} process{'es' * (count != 1)}"
    where = {"c": " on the kernels", "rtl": " on the simulated circuit", "native": ""}
    what = f"{record['datapath']}{where[record['backend']]}"
    return [
        f"{what}; {processes}, {record['seconds']:.1f} s in all",
        *_array_lines(record["array"]),
    ]


def _array_lines(array: dict[str, Any] | None) -> list[str]:
    if array is None:
        return []
    line = (
        f"array of {array['rows']} x {array['cols']}: {array['cycles']:,} cycles,"
        f" {array['utilisation']:.1%} carried operands, {array['useful']:.1%} of all"
        " multiplications were of use"
    )
    if array["seconds"] is None:
        return [line]
    return [line, f"at {array['mhz']:g} MHz the array would take {array['seconds']:.3g} s"]


def _scaled(value: float) -> str:
    """A number in three digits with a metric prefix."""
    if value == 0:
        return "0"
    for scale, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}".rstrip()
    return f"{value:.3g}"
