"""Latency and throughput of the circuit, as formulas that the circuit asserts.

Cycle 0 is the cycle in which a block's last beat leaves the admission stage for the array; element
0 of each stream is not delayed by the skew registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.spec.alignment import Alignment, align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.float_sum import FloatAlignment
from hwgen.spec.operands import shift_digits
from hwgen.spec.pipeline import CELLS
from hwgen.spec.rounding import rounder_columns, rounding_stages

__all__ = ["Timing", "scaling_stages", "summand_stages", "timing", "unpack_stages"]

STREAM_LATENCY = 0  # the input buffer registers tready only
OPERAND_LATENCY = 1  # the registers that carry operands from one processing element to the next
SUM_LATENCY = 1
TAKE_LATENCY = 1  # of the choice between two columns' sums of scale blocks
DECODE_LATENCY = 1  # of a scale block's sum and its scales
PLACE_LATENCY = 2  # add the exponents; split them into steps
START_READ_LATENCY = 1  # of the start values' buffer
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
    scaling : int
        Of the unit that scales a scale block's sum and adds it to the register; 0 where the
        processing elements hold the register.
    rounding : int
        Of a column's rounder, which adds the start value first where a design has one.
    start_read : int
        From a block's last beat to the cycle in which column 0 reads its first row of start values,
        just before that row's sum comes out of the mesh.
    first_result : int
        From the cycle in which a block's last beat is accepted to the cycle in which its row 0 is
        offered, nothing stalling; for blocks of whole rounds of lanes, see :meth:`lane_wait`.
    row_interval : int
        Cycles between the rows of one block.
    block_interval : int
        Least cycles between the last beats of consecutive blocks, the first of whole rounds; and of
        consecutive scale blocks where there are such.
    full_rate_block : int
        Beats from which on a block never waits, neither for ``block_interval`` nor for room in the
        output buffer, nothing stalling and but for ``lane_cycles``. Where there are scale blocks,
        each of them must be that long, the last one too.
    buffer_rows : int
        Rows that the output buffer holds, and the start values' buffer.
    lanes : int
        Interleaved sums of a processing element, L. A block's pair k + 1 enters 1, 1 + L,
        1 + 2*L, ... cycles after its pair k.
    lane_cycles : int
        Cycles behind a block of whole rounds in which lanes are added and no beat is accepted: L*L;
        none with one lane.
    clearing : int
        Cycles after reset in which the array is cleared and no beat is accepted.
    block_terms : int
        Beats of a scale block, whose sum leaves the array, B; 0 where blocks' sums leave it.
    """

    unpack: int
    summand: int
    scaling: int
    rounding: int
    start_read: int
    first_result: int
    row_interval: int
    block_interval: int
    full_rate_block: int
    buffer_rows: int
    lanes: int
    lane_cycles: int
    clearing: int
    block_terms: int = 0

    def lane_wait(self, beats: int) -> int:
        """Cycles that a block of so many beats takes longer because lane 0 is not the next one."""
        return -beats % self.lanes

    def scale_block_wait(self, beats: int) -> int:
        """Cycles that a block of so many beats waits for its scale blocks' sums to leave."""
        if not self.block_terms or beats <= self.block_terms:
            return 0
        whole, rest = divmod(beats, self.block_terms)
        wait = (whole - 1) * max(0, self.block_interval - self.block_terms)
        return wait + (max(0, self.block_interval - rest) if rest else 0)

    def cycles(self, beats: int, rows: int) -> int:
        """Cycles from the first input beat to the last result of one block, nothing stalling."""
        latency = self.first_result + self.lane_wait(beats) + self.scale_block_wait(beats)
        return beats + latency + self.row_interval * (rows - 1)


def unpack_stages(alignment: Alignment | FloatAlignment) -> int:
    """Latency of the unpackers: one register, which integers and slow pipelines do without.

    An operand that is normalised needs it in any case, and both sides take equally long.

    What they hand out goes into the operand registers of the mesh.
    """
    if alignment.a.normalised or alignment.b.normalised:
        return 1
    return int(alignment.pipeline.unpack_register and not alignment.a.twos_complement)


def summand_stages(alignment: Alignment | FloatAlignment) -> int:
    """Latency from the operand registers to the adder's input: multiply, then align."""
    if isinstance(alignment, FloatAlignment):
        return alignment.summand_stages
    if alignment.a.twos_complement:
        return 2 if alignment.can_drop or alignment.can_exceed else 1
    return alignment.product_stages + 1 + alignment.rotation_stage


def scaling_stages(datapath: Datapath) -> int:
    """Latency of the unit that scales a scale block's sum and adds it to the register.

    It takes the sum's highest part, chooses a column, scales, and adds.
    """
    if not datapath.block_terms:
        return 0
    skew = align(datapath.elements).skew
    return skew + TAKE_LATENCY + scaler_stages(align(datapath)) + SUM_LATENCY


def scaler_stages(alignment: Alignment) -> int:
    """Latency from a scale block's sum to its summand: decode, normalise, multiply and align."""
    stages, _, _ = normalising_digits(alignment)
    return DECODE_LATENCY + stages + PLACE_LATENCY + summand_stages(alignment)


def normalising_digits(
    alignment: Alignment,
) -> tuple[int, list[tuple[int, int]], list[tuple[int, int]]]:
    """How a scale block's sum, and its scales' significand, are normalised.

    Returns
    -------
    stages : int
    sum_digits, scale_digits : list
        Digits of both shifts (:func:`~hwgen.spec.operands.shift_digits`), a stage each: the sum's
        are the first ones, the scales' the last ones, behind one stage that multiplies them.
    """
    places = alignment.pipeline.rounder_places
    total, scale = (
        shift_digits((operand.precision - 1).bit_length(), places)
        for operand in (alignment.a, alignment.b)
    )
    if not alignment.b.normalised:
        scale = []
    multiplies = alignment.b.precision > 1
    return max(len(total), multiplies + len(scale)), total, scale


def timing(design: Design) -> Timing:
    """Derive a design's timing."""
    alignment = align(design.datapath.elements)
    unpack = unpack_stages(alignment)
    summand = summand_stages(alignment)
    scaling = scaling_stages(design.datapath)
    rounding = rounding_stages(design.datapath, start=design.starts)
    latency = (
        STREAM_LATENCY
        + unpack
        + OPERAND_LATENCY
        + summand
        + SUM_LATENCY
        + scaling
        + rounding
        + (design.cols - 1)
        + BUFFER_LATENCY
    )
    # Moved against the wavefront, row i of a block leaves 2*i cycles after row 0; the next block's
    # row 0 may follow its row rows-1 at once, but for a neighbour's row in a shared rounder.
    block_interval = 2 * design.rows - 2 + rounder_columns(design.datapath, design.cols)
    full_rate_block = 2 * design.rows
    if design.datapath.block_terms:
        # A register is read, added to and written before it is read again.
        block_interval = max(2, block_interval)
        full_rate_block = max(2, full_rate_block)
    unit = design.datapath.float_sum
    lanes = unit.lanes if unit else 1
    # Lane 0's sum comes by in the cycle after a whole round's last beat and is added to lane 1's in
    # the next one; their sum comes by L cycles later, and so on.
    lane_cycles = lanes * lanes if lanes > 1 else 0
    if lanes > 1:
        block_interval = max(lane_cycles + 1, block_interval)
        full_rate_block = max(1, full_rate_block - lane_cycles)
    # Room for a new block's rows, and for those that blocks of this length, half a row a cycle,
    # have brought under way during the latency.
    needed = design.rows + latency // 2 + 2
    cells = design.datapath.pipeline.target == CELLS
    return Timing(
        unpack=unpack,
        summand=summand,
        scaling=scaling,
        rounding=rounding,
        start_read=unpack + OPERAND_LATENCY + summand + SUM_LATENCY - START_READ_LATENCY,
        first_result=latency + lane_cycles,
        row_interval=2,
        block_interval=block_interval,
        full_rate_block=full_rate_block,
        # An FPGA's memories have powers of two; of flip-flops or cells each row costs.
        buffer_rows=needed if cells else 1 << (needed - 1).bit_length(),
        lanes=lanes,
        lane_cycles=lane_cycles,
        clearing=lanes + 1 if lanes > 1 else 1,
        block_terms=design.datapath.block_terms,
    )
