#!/usr/bin/env python3
"""Sums of sea surface heights: accuracy, reproducibility, time and energy of ways to add doubles.

Run as `python scripts/experiments/sea_surface_height.py [--orders N] [--sizes K,K,...]`, with
`pip install hwgen[experiments,report]`; several minutes with the defaults, and as many again for
the energies, the first time (`--no-energy` leaves them out; they need
`apt-get install qflow-tech-osu018 iverilog`). Writes the figures as JSON and as a page.

The data imitate those of He and Ding (*Using accurate arithmetics to improve numerical
reproducibility and stability in parallel applications*, J. Supercomputing 18(3), 2001), which are
not public: 7680 doubles of alternating sign that nearly cancel, with the sum 24024023 / 2**26.
Larger sizes repeat them. Every method adds the same numbers in the same random orders. The last one
is a product with a vector of ones on hwgen's arithmetic, in a window that holds the data: its bits
are those of the generated hardware.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from sea_surface_energy import measured_unit, units
from sea_surface_page import sea_surface_page
from sea_surface_time import FLAGS, OPERATIONS, compiled, software_times, sum_of

import hwgen
from hwgen.explore import Ranges, size_window
from hwgen.explore.cache import Cache
from hwgen.formats import parse_format

ROOT = Path(__file__).resolve().parents[2]
TOP_DECADES = (13.5, 15.0)  # the condition of the published plot; He and Ding's magnitudes
PAIRS = 3840
QUANTUM = Fraction(1, 2**26)
EXACT_SUM = 24024023 * QUANTUM
DECADES = 15
JITTER = 1e-6  # of a number against the negative of the other of its pair
SIZES = (*range(1, 11), *range(20, 61, 10))
EXACT_BITS = 53.0  # reported for a sum without any error

_TOGETHER = 32  # orders in one product: so much memory and no more

Method = Callable[[np.ndarray], np.ndarray]


def heights(top_decade: float, seed: int) -> np.ndarray:
    """Return (7680,) doubles, multiples of 2**-26, that add up to ``EXACT_SUM`` exactly."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(top_decade - DECADES, top_decade, PAIRS)
    partners = sizes * (1 + JITTER * rng.normal(size=PAIRS))
    values = np.concatenate([_counted(sizes), -_counted(partners)])  # multiples of the quantum
    # The rest of the sum goes where it is least noticed: into the largest numbers, as far as their
    # last places reach, then into smaller ones.
    rest = int(EXACT_SUM / QUANTUM) - sum(map(int, values.tolist()))
    for index in np.argsort(-np.abs(values)):
        if rest == 0:
            break
        old = int(values[index])
        values[index] = float(old + rest)
        rest -= int(values[index]) - old
    assert rest == 0
    return rng.permutation(values * float(QUANTUM))


def _counted(values: np.ndarray) -> np.ndarray:
    return np.rint(values / float(QUANTUM))


# The methods: (n, orders) numbers to (orders,) sums, each column added from top to bottom.


def plain(values: np.ndarray) -> np.ndarray:
    """binary64, rounded at every step."""
    total = np.zeros(values.shape[1])
    for row in values:
        total = total + row
    return total


def extended(values: np.ndarray) -> np.ndarray:
    """The 80-bit format of x86."""
    total = np.zeros(values.shape[1], dtype=np.longdouble)
    for row in values:
        total = total + row
    return total.astype(np.float64)


def quadruple(values: np.ndarray) -> np.ndarray:
    """binary128: 113 bits (its exponents are never in reach here)."""
    sums = []
    with gmpy2.context(precision=113):
        for order in values.T:
            total = gmpy2.mpfr(0)
            for number in map(gmpy2.mpfr, order.tolist()):
                total += number
            sums.append(float(total))
    return np.array(sums)


def kahan(values: np.ndarray) -> np.ndarray:
    """Compensated: W. Kahan, *Further remarks on reducing truncation errors*, CACM 1965."""
    total = np.zeros(values.shape[1])
    lost = np.zeros(values.shape[1])
    for row in values:
        term = row - lost
        new = total + term
        lost = (new - total) - term
        total = new
    return total


def neumaier(values: np.ndarray) -> np.ndarray:
    """Compensated whichever is larger: A. Neumaier, ZAMM 54, 1974."""
    total = np.zeros(values.shape[1])
    lost = np.zeros(values.shape[1])
    for row in values:
        new = total + row
        larger = np.abs(total) >= np.abs(row)
        lost += np.where(larger, (total - new) + row, (row - new) + total)
        total = new
    return total + lost


def double_double(values: np.ndarray) -> np.ndarray:
    """Pairs of doubles: T. J. Dekker, Numer. Math. 18, 1971; the accurate addition of a double."""
    high = np.zeros(values.shape[1])
    low = np.zeros(values.shape[1])
    for row in values:
        new, error = _two_sum(high, row)
        low = low + error
        high, low = _two_sum(new, low)
    return high + low


def _two_sum(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = x + y
    other = total - x
    return total, (x - (total - other)) + (y - other)


METHODS: dict[str, Method] = {
    "binary64": plain,
    "80-bit extended": extended,
    "binary128": quadruple,
    "Kahan": kahan,
    "Neumaier": neumaier,
    "double-double": double_double,
}


def fast_methods() -> dict[str, Method]:
    """Return ``METHODS``, with binary128 compiled where it can be: the same sums, much sooner."""
    library = compiled()
    if library is None:
        return METHODS

    def summed(values: np.ndarray) -> np.ndarray:
        return np.array([sum_of(library, "binary128", order) for order in values.T])

    return METHODS | {"binary128": summed}


def hardware(datapath: hwgen.Datapath) -> Method:
    """A product with a vector of ones in the arithmetic of a datapath."""

    def summed(values: np.ndarray) -> np.ndarray:
        ones = np.ones((len(values), 1))
        parts = range(0, values.shape[1], _TOGETHER)
        blocks = (np.ascontiguousarray(values[:, part : part + _TOGETHER].T) for part in parts)
        return np.concatenate([hwgen.gemm(block, ones, datapath)[:, 0] for block in blocks])

    return summed


def window_for(values: np.ndarray, copies: int) -> hwgen.Datapath:
    """Return the narrowest datapath that adds so many copies of the numbers exactly."""
    a, b = parse_format("fp64"), parse_format("uint:1")
    numbers = np.tile(values, copies)[np.newaxis]
    ones = np.ones((numbers.shape[1], 1), dtype=np.uint8)
    sizing = size_window(Ranges.observed(a.from_float(numbers), ones, a, b))
    assert sizing.bound == 0
    return hwgen.Datapath.parse(a="fp64", b="uint:1", acc=str(sizing.window), out="fp64")


def accurate_bits(sums: np.ndarray, exact: Fraction) -> list[float]:
    """-log2 of the relative error of each sum; ``EXACT_BITS`` where there is none."""
    errors = [float(abs(Fraction(value) - exact) / exact) for value in sums.tolist()]
    return [EXACT_BITS if error == 0 else float(-np.log2(error)) for error in errors]


def deviation(sums: np.ndarray, exact: Fraction) -> float:
    """Standard deviation over the orders, relative to the exact sum; 0 if all are the same.

    To the exact sum, since the mean of wrong sums may be anything.
    """
    if (sums == sums[0]).all():
        return 0.0
    return float(sums.std() / float(exact))


def shuffled(values: np.ndarray, copies: int, orders: int, seed: int) -> np.ndarray:
    """Return (n * copies, orders) numbers, each column in a random order of its own."""
    rng = np.random.default_rng([seed, copies])
    found = np.empty((len(values) * copies, orders))
    for column in range(orders):
        found[:, column] = rng.permutation(np.tile(values, copies))
    return found


def accuracies(
    methods: dict[str, Method], values: np.ndarray, sizes: Sequence[int], orders: int, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Figures by method, a number a size: the worst and the median of the orders' accurate bits,
    their relative standard deviation, and how many different sums there are."""
    keys = ("worst_bits", "median_bits", "relative_standard_deviation", "different_sums")
    found = {name: {key: [] for key in keys} for name in methods}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("adding", total=sum(sizes) * len(methods))
        for copies in sizes:
            exact = copies * EXACT_SUM
            numbers = shuffled(values, copies, orders, seed)
            for name, method in methods.items():
                sums = method(numbers)
                bits = accurate_bits(sums, exact)
                records = found[name]
                records["worst_bits"].append(round(min(bits), 2))
                records["median_bits"].append(round(float(np.median(bits)), 2))
                records["relative_standard_deviation"].append(
                    float(f"{deviation(sums, exact):.3g}")
                )
                records["different_sums"].append(len(set(sums.tolist())))
                progress.advance(task, copies)
    return found


def energies(values: np.ndarray, window: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One record a unit: its energy for the first order, its accuracy over all orders."""
    numbers = shuffled(values, 1, options.orders, options.seed)
    cache = Cache(options.cache)
    found = []
    for unit in units(window, options.multipliers, options.lanes):
        print(f"measuring {unit.name}", file=sys.stderr, flush=True)
        figures = measured_unit(unit, numbers[:, 0], cache=cache)
        sums = hardware(unit.datapath)(numbers)
        bits = accurate_bits(sums, EXACT_SUM)
        record = {
            "unit": unit.name,
            "b": unit.b,
            "numbers": len(values),
            "conventional": unit.conventional,
            **figures,
            "worst_bits": round(min(bits), 2),
            "median_bits": round(float(np.median(bits)), 2),
            "relative_standard_deviation": float(f"{deviation(sums, EXACT_SUM):.3g}"),
        }
        # A sum with an error above its own size has no accurate bits, not a negative number.
        record["bits_a_uj"] = round(max(record["median_bits"], 0.0) * 1e3 / figures["sum_nj"], 3)
        found.append(record)
    return found


def print_summary(found: dict[str, Any]) -> None:
    """Print the smallest and the largest size, a line a method."""
    for decade in found["decades"]:
        print(f"magnitudes up to 10^{decade['top_decade']:g}, {decade['window']}")
        for name, records in decade["methods"].items():
            parts = [
                f"{found['numbers'][at]:>7} numbers: worst {records['worst_bits'][at]:6.2f} bits,"
                f" deviation {records['relative_standard_deviation'][at]:8.2g}"
                for at in (0, -1)
            ]
            print(f"  {name:<16} {parts[0]};  {parts[1]}")
        for record in decade.get("energies", []):
            print(
                f"  {record['unit']:<44} {record['sum_nj']:9.1f} nJ a sum,"
                f" median {record['median_bits']:.1f} bits"
            )


def sizes(text: str) -> list[int]:
    """Read whole numbers with commas between."""
    return [int(word) for word in text.split(",")]


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = ROOT / "docs" / "experiments" / "sea_surface_height.json"
    parser.add_argument("-o", "--output", type=Path, default=default, help="JSON; .html beside it")
    parser.add_argument("--orders", type=int, default=100, help="random orders (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of data and orders (default 1)")
    parser.add_argument(
        "--sizes",
        type=sizes,
        metavar="K,K,...",
        default=list(SIZES),
        help="multiples of 7680 numbers (default 1 to 10, 20 to 60)",
    )
    parser.add_argument("--no-energy", action="store_true", help="measure no energies")
    # Four lanes of binary64 take as much energy as three, and more area.
    parser.add_argument("--lanes", type=int, nargs="+", default=[3], help="of binary64 units")
    parser.add_argument(
        "--multipliers", nargs="+", default=["uint:1", "fp64"], help="ones' formats"
    )
    cache = ROOT / "build" / "experiments"
    parser.add_argument(
        "--cache", type=Path, default=cache, help="folder that energies are kept in"
    )
    return parser.parse_args()


def main() -> None:
    """Run both magnitudes and write figures and page."""
    options = parsed()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    command = f"scripts/experiments/sea_surface_height.py --orders {options.orders}"
    found: dict[str, Any] = {
        "command": f"python {command} --seed {options.seed}",
        "orders": options.orders,
        "seed": options.seed,
        "numbers": [2 * PAIRS * copies for copies in options.sizes],
        "versions": {
            "hwgen": hwgen.__version__,
            "numpy": np.__version__,
            "gmpy2": gmpy2.version(),
            "python": platform.python_version(),
        },
        "processor": processor(),
        "compiler_flags": " ".join(FLAGS),
        "operations": OPERATIONS,
        "decades": [],
    }
    for top_decade in TOP_DECADES:
        values = heights(top_decade, options.seed)
        datapath = window_for(values, max(options.sizes))
        summed = hardware(datapath)
        decade = {
            "top_decade": top_decade,
            "condition": float(f"{condition(values):.3g}"),
            "window": str(datapath.window),
            "bits": datapath.window.width,
            "methods": accuracies(
                fast_methods() | {"hwgen": summed},
                values,
                options.sizes,
                options.orders,
                options.seed,
            ),
            "ns_a_number": software_times(values, summed),
        }
        if not options.no_energy:
            decade["energies"] = energies(values, str(datapath.window), options)
        found["decades"].append(decade)
    print_summary(found)
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sea_surface_page(found).write(options.output.with_suffix(".html"))


def condition(values: np.ndarray) -> float:
    """Sum of magnitudes over magnitude of the sum."""
    return float(np.abs(values).sum() / float(EXACT_SUM))


def processor() -> str:
    """What times were taken on."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
