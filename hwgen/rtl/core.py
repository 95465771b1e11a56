"""The core: three AXI4-Streams around the array, and a fourth one if it has start values."""

from __future__ import annotations

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.formats.block import BlockScaled
from hwgen.formats.scale import SCALE_BITS
from hwgen.rtl.admission import A_TOKEN_BITS, B_TOKEN_BITS, Admission
from hwgen.rtl.block_edge import BlockEdge, BlockEdges
from hwgen.rtl.dither import RandomWords
from hwgen.rtl.drain import ColumnBuffers, OutputControl, RowTokens, token_layout
from hwgen.rtl.lanes import Delay, Lanes, Skew
from hwgen.rtl.mesh import Mesh
from hwgen.rtl.records import operands_layout, partial_layout
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.rounders import SharedRounders
from hwgen.rtl.scale_blocks import ScaleBlockTokens, Scales, ScaleSplit, sum_token_layout
from hwgen.rtl.start import StartColumns, StartControl, StartTokens
from hwgen.rtl.start_adder import start_layout
from hwgen.rtl.streams import InputBuffer
from hwgen.rtl.structure import Net, Part, Structural, Structure, zeros
from hwgen.rtl.unpack import TOKEN_SIDE, unpacker
from hwgen.spec.alignment import align
from hwgen.spec.design import Design
from hwgen.spec.dither import Side
from hwgen.spec.rounding import rounder_columns
from hwgen.spec.timing import (
    BUFFER_LATENCY,
    OPERAND_LATENCY,
    STREAM_LATENCY,
    SUM_LATENCY,
    Timing,
    timing,
)

__all__ = ["Core", "padded"]


def padded(bits: int) -> int:
    """Bits of a stream's tdata: whole bytes."""
    return -(-bits // 8) * 8


class Core(Structural):
    """The core: flow control, skew registers, unpackers, mesh, rounders and output buffer.

    Parameters
    ----------
    design : Design

    Members
    -------
    s_axis_a_*, s_axis_b_*, m_axis_c_*
        AXI4-Streams: one beat a k of A[0:rows, k] and of B[k, 0:cols], one beat a row of C; tlast
        ends a block. ``m_axis_c_tuser`` holds 3 status bits an element. Where D products are added
        at once, a beat holds D successive k: those of row (column) 0, then those of row 1, and so
        on; zeros fill up a block's last beat.
    s_axis_c_*
        Where the design has start values: one beat a row of raw registers, with their status in
        ``s_axis_c_tuser``, as a core with ``out=raw`` hands them out; ``rows`` of them a block.
    protocol_error : Out(1)
        Sticky: an A and a B block of different lengths met; a row of start values came with a tlast
        that its place does not have.

    Notes
    -----
    Clock domain ``sync``; emission calls its clock aclk and its reset aresetn, active low. Latency
    and throughput: :func:`~hwgen.spec.timing.timing`.
    """

    has_reset = True
    definition = "core"

    def __init__(self, design: Design) -> None:
        self._design = design
        path = design.datapath
        self._alignment = align(path.elements)
        self._bits = {
            "a": design.a_bits,
            "b": design.b_bits,
            "c": design.cols * path.out_width,
        }
        self._start_bits = design.cols * path.window.width if design.starts else 0
        self._token_bits = {"a": design.rows * A_TOKEN_BITS, "b": design.cols * B_TOKEN_BITS}
        members: dict[str, wiring.Member] = {}
        for port, data, back in (
            ("s_axis_a", In, Out),
            ("s_axis_b", In, Out),
            ("m_axis_c", Out, In),
        ):
            members |= {
                f"{port}_tvalid": data(1),
                f"{port}_tready": back(1),
                f"{port}_tdata": data(padded(self._bits[port[-1]])),
                f"{port}_tlast": data(1),
            }
        if design.starts:
            members |= {
                "s_axis_c_tvalid": In(1),
                "s_axis_c_tready": Out(1),
                "s_axis_c_tdata": In(padded(self._start_bits)),
                "s_axis_c_tlast": In(1),
                "s_axis_c_tuser": In(STATUS_BITS * design.cols),
            }
        members |= {"m_axis_c_tuser": Out(STATUS_BITS * design.cols), "protocol_error": Out(1)}
        super().__init__(members)

    @property
    def timing(self) -> Timing:
        """Latency and throughput of the core."""
        return timing(self._design)

    @property
    def structure(self) -> Structure:
        """From the input streams to the output stream."""
        structure = Structure()
        admission = self._inputs(structure)
        if self._design.datapath.block_terms:
            admission = admission | self._scales(structure, admission)
        mesh = self._edges(structure, admission)
        if self._design.starts:
            self._starts(structure)
        self._mesh(structure, mesh)
        self._outputs(structure)
        return structure

    def _inputs(self, structure: Structure) -> dict[str, Net]:
        """Input buffers and admission; returns admission's wires to the edges."""
        design, when = self._design, self.timing
        ports: dict[str, Net] = {}
        for side in "ab":
            bits = self._bits[side]
            arriving = structure.wire(f"{side}_arriving", bits + 1)
            structure.aliases += [
                (arriving.part(0, bits), self.net(f"s_axis_{side}_tdata").part(0, bits)),
                (arriving.part(bits, bits + 1), self.net(f"s_axis_{side}_tlast")),
            ]
            stream = {
                "valid": structure.wire(f"{side}_valid", 1),
                "ready": structure.wire(f"{side}_ready", 1),
                "payload": structure.wire(f"{side}_beat", bits + 1),
            }
            structure.parts[f"{side}_buffer"] = (
                Part(InputBuffer, (bits,)),
                {
                    "i__valid": self.net(f"s_axis_{side}_tvalid"),
                    "i__ready": self.net(f"s_axis_{side}_tready"),
                    "i__payload": arriving,
                }
                | {f"o__{name}": net for name, net in stream.items()},
            )
            ports |= {f"{side}__{name}": net for name, net in stream.items()}
            ports[f"{side}_elements"] = structure.wire(f"{side}_elements", bits)
            ports[f"{side}_token"] = structure.wire(f"{side}_token", self._token_bits[side])
        ports |= {
            "block_end": structure.wire("block_end", 1),
            "row_taken": structure.wire("row_taken", 1),
            "protocol_error": self.net("protocol_error"),
        }
        if design.starts:
            ports |= {
                "start_ready": structure.wire("start_ready", 1),
                "start_end": structure.wire("start_end", 1),
                "protocol_error": structure.wire("lengths_differ", 1),
            }
        arguments = (
            self._bits["a"],
            self._bits["b"],
            design.rows,
            design.cols,
            when.block_interval,
            when.buffer_rows,
            when.lanes,
        )
        # Integers have no flag for a bubble: zeros say it, for nothing beside the buffers' choice.
        zeroed = self._alignment.a.twos_complement
        terms = when.block_terms
        if terms:
            ports |= {
                name: structure.wire(name, 1) for name in ("scale_block_end", "scale_block_first")
            }
        if design.starts or zeroed or terms:
            arguments += (design.starts, zeroed)
        if terms:
            arguments += (terms,)
        structure.parts["admission"] = (Part(Admission, arguments), ports)
        return ports

    def _scales(self, structure: Structure, admission: dict[str, Net]) -> dict[str, Net]:
        """Part scales from elements and keep them; returns the bare elements."""
        design, when = self._design, self.timing
        bare: dict[str, Net] = {}
        scales: dict[str, Net] = {}
        for side, lanes in (("a", design.rows), ("b", design.cols)):
            fmt = getattr(design.datapath, side)
            assert isinstance(fmt, BlockScaled), fmt
            bare[f"{side}_elements"] = structure.wire(f"{side}_bare", lanes * fmt.element.width)
            scales[f"{side}_beat"] = structure.wire(f"{side}_scale_beat", lanes * SCALE_BITS)
            structure.parts[f"{side}_split"] = (
                Part(Lanes, (lanes, Part(ScaleSplit, (fmt, side)))),
                {
                    "bits": admission[f"{side}_elements"],
                    "element": bare[f"{side}_elements"],
                    "scale": scales[f"{side}_beat"],
                },
            )
        end, first = (structure.net(f"scale_block_{name}") for name in ("end", "first"))
        kept = {
            "a": structure.wire("a_scale", SCALE_BITS),
            "b": structure.wire("b_scale", SCALE_BITS * design.cols),
        }
        structure.parts["scales"] = (
            Part(Scales, (design.rows, design.cols)),
            {"ends": end} | scales | kept,
        )
        # A scale block's row 0 leaves column 0 so many cycles after its end.
        latency = when.unpack + OPERAND_LATENCY + when.summand + SUM_LATENCY
        kept["b"] = self._skew(structure, "b_scale", kept["b"], design.cols)
        for side, net in kept.items():
            late = structure.wire(f"{side}_scale_late", net.stop)
            part = Part(Delay, (net.stop, latency - 1))
            structure.parts[f"{side}_scale_delay"] = (part, {"d": net, "q": late})
        structure.parts["scale_block_tokens"] = (
            Part(ScaleBlockTokens, (design.rows, latency)),
            {
                "ends": end,
                "first": first,
                "token": structure.wire("sum_token", sum_token_layout(design.rows).size),
            },
        )
        return bare

    def _edges(self, structure: Structure, admission: dict[str, Net]) -> dict[str, Net]:
        """Skew registers and unpackers; returns the mesh's input wires."""
        path = self._design.datapath
        wires: dict[str, Net] = {}
        for side, lanes in (("a", self._design.rows), ("b", self._design.cols)):
            skewed = self._skew(structure, side, admission[f"{side}_elements"], lanes)
            operands = structure.wire(
                f"{side}_operands", operands_layout(self._alignment, side).size * lanes
            )
            token = self._skew(structure, f"{side}_token", admission[f"{side}_token"], lanes)
            ports = {"bits": skewed, "token": token, "operand": operands}
            if self._alignment.random_bits:
                ports["random"] = self._random_words(structure, side, lanes)
            wires[f"{side}_in"] = operands
            if side == TOKEN_SIDE:
                ports["last"] = wires["last_in"] = structure.wire("last_operands", lanes)
            lane = unpacker(path.elements, side)
            structure.parts[f"{side}_unpack"] = (Part(Lanes, (lanes, lane)), ports)
        return wires

    def _random_words(self, structure: Structure, side: str, lanes: int) -> Net:
        """The random numbers of one side, skewed as its elements are."""
        random_bits = self._alignment.random_bits * self._alignment.dot
        words = structure.wire(f"{side}_random", random_bits * lanes)
        part = Part(RandomWords, (self._alignment, Side[side.upper()], lanes))
        token = structure.net("a_token")  # of row 0
        structure.parts[f"{side}_random_words"] = (
            part,
            {"admitted": token.part(0, 1), "last": token.part(1, 2), "words": words},
        )
        return self._skew(structure, words.name, words, lanes)

    def _skew(self, structure: Structure, name: str, word: Net, lanes: int) -> Net:
        if lanes == 1:
            return word
        skewed = structure.wire(f"{name}_skewed", word.stop)
        part = Part(Skew, (word.stop // lanes, lanes))
        structure.parts[f"{name}_skew"] = (part, {"d": word, "q": skewed})
        return skewed

    def _starts(self, structure: Structure) -> None:
        """The start values' buffer, from their stream to the rounders."""
        design, when = self._design, self.timing
        width, depth = design.datapath.window.width, when.buffer_rows
        token_bits = token_layout(depth).size
        write = structure.wire("start_write", token_bits)
        token = structure.wire("start_token", token_bits)
        read = structure.wire("start_read", token_bits)
        structure.parts["start_control"] = (
            Part(StartControl, (design.rows, depth, when.block_interval)),
            {
                "valid": self.net("s_axis_c_tvalid"),
                "ready": self.net("s_axis_c_tready"),
                "last": self.net("s_axis_c_tlast"),
                "write": write,
                "block_end": structure.net("start_end"),
                "block_ready": structure.net("start_ready"),
                "freed": read.part(0, 1),
                "lengths_differ": structure.net("lengths_differ"),
                "protocol_error": self.net("protocol_error"),
            },
        )
        structure.parts["start_tokens"] = (
            Part(StartTokens, (design.rows, when.start_read, depth, 0)),
            {
                "block_end": structure.net("start_end"),
                "take": structure.wire("start_take_leaving", 1),
                "token": token,
            },
        )
        structure.parts["start_columns"] = (
            Part(StartColumns, (width, depth, design.cols)),
            {
                "write": write,
                "bits": self.net("s_axis_c_tdata").part(0, self._start_bits),
                "status": self.net("s_axis_c_tuser"),
                "token_in": token,
                "token_out": read,
                "start": structure.wire("start_values", start_layout(width).size * design.cols),
            },
        )

    def _mesh(self, structure: Structure, ports: dict[str, Net]) -> None:
        """The mesh and the rounders above it."""
        design = self._design
        partials = structure.wire("partials", partial_layout(self._alignment).size * design.cols)
        # Nothing comes from below the last row; what leaves to the east and south goes nowhere.
        leaving = {
            f"{name}_out": structure.wire(f"{name}_leaving", ports[f"{name}_in"].stop)
            for name in ("a", "last", "b")
        }
        structure.parts["mesh"] = (
            Part(Mesh, (self._alignment, design.rows, design.cols)),
            ports | leaving | {"drain_in": zeros(partials.stop), "drain_out": partials},
        )
        ports = {
            "partial": partials,
            "bits": structure.wire("result_bits", self._bits["c"]),
            "status": structure.wire("result_status", STATUS_BITS * design.cols),
        }
        take = structure.wire("take", 1)
        path = design.datapath
        if path.block_terms:
            edge = BlockEdges if design.cols > 1 else BlockEdge
            ports |= {name: structure.net(f"{name}_late") for name in ("a_scale", "b_scale")} | {
                "token": structure.net("sum_token"),
                "token_out": structure.wire(
                    "sum_token_leaving", sum_token_layout(design.rows).size
                ),
                "a_scale_out": structure.wire("a_scale_leaving", SCALE_BITS),
            }
            structure.parts["edges"] = (Part(edge, (path, design.rows, design.cols)), ports)
            return
        starts: tuple[bool, ...] = ()
        if design.starts:
            starts = (True,)
            ports["start"] = structure.net("start_values")
        if rounder_columns(path, design.cols) == 2:
            ports |= {"take": take, "take_out": structure.wire("take_leaving", 1)}
            part = Part(SharedRounders, (path, design.cols, *starts))
        else:
            part = Part(Lanes, (design.cols, Part(rounder_class(path), (path, *starts))))
        structure.parts["rounders"] = (part, ports)

    def _outputs(self, structure: Structure) -> None:
        """Write tokens, column buffers, and the result stream."""
        design, when = self._design, self.timing
        depth = when.buffer_rows
        latency = when.unpack + OPERAND_LATENCY + when.summand + SUM_LATENCY
        latency += when.scaling + when.rounding
        first_result = STREAM_LATENCY + latency + design.cols - 1 + BUFFER_LATENCY
        assert first_result + when.lane_cycles == when.first_result
        token_bits = token_layout(depth).size
        token = structure.wire("write_token", token_bits)
        written = structure.wire("written_token", token_bits)
        address = structure.wire("read_address", token_bits - 1)
        tdata = self.net("m_axis_c_tdata")
        bits = self._bits["c"]
        structure.parts["row_tokens"] = (
            Part(RowTokens, (design.rows, latency, depth, when.rounding)),
            {
                "block_end": structure.net("block_end"),
                "take": structure.net("take"),
                "token": token,
            },
        )
        structure.parts["column_buffers"] = (
            Part(ColumnBuffers, (design.datapath.out_width, depth, design.cols)),
            {
                "token_in": token,
                "token_out": written,
                "bits": structure.net("result_bits"),
                "status": structure.net("result_status"),
                "read_address": address,
                "read_bits": tdata.part(0, bits),
                "read_status": self.net("m_axis_c_tuser"),
            },
        )
        structure.parts["output_control"] = (
            Part(OutputControl, (design.rows, depth)),
            {
                "row_complete": written.part(0, 1),
                "read_address": address,
                "row_valid": self.net("m_axis_c_tvalid"),
                "row_last": self.net("m_axis_c_tlast"),
                "row_ready": self.net("m_axis_c_tready"),
                "row_taken": structure.net("row_taken"),
            },
        )
        if tdata.stop > bits:
            structure.aliases.append((tdata.part(bits, tdata.stop), zeros(tdata.stop - bits)))
