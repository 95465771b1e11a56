#!/usr/bin/env python3
"""Where does tailoring pay, and where not: solvers, attention, 8-bit training.

Run as `python scripts/experiments/fresh_ground.py [--only PART] [-o FILE] [--cache FOLDER]`, with
`pip install hwgen[demo,report,synth]`; a quarter of an hour with energies, most of it for these,
some minutes with `--no-energy`. Three ordinary programs, `solver_app.py`, `attention_app.py` and
`training_app.py`, run unmodified under `hwgen run` on windows of many widths and on fused
multiply-adds. A run counts only if every BLAS call was served. Figures go to FILE as JSON, and to a
page beside it. What was measured is kept in the cache and not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import fresh_ground_attention
import fresh_ground_choice
import fresh_ground_page
import fresh_ground_solver
import fresh_ground_training
import numpy as np
from fresh_ground_runs import Runner

import hwgen

ROOT = Path(__file__).resolve().parents[2]
SOLVER_SEEDS, TRAINING_SEEDS = 5, 8
PARTS = ("solver", "attention", "training")


def measured(runner: Runner, part: str) -> dict[str, Any]:
    """Run a part."""
    if part == "solver":
        return fresh_ground_solver.measured(runner, fresh_ground_solver.SETS, SOLVER_SEEDS)
    if part == "attention":
        return fresh_ground_attention.measured(runner)
    return fresh_ground_training.measured(runner, TRAINING_SEEDS)


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "hwgen": hwgen.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "native BLAS": f"{blas['name']} {blas['version']}",
    }


def slim(value: Any) -> Any:
    """Leave out what a design's own words tell: its name, its width, and results in float32."""
    if isinstance(value, list):
        return [slim(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = ("unit", "width") if "words" in value else ()
    kept = {name: slim(one) for name, one in value.items() if name not in told}
    if kept.get("out") == "fp32":
        del kept["out"]
    return kept


def main() -> None:
    """Measure what is asked for, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts alone")
    parser.add_argument("--no-energy", action="store_true")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "docs" / "experiments" / "fresh_ground.json"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "fresh_ground")
    options = parser.parse_args()
    # Now, not after the hours that the rest takes.
    options.output.parent.mkdir(parents=True, exist_ok=True)
    runner = Runner(options.cache)
    found: dict[str, Any] = {
        "experiment": "fresh ground",
        "command": "python scripts/experiments/fresh_ground.py",
        "versions": versions(),
    }
    for part in options.only or PARTS:
        found[part] = measured(runner, part)
    if not options.no_energy:
        found["energy"] = fresh_ground_choice.measured(runner, found)
    found["served"] = {"runs": runner.served_runs, "calls": runner.served_calls, "native": 0}
    text = json.dumps(slim(found), allow_nan=False, separators=(",", ":"))
    options.output.write_text(text + "\n", encoding="utf-8")
    fresh_ground_page.write(found, options.output.with_suffix(".html"))
    print(f"{options.output} and {options.output.with_suffix('.html')} written")


if __name__ == "__main__":
    main()
