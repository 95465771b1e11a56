"""A serial test harness: any core behind four pins, every path from register to register.

A systolic array has thousands of port bits and no package has as many pins. The harness feeds
every input from one long shift register and folds every output, through registered exclusive-ors of
four bits, into one pin. Nothing can be optimised away, no timed path starts or ends at a pin, and
no stage of the harness is deeper than one 4-input LUT, so the slowest path is the core's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwgen.errors import HwgenError

__all__ = ["HARNESS", "INSTANCE", "Port", "serial_harness"]

HARNESS = "hwgen_harness"
INSTANCE = "core"
_FOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port of a core: its name, direction ("input" or "output") and width in bits."""

    name: str
    direction: str
    width: int


def serial_harness(
    ports: Iterable[Port], *, core: str, clock: str = "aclk", reset: str = "aresetn"
) -> str:
    """Write the harness around module ``core`` as Verilog-2001 text.

    Parameters
    ----------
    ports : iterable of Port
        All ports of the core, clock and reset among them.
    core : str
        Module name of the core.
    clock, reset : str
        Names of its clock and of its synchronous reset; the reset comes from a register of its own.

    Returns
    -------
    str
        A module ``hwgen_harness`` with pins ``clk``, ``resetn``, ``serial_in`` and ``serial_out``,
        which holds the core as instance ``core``.

    Raises
    ------
    HwgenError
        If the clock is missing or nothing goes in or out.
    """
    ports = list(ports)
    if clock not in [port.name for port in ports]:
        raise HwgenError(f"module {core} has no input {clock!r}; a synchronous core is needed")
    data = [port for port in ports if port.name not in (clock, reset)]
    inputs = [port for port in data if port.direction == "input"]
    outputs = [port for port in data if port.direction == "output"]
    if not inputs or not outputs:
        raise HwgenError(f"module {core} has no {'outputs' if inputs else 'inputs'} to place")
    width_in = sum(port.width for port in inputs)
    width_out = sum(port.width for port in outputs)
    connections = [f".{clock}(clk)"]
    if reset in [port.name for port in ports]:
        connections.append(f".{reset}(reset_q)")
    connections += _slices(inputs, "stimulus") + _slices(outputs, "result")
    folds, last = _fold(width_out)
    return "\n".join(
        [
            f"module {HARNESS} (",
            "    input  wire clk,",
            "    input  wire resetn,",
            "    input  wire serial_in,",
            "    output wire serial_out",
            ");",
            "    reg reset_q;",
            f"    reg [{width_in - 1}:0] stimulus;",
            f"    wire [{width_out - 1}:0] result;",
            f"    reg [{width_out - 1}:0] fold0;",
            "    always @(posedge clk) begin",
            "        reset_q <= resetn;",
            "        stimulus <= {stimulus, serial_in};",
            "        fold0 <= result;",
            "    end",
            f"    {core} {INSTANCE} (",
            ",\n".join(f"        {connection}" for connection in connections),
            "    );",
            *folds,
            f"    assign serial_out = {last}[0];",
            "endmodule",
            "",
        ]
    )


def _slices(ports: list[Port], vector: str) -> list[str]:
    """Connect each port to its own slice of ``vector``."""
    connections = []
    low = 0
    for port in ports:
        connections.append(f".{port.name}({vector}[{low + port.width - 1}:{low}])")
        low += port.width
    return connections


def _fold(width: int) -> tuple[list[str], str]:
    """Return the lines of the registered exclusive-or tree and the name of its last register."""
    lines: list[str] = []
    level = 0
    while width > 1:
        narrow = -(-width // _FOLD)
        lines.append(f"    reg [{narrow - 1}:0] fold{level + 1};")
        lines.append("    always @(posedge clk) begin")
        for index in range(narrow):
            high = min(width, (index + 1) * _FOLD) - 1
            lines.append(
                f"        fold{level + 1}[{index}] <= ^fold{level}[{high}:{index * _FOLD}];"
            )
        lines.append("    end")
        width, level = narrow, level + 1
    return lines, f"fold{level}"
