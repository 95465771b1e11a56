"""How a datapath is cut into pipeline stages, by default or for a target's clock frequency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwgen.errors import SpecError

__all__ = ["FAMILIES", "Family", "Pipeline", "limbs", "product_stages"]

MAX_FREQ_MHZ = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Delays of an FPGA family, routing included, in nanoseconds.

    Fitted to nextpnr's reports of the designs that ``scripts/bench_pipeline`` lists, which also
    says how well they predict.

    Parameters
    ----------
    multiplier_bits : int
        Width of a hardware multiplier's operands; 0 if there is none.
    register_ns : float
        Out of one register and into another.
    level_ns : float
        A level of logic.
    chain_ns : float
        Into and out of a carry chain.
    carry_ns : float
        A bit of a carry chain.
    multiplier_ns : float
        From register to register through a hardware multiplier.
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
            chain_ns=2.2,
            carry_ns=0.03,
            multiplier_ns=5.6,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """How much is done between two registers.

    Parameters
    ----------
    target : str
        The family that it is made for; empty for the default, which suits FPGAs with 18-bit
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
    def of(cls, target: str, freq_mhz: float | None = None) -> Pipeline:
        """Choose the fewest stages that a family needs for a clock frequency.

        Parameters
        ----------
        target : str
            A family of ``FAMILIES``.
        freq_mhz : float, optional
            1 to 2000; as the default pipeline by default.

        Raises
        ------
        SpecError
            If the family is not known, or the frequency is out of range.
        """
        family = FAMILIES.get(target)
        if family is None:
            raise SpecError(
                f"target is {target!r}; pipelines can be made for {', '.join(FAMILIES)}"
            )
        if freq_mhz is None:
            return cls(target=target, multiplier_bits=family.multiplier_bits)
        if not 1 <= freq_mhz <= MAX_FREQ_MHZ:
            raise SpecError(f"freq is {freq_mhz:g} MHz; allowed is 1 to {MAX_FREQ_MHZ}")
        period_ns = 1e3 / freq_mhz
        return cls(
            target=target,
            freq_mhz=float(freq_mhz),
            multiplier_bits=family.multiplier_bits,
            chunk=max(16, family.chain_bits(period_ns)),
            wide_window=128 if period_ns < family.levels(ROTATION_LEVELS + 1) else 1 << 14,
            unpack_register=period_ns < family.levels(UNPACK_LEVELS),
            rounder_places=max(
                [1, *(n for n in (2, 3, 4) if family.levels(rounder_levels(n)) <= period_ns)]
            ),
        )


ROTATION_LEVELS = 3.5  # rotation of eight places, then mask and sign, with their fan-out
UNPACK_LEVELS = 8.5  # input buffer, field tests, exponent or shift, bubble


def rounder_levels(places: int) -> float:
    """Levels of a stage of the normalising shift: count groups, limit the digit, shift."""
    return 2 + 1.7 * places


def limbs(bits: int, multiplier_bits: int) -> int:
    """Parts of a factor that fit a hardware multiplier; one where there is none."""
    return -(-bits // multiplier_bits) if multiplier_bits else 1


def product_stages(a_bits: int, b_bits: int, multiplier_bits: int = 18) -> int:
    """Stages of a product: the multipliers, then the partial products two by two."""
    # Partial products that do not overlap are one row: one row, and two a further diagonal.
    rows = limbs(a_bits, multiplier_bits) + limbs(b_bits, multiplier_bits) - 1
    return 1 + (rows - 1).bit_length()
