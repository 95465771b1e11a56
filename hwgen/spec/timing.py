"""Latency and throughput of the circuit, as formulas that the circuit asserts.

Cycle 0 is the cycle in which a block's last beat leaves the admission stage for the array; element
0 of each stream is not delayed by the skew registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.spec.alignment import Alignment, align
from hwgen.spec.design import Design
from hwgen.spec.rounding import rounder_columns, rounding_stages

__all__ = ["Timing", "shift_stages", "summand_stages", "timing", "unpack_stages"]

STREAM_LATENCY = 0  # the input buffer registers tready only
OPERAND_LATENCY = 1  # the registers that carry operands from one processing element to the next
SUM_LATENCY = 1
PLACES_PER_STAGE = 4  # binary places of the aligning shift done between two registers
BUFFER_LATENCY = 2  # write the output buffer, then read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Latencies in cycles and the throughput rule of a design.

    Attributes
    ----------
    unpack : int
        Of an edge unpacker.
    summand : int
        From a processing element's operand registers to its adder's input.
    rounding : int
        Of a column's rounder.
    first_result : int
        From the cycle in which a block's last beat is accepted to the cycle in which its row 0 is
        offered, nothing stalling.
    row_interval : int
        Cycles between the rows of one block.
    block_interval : int
        Least cycles between the last beats of consecutive blocks.
    full_rate_block : int
        Beats from which on a block never waits, neither for ``block_interval`` nor for room in the
        output buffer, nothing stalling.
    buffer_rows : int
        Rows that the output buffer holds.
    """

    unpack: int
    summand: int
    rounding: int
    first_result: int
    row_interval: int
    block_interval: int
    full_rate_block: int
    buffer_rows: int

    def cycles(self, beats: int, rows: int) -> int:
        """Cycles from the first input beat to the last result of one block, nothing stalling."""
        return beats + self.first_result + self.row_interval * (rows - 1)


def unpack_stages(alignment: Alignment) -> int:
    """Latency of the unpackers: none, or a register before normalising where an operand needs it.

    What they hand out goes into the operand registers of the mesh.
    """
    return 1 if alignment.a.normalised or alignment.b.normalised else 0


def shift_stages(alignment: Alignment) -> int:
    """Stages of the aligning shifter; the last one also inverts."""
    return max(1, -(-alignment.max_shift.bit_length() // PLACES_PER_STAGE))


def summand_stages(alignment: Alignment) -> int:
    """Latency from the operand registers to the adder's input: multiply, then align."""
    if alignment.a.twos_complement:
        return 2 if alignment.can_drop or alignment.can_exceed else 1
    return 1 + shift_stages(alignment)


def timing(design: Design) -> Timing:
    """Derive a design's timing."""
    alignment = align(design.datapath)
    unpack = unpack_stages(alignment)
    summand = summand_stages(alignment)
    rounding = rounding_stages(design.datapath)
    first_result = (
        STREAM_LATENCY
        + unpack
        + OPERAND_LATENCY
        + summand
        + SUM_LATENCY
        + rounding
        + (design.cols - 1)
        + BUFFER_LATENCY
    )
    # Moved against the wavefront, row i of a block leaves 2*i cycles after row 0; the next block's
    # row 0 may follow its row rows-1 at once, but for a neighbour's row in a shared rounder.
    block_interval = 2 * design.rows - 2 + rounder_columns(design.datapath, design.cols)
    # Room for a new block's rows, and for those that blocks of this length, half a row a cycle,
    # have brought under way during the latency.
    full_rate_block = 2 * design.rows
    needed = design.rows + first_result // 2 + 2
    return Timing(
        unpack=unpack,
        summand=summand,
        rounding=rounding,
        first_result=first_result,
        row_interval=2,
        block_interval=block_interval,
        full_rate_block=full_rate_block,
        buffer_rows=1 << (needed - 1).bit_length(),
    )
