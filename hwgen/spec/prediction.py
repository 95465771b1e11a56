"""The clock frequency that a design can be expected to reach: its slowest stage, from a table.

Every stage is counted in levels of logic and bits of carry chain; a family's delays turn that into
nanoseconds. The structure of the stages is that of :mod:`hwgen.rtl`.
"""

from __future__ import annotations

from hwgen.formats.fixed import FixedPoint
from hwgen.spec.alignment import Alignment, align
from hwgen.spec.design import Design
from hwgen.spec.pipeline import (
    FAMILIES,
    ROTATION_LEVELS,
    UNPACK_LEVELS,
    Family,
    rounder_levels,
)
from hwgen.spec.rounding import normalise

__all__ = ["predicted_mhz", "stage_delays"]

_CONTROL_LEVELS = 6.5  # tvalid to the counters of blocks and rows
_LEVEL_OF_RANGE = 1.0  # a range test or a saturation beside a chain
_MULTIPLIER_CELL = 3.0  # levels before the adders of a multiplier made of logic


def predicted_mhz(design: Design) -> float | None:
    """Predict a design's clock frequency in MHz; None where the target has no delay table."""
    delays = stage_delays(design)
    return round(1e3 / max(delays.values()), 1) if delays else None


def stage_delays(design: Design) -> dict[str, float]:
    """Return the delay of each kind of stage in ns; empty where the target has no delay table."""
    path = design.datapath
    family = FAMILIES.get(path.pipeline.target)
    if family is None or path.float_sum is not None:
        return {}
    alignment = align(path)
    delays = _element_delays(alignment, family)
    delays["unpack"] = family.levels(_unpack_levels(alignment))
    delays["control"] = family.levels(_CONTROL_LEVELS)
    if path.out is None:
        return delays
    if isinstance(path.out, FixedPoint):
        delays["round"] = family.chain(path.window.width, _LEVEL_OF_RANGE)
        return delays
    digits = normalise(path).digits
    delays["normalise"] = family.levels(rounder_levels(max((n for _, n in digits), default=1)))
    delays["round"] = family.chain(path.out.width, _LEVEL_OF_RANGE + 1)
    return delays


def _element_delays(alignment: Alignment, family: Family) -> dict[str, float]:
    """Stages of a processing element."""
    delays = {"multiply": family.multiplier_ns}
    if not family.multiplier_bits:
        shorter = min(alignment.a.significand_bits, alignment.b.significand_bits)
        rows = (shorter - 1).bit_length()
        delays["multiply"] = family.chain(alignment.product_bits, _MULTIPLIER_CELL + rows)
    elif alignment.product_stages > 1:
        delays["partial products"] = family.chain(alignment.product_bits - family.multiplier_bits)
    clamped = 2 * _LEVEL_OF_RANGE if alignment.clamps else 0.0
    longest = max(len(chunk) for chunk in alignment.chunks)
    delays["add"] = family.chain(longest, clamped)
    if not alignment.a.twos_complement:
        delays["align"] = family.levels(ROTATION_LEVELS + clamped)
    return delays


def _unpack_levels(alignment: Alignment) -> float:
    """Levels of the slower half of an unpacker."""
    if alignment.a.twos_complement:
        return 3.0
    return UNPACK_LEVELS / 2 + 1 if alignment.pipeline.unpack_register else UNPACK_LEVELS
