"""The steps of a floating-point addition, each a function from named values to named values.

:class:`~hwgen.rtl.float_accumulator.FloatAccumulator` puts registers between them. All values zero
is a state of every cut between two steps that comes out as +0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data

from hwgen.rtl.logic import first_set
from hwgen.spec.float_sum import GROUP, FloatAlignment

__all__ = ["LOOP_STEPS", "Fields", "rounded"]

Fields = dict[str, Value]


def rounded(m: Module, total: data.View) -> tuple[Signal, Signal]:
    """Finish a sum: round to nearest, ties to even.

    Returns the tail of the rounded value, and whether rounding drops bits. What is below the value
    is 1/2 or 1, for a guard bit of 0 or 1, if a tail follows it, else 0 or 1/2.
    """
    tail, inexact = Signal(name="rounded_tail"), Signal(name="rounded_inexact")
    tie = Mux(total.tail, total.guard | total.value[0], total.guard & total.value[0])
    m.d.comb += [
        tail.eq(Mux(total.sticky, total.guard, tie)),
        inexact.eq(total.sticky | (total.guard ^ total.tail)),
    ]
    return tail, inexact


def _compare(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Subtract the exponents; negative if the addend's is larger."""
    difference = Signal(Shape.cast(spec.differences), name="exponent_difference")
    m.d.comb += difference.eq(fields["sum_exponent"] - fields["addend_exponent"])
    return fields | {"difference": difference}


def _swap(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Tell the number that stays from the one that moves right.

    The distance is the one's complement magnitude of the difference: one less than it should be
    where the sum moves, which is wired one place further right.
    """
    difference = fields.pop("difference")
    bits = spec.fraction_bits + 2
    larger = difference[-1] if difference.shape().signed else Const(0, 1)
    numbers = {name: fields.pop(name) for name in ("sum", "addend")}
    tails = {name: fields.pop(f"{name}_tail") for name in numbers}
    exponents = {name: fields.pop(f"{name}_exponent") for name in numbers}
    wide = {
        name: Cat(tails[name].replicate(bits - len(value)), value)
        for name, value in numbers.items()
    }
    stays, moves = Signal(bits, name="stays"), Signal(bits, name="moves")
    tail = Signal(name="tail_that_moves")
    exponent = Signal(Shape.cast(spec.sum_exponents), name="larger_exponent")
    m.d.comb += [
        stays.eq(Mux(larger, wide["addend"], wide["sum"])),
        moves.eq(Mux(larger, Cat(wide["sum"][1:], wide["sum"][-1]), wide["addend"])),
        tail.eq(Mux(larger, tails["sum"], tails["addend"])),
        exponent.eq(Mux(larger, exponents["addend"], exponents["sum"])),
    ]
    distance = Signal(max(1, spec.right_places), name="distance")
    m.d.comb += distance.eq(difference[: spec.right_places] ^ larger.replicate(len(distance)))
    beyond = difference[spec.right_places : len(difference) - difference.shape().signed]
    return fields | {
        "stays": stays,
        "stays_tail": Mux(larger, tails["addend"], tails["sum"]),
        "moves": moves,
        "moves_tail": tail,
        "distance": distance,
        "vanishes": (beyond ^ larger.replicate(len(beyond))).any(),
        # A number without bits of its own vanishes without a trace.
        "vanishes_inexactly": (moves ^ tail.replicate(bits)).any(),
        "exponent": exponent + 1,
        "sticky": Const(0, 1),
    }


def _right(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Move the smaller number right by one binary place of the distance."""
    field, tail, chosen = fields["moves"], fields["moves_tail"], fields["distance"][place]
    amount = min(1 << place, len(field))
    moved = Signal(len(field), name=f"right_{1 << place}")
    sticky = Signal(name=f"sticky_{1 << place}")
    dropped = field[:amount] ^ tail.replicate(amount)
    m.d.comb += [
        moved.eq(Mux(chosen, Cat(field[amount:], field[-1].replicate(amount)), field)),
        sticky.eq(fields["sticky"] | (chosen & dropped.any())),
    ]
    return fields | {"moves": moved, "sticky": sticky}


def _vanish(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Leave only the sign of a number that is out of the shifter's reach."""
    field, vanishes = fields["moves"], fields.pop("vanishes")
    fields.pop("distance")
    moved = Signal(len(field), name="moved_right")
    sticky = Signal(name="sticky_right")
    m.d.comb += [
        moved.eq(Mux(vanishes, field[-1].replicate(len(field)), field)),
        sticky.eq(fields["sticky"] | (vanishes & fields.pop("vanishes_inexactly"))),
    ]
    return fields | {"moves": moved, "sticky": sticky}


def _add(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Add. Two tails make a unit in the lowest place and a tail; one is taken as a unit, or not."""
    stays, moves = (fields.pop(name).as_signed() for name in ("stays", "moves"))
    bits = spec.fraction_bits + 3
    # The carry enters below the lowest bit, so that one carry chain serves for it too.
    total = Signal(signed(bits + 1), name="sum_with_carry")
    augend = Cat(Const(1, 1), stays).as_signed()
    m.d.comb += total.eq(augend + Cat(fields.pop("stays_tail"), moves).as_signed())
    # Where bits were dropped this is no tail. But the sum then moves left by two places at most, so
    # that it reaches only bits under the guard, which the sticky flag overrules.
    tail = fields.pop("moves_tail")
    return fields | {"field": total[1:-1], "sign": total[-1], "tail": tail}


def _count(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Count the groups of bits on top that only repeat the sign, up to the least exponent's.

    A group that holds the place of the least exponent ends the count like one that is not empty.
    """
    field, exponent = fields["field"], fields["exponent"]
    groups = spec.groups
    padding = fields["tail"].replicate(groups * GROUP - len(field))
    wide = Cat(padding, field)
    stops = [
        (group ^ fields["sign"].replicate(GROUP)).any() | (exponent[2:] == index)
        for index, group in enumerate(_groups(wide))
    ]
    count = Signal(spec.left_places - 2, name="groups")
    m.d.comb += count.eq(first_set(stops))
    return fields | {"field": wide, "groups": count}


def _left(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Move left by one binary place of the count of groups."""
    field, chosen = fields["field"], fields["groups"][place]
    amount = min(GROUP << place, len(field))
    moved = Signal(len(field), name=f"left_{GROUP << place}")
    m.d.comb += moved.eq(
        Mux(chosen, Cat(fields["tail"].replicate(amount), field)[: len(field)], field)
    )
    return fields | {"field": moved}


def _fine(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Move left past what repeats the sign in the group on top."""
    field, tail, exponent = fields["field"], fields["tail"], fields["exponent"]
    groups = fields["groups"]
    top = field[-GROUP:] ^ fields["sign"].replicate(GROUP)
    at_limit = Signal(name="at_least_exponent")
    m.d.comb += at_limit.eq(exponent[2:] == groups)
    stops = [top[-1 - index] | (at_limit & (exponent[:2] == index)) for index in range(GROUP)]
    count = Signal(2, name="places")
    m.d.comb += count.eq(first_set(stops))
    for index in (1, 0):
        moved = Signal(len(field), name=f"left_{1 << index}")
        amount = 1 << index
        m.d.comb += moved.eq(
            Mux(count[index], Cat(tail.replicate(amount), field)[: len(field)], field)
        )
        field = moved
    following = Signal(len(exponent), name="exponent_following")
    m.d.comb += following.eq(exponent - Cat(count, groups))
    return fields | {"field": field, "exponent": following}


def _groups(word: Value) -> list[Value]:
    """Groups of bits, the one on top first."""
    return [word[start : start + GROUP] for start in reversed(range(0, len(word), GROUP))]


def _round(m: Module, spec: FloatAlignment, place: int, fields: Fields) -> Fields:
    """Cut the significand; what is below it is put off to the next step (or the edge)."""
    field = fields["field"]
    bits = spec.precision
    # Bits that were added below only repeat the tail.
    rest = field[: -bits - 1]
    sticky = Signal(name="sticky_below")
    m.d.comb += sticky.eq(fields["sticky"] | (rest ^ fields["tail"].replicate(len(rest))).any())
    kept = ("positive_inf", "negative_inf", "both_negative", "tail")
    return {name: fields[name] for name in kept} | {
        "value": Cat(field[-bits:], fields["sign"]),
        "exponent": fields["exponent"],
        "guard": field[-bits - 1],
        "sticky": sticky,
    }


LOOP_STEPS: Mapping[str, Callable[[Module, FloatAlignment, int, Fields], Fields]] = {
    "compare": _compare,
    "swap": _swap,
    "right": _right,
    "vanish": _vanish,
    "add": _add,
    "count": _count,
    "left": _left,
    "fine": _fine,
    "round": _round,
}
