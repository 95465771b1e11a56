"""``hwgen tailor``: the cheapest datapath on which a program still computes well enough."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwgen.cli.console import json_option, print_json, print_table
from hwgen.errors import HwgenError

if TYPE_CHECKING:
    from hwgen.explore.records import Exploration, Point
    from hwgen.explore.search import Found, Progress, Search, Settings

__all__ = ["command"]

_FORMATS = "fp32,tf32,bf16,fp16,e4m3"
_REPORT_EVERY_S = 10.0


@click.command(
    "tailor",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="PROGRAM [ARGUMENT]...")
@click.option(
    "--tolerance",
    type=float,
    metavar="T",
    help="Most that an element of any product may be off, relative to the product's largest.",
)
@click.option(
    "--metric",
    metavar="REGEX",
    help="Judge by a number that the program prints: the first group of the last match.",
)
@click.option(
    "--lose",
    type=float,
    default=0.0,
    show_default=True,
    metavar="X",
    help="With --metric: how much worse than the native run's it may be.",
)
@click.option("--smaller-is-better", is_flag=True, help="With --metric: such as a loss.")
@click.option(
    "--metric-name",
    metavar="TEXT",
    help="With --metric: what reports call it.  [default: the words before the number]",
)
@click.option(
    "--formats",
    default=_FORMATS,
    show_default=True,
    metavar="LIST",
    help="Operand formats to try; A/B for different ones, as in bf16/e4m3.",
)
@click.option("--mixed", is_flag=True, help="Try every pair of the formats too.")
@click.option("--out", metavar="FORMAT", help="Result format.  [default: fp32, fp64 where wider]")
@click.option(
    "--margin",
    type=float,
    default=2.0,
    show_default=True,
    help="How much larger other data may be, for windows that are sized.",
)
@click.option("--safe", is_flag=True, help="Try no window with less range than --margin asks for.")
@click.option(
    "--designs",
    type=click.IntRange(2, 64),
    default=6,
    show_default=True,
    help="How many places to cut at to try, and energies to measure, for each choice of formats.",
)
@click.option(
    "--dot",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    metavar="D",
    help="Products that a window adds at once: 2 take less energy each, and a larger element.",
)
@click.option("--rows", type=int, default=8, show_default=True, help="Rows of the design's array.")
@click.option("--cols", type=int, default=8, show_default=True, help="Its columns.")
@click.option(
    "--liberty",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Library of cells that energy is measured with.  [default: OSU 0.18 um]",
)
@click.option(
    "--record/--no-record",
    default=True,
    show_default=True,
    help="Measure energy with operands of the program too, of the call site with the most work.",
)
@click.option(
    "--min-mnk",
    type=int,
    default=3,
    show_default=True,
    metavar="N",
    help="Leave smaller products (m*n*k) alone. NumPy makes one of two terms when it starts.",
)
@click.option("--only", multiple=True, metavar="RULE", help="As for hwgen run.")
@click.option("--precisions", default="sdczh", show_default=True, help="As for hwgen run.")
@click.option(
    "--timeout",
    type=float,
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="A run that takes longer does not do.",
)
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Processes.  [default: all cores]"
)
@click.option("--dask", metavar="HOST:PORT", help="Run trials on the workers of a Dask scheduler.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/tailored"),
    show_default=True,
    metavar="FOLDER",
    help="For exploration.json, profile.json, design/ and what was measured already.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, program: tuple[str, ...], **options: Any) -> None:
    """Find the cheapest datapath on which an unmodified program computes well enough.

    \b
    Examples:
    hwgen tailor --tolerance 1e-3 -- python solver.py
    hwgen tailor --metric 'accuracy: ([0-9.]+)' --lose 0.01 --formats bf16,e4m3 -- python app.py

    The program runs natively first, twice, with a profile of its products; windows are sized for
    it, for each choice of operand formats. Then the whole program runs on them, bit for bit as the
    circuit computes: its bits are cut from below, its range from above, until it no longer does.
    Of what does, energy is measured on netlists of the processing element, beside a conventional
    unit (fma:fp32,lanes=3) with the same operands: drawn ones of three kinds, and some of the
    program's.

    The program must compute the same numbers each time: fix its seeds. What was measured is kept in
    the output folder, by the program's words and the files that they name, so that a search that
    was killed goes on where it was. Modules and data that the program opens by itself are not seen
    to change: remove FOLDER/cache then.

    Every design shown has run the whole program. Its range is what that run needed, and no more,
    where --safe is not given; the notes in exploration.json say which.
    """
    if not program:
        raise click.UsageError("missing the program; put it behind --, as in -- python x.py", ctx)
    began = time.monotonic()
    settings = _settings(program, options)
    found, result = _search(settings, options, began)
    _write(result, found, settings, options)
    _print(result, found, options)
    if not any(point.chosen for point in result.points):
        ctx.exit(1)


def _settings(program: tuple[str, ...], options: dict[str, Any]) -> Settings:
    from hwgen.explore.cache import program_digest
    from hwgen.explore.candidates import parse_operands
    from hwgen.explore.judge import Goal
    from hwgen.explore.search import Settings
    from hwgen.explore.trial import Metric, Task
    from hwgen.runtime.launcher import find_program
    from hwgen.runtime.rules import parse_precisions, parse_rule

    if not options["margin"] >= 1:
        raise HwgenError(f"--margin is {options['margin']:g}; it must be 1 or more")
    metric = None
    if options["metric"] is not None:
        metric = Metric(
            pattern=options["metric"],
            smaller_is_better=options["smaller_is_better"],
            called=options["metric_name"] or "",
        )
    elif options["smaller_is_better"] or options["lose"] or options["metric_name"]:
        raise HwgenError(
            "--lose, --smaller-is-better and --metric-name belong to --metric; give one"
        )
    find_program(program[0], os.environ)
    task = Task(
        program=program,
        folder=str(Path.cwd()),
        datapath=None,
        min_mnk=options["min_mnk"],
        only=tuple(parse_rule(rule) for rule in options["only"]),
        precisions=parse_precisions(options["precisions"]),
        timeout=options["timeout"],
        record=options["record"],
    )
    liberty = options["liberty"]
    return Settings(
        task=task,
        digest=program_digest(program, Path.cwd()),
        operands=tuple(
            parse_operands(
                options["formats"],
                mixed=options["mixed"],
                out=options["out"],
                dot=options["dot"],
            )
        ),
        goal=Goal(tolerance=options["tolerance"], metric=metric, lose=options["lose"]),
        margin=options["margin"],
        safe=options["safe"],
        designs=options["designs"],
        liberty=None if liberty is None else str(liberty.resolve()),
        jobs=options["jobs"] or os.cpu_count() or 1,
    )


def _search(settings: Settings, options: dict[str, Any], began: float) -> tuple[Found, Exploration]:
    from hwgen.explore.cache import Cache
    from hwgen.explore.element_energy import check_library, measure_element
    from hwgen.explore.pools import pool
    from hwgen.explore.search import Search
    from hwgen.runtime.library import library_path

    # What would stop the last stage stops the search at once.
    check_library(settings.liberty)
    library_path("hwgen_blas")
    cache = Cache(options["output"] / "cache")
    with pool(settings.jobs, options["dask"]) as executor, _showing() as progress:
        search = Search(settings, cache, executor, measure_element, progress)
        found = search.run()
        result = _with_sites(_exploration(found, settings, options), found, settings, search)
    return found, replace(result, seconds=round(time.monotonic() - began, 1))


def _exploration(found: Found, settings: Settings, options: dict[str, Any]) -> Exploration:
    from hwgen.explore.outcome import exploration

    task = settings.task
    result = exploration(
        found,
        program=task.program,
        goal=settings.goal,
        margin=settings.margin,
        commands=[shlex.join(["hwgen", *sys.argv[1:]])],
        seconds=0.0,
    )
    return replace(result, rows=options["rows"], cols=options["cols"])


def _with_sites(
    result: Exploration, found: Found, settings: Settings, search: Search
) -> Exploration:
    """Add what the call sites would need by themselves, and what more products at once save."""
    from hwgen.explore.candidates import Sizes, operands_of
    from hwgen.explore.outcome import at_once, at_once_notes, chosen_point, site_notes
    from hwgen.explore.site_designs import saving, site_designs, site_windows, worth_measuring

    chosen = chosen_point(result.points)
    if chosen is None:
        return result
    sizes = Sizes(operands=operands_of(chosen), profile=found.profile, margin=settings.margin)
    windows = site_windows(chosen, sizes)
    energies = search.energies([*worth_measuring(windows, chosen), *at_once(chosen)])
    notes = at_once_notes(chosen, energies)
    notes += site_notes(found.profile, sizes, settings.goal.tolerance)
    points = [
        replace(point, notes=[*point.notes, *notes]) if point.chosen else point
        for point in result.points
    ]
    designs = site_designs(windows, chosen, energies)
    return replace(result, points=points, site_designs=designs, site_saving=saving(designs, chosen))


def _write(result: Exploration, found: Found, settings: Settings, options: dict[str, Any]) -> None:
    from hwgen.emit import generate
    from hwgen.explore.outcome import chosen_point
    from hwgen.spec.datapath import Datapath
    from hwgen.spec.design import Design

    folder = options["output"]
    found.profile.write(folder / "profile.json")
    result.write(folder / "exploration.json")
    chosen = chosen_point(result.points)
    if chosen is None:
        return
    datapath = Datapath.parse(a=chosen.a, b=chosen.b, acc=chosen.acc, out=chosen.out)
    design = Design(datapath=datapath, rows=options["rows"], cols=options["cols"])
    generate(design, folder / "design", force=True)


def _print(result: Exploration, found: Found, options: dict[str, Any]) -> None:
    from hwgen.explore.outcome import chosen_point, proven_point

    if options["as_json"]:
        print_json({**asdict(result), "notes": found.notes})
        return
    for note in found.notes:
        click.echo(f"left out: {note}")
    chosen = chosen_point(result.points)
    _print_points(result)
    if chosen is None:
        click.echo("no design does; allow a larger loss, or try other --formats", err=True)
        return
    folder = options["output"]
    click.echo()
    proven = proven_point(result.points)
    if proven is not None and proven.name != chosen.name:
        more = proven.energy_pj / chosen.energy_pj - 1
        click.echo(
            f"proven   {proven.name}, whose range holds data {options['margin']:g} times as large,"
            f" takes {more:.1%} more energy (--safe)"
        )
    click.echo(f"chosen   a={chosen.a} b={chosen.b} acc={chosen.acc} out={chosen.out}")
    for note in chosen.notes:
        click.echo(f"         {note}")
    if chosen.energies:
        kinds = ", ".join(f"{kind} {pj:.1f}" for kind, pj in chosen.energies.items())
        click.echo(f"energy   {kinds} pJ a MAC")
        if found.recording is not None:
            site, share = found.recording.site, found.recording.share
            click.echo(f"         recorded: operands of {site}, {share:.0%} of the work")
    if result.site_saving is not None:
        click.echo(
            f"sites    a design for each call site would save about {result.site_saving:.1%} of the"
            " energy"
        )
        click.echo("         (an estimate: no program ran on these, whose energies are measured)")
        for design in result.site_designs:
            if design.acc != chosen.acc:
                click.echo(
                    f"         {design.name} ({design.share:.0%} of the work): {design.width} bits,"
                    f" {design.energy_pj:.1f} pJ a MAC"
                )
    click.echo(f"design   {folder / 'design'}")
    click.echo(f"records  {folder / 'exploration.json'} ({len(result.points)} points)")


def _print_points(result: Exploration) -> None:
    shown = [point for point in result.points if point.front or point.baseline]
    if not shown:
        return
    shown.sort(key=lambda point: (point.energy_pj is None, point.energy_pj or 0.0))
    metric = any(point.metric is not None for point in shown)
    header = ["", "design", "bits", "pJ/MAC", "saves", "um2", "MHz", "error"]
    rows = [_row(point, result, metric=metric) for point in shown]
    print_table(header + ["metric"] * metric, rows, left=("", "design"))


def _row(point: Point, result: Exploration, *, metric: bool) -> list[str]:
    mark = ">" if point.chosen else "=" if point.baseline else ""
    same = [
        other.energy_pj
        for other in result.points
        if other.baseline and (other.a, other.b) == (point.a, point.b) and other.energy_pj
    ]
    saves = ""
    if same and point.energy_pj and not point.baseline:
        saves = f"{1 - point.energy_pj / same[0]:.0%}"
    cells = [
        *(mark, point.name, str(point.width), _number(point.energy_pj, "{:.1f}"), saves),
        *(_number(point.area_um2, "{:.0f}"), _number(point.fmax_mhz, "{:.0f}")),
        _number(point.error, "{:.1e}"),
    ]
    return [*cells, _number(point.metric, "{:g}")] if metric else cells


def _number(value: float | None, layout: str) -> str:
    return "-" if value is None else layout.format(value)


@contextmanager
def _showing() -> Iterator[Callable[[Progress], None]]:
    """Show on stderr how far the search is: a live line on a terminal, else one now and then."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("running the program natively") as status:
            yield lambda progress: status.update(_progress_text(progress))
        return
    due = time.monotonic() + _REPORT_EVERY_S

    def report(progress: Progress) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _REPORT_EVERY_S
            click.echo(_progress_text(progress), err=True)

    yield report


def _progress_text(progress: Progress) -> str:
    text = (
        f"{progress.trials[0]} of about {progress.trials[1]} runs,"
        f" {progress.energies[0]} of about {progress.energies[1]} energies"
    )
    left = progress.seconds_left
    if left is None:
        return text
    return (
        f"{text}, about {max(1, round(left / 60))} min left"
        if left > 90
        else (f"{text}, about {max(1, round(left))} s left")
    )
