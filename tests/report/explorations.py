"""Made-up explorations, as realistic as a formula makes them."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from hwgen.explore.records import CallSite, Exploration, Histogram, Point

NAMES = ("dgemm 512x512x512", "dgemm 64x512x64", "sgemm 100x70x30", "layer1.conv", "attention.qk")


def bell(middle: float, spread: float, total: int, *, zeros: int = 0) -> Histogram:
    """Exponents that are normally distributed, with a long tail of small numbers."""
    low, high = math.floor(middle - 9 * spread), math.ceil(middle + 2 * spread)
    weights = [
        math.exp(-(((e - middle) / spread) ** 2) / 2) + 0.03 * 2.0 ** (min(0, e - middle) * 0.8)
        for e in range(low, high + 1)
    ]
    counts = [round(total * weight / sum(weights)) for weight in weights]
    return Histogram(first=low, counts=counts, zeros=zeros)


def call_site(index: int = 0, name: str | None = None) -> CallSite:
    macs = 10**8 // (index + 1)
    return CallSite(
        name=name or (NAMES[index] if index < len(NAMES) else f"layer{index}.linear"),
        calls=400 >> min(index, 6),
        macs=macs,
        terms=512 >> min(index, 8),
        a=bell(-1 - index % 3, 2.2, macs // 500, zeros=macs // 9000),
        b=bell(-3, 3.0, macs // 500),
        products=bell(-4 - index % 3, 3.9, macs, zeros=macs // 6000),
        sums=bell(0.5, 2.6, macs),
        largest_total=88.0 / (index + 1),
        cancellation=10 ** (4.2 - 0.35 * index) + 1,
    )


def window_point(width: int, *, noise: random.Random) -> Point:
    """A window whose error halves with every bit, and whose energy grows with its width."""
    lsb = 15 - width
    error = 2.0 ** (lsb + 2) * noise.uniform(0.5, 1.0) if width < 60 else 0.0
    return Point(
        name=f"w{width}",
        a="bf16",
        b="bf16",
        acc=f"window:msb=5,lsb={lsb},ovf=9",
        out="fp32",
        width=width,
        bound=2.0 ** (lsb + 7),
        error=error,
        acceptable=error <= 1e-6,
        energy_pj=0.35 + 0.021 * width * noise.uniform(0.97, 1.05),
        area_um2=420 + 21.5 * width * noise.uniform(0.97, 1.05),
        fmax_mhz=1180 - 4.1 * width * noise.uniform(0.9, 1.1),
    )


def baselines() -> list[Point]:
    common = {"a": "bf16", "b": "bf16", "out": "fp32", "baseline": True}
    return [
        Point(
            name="fma fp32",
            acc="fma:fp32",
            width=32,
            error=4.2e-7,
            acceptable=True,
            energy_pj=4.71,
            area_um2=5810.0,
            fmax_mhz=402.0,
            **common,
        ),
        Point(
            name="fma fp64",
            acc="fma:fp64",
            width=64,
            error=7.9e-16,
            acceptable=True,
            energy_pj=11.9,
            area_um2=14300.0,
            fmax_mhz=288.0,
            **common,
        ),
    ]


def mark_front(points: list[Point]) -> list[Point]:
    """Mark what no other acceptable point beats in energy and error."""
    good = [point for point in points if point.acceptable and point.energy_pj is not None]

    def beaten(point: Point) -> bool:
        return any(
            other is not point
            and other.energy_pj <= point.energy_pj
            and other.error <= point.error
            and (other.energy_pj, other.error) != (point.energy_pj, point.error)
            for other in good
        )

    return [replace(p, front=p in good and not beaten(p)) for p in points]


def exploration(*, windows: int = 24, sites: int = 5, seed: int = 1) -> Exploration:
    """A search for a window that serves a program of several call sites."""
    noise = random.Random(seed)
    widths = [26 + index * 2 for index in range(windows)]
    points = [window_point(26 + (w - 26) % 60, noise=noise) for w in widths]
    points = mark_front([*points, *baselines()])
    good = [p for p in points if p.front and not p.baseline]
    best = min(good, key=lambda point: point.energy_pj, default=None)
    points = [replace(p, chosen=p is best) for p in points]
    points[0] = replace(points[0], notes=["range events in 3 of 400 calls"])
    points[1] = replace(points[1], energy_pj=None, area_um2=None, fmax_mhz=None)
    return Exploration(
        title="Shallow-water model, 512 points",
        command=["python", "swe.py", "--points", "512"],
        points=points,
        call_sites=[call_site(index) for index in range(sites)],
        commands=[
            "hwgen tailor --tolerance 1e-6 -o build/swe -- python swe.py --points 512",
            "hwgen report build/swe/exploration.json -o swe.html",
        ],
        versions={"hwgen": "0.5.0", "Python": "3.11.2", "NumPy": "2.4.1", "Yosys": "0.70"},
        tolerance=1e-6,
        library="sky130_fd_sc_hd, typical, 1.8 V, 25 °C",
        seconds=412.0,
        rows=16,
        cols=4,
    )
