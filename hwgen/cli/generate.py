"""``hwgen generate``: from a design to a build folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hwgen.cli.console import json_option, print_json, print_pairs, working
from hwgen.errors import SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import NO_START, STARTS, Design
from hwgen.spec.prediction import predicted_mhz, slowest_stage
from hwgen.spec.timing import Timing, timing

__all__ = ["command"]

_REQUIRED = ("a", "acc", "rows", "cols")


@click.command("generate")
@click.argument("design", required=False, type=click.Path(path_type=Path), metavar="[DESIGN.TOML]")
@click.option("--a", metavar="FORMAT", help="Format of the elements of A, e.g. bf16, e4m3, int:8.")
@click.option("--b", metavar="FORMAT", help="Format of the elements of B.  [default: as A]")
@click.option(
    "--acc",
    metavar="ACC",
    help=(
        "Accumulator: window:msb=M,lsb=L,ovf=V, exact:terms=K, int:N, fma:FORMAT[,lanes=L] or"
        " muladd:FORMAT[,lanes=L]; the first three with dot=D for D products at once."
    ),
)
@click.option(
    "--out",
    metavar="FORMAT",
    help="Format of the results, or raw for the accumulator itself.  [default: fp32 for floats, the"
    " accumulator's own for integers]",
)
@click.option("--rows", type=int, help="Rows of the array, 1 to 1024.")
@click.option("--cols", type=int, help="Columns of the array, 1 to 1024.")
@click.option(
    "--target",
    metavar="FAMILY",
    help="What to cut the pipeline for: ecp5, ice40, or asic (standard cells).  [default: any FPGA"
    " with multipliers]",
)
@click.option(
    "--freq",
    type=float,
    metavar="MHZ",
    help="Clock frequency to cut the pipeline for; needs --target, an FPGA.",
)
@click.option(
    "--start",
    type=click.Choice(STARTS),
    help="raw: a third input stream brings registers that the sums are added to, so that sums split"
    " over K merge exactly.  [default: none]",
)
@click.option("--name", metavar="NAME", help="Verilog name of the top module.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The build folder to write.",
)
@click.option("--force", is_flag=True, help="Replace a build folder that exists.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    design: Path | None,
    output: Path,
    force: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Write a design's Verilog, manifest and testbench into a folder.

    The design comes from a TOML file (or from another build folder), or from the options.

    \b
    Example:
    hwgen generate --a bf16 --acc window:msb=5,lsb=-30,ovf=9 --rows 8 --cols 8 -o build/demo
    """
    chosen = _design(ctx, design, words)
    _check_output(output, force=force)
    # The circuits' library is not needed to find fault with the command line.
    from hwgen.emit import generate

    with working(f"generating {chosen.name}"):
        manifest = generate(chosen, output, force=force)
    if as_json:
        print_json(manifest)
    else:
        _print_summary(chosen, output)


def _design(ctx: click.Context, path: Path | None, words: dict[str, Any]) -> Design:
    given = {key: value for key, value in words.items() if value is not None}
    if path is not None:
        if given:
            raise click.UsageError(
                f"--{next(iter(given))} does not go with the design file {path};"
                " change it in the file, or give the whole design by options",
                ctx,
            )
        return Design.load(path)
    missing = [f"--{key}" for key in _REQUIRED if key not in given]
    if missing:
        raise click.UsageError(
            f"missing {', '.join(missing)}; give a design file, or --a, --acc, --rows and --cols",
            ctx,
        )
    datapath = Datapath.parse(
        a=given["a"],
        b=given.get("b"),
        acc=given["acc"],
        out=given.get("out"),
        target=given.get("target"),
        freq=given.get("freq"),
    )
    return Design(
        datapath=datapath,
        rows=given["rows"],
        cols=given["cols"],
        name=given.get("name", ""),
        start=given.get("start", NO_START),
    )


def _check_output(path: Path, *, force: bool) -> None:
    """Refuse what is there already, unless it is an earlier build that may be replaced."""
    if path.is_file():
        raise SpecError(f"{path} is a file; name a folder with -o")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not all((path / name).is_file() for name in ("design.toml", "manifest.json")):
        raise SpecError(
            f"{path} holds files that hwgen did not write; give a new or empty folder with -o"
        )
    if not force:
        raise SpecError(
            f"{path} holds a build already; replace it with --force, or give another -o"
        )


def _print_summary(design: Design, folder: Path) -> None:
    cycles = timing(design)
    latency = (
        f"{cycles.first_result} cycles from a block's last beat to its first row of C,"
        f" then a row every {cycles.row_interval}"
    )
    click.echo(f"{design.name} is in {folder}")
    print_pairs(
        [
            ("  datapath", design.datapath),
            ("  accumulator", design.datapath.register_text),
            ("  array", f"{design.rows} x {design.cols}, {design.macs_per_cycle} MACs a cycle"),
            ("  latency", latency),
            ("  full rate", _full_rate(cycles, design.datapath.dot)),
            *_frequency(design),
            *_start(design),
            ("  digest", design.digest[:16]),
        ]
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    print_pairs([(f"  {path.relative_to(folder)}", _size(path.stat().st_size)) for path in files])
    click.echo(f"next: hwgen simulate {folder}")


def _start(design: Design) -> list[tuple[str, str]]:
    if not design.starts:
        return []
    return [("  start", f"{design.rows} rows of raw registers a block, on s_axis_c")]


def _frequency(design: Design) -> list[tuple[str, str]]:
    """What the clock can be expected to do, and what was asked for."""
    pipeline = design.datapath.pipeline
    predicted = predicted_mhz(design)
    if predicted is None:
        if not pipeline.freq_mhz:
            return []
        text = f"{pipeline.freq_mhz:g} MHz asked for; there is no prediction for such sums"
        return [("  frequency", text)]
    text = f"{predicted:g} MHz expected on {pipeline.target}"
    if predicted < pipeline.freq_mhz:
        text += (
            f", short of the {pipeline.freq_mhz:g} asked for;"
            f" what takes longest: {slowest_stage(design)}"
        )
        if design.datapath.float_sum is not None and slowest_stage(design).startswith("loop"):
            text += " (more lanes shorten it; they also change the order of the sum)"
    elif pipeline.freq_mhz:
        text += f", {pipeline.freq_mhz:g} asked for"
    return [("  frequency", text)]


def _full_rate(cycles: Timing, dot: int) -> str:
    if cycles.block_terms >= cycles.block_interval:
        return f"blocks of whole scale blocks, of {cycles.block_terms} each"
    if cycles.block_terms:
        rate = f"a scale block of {cycles.block_terms} every {cycles.block_interval} cycles"
        return f"none: {rate}, since its sums leave a row every {cycles.row_interval}"
    if cycles.lanes == 1:
        return f"blocks of K >= {dot * (cycles.full_rate_block - 1) + 1}"
    return f"but for the {cycles.lane_cycles} cycles behind a block that add its lanes"


def _size(size_bytes: int) -> str:
    return f"{size_bytes} bytes" if size_bytes < 10_000 else f"{size_bytes / 1000:.0f} kB"
