"""A self-checking testbench in plain Verilog: any simulator runs it, no Python needed.

Its stimulus is a few blocks of different lengths, random operands with corner cases among them,
seeded by the design's digest; what comes out is compared with the golden model's bits. All streams
stall at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from string import Template

import numpy as np

from hwgen.formats import Format
from hwgen.model import gemm_bits, operand_beats, pack_beats
from hwgen.model.start import random_start
from hwgen.rtl.core import padded
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.design import Design
from hwgen.spec.timing import timing

__all__ = ["testbench", "vectors"]

MAX_BITS = 1 << 21  # of stored results; large arrays get fewer blocks, at least one


def testbench(design: Design, beats: int, rows: int) -> str:
    """Return the testbench's text for that many input beats and result rows."""
    path = design.datapath
    template = Template(
        resources.files("hwgen.emit").joinpath("testbench.v.template").read_text("utf-8")
    )
    return template.substitute(
        name=design.name,
        digest=design.digest,
        a_bits=padded(design.a_bits),
        b_bits=padded(design.b_bits),
        c_bits=padded(design.cols * path.out_width),
        u_bits=STATUS_BITS * design.cols,
        beats=beats,
        rows=rows,
        waits=_waits(design, beats, rows),
        streams="four" if design.starts else "three",
        **_start_text(design),
    )


def _waits(design: Design, beats: int, rows: int) -> int:
    """Cycles that the core may take besides those of its streams' beats, ample."""
    when = timing(design)
    ends = rows // design.rows + (beats // when.block_terms if when.block_terms else 0)
    return 1000 + when.first_result + ends * when.block_interval


# What the testbench of a design with start values has more.
_START_TEXT = {
    "start_file": """  parameter START_FILE = "tb/start.hex";
""",
    "start_signals": """
  // Start values, a beat a row of results: tlast, tuser, tdata.
  localparam S_BITS = $s_bits;
  reg [S_BITS+U_BITS:0] start_rows [0:ROWS-1];
  reg s_tvalid = 0;
  integer s_index = 0;
  wire s_tready;
  wire [S_BITS+U_BITS:0] start_row = start_rows[s_index < ROWS ? s_index : 0];
""",
    "start_ports": """    .s_axis_c_tvalid(s_tvalid),
    .s_axis_c_tready(s_tready),
    .s_axis_c_tdata(start_row[S_BITS-1:0]),
    .s_axis_c_tuser(start_row[S_BITS+U_BITS-1:S_BITS]),
    .s_axis_c_tlast(start_row[S_BITS+U_BITS]),
""",
    "start_read": """    $$readmemh(START_FILE, start_rows);
""",
    "start_driver": """      if (s_tvalid && s_tready) begin
        s_index <= s_index + 1;
        s_tvalid <= s_index + 1 < ROWS && !stalls(0);
      end else if (!s_tvalid) s_tvalid <= s_index < ROWS && !stalls(0);
""",
}


def _start_text(design: Design) -> dict[str, str]:
    if not design.starts:
        return dict.fromkeys(_START_TEXT, "")
    bits = padded(design.cols * design.datapath.window.width)
    return {key: Template(text).substitute(s_bits=bits) for key, text in _START_TEXT.items()}


def vectors(design: Design) -> dict[str, list[str]]:
    """Return the contents of the vector files: lines of hexadecimal, one a beat.

    Each line is tlast above tdata, for results tlast above tuser above tdata.
    """
    path = design.datapath
    random = np.random.default_rng(int(design.digest[:16], 16))
    lines: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    if design.starts:
        lines["start"] = []
    for terms in _block_lengths(design):
        a = _operands(random, path.a, (design.rows, terms))
        b = _operands(random, path.b, (terms, design.cols))
        start = None
        if design.starts:
            start = random_start(path.window, (design.rows, design.cols), random)
        c, status = gemm_bits(a, b, path, start=start)
        a_beats, b_beats = operand_beats(a, b, path.dot)
        words = {
            "a": (pack_beats(a_beats, path.a.width), padded(design.a_bits)),
            "b": (pack_beats(b_beats, path.b.width), padded(design.b_bits)),
        }
        words["c"] = _with_status(c, status, path.out_width)
        if start is not None:
            words["start"] = _with_status(*start, path.window.width)
        for stream, (beats, bits) in words.items():
            lines[stream] += _hex_lines(beats, bits)
    return lines


def _with_status(bits: np.ndarray, status: np.ndarray, width: int) -> tuple[list[int], int]:
    """Put the status of rows above their bits; returns the words and their width."""
    cols = bits.shape[1]
    data_bits = padded(cols * width)
    rows = zip(pack_beats(bits, width), pack_beats(status, STATUS_BITS), strict=True)
    return [data | flags << data_bits for data, flags in rows], data_bits + cols * STATUS_BITS


def _hex_lines(beats: list[int], bits: int) -> Iterator[str]:
    for index, word in enumerate(beats):
        last = index == len(beats) - 1
        yield f"{word | last << bits:x}"


def _block_lengths(design: Design) -> list[int]:
    """Block lengths around those at which the array behaves differently."""
    rows = design.rows
    lengths = [min(3 * rows, 64), 1, 2, max(1, rows - 1), min(2 * rows + 1, 96), 5, 1, 17]
    per_block = rows * design.cols * (design.datapath.out_width + STATUS_BITS)
    return lengths[: max(1, min(len(lengths), MAX_BITS // per_block))]


def _operands(random: np.random.Generator, fmt: Format, shape: tuple[int, int]) -> np.ndarray:
    """Random patterns: values near one (floats) or over the range (fixed point), some arbitrary."""
    count = shape[0] * shape[1]
    scale = min(1.0, float(fmt.max_finite)) if fmt.has_nan else float(fmt.max_finite) / 3
    bits = fmt.from_float(random.normal(scale=scale, size=count))
    corners = random.random(count) < 0.02
    finite = fmt.from_float(
        random.choice([0.0, float(fmt.max_finite), 2.0**fmt.min_exponent], size=count)
    )
    bits = np.where(corners, finite, bits)
    # A rare arbitrary pattern brings NaN and infinities; any more and no result would be finite.
    arbitrary = random.random(count) < 1 / (4 * max(shape))
    patterns = random.integers(0, 1 << fmt.width, size=count, dtype=np.uint64, endpoint=False)
    return np.where(arbitrary, patterns.astype(fmt.dtype), bits).astype(fmt.dtype).reshape(shape)
