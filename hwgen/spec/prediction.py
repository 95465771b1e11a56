"""The clock frequency that a design can be expected to reach: its slowest stage, from a table.

Every stage is counted in levels of logic and bits of carry chain; a family's delays turn that into
nanoseconds. The structure of the stages is that of :mod:`hwgen.rtl`, the counts are read off
nextpnr's reports of single stages on ECP5.
"""

from __future__ import annotations

import math

from hwgen.formats.fixed import FixedPoint
from hwgen.formats.posit import Posit
from hwgen.spec.alignment import Alignment, align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.float_conversion import conversion
from hwgen.spec.float_sum import FloatAlignment, Step
from hwgen.spec.operands import Operand
from hwgen.spec.pipeline import (
    CONTROL_LEVELS,
    FAMILIES,
    SUM_LEVELS,
    Family,
    align_levels,
    any_levels,
    decode_levels,
    dot_levels,
    normalise_levels,
    prepare_levels,
)
from hwgen.spec.rounding import normalise, posit_fraction_bits
from hwgen.spec.timing import unpack_stages

__all__ = ["predicted_mhz", "slowest_stage", "stage_delays"]

_SPREAD = 0.035  # of a delay, a row and column of the array beyond two
_CLAMP_LEVELS = 1.3  # a range test and a saturation beside a chain
_DECIDE_LEVELS = 1.3  # the tie, beside whether any bit below is set
_PRODUCT_LEVELS = 3.5  # out of a multiplier, move by one place, invert
_LIMIT_LEVELS = 4.4  # whether the least exponent limits the last part of a normalising shift
_FINE_LEVELS = 2.6  # that part, and what the register's exponent takes from it


def predicted_mhz(design: Design) -> float | None:
    """Predict a design's clock frequency in MHz; None where the target has no delay table."""
    delays = stage_delays(design)
    return round(1e3 / max(delays.values()), 1) if delays else None


def slowest_stage(design: Design) -> str | None:
    """Name the stage that limits the clock; None where the target has no delay table."""
    delays = stage_delays(design)
    return max(delays, key=lambda name: delays[name]) if delays else None


def stage_delays(design: Design) -> dict[str, float]:
    """Return the delay of each kind of stage in ns.

    Empty where the target has no delay table, and for sums of scale blocks, which nobody has
    measured.
    """
    path = design.datapath
    family = FAMILIES.get(path.pipeline.target)
    if family is None or path.block_terms:
        return {}
    alignment = align(path)
    delays = {
        "control": family.levels(CONTROL_LEVELS),
        "multiply": _multiply_delay(alignment, family),
    }
    if family.multiplier_bits and alignment.product_stages > 1:
        delays["partial products"] = family.chain(alignment.product_bits - family.multiplier_bits)
    delays |= _unpack_delays(path, alignment, family)
    if isinstance(alignment, FloatAlignment):
        delays |= _float_sum_delays(path, alignment, family)
    else:
        delays |= _window_delays(alignment, family) | _rounder_delays(path, family)
        if design.starts:
            longest = max(len(chunk) for chunk in alignment.chunks)
            delays["add start value"] = family.chain(longest, _clamp_levels(alignment))
    return {name: delay * _spread(design) for name, delay in delays.items()}


def _spread(design: Design) -> float:
    """What routing adds in a large array, whose parts and multipliers lie far apart on the device.

    Distances grow with the side of the area that is used.
    """
    return 1 + _SPREAD * max(0.0, math.sqrt(design.rows * design.cols) - 2)


def _multiply_delay(alignment: Alignment | FloatAlignment, family: Family) -> float:
    if family.multiplier_bits:
        return family.multiplier_ns
    shorter = min(alignment.a.significand_bits, alignment.b.significand_bits)
    # Rows of partial products are added two by two.
    return family.chain(alignment.product_bits, (shorter - 1).bit_length())


def _clamp_levels(alignment: Alignment) -> float:
    return _CLAMP_LEVELS if alignment.clamps else 0.0


def _window_delays(alignment: Alignment, family: Family) -> dict[str, float]:
    """Alignment and sum of a processing element."""
    longest = max(len(chunk) for chunk in alignment.chunks)
    levels = SUM_LEVELS + _clamp_levels(alignment) + dot_levels(alignment.dot)
    delays = {"add": family.chain(longest, levels)}
    if not alignment.a.twos_complement:
        # Rotation and decoding of the shift take about as long as what follows them.
        levels = align_levels(alignment.rotation_bits)
        delays["align"] = family.levels(levels / 2 + 1 if alignment.rotation_stage else levels)
    return delays


def _unpack_delays(
    path: Datapath, alignment: Alignment | FloatAlignment, family: Family
) -> dict[str, float]:
    """Decoding, and what makes an operand of the fields, together where no register is between."""
    if alignment.a.twos_complement:
        return {"unpack": family.levels(3)}
    decode = max(_decode_delay(fmt, family) for fmt in (path.a, path.b))
    prepare = max(
        _prepare_levels(operand, trailing=alignment.needs_trailing)
        for operand in (alignment.a, alignment.b)
    )
    if unpack_stages(alignment):
        return {"decode": decode, "unpack": family.levels(prepare)}
    return {"unpack": decode + prepare * family.level_ns}


def _decode_delay(fmt: object, family: Family) -> float:
    if isinstance(fmt, Posit):
        # Negate, and find the end of a run.
        return family.chain(fmt.width, 1.5 + math.log2(fmt.width))
    if isinstance(fmt, FixedPoint):
        return family.chain(fmt.width, 1.5)
    return family.levels(decode_levels(fmt.width))


def _prepare_levels(operand: Operand, *, trailing: bool) -> float:
    levels = prepare_levels(operand.precision) if trailing else 2 + math.log2(operand.precision) / 2
    if operand.normalised:
        # Find the leading one, move it to the top, and take that off the exponent.
        levels = max(levels, 2.7 * math.log2(operand.precision) - 2.9)
    return levels


def _rounder_delays(path: Datapath, family: Family) -> dict[str, float]:
    """The stages of a window's rounder."""
    out = path.out
    if path.hands_out_register or out is None:
        return {}
    if isinstance(out, FixedPoint):
        dropped = max(0, out.min_exponent - path.window.lsb)
        kept = max(1, path.window.width - dropped)
        return {"round": family.chain(kept, _DECIDE_LEVELS + any_levels(dropped))}
    spec = normalise(path)
    kept = 1 + posit_fraction_bits(out) if isinstance(out, Posit) else out.fraction_bits + 2
    width, delays = spec.width, []
    for place, size in spec.digits:
        delays.append(family.levels(normalise_levels(place, size, width)))
        # What cannot come up any more has been judged beside this shift.
        width = min(width, kept + (1 << (place + size)) - 1)
    shifts = {"normalise": max(delays)} if delays else {}
    deciding = _DECIDE_LEVELS + any_levels(width - kept)
    if isinstance(out, Posit):
        # The regime's length is a sum and its limits; the shift that makes it follows.
        regime = family.chain(spec.max_shift.bit_length(), 2.5)
        return shifts | {
            "place regime": max(regime, family.levels(deciding + 1)),
            "round": family.chain(out.width, 2),
        }
    return shifts | {"round": family.chain(out.width, deciding)}


def _float_sum_delays(path: Datapath, spec: FloatAlignment, family: Family) -> dict[str, float]:
    """Product, loop and rounder of a sum that is rounded at every step."""
    delays = {"product": family.levels(_PRODUCT_LEVELS)}
    exponent_bits = len(spec.sum_exponents).bit_length()
    if spec.denormalises:
        bits = spec.precision + 1
        levels = 1.4 * bits.bit_length() + 0.65 * math.log2(bits) - 3.06
        delays["move subnormal product"] = family.chain(exponent_bits, levels)
    stages = [_loop_delay(stage, spec, family) for stage in spec.stages if stage]
    for index, delay in enumerate(stages):
        delays["loop" if len(stages) == 1 else f"loop, stage {index}"] = delay
    if len(stages) > 1:
        # Whether the rounded sum overflows is told first, and the sum may be another lane's addend.
        delays["merge lanes"] = family.levels(4.9 + math.log2(spec.precision) / 2)
    total = spec.sum.format
    delays["finish rounding"] = family.chain(total.width, 2.6)
    result = total
    converted = conversion(path)
    if converted is not None:
        result = path.out
        delays["convert: round"] = family.chain(result.width, 2.6)
        shift = max(converted.max_left, converted.max_right)
        if shift:
            levels = 1.5 * math.log2(shift + 1)
            delays["convert: move"] = family.chain(exponent_bits, levels)
    # Overflow and specials follow the last register, on the way into the output buffer.
    delays["result"] = family.levels(3.3 + math.log2(result.width) / 2)
    return delays


def _loop_delay(stage: tuple[Step, ...], spec: FloatAlignment, family: Family) -> float:
    """Delay of one stage of the loop."""
    if spec.two_paths:
        return max(_far_delay(spec, family), _near_delay(spec, family))
    delay = family.register_ns
    for step in stage:
        if step.kind == "fine":
            delay = max(delay, family.levels(_LIMIT_LEVELS))
        delay += _step_delay(step, spec, family)
    return delay


def _far_delay(spec: FloatAlignment, family: Family) -> float:
    """The path that moves the smaller number right; it ends in a shift by two places at most."""
    width = _fan_out(spec)
    steps = [Step("compare"), *spec.alignment_steps]
    return (
        family.register_ns
        + sum(_step_delay(step, spec, family) for step in steps)
        + (width + 1.9) * family.level_ns
    )


def _near_delay(spec: FloatAlignment, family: Family) -> float:
    """The path that adds at once and then normalises; two levels come before, one behind."""
    steps = [Step("add"), *spec.normalisation_steps]
    return family.levels(3) + sum(_step_delay(step, spec, family) for step in steps)


def _fan_out(spec: FloatAlignment) -> float:
    """Levels that a signal takes to all bits of the field: they lie the farther the more."""
    return 0.65 * math.log2(spec.fraction_bits + 3)


def _step_delay(step: Step, spec: FloatAlignment, family: Family) -> float:
    """Delay of one step in the course of a stage."""
    if step.kind == "compare":
        return family.chain(len(spec.sum_exponents).bit_length()) - family.register_ns
    if step.kind == "add":
        return family.chain(spec.fraction_bits + 3) - family.register_ns
    levels = {
        "swap": _fan_out(spec) - 0.95,
        "right": 0.75,
        "vanish": 0.0,  # the adder's tables have room for it
        "count": 1.7 * math.log2(spec.groups),
        "left": 0.8,
        "fine": _FINE_LEVELS,
        "round": 0.0,  # beside the exponent's
    }
    return levels[step.kind] * family.level_ns
