"""What the parts of ``fresh_ground.py`` share: runs, energies, statistics.

Programs run unmodified, under the command ``hwgen run`` as a user types it, and results are kept by
digest, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hwgen.explore.cache import Cache, program_digest
from hwgen.flow.asic import Conditions, estimate_asic
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.pipeline import CELLS, Pipeline

__all__ = ["Runner", "Unit", "as_number", "numbers", "student", "wilson"]

APPS = Path(__file__).resolve().parent
SIDE = 8  # rows and columns of the array that stochastic rounding depends on
# Two-sided 95 % points of Student's distribution, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 19: 2.093}
NORMAL = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A datapath in the words of ``hwgen run``; ``b`` is as ``a`` where it is not given."""

    a: str
    acc: str
    out: str = "fp32"
    b: str | None = None

    @property
    def words(self) -> dict[str, str]:
        """What :meth:`Datapath.parse` takes."""
        return {name: text for name, text in asdict(self).items() if text is not None}

    @property
    def datapath(self) -> Datapath:
        """The datapath."""
        return Datapath.parse(**self.words)

    @property
    def width(self) -> int:
        """Bits of the accumulator."""
        unit = self.datapath.float_sum
        return self.datapath.window.width if unit is None else unit.format.width

    @property
    def name(self) -> str:
        """Short, for tables: the accumulator, and the operands before it."""
        operands = self.a if self.b in (None, self.a) else f"{self.a}/{self.b}"
        if self.datapath.float_sum is not None:
            return f"{operands} {self.acc}"
        window = self.datapath.window
        how = "".join(
            f" {mode.value}"
            for mode, usual in ((window.rounding, "zero"), (window.overflow, "nan"))
            if mode.value != usual
        )
        kind = "exact" if self.acc.startswith("exact") else f"lsb {window.lsb}"
        return f"{operands} W{window.width} {kind}{how}"


class Runner:
    """Runs programs natively and served, profiles them, and measures elements.

    Parameters
    ----------
    cache : Path
        Folder for results.
    conditions : Conditions
        Of energies.
    """

    def __init__(self, cache: Path, conditions: Conditions | None = None) -> None:
        self._cache = Cache(cache)
        self._folder = cache
        self._conditions = conditions or Conditions(seeds=1)
        self.served_calls = 0
        self.served_runs = 0

    def native(self, app: str, *arguments: str) -> str:
        """Return what a program prints on the machine's own arithmetic."""
        program = _program(app, arguments)
        found = self._cache.get("native", [_digest(program)])
        if found is None:
            found = {"output": _run(program)}
            self._cache.put("native", [_digest(program)], found)
        return found["output"]

    def served(self, unit: Unit, app: str, *arguments: str) -> dict[str, Any]:
        """Return what a program prints under ``hwgen run``, and how much was served.

        Raises
        ------
        RuntimeError
            If the program fails, or a single call of BLAS was not served.
        """
        program = _program(app, arguments)
        key = [_digest(program), json.dumps(unit.words)]
        found = self._cache.get("served", key)
        if found is None:
            with tempfile.TemporaryDirectory() as folder:
                summary = Path(folder) / "summary.json"
                words = [f"--{name}={text}" for name, text in unit.words.items()]
                words += [f"--rows={SIDE}", f"--cols={SIDE}", "--quiet", f"--summary={summary}"]
                output = _run([_hwgen(), "run", *words, "--", *program])
                found = _checked(json.loads(summary.read_text(encoding="utf-8")), unit)
            found["output"] = output
            self._cache.put("served", key, found)
        self.served_calls += found["calls"]
        self.served_runs += 1
        return found

    def profile(self, app: str, *arguments: str) -> Path:
        """Return the profile of a native run."""
        program = _program(app, arguments)
        path = self._folder / f"profile-{_digest(program)[:32]}.json"
        if not path.exists():
            _run([_hwgen(), "run", f"--profile={path}", "--quiet", "--", *program])
        return path

    def sized(self, profile: Path, words: dict[str, str], *options: str) -> dict[str, Any]:
        """Return what ``hwgen size`` says for a profile, or why it says nothing."""
        formats = [f"--{name}={words[name]}" for name in ("a", "b") if name in words]
        command = [_hwgen(), "size", *formats, f"--profile={profile}", *options, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"acc": None, "width": None, "why": done.stderr.strip().splitlines()[-1]}
        found = json.loads(done.stdout)
        return {"acc": found["acc"], "width": found["width"]}

    def energy(self, unit: Unit) -> dict[str, Any]:
        """Return the energy of a MAC with its share of the rounding, in pJ, area and clock."""
        conditions = self._conditions
        key = [json.dumps(unit.words), str(conditions)]
        found = self._cache.get("energy", key)
        if found is None:
            found = _energy(unit, conditions)
            self._cache.put("energy", key, found)
        return found


def _program(app: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(APPS / app), *arguments]


def _hwgen() -> str:
    """The command that this Python was installed with."""
    return str(Path(sys.executable).with_name("hwgen"))


def _digest(program: Sequence[str]) -> str:
    return program_digest([Path(program[1]).name, *program[1:]], APPS)


def _run(command: Sequence[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-8:])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _checked(summary: dict[str, Any], unit: Unit) -> dict[str, Any]:
    """Refuse a run of which anything went past hwgen."""
    total = summary["total"]
    native = total["native_calls"], total["failed_calls"], summary["unreachable"]
    if not total["served_calls"] or any(native):
        raise RuntimeError(f"not all was served on {unit.name}: {summary['warnings']}")
    return {"calls": total["served_calls"], "flops": total["served_flops"]}


def _energy(unit: Unit, conditions: Conditions) -> dict[str, Any]:
    path = replace(unit.datapath, pipeline=Pipeline.of(CELLS))
    with tempfile.TemporaryDirectory() as scratch:
        report = estimate_asic(
            Design(datapath=path, rows=1, cols=1, name="core"), Path(scratch), conditions=conditions
        )
    kinds = {kind: round(report.mean(kind).rounded_mac_pj, 2) for kind in report.kinds}
    return {
        "pj": round(fmean(kinds.values()), 2),
        "kinds": kinds,
        "area_um2": round(report.parts[0].area),
        "flip_flops": report.parts[0].flip_flops,
        "mhz": round(min(part.fmax_mhz for part in report.parts)),
        "library": report.library,
        "tools": dict(report.tools),
    }


def numbers(pattern: str, output: str) -> list[tuple[str, ...]]:
    """Return the groups of all matches of a pattern in what a program printed."""
    return [match.groups() for match in re.finditer(pattern, output)]


def as_number(text: str) -> float | None:
    """Return a number that a program printed; None for NaN and infinity."""
    value = float(text)
    return value if math.isfinite(value) else None


def student(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and half its 95 % interval by Student's t."""
    if len(values) - 1 not in STUDENT:
        raise ValueError(f"{len(values)} values; known are {[n + 1 for n in STUDENT]}")
    return fmean(values), STUDENT[len(values) - 1] * stdev(values) / math.sqrt(len(values))


def wilson(right: float, count: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % interval of a proportion."""
    centre = right + NORMAL**2 / (2 * count)
    half = NORMAL * math.sqrt(right * (1 - right) / count + (NORMAL / (2 * count)) ** 2)
    return tuple((centre + sign * half) / (1 + NORMAL**2 / count) for sign in (-1, 1))
