"""Which windows ``fresh_ground.py`` holds against which fused units, by rules and not by eye.

A choice is the narrowest window measured that does what the fused unit named does; the rules are in
:data:`RULES`, for readers.
"""

from __future__ import annotations

import math
from typing import Any

import fresh_ground_attention as attention
from fresh_ground_runs import Runner, Unit

__all__ = [
    "FMA",
    "FUSED",
    "RULES",
    "WIDE",
    "choices",
    "fused_variants",
    "keeping_up",
    "measured",
    "row_of",
]

FMA = "fma:fp32,lanes=3"
WIDE = "fma:fp64,lanes=3"
HARD = "64"  # the attention block with the large channel
# Conditions of conjugate gradients that count: those up to which the fused unit converges in less
# than the most iterations.
FAIR = {"cg32": 4, "cg64": 3}
FUSED = {"cg32": FMA, "cg64": WIDE}
MARGIN = 0.01  # of accuracy, that a trained network may have lost at the worst
RULES = {
    "refine": "error at most twice that of the exact window at every condition",
    "cg": "iterations at most 5 % and residuals at most 25 % above the fused unit's at every"
    " condition up to 1e5 (float64: 1e6)",
    "normal": "error at every condition at most twice that of native float64 or of fma:fp64",
    "attention": "both errors at most 5 % above the fused unit's, no fewer right answers than its"
    " 95 % interval has",
    "training": "the 95 % interval of the loss of accuracy, seed by seed against fma:fp32, ends"
    " below one point",
}


def row_of(rows: list[dict[str, Any]], acc: str, *, scaled: bool = False, **words: str) -> Any:
    """Return the row of an accumulator, among those whose datapath has the words given."""
    wanted = {"acc": acc, **words}
    for row in rows:
        mine = row.get("words", {})
        same = all(mine.get(name) == word for name, word in wanted.items())
        if same and row.get("scaled", False) == scaled:
            return row
    raise KeyError(f"no run of {acc} {words}")


def choices(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return workloads with the fused unit and the window that stands against it, in words."""
    chosen = []
    if "solver" in found:
        chosen += _solver(found["solver"])
    if "attention" in found:
        chosen += _attention(found["attention"])
    if "training" in found:
        chosen += _training(found["training"])
    return chosen


def _choice(name: str, rule: str, unit: dict[str, Any], window: dict[str, Any] | None) -> Any:
    return {
        "workload": name,
        "rule": rule,
        "fused": unit["words"],
        "window": None if window is None else window["words"],
        "width": None if window is None else window["width"],
    }


def keeping_up(sets: dict[str, Any], name: str, *, scaled: bool) -> dict[str, Any] | None:
    """Return the narrowest window on which conjugate gradients do as on the fused unit."""
    rows, fair = sets[name]["rows"], FAIR[name]
    unit = row_of(rows, FUSED[name], a=name.replace("cg", "fp"))
    does = [
        row
        for row in _windows(rows, scaled=scaled)
        if _within(row["iterations"][:fair], unit["iterations"][:fair], 1.05)
        and _within(row["residual"][:fair], unit["residual"][:fair], 1.25)
    ]
    return _narrowest(does)


def _windows(rows: list[dict[str, Any]], *, scaled: bool = False) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if row.get("words", {}).get("acc", "").startswith("window")
        and row.get("scaled", False) == scaled
    ]


def _within(mine: list[float | None], theirs: list[float | None], factor: float) -> bool:
    """Whether no number is above another times a factor; none may be missing."""
    return all(
        one is not None and one <= factor * (math.inf if other is None else other)
        for one, other in zip(mine, theirs, strict=True)
    )


def _narrowest(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["width"], default=None)


def _solver(sets: dict[str, Any]) -> list[dict[str, Any]]:
    chosen = []
    rows = sets["refine"]["rows"]
    exact = row_of(rows, "exact:terms=512")
    does = [row for row in _windows(rows) if _within(row["error"], exact["error"], 2)]
    for acc in (FMA, WIDE):
        unit = row_of(rows, acc)
        chosen.append(_choice("iterative refinement", "refine", unit, _narrowest(does)))
    for name in FUSED:
        title = name.replace("cg", "float")
        unit = row_of(sets[name]["rows"], FUSED[name], a=name.replace("cg", "fp"))
        for scaled in (False, True):
            how = ", vectors scaled" if scaled else ""
            window = keeping_up(sets, name, scaled=scaled)
            chosen.append(_choice(f"conjugate gradients, {title}{how}", "cg", unit, window))
    rows = sets["normal"]["rows"]
    unit = row_of(rows, WIDE)
    worse = [max(pair) for pair in zip(unit["error"], rows[0]["error"], strict=True)]
    does = [row for row in _windows(rows) if _within(row["error"], worse, 2)]
    chosen.append(_choice("least squares, normal equations", "normal", unit, _narrowest(does)))
    return chosen


def _attention(parts: dict[str, Any]) -> list[dict[str, Any]]:
    rows = parts[HARD]["rows"]
    chosen = []
    for a, accs in attention.FMAS.items():
        for acc in accs:
            window = attention.cheapest(rows, a, acc)
            unit = row_of(rows, acc, a=a)
            chosen.append(_choice(f"attention, {a}", "attention", unit, window))
    return chosen


def _training(part: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [row for row in part["rows"] if "scale" not in row["group"]]
    chosen = []
    for how in ("zero", "even", "stochastic"):
        does = [
            row
            for row in rows
            if row["group"] in (f"round={how}", f"both, round={how}")
            and row["gain"] - row["half_gain"] > -MARGIN
        ]
        for acc in (FMA, "fma:bf16,lanes=3"):
            unit = row_of(rows, acc)
            chosen.append(_choice(f"training, round={how}", "training", unit, _narrowest(does)))
    return chosen


def fused_variants(words: dict[str, str]) -> list[dict[str, str]]:
    """Return a fused unit with fewer and with as many interleaved sums: which takes less varies."""
    return [words | {"acc": words["acc"].replace("lanes=3", f"lanes={lanes}")} for lanes in (2, 3)]


def measured(runner: Runner, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure both sides of every choice; return figures, ready for JSON."""
    energies: dict[str, dict[str, Any]] = {}
    for choice in choices(found):
        sides = fused_variants(choice["fused"])
        for words in sides if choice["window"] is None else [*sides, choice["window"]]:
            unit = Unit(**words)
            if str(words) in energies:
                continue
            print(f"energy: {unit.name}", flush=True)
            facts = {"unit": unit.name, "words": words, "width": unit.width}
            energies[str(words)] = facts | runner.energy(unit)
    return list(energies.values())
