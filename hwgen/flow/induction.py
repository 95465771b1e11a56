"""Proofs about a circuit for all time: k-induction over its Verilog.

Yosys turns the Verilog into a transition system in SMT-LIB; z3 unrolls it. A rule is a condition on
one cycle. Rules are proven together: they hold in the first k cycles after reset, and if they hold
in k consecutive cycles, whatever the first one's registers, they hold in the next one. What a rule
needs to remember stands in ghosts, registers that watch the circuit and do not act on it.

References
----------
M. Sheeran, S. Singh, G. Stålmarck, "Checking safety properties using induction and a SAT-solver",
FMCAD 2000. Yosys manual, ``write_smt2``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import z3

from hwgen.flow.tools import Runner, find_yosys

__all__ = ["Frame", "Ghost", "Induction", "Rule", "Trace", "Transitions"]

_SCRIPT = """\
read_verilog circuit.v
hierarchy -check -top {top}
proc
flatten
opt_clean
{cut}
memory -nomap
memory_map
opt_expr
opt_clean
dffunmap
opt_clean
write_smt2 -stbv -wires circuit.smt2
"""
_INPUT = re.compile(r"^; yosys-smt2-input (\S+) \d+$", re.MULTILINE)
_WIRE = re.compile(r"^; yosys-smt2-(?:wire|register|input|output) (\S+) (\d+)$", re.MULTILINE)
_STATE = re.compile(r"^\(define-sort \|\S+_s\| \(\) \(_ BitVec (\d+)\)\)$", re.MULTILINE)


class Transitions:
    """A flattened circuit of one clock: its signals, and which state may follow which.

    A state is one word that holds all registers and inputs.

    Parameters
    ----------
    verilog : str
        Text of all modules.
    top : str
        Name of the top module.
    free : sequence of str
        Internal signals cut off from what drives them: they may have any value in any cycle, and
        what only they depended on is gone.

    Attributes
    ----------
    inputs : tuple of str
    widths : mapping of str to int
        Of every port, wire and register; what is inside an instance is called ``instance.name``, a
        memory's words ``name[address]``.

    Raises
    ------
    ToolError
        If Yosys is missing or refuses the text.
    """

    def __init__(self, verilog: str, top: str, *, free: Sequence[str] = ()) -> None:
        text = _smt2(verilog, top, free)
        self.inputs = tuple(_INPUT.findall(text))
        self.widths = {name: int(width) for name, width in _WIRE.findall(text)}
        self._bits = int(_STATE.search(text)[1])
        self._now, self._after = self.state("now"), self.state("after")
        questions = [f"(declare-const {name} (_ BitVec {self._bits}))" for name in ("now", "after")]
        questions.append(f"(assert (|{top}_t| now after))")
        for index, (name, width) in enumerate(self.widths.items()):
            sort = "Bool" if width == 1 else f"(_ BitVec {width})"
            questions.append(f"(declare-const |= {index}| {sort})")
            questions.append(f"(assert (= |= {index}| (|{top}_n {name}| now)))")
        self._step, *equations = z3.parse_smt2_string("\n".join([text, *questions]))
        self._signals = {
            name: equation.arg(1) for name, equation in zip(self.widths, equations, strict=True)
        }

    def state(self, name: str) -> z3.BitVecRef:
        """Return a symbol for a state."""
        return z3.BitVec(name, self._bits)

    def signal(self, name: str, state: z3.BitVecRef) -> z3.ExprRef:
        """Return a signal's value in a state: a Bool if it is one bit wide, else a bit vector.

        Raises
        ------
        KeyError
            If the circuit has no such signal; Yosys drops what nothing depends on.
        """
        if name not in self._signals:
            raise KeyError(f"the circuit has no signal {name!r}")
        return z3.substitute(self._signals[name], (self._now, state))

    def step(self, state: z3.BitVecRef, after: z3.BitVecRef) -> z3.BoolRef:
        """Return whether ``after`` may follow ``state``."""
        return z3.substitute(self._step, (self._now, state), (self._after, after))

    def inputs_of(self, name: str) -> set[str]:
        """Return the inputs that a signal may depend on in the same cycle; none too few."""
        pieces = _pieces(self._signals[name])
        return {port for port in self.inputs if pieces & _pieces(self._signals[port])}


def _smt2(verilog: str, top: str, free: Sequence[str]) -> str:
    cut = "\n".join(f"cutpoint w:{name}" for name in free)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "circuit.v").write_text(verilog, encoding="utf-8")
        script = _SCRIPT.format(top=top, cut=cut)
        (folder / "circuit.ys").write_text(script, encoding="utf-8")
        Runner(folder).run(find_yosys(), ["circuit.ys"], log="yosys.log")
        return (folder / "circuit.smt2").read_text(encoding="utf-8")


def _pieces(term: z3.ExprRef) -> set[tuple[int, int]]:
    """Return the pieces that a term takes out of the state, as Yosys has cut it."""
    found: set[tuple[int, int]] = set()
    seen: set[int] = set()
    waiting = [term]
    while waiting:
        node = waiting.pop()
        if node.get_id() in seen:
            continue
        seen.add(node.get_id())
        if z3.is_app_of(node, z3.Z3_OP_EXTRACT) and z3.is_const(node.arg(0)):
            found.add(tuple(node.params()))
        waiting += node.children()
    return found


class Frame:
    """One cycle of an unrolled system: signals and ghosts as terms, by name."""

    def __init__(
        self, circuit: Transitions, state: z3.BitVecRef, ghosts: Mapping[str, z3.ExprRef]
    ) -> None:
        self._circuit = circuit
        self.state = state
        self._terms = dict(ghosts)

    def __contains__(self, name: str) -> bool:
        return name in self._terms or name in self._circuit.widths

    def __getitem__(self, name: str) -> z3.ExprRef:
        if name not in self._terms:
            self._terms[name] = self._circuit.signal(name, self.state)
        return self._terms[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """A register that watches.

    Attributes
    ----------
    name : str
    width : int
        Bits; 0 for a Bool.
    start : int or bool or None
        Value in the first cycle after reset; None: any.
    after : callable or None
        Value in the next cycle as a function of the frame; None: any, a free choice every cycle.
    """

    name: str
    width: int
    start: int | bool | None = None
    after: Callable[[Frame], z3.ExprRef] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition that every cycle fulfils, as a function of the frame."""

    name: str
    holds: Callable[[Frame], z3.BoolRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A run of the circuit.

    Attributes
    ----------
    broken : tuple of str
        The rules that are broken in the last cycle.
    cycles : tuple of mapping
        Every cycle's signals and ghosts by name.
    """

    broken: tuple[str, ...]
    cycles: tuple[Mapping[str, int], ...]

    def __str__(self) -> str:
        lines = [f"{', '.join(self.broken)}: broken in cycle {len(self.cycles) - 1}"]
        for name in self.cycles[0]:
            values = " ".join(f"{cycle[name]:>3x}" for cycle in self.cycles)
            lines.append(f"{name:>36} {values}")
        return "\n".join(lines)


class Induction:
    """A circuit, its ghosts and its rules.

    Parameters
    ----------
    circuit : Transitions
    ghosts : sequence of Ghost
    rules : sequence of Rule
    reset : callable
        Whether a frame is one of reset. The cycle after it is the first one; reset does not return,
        but may have come in any state.
    shown : sequence of str
        The circuit's signals that a trace shows, before the ghosts.
    """

    def __init__(
        self,
        circuit: Transitions,
        ghosts: Sequence[Ghost],
        rules: Sequence[Rule],
        *,
        reset: Callable[[Frame], z3.BoolRef],
        shown: Sequence[str] = (),
    ) -> None:
        self._circuit = circuit
        self._ghosts = tuple(ghosts)
        self._rules = tuple(rules)
        self._reset = reset
        self._shown = tuple(shown)

    def prove(self, depth: int) -> None:
        """Prove all rules by induction over ``depth`` cycles.

        Raises
        ------
        AssertionError
            If that fails; shows the run.
        """
        for where, trace in (
            ("from reset", self.search(depth)),
            ("from a state that reset may not lead to", self.search_step(depth)),
        ):
            assert trace is None, f"a run {where} breaks rules: {trace}"

    def search(self, depth: int, *names: str) -> Trace | None:
        """Return the shortest run from reset of at most ``depth`` cycles that breaks a rule.

        Parameters
        ----------
        depth : int
        *names : str
            The rules to look at; all by default. The fewer, the faster.
        """
        frames, conditions = self._from_reset(depth)
        return self._broken(frames, conditions, self._named(names), range(depth))

    def search_step(self, depth: int, *names: str) -> Trace | None:
        """Return ``depth`` cycles that keep all rules, from any state, before one that does not."""
        frames, conditions = self._unrolled(depth + 1)
        conditions += [rule.holds(frame) for frame in frames[:-1] for rule in self._rules]
        last = range(depth, depth + 1)
        return self._broken(frames, conditions, self._named(names), last)

    def reach(self, depth: int, goal: Callable[[Frame], z3.BoolRef]) -> Trace | None:
        """Return the shortest run from reset of at most ``depth`` cycles whose last one fulfils."""
        frames, conditions = self._from_reset(depth)
        never = Rule(name="the goal is out of reach", holds=lambda frame: z3.Not(goal(frame)))
        return self._broken(frames, conditions, (never,), range(depth))

    def _named(self, names: Sequence[str]) -> tuple[Rule, ...]:
        unknown = set(names) - {rule.name for rule in self._rules}
        assert not unknown, unknown
        return tuple(rule for rule in self._rules if not names or rule.name in names)

    def _unrolled(self, count: int) -> tuple[list[Frame], list[z3.BoolRef]]:
        """Return consecutive cycles without reset, and the conditions that link them."""
        frames = [self._frame(str(index)) for index in range(count)]
        conditions = [z3.Not(self._reset(frame)) for frame in frames]
        for frame, after in zip(frames, frames[1:], strict=False):
            conditions.append(self._circuit.step(frame.state, after.state))
            conditions += [
                after[ghost.name] == ghost.after(frame)
                for ghost in self._ghosts
                if ghost.after is not None
            ]
        return frames, conditions

    def _from_reset(self, count: int) -> tuple[list[Frame], list[z3.BoolRef]]:
        """Return the first cycles after one cycle of reset in whatever state."""
        frames, conditions = self._unrolled(count)
        before = self._frame("reset")
        conditions += [
            self._reset(before),
            self._circuit.step(before.state, frames[0].state),
            *(frames[0][g.name] == g.start for g in self._ghosts if g.start is not None),
        ]
        return frames, conditions

    def _frame(self, name: str) -> Frame:
        ghosts: dict[str, z3.ExprRef] = {}
        for ghost in self._ghosts:
            symbol = f"{ghost.name}@{name}"
            ghosts[ghost.name] = z3.BitVec(symbol, ghost.width) if ghost.width else z3.Bool(symbol)
        return Frame(self._circuit, self._circuit.state(f"state@{name}"), ghosts)

    def _broken(
        self,
        frames: Sequence[Frame],
        conditions: Sequence[z3.BoolRef],
        rules: Sequence[Rule],
        where: range,
    ) -> Trace | None:
        """Return the run that breaks a rule first, in one of the cycles ``where``."""
        solver = z3.SolverFor("QF_BV")
        solver.add(*conditions)
        for cycle in where:
            kept = z3.And([rule.holds(frames[cycle]) for rule in rules])
            answer = solver.check(z3.Not(kept))
            assert answer != z3.unknown, solver.reason_unknown()
            if answer == z3.sat:
                return self._trace(solver.model(), frames[: cycle + 1], rules)
            # What is known of a cycle makes the question about the next one easier.
            solver.add(kept)
        return None

    def _trace(self, model: z3.ModelRef, frames: Sequence[Frame], rules: Sequence[Rule]) -> Trace:
        def value(term: z3.ExprRef) -> int:
            result = model.eval(term, model_completion=True)
            return int(z3.is_true(result)) if z3.is_bool(result) else result.as_long()

        names = [*self._shown, *(ghost.name for ghost in self._ghosts)]
        return Trace(
            broken=tuple(rule.name for rule in rules if not value(rule.holds(frames[-1]))),
            cycles=tuple({name: value(frame[name]) for name in names} for frame in frames),
        )
