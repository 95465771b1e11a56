#!/usr/bin/env python3
"""Image classifiers in PyTorch, unmodified, on numerically tailored arithmetic.

    python scripts/experiments/inference.py [-o FILE] [--energy-only | --page-only | --no-energy]
    python scripts/experiments/inference.py --folder FOLDER --models resnet18,resnet50 --images 500

It needs ``pip install 'hwgen[demo,report]'``, a Python with PyTorch (this one, the system's, or
``--python``), and for energies ``apt-get install qflow-tech-osu018 iverilog``. Four networks are
trained on scikit-learn's 1797 digits, five times each, so that every digit is answered by one that
has not seen it. Then the same program (``inference_app.py``) answers them under ``hwgen run`` on
the 27 datapaths of the paper that hwgen follows, with and without saturation, on finer sweeps and
on conventional units; and the narrowest windows that lose at most a point are searched, and their
energies measured. Answers are kept in a cache: what was run once is not run again.

``--folder`` tries the 27 datapaths and the units with torchvision's networks on ImageNet or CIFAR,
where a person has them; ``inference_app.py`` says what the folder needs. There is a page of the
digits only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from inference_energy import compare
from inference_page import write_page
from inference_plan import (
    OPERANDS,
    STARTS,
    Case,
    fraction_cases,
    paper_cases,
    range_cases,
    unit_cases,
)
from inference_program import digits_program, find_python, folder_program
from inference_search import Search
from inference_trials import Answers, Trials

import hwgen
from hwgen.errors import HwgenError, ToolError
from hwgen.explore.cache import Cache
from hwgen.spec.accumulator import Overflow, Window

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "docs" / "experiments" / "inference.json"
ALLOWED = 1.0  # points
# What operands of a program in fp32 may be rounded to on the way in, besides bf16.
ROUNDED = ("tf32", "float:8,4")


def main() -> None:
    """Run what the command line asks for."""
    options = parsed()
    # Now, not after the hours that the rest takes.
    options.output.parent.mkdir(parents=True, exist_ok=True)
    cache = Cache(options.cache)
    if options.energy_only or options.page_only:
        results = json.loads(options.output.read_text(encoding="utf-8"))
    else:
        results = accuracies(options, cache)
    if options.folder is None and not (options.no_energy or options.page_only):
        results["energy"] = compare(results["chosen"], cache, told)
    options.output.write_text(json_text(results), encoding="utf-8")
    if options.folder is None:
        write_page(results, options.output.with_suffix(".html"))


def parsed() -> argparse.Namespace:
    """Read the command line."""
    home = os.environ.get("HWGEN_CACHE") or os.environ.get("XDG_CACHE_HOME")
    cache = (Path(home) if home else Path.home() / ".cache") / "hwgen-inference"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="JSON; page beside it")
    parser.add_argument("--python", help="that has PyTorch")
    parser.add_argument("--cache", type=Path, default=cache, help="weights and results")
    parser.add_argument("--models", help="names, with commas (default all four)")
    parser.add_argument("--images", type=int, help="so many, spread evenly (default all)")
    parser.add_argument("--epochs", type=int, help="of training")
    parser.add_argument("--folder", type=Path, help="with ImageNet or CIFAR and weights")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--energy-only", action="store_true", help="keep accuracies, measure anew")
    only.add_argument("--page-only", action="store_true", help="draw the page anew")
    only.add_argument("--no-energy", action="store_true")
    options = parser.parse_args()
    if options.folder is not None and (options.models is None or options.output == RESULTS):
        parser.error("--folder needs --models and -o")
    return options


def told(line: str) -> None:
    """Say what is being done."""
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


def accuracies(options: argparse.Namespace, cache: Cache) -> dict[str, Any]:
    """Answer on every datapath, and search the narrowest."""
    digits = options.folder is None
    made = digits_program if digits else folder_program
    trials = Trials(made(find_python(options.python), options, told), cache)
    native = trials.native()
    told(f"native: {[int(right.sum()) for right in native.right.values()]} right")

    def tried(case: Case) -> dict[str, Any]:
        row = trials.answers(case).row(case, native)
        told(f"{case.operands} {case.accumulator}: worst {row['worst'][0]:+.2f} points")
        return row

    rows = [{"kind": kind, **tried(case)} for kind, case in plan(digits)]
    chosen = narrowest(rows, tried) if digits else []
    found = [Case(operands=one["operands"], accumulator=one["acc"]) for one in chosen]
    rows += [{"kind": "found", **tried(case)} for case in dict.fromkeys(found)]
    return {
        **origin(native),
        "images": len(next(iter(native.right.values()))),
        "classifiers": list(native.right),
        "native_right": [int(right.sum()) for right in native.right.values()],
        "macs": list(native.macs.values()),
        "profiles": [trials.profile(name) for name in native.right] if digits else [],
        "allowed_points": ALLOWED,
        "rows": rows,
        "chosen": chosen,
    }


def origin(native: Answers) -> dict[str, Any]:
    """Say what made the results."""
    words: list[str] = []
    for word in sys.argv[1:]:
        # Where files lie is nobody else's concern.
        words = words[:-1] if os.sep in word else [*words, word]
    return {
        "experiment": "inference",
        "command": " ".join(["python scripts/experiments/inference.py", *words]),
        "hwgen": hwgen.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": native.torch,
        "seeds": "folds 7; training 1, 101, ..., 401; energies 1, 2",
        "folds": 5,
    }


def plan(digits: bool) -> list[tuple[str, Case]]:
    """Return what is tried whatever comes out, with its kind."""
    kinds = {"paper": paper_cases, "unit": unit_cases}
    if digits:
        kinds |= {"range": range_cases, "fraction": fraction_cases}
    return [
        (kind, case)
        for operands in OPERANDS
        for kind, made in kinds.items()
        for case in made(operands)
    ]


def narrowest(
    rows: list[dict[str, Any]], tried: Callable[[Case], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the datapaths whose energy matters, each with the program it is for."""
    found = []
    for operands, start in zip(OPERANDS, STARTS, strict=True):
        found.append((operands, operands, str(start), "where the paper starts"))
        best = [
            best_of(rows, operands, saturates=overflow is Overflow.SATURATE)
            for overflow in (Overflow.NAN, Overflow.SATURATE)
        ]
        # What saturates takes more to build, so it must be narrower.
        for row in best[: 1 + (best[1]["width"] < best[0]["width"])]:
            found.append((operands, operands, row["acc"], "narrowest of the 27"))
        for overflow in (Overflow.NAN, Overflow.SATURATE):
            window = searched(operands, overflow, tried)
            found.append((operands, operands, str(window), "narrowest found"))
    bf16 = next(one for one in found if one[0] == "bf16" and one[3] == "narrowest found")
    found.append(("fp32", *bf16[1:3], "operands rounded on the way in"))
    for operands in ROUNDED:
        window = searched(operands, Overflow.NAN, tried)
        found.append(("fp32", operands, str(window), "operands rounded on the way in"))
    names = ("program", "operands", "acc", "what")
    return [dict(zip(names, one, strict=True)) for one in dict.fromkeys(found)]


def best_of(rows: list[dict[str, Any]], operands: str, *, saturates: bool) -> dict[str, Any]:
    """Return the narrowest of the paper's windows that loses no more than is allowed."""
    allowed = [
        row
        for row in rows
        if (row["kind"], row["operands"]) == ("paper", operands)
        and ("saturate" in row["acc"]) == saturates
        and row["worst"][0] <= ALLOWED
    ]
    return min(allowed, key=lambda row: (row["width"], row["worst"][0]))


def searched(operands: str, overflow: Overflow, tried: Callable[[Case], dict[str, Any]]) -> Window:
    """Return the narrowest window that loses no more than is allowed."""
    return Search(
        operands=operands,
        overflow=overflow,
        worst_loss=lambda case: tried(case)["worst"][0],
        allowed=ALLOWED,
    ).narrowest()


def json_text(results: dict[str, Any]) -> str:
    """Return JSON, an entry of a list a line."""
    lines = []
    for name, value in results.items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in value)
            text = f"[\n  {inner}\n ]"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    try:
        main()
    except (HwgenError, ToolError, OSError) as error:
        sys.exit(f"inference: error: {error}")
