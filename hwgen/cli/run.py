"""``hwgen run``: an unmodified program on hwgen's arithmetic, through its BLAS calls."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwgen.cli.console import working
from hwgen.cli.run_report import print_report
from hwgen.errors import SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.prediction import predicted_mhz

if TYPE_CHECKING:
    from hwgen.runtime.session import RunSettings

__all__ = ["command"]

_INLINE = ("a", "b", "acc", "out", "rows", "cols")
_SIDE = 8  # of the array that --backend rtl makes for an inline datapath
_FORMATS_HELP = {
    "a": "Format of the elements of A; with --acc, in place of --design.",
    "b": "Format of the elements of B.  [default: as A]",
    "acc": "Accumulator, as hwgen generate takes it.",
    "out": "Format of the results.  [default: as hwgen generate]",
}


def _formats(function: Any) -> Any:
    for name, text in reversed(_FORMATS_HELP.items()):
        option = click.option(f"--{name}", metavar="ACC" if name == "acc" else "FORMAT", help=text)
        function = option(function)
    return function


@click.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="PROGRAM [ARGUMENT]...")
@click.option(
    "--design",
    type=click.Path(path_type=Path),
    metavar="BUILD",
    help="A build folder, or a design file, whose datapath to compute with.",
)
@_formats
@click.option("--rows", type=int, help=f"Rows of the array for --backend rtl.  [default: {_SIDE}]")
@click.option("--cols", type=int, help=f"Its columns.  [default: {_SIDE}]")
@click.option(
    "--backend",
    type=click.Choice(("c", "rtl", "board")),
    default="c",
    show_default=True,
    help="c: kernels with the circuit's bits, fast. rtl: the circuit's own Verilog, simulated"
    " cycle by cycle.",
)
@click.option(
    "--min-mnk",
    type=int,
    default=0,
    metavar="N",
    help="Leave products of fewer than N multiplications (m*n*k) to the original library.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="RULE",
    help="Serve only products that fit, such as k>=64,m<512 (all of them, over m, n, k and mnk)."
    " Repeated: one rule must hold.",
)
@click.option(
    "--precisions",
    default="sdczh",
    show_default=True,
    metavar="LETTERS",
    help="Serve these: s single, d double, c z complex, h bf16 and fp16.",
)
@click.option(
    "--threads",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Processor cores for a product; 0 for all.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append a JSON line a call: symbol, sizes, where it ran and why, time.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Compute every product natively too, and show the largest difference.",
)
@click.option(
    "--assert",
    "assert_same",
    is_flag=True,
    help="With --backend rtl: compute every product with the kernels too; the program aborts where"
    " one bit differs.",
)
@click.option(
    "--mhz",
    type=float,
    metavar="MHZ",
    help="Clock to turn the array's cycles into time.  [default: the design's expected one]",
)
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the summary as JSON.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON (on stderr, as the table)."
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what the products are like, as JSON, for hwgen size and hwgen tailor. Without a"
    " design the program runs natively.",
)
@click.option("--quiet", is_flag=True, help="Print no summary, only warnings.")
@click.pass_context
def command(ctx: click.Context, program: tuple[str, ...], **options: Any) -> None:
    """Run a program, unmodified, with its matrix products computed in a design's arithmetic.

    \b
    Examples:
    hwgen run --design build/demo -- python train.py
    hwgen run --a bf16 --acc window:msb=5,lsb=-30,ovf=9 -- ./solver input.dat
    hwgen run --design build/demo --backend rtl --min-mnk 1000 -- python -m mymodel
    hwgen run --a e4m3 --acc fma:fp32 --check --log calls.json -- octave file.m
    hwgen run --profile profile.json -- python train.py

    What is served: calls of matrix products in BLAS (gemm and its relatives) by any program that
    loads its BLAS as a shared library, child processes included: NumPy, SciPy, Octave, R, PyTorch
    on the CPU, your own C or Fortran. Operands are rounded to the formats of A and B, products are
    summed in the accumulator, results rounded to the output format; alpha and beta are applied
    outside, as floats. A complex product is four real ones.

    What is not: products inside a library, where no call can be seen (LAPACK's in most packages,
    JAX, ONNX Runtime, GPUs), and statically linked programs. PyTorch is told to go through BLAS:
    convolutions, attention, bf16 and fp16 are served too.

    The summary, on stderr when the program has ended: calls and operations (flops) of each BLAS
    symbol that were served, or ran natively and why; calls that failed (and ran natively then);
    the time in served calls; what was seen to go past BLAS. A warning says so whenever a part ran
    natively. With --backend rtl also the array's cycles, how many of them carried operands, and how
    many of its multiplications were of use.

    The exit status is the program's, 128 + n for signal n; 127 and 126 if it is not there or does
    not start, 2 if these options are wrong.
    """
    from hwgen.runtime.launcher import StartError

    if not program:
        raise click.UsageError("missing the program; put it behind --, as in -- python x.py", ctx)
    native = options["profile"] is not None and not _names_design(options)
    for name in ("check", "assert_same"):
        if native and options[name]:
            option = name.partition("_")[0]
            raise click.UsageError(f"--{option} compares a design's results; give a design", ctx)
    if native and options["backend"] != "c":
        raise click.UsageError("--backend runs a design; give --design, or --a and --acc", ctx)
    design, sized = (None, False) if native else _design(ctx, options)
    try:
        status = _run(program, design, options, sized=sized)
    except StartError as error:
        click.echo(f"hwgen: error: {error}", err=True)
        status = error.status
    ctx.exit(status)


def _names_design(options: dict[str, Any]) -> bool:
    """Whether any option says what to compute with."""
    return any(options[name] is not None for name in ("design", *_INLINE))


def _design(ctx: click.Context, options: dict[str, Any]) -> tuple[Design, bool]:
    """Return the design, and whether its array's size was asked for."""
    inline = {name: options[name] for name in _INLINE if options[name] is not None}
    if options["design"] is not None:
        if inline:
            raise click.UsageError(
                f"--{next(iter(inline))} does not go with --design; the build folder has it all",
                ctx,
            )
        return Design.load(options["design"]), True
    missing = [f"--{name}" for name in ("a", "acc") if name not in inline]
    if missing:
        raise click.UsageError(
            f"missing {' and '.join(missing)}; give --design, or --a and --acc", ctx
        )
    sized = "rows" in inline or "cols" in inline
    rows, cols = inline.pop("rows", _SIDE), inline.pop("cols", _SIDE)
    return Design(datapath=Datapath.parse(**inline), rows=rows, cols=cols), sized


def _run(
    program: tuple[str, ...], design: Design | None, options: dict[str, Any], *, sized: bool
) -> int:
    """Run the program and print the summary; return the program's exit status."""
    from hwgen.runtime.launcher import find_program, launch
    from hwgen.runtime.library import library_path
    from hwgen.runtime.obstacles import obstacles
    from hwgen.runtime.session import check_design, environment, session
    from hwgen.runtime.summary import numpy_advice, read_summary

    if design is not None:
        check_design(design, options["backend"])
    mhz = _clock(design, options)
    for name in ("summary", "profile"):
        _check_output(options[name], f"--{name}")
    settings = _settings(design, options, sized=sized)
    file = find_program(program[0], os.environ)
    library = library_path("hwgen_blas")
    if design is not None and options["backend"] == "rtl":
        settings = replace(settings, device=_device(design, options["design"]))
    with session(settings) as folder:
        began = time.monotonic()
        status = launch(program, environment(folder, os.environ))
        seconds = time.monotonic() - began
        found = read_summary(folder)
        if options["profile"] is not None:
            _write_profile(program, folder, options["profile"])
    warnings = found.warnings(settings, obstacles(file, library))
    if status and found.total.served_calls and settings.datapath is not None:
        warnings += filter(None, [numpy_advice(settings.datapath)])
    record = {
        "program": list(program),
        "status": status,
        "seconds": seconds,
        "design": design.name if design is not None and options["design"] is not None else None,
        **found.to_dict(settings, mhz=mhz if settings.device is not None else None),
        "warnings": warnings,
    }
    if options["summary"] is not None:
        text = json.dumps(record, indent=2, allow_nan=False)
        options["summary"].write_text(text + "\n", encoding="utf-8")
    print_report(record, as_json=options["as_json"], quiet=options["quiet"])
    return status


def _settings(design: Design | None, options: dict[str, Any], *, sized: bool) -> RunSettings:
    """Return the run's settings; a device is yet to be made."""
    from hwgen.runtime.session import RunSettings

    on_device = design is not None and options["backend"] == "rtl"
    array = None
    if design is not None and (sized or on_device):
        array = design.rows, design.cols
    return RunSettings(
        datapath=None if design is None else design.datapath,
        array=array,
        # Whatever is wrong with the rest is told before the circuit is compiled.
        device=Path(os.devnull) if on_device else None,
        min_mnk=options["min_mnk"],
        only=options["only"],
        precisions=options["precisions"],
        threads=options["threads"],
        log=options["log"],
        check=options["check"],
        assert_same=options["assert_same"],
        profile=options["profile"] is not None,
    )


def _device(design: Design, build: Path | None) -> Path:
    """Return the shared library of the simulated circuit, compiled if need be."""
    from hwgen.runtime.builds import cached_build
    from hwgen.runtime.device import compile_device

    if build is None or not build.is_dir():
        with working(f"generating {design.name}"):
            build = cached_build(design)
    with working(f"compiling {design.name}"):
        return Path(compile_device(build))


def _clock(design: Design | None, options: dict[str, Any]) -> float | None:
    """Return the array's clock in MHz, if it is known."""
    mhz = options["mhz"]
    if mhz is None:
        return None if design is None else predicted_mhz(design)
    if not 0 < mhz < 1e6:
        raise SpecError(f"mhz is {mhz:g}; allowed is above 0, below 1000000")
    return mhz


def _write_profile(program: tuple[str, ...], folder: Path, path: Path) -> None:
    from hwgen.explore.profile import Profile, read_folder

    Profile.merged(program, read_folder(folder)).write(path)


def _check_output(path: Path | None, option: str) -> None:
    """Refuse at once what could not be written in the end."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise SpecError(f"the folder {path.parent} does not exist; make it, or change {option}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SpecError(f"{path} cannot be written; give another {option}")
