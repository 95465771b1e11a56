"""The device that proofs of a step are about: two unpackers and a processing element.

Its Verilog is what is emitted for a design, with nothing but wires around it. What it holds and
what it hands out is told by its ports alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import z3

from hwgen.emit import emit_verilog
from hwgen.flow.proof_products import concatenated
from hwgen.flow.proof_specification import Sum
from hwgen.rtl.records import partial_lags, partial_layout
from hwgen.rtl.structure import port_widths
from hwgen.rtl.unpack import unpacker
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.timing import OPERAND_LATENCY, SUM_LATENCY, timing

__all__ = [
    "DEVICE",
    "device_latency",
    "device_skew",
    "device_verilog",
    "read_sum",
    "whole",
]

DEVICE = "step"  # name of its module
_CORE = "core"
_WIRES = """\
module {device}(
  input clk, input a_token, input last, input b_token,
  input [{a}:0] a, input [{b}:0] b, input [{partial}:0] drain_in,
  output [{partial}:0] drain_out,
  output [{a_operand}:0] a_in, output [{a_operand}:0] a_out,
  output [{b_operand}:0] b_in, output [{b_operand}:0] b_out,
  {random_ports}output last_in, output last_out
);
  {unpack_a} unpack_a (
    .clk(clk), .bits({a_bits}), .token({{last, a_token}}), {a_random}.operand(a_in), .last(last_in)
  );
  {unpack_b} unpack_b (
    .clk(clk), .bits({b_bits}), .token(b_token), {b_random}.operand(b_in)
  );
  {core}_pe pe (
    .clk(clk), .a_in(a_in), .b_in(b_in), .last_in(last_in), .drain_in(drain_in),
    .a_out(a_out), .b_out(b_out), .last_out(last_out), .drain_out(drain_out)
  );
endmodule
"""


def device_verilog(datapath: Datapath) -> str:
    """Return the Verilog of the device and of what it consists of.

    Its inputs are the patterns ``a`` and ``b``, of D terms each where D products are added at once,
    ``a_token`` and ``b_token`` (there is such an
    operand; its absence is a zero), ``last`` (the block ends here) and ``drain_in``, for stochastic
    rounding ``a_random`` and ``b_random`` too. Its outputs are those of the processing element, and
    what the unpackers hand to it.
    """
    text = emit_verilog(_design(datapath))
    unpackers = {side: unpacker(datapath, side).make() for side in "ab"}
    widths = {
        side: {name: bits for name, (_, bits) in port_widths(part).items()}
        for side, part in unpackers.items()
    }
    random = widths["a"].get("random", 0)
    # Where there is no operand, admission shows integers' unpackers the pattern of zero.
    zeroed = align(datapath).a.twos_complement
    bits = {
        side: f"{side} & {{{widths[side]['bits']}{{{side}_token}}}}" if zeroed else side
        for side in "ab"
    }
    ports = "".join(f"input [{random - 1}:0] {side}_random, " for side in "ab")
    return text + _WIRES.format(
        random_ports=ports if random else "",
        a_random=".random(a_random), " if random else "",
        b_random=".random(b_random), " if random else "",
        device=DEVICE,
        core=_CORE,
        **{f"unpack_{side}": f"{_CORE}_{part.definition}" for side, part in unpackers.items()},
        a_bits=bits["a"],
        b_bits=bits["b"],
        a=widths["a"]["bits"] - 1,
        b=widths["b"]["bits"] - 1,
        a_operand=widths["a"]["operand"] - 1,
        b_operand=widths["b"]["operand"] - 1,
        partial=partial_layout(align(datapath)).size - 1,
    )


def _design(datapath: Datapath) -> Design:
    return Design(datapath=datapath, rows=1, cols=1, name=_CORE)


def device_latency(datapath: Datapath) -> int:
    """Cycles from a pair of patterns to the first part of the sum in ``drain_out``."""
    when = timing(_design(datapath))
    return when.unpack + OPERAND_LATENCY + when.summand + SUM_LATENCY


def device_skew(datapath: Datapath) -> int:
    """Cycles from the first part of a sum to its last."""
    return max(lag for _, lag in partial_lags(align(datapath)))


def whole(words: Sequence[z3.BitVecRef], datapath: Datapath) -> z3.BitVecRef:
    """Return the record whose parts are in words of consecutive cycles."""
    parts = [
        z3.Extract(bits.stop - 1, bits.start, words[lag])
        for bits, lag in partial_lags(align(datapath))
        if bits
    ]
    return concatenated(parts[::-1])


def read_sum(partial: z3.BitVecRef, datapath: Datapath) -> Sum:
    """Return what a record on its way out means: the abstraction function of the proofs.

    ``value`` is a whole sum: its low W bits are the register, and it left the register if it is no
    sign extension of these. Both infinities together are NaN.
    """
    layout = partial_layout(align(datapath))

    def flag(name: str) -> z3.BoolRef:
        if name not in layout.members:
            return z3.BoolVal(False)
        place = layout[name].offset
        return z3.Extract(place, place, partial) == 1

    value = z3.Extract(
        layout["value"].offset + layout["value"].width - 1, layout["value"].offset, partial
    )
    register = z3.Extract(datapath.window.width - 1, 0, value)
    left = z3.SignExt(value.size() - register.size(), register) != value
    nan = z3.Or(flag("nan"), z3.And(flag("positive_inf"), flag("negative_inf")))
    return Sum(
        register=register,
        event=z3.Or(flag("overflow"), left),
        inexact=flag("inexact"),
        nan=nan,
        positive_inf=z3.And(flag("positive_inf"), z3.Not(nan)),
        negative_inf=z3.And(flag("negative_inf"), z3.Not(nan)),
    )
