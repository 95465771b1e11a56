"""The demonstration: a digit classifier on hardware made, simulated and synthesised on the spot.

Trains a small network on scikit-learn's digits, runs its layers as matrix products through the
emitted Verilog in Icarus, compares every bit with the golden model, and places and routes the array
on an ECP5.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from hwgen import Datapath, Design, HwgenError, ToolError, gemm_bits, generate
from hwgen.flow import SimulationResult, SynthesisReport, simulate, synthesize

HIDDEN = 32
TEST_SHARE = 0.25
SEED = 1


@dataclass(frozen=True)
class Classifier:
    """Two dense layers with a ReLU between them, and the images to judge it by."""

    weights: tuple[np.ndarray, np.ndarray]
    biases: tuple[np.ndarray, np.ndarray]
    images: np.ndarray
    labels: np.ndarray

    def accuracy(self, product: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
        """Share of the test images classified rightly, with ``product`` for A @ B."""
        hidden = np.maximum(product(self.images, self.weights[0]) + self.biases[0], 0)
        scores = product(hidden, self.weights[1]) + self.biases[1]
        return float(np.mean(scores.argmax(axis=1) == self.labels))


class Rtl:
    """Matrix products on the emitted Verilog; keeps what each simulation found."""

    def __init__(self, build: Path, design: Design, simulator: str, display: Display) -> None:
        self._build = build
        self._datapath = design.datapath
        self._simulator = simulator
        self._display = display
        self.results: list[SimulationResult] = []

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        path = self._datapath
        layer = len(self.results) + 1
        task = self._display.add(f"Verilog in {self._simulator}, layer {layer}")
        result = simulate(
            self._build,
            simulator=self._simulator,
            a_bits=path.a.from_float(a),
            b_bits=path.b.from_float(b),
            progress=lambda what, done, total: self._display.update(task, done, total, what),
        )
        self._display.finish(task)
        self.results.append(result)
        return path.out.to_float(result.c_bits)


class Display:
    """Progress on stderr: a line a step, with what it is at and how long it took."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="done"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, description: str) -> TaskID:
        """Show a new step."""
        return self._progress.add_task(description, total=None, detail="")

    def update(self, task: TaskID, done: int, total: int, detail: str) -> None:
        """Show how far a step is; a total of 0 is unknown."""
        self._progress.update(task, completed=done, total=total or None, detail=detail)

    def finish(self, task: TaskID) -> None:
        """Show that a step is over."""
        self._progress.update(task, total=1, completed=1, detail="")


def train() -> Classifier:
    """Train the network on three quarters of the digits; the rest are for judging."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    learn_x, test_x, learn_y, test_y = train_test_split(
        images / 16, labels, test_size=TEST_SHARE, random_state=SEED, stratify=labels
    )
    network = MLPClassifier((HIDDEN,), solver="lbfgs", alpha=1e-1, max_iter=2000, random_state=SEED)
    network.fit(learn_x, learn_y)
    first, second = network.coefs_
    return Classifier((first, second), tuple(network.intercepts_), test_x, test_y)


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Run all steps and print the results; returns whether circuit and model agree."""
    datapath = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9", out="fp32")
    design = Design(datapath=datapath, rows=arguments.rows, cols=arguments.cols)
    build = Path(arguments.output)
    with Display(console) as display, ThreadPoolExecutor(1) as pool:
        task = display.add(f"generating {design.name}")
        generate(design, build, force=True)
        display.finish(task)
        synthesis = None
        if not arguments.no_synth:
            synthesis = pool.submit(_synthesise, build, arguments.seeds, display)
        task = display.add("training on scikit-learn's digits")
        classifier = train()
        display.finish(task)
        exact = classifier.accuracy(lambda a, b: a @ b)
        task = display.add("golden model")
        model = classifier.accuracy(lambda a, b: _model(datapath, a, b))
        display.finish(task)
        rtl = Rtl(build, design, arguments.simulator, display)
        circuit = classifier.accuracy(rtl)
        report = synthesis.result() if synthesis else None
    accuracies = {"float64": exact, "golden model": model, "emitted Verilog": circuit}
    _print_results(classifier, accuracies, rtl.results, report)
    _print_files(build, design, report)
    return all(result.ok for result in rtl.results)


def _model(datapath: Datapath, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bits, _ = gemm_bits(datapath.a.from_float(a), datapath.b.from_float(b), datapath)
    return datapath.out.to_float(bits)


def _synthesise(build: Path, seeds: int, display: Display) -> SynthesisReport:
    task = display.add("synthesis, place and route for ECP5")
    report = synthesize(
        build,
        "ecp5",
        seeds=seeds,
        progress=lambda news: display.update(task, 0, 0, f"{news.step}: {news.detail}"),
    )
    display.finish(task)
    return report


def _print_results(
    classifier: Classifier,
    accuracies: dict[str, float],
    results: list[SimulationResult],
    report: SynthesisReport | None,
) -> None:
    table = Table(title="Digits on a systolic array", title_justify="left", show_header=False)
    images = len(classifier.labels)
    for name, value in accuracies.items():
        table.add_row(f"accuracy, {name}", f"{value:.2%} of {images} test images")
    elements = sum(result.c_bits.size for result in results)
    wrong = sum(result.mismatch_count for result in results)
    agreement = "equal bit for bit" if not wrong else f"{wrong} elements DIFFER"
    table.add_row("Verilog against model", f"{agreement}, {elements} results and their status")
    for layer, result in enumerate(results, start=1):
        table.add_row(
            f"layer {layer}, {result.m} x {result.k} x {result.n}",
            f"{result.cycles} cycles, {result.utilisation:.1%} of all MACs used,"
            f" {result.cycles_per_second:,.0f} cycles/s in {result.simulator}",
        )
    if report is not None:
        area = report.area
        table.add_row(
            "area on ECP5",
            f"{area.lut} LUT4, {area.carry} carry cells, {area.ff} FF, {area.dsp} DSP",
        )
        placed = report.placement
        seeds = "1 seed" if len(placed.seeds) == 1 else f"median of {len(placed.seeds)} seeds"
        table.add_row("fmax on ECP5", f"{placed.median_mhz:.0f} MHz on {placed.device}, {seeds}")
    Console().print(table)


def _print_files(build: Path, design: Design, report: SynthesisReport | None) -> None:
    files = {
        "Verilog": build / "rtl" / f"{design.name}.v",
        "testbench": build / "tb" / f"{design.name}_tb.v",
        "manifest": build / "manifest.json",
        "simulation": build / "sim",
    }
    if report is not None:
        files["synthesis report"] = build / "synth" / "ecp5" / "report.json"
    for name, path in files.items():
        print(f"  {name:<17} {path}")


def main() -> int:
    """Parse the command line, run, and map errors to exit codes as hwgen does."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n\n")[1])
    parser.add_argument("--rows", type=int, default=4, help="rows of the array [4]")
    parser.add_argument("--cols", type=int, default=4, help="columns of the array [4]")
    parser.add_argument("--simulator", choices=("icarus", "verilator"), default="icarus")
    parser.add_argument("--seeds", type=int, default=1, help="placements to take the median of [1]")
    parser.add_argument("--no-synth", action="store_true", help="leave synthesis out")
    parser.add_argument("-o", "--output", default="build/demo", help="build folder [build/demo]")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    start = time.monotonic()
    try:
        agrees = run(arguments, console)
    except HwgenError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 2
    except (ToolError, OSError) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    print(f"  {'total':<17} {time.monotonic() - start:.0f} s")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
