"""``hwgen synth``: from a build folder to area, speed and the critical path."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwgen.cli.console import json_option, print_json, print_pairs, print_table
from hwgen.flow.targets import target_names

if TYPE_CHECKING:
    from hwgen.flow.records import CriticalPath, Placement, SynthesisReport
    from hwgen.flow.synth import Progress

__all__ = ["command"]

_REPORT_EVERY_S = 10.0
_HOPS = 8  # of the critical path, shown


@click.command("synth")
@click.argument("build", type=click.Path(path_type=Path))
@click.option(
    "--target", required=True, metavar="TARGET", help=f"One of {', '.join(target_names())}."
)
@click.option(
    "--freq",
    type=float,
    metavar="MHZ",
    help="Clock frequency to ask for.  [default: a high one, so that fmax shows what is possible]",
)
@click.option(
    "--seeds", type=int, default=3, show_default=True, help="How many placements to make."
)
@click.option(
    "--jobs", type=int, metavar="N", help="Placements at a time.  [default: one a processor]"
)
@click.option(
    "--device", metavar="NAME", help="A device of the family.  [default: the smallest that fits]"
)
@click.option("--no-pnr", is_flag=True, help="Count cells only: no place and route, no fmax.")
@click.option(
    "--flat",
    is_flag=True,
    help="Map every PE by itself: a few per cent smaller, several times slower.",
)
@click.option("--yosys", metavar="PROGRAM", help="A native yosys to use.")
@click.option("--nextpnr", metavar="PROGRAM", help="A native nextpnr of the family to use.")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where to write report.json, logs and netlist.  [default: BUILD/synth/TARGET]",
)
@json_option
def command(
    build: Path,
    target: str,
    freq: float | None,
    seeds: int,
    jobs: int | None,
    device: str | None,
    no_pnr: bool,
    flat: bool,
    yosys: str | None,
    nextpnr: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Synthesise a build for an FPGA, place and route it, and report area and speed.

    \b
    Examples:
    hwgen synth build/demo --target ecp5
    hwgen synth build/demo --target ice40 --device up5k --freq 40 --seeds 5
    hwgen synth build/demo --target xcup --json
    """
    from hwgen.flow.synth import synthesize

    with _showing() as show:
        report = synthesize(
            build,
            target,
            freq_mhz=freq,
            seeds=seeds,
            device=device,
            place=not no_pnr,
            flat=flat,
            jobs=jobs,
            output=output,
            yosys=yosys,
            nextpnr=nextpnr,
            progress=show,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
        folder = output if output is not None else build / "synth" / target
        click.echo(f"report: {folder / 'report.json'}")


@contextmanager
def _showing() -> Iterator[Callable[[Progress], None]]:
    """Show steps on stderr: live on a terminal, elsewhere a line now and then."""
    if sys.stderr.isatty():
        with _live() as show:
            yield show
        return
    said = time.monotonic()

    def report(news: Progress) -> None:
        nonlocal said
        now = time.monotonic()
        if news.finished or now >= said + _REPORT_EVERY_S:
            said = now
            click.echo(f"{news.step}: {news.detail}", err=True)

    yield report


@contextmanager
def _live() -> Iterator[Callable[[Progress], None]]:
    """Show one live line a step, with the time it has taken."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text="\N{CHECK MARK}"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(news: Progress) -> None:
            if news.step not in tasks:
                tasks[news.step] = bars.add_task(news.step, total=1, detail="")
            if news.finished:
                bars.update(tasks[news.step], completed=1, detail="")
            else:
                bars.update(tasks[news.step], detail=news.detail)

        yield show


def _print_report(report: SynthesisReport) -> None:
    click.echo(f"{report.name} on {report.title}")
    kinds = ("lut", "carry", "ff", "dsp", "bram", "lutram")
    rows: list[list[object]] = [["core", *(getattr(report.area, kind) for kind in kinds)]]
    if report.harness is not None:
        rows.append(["harness", *(getattr(report.harness, kind) for kind in kinds)])
    pes = report.rows * report.cols
    rows.append(
        ["core a PE", *(f"{getattr(report.area, kind) / pes:.1f}" for kind in kinds)],
    )
    print_table(["", "LUT", "carry", "FF", "DSP", "BRAM", "LUTRAM"], rows, left=[""])
    if report.placement is not None:
        _print_placement(report.placement)
    cells = ", ".join(f"{count} {cell}" for cell, count in report.area.cells.items())
    click.echo(f"cells: {cells}")
    for note in report.notes:
        click.echo(f"note: {note}")


def _print_placement(placement: Placement) -> None:
    each = ", ".join(f"{result.fmax_mhz:.1f}" for result in placement.seeds)
    count = len(placement.seeds)
    fmax = f"{placement.median_mhz:.1f} MHz"
    if count > 1:
        fmax += f", median of {count} seeds ({each})"
    used = ", ".join(
        f"{kind} {count} of {placement.available[kind]} ({count / placement.available[kind]:.0%})"
        for kind, count in placement.used.items()
        if placement.available[kind]
    )
    path = placement.critical_path
    split = f"{path.delay_ns:.2f} ns = {path.logic_ns:.2f} logic + {path.routing_ns:.2f} routing"
    print_pairs(
        [
            ("device", placement.device),
            ("fmax", f"{fmax}; asked for {placement.requested_mhz:g} MHz"),
            ("used, harness included", used),
            ("critical path", f"{path.begin} -> {path.end}, {split}"),
            ("  through", _through(path)),
        ]
    )


def _through(path: CriticalPath) -> str:
    """Name the signals a path runs through, each once, the middle left out if there are many."""
    names = list(dict.fromkeys(segment.source for segment in path.segments))
    if len(names) > _HOPS:
        half = _HOPS // 2
        names = [*names[:half], f"... {len(names) - _HOPS} more ...", *names[-half:]]
    return " -> ".join(names)
