#!/usr/bin/env python3
"""Sums of sea surface heights: accuracy and reproducibility of seven ways to add doubles.

Run as `python scripts/experiments/sea_surface_height.py [-o FILE] [--orders N] [--sizes K,K,...]`,
with `pip install hwgen[experiments]`;
three minutes with the defaults. Writes the figures as JSON and prints them as tables.

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
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import gmpy2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import hwgen
from hwgen.explore import Ranges, size_window
from hwgen.formats import parse_format

PAIRS = 3840
QUANTUM = Fraction(1, 2**26)
EXACT_SUM = 24024023 * QUANTUM
DECADES = 15
JITTER = 1e-6  # of a number against the negative of the other of its pair
SIZES = (*range(1, 11), *range(20, 61, 10))
EXACT_BITS = 53  # reported for a sum without any error

Method = Callable[[np.ndarray], np.ndarray]


def heights(top_decade: float, seed: int) -> np.ndarray:
    """Return (7680,) doubles, multiples of 2**-26, that add up to ``EXACT_SUM`` exactly."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(top_decade - DECADES, top_decade, PAIRS)
    partners = sizes * (1 + JITTER * rng.normal(size=PAIRS))
    values = np.concatenate([_rounded(sizes), -_rounded(partners)])
    # The rest of the sum goes where it is least noticed: into the largest numbers, as far as their
    # last places reach, then into smaller ones.
    for index in np.argsort(-np.abs(values)):
        rest = EXACT_SUM - _exact_sum(values)
        if rest == 0:
            break
        values[index] = float(_rounded(np.array([float(Fraction(values[index]) + rest)]))[0])
    assert _exact_sum(values) == EXACT_SUM
    return rng.permutation(values)


def _rounded(values: np.ndarray) -> np.ndarray:
    scale = float(1 / QUANTUM)
    return np.rint(values * scale) / scale


def _exact_sum(values: np.ndarray) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction(0))


# The methods: (orders, n) numbers to (orders,) sums, each row added from left to right.


def plain(values: np.ndarray) -> np.ndarray:
    """binary64, rounded at every step."""
    total = np.zeros(len(values))
    for column in values.T:
        total = total + column
    return total


def extended(values: np.ndarray) -> np.ndarray:
    """The 80-bit format of x86."""
    total = np.zeros(len(values), dtype=np.longdouble)
    for column in values.T:
        total = total + column
    return total.astype(np.float64)


def quadruple(values: np.ndarray) -> np.ndarray:
    """binary128: 113 bits (its exponents are never in reach here)."""
    sums = []
    with gmpy2.context(precision=113):
        for row in values:
            total = gmpy2.mpfr(0)
            for number in map(gmpy2.mpfr, row.tolist()):
                total += number
            sums.append(float(total))
    return np.array(sums)


def kahan(values: np.ndarray) -> np.ndarray:
    """Compensated: W. Kahan, *Further remarks on reducing truncation errors*, CACM 1965."""
    total = np.zeros(len(values))
    lost = np.zeros(len(values))
    for column in values.T:
        term = column - lost
        new = total + term
        lost = (new - total) - term
        total = new
    return total


def neumaier(values: np.ndarray) -> np.ndarray:
    """Compensated whichever is larger: A. Neumaier, ZAMM 54, 1974."""
    total = np.zeros(len(values))
    lost = np.zeros(len(values))
    for column in values.T:
        new = total + column
        larger = np.abs(total) >= np.abs(column)
        lost += np.where(larger, (total - new) + column, (column - new) + total)
        total = new
    return total + lost


def double_double(values: np.ndarray) -> np.ndarray:
    """Pairs of doubles: T. J. Dekker, Numer. Math. 18, 1971; the accurate addition of a double."""
    high = np.zeros(len(values))
    low = np.zeros(len(values))
    for column in values.T:
        new, error = _two_sum(high, column)
        low = low + error
        high, low = _two_sum(new, low)
    return high + low


def _two_sum(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = x + y
    other = total - x
    return total, (x - (total - other)) + (y - other)


def hardware(datapath: hwgen.Datapath) -> Method:
    """A product with a vector of ones in the arithmetic of a datapath."""

    def summed(values: np.ndarray) -> np.ndarray:
        ones = np.ones((values.shape[1], 1))
        return hwgen.gemm(values, ones, datapath)[:, 0]

    return summed


def window_for(values: np.ndarray, copies: int) -> hwgen.Datapath:
    """Return the narrowest datapath that adds so many copies of the numbers exactly."""
    a, b = parse_format("fp64"), parse_format("uint:1")
    numbers = np.tile(values, copies)[np.newaxis]
    ones = np.ones((numbers.shape[1], 1), dtype=np.uint8)
    sizing = size_window(Ranges.observed(a.from_float(numbers), ones, a, b))
    assert sizing.bound == 0
    return hwgen.Datapath.parse(a="fp64", b="uint:1", acc=str(sizing.window), out="fp64")


def accurate_bits(sums: np.ndarray, exact: Fraction) -> float:
    """-log2 of the largest relative error; ``EXACT_BITS`` where there is none."""
    worst = max(abs(Fraction(value) - exact) / exact for value in sums.tolist())
    return EXACT_BITS if worst == 0 else float(-np.log2(float(worst)))


def deviation(sums: np.ndarray) -> float:
    """Relative standard deviation over the orders; exactly 0 if all sums are the same."""
    if (sums == sums[0]).all():
        return 0.0
    return float(sums.std() / abs(sums.mean()))


def measured(
    methods: dict[str, Method], values: np.ndarray, sizes: list[int], orders: int, seed: int
) -> list[dict[str, object]]:
    """One record a method and size."""
    rng = np.random.default_rng(seed)
    records = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("adding", total=sum(sizes) * len(methods))
        for copies in sizes:
            exact = copies * EXACT_SUM
            shuffled = rng.permuted(np.tile(values, (orders, copies)), axis=1)
            for name, method in methods.items():
                sums = method(shuffled)
                progress.advance(task, copies)
                records.append(
                    {
                        "method": name,
                        "numbers": len(values) * copies,
                        "worst_bits": round(accurate_bits(sums, exact), 2),
                        "relative_standard_deviation": deviation(sums),
                    }
                )
    return records


def print_tables(records: list[dict[str, object]], top_decade: float) -> None:
    """Print bits and deviation, a row a method."""
    console = Console(width=160)
    numbers = sorted({record["numbers"] for record in records})
    for title, key, form in (
        ("accurate bits, the worst of all orders", "worst_bits", "{:.1f}"),
        ("relative standard deviation over the orders", "relative_standard_deviation", "{:.1e}"),
    ):
        table = Table(title=f"magnitudes up to 10^{top_decade:g}: {title}")
        table.add_column("method")
        for count in numbers:
            table.add_column(f"{count:,}", justify="right")
        for name in dict.fromkeys(record["method"] for record in records):
            found = {r["numbers"]: r[key] for r in records if r["method"] == name}
            table.add_row(name, *(form.format(found[count]) for count in numbers))
        console.print(table)


def main() -> None:
    """Run both magnitudes and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--orders", type=int, default=100, help="random orders (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of data and orders (default 1)")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(word) for word in text.split(",")],
        default=list(SIZES),
        help="multiples of 7680 numbers (default 1 to 10, 20 to 60)",
    )
    options = parser.parse_args()
    result: dict[str, object] = {
        "orders": options.orders,
        "seed": options.seed,
        "versions": {"hwgen": hwgen.__version__, "numpy": np.__version__, "gmpy2": gmpy2.version()},
        "machine": platform.machine(),
    }
    for top_decade in (13.5, 15.0):
        values = heights(top_decade, options.seed)
        datapath = window_for(values, max(options.sizes))
        window = datapath.window
        methods: dict[str, Method] = {
            "binary64": plain,
            "80-bit extended": extended,
            "binary128": quadruple,
            "Kahan": kahan,
            "Neumaier": neumaier,
            "double-double": double_double,
            f"hwgen, {window.width}-bit window": hardware(datapath),
        }
        records = measured(methods, values, options.sizes, options.orders, options.seed)
        print_tables(records, top_decade)
        result[f"decade_{top_decade:g}"] = {"window": str(window), "records": records}
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
