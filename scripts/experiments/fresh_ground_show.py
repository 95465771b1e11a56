"""The page of ``fresh_ground.py``: what its three parts found, as tables and plots."""

from __future__ import annotations

from typing import Any

from fresh_ground_choice import FMA, WIDE, row_of
from pages import Page

__all__ = ["show_attention", "show_solver", "show_training"]

FAILED = "–"  # no number came out
Row = dict[str, Any]


def _powers(conditions: list[float]) -> list[str]:
    return [f"1e{round(len(str(int(condition))) - 1)}" for condition in conditions]


def _cells(values: list[float | None]) -> list[str]:
    return [FAILED if value is None else f"{value:.1e}" for value in values]


def _label(row: Row) -> str:
    how = ", vectors scaled" if row.get("scaled") else ""
    return row["unit"] + (", from hwgen size" if row.get("sized") else how)


def _sizes(page: Page, what: str, sizes: dict[str, Any]) -> None:
    said = "; ".join(
        f"{name}: {size['acc']}, {size['width']} bits" if size["acc"] else f"{name}: {size['why']}"
        for name, size in sizes.items()
    )
    page.note(f"hwgen size from the profile of the native run, {what}: {said}.")


def show_solver(page: Page, sets: dict[str, Any]) -> None:
    """Add the section on solvers."""
    page.section("Solvers: fixed point meets numbers that shrink")
    page.text(
        "Four methods on matrices with geometrically spaced singular values, in NumPy, unmodified."
        " Cells are medians over seeds of the relative error of the solution, or of iterations and"
        " the true relative residual; a dash where some seed gave no number."
    )
    _refinement(page, sets["refine"])
    _gradients(page, sets["cg32"], "float32", "1e-6")
    _gradients(page, sets["cg64"], "float64", "1e-12")
    _least_squares(page, sets["normal"], sets["qr"])


def _errors(page: Page, caption: str, one: dict[str, Any], rows: list[Row] | None = None) -> None:
    head = ["unit", *(f"condition {power}" for power in _powers(one["conditions"]))]
    shown = one["rows"] if rows is None else rows
    page.table(caption, head, [[_label(row), *_cells(row["error"])] for row in shown])


def _refinement(page: Page, one: dict[str, Any]) -> None:
    page.text(
        "Iterative refinement. The residual b - A x is one sum of products that nearly cancel. With"
        " an accumulator of the operands' precision it is noise, and refinement stops at an error"
        " that grows with the condition. Summed in a wide enough window the same float32 numbers"
        " give the solution to the last bit, at any condition that Cholesky survives."
    )
    rows = one["rows"]
    drawn = {
        row["unit"]: (one["conditions"], row["error"])
        for row in rows
        if row["unit"].startswith(("native", "fp32 fma", "fp32 W40", "fp32 W48", "fp32 W56"))
        or "W64" in row["unit"]
    }
    page.plot(
        "Error of the solution against the condition: with float32 accumulators and with narrow"
        " windows it rises in proportion; with 64 bits, as with fma:fp64 and exact sums, it stays"
        " below 3e-8.",
        drawn,
        x="condition",
        y="relative error",
        log_x=True,
        log_y=True,
    )
    _errors(page, "Cholesky and refinement, float32: error of the solution", one)
    _sizes(page, "all conditions", one["sizes"])


def _gradients(page: Page, one: dict[str, Any], dtype: str, goal: str) -> None:
    rows = one["rows"]
    middle = len(one["conditions"]) // 2
    drawn = {}
    for scaled, name in ((False, "window"), (True, "window, vectors scaled")):
        mine = [
            row
            for row in rows
            if " lsb " in row["unit"]
            and row.get("scaled", False) == scaled
            and not row.get("sized")
        ]
        drawn[name] = [row["width"] for row in mine], [row["residual"][middle] for row in mine]
    widths = [row["width"] for row in rows if " lsb " in row["unit"]]
    native = rows[0]["residual"][middle]
    drawn[f"native {dtype}"] = [min(widths), max(widths)], [native, native]
    page.text(
        f"Conjugate gradients in {dtype}, until the recursive residual is {goal} of the right side."
        " The vectors shrink by as much, their squares twice as far in digits, and a window's"
        " lowest bit stays where it is: too narrow a window loses the dot product r'r long before"
        " the residual is small, and the method stops too soon, wanders, or diverges. The remedy is"
        " the user's: bring each vector to about 1 by a power of two before a product, and undo it"
        " afterwards (four lines of the program, --scale)."
    )
    power = _powers(one["conditions"])[middle]
    page.plot(
        f"True residual against the window's width at condition {power}:"
        " scaled vectors need far fewer bits than plain ones.",
        drawn,
        x="window, bits",
        y="true relative residual",
        log_y=True,
    )
    head = ["unit", *(f"condition {power}" for power in _powers(one["conditions"]))]
    page.table(
        f"Conjugate gradients, {dtype}: iterations / true residual (a small residual is the aim; at"
        " most 2560 iterations)",
        head,
        [[_label(row), *_pairs(row)] for row in rows],
    )
    _sizes(page, "all conditions", one["sizes"])


def _pairs(row: Row) -> list[str]:
    return [
        FAILED if residual is None else f"{iterations:.0f} / {residual:.0e}"
        for iterations, residual in zip(row["iterations"], row["residual"], strict=True)
    ]


def _least_squares(page: Page, normal: dict[str, Any], qr: dict[str, Any]) -> None:
    page.text(
        "Least squares with float32 data. The normal equations square the condition, so their sums"
        " need twice the digits: fma:fp32 loses the solution at a condition of a few thousand,"
        " where reflections (QR) do not. With the products' sums handed out as float64 the window"
        " is as good as float64 sums and better than QR in float32; what it needs grows by two bits"
        " for each bit of the condition. A tolerance on the products (hwgen size's, 1e-3) is none"
        " on the solution: the square of the condition stands between."
    )
    chosen = {
        "normal, fp32 fma:fp32": row_of(normal["rows"], FMA),
        "normal, fp32 fma:fp64": row_of(normal["rows"], WIDE),
        "QR, fp32 fma:fp32": row_of(qr["rows"], FMA),
        "QR, exact": row_of(qr["rows"], "exact:terms=512"),
    }
    for row in normal["rows"]:
        if row["unit"].startswith(("fp32 W54", "fp32 W62", "fp32 W70")):
            chosen[f"normal, {row['unit']}"] = row
    page.plot(
        "Error of the coefficients against the condition: the 70-bit window follows float64 sums,"
        " far below QR in float32.",
        {name: (normal["conditions"], row["error"]) for name, row in chosen.items()},
        x="condition",
        y="relative error",
        log_x=True,
        log_y=True,
    )
    _errors(page, "Normal equations, float32 data, float64 results: error", normal)
    _sizes(page, "all conditions", normal["sizes"])
    _errors(page, "Householder QR, float32: error", qr)


def show_attention(page: Page, parts: dict[str, Any]) -> None:
    """Add the section on the attention block."""
    page.section("Attention: a large channel costs range")
    page.text(
        "A transformer block (width 64, four heads, a perceptron of 128) that looks up values by"
        " keys answers 8192 queries. It was trained twice in float32: with ordinary activations,"
        " and with one channel held at 64 in every token, as language models have them. Errors"
        " are against the block in float64 on the same bf16 weights."
    )
    for a in ("bf16", "e4m3"):
        drawn: dict[str, Any] = {}
        for outlier, part in parts.items():
            rows = [row for row in part["rows"] if row.get("words", {}).get("a") == a]
            mine = [row for row in rows if row["kind"] == "window"]
            name = "no large channel" if outlier == "0" else f"a channel at {outlier}"
            drawn[f"windows, {name}"] = (
                [row["width"] for row in mine],
                [row["output_error"] for row in mine],
            )
            widths = [row["width"] for row in mine]
            for acc in (FMA, "fma:bf16,lanes=3"):
                error = row_of(rows, acc)["output_error"]
                drawn[f"{acc.split(',')[0]}, {name}"] = [min(widths), max(widths)], [error] * 2
        page.plot(
            f"Error of the block's output against the accumulator's width, {a} operands: windows"
            " fall to the error of the operands' own rounding; the large channel moves them a few"
            " bits to the right. Fused units, whatever their width, are the level lines.",
            drawn,
            x="accumulator, bits",
            y="relative error of the output",
            log_y=True,
        )
    for outlier, part in parts.items():
        _attention_table(page, outlier, part)


def _attention_table(page: Page, outlier: str, part: dict[str, Any]) -> None:
    rows = []
    for row in part["rows"]:
        low, high = row["interval"]
        errors = (
            FAILED if row[name] is None else f"{row[name]:.1e}"
            for name in ("attention_error", "output_error")
        )
        rows.append([row["unit"], f"{row['accuracy']:.4f} ({low:.4f} to {high:.4f})", *errors])
    what = "no large channel" if outlier == "0" else f"one channel at {outlier}"
    page.table(
        f"Attention block, {what}: right answers of 8192 with Wilson's 95 % interval, and errors",
        ["unit", "accuracy", "error of attention", "error of the output"],
        rows,
    )
    for a, sizes in part["sizes"].items():
        said = "; ".join(
            f"{name}: {size['acc']}, {size['width']} bits" for name, size in sizes.items()
        )
        page.note(f"hwgen size from the native profile, {a} operands: {said}.")


def show_training(page: Page, part: dict[str, Any]) -> None:
    """Add the section on training."""
    page.section("Training with 8-bit products")
    page.text(
        f"A perceptron (64, 96, 64, 10) learns scikit-learn's digits in 20 epochs, every product"
        f" forward and backward with e4m3 operands, weights kept in float32, loss scale 256;"
        f" {part['seeds']} seeds, 360 test images. Intervals are Student's, 95 %, over seeds (first"
        " weights and order of images; the test images are always the same)."
    )
    drawn, bars = {}, {}
    for how in ("zero", "even", "stochastic"):
        mine = [row for row in part["rows"] if row["group"] == f"round={how}"]
        name = f"round={how}"
        drawn[name] = [row["width"] for row in mine], [row["accuracy"] for row in mine]
        bars[name] = (
            [row["accuracy"] - row["half"] for row in mine],
            [row["accuracy"] + row["half"] for row in mine],
        )
    for acc in (FMA, "fma:bf16,lanes=3"):
        row = row_of(part["rows"], acc)
        widths = drawn["round=zero"][0]
        drawn[acc] = [min(widths), max(widths)], [row["accuracy"]] * 2
    page.plot(
        "Accuracy after training against the window's width (its lowest bit moves): truncation"
        " fails first, rounding to even holds longer, stochastic rounding alone still learns at the"
        " end.",
        drawn,
        x="window, bits",
        y="accuracy",
        bars=bars,
    )
    page.table(
        "Training: mean accuracy, and the mean difference to fma:fp32 with the same seeds",
        ["unit", "loss scale", "accuracy", "difference", "seeds that failed", "steps left out"],
        [_training_cells(row) for row in part["rows"]],
    )
    for name, size in part["sizes"].items():
        page.note(
            f"hwgen size from the native profile, {name}: {size['acc']}, {size['width']} bits."
        )


def _training_cells(row: Row) -> list[Any]:
    scale = row.get("options", "--loss-scale 256").replace("--loss-scale ", "")
    return [
        row["unit"],
        scale.replace(" --dynamic", ", dynamic"),
        f"{row['accuracy']:.4f} ± {row['half']:.4f}",
        f"{row['gain']:+.4f} ± {row['half_gain']:.4f}",
        row["failed"],
        int(row["skipped"]),
    ]
