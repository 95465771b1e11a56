"""Proof that a processing element adds up what arithmetic.md says, for all inputs and states.

The device is the emitted Verilog from a pair of operand patterns to the drain: two unpackers and a
processing element (:mod:`hwgen.flow.proof_device`). It starts with anything in its registers, and
only its ports are looked at. With ``S(sum, a, b)`` one step of the specification
(:mod:`hwgen.flow.proof_specification`) and ``result(h)`` the sum that the device hands out if a
block ends with the last pair of a history ``h``,

* ``first``: after a block's end, ``result([(a, b)]) = S(empty, a, b)``;
* ``next``: ``result([..., v, (a, b)]) = S(result([..., v]), a, b)``, no block ending at ``v``;

whatever came before and comes after. Where the element adds D products at once, ``a`` and ``b`` are
D patterns each. By induction on its length, every block's result is the fold
of ``S`` over its pairs. The two sides of ``next`` are two runs from the same state that differ in
where the block ends, so no register is named and no invariant is needed. Moreover,

* ``pass``: where no result is due, ``drain_out`` is what ``drain_in`` was a cycle before;
* ``travel``: operands and end token leave for the neighbours a cycle after they came.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import z3

from hwgen.errors import ToolError, UnsupportedError
from hwgen.flow.proof_circuit import Circuit, Terms
from hwgen.flow.proof_device import (
    DEVICE,
    device_latency,
    device_skew,
    device_verilog,
    read_sum,
    whole,
)
from hwgen.flow.proof_products import Products, concatenated
from hwgen.flow.proof_specification import Pair, Sum, agree, empty_sum, is_specified, next_sum
from hwgen.spec.datapath import Datapath

__all__ = ["STATEMENTS", "Counterexample", "Verdict", "prove_step"]

STATEMENTS = ("first", "next", "pass", "travel")
_ARITHMETIC = ("first", "next")
# The pair in question enters in cycle 1, the one before it in cycle 0.
_BEFORE, _PAIR = 0, 1
# The runs to compare: whether the block ends with these pairs. A statement is about the last run.
_ENDS = {
    "first": ({_BEFORE: 0, _PAIR: 0}, {_BEFORE: 1, _PAIR: 1}),
    "next": ({_BEFORE: 1, _PAIR: 0}, {_BEFORE: 0, _PAIR: 1}),
    "pass": ({_BEFORE: 0},),
    "travel": ({},),
}


_Value = Callable[[z3.ExprRef], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """Inputs for which a statement is false.

    Attributes
    ----------
    registers : mapping of str to int
        What the device's registers hold at first, by their names in the flattened device.
    inputs : sequence of mappings of str to int
        The device's inputs, cycle by cycle.
    before, specified, found : mapping of str to int
        The fields of the sum before the pair, of the specified sum and of the device's.
    """

    registers: Mapping[str, int]
    inputs: Sequence[Mapping[str, int]]
    before: Mapping[str, int]
    specified: Mapping[str, int]
    found: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a statement holds, the seconds it took to find out, and a case against it."""

    statement: str
    seconds: float
    counterexample: Counterexample | None

    @property
    def holds(self) -> bool:
        """Whether it is proven."""
        return self.counterexample is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goal:
    """A condition to hold, and what a counterexample tells of."""

    condition: z3.BoolRef
    before: Sum | None = None
    specified: Sum | None = None
    found: Sum | None = None


def prove_step(
    datapath: Datapath,
    *,
    verilog: str | None = None,
    statements: Sequence[str] = STATEMENTS,
    limit_s: float = 600,
) -> Iterator[Verdict]:
    """Prove or refute statements about a datapath's device, one after the other.

    Parameters
    ----------
    datapath : Datapath
        With a window; operands are floats, fixed point, or anything of up to 8 bits.
    verilog : str, optional
        The device's Verilog; what is emitted by default.
    statements : sequence of str
        Which of ``STATEMENTS``.
    limit_s : float
        Seconds for the solver to try each.

    Raises
    ------
    UnsupportedError
        If there is no specification of the datapath's step here.
    ToolError
        If Yosys fails, or the solver comes to no end.
    """
    if datapath.float_sum is not None or not all(map(is_specified, (datapath.a, datapath.b))):
        raise UnsupportedError(
            f"no proof of {datapath}: it can be of windows, and of operands that are floats, fixed"
            " point, or others of up to 8 bits"
        )
    circuit = Circuit.from_verilog(verilog or device_verilog(datapath), DEVICE)
    runs = _Runs(circuit, datapath)
    for statement in statements:
        begin = time.monotonic()
        case = None
        if statement not in _ARITHMETIC or runs.is_open(statement, limit_s):
            case = runs.counterexample(statement, limit_s)
        yield Verdict(statement=statement, seconds=time.monotonic() - begin, counterexample=case)


class _Runs:
    """Runs of the device from one arbitrary state on arbitrary inputs, which differ in ``last``."""

    def __init__(self, circuit: Circuit, datapath: Datapath) -> None:
        self._circuit = circuit
        self._path = datapath
        self._latency = device_latency(datapath)
        self._start = circuit.any_state("start")
        self._inputs = [
            {
                name: z3.BitVec(f"{name} {cycle}", symbol.size())
                for name, symbol in circuit.inputs.items()
            }
            for cycle in range(_PAIR + self._latency + device_skew(datapath) + 1)
        ]

    def is_open(self, statement: str, limit_s: float) -> bool:
        """Try to prove a statement in general; where that fails it may hold nevertheless.

        What the runs have in common and the pair has not touched is forgotten, cycle by cycle: any
        value in its place. Products are symbols.
        """
        products = Products()
        outputs = self._unrolled(_ENDS[statement], products)
        condition = products.replaced(self._goal(statement, outputs).condition)
        conditions = [z3.Not(condition), *products.definitions(condition)]
        return self._fulfilled(conditions, limit_s) is not None

    def counterexample(self, statement: str, limit_s: float) -> Counterexample | None:
        """Return a case against a statement, with all that leads there; None if there is none."""
        goal = self._goal(statement, self._unrolled(_ENDS[statement]))
        value = self._fulfilled([z3.Not(goal.condition)], limit_s)
        if value is None:
            return None
        inputs = [_values(cycle, value) for cycle in self._inputs]
        for cycle, last in _ENDS[statement][-1].items():
            inputs[cycle]["last"] = last
        return Counterexample(
            registers=_values(self._start, value),
            inputs=inputs,
            before=_sum_values(goal.before, value),
            specified=_sum_values(goal.specified, value),
            found=_sum_values(goal.found, value),
        )

    def _fulfilled(self, conditions: list[z3.BoolRef], limit_s: float) -> _Value | None:
        """Return the values of terms in a case that fulfils all conditions, or None."""
        for case in self._cases():
            value = _fulfilled([z3.substitute(term, *case) for term in conditions], limit_s)
            if value is not None:
                return lambda term, case=case, value=value: value(z3.substitute(term, *case))
        return None

    def _cases(self) -> Iterator[list[tuple[z3.BitVecRef, z3.BitVecRef]]]:
        """Divide all pairs into those with an operand that is absent, and the others by signs.

        The top bit is the sign in all signed formats. A sum and a difference are two circuits to a
        solver, so that it is faster with each by itself. Of pairs that are added at once each has
        its own signs.
        """
        pair = self._inputs[_PAIR]
        absent, present = z3.BitVecVal(0, 1), z3.BitVecVal(1, 1)
        yield [(pair["a_token"], absent)]
        yield [(pair["a_token"], present), (pair["b_token"], absent)]
        for signs in itertools.product((0, 1), repeat=2 * self._path.dot):
            case = [(pair["a_token"], present), (pair["b_token"], present)]
            for name, own in (("a", signs[::2]), ("b", signs[1::2])):
                patterns = [self._signed(name, term, sign) for term, sign in enumerate(own)]
                case.append((pair[name], concatenated(patterns[::-1])))
            yield case

    def _signed(self, name: str, term: int, sign: int) -> z3.BitVecRef:
        """Return a pattern with a sign, otherwise any."""
        bits = getattr(self._path, name).width
        rest = z3.BitVec(f"{name} rest {term}", bits)
        # A bit too long, for uint1.
        return z3.Extract(bits, 1, z3.Concat(z3.BitVecVal(sign, 1), rest))

    def _unrolled(
        self, ends: Sequence[Mapping[int, int]], products: Products | None = None
    ) -> list[list[Terms]]:
        """Return the outputs of each run, cycle by cycle; ``ends`` says where ``last`` is what.

        Given ``products``, products are symbols, and what the runs share is forgotten.
        """
        simplify = products.replaced if products else z3.simplify
        states = [self._start] * len(ends)
        outputs: list[list[Terms]] = [[] for _ in ends]
        for cycle, shared in enumerate(self._inputs):
            for run, last in enumerate(ends):
                inputs = dict(shared)
                if cycle in last:
                    inputs["last"] = z3.BitVecVal(last[cycle], 1)
                seen, states[run] = self._circuit.cycle(states[run], inputs, simplify)
                outputs[run].append(seen)
            if products:
                states = self._forgotten(states, products, cycle)
        return outputs

    def _forgotten(self, states: list[Terms], products: Products, cycle: int) -> list[Terms]:
        """Replace what is equal in all runs, and does not depend on the pair, by new symbols."""
        pair = {term.decl().name() for term in self._inputs[_PAIR].values()}
        new = self._circuit.any_state(f"after {cycle}")
        kept = {
            name
            for name, term in states[0].items()
            if not all(z3.eq(term, state[name]) for state in states)
            or products.symbols(term) & pair
        }
        return [
            {name: state[name] if name in kept else new[name] for name in new} for state in states
        ]

    def _goal(self, statement: str, outputs: list[list[Terms]]) -> _Goal:
        latency, path = self._latency, self._path
        drained = [[cycle["drain_out"] for cycle in run] for run in outputs]
        if statement == "pass":
            arrived = [cycle["drain_in"] for cycle in self._inputs]
            left = whole(drained[-1][_BEFORE + latency :], path)
            return _Goal(condition=left == whole(arrived[_BEFORE + latency - 1 :], path))
        if statement == "travel":
            *_, now, later = outputs[-1]
            return _Goal(
                condition=z3.And(
                    *(later[f"{name}_out"] == now[f"{name}_in"] for name in ("a", "b", "last"))
                )
            )
        found = read_sum(whole(drained[-1][_PAIR + latency :], path), path)
        before = empty_sum(path.window)
        if statement == "next":
            before = read_sum(whole(drained[0][_BEFORE + latency :], path), path)
        # An absent operand is a zero, which is the pattern of zeros in all formats.
        pair = self._inputs[_PAIR]
        words = {name: z3.If(pair[f"{name}_token"] == 1, pair[name], 0) for name in "ab"}
        if "a_random" in pair:
            words["random"] = pair["a_random"] ^ pair["b_random"]
        pairs = [
            Pair(**{name: _part(word, term, path.dot) for name, word in words.items()})
            for term in range(path.dot)
        ]
        specified = next_sum(before, pairs, (path.a, path.b), path.window)
        return _Goal(
            condition=agree(found, specified, path.window),
            before=before,
            specified=specified,
            found=found,
        )


def _part(word: z3.BitVecRef, index: int, count: int) -> z3.BitVecRef:
    """Return one of ``count`` equal parts of a word."""
    bits = word.size() // count
    return word if count == 1 else z3.Extract((index + 1) * bits - 1, index * bits, word)


def _fulfilled(conditions: list[z3.BoolRef], limit_s: float) -> _Value | None:
    """Return the values of terms where all conditions are true, or None if they never are.

    Raises
    ------
    ToolError
        If neither is found in time.
    """
    solver = z3.Then("simplify", "bit-blast", "sat").solver()
    solver.set("timeout", round(1000 * limit_s))
    solver.add(*conditions)
    answer = solver.check()
    if answer == z3.unknown:
        raise ToolError(
            f"the solver came to no end: {solver.reason_unknown()}",
            version=f"z3 {z3.get_version_string()}",
            hint="give it more time, or prove a narrower datapath of the same kind",
        )
    if answer == z3.unsat:
        return None
    model = solver.model()
    return lambda term: _as_integer(model.eval(term, model_completion=True))


def _as_integer(value: z3.ExprRef) -> int:
    return int(z3.is_true(value)) if z3.is_bool(value) else value.as_long()


def _values(terms: Terms, value: _Value) -> dict[str, int]:
    return {name: value(term) for name, term in terms.items()}


def _sum_values(terms: Sum | None, value: _Value) -> dict[str, int]:
    if terms is None:
        return {}
    values = {field.name: value(getattr(terms, field.name)) for field in fields(Sum)}
    width = terms.register.size()
    values["register"] -= (values["register"] >> (width - 1)) << width
    return values
