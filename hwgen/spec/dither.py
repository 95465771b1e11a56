"""The random numbers of stochastic rounding: what the circuit and the models must agree on.

Each side of an array, a (rows) and b (columns), has one linear feedback shift register of 32 bits,
in Galois form, for the primitive polynomial

    x**32 + x**22 + x**2 + x + 1.

Both start from the window's seed at the first product of every block and step once a product, so a
result depends on the seed, its row m, its column n and the block's operands alone. A lane's word is
drawn from the state by a phase shifter: bit j is the exclusive or of three bits of the state, those
of a mask that is fixed for the side, the lane and j. A lane's masks are linearly independent, so
over the register's period its word takes every value equally often (0 once less). The product of
row m and column n is rounded with the exclusive or of row m's and column n's words.

Everything here is plain integers: constants of a circuit.

References
----------
P. Alfke, *Efficient Shift Registers, LFSR Counters, and Long Pseudo-Random Sequence Generators*,
Xilinx XAPP 052, table 3 (taps 32, 22, 2, 1). J. Rajski, J. Tyszer and N. Tamarapalli, *Phase
Shifter with Reduced Linear Dependency*, US 6874109. The mixing of integers is SplitMix64's: G.
Steele, D. Lea and C. Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014.
"""

from __future__ import annotations

import enum
from functools import lru_cache

__all__ = ["FEEDBACK", "STATE_BITS", "Side", "initial_state", "lane_masks", "step"]

STATE_BITS = 32
FEEDBACK = 0x8020_0003  # bits 31, 21, 1 and 0: the taps 32, 22, 2 and 1

_MASK64 = (1 << 64) - 1
_TAPS = 3


class Side(enum.Enum):
    """Which operand's register: that of a feeds the rows, that of b the columns."""

    A = 0
    B = 1


def initial_state(seed: int, side: Side) -> int:
    """Return the state at the first product of a block, 1 to 2**32 - 1."""
    return _mix(seed << 1 | side.value) >> STATE_BITS or 1


def step(state: int) -> int:
    """Return the state at the next product: shifted right, with ``FEEDBACK`` for a 1 shifted out.

    Zero stays zero; from anywhere else the states come back after 2**32 - 1 steps.
    """
    return state >> 1 ^ (FEEDBACK if state & 1 else 0)


@lru_cache(maxsize=1 << 12)
def lane_masks(side: Side, lane: int, bits: int) -> tuple[int, ...]:
    """Return the masks of a lane's word, lowest bit first.

    Bit j of the word is the parity of ``state & masks[j]``. Each mask has three bits, and fewer
    ``bits`` give the first of the same masks. Lanes count from 0; ``bits`` is at most 24.
    """
    masks: list[int] = []
    reduced: list[int] = []  # the same space, each with a leading bit that no other has on top
    draw = 0
    while len(masks) < bits:
        mask = _mask(_mix(_mix(lane << 1 | side.value) + draw & _MASK64))
        draw += 1
        rest = mask
        for basis in reduced:
            rest = min(rest, rest ^ basis)
        if mask.bit_count() == _TAPS and rest:
            masks.append(mask)
            reduced.append(rest)
            reduced.sort(reverse=True)
    return tuple(masks)


def _mask(word: int) -> int:
    """Set the bits that the low fields of a random word name; fewer than three where two agree."""
    mask = 0
    for tap in range(_TAPS):
        mask |= 1 << (word >> 5 * tap & (STATE_BITS - 1))
    return mask


def _mix(value: int) -> int:
    """Mix an integer below 2**64 into another, one to one."""
    value = value + 0x9E37_79B9_7F4A_7C15 & _MASK64
    value = (value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK64
    value = (value ^ value >> 27) * 0x94D0_49BB_1331_11EB & _MASK64
    return value ^ value >> 31
