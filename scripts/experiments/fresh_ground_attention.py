"""The part of ``fresh_ground.py`` on an attention block, with and without a large channel."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from fresh_ground_runs import Runner, Unit, as_number, numbers, wilson

from hwgen.spec.accumulator import Overflow, Window, parse_accumulator

__all__ = ["OUTLIERS", "QUERIES", "cheapest", "measured", "read"]

APP = "attention_app.py"
QUERIES = 8192
OUTLIERS = ("0", "64")
LINE = r"(?m)^(accuracy|attention error|output error|multiplications): (\S+)"
FMAS = {
    "bf16": ("fma:fp32,lanes=3", "fma:bf16,lanes=3"),
    "e4m3": ("fma:fp32,lanes=3", "fma:bf16,lanes=3", "fma:fp16,lanes=3"),
}
LSBS = {
    "bf16": (-26, -22, -20, -18, -16, -14, -12, -11, -10, -9, -8, -7, -6, -4, -2),
    "e4m3": (-18, -14, -12, -10, -9, -8, -7, -6, -5, -4, -3, -2, 0),
}
CUT_AT = {"bf16": -12, "e4m3": -8}  # lsb of the windows whose range is cut
CUTS = (1, 2, 3, 4)
ERRORS = ("attention_error", "output_error")
SLACK = 1.05  # of the baseline's error, that a tailored window may have


def read(output: str) -> dict[str, float | None]:
    """Return what the program prints, by name."""
    return {name: as_number(text) for name, text in numbers(LINE, output)}


def measured(runner: Runner, outliers: tuple[str, ...] = OUTLIERS) -> dict[str, Any]:
    """Run the block on all units; return figures, ready for JSON."""
    return {outlier: _one(runner, outlier) for outlier in outliers}


def _one(runner: Runner, outlier: str) -> dict[str, Any]:
    arguments = ["--outlier", outlier]
    native = read(runner.native(APP, *arguments))
    profile = runner.profile(APP, *arguments)
    rows = [_facts(native) | {"unit": "native float32", "kind": "native"}]
    sizes = {}
    for a, fmas in FMAS.items():
        sizes[a] = {
            "nothing lost": runner.sized(profile, {"a": a}, "--margin", "1"),
            "within 1e-3 of every result": runner.sized(
                profile, {"a": a}, "--tolerance", "1e-3", "--relative"
            ),
        }
        # The range that is proven for data twice as large, at each precision.
        sized = parse_accumulator(sizes[a]["within 1e-3 of every result"]["acc"])
        units = [("fma", Unit(a=a, acc=acc)) for acc in fmas]
        units += [("exact", Unit(a=a, acc="exact:terms=256"))]
        units += [("window", _unit(a, replace(sized, lsb=lsb))) for lsb in LSBS[a]]
        units += [("range", _unit(a, window)) for window in _cut(replace(sized, lsb=CUT_AT[a]))]
        rows += [_row(runner, unit, kind, arguments) for kind, unit in units]
    return {"rows": rows, "sizes": sizes}


def _unit(a: str, window: Window) -> Unit:
    return Unit(a=a, acc=str(window))


def _cut(window: Window) -> list[Window]:
    """Windows of less range: overflow bits first, then the largest products."""
    found = []
    for bits in CUTS:
        ovf = max(0, window.ovf - bits)
        msb = window.msb - (bits - (window.ovf - ovf))
        shorter = replace(window, msb=msb, ovf=ovf)
        found += [shorter, replace(shorter, overflow=Overflow.SATURATE)]
    return found


def _row(runner: Runner, unit: Unit, kind: str, arguments: list[str]) -> dict[str, Any]:
    print(f"attention {arguments[-1]}: {unit.name}", flush=True)
    done = runner.served(unit, APP, *arguments)
    found = read(done["output"])
    expected = 2 * found["multiplications"]
    # NumPy multiplies two vectors of two numbers on its way up.
    if not 0 <= done["flops"] - expected <= 64:
        raise RuntimeError(f"{unit.name}: {done['flops']} operations served, not {expected:.0f}")
    return _facts(found) | {
        "unit": unit.name,
        "kind": kind,
        "words": unit.words,
        "width": unit.width,
    }


def _facts(found: dict[str, float | None]) -> dict[str, Any]:
    accuracy = found["accuracy"]
    return {
        "accuracy": accuracy,
        "interval": [round(end, 4) for end in wilson(accuracy, QUERIES)],
        "attention_error": found["attention error"],
        "output_error": found["output error"],
    }


def cheapest(rows: list[dict[str, Any]], a: str, against: str) -> dict[str, Any] | None:
    """Return the narrowest window no less accurate than a fused unit with the same operands.

    That is: within 5 % of its errors, and with no fewer right answers than its interval has.
    """
    mine = [row for row in rows if row.get("words", {}).get("a") == a]
    unit = next(row for row in mine if row["words"]["acc"] == against)
    does = [
        row
        for row in mine
        if row["kind"] in ("window", "range")
        and all((row[name] or math.inf) <= SLACK * unit[name] for name in ERRORS)
        and row["accuracy"] >= unit["interval"][0]
    ]
    return min(does, key=lambda row: row["width"], default=None)
