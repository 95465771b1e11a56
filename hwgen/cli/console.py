"""What verbs print with: results on stdout, progress on stderr, ``--json`` for machines.

On a terminal progress is a live line. Elsewhere (a log, a pipe) it is a plain line now and then,
and none at all for what is over in two seconds.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["counting", "json_option", "print_json", "print_pairs", "print_table", "working"]

PATIENCE_S = 2.0  # nothing is said about work that is over sooner, unless on a terminal
REPORT_EVERY_S = 10.0

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def print_json(value: Any) -> None:
    """Print ``value`` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, the values aligned."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name:<{width}}  {value}")


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], *, left: Sequence[str] = ()
) -> None:
    """Print a plain table; the columns named in ``left`` are aligned left, the others right."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (
            f"{cell:<{width}}" if name in left else f"{cell:>{width}}"
            for name, cell, width in zip(header, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


@contextmanager
def working(message: str) -> Iterator[None]:
    """Show on stderr that ``message`` is under way, while the block runs."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(message):
            yield
        return
    timer = threading.Timer(PATIENCE_S, click.echo, (f"{message} ...",), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def counting(message: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how much of ``total`` is done; yields a function to call with that amount."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(message, total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    due = time.monotonic() + PATIENCE_S

    def report(done: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + REPORT_EVERY_S
            click.echo(f"{message}: {done} of {total}", err=True)

    yield report
