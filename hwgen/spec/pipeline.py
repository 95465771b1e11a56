"""How a datapath is cut into pipeline stages, by default or for a target's clock frequency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwgen.errors import SpecError

__all__ = [
    "CELLS",
    "FAMILIES",
    "TARGETS",
    "Family",
    "Pipeline",
    "align_levels",
    "any_levels",
    "decode_levels",
    "dot_levels",
    "limbs",
    "normalise_levels",
    "prepare_levels",
    "product_stages",
]

MAX_FREQ_MHZ = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Delays of an FPGA family, routing included, in nanoseconds.

    Fitted to nextpnr's reports of the designs that ``scripts/bench_pipeline`` lists, which also
    says how well they predict. A level is what a stage takes longer for one more table in a row; a
    fraction of one stands for tables that the mapper merges, or for a signal that goes to so many
    places that they lie far apart.

    Parameters
    ----------
    multiplier_bits : int
        Width of a hardware multiplier's operands; 0 if there is none.
    register_ns : float
        Out of one register and into another.
    level_ns : float
        A level of logic.
    chain_ns : float
        Into a carry chain and through its ends.
    carry_ns : float
        A bit of a carry chain.
    multiplier_ns : float
        From register to register within a hardware multiplier. nextpnr does not time it; on ECP5
        its delay without registers and theirs.
    """

    multiplier_bits: int
    register_ns: float
    level_ns: float
    chain_ns: float
    carry_ns: float
    multiplier_ns: float

    def levels(self, count: float) -> float:
        """Delay of a stage of so many levels of logic."""
        return self.register_ns + count * self.level_ns

    def chain(self, bits: int, levels: float = 0) -> float:
        """Delay of a stage with a carry chain and levels of logic before or after it."""
        return self.levels(levels) + self.chain_ns + bits * self.carry_ns

    def chain_bits(self, period_ns: float, levels: float = 0) -> int:
        """Longest carry chain that fits a period."""
        return int((period_ns - self.chain(0, levels)) / self.carry_ns)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "ecp5": Family(
            multiplier_bits=18,
            register_ns=0.9,
            level_ns=0.85,
            chain_ns=1.4,
            carry_ns=0.03,
            multiplier_ns=4.6,
        ),
        "ice40": Family(
            multiplier_bits=0,
            register_ns=1.4,
            level_ns=1.5,
            chain_ns=1.5,
            carry_ns=0.13,
            multiplier_ns=0.0,
        ),
    }
)

CELLS = "asic"  # standard cells of no particular library
TARGETS = (*FAMILIES, CELLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """How much is done between two registers.

    Parameters
    ----------
    target : str
        What it is made for, of ``TARGETS``; empty for the default, which suits FPGAs with 18-bit
        multipliers.
    freq_mhz : float
        The clock frequency that it is made for; 0 for the default.
    multiplier_bits : int
        Width of a hardware multiplier's operands; 0 if there is none.
    chunk : int
        Most bits that one carry chain of the accumulator spans.
    wide_window : int
        Bits of a window from which on a rotated product is registered before it is handed around.
    unpack_register : bool
        Whether a register stands in the middle of the unpackers.
    rounder_places : int
        Binary places of the rounders' normalising shift done between two registers.
    """

    target: str = ""
    freq_mhz: float = 0.0
    multiplier_bits: int = 18
    chunk: int = 64
    wide_window: int = 128
    unpack_register: bool = True
    rounder_places: int = 3

    @classmethod
    def of(
        cls,
        target: str,
        freq_mhz: float | None = None,
        *,
        pattern_bits: int = 16,
        precision: int = 8,
        window_bits: int = 64,
        dot: int = 1,
    ) -> Pipeline:
        """Choose the fewest stages that a family needs for a clock frequency.

        For one out of reach: those for what can be reached.

        Parameters
        ----------
        target : str
            One of ``TARGETS``. For standard cells products are made in one cycle, whatever their
            width: no multiplier bounds that of its operands, and what a cut saves in glitches
            its registers' clock takes.
        freq_mhz : float, optional
            1 to 2000; as the default pipeline by default.
        pattern_bits, precision : int
            Of the wider operand: bits of a pattern, and of a significand.
        window_bits : int
            Of the register.
        dot : int
            Products that are added at once.

        Raises
        ------
        SpecError
            If the family is not known, the frequency is out of range, or one is given for standard
            cells, whose delays depend on the library.
        """
        if target == CELLS:
            if freq_mhz is not None:
                raise SpecError(
                    f"freq is {freq_mhz:g}, but delays of standard cells are the library's;"
                    " leave it out, and see what hwgen synth --target asic tells"
                )
            return cls(target=target, multiplier_bits=0)
        family = FAMILIES.get(target)
        if family is None:
            raise SpecError(f"target is {target!r}; pipelines can be made for {', '.join(TARGETS)}")
        if freq_mhz is None:
            return cls(target=target, multiplier_bits=family.multiplier_bits)
        if not 1 <= freq_mhz <= MAX_FREQ_MHZ:
            raise SpecError(f"freq is {freq_mhz:g} MHz; allowed is 1 to {MAX_FREQ_MHZ}")
        # Control cannot be cut; what is shorter needs no cut either.
        period_ns = max(1e3 / freq_mhz, family.levels(CONTROL_LEVELS))
        unpack_ns = family.levels(decode_levels(pattern_bits) + prepare_levels(precision))
        return cls(
            target=target,
            freq_mhz=float(freq_mhz),
            multiplier_bits=family.multiplier_bits,
            chunk=max(16, family.chain_bits(period_ns, SUM_LEVELS + dot_levels(dot))),
            wide_window=128 if period_ns < family.levels(align_levels(_ROTATION_BITS)) else 1 << 14,
            unpack_register=period_ns < unpack_ns,
            rounder_places=_rounder_places(family, period_ns, window_bits),
        )


def _rounder_places(family: Family, period_ns: float, window_bits: int) -> int:
    """Most places of a stage's digit with which the first one fits a period; 4 at most."""
    places = window_bits.bit_length()
    fitting = [
        size
        for size in range(1, 5)
        if family.levels(normalise_levels(max(0, places - size), size, window_bits)) <= period_ns
    ]
    return max(fitting, default=1)


CONTROL_LEVELS = 5.5  # tvalid to the counters of blocks and rows
SUM_LEVELS = 1.0  # the drain register's choice behind a sum
_ROTATION_BITS = 2  # of most products, which fill three or four steps


def dot_levels(dot: int) -> float:
    """Levels that make two numbers of the register and so many summands, in front of the sum."""
    return 1.2 * math.log2(dot)


def align_levels(rotation_bits: int) -> float:
    """Levels from a multiplier, later than from a flip-flop, by a rotation to the summand."""
    return 4.0 + 0.6 * rotation_bits


def decode_levels(pattern_bits: int) -> float:
    """Levels from the input buffer to what a floating-point pattern's fields say: their tests."""
    return 2.6 + 0.55 * math.log2(pattern_bits)


def prepare_levels(precision: int) -> float:
    """Levels that count a significand's trailing zeros and move it by less than a step."""
    return max(1.0, 1.75 * math.log2(precision) - 1.65)


def normalise_levels(place: int, size: int, width: int) -> float:
    """Levels of a stage of the normalising shift: count empty groups, then move all the field.

    Parameters
    ----------
    place, size : int
        The digit's lowest binary place, so that groups have ``2**place`` bits, and its places.
    width : int
        Bits of the field.
    """
    return max(1.0, 0.5 * place + 1.5 * size + 0.8 * math.log2(width) - 4.85)


def any_levels(bits: int) -> float:
    """Levels that tell whether any of so many bits is set."""
    return math.log2(max(bits, 1)) / 2


def limbs(bits: int, multiplier_bits: int) -> int:
    """Parts of a factor that fit a hardware multiplier; one where there is none."""
    return -(-bits // multiplier_bits) if multiplier_bits else 1


def product_stages(a_bits: int, b_bits: int, multiplier_bits: int = 18) -> int:
    """Stages of a product: the multipliers, then the partial products two by two."""
    # Partial products that do not overlap are one row: one row, and two a further diagonal.
    rows = limbs(a_bits, multiplier_bits) + limbs(b_bits, multiplier_bits) - 1
    return 1 + (rows - 1).bit_length()
