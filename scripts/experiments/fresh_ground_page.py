"""The page of ``fresh_ground.py`` from its figures: verdicts first, then what they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fresh_ground_attention import cheapest
from fresh_ground_choice import FMA, FUSED, RULES, WIDE, choices, fused_variants, keeping_up, row_of
from fresh_ground_runs import Unit
from fresh_ground_show import show_attention, show_solver, show_training
from pages import Page

__all__ = ["verdicts", "write"]

ROUGH = "fma:bf16,lanes=3"
TITLE = "Fresh ground: where tailoring pays and where not"
ENERGY_LIMIT = (
    "Energies are of one processing element in OSU's 0.18 um standard cells, on three synthetic"
    " stimuli (one seed), not on the programs' own data; ratios are what counts. A fused unit"
    " has two interleaved sums or three, whichever takes less energy; programs ran on three. The"
    " narrowest windows of training saturate on the skewed stimulus, which lowers that figure. The"
    " generators of random numbers for stochastic rounding stand at the edges of the array and are"
    " not in an element."
)
SIZE_LIMIT = (
    "Programs are small: 128 unknowns, one attention block, a perceptron on 8 x 8 images. What a"
    " large language model or a large network needs is not shown. Thresholds are those of these"
    " data and seeds, and chosen on them: many windows were tried, and the narrowest that does here"
    " has no margin for other data. hwgen size gives windows with one. Queries of one sequence are"
    " not independent, as Wilson's interval takes them to be."
)
SHARE_LIMIT = (
    "Only sums of products run on the design. Square roots, divisions, updates of vectors and of"
    " weights are the program's own, in its own precision."
)


def verdicts(found: dict[str, Any]) -> list[list[str]]:
    """Return rows of workload, verdict and reason, for what was measured."""
    energies = {str(one["words"]): one for one in found.get("energy", [])}
    rows = []
    for choice in choices(found):
        unit = Unit(**choice["fused"])
        if choice["window"] is None:
            rows.append([choice["workload"], unit.name, "none measured", "–", "no window does"])
            continue
        window = Unit(**choice["window"])
        *fused, mine = (
            energies.get(str(one)) for one in (*fused_variants(choice["fused"]), choice["window"])
        )
        ratio, verdict = "–", "energy not measured"
        if mine is not None and None not in fused:
            value = min(one["pj"] for one in fused) / mine["pj"]
            ratio, verdict = f"{value:.2f}", _verdict(value)
        rows.append([choice["workload"], unit.name, window.name, ratio, verdict])
    return rows


def _verdict(ratio: float) -> str:
    if ratio >= 1.5:
        return "pays"
    return "pays a little" if ratio >= 1.1 else "does not pay"


def _solver_sentences(sets: dict[str, Any]) -> list[str]:
    refine, cg = sets["refine"], sets["cg32"]
    noisy, wide = (row_of(refine["rows"], acc) for acc in (FMA, WIDE))
    narrow = next(one for one in choices({"solver": sets}) if one["rule"] == "refine")
    window = row_of(refine["rows"], narrow["window"]["acc"])
    refinement = (
        "Refinement is where a window pays most: at a condition of 1e6 float32 numbers summed in"
        f" {window['width']} bits give the solution to {window['error'][-1]:.1e}, fma:fp32 to"
        f" {noisy['error'][-1]:.1e}. So does fma:fp64 ({wide['error'][-1]:.1e}), for more energy."
    )
    widths = [
        keeping_up(sets, name, scaled=scaled)
        for name in ("cg32", "cg64")
        for scaled in (False, True)
    ]
    plain, scaled, plain_wide, scaled_wide = (
        "none of those measured" if row is None else f"{row['width']} bits" for row in widths
    )
    fused, best = row_of(cg["rows"], FMA), row_of(cg["rows"], "exact:terms=512")
    fewer = 1 - best["iterations"][-1] / fused["iterations"][-1]
    gradients = (
        f"Conjugate gradients gain little accuracy: exact sums save {fewer:.0%} of the iterations"
        " at a condition of 1e6 and reach no smaller residual in float32, since updates of vectors"
        " are float32 all the same. And the data's range moves: a window that does what the fused"
        f" unit does is {plain} wide (float64: {plain_wide}), and a narrower one fails without a"
        " word, for the recursive residual is small all the same. With vectors scaled by the"
        f" program it is {scaled} ({scaled_wide})."
    )
    rows = sets["cg64"]["rows"]
    last = [
        row_of(rows, acc, a="fp64")["residual"][-1] for acc in ("exact:terms=512", FUSED["cg64"])
    ]
    slow = (
        "Exact sums get further where nothing converges: in float64 at a condition of 1e10 the"
        f" residual is {last[0]:.1e} after 2560 iterations, with fma:fp64 {last[1]:.1e}."
    )
    return [refinement, gradients, slow]


def _attention_sentences(parts: dict[str, Any]) -> list[str]:
    said = []
    for a in ("bf16", "e4m3"):
        small, plain = (cheapest(parts[outlier]["rows"], a, FMA) for outlier in ("64", "0"))
        rough = cheapest(parts["64"]["rows"], a, ROUGH)
        said.append(
            f"Attention with a large channel, {a}: {_bits(small)} do what the 32 bits of fma:fp32"
            f" do ({_bits(plain)} without that channel), {_bits(rough)} what the 16 bits of"
            " fma:bf16 do."
        )
    return said


def _bits(row: dict[str, Any] | None) -> str:
    return "no window measured" if row is None else f"{row['width']} bits"


def _training_sentences(part: dict[str, Any]) -> list[str]:
    rows = part["rows"]
    widths = {
        choice["workload"].split("=")[1]: choice["width"]
        for choice in choices({"training": part})
        if choice["fused"]["acc"] == FMA
    }
    narrow = "Training with e4m3 products: within one point of fma:fp32 are windows of" + ",".join(
        f" {width} bits with round={how}" for how, width in widths.items()
    )
    means = {}
    for lsb in (-3, 0):
        mine = [row for row in rows if f" lsb {lsb}" in row["unit"] and "round=" in row["group"]]
        means[lsb] = [
            next(row["accuracy"] for row in mine if row["group"] == f"round={how}")
            for how in ("zero", "even", "stochastic")
        ]
    lost = (
        "Small accumulators do lose small updates: with lowest bit 2^-3 the mean accuracy is"
        " {:.3f} truncated, {:.3f} rounded to even, {:.3f} rounded stochastically; with 2^0 it is"
        " {:.2f}, {:.2f} and {:.2f}. Stochastic rounding helps against truncation; rounding to even"
        " does as much for less energy, until most products are below half the lowest bit."
    ).format(*means[-3], *means[0])
    scales = {
        scale: [row["accuracy"] for row in rows if row["group"] == f"scale={scale}"][:2]
        for scale in (16, 4096)
    }
    tied = (
        "And the loss scale becomes part of the design: the 17-bit window that trains at 256 comes"
        f" to {scales[16][1]:.2f} at 16 and {scales[4096][1]:.2f} at 4096, fma:fp32 to"
        f" {scales[16][0]:.2f} and {scales[4096][0]:.2f}. Of range (lowest"
        " bit 2^-9) 16 bits do where overflow wraps, 15 where it saturates or where NaN meets a"
        " dynamic scale, which backs off; with a static scale NaN ends training at 16 bits already."
        " 14 bits do in no case."
    )
    return [f"{narrow}.", lost, tied]


VERDICTS = {
    "solver": (
        "It pays for the result where sums cancel: refinement and normal equations. For energy"
        " alone it pays little, since products of float32 and float64 numbers take most of it, and"
        " not at all for whoever does not know how far the vectors will shrink."
    ),
    "attention": (
        "It pays: with short operands most of a fused unit's energy goes into the sum. The range"
        " of the products is known from a profile."
    ),
    "training": (
        "It pays, with rounding to even, saturation and a loss scale that the window was made for."
    ),
}
PREFIXES = {"solver": ("iter", "conj", "least"), "attention": ("att",), "training": ("train",)}


def _verdict_sentence(part: str, rows: list[list[str]]) -> str:
    ratios = [row[3] for row in rows if row[0].startswith(PREFIXES[part]) and row[3] != "–"]
    if not ratios:
        return f"Verdict: {VERDICTS[part]}"
    span = f"{min(ratios, key=float)} to {max(ratios, key=float)}"
    return f"Verdict: {VERDICTS[part]} Fused units take {span} times a window's energy."


def summary_sentences(found: dict[str, Any]) -> list[str]:
    """Return what the parts found, in sentences."""
    said = []
    for name, sentences in (
        ("solver", _solver_sentences),
        ("attention", _attention_sentences),
        ("training", _training_sentences),
    ):
        if name in found:
            said += [*sentences(found[name]), _verdict_sentence(name, verdicts(found))]
    return said


def write(found: dict[str, Any], path: Path) -> None:
    """Write the page."""
    page = Page(
        TITLE,
        "Windows pay where sums cancel or operands are short; where the data's range moves they"
        " fail unless the program scales.",
        source=found["command"],
    )
    page.section("What was found")
    for sentence in summary_sentences(found):
        page.text(sentence)
    page.table(
        "For each workload the narrowest window measured that does what the fused unit does (rules"
        " below), and how many times the window's energy a product takes in the fused unit",
        ["workload", "fused unit", "window", "energy ratio", "verdict"],
        verdicts(found),
    )
    page.note("It pays from a ratio of 1.5 on, and a little from 1.1 on.")
    for name, rule in RULES.items():
        page.note(f"Rule, {name}: {rule}.")
    if "served" in found:
        served = found["served"]
        page.text(
            f"{served['runs']} runs under hwgen run, {served['calls']:,} BLAS calls, all of them"
            " served: the script refuses a run with a single native call, and compares the served"
            " operations of attention and training with what the programs count themselves."
        )
    for name, show in (
        ("solver", show_solver),
        ("attention", show_attention),
        ("training", show_training),
    ):
        if name in found:
            show(page, found[name])
    if found.get("energy"):
        _energies(page, found["energy"])
    page.section("What is not shown")
    for limit in (ENERGY_LIMIT, SIZE_LIMIT, SHARE_LIMIT):
        page.text(limit)
    page.note(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    page.write(path)


def _energies(page: Page, energies: list[dict[str, Any]]) -> None:
    page.section("Energy")
    page.table(
        "One processing element, pJ a product with its share of the final rounding, K = 128",
        ["unit", "mean", "gaussian", "relu", "skewed", "area um^2", "flip-flops", "MHz"],
        [
            [
                f"{one['unit']} to {one['words']['out']}",
                one["pj"],
                *(one["kinds"][kind] for kind in ("gaussian", "relu", "skewed")),
                one["area_um2"],
                one["flip_flops"],
                one["mhz"],
            ]
            for one in energies
        ],
    )
