"""Small functions of values, written as gates: synthesis would build carry chains for them."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Value

__all__ = ["any_of", "at_least", "in_range"]


def at_least(value: Value, bound: int) -> Value:
    """Whether an unsigned or signed value is at least a constant."""
    bits = [value[place] for place in range(len(value))]
    lowest, highest = 0, (1 << len(bits)) - 1
    if value.shape().signed:
        # Counted from the least value: the sign bit inverted.
        bits[-1] = ~bits[-1]
        bound += 1 << (len(bits) - 1)
    if bound <= lowest:
        return Const(1, 1)
    if bound > highest:
        return Const(0, 1)
    result: Value = Const(1, 1)
    for place, bit in enumerate(bits):
        result = bit & result if bound >> place & 1 else bit | result
    return result


def in_range(value: Value, wanted: range, possible: range) -> Value:
    """Whether a value, known to be in one range, is in another (both of step 1)."""
    if wanted.stop <= possible.start or wanted.start >= possible.stop or not wanted:
        return Const(0, 1)
    tests = []
    if wanted.start > possible.start:
        tests.append(at_least(value, wanted.start))
    if wanted.stop < possible.stop:
        tests.append(~at_least(value, wanted.stop))
    return Cat(tests).all() if tests else Const(1, 1)


def any_of(values: Iterable[Value]) -> Value:
    """Whether any of some flags is set; no flags, no."""
    values = list(values)
    return Cat(values).any() if values else Const(0, 1)
