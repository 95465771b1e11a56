"""Small functions of values, written as gates: synthesis would build carry chains for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amaranth.hdl import Cat, Const, Mux, Value

__all__ = ["advanced", "any_of", "at_least", "first_set", "in_range"]


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


def advanced(address: Value, depth: int, by: Value) -> Value:
    """Address of a buffer of so many rows, moved on by a flag; wider than the address itself."""
    if depth & (depth - 1) == 0:
        return address + by
    return Mux(by & (address == depth - 1), 0, address + by)


def any_of(values: Iterable[Value]) -> Value:
    """Whether any of some flags is set; no flags, no."""
    values = list(values)
    return Cat(values).any() if values else Const(0, 1)


def first_set(flags: Sequence[Value]) -> Value:
    """Index of the first flag that is set, as a tree of halves; the last one if none is."""
    return _first_and_any(flags)[0]


def _first_and_any(flags: Sequence[Value]) -> tuple[Value, Value]:
    if len(flags) == 1:
        return Const(0, 0), flags[0]
    half = 1 << (len(flags) - 1).bit_length() - 1
    low, low_any = _first_and_any(flags[:half])
    high, high_any = _first_and_any(flags[half:])
    return Cat(Mux(low_any, low, high)[: len(low)], ~low_any), low_any | high_any
