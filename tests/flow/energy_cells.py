"""A small standard-cell library, written for the tests, and netlists of its cells."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from hwgen.flow.cell_library import Library
from hwgen.flow.gate_netlist import GateNetlist, Wires, read_netlist
from hwgen.flow.liberty import parse_liberty

HEADER = """\
/* made up for tests: numbers that are easily worked out by hand */
library (tiny) {
  delay_model : table_lookup;
  time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW";
  capacitive_load_unit (1, pf);
  nom_voltage : 2.0;
  lu_table_template (over_both) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.0, 1.0"); index_2 ("0.0, 1.0");
  }
  power_lut_template (over_slew) { variable_1 : input_transition_time; index_1 ("0.0, 1.0"); }
"""


def arc(pin: str, sense: str, rise: float, fall: float, slew: float, kind: str = "") -> str:
    """A timing group: delays as given, and 2 ns more for every pF of load."""

    def table(name: str, low: float, more: float) -> str:
        return f'{name} (over_both) {{ values ("{low}, {low + more}", "{low}, {low + more}"); }}'

    return f"""timing () {{
        related_pin : "{pin}"; {sense and f"timing_sense : {sense};"}
        {kind and f"timing_type : {kind};"}
        {table("cell_rise", rise, 2)} {table("cell_fall", fall, 2)}
        {table("rise_transition", slew, 0)} {table("fall_transition", slew, 0)}
      }}"""


def power(pin: str, rise: tuple[float, float], fall: tuple[float, float]) -> str:
    """An internal_power group: energies at slews of 0 and of 1 ns."""
    related = f'related_pin : "{pin}";' if pin else ""
    low, high = rise
    return f"""internal_power () {{ {related}
        rise_power (over_slew) {{ values ("{low}, {high}"); }}
        fall_power (over_slew) {{ values ("{fall[0]}, {fall[1]}"); }}
      }}"""


def gate(name: str, area: float, inputs: dict[str, float], function: str, parts: list[str]) -> str:
    """A cell without memory."""
    pins = [
        f"pin ({pin}) {{ direction : input; capacitance : {load}; }}"
        for pin, load in inputs.items()
    ]
    body = "\n      ".join(parts)
    return f"""  cell ({name}) {{
    area : {area}; cell_leakage_power : {area / 100};
    {" ".join(pins)}
    pin (Y) {{ direction : output; function : "{function}";
      {body}
    }}
  }}
"""


INVERTER = gate(
    "INV",
    4,
    {"A": 0.01},
    "!A",
    [
        arc("A", "negative_unate", 0.10, 0.20, 0.2),
        power("A", (0.1, 1.1), (0.3, 1.3)),
    ],
)
NAND = gate(
    "NAND2",
    9,
    {"A": 0.02, "B": 0.03},
    "(A B)'",
    [
        arc("A", "negative_unate", 0.3, 0.5, 0.2),
        arc("B", "negative_unate", 0.4, 0.6, 0.2),
        power("A", (0.4, 0.4), (0.6, 0.6)),
        power("B", (0.2, 0.2), (0.2, 0.2)),
    ],
)
XOR = gate(
    "XOR2",
    16,
    {"A": 0.02, "B": 0.02},
    "A ^ B",
    [
        arc("A", "non_unate", 0.1, 0.1, 0.2),
        arc("B", "non_unate", 0.1, 0.1, 0.2),
        power("A", (0.5, 0.5), (0.5, 0.5)),
        power("B", (0.5, 0.5), (0.5, 0.5)),
    ],
)
BUFFER = gate(
    "BUF",
    6,
    {"A": 0.01},
    "A",
    [arc("A", "positive_unate", 0.3, 0.3, 0.1), power("A", (0.2, 0.2), (0.2, 0.2))],
)
FLIP_FLOP = f"""  cell (DFF) {{
    area : 25; cell_leakage_power : 0.5;
    ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK"; }}
    pin (CK) {{ direction : input; clock : true; capacitance : 0.04;
      {power("", (0.1, 0.1), (0.3, 0.3))} }}
    pin (D) {{ direction : input; capacitance : 0.05;
      {power("", (0.05, 0.05), (0.05, 0.05))}
      timing () {{ related_pin : "CK"; timing_type : setup_rising;
        rise_constraint (scalar) {{ values ("0.25"); }}
        fall_constraint (scalar) {{ values ("0.15"); }} }} }}
    pin (Q) {{ direction : output; function : "IQ";
      {arc("CK", "non_unate", 0.5, 0.7, 0.2, "rising_edge")}
      {power("CK", (0.6, 0.6), (0.8, 0.8))} }}
  }}
"""


def adder(name: str, area: float, pins: str) -> str:
    """A cell that adds its two or three inputs: CO and S."""
    carry = " + ".join(f"({x} {y})" for x, y in itertools.combinations(pins, 2))
    inputs = " ".join(f"pin ({pin}) {{ direction : input; capacitance : 0.02; }}" for pin in pins)
    outputs = "".join(
        f"""    pin ({output}) {{ direction : output; function : "{function}";
      {" ".join(arc(pin, "non_unate", 0.2, 0.2, 0.2) for pin in pins)}
      {" ".join(power(pin, (0.3, 0.3), (0.3, 0.3)) for pin in pins)} }}
"""
        for output, function in (("CO", carry), ("S", " ^ ".join(pins)))
    )
    return f"""  cell ({name}) {{
    area : {area}; cell_leakage_power : 0.4; {inputs}
{outputs}  }}
"""


TEXT = HEADER + INVERTER + NAND + XOR + BUFFER + FLIP_FLOP + "}\n"


def tiny_library(text: str = TEXT) -> Library:
    return Library(parse_liberty(text), Path("tiny.lib"))


def netlist(
    folder: Path,
    ports: dict[str, tuple[str, list[int | str]]],
    cells: list[tuple[str, dict[str, int | str]]],
    *,
    library: Library | None = None,
    wires: Wires | None = None,
) -> GateNetlist:
    """Read a netlist written as Yosys would; nets are numbered from 2 on."""
    module = {
        "ports": {
            name: {"direction": direction, "bits": bits}
            for name, (direction, bits) in ports.items()
        },
        "cells": {
            f"u{index}": {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
            for index, (kind, pins) in enumerate(cells)
        },
        "netnames": {name: {"bits": bits} for name, (_, bits) in ports.items()},
    }
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": module}}), encoding="utf-8")
    return read_netlist(path, "top", library or tiny_library(), wires=wires or Wires(pf_per_um=0.0))
