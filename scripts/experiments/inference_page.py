"""The page of the inference experiment: what was answered rightly, and what it took."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inference_plan import OPERANDS, STARTS, paper_windows
from inference_statistics import Difference, wilson
from pages import Page

from hwgen.spec.accumulator import Overflow, Window, parse_accumulator

__all__ = ["BAR", "write_page"]

BAR = 3.3  # the paper's ratio for binary32
_NAMES = {"residual": "ResNet-like", "dense": "DenseNet-like", "vgg": "VGG-like", "mlp": "MLP"}
_OVERFLOWS = {Overflow.NAN: "NaN", Overflow.SATURATE: "saturate"}


def write_page(results: dict[str, Any], path: Path) -> None:
    """Write the page."""
    page = Page("Image classifiers on tailored arithmetic", summary(results), source=_SOURCE)
    _models(page, results)
    _fractions(page, results)
    _ranges(page, results)
    _paper(page, results)
    _units(page, results)
    _found(page, results)
    if "energy" in results:
        _energies(page, results)
    _limits(page, results)
    page.write(path)


_SOURCE = "python scripts/experiments/inference.py"


def summary(results: dict[str, Any]) -> str:
    """Return in one sentence what was found."""
    said = f"Four networks in PyTorch, {results['images']:,} held-out images each, code unchanged."
    for operands in OPERANDS:
        best = min(
            (one for one in results["chosen"] if one["program"] == one["operands"] == operands),
            key=lambda one: _window(one["acc"]).width,
        )
        said += (
            f" {operands} operands lose at most {results['allowed_points']:g} point in a window of"
            f" {_window(best['acc']).width} bits"
        )
        if "energy" in results:
            ratio = max(
                one["mean"]
                for one in results["energy"]["ratios"]
                if one["program"] == one["operands"] == operands
            )
            said += f", at {ratio:.2f} times less energy than the fused unit"
        said += "."
    return said


def _window(text: str) -> Window:
    window = parse_accumulator(text)
    assert isinstance(window, Window)
    return window


def _triple(window: Window) -> str:
    return f"({window.ovf}, {window.msb}, {window.lsb})".replace("-", "\N{MINUS SIGN}")


def _classifiers(results: dict[str, Any]) -> list[str]:
    return [_NAMES.get(name, name) for name in results["classifiers"]]


def _difference(results: dict[str, Any], row: dict[str, Any], model: int) -> Difference:
    right, lost, won = results["native_right"][model], row["lost"][model], row["won"][model]
    return Difference(
        both=right - lost, lost=lost, won=won, neither=results["images"] - right - won
    )


def _loss(row: dict[str, Any] | None) -> str:
    """Return the loss of the model that loses most, with its interval."""
    if row is None:
        return "\N{EN DASH}"
    points, low, high = row["worst"]
    text = f"{points:.2f} ({low:.2f} to {high:.2f})"
    return text.replace("-", "\N{MINUS SIGN}")


def _models(page: Page, results: dict[str, Any]) -> None:
    page.section("The networks")
    page.text(
        "Convolutions, linear layers and batch normalisation as a user of PyTorch writes them; the"
        " evaluation runs under hwgen run, which has every product of every layer computed with the"
        f" circuit's bits. scikit-learn's {results['images']:,} handwritten digits, 8 x 8, in five"
        " folds: each image is answered by a network that was trained without it. Training is in"
        " ordinary arithmetic."
    )
    rows = []
    for index, name in enumerate(_classifiers(results)):
        right, count = results["native_right"][index], results["images"]
        low, high = wilson(right, count)
        profile = results["profiles"][index]
        rows.append(
            [
                name,
                f"{100 * right / count:.2f} ({100 * low:.2f} to {100 * high:.2f})",
                round(results["macs"][index] / count),
                profile["largest_a"],
                profile["largest_b"],
                profile["largest_product"],
                profile["largest_total"],
            ]
        )
    head = ["network", "accuracy, %, native", "products an image"]
    head += ["largest |a|", "largest |b|", "largest |ab|", "largest sum of |ab|"]
    page.table("The networks natively, with 95 % intervals (Wilson), and their ranges.", head, rows)
    served = {(row["operands"], row["acc"]): row["served"] for row in results["rows"]}
    runs = sum(calls > 0 for calls in served.values())
    page.note(
        f"{len(served)} datapaths in {runs} runs, {sum(served.values()):,} BLAS calls served. In"
        " each run the operations that hwgen counted were exactly those of the layers' shapes, none"
        " failed and none went elsewhere. Where no score became NaN nothing overflowed, so that"
        " saturation has the same bits; it was not run again. Biases, batch normalisation and"
        " activations are outside of the array, in fp32."
    )


def _plotted(
    page: Page,
    results: dict[str, Any],
    rows: list[dict[str, Any]],
    caption: str,
    axis: tuple[str, list[int]],
) -> None:
    """Plot each model's accuracy with its interval."""
    series, bars = {}, {}
    label, places = axis
    for index, name in enumerate(_classifiers(results)):
        shares, ends = [], []
        for row in rows:
            right = results["native_right"][index] - row["lost"][index] + row["won"][index]
            shares.append(100 * right / results["images"])
            ends.append([100 * end for end in wilson(right, results["images"])])
        series[name] = (places, shares)
        bars[name] = ([low for low, _ in ends], [high for _, high in ends])
    page.plot(caption, series, x=label, y="accuracy, %", bars=bars)


def _of(results: dict[str, Any], kind: str, operands: str) -> list[dict[str, Any]]:
    return [row for row in results["rows"] if (row["kind"], row["operands"]) == (kind, operands)]


def _fractions(page: Page, results: dict[str, Any]) -> None:
    page.section("The lowest bit can be cut deep")
    start = STARTS[0]
    for operands in OPERANDS:
        rows = {}
        for row in _of(results, "paper", operands) + _of(results, "fraction", operands):
            window = _window(row["acc"])
            if (window.ovf, window.msb) == (start.ovf, start.msb) and window.overflow is (
                Overflow.NAN
            ):
                rows[window.lsb] = row
        lsbs = sorted(rows)
        _plotted(
            page,
            results,
            [rows[lsb] for lsb in lsbs],
            f"Accuracy against lsb, {operands} operands, msb {start.msb}, ovf {start.ovf}.",
            ("lsb", lsbs),
        )


def _ranges(page: Page, results: dict[str, Any]) -> None:
    page.section("Range: NaN collapses, saturation gives way")
    page.text(
        "One overflow bit, lsb -24; the register holds sums below two to the power shown, and"
        " products below it. Where an overflow becomes NaN, an image with one is lost."
    )
    for operands in OPERANDS:
        for overflow, name in _OVERFLOWS.items():
            rows = {}
            for row in _of(results, "range", operands):
                window = _window(row["acc"])
                if window.overflow is overflow:
                    rows[window.msb + window.ovf] = row
            _plotted(
                page,
                results,
                [rows[top] for top in sorted(rows)],
                f"Accuracy against the range of sums, {operands} operands, overflow: {name}.",
                ("sums below 2 to the power", sorted(rows)),
            )


def _paper(page: Page, results: dict[str, Any]) -> None:
    page.section("The paper's 27 datapaths, and the same with saturation")
    page.text(
        "Points of accuracy lost by the network that loses most, against the native run on the same"
        " images, with 95 % intervals of the paired difference (Newcombe's method 10). Images that"
        " became NaN are added up over the four networks."
    )
    rows = {(row["operands"], row["acc"]): row for row in results["rows"] if row["kind"] == "paper"}
    if not any(sum(row["invalid"]) for row in rows.values()):
        page.text(
            "None of the 27 overflows in these networks, so saturation changes no bit of them: all"
            " of them have range to spare here. The section above shows where it runs out."
        )
    for operands in OPERANDS:
        lines = []
        for window in paper_windows():
            nan = rows[operands, str(window)]
            saturated = rows[operands, f"{window},overflow=saturate"]
            lines.append(
                [_triple(window), window.width, _loss(nan), sum(nan["invalid"]), _loss(saturated)]
            )
        head = ["(ovf, msb, lsb)", "bits", "lost, overflow is NaN", "NaN images"]
        page.table(f"{operands} operands: points lost.", [*head, "lost, saturating"], lines)
    page.note(
        "That these are the 27 is inferred: ten lsb, three msb and four ovf around (9, 6, -48), and"
        " eight lsb and two msb around (2, 5, -24), both starting points among them."
    )


def _units(page: Page, results: dict[str, Any]) -> None:
    page.section("Conventional units")
    lines = [
        [row["operands"], row["acc"], _loss(row), sum(row["invalid"])]
        for operands in OPERANDS
        for row in _of(results, "unit", operands)
    ]
    page.table(
        "Fused multiply-add, rounded at every step: points lost by the network that loses most.",
        ["operands", "unit", "lost", "NaN images"],
        lines,
    )


def _found(page: Page, results: dict[str, Any]) -> None:
    allowed = results["allowed_points"]
    page.section(f"The narrowest windows that lose at most {allowed:g} point")
    page.text(
        "Found by bisection of the range of sums, then of the lowest bit, then of the range of"
        f" products; the network that loses most may lose {allowed:g} point of these images. The"
        " windows were chosen on the images that they are told for: elsewhere they may lose more."
    )
    rows = {(row["operands"], row["acc"]): row for row in results["rows"]}
    lines = []
    for one in results["chosen"]:
        window = _window(one["acc"])
        row = rows[one["operands"], one["acc"]]
        lines.append(
            [
                f"{one['operands']}: {one['what']}",
                _OVERFLOWS[window.overflow],
                _triple(window),
                window.width,
                *_each_loss(results, row),
                _loss(row),
            ]
        )
    head = ["operands", "overflow", "(ovf, msb, lsb)", "bits", *_classifiers(results), "worst"]
    page.table("Points lost by each network; the worst with its interval.", head, _unique(lines))
    page.note(
        "The intervals of the narrowest reach beyond what is allowed: of other images of this kind"
        " they may lose more. The interval of the narrowest of the paper's 27 does not."
        if _uncertain(results, rows)
        else "The intervals of all of them are within what is allowed."
    )


def _uncertain(results: dict[str, Any], rows: dict[tuple[str, str], dict[str, Any]]) -> bool:
    """Whether the narrowest windows may lose too much, and those of the paper do not."""
    high = {"narrowest found": [0.0], "narrowest of the 27": [0.0]}
    for one in results["chosen"]:
        high.setdefault(one["what"], []).append(rows[one["operands"], one["acc"]]["worst"][2])
    allowed = results["allowed_points"]
    return max(high["narrowest found"]) > allowed >= max(high["narrowest of the 27"])


def _each_loss(results: dict[str, Any], row: dict[str, Any]) -> list[str]:
    losses = [_difference(results, row, i).points for i in range(len(results["classifiers"]))]
    return [f"{loss:.2f}".replace("-", "\N{MINUS SIGN}") for loss in losses]


def _unique(lines: Iterable[list[Any]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for line in lines:
        if line not in found:
            found.append(line)
    return found


def _energies(page: Page, results: dict[str, Any]) -> None:
    energy = results["energy"]
    page.section("Energy of a product")
    page.text(
        "One processing element in standard cells, simulated with glitches on three kinds of"
        " operands, pJ a product with its share of the final rounding (docs/energy.md). The"
        " conventional unit has the number of lanes that takes least, and the same operands."
    )
    _measured(page, energy)
    for rounded in (False, True):
        lines = []
        for one in energy["ratios"]:
            if (one["operands"] != one["program"]) != rounded:
                continue
            window = _window(one["acc"])
            lines.append(
                [
                    f"{one['operands']}: {one['what']}",
                    _OVERFLOWS[window.overflow],
                    _triple(window),
                    window.width,
                    *one["ratio"],
                    one["mean"],
                ]
            )
        what = "operands rounded on the way in" if rounded else "same operands"
        caption = f"Energy of fma:fp32 over that of the window, {what}."
        head = ["operands", "overflow", "(ovf, msb, lsb)", "bits", *energy["stimuli"], "all"]
        page.table(caption, head, _unique(lines))
    page.text(_verdict(energy))
    page.note(
        "The last table mixes two savings: narrower operands, and the window. Its unit is fma:fp32"
        " with fp32 operands, which a program in fp32 would otherwise need; a unit for the same"
        " narrower operands takes less, as the table before shows for bf16."
    )


def _measured(page: Page, energy: dict[str, Any]) -> None:
    lines = [
        [
            f"{row['operands']} {row['acc']}",
            *row["pj"],
            max(row["error"]) if None not in row["error"] else "NaN",
            row["area_um2"],
            row["flip_flops"],
            row["mhz"],
        ]
        for row in energy["rows"]
    ]
    head = ["datapath", *(f"{kind}, pJ" for kind in energy["stimuli"]), "rms error"]
    library = energy["rows"][0]["library"]
    caption = f"Measured, library {library}; rms error of a result, of 128 products."
    page.table(caption, [*head, "area, um^2", "FF", "MHz"], lines)
    page.note(
        "The stimuli have a deviation of 1, and sums larger than the networks': windows that they"
        " would leave are measured with msb and lsb moved up together, which is the same circuit"
        " but for constants, and the same as operands scaled down by a power of two. The rms error"
        " is that of the window as it was measured, so it can be compared only between units and"
        " windows that were not moved."
    )


def _verdict(energy: dict[str, Any]) -> str:
    """Return whether the bar for binary32 is met."""
    own = [one for one in energy["ratios"] if one["program"] == one["operands"] == "fp32"]
    best = max(own, key=lambda one: one["mean"])
    met = "met" if best["mean"] >= BAR else "missed"
    return (
        f"The paper told {BAR:g} times less energy for binary32 operands. Here, fp32 operands in"
        f" {best['acc']} take {best['mean']:.2f} times less than {energy['baselines']['fp32']} on"
        f" the mean of the stimuli, {min(best['ratio']):.2f} to {max(best['ratio']):.2f} over them:"
        f" {met}. What is left is the product of two significands of 24 bits, which both need: the"
        " window for bf16 operands, whose product has a ninth of the partial products, takes"
        f" {_less(energy)} of the energy of the one for fp32 operands."
    )


def _less(energy: dict[str, Any]) -> str:
    """Return the energy of the narrowest bf16 window as a part of that of the fp32 one."""
    rows = {(row["operands"], row["acc"]): sum(row["pj"]) for row in energy["rows"]}
    least = {
        name: min(
            rows[name, one["acc"]]
            for one in energy["ratios"]
            if one["operands"] == one["program"] == name
        )
        for name in OPERANDS
    }
    return f"{100 * least['bf16'] / least['fp32']:.0f} %"


def _limits(page: Page, results: dict[str, Any]) -> None:
    page.section("What this does not show")
    page.text(
        "Digits of 8 x 8 pixels and networks of at most 14 layers say nothing certain of ImageNet:"
        " its sums are longer and its classes are closer. The script evaluates ImageNet and CIFAR"
        " where a person has them (--folder); no figure of theirs is claimed here. Each network was"
        " trained once for each fold, so the intervals are those of the images, not of training."
        " All four networks saw the same images. Networks were not trained for the datapaths."
    )
    page.note(
        f"hwgen {results['hwgen']}, PyTorch {results['torch']}, Python {results['python']}, NumPy"
        f" {results['numpy']}; seeds: {results['seeds']}."
    )
