"""The part of ``fresh_ground.py`` on training with 8-bit products: which accumulators lose what."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from fresh_ground_runs import Runner, Unit, as_number, numbers, student

__all__ = ["cases", "measured"]

APP = "training_app.py"
LINE = r"seed \d+: accuracy (\S+), loss (\S+), skipped (\d+), scale (\S+)"
REFERENCE = "fma:fp32,lanes=3"
SCALE = 256
MSB, OVF = 8, 4
LSBS = (-9, -6, -4, -3, -2, -1, 0)
ROUNDS = ("zero", "even", "stochastic")
MSBS = (6, 5, 4, 3)  # of windows without overflow bits
RANGE_LSB = -9
NARROW_MSB, NARROW_LSBS = 5, (-5, -4, -3)
SCALES, SCALED_LSB = (1, 16, 4096), -4


def window(
    lsb: int, msb: int = MSB, ovf: int = OVF, *, how: str = "zero", over: str = "nan"
) -> str:
    """An accumulator in words."""
    text = f"window:msb={msb},lsb={lsb},ovf={ovf}"
    text += f",round={how}" if how != "zero" else ""
    return text + (f",overflow={over}" if over != "nan" else "")


def e4m3(acc: str) -> Unit:
    """A unit with e4m3 operands."""
    return Unit(a="e4m3", acc=acc)


def cases() -> Iterable[tuple[str, Unit, list[str]]]:
    """Yield a group, a unit, and options of the program."""
    usual = ["--loss-scale", str(SCALE)]
    for acc in ("fma:bf16,lanes=3", "fma:fp16,lanes=3", "exact:terms=256"):
        yield "accumulator", e4m3(acc), usual
    for fmt in ("e4m3", "e5m2"):
        # Errors, first factors of all products on the way back, have the format of A; so have
        # activations on the way forward.
        yield "operands", Unit(a="e5m2", b=fmt, acc="exact:terms=256"), usual
    for lsb in LSBS:
        for how in ROUNDS:
            yield f"round={how}", e4m3(window(lsb, how=how)), usual
    for msb in MSBS:
        for over in ("nan", "saturate", "wrap"):
            yield f"overflow={over}", e4m3(window(RANGE_LSB, msb, 0, over=over)), usual
        yield "overflow=nan, dynamic", e4m3(window(RANGE_LSB, msb, 0)), [*usual, "--dynamic"]
    for lsb in NARROW_LSBS:
        # Truncation fails already at the first, and sums that saturate all the time are slow.
        for how in ROUNDS if lsb == NARROW_LSBS[0] else ROUNDS[1:]:
            unit = e4m3(window(lsb, NARROW_MSB, 0, how=how, over="saturate"))
            yield f"both, round={how}", unit, usual
    for scale in SCALES:
        for acc in (REFERENCE, window(SCALED_LSB), window(SCALED_LSB, how="stochastic")):
            yield f"scale={scale}", e4m3(acc), ["--loss-scale", str(scale)]


def measured(runner: Runner, seeds: int, chosen: Iterable[tuple] | None = None) -> dict[str, Any]:
    """Train on all units; return figures, ready for JSON."""
    count = ["--seeds", str(seeds)]
    usual = ["--loss-scale", str(SCALE)]
    native = _read(runner.native(APP, *count, *usual))
    reference = _read(runner.served(e4m3(REFERENCE), APP, *count, *usual)["output"])
    rows = [
        _facts(native, reference) | {"unit": "native float32", "group": "native"},
        _facts(reference, reference) | _words("accumulator", e4m3(REFERENCE), usual),
    ]
    for group, unit, options in cases() if chosen is None else chosen:
        print(f"training {group}: {unit.name}", flush=True)
        done = runner.served(unit, APP, *count, *options)
        expected = 2 * int(numbers(r"multiplications: (\d+)", done["output"])[0][0])
        # NumPy multiplies two vectors of two numbers on its way up.
        if not 0 <= done["flops"] - expected <= 64:
            raise RuntimeError(f"{unit.name}: {done['flops']} operations served, not {expected}")
        rows.append(_facts(_read(done["output"]), reference) | _words(group, unit, options))
    profile = runner.profile(APP, "--seeds", "1", *usual)
    sizes = {
        "nothing lost": runner.sized(profile, {"a": "e4m3"}, "--margin", "1"),
        "within 1e-3 of every result": runner.sized(
            profile, {"a": "e4m3"}, "--tolerance", "1e-3", "--relative"
        ),
    }
    return {"seeds": seeds, "rows": rows, "sizes": sizes}


def _words(group: str, unit: Unit, options: list[str]) -> dict[str, Any]:
    return {
        "unit": unit.name,
        "group": group,
        "words": unit.words,
        "width": unit.width,
        "options": " ".join(options),
    }


def _read(output: str) -> dict[str, list[Any]]:
    """Return what each seed came to."""
    lines = numbers(LINE, output)
    return {
        "accuracy": [float(line[0]) for line in lines],
        "loss": [as_number(line[1]) for line in lines],
        "skipped": [float(line[2]) for line in lines],
        "scale": [float(line[3]) for line in lines],
    }


def _facts(found: dict[str, list[Any]], reference: dict[str, list[Any]]) -> dict[str, Any]:
    """Mean accuracy, and by how much it is above the reference's, seed by seed."""
    mean, half = student(found["accuracy"])
    pairs = zip(found["accuracy"], reference["accuracy"], strict=True)
    gain, half_gain = student([one - other for one, other in pairs])
    return {
        "accuracy": round(mean, 4),
        "half": round(half, 4),
        "gain": round(gain, 4),
        "half_gain": round(half_gain, 4),
        "loss": None if None in found["loss"] else round(fmean(found["loss"]), 4),
        "failed": sum(value < 0.2 for value in found["accuracy"]),
        "skipped": max(found["skipped"]),
        "scale": min(found["scale"]),
    }
