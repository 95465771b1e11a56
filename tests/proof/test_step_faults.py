"""The proof of a step fails on a faulty circuit, and says for which inputs."""

from __future__ import annotations

import re
from functools import cache

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")
pytest.importorskip("pyosys", reason="needs Yosys: pip install 'hwgen[synth]'")

from hwgen.errors import ToolError
from hwgen.flow.proof import prove_step
from hwgen.flow.proof_device import device_verilog
from hwgen.spec.datapath import Datapath

# Infinities, NaN, subnormals; products that exceed, lose bits, tie, or vanish; sums that leave.
PATH = Datapath.parse(a="e5m2", acc="window:msb=1,lsb=-4,ovf=1,round=even")
MODULES = ("unpack_a", "unpack_b", "pe")

# By what is wrong: the module, the text to replace, what by, and a statement that is then false.
FAULTS = {
    "shift off by one": ("unpack_a", r"(= bits\[6:2\] \+ [^;]+);", r"\1 - 1'h1;", "first"),
    "subnormal as normal": ("unpack_b", r"(assign normal =) .*;", r"\1 1'h1;", "first"),
    "NaN not seen": ("unpack_a", r"(assign nan =) .*;", r"\1 1'h0;", "first"),
    "low bit of a factor lost": ("pe", r"\* b_out\[(\d+):0\]", r"* {b_out[\1:1], 1'h0}", "first"),
    "sticky dropped": ("pe", r"= _\d+_ \| (_\d+_);", r"= \1;", "first"),
    "carry lost": ("pe", r"(\w*_acc\w*\[\d+:0\], )1'h1", r"\g<1>1'h0", "first"),
    "sign not extended": ("pe", r"\$signed(\(\{ \w*_summand\[)", r"\1", "next"),
    "sum's overflow dropped": ("pe", r"= (\w*_acc\w*)\[\d+\] \^ \1\[\d+\];", "= 1'h0;", "next"),
    "flags forgotten": ("pe", r"\w*_seen \| ", "", "next"),
    "register not cleared": ("pe", r"(\w*_acc\w* <= )[^?;]+ \? \S+ : ", r"\1", "first"),
    "flags not cleared": ("pe", r"(\w*_seen <= )[^?;]+ \? \S+ : ", r"\1", "first"),
    "block ends too early": ("pe", r"(drain_out <= ends)\[1\]", r"\1[0]", "next"),
    "results from below lost": ("pe", r": drain_in;", ": drain_out;", "pass"),
    "operand not handed on": ("pe", r"b_out <= b_in;", "b_out <= b_out;", "travel"),
}


@cache
def verilog() -> str:
    return device_verilog(PATH)


def faulty(module: str, pattern: str, replacement: str) -> str:
    text = verilog()
    begin = text.index(f"\nmodule core_{module}(")
    end = text.index("\nendmodule", begin)
    body, count = re.subn(pattern, replacement, text[begin:end], count=1)
    assert count == 1, f"{pattern!r} is not in module {module} any more: seed this fault otherwise"
    return text[:begin] + body + text[end:]


@pytest.mark.parametrize(
    ("module", "pattern", "replacement", "statement"), FAULTS.values(), ids=FAULTS
)
def test_a_fault_is_found_and_its_case_is_real(
    module, pattern, replacement, statement, judged, differ, replayed
):
    text = faulty(module, pattern, replacement)
    (verdict,) = prove_step(PATH, verilog=text, statements=[statement])
    case = verdict.counterexample
    assert case is not None
    if statement in ("first", "next"):
        right = judged(case, PATH)
        assert not differ(case.specified, right, PATH)
        assert differ(case.found, right, PATH)
        assert replayed(text, case, PATH) == case.found


OPERATORS = {
    " + ": " - ",
    " & ": " | ",
    " | ": " & ",
    " ^ ": " ~^ ",
    " ? ": " == 0 ? ",
    "= | ": "= & ",
    "= & ": "= | ",
    "= ~ ": "= ",
    "1'h1": "1'h0",
    "1'h0": "1'h1",
}


def mutants() -> list[tuple[str, str]]:
    """The device with one operator replaced, for every operator of its logic, and where."""
    text = verilog()
    found = []
    for module in MODULES:
        begin = text.index(f"\nmodule core_{module}(")
        end = text.index("\nendmodule", begin)
        for line in re.finditer(r"^ +(?:assign .*|\w+ <= .*);$", text[begin:end], re.MULTILINE):
            for operator, other in OPERATORS.items():
                for place in re.finditer(re.escape(operator), line[0]):
                    start = begin + line.start() + place.start()
                    mutant = text[:start] + other + text[start + len(operator) :]
                    found.append((f"{module}: {line[0].strip()}: {operator}{other}", mutant))
    return found


@pytest.mark.slow
def test_no_operator_of_the_circuit_can_be_another_unnoticed():
    # Every third; logic that decides what does not matter, if any, may be the other way.
    chosen = mutants()[::3]
    assert len(chosen) > 25
    unnoticed = [
        where
        for where, mutant in chosen
        if all(verdict.holds for verdict in prove_step(PATH, verilog=mutant))
    ]
    assert len(unnoticed) <= 0.05 * len(chosen), unnoticed


def test_a_circuit_with_an_undriven_wire_is_refused():
    text = verilog().replace("assign nan =", "wire floating; assign floating =")
    with pytest.raises(ToolError, match="check"):
        list(prove_step(PATH, verilog=text))
