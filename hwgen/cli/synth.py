"""``hwgen synth``: from a build folder to area, speed and the critical path, or energy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwgen.cli.console import json_option, print_json, print_pairs, print_table
from hwgen.flow.targets import target_names

if TYPE_CHECKING:
    from hwgen.flow.asic_records import AsicPart, AsicReport, EnergyFigure
    from hwgen.flow.records import CriticalPath, Placement, SynthesisReport
    from hwgen.flow.synth import Progress

__all__ = ["command"]

_REPORT_EVERY_S = 10.0
_HOPS = 8  # of the critical path, shown
ASIC = "asic"  # standard cells instead of an FPGA
_KINDS = ("gaussian", "relu", "skewed")
_SCOPES = ("pe", "array")
# Options that go with one kind of target only; each has the default None or False.
_ASIC_ONLY = ("liberty", "scope", "stimulus", "operands", "terms")
_FPGA_ONLY = ("jobs", "device", "no_pnr", "flat", "nextpnr")


@click.command("synth")
@click.argument("build", type=click.Path(path_type=Path))
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help=f"One of {', '.join((*target_names(), ASIC))}.",
)
@click.option(
    "--freq",
    type=float,
    metavar="MHZ",
    help="Clock frequency to ask for.  [default: a high one, so that fmax shows what is possible]",
)
@click.option(
    "--seeds",
    type=int,
    metavar="N",
    help="How many placements to make; asic: stimuli of each kind.  [default: 3; asic: 2]",
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
@click.option(
    "--liberty",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="asic: a library of cells, with tables of power.  [default: OSU 0.18 um]",
)
@click.option(
    "--scope",
    type=click.Choice(_SCOPES),
    help="asic: measure one PE and rounder, or the whole array.  [default: pe]",
)
@click.option(
    "--stimulus",
    multiple=True,
    type=click.Choice(_KINDS),
    help="asic: operands to measure with; may be repeated.  [default: all kinds]",
)
@click.option(
    "--operands",
    nargs=2,
    metavar="A.NPY B.NPY",
    type=click.Path(path_type=Path),
    help="asic: recorded operands to measure with, of shapes (m, k) and (k, n).",
)
@click.option("--terms", type=int, metavar="K", help="asic: terms of a dot product. [default: 128]")
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
def command(build: Path, target: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Synthesise a build for an FPGA, place and route it, and report area and speed; or map it onto
    standard cells and report area, speed and energy.

    \b
    Examples:
    hwgen synth build/demo --target ecp5
    hwgen synth build/demo --target ice40 --device up5k --freq 40 --seeds 5
    hwgen synth build/demo --target xcup --json
    hwgen synth build/demo --target asic --stimulus relu
    """
    folder = output if output is not None else build / "synth" / target
    foreign = _FPGA_ONLY if target == ASIC else _ASIC_ONLY
    for name in foreign:
        if options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with target {target}")
    report: AsicReport | SynthesisReport
    if target == ASIC:
        report = _estimated(build, folder, options)
    else:
        report = _synthesized(build, target, output, options)
    if as_json:
        print_json(report.to_dict())
        return
    if target == ASIC:
        _print_asic(report)
    else:
        _print_report(report)
    click.echo(f"report: {folder / 'report.json'}")


def _synthesized(
    build: Path, target: str, output: Path | None, options: Mapping[str, Any]
) -> SynthesisReport:
    from hwgen.flow.synth import synthesize

    with _showing() as show:
        return synthesize(
            build,
            target,
            freq_mhz=options["freq"],
            seeds=3 if options["seeds"] is None else options["seeds"],
            device=options["device"],
            place=not options["no_pnr"],
            flat=options["flat"],
            jobs=options["jobs"],
            output=output,
            yosys=options["yosys"],
            nextpnr=options["nextpnr"],
            progress=show,
        )


def _estimated(build: Path, folder: Path, options: Mapping[str, Any]) -> AsicReport:
    from hwgen.flow.asic import Conditions, estimate_asic
    from hwgen.spec.design import Design

    given = {"freq_mhz": options["freq"], "seeds": options["seeds"], "terms": options["terms"]}
    conditions = Conditions(**{name: value for name, value in given.items() if value is not None})
    with _showing() as show:
        return estimate_asic(
            Design.load(build),
            folder,
            liberty=options["liberty"],
            scope=options["scope"] or _SCOPES[0],
            kinds=options["stimulus"] or None,
            operands=options["operands"] or None,
            conditions=conditions,
            yosys=options["yosys"],
            progress=show,
        )


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


def _print_asic(report: AsicReport) -> None:
    click.echo(f"{report.name} in {report.library}, {report.voltage:g} V; {report.datapath}")
    rows = [
        [
            part.name,
            f"{part.area:.0f}",
            sum(part.cells.values()),
            part.flip_flops,
            f"{part.fmax_mhz:.1f}",
            f"{part.leakage_uw:.3g}",
        ]
        for part in report.parts
    ]
    print_table(["part", "area", "cells", "FF", "fmax MHz", "leakage uW"], rows, left=["part"])
    for part in report.parts:
        click.echo(f"critical path of {part.name} ({part.timing}): {_shortened(part)}")
        if len(part.registers) > 1:
            places = (f"{count} {name or 'top'}" for name, count in part.registers.items())
            click.echo(f"flip-flops of {part.name}: {', '.join(places)}")
    header = ["stimulus", "seed", "pJ a MAC", "nets", "cells", "clock", "zero-delay"]
    header += ["rounding", "with it", "error"]
    print_table(header, [_energy_row(one) for one in report.energies], left=["stimulus"])
    for note in report.notes:
        click.echo(f"note: {note}")


def _energy_row(figure: EnergyFigure) -> list[object]:
    mac, rounding = figure.mac, figure.rounding
    energies = (mac.dynamic, mac.nets, mac.cells, mac.clock, mac.zero_delay)
    return [
        figure.stimulus,
        figure.seed,
        *(f"{energy:.2f}" for energy in energies),
        "in it" if rounding is None else f"{rounding.dynamic:.1f}",
        f"{figure.rounded_mac_pj:.2f}",
        "invalid" if figure.error is None else f"{figure.error:.2g}",
    ]


def _shortened(part: AsicPart) -> str:
    """The path's ends, and how many nets lie between; mapping names few of these."""
    names = part.critical_path
    if len(names) < 3:
        return " -> ".join(names)
    return f"{names[0]} -> ({len(names) - 2} nets) -> {names[-1]}"
