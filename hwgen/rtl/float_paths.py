"""A floating-point addition in one cycle: two paths side by side, each with one long shift.

Where the exponents differ by at most one, nothing is lost to the right, and leading digits may
cancel: the *near* path adds at once and then normalises. Where they differ by more, the *far* path
moves the smaller number right, and the sum needs at most two places to the left.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed

from hwgen.rtl.float_loop import LOOP_STEPS, Fields
from hwgen.spec.float_sum import FloatAlignment

__all__ = ["add_on_two_paths"]

_FROM_PATHS = ("value", "exponent", "guard", "sticky", "tail")


def add_on_two_paths(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """All the steps of an addition at once."""
    near = LOOP_STEPS["round"](m, spec, 0, _near(m, spec, fields))
    fields = LOOP_STEPS["compare"](m, spec, 0, dict(fields))
    difference = fields["difference"]
    is_near = Signal(name="is_near")
    m.d.comb += is_near.eq(~difference[1:].any())  # 0 or 1
    if difference.shape().signed:
        with m.If(difference.all()):  # -1
            m.d.comb += is_near.eq(1)
    far = LOOP_STEPS["round"](m, spec, 0, _far(m, spec, fields))
    for name in _FROM_PATHS:
        joined = Signal(len(far[name]), name=f"{name}_of_path")
        m.d.comb += joined.eq(Mux(is_near, near[name], far[name]))
        far[name] = joined
    return far


def _far(m: Module, spec: FloatAlignment, fields: Fields) -> Fields:
    """Move the smaller number right, add, and move left by up to two places."""
    for step in spec.alignment_steps:
        fields = LOOP_STEPS[step.kind](m, spec, step.place, fields)
    field, sign, tail, exponent = (fields[name] for name in ("field", "sign", "tail", "exponent"))
    once, twice = Signal(name="moves_once"), Signal(name="moves_twice")
    moved = Signal(len(field), name="far_normalised")
    following = Signal(len(exponent), name="far_exponent")
    m.d.comb += [
        once.eq(field[-1] == sign),
        twice.eq((field[-2] == sign) & exponent[1:].any()),
        moved.eq(Mux(once, Mux(twice, Cat(tail, tail, field), Cat(tail, field)), field)),
        following.eq(Mux(once, Mux(twice, exponent - 2, exponent - 1), exponent)),
    ]
    return fields | {"field": moved, "exponent": following}


def _near(m: Module, spec: FloatAlignment, fields: Fields) -> Fields:
    """Add, the addend moved by at most one place, and normalise."""
    bits = spec.fraction_bits + 2
    total, addend = (
        Cat(fields[f"{name}_tail"].replicate(bits - len(fields[name])), fields[name])
        for name in ("sum", "addend")
    )
    tail = fields["addend_tail"]
    moved = Signal(signed(bits + 1), name="near_addend")
    # Two bits tell which exponent is larger by one, if one is; in gates, a carry chain is slower.
    x, y = (Signal(2, name=f"low_bits_of_{name}_exponent") for name in ("sum", "addend"))
    m.d.comb += [x.eq(fields["sum_exponent"]), y.eq(fields["addend_exponent"])]
    differ, addend_larger = Signal(name="exponents_differ"), Signal(name="addend_is_larger")
    m.d.comb += [
        differ.eq(x[0] ^ y[0]),
        addend_larger.eq(x[1] ^ y[1] ^ (~x[0] & y[0])),
        moved.eq(
            Mux(
                differ,
                Mux(addend_larger, Cat(tail, addend).as_signed(), addend[1:].as_signed()),
                addend.as_signed(),
            )
        ),
    ]
    # The carry enters below the lowest bit, as in the far path.
    result = Signal(signed(bits + 3), name="near_sum")
    carry = fields["sum_tail"]
    m.d.comb += result.eq(Cat(Const(1, 1), total).as_signed() + Cat(carry, moved).as_signed())
    exponent = Signal(len(fields["sum_exponent"]) + 1, name="near_exponent")
    m.d.comb += exponent.eq(fields["sum_exponent"] + 2)
    near = fields | {
        "field": result[1:-1],
        "sign": result[-1],
        "tail": tail,
        "sticky": Const(0, 1),
        "exponent": exponent,
    }
    for step in spec.normalisation_steps:
        near = LOOP_STEPS[step.kind](m, spec, step.place, near)
    return near
