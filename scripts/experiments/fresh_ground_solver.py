"""The part of ``fresh_ground.py`` on solvers: where a fixed window is in the way, and the remedy.

Each set of runs is one method of ``solver_app.py`` on matrices of growing condition; figures are
medians over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from fresh_ground_runs import Runner, Unit, as_number, numbers

__all__ = ["SETS", "Set", "measured"]

APP = "solver_app.py"
LINE = r"condition (\S+) seed (\d+): iterations (\d+), residual (\S+), error (\S+)"
CLOSE = "within 1e-3 of every result"
FP32_FMA = Unit(a="fp32", acc="fma:fp32,lanes=3")
WIDE_FMA = Unit(a="fp32", acc="fma:fp64,lanes=3", out="fp64")
WIDE_FMA32 = replace(WIDE_FMA, out="fp32")
FP64_FMA = Unit(a="fp64", acc="fma:fp64,lanes=3", out="fp64")


def windows(a: str, lsbs: Sequence[int], *, msb: int, ovf: int, out: str) -> tuple[Unit, ...]:
    """Windows of one range and growing precision."""
    return tuple(Unit(a=a, acc=f"window:msb={msb},lsb={lsb},ovf={ovf}", out=out) for lsb in lsbs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Runs of one method.

    Parameters
    ----------
    name, title, remark : str
    method, dtype : str
        Of the program.
    conditions : tuple of str
    units : tuple of Unit
    scaled : tuple of Unit
        Run with ``--scale``.
    figure : str
        What counts: ``error`` or ``residual``.
    """

    name: str
    title: str
    remark: str
    method: str
    dtype: str
    conditions: tuple[str, ...]
    units: tuple[Unit, ...]
    scaled: tuple[Unit, ...] = ()
    figure: str = "error"

    def arguments(self, seeds: int, *, scale: bool = False) -> list[str]:
        """What the program is started with."""
        given = [self.method, "--dtype", self.dtype, "--conditions", ",".join(self.conditions)]
        return [*given, "--seeds", str(seeds), *(["--scale"] if scale else [])]


EXACT32 = Unit(a="fp32", acc="exact:terms=512")
CG32 = windows("fp32", (-24, -32, -40, -48, -56, -64, -72), msb=7, ovf=8, out="fp32")
CG64 = windows("fp64", (-40, -56, -72, -88, -104, -120, -136), msb=7, ovf=8, out="fp64")
SETS = (
    Set(
        name="cg32",
        title="Conjugate gradients, float32",
        remark="Stops at a recursive residual of 1e-6 of the right side.",
        method="cg",
        dtype="float32",
        conditions=("1e2", "1e3", "1e4", "1e5", "1e6"),
        units=(FP32_FMA, WIDE_FMA32, *CG32, EXACT32),
        scaled=(FP32_FMA, *CG32[:5], EXACT32),
        figure="residual",
    ),
    Set(
        name="cg64",
        title="Conjugate gradients, float64",
        remark="Stops at a recursive residual of 1e-12 of the right side.",
        method="cg",
        dtype="float64",
        conditions=("1e2", "1e4", "1e6", "1e8", "1e10"),
        units=(
            FP64_FMA,
            *CG64,
            Unit(a="fp64", acc="exact:terms=512", out="fp64"),
            FP32_FMA,
            WIDE_FMA,
            replace(EXACT32, out="fp64"),
        ),
        scaled=(FP64_FMA, *CG64[:4]),
        figure="residual",
    ),
    Set(
        name="refine",
        title="Cholesky and iterative refinement, float32",
        remark="Refinement ends when corrections no longer halve.",
        method="refine",
        dtype="float32",
        conditions=("1e2", "1e3", "1e4", "1e5", "1e6"),
        units=(FP32_FMA, WIDE_FMA32, *CG32, EXACT32),
    ),
    Set(
        name="normal",
        title="Least squares by normal equations, float32 data",
        remark="A'A and A'b are made by the design and handed out as float64.",
        method="normal",
        dtype="float64",
        conditions=("1e1", "1e2", "1e3", "1e4", "1e5", "1e6"),
        units=(
            FP32_FMA,
            WIDE_FMA,
            *windows("fp32", (-24, -32, -36, -40, -44, -48, -56), msb=7, ovf=6, out="fp64"),
            replace(EXACT32, out="fp64"),
        ),
    ),
    Set(
        name="qr",
        title="Least squares by Householder reflections, float32",
        remark="The way without squaring the condition.",
        method="qr",
        dtype="float32",
        conditions=("1e1", "1e2", "1e3", "1e4", "1e5", "1e6"),
        units=(FP32_FMA, *windows("fp32", (-24, -32, -40, -48), msb=9, ovf=6, out="fp32"), EXACT32),
    ),
)


def measured(runner: Runner, sets: Sequence[Set], seeds: int) -> dict[str, Any]:
    """Run all sets and return their figures, ready for JSON."""
    return {one.name: _set(runner, one, seeds) for one in sets}


def _set(runner: Runner, one: Set, seeds: int) -> dict[str, Any]:
    native = runner.native(APP, *one.arguments(seeds))
    rows = [{"unit": f"native {one.dtype}"} | _medians(native, one)]
    profile = runner.profile(APP, *one.arguments(seeds))
    first = one.units[0]
    sizes = {
        "nothing lost": runner.sized(profile, {"a": first.a}, "--margin", "1"),
        CLOSE: runner.sized(profile, {"a": first.a}, "--tolerance", "1e-3", "--relative"),
    }
    out = one.units[-1].out if one.method == "normal" else first.out
    sized = Unit(a=first.a, acc=sizes[CLOSE]["acc"], out=out)
    for units, scale in (((*one.units, sized), False), (one.scaled, True)):
        for unit in units:
            print(f"{one.name}: {unit.name}{' scaled' if scale else ''}", flush=True)
            found = runner.served(unit, APP, *one.arguments(seeds, scale=scale))
            row = {"unit": unit.name, "words": unit.words, "width": unit.width}
            row |= {"sized": True} if unit is sized else {}
            rows.append(row | ({"scaled": True} if scale else {}) | _medians(found["output"], one))
    return {
        "sizes": sizes,
        "method": one.method,
        "dtype": one.dtype,
        "conditions": [float(condition) for condition in one.conditions],
        "seeds": seeds,
        "rows": rows,
    }


def _medians(output: str, one: Set) -> dict[str, list[float | None]]:
    """Medians over seeds, a list over conditions each; None where it is no number."""
    lines = numbers(LINE, output)
    found: dict[str, list[float | None]] = {"iterations": [], "residual": [], "error": []}
    for condition in map(float, one.conditions):
        mine = [line for line in lines if float(line[0]) == condition]
        for name, place in (("iterations", 2), ("residual", 3), ("error", 4)):
            values = [as_number(line[place]) for line in mine]
            bad = any(value is None for value in values) or not values
            middle = None if bad else float(f"{median(values):.3g}")
            found[name].append(round(middle) if name == "iterations" else middle)
    return found
