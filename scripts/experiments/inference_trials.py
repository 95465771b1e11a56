"""Runs of the unmodified program, natively and under ``hwgen run``, and what they answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from inference_plan import Case
from inference_statistics import Difference

from hwgen.errors import HwgenError
from hwgen.explore.cache import Cache
from hwgen.spec.accumulator import Overflow

__all__ = ["Answers", "Program", "Trials", "check_summary"]

_HWGEN = (sys.executable, "-c", "import hwgen.cli; hwgen.cli.main()")
# NumPy multiplies two vectors of two ones when it is imported, and does not start where that is
# not 2. No layer has so small a product.
_MIN_MNK = 3
_TIMEOUT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is evaluated.

    Parameters
    ----------
    words : tuple of str
        The command, which prints what each model answered as the last line, in JSON.
    identity : str
        Changes with anything that the answers depend on.
    """

    words: tuple[str, ...]
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the models answered.

    Parameters
    ----------
    right, invalid : dict of str to (n,) bool array
        By model and image: the answer is the label; a score was NaN.
    macs : dict of str to int
        Multiplications of the model's layers, all images.
    served : int
        BLAS calls that hwgen computed; 0 natively.
    torch : str
    """

    right: dict[str, np.ndarray] = field(repr=False)
    invalid: dict[str, np.ndarray] = field(repr=False)
    macs: dict[str, int]
    served: int
    torch: str

    @classmethod
    def of(cls, table: dict[str, Any]) -> Answers:
        """Read what the program printed, and the calls served."""
        models = table["models"].items()
        answers = {name: np.array(entry["answers"]) for name, entry in models}
        return cls(
            right={name: answers[name] == np.array(entry["labels"]) for name, entry in models},
            invalid={name: answers[name] < 0 for name, _ in models},
            macs={name: entry["macs"] for name, entry in models},
            served=table.get("served", 0),
            torch=table["torch"],
        )

    def row(self, case: Case, native: Answers) -> dict[str, Any]:
        """Return counts beside those of the native run, by model in its order, for JSON."""
        found = [Difference.of(native.right[name], self.right[name]) for name in native.right]
        worst = max(found, key=lambda one: one.points)
        row = {
            "operands": case.operands,
            "acc": case.accumulator,
            "lost": [one.lost for one in found],
            "won": [one.won for one in found],
            "invalid": [int(self.invalid[name].sum()) for name in native.right],
            "worst": [round(x, 3) for x in (worst.points, *worst.interval)],
            "served": self.served,
        }
        if (window := case.window) is not None:
            row["width"] = window.width
        return row


class Trials:
    """Runs a program on datapaths, each once: what was found is kept.

    Parameters
    ----------
    program : Program
    cache : Cache
    """

    def __init__(self, program: Program, cache: Cache) -> None:
        self._program, self._cache = program, cache

    def native(self) -> Answers:
        """Run without hwgen."""
        return self._kept("native", lambda: self._start([]))

    def answers(self, case: Case) -> Answers:
        """Run on a datapath, every multiplication of every layer.

        What saturates is not run where no score is NaN without saturation: NaN stays NaN through
        all layers, so no sum or product was ever out of range, and both have the same bits.

        Raises
        ------
        HwgenError
            If the program fails, or a product was computed elsewhere.
        """
        if (window := case.window) is not None and window.overflow is Overflow.SATURATE:
            strict = str(replace(window, overflow=Overflow.NAN))
            found = self.answers(Case(operands=case.operands, accumulator=strict))
            if not any(invalid.any() for invalid in found.invalid.values()):
                return replace(found, served=0)
        return self._kept(" ".join(case.words), lambda: self._run(case))

    def profile(self, model: str) -> dict[str, float]:
        """Return the largest product, sum of products' magnitudes, and operands of one model."""
        key = [self._program.identity, "profile", model]
        if (found := self._cache.get("inference", key)) is None:
            with tempfile.TemporaryDirectory(prefix="hwgen-inference.") as folder:
                path = Path(folder) / "profile.json"
                before = [*_HWGEN, "run", "--quiet", "--profile", str(path), "--"]
                self._start(before, ["--models", model])
                sites = json.loads(path.read_text(encoding="utf-8"))["sites"]
            # NumPy's own products are smaller than any layer's.
            sites = [site for site in sites if site["k"] >= _MIN_MNK]
            names = ("largest_product", "largest_total", "largest_a", "largest_b")
            found = {name: max(site[name] for site in sites) for name in names}
            self._cache.put("inference", key, found)
        return found

    def _kept(self, name: str, run: Callable[[], dict[str, Any]]) -> Answers:
        key = [self._program.identity, name]
        if (table := self._cache.get("inference", key)) is None:
            table = run()
            self._cache.put("inference", key, table)
        return Answers.of(table)

    def _run(self, case: Case) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="hwgen-inference.") as folder:
            summary = Path(folder) / "summary.json"
            options = ["--quiet", "--min-mnk", str(_MIN_MNK), "--summary", str(summary)]
            table = self._start([*_HWGEN, "run", *case.words, *options, "--"])
            record = json.loads(summary.read_text(encoding="utf-8"))
        macs = sum(entry["macs"] for entry in table["models"].values())
        return table | {"served": check_summary(record, macs)}

    def _start(self, before: Sequence[str], after: Sequence[str] = ()) -> dict[str, Any]:
        command = [*before, *self._program.words, *after]
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        if result.returncode:
            said = result.stderr.strip().splitlines()[-3:]
            raise HwgenError(
                f"the program ended with status {result.returncode}: {' | '.join(said)}"
            )
        return json.loads(result.stdout.splitlines()[-1])


def check_summary(record: dict[str, Any], macs: int) -> int:
    """Return how many calls hwgen served, sure that it computed every multiplication.

    Parameters
    ----------
    record : dict
        The summary of ``hwgen run``.
    macs : int
        Multiplications that the layers have, counted from their shapes.

    Raises
    ------
    HwgenError
        If one failed, went elsewhere, or is missing.
    """
    total = record["total"]
    problems = []
    if total["failed_calls"]:
        problems.append(f"{total['failed_calls']} calls failed")
    if record["unreachable"]:
        problems.append(f"not reached: {', '.join(x['what'] for x in record['unreachable'])}")
    if total["native_flops"] >= 2 * _MIN_MNK * max(1, total["native_calls"]):
        problems.append(f"{total['native_flops']} operations ran natively")
    if total["served_flops"] != 2 * macs:
        problems.append(f"{total['served_flops']} operations served, the layers have {2 * macs}")
    if problems:
        raise HwgenError(f"not everything ran in hwgen's arithmetic: {'; '.join(problems)}")
    return total["served_calls"]
