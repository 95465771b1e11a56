"""A datapath in one line of plain words, as the C kernels read it.

Sections end with ``;``, words are separated by blanks; sections stand in any order:

* ``hwgen 1``: the version of this description;
* ``a FORMAT``, ``b FORMAT``, ``out FORMAT`` or ``out raw``;
* ``acc window MSB LSB OVF ROUND OVERFLOW SEED BITS [BLOCK [DOT]]``, where BLOCK is given, and not
  0, if the sums of scale blocks of so many terms are the summands, and DOT if so many summands are
  added at once; ``acc fma E F LANES`` or ``acc muladd E F LANES``;
* ``lanes ROWS COLS``, optional: the array whose random numbers stochastic rounding takes.

FORMAT is ``float E F SPECIALS OVERFLOW``, ``fixed I F signed|unsigned``, ``posit N ES`` or
``block SCALE SIZE FORMAT``. ``csrc/description.c`` is the other side.
"""

from __future__ import annotations

from hwgen.formats import BlockScaled, FixedPoint, Float, Format, Posit
from hwgen.spec.datapath import Datapath

__all__ = ["describe"]


def describe(datapath: Datapath, *, lanes: tuple[int, int] | None = None) -> str:
    """Return the description of a datapath, one line without its end.

    Parameters
    ----------
    datapath : Datapath
    lanes : tuple of two ints, optional
        As in :func:`hwgen.runtime.gemm_bits`.
    """
    sections = [
        "hwgen 1",
        f"a {_format(datapath.a)}",
        f"b {_format(datapath.b)}",
        f"acc {_register(datapath)}",
        "out raw" if datapath.out is None else f"out {_format(datapath.out)}",
    ]
    if lanes is not None:
        sections.append(f"lanes {lanes[0]} {lanes[1]}")
    return "; ".join(sections)


def _format(fmt: Format) -> str:
    match fmt:
        case Float():
            words = (fmt.exponent_bits, fmt.fraction_bits, fmt.specials.value, fmt.overflow.value)
            return f"float {' '.join(map(str, words))}"
        case FixedPoint():
            sign = "signed" if fmt.signed else "unsigned"
            return f"fixed {fmt.integer_bits} {fmt.fraction_bits} {sign}"
        case Posit():
            return f"posit {fmt.width} {fmt.exponent_bits}"
        case BlockScaled():
            return f"block {fmt.scale.value} {fmt.block} {_format(fmt.element)}"
    raise AssertionError(f"no description of {fmt!r}")


def _register(datapath: Datapath) -> str:
    unit = datapath.float_sum
    if unit is not None:
        return f"{unit.kind} {unit.format.exponent_bits} {unit.format.fraction_bits} {unit.lanes}"
    window = datapath.window
    words = [
        window.msb,
        window.lsb,
        window.ovf,
        window.rounding.value,
        window.overflow.value,
        window.seed,
        window.random_bits,
    ]
    if datapath.block_terms or window.dot > 1:
        words.append(datapath.block_terms)
    if window.dot > 1:
        words.append(window.dot)
    return f"window {' '.join(map(str, words))}"
