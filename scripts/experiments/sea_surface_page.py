"""The page of the sea surface height experiment, from its figures alone."""

from __future__ import annotations

from typing import Any

from pages import Page

__all__ = ["sea_surface_page"]

EXACT_BITS = 53


def sea_surface_page(found: dict[str, Any]) -> Page:
    """Return the page for what sea_surface_height.py wrote to its JSON file."""
    page = Page("Sums of sea surface heights", _summary(found), source=found["command"])
    _add_question(page, found)
    for decade in found["decades"]:
        _add_accuracy(page, decade, found)
    _add_time(page, found)
    if all("energies" in decade for decade in found["decades"]):
        _add_energy(page, found)
    _add_limits(page, found)
    return page


def _summary(found: dict[str, Any]) -> str:
    ours = [decade["methods"]["hwgen"] for decade in found["decades"]]
    sums = len(found["numbers"]) * found["orders"] * len(ours)
    bits = min(min(records["worst_bits"]) for records in ours)
    spread = max(max(records["relative_standard_deviation"]) for records in ours)
    widths = " and ".join(str(decade["bits"]) for decade in found["decades"])
    return (
        f"In windows of {widths} bits all {sums:,} sums have at least {bits:g} accurate bits;"
        f" over all orders their standard deviation is {spread:g}."
    )


def _add_question(page: Page, found: dict[str, Any]) -> None:
    numbers = found["numbers"]
    page.section("The question")
    page.text(
        "He and Ding (J. Supercomputing 18(3), 2001) added 7680 sea surface heights of an ocean"
        " model, whose sum came out as 34.41, 0.673, 32.30 or 0.734 in doubles, depending on the"
        " order; it is 0.358. Their data are not public. These imitate them: magnitudes over 15"
        " decades, in pairs that nearly cancel, all multiples of 2⁻²⁶, with the same exact sum,"
        " 24024023 × 2⁻²⁶."
    )
    page.text(
        f"Every method adds the same numbers in the same {found['orders']} random orders, for"
        f" {numbers[0]:,} to {numbers[-1]:,} numbers, the larger sets being repetitions. On"
        " generated hardware a sum is a matrix product with a vector of ones; the sums here are"
        " those of hwgen's bit-exact arithmetic."
    )
    page.table(
        "Data",
        ["largest magnitude", "condition of the sum", "window that holds all sums", "bits"],
        [
            [
                f"10^{decade['top_decade']:g}",
                decade["condition"],
                decade["window"],
                decade["bits"],
            ]
            for decade in found["decades"]
        ],
    )
    page.note(
        "Condition: sum of magnitudes over magnitude of the sum. A double has 53 bits, so about"
        " 2⁵³ = 9×10¹⁵ is where sums in doubles lose everything."
    )


def _add_accuracy(page: Page, decade: dict[str, Any], found: dict[str, Any]) -> None:
    top, numbers, methods = decade["top_decade"], found["numbers"], decade["methods"]
    page.section(f"Accuracy and reproducibility, magnitudes up to 10^{top:g}")
    exact = [name for name, records in methods.items() if min(records["worst_bits"]) >= EXACT_BITS]
    page.plot(
        f"Worst accurate bits of {found['orders']} orders. At {EXACT_BITS}, on top of each other:"
        f" {', '.join(exact)}. Below 0 the error is larger than the sum.",
        {name: (numbers, records["worst_bits"]) for name, records in methods.items()},
        x="numbers added",
        y="accurate bits",
        log_x=True,
    )
    fixed = [
        name
        for name, records in methods.items()
        if max(records["relative_standard_deviation"]) == 0
    ]
    page.plot(
        "Standard deviation over the orders, relative to the exact sum. Exactly 0 at every size:"
        f" {', '.join(fixed)}.",
        {
            name: (numbers, records["relative_standard_deviation"])
            for name, records in methods.items()
        },
        x="numbers added",
        y="relative standard deviation",
        log_x=True,
        log_y=True,
    )
    ends = (0, -1) if len(numbers) > 1 else (0,)
    head = ["method"]
    for at in ends:
        size = f"{numbers[at]:,} numbers"
        head += [f"worst bits, {size}", "median bits", "deviation", "different sums"]
    keys = ("worst_bits", "median_bits", "relative_standard_deviation", "different_sums")
    page.table(
        f"{found['orders']} orders, magnitudes up to 10^{top:g}",
        head,
        [
            [name, *(records[key][at] for at in ends for key in keys)]
            for name, records in methods.items()
        ],
    )
    page.note(
        "Accurate bits: -log2(|sum - exact| / |exact|), and 53 where the sum is exact. Kahan's sum"
        " does not repair a number larger than the running sum; Neumaier's does."
        f" A standard deviation of {found['orders']} orders is itself known to about"
        f" {196 / (2 * found['orders'] - 2) ** 0.5:.0f} % (95 %, if errors are normal); the worst"
        " order of all may be worse than the worst of these."
    )


def _add_time(page: Page, found: dict[str, Any]) -> None:
    page.section("Time in software")
    rows = []
    for name in found["decades"][0]["methods"]:
        times = [decade["ns_a_number"].get(name) for decade in found["decades"]]
        known = [time for time in times if time is not None]
        mean = sum(known) / len(known) if known else None
        rows.append(
            [
                name,
                found["operations"].get(name, "1 product, exact in a register"),
                mean,
                None if mean is None else mean * found["numbers"][0] / 1e3,
            ]
        )
    page.table(
        f"One core, {found['processor']}; one sum after the other (hwgen: 32 sums at once)",
        ["method", "a number takes", "ns a number", f"µs a sum of {found['numbers'][0]:,}"],
        rows,
    )
    page.note(
        f"In C from left to right, GCC with {found['compiler_flags']}, the fastest of seven runs"
        " on a machine with other work: each addition waits for the one before it. These are"
        " times of this processor; no energy is claimed for software."
    )


def _add_energy(page: Page, found: dict[str, Any]) -> None:
    page.section("Energy in standard cells")
    first = found["decades"][0]["energies"][0]
    page.text(
        f"Processing elements mapped onto {first['library']} and simulated with the very data as"
        f" operands, {found['numbers'][0]:,} of them in one order, and ones beside them. The"
        " netlists computed what the golden model computes, in every cycle. In each group the"
        " operands are the same; only the accumulator differs."
    )
    for decade in found["decades"]:
        records = decade["energies"]
        page.table(
            f"A sum of {found['numbers'][0]:,} numbers, magnitudes up to"
            f" 10^{decade['top_decade']:g}; window of {decade['bits']} bits",
            [
                "element",
                "nJ a sum",
                "× the window",
                "without glitches, nJ",
                "area, µm²",
                "flip-flops",
                "MHz",
                "µs a sum",
                "median bits",
                "bits a µJ",
            ],
            [_energy_row(record, records) for record in records],
        )
        page.text(_compared(decade))
    page.note(
        "One element with its operand registers, and one final rounding a sum; no memories, no"
        " clock tree, no leakage. Lanes are the partial sums that a pipelined floating-point"
        " adder keeps, added up at the end: its sums differ from those of a plain loop."
        " Picojoules of a 0.18 µm library are no figure of today's silicon: read the ratios."
        " Accurate bits: the median over the orders, none where it is negative."
    )


def _energy_row(record: dict[str, Any], records: list[dict[str, Any]]) -> list[Any]:
    group = [one for one in records if one["b"] == record["b"]]
    window = next(one for one in group if not one["conventional"])
    return [
        record["unit"],
        record["sum_nj"],
        f"{record['sum_nj'] / window['sum_nj']:.2f}",
        record["zero_delay_nj"],
        record["area_um2"],
        record["flip_flops"],
        record["fmax_mhz"],
        record["numbers"] * record["cycles_a_number"] / record["fmax_mhz"],
        record["median_bits"],
        record["bits_a_uj"],
    ]


def _compared(decade: dict[str, Any]) -> str:
    """What the windows save, and what their accuracy makes of it."""
    records = decade["energies"]
    saved, gained = [], []
    for window in (record for record in records if not record["conventional"]):
        group = [one for one in records if one["conventional"] and one["b"] == window["b"]]
        saved.append(f"{min(one['sum_nj'] for one in group) / window['sum_nj']:.2f}")
        best = max(one["bits_a_uj"] for one in group)
        gained.append(f"{window['bits_a_uj'] / best:.0f}" if best else "")
    text = f"Up to 10^{decade['top_decade']:g} a sum in binary64 takes {' and '.join(saved)} times"
    text += " the energy of one in the window."
    if not all(gained):
        return f"{text} It has no accurate bits, so accurate bits a joule cannot be compared."
    return (
        f"{text} Accurate bits a joule are {' and '.join(gained)} times as many in the window, but"
        " only since binary64's median is less than one bit: the energies are what to compare."
        if max(one["median_bits"] for one in records if one["conventional"]) < 1
        else f"{text} Accurate bits a joule are {' and '.join(gained)} times as many in the window."
    )


def _add_limits(page: Page, found: dict[str, Any]) -> None:
    page.section("What this does not show")
    exact = [
        name
        for name in found["decades"][0]["methods"]
        if name != "hwgen"
        and all(min(d["methods"][name]["worst_bits"]) >= EXACT_BITS for d in found["decades"])
    ]
    page.text(
        f"Not that software cannot do it: {', '.join(exact)} add these data exactly as well, in"
        " every order tried. In a window, as in binary128 for these data, that is so by proof, for"
        " every order and every grouping, since nothing is ever rounded before the end; compensated"
        " sums have no such guarantee. Nor is one element faster than a processor of today: it"
        " takes a number a cycle, of a clock of 0.18 µm cells. The case for hardware is energy,"
        " a rate that exactness does not lower, and independence of the order."
    )
    page.text(
        "The windows were sized for these data. Numbers beyond their range are flagged and not"
        " added; other data need other windows. The 91-bit window published for the original"
        " data, (ovf, msb, lsb) = (30, 30, -30), flags every magnitude of 2³¹ or more, which these"
        " data have: the same number of bits must be split differently."
    )
    page.text(
        "The published ratios, 27 times the accurate bits of doubles and 15.1 times a watt, are of"
        " other data on an FPGA; they are not confirmed nor denied here. What is called quad there"
        " behaves like the 80-bit format, not like binary128."
    )
