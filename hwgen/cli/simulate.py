"""``hwgen simulate``: the emitted Verilog in a simulator, bit for bit against the model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from hwgen.cli.console import counting, json_option, print_json, print_pairs, working
from hwgen.errors import FormatError, SpecError, UnsupportedError
from hwgen.flow.simulators import SIMULATORS
from hwgen.formats import Format
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

__all__ = ["command"]

_INVALID = 1  # status bit
_DEFAULT_BLOCKS, _DEFAULT_K = 32, 64


@click.command("simulate")
@click.argument("build", type=click.Path(path_type=Path))
@click.option(
    "--simulator",
    type=click.Choice(SIMULATORS),
    default="icarus",
    show_default=True,
    help="Verilator takes longer to compile and is much faster then.",
)
@click.option("--a", type=click.Path(path_type=Path), metavar="A.npy", help="Your own A, M x K.")
@click.option("--b", type=click.Path(path_type=Path), metavar="B.npy", help="Your own B, K x N.")
@click.option(
    "--c",
    type=click.Path(path_type=Path),
    metavar="C0.npy",
    help="What your own C starts from, M x N, for a design with start values.  [default: zeros]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="C.npy",
    help="Write the circuit's C, M x N, as float64 (NaN where invalid).",
)
@click.option(
    "--bits",
    is_flag=True,
    help="The matrices hold bit patterns (unsigned integers), not numbers to be rounded.",
)
@click.option("--m", type=int, help="Rows of random matrices.")
@click.option("--k", type=int, help=f"Terms of random dot products.  [default: {_DEFAULT_K}]")
@click.option("--n", type=int, help="Columns of random matrices.")
@click.option(
    "--blocks",
    type=int,
    help=f"Without --m and --n: so many unrelated blocks.  [default: {_DEFAULT_BLOCKS}]",
)
@click.option("--specials", is_flag=True, help="Infinities and NaN among random operands.")
@click.option(
    "--stalls",
    type=float,
    default=0.0,
    metavar="P",
    help="Probability in each cycle that a stream stalls, for each of the three.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--waves", is_flag=True, help="Write a wave file (slow).")
@json_option
@click.pass_context
def command(ctx: click.Context, build: Path, as_json: bool, **options: Any) -> None:
    """Run a build's Verilog in a simulator and compare every bit with the model.

    The operands are random, or matrices of any size from .npy files, tiled over the array.

    \b
    Examples:
    hwgen simulate build/demo
    hwgen simulate build/demo --simulator verilator --blocks 1000 --stalls 0.4
    hwgen simulate build/demo --a A.npy --b B.npy -o C.npy

    A design with start values adds --c C0.npy, which -o C.npy of a design with out=raw has written
    perhaps, or random values.
    """
    design = Design.load(build)
    operands = _operands(ctx, design, options)
    if options["output"] is not None:
        _check_output(options["output"], design.datapath, bits=options["bits"])
    # The simulators are not needed to find fault with the command line.
    from hwgen.flow.simulate import simulate

    with _progress() as progress:
        result = simulate(
            build,
            simulator=options["simulator"],
            stalls=options["stalls"],
            seed=options["seed"],
            specials=options["specials"],
            waves=options["waves"],
            progress=progress,
            **operands,
        )
    if options["output"] is not None and result.ok:
        _write_matrix(options["output"], _results(result, design.datapath, bits=options["bits"]))
    if as_json:
        print_json(result.to_dict())
    else:
        _print_summary(result, output=options["output"], unrelated="blocks" in operands)
    if not result.ok:
        click.echo(f"hwgen: error: {_complaint(result)}", err=True)
        ctx.exit(1)


def _operands(ctx: click.Context, design: Design, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of simulate() that say what to multiply."""
    path = design.datapath
    given = [name for name in ("m", "k", "n", "blocks", "specials") if options[name]]
    given += [name for name in ("m", "k", "n", "blocks") if options[name] == 0]
    if options["a"] is not None or options["b"] is not None:
        for name, other in (("a", "b"), ("b", "a")):
            if options[name] is None:
                raise click.UsageError(f"--{other} is given without --{name}; give both", ctx)
        if given:
            raise click.UsageError(
                f"--{given[0]} is for random matrices and does not go with --a and --b", ctx
            )
        operands = {
            f"{side}_bits": _load(options[side], fmt, axis=axis, bits=options["bits"])
            for side, fmt, axis in (("a", path.a, 1), ("b", path.b, 0))
        }
        if options["c"] is not None:
            operands["start"] = _load_start(options["c"], design, bits=options["bits"])
        return operands
    if options["c"] is not None:
        raise click.UsageError("--c is given without --a and --b; give all three", ctx)
    if options["m"] is None and options["n"] is None:
        blocks, k = options["blocks"], options["k"]
        return {
            "blocks": _DEFAULT_BLOCKS if blocks is None else blocks,
            "k": _DEFAULT_K if k is None else k,
        }
    if options["blocks"] is not None:
        raise click.UsageError("--blocks does not go with --m and --n", ctx)
    return _random_matrices(design, options)


def _random_matrices(design: Design, options: dict[str, Any]) -> dict[str, Any]:
    from hwgen.flow.patterns import random_patterns
    from hwgen.model.start import random_start

    defaults = {"m": design.rows, "k": _DEFAULT_K, "n": design.cols}
    size = {
        name: default if options[name] is None else options[name]
        for name, default in defaults.items()
    }
    for name, value in size.items():
        if not 1 <= value <= 1_000_000:
            raise SpecError(f"{name} is {value}; allowed is 1 to 1000000")
    if options["seed"] < 0:
        raise SpecError(f"seed is {options['seed']}; it must be 0 or more")
    rng = np.random.default_rng(options["seed"])
    specials = options["specials"]
    path = design.datapath
    operands = {
        "a_bits": random_patterns(path.a, (size["m"], size["k"]), rng, specials=specials),
        "b_bits": random_patterns(path.b, (size["k"], size["n"]), rng, specials=specials),
    }
    if design.starts:
        operands["start"] = random_start(path.window, (size["m"], size["n"]), rng)
    return operands


def _load(path: Path, fmt: Format, *, axis: int, bits: bool) -> np.ndarray:
    """Read a matrix and turn it into patterns; blocks of a format extend along ``axis``, k."""
    matrix = _read_array(path)
    if matrix.ndim != 2:
        raise SpecError(f"{path} has shape {matrix.shape}; it must be a matrix (two dimensions)")
    if bits:
        if matrix.dtype.kind != "u":
            raise FormatError(
                f"{path} has dtype {matrix.dtype}; with --bits it must be an unsigned integer type"
            )
        return matrix
    try:
        return fmt.from_float(matrix, axis=axis)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _load_start(path: Path, design: Design, *, bits: bool) -> np.ndarray:
    """Read start values: raw registers, or numbers to be rounded to the register's lowest bit."""
    from hwgen.model.start import start_from_float

    if not design.starts:
        raise SpecError(
            f"{design.name} has no start values for --c; generate it with --start raw, or leave --c"
            " out"
        )
    array = _read_array(path)
    try:
        return array if bits else start_from_float(array, design.datapath)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _read_array(path: Path) -> np.ndarray:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is no .npy file of numbers"
        raise SpecError(f"cannot read {path}: {reason}; write it with numpy.save") from None
    if not isinstance(matrix, np.ndarray):
        raise SpecError(f"{path} holds several arrays; give a .npy file with one matrix")
    return matrix


def _check_output(path: Path, datapath: Datapath, *, bits: bool) -> None:
    """Refuse at once what could not be written in the end."""
    if path.is_dir():
        raise SpecError(f"{path} is a folder; name a file with -o")
    if not path.parent.is_dir():
        raise SpecError(f"the folder {path.parent} does not exist; make it, or give another -o")
    if not os.access(path.parent, os.W_OK):
        raise SpecError(f"the folder {path.parent} cannot be written to; give another -o")
    if datapath.out is None and datapath.window.width > 53 and not bits:
        raise UnsupportedError(
            f"the raw register has {datapath.window.width} bits and float64 holds 53;"
            " write bit patterns with --bits"
        )


def _results(result: Any, datapath: Datapath, *, bits: bool) -> np.ndarray:
    """Return C as it is to be written."""
    if bits:
        return result.c_bits
    if datapath.out is None:
        window = datapath.window
        spare = 64 - window.width
        signed = (result.c_bits.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> spare
        values = np.ldexp(signed.astype(np.float64), window.lsb)
    else:
        values = datapath.out.to_float(result.c_bits)
    return np.where(result.status & _INVALID, np.nan, values)


def _write_matrix(path: Path, matrix: np.ndarray) -> None:
    """Write a .npy file, complete or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            np.save(file, matrix)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show on stderr what is under way."""
    shown = ""
    with contextlib.ExitStack() as stack:
        update: Callable[[int], None] | None = None

        def progress(what: str, done: int, total: int) -> None:
            nonlocal shown, update
            if what != shown:
                stack.close()
                shown = what
                if total:
                    update = stack.enter_context(counting(f"{what}, rows of C", total))
                else:
                    update = None
                    stack.enter_context(working(what))
            if update is not None:
                update(done)

        yield progress


def _print_summary(result: Any, *, output: Path | None, unrelated: bool) -> None:
    if unrelated:
        size = f"{result.m // result.blocks} x {result.k} by {result.k} x {result.n}"
        product = f"{result.blocks} unrelated blocks of {size}"
    else:
        product = f"{result.m} x {result.k} by {result.k} x {result.n} in {result.blocks} blocks"
    verdict = "every bit as the model has it" if result.ok else "WRONG"
    lines: list[tuple[str, object]] = [
        ("design", result.name),
        ("simulator", result.tool),
        ("product", product),
        ("random", f"seed {result.seed}, stalls {result.stalls:g}"),
        ("cycles", f"{result.cycles}, of which {result.mac_cycles} carry MACs"),
        ("utilisation", f"{result.utilisation:.2%}, of the inputs {result.input_utilisation:.2%}"),
        ("first result", f"{result.first_result_latency} cycles after its block's last beat"),
        ("speed", f"{result.cycles_per_second:,.0f} cycles/s, compiled in {_compile_time(result)}"),
        ("result", f"{result.m * result.n} elements, {verdict}"),
    ]
    if result.waves is not None:
        lines.append(("waves", _shown(result.waves)))
    if output is not None and result.ok:
        lines.append(("C", output))
    lines.append(("report", _shown(result.report)))
    print_pairs(lines)
    for wrong in result.mismatches:
        click.echo(
            f"  C[{wrong.row}, {wrong.col}]: got {wrong.got:#x} status {wrong.got_status:03b},"
            f" want {wrong.want:#x} status {wrong.want_status:03b}"
        )


def _compile_time(result: Any) -> str:
    return f"{result.compile_seconds:.1f} s" if result.compile_seconds else "0 s (kept from before)"


def _complaint(result: Any) -> str:
    seed = f"seed {result.seed}"
    if result.fault:
        return f"the circuit broke a rule: {result.fault}; {seed}"
    first = result.mismatches[0]
    return (
        f"{result.mismatch_count} of {result.m * result.n} elements differ from the model,"
        f" the first at C[{first.row}, {first.col}]; {seed}, report in {_shown(result.report)}"
    )


def _shown(path: Path) -> Path:
    """A path as short as it can be typed from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
