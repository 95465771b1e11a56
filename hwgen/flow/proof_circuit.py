"""Verilog as functions: what a synchronous circuit computes, as SMT terms of its inputs and state.

Yosys elaborates the text and writes SMT-LIB (``write_smt2``), in which outputs and next state are
functions of the present state and inputs. Here they are composed, cycle after cycle, by
substitution. Every register is part of the state, by whatever name: nothing is assumed of how a
circuit is pipelined.

References
----------
SMT-LIB 2.6, theory of fixed-size bit vectors. Yosys manual, ``write_smt2``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import z3

from hwgen.flow.tools import Runner, find_yosys

__all__ = ["Circuit", "Terms"]

Terms = Mapping[str, z3.BitVecRef]
"""Bit vectors by the names of ports, or of registers in the flattened circuit."""

# What becomes of undriven wires is for simulators; here they are refused.
_SCRIPT = """\
read_verilog circuit.v
hierarchy -check -top {top}
proc -norom
flatten
opt_clean
check -assert
write_smt2 circuit.smt2
"""
_PORT = re.compile(r"^; yosys-smt2-(input|output) (\S+) (\d+)$", re.MULTILINE)
# A symbol, its sort, and the bits it stands for, e.g. ``(declare-fun |top#4| (|top_s|) Bool) ; \a
# [3]``.
_SYMBOL = re.compile(
    r"^\(declare-fun \|(?P<symbol>\S+#\d+)\| \(\S+\) (?:Bool|\(_ BitVec (?P<width>\d+)\))\)"
    r" ; \\(?P<name>\S+)(?: \[(?P<high>\d+)(?::(?P<low>\d+))?\])?$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Circuit:
    """A synchronous circuit of one clock as functions of its inputs and its state.

    Attributes
    ----------
    inputs, registers : Terms
        The symbols that stand for them in the terms below; the clock is not among the inputs.
    outputs, following : Terms
        The outputs, and the registers' next values.
    """

    inputs: Terms
    registers: Terms
    outputs: Terms
    following: Terms

    @classmethod
    def from_verilog(cls, text: str, top: str, *, clock: str = "clk") -> Circuit:
        """Elaborate module ``top``, all of whose registers have the same clock edge.

        Raises
        ------
        ToolError
            If Yosys is missing or refuses the text.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "circuit.v").write_text(text, encoding="utf-8")
            (folder / "circuit.ys").write_text(_SCRIPT.format(top=top), encoding="utf-8")
            Runner(folder).run(find_yosys(), ["circuit.ys"], log="yosys.log")
            return _parse((folder / "circuit.smt2").read_text(encoding="utf-8"), top, clock)

    def any_state(self, prefix: str) -> Terms:
        """Return a state of which nothing is known: a fresh symbol for every register."""
        return {
            name: z3.BitVec(f"{prefix}.{name}", symbol.size())
            for name, symbol in self.registers.items()
        }

    def cycle(
        self,
        state: Terms,
        inputs: Terms,
        simplify: Callable[[z3.BitVecRef], z3.BitVecRef] = z3.simplify,
    ) -> tuple[Terms, Terms]:
        """Return the outputs in a cycle that begins in ``state``, and the state after it."""
        values = [(symbol, inputs[name]) for name, symbol in self.inputs.items()]
        values += [(symbol, state[name]) for name, symbol in self.registers.items()]
        outputs, following = (
            {name: simplify(z3.substitute(term, *values)) for name, term in terms.items()}
            for terms in (self.outputs, self.following)
        )
        return outputs, following


def _parse(smt: str, top: str, clock: str) -> Circuit:
    """Read what ``write_smt2`` wrote: functions of an abstract state, and the relation of two."""
    widths = {(kind, name): int(width) for kind, name, width in _PORT.findall(smt)}
    inputs = {
        name: z3.BitVec(name, width)
        for (kind, name), width in widths.items()
        if kind == "input" and name != clock
    }
    output_names = [name for kind, name in widths if kind == "output"]
    outputs, equations = _functions(smt, top, output_names)
    next_values = {equation.arg(1).decl().name(): equation.arg(0) for equation in equations}
    now = z3.Const("now", z3.DeclareSort(f"{top}_s"))
    registers: dict[str, z3.BitVecRef] = {}
    following: dict[str, z3.BitVecRef] = {}
    plain: list[tuple[z3.ExprRef, z3.ExprRef]] = []
    for match in _SYMBOL.finditer(smt):
        symbol, name, width = match["symbol"], match["name"], int(match["width"] or 1)
        sort = z3.BitVecSort(width) if match["width"] else z3.BoolSort()
        if symbol in next_values:
            # Parts of one register are registers of their own.
            name += _slice(match)
            value = registers[name] = z3.BitVec(name, width)
            following[name] = next_values[symbol]
        elif name == clock:
            continue
        else:
            low = int(match["low"] or match["high"] or 0)
            value = z3.Extract(low + width - 1, low, inputs[name])
        plain.append((z3.Function(symbol, now.sort(), sort)(now), _as_sort(value, sort)))
    return Circuit(
        inputs=inputs,
        registers=registers,
        outputs={name: z3.substitute(term, *plain) for name, term in outputs.items()},
        following={name: z3.substitute(term, *plain) for name, term in following.items()},
    )


def _functions(smt: str, top: str, outputs: list[str]) -> tuple[Terms, list[z3.BoolRef]]:
    """Let z3 expand the definitions; returns the outputs and the equations of the next state."""
    sort = f"|{top}_s|"
    questions = [f"(declare-const now {sort})", f"(declare-const later {sort})"]
    questions.append(f"(assert (|{top}_t| now later))")
    # The parser hands back assertions only, its input's own otherwise unchanged.
    outputs_now = [f"(|{top}_n {name}| now)" for name in outputs]
    questions += [f"(assert (= {value} {value}))" for value in outputs_now]
    transition, *answers = z3.parse_smt2_string("\n".join([smt, *questions]))
    values = {
        name: _as_vector(answer.arg(0)) for name, answer in zip(outputs, answers, strict=True)
    }
    return values, transition.children() if z3.is_and(transition) else [transition]


def _slice(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    return f"[{high}:{low}]" if low else f"[{high}]" if high else ""


def _as_sort(value: z3.BitVecRef, sort: z3.SortRef) -> z3.ExprRef:
    return value == 1 if z3.is_bool(z3.Const("", sort)) else value


def _as_vector(value: z3.ExprRef) -> z3.BitVecRef:
    return z3.If(value, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) if z3.is_bool(value) else value
