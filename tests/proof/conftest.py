"""The judge of counterexamples to a step's proof, and a simulator that replays them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import fields

import pytest

from hwgen.model import exact
from hwgen.spec.accumulator import Overflow
from hwgen.spec.datapath import Datapath

# A port of the device, as its one-line header says.
_PORT = re.compile(r"(input|output) (\[\d+:0\] )?(\w+)(?=[,\n])")


@pytest.fixture(scope="session")
def judged() -> Callable[..., dict[str, int]]:
    """The sum after a counterexample's pair, from the one before it, by the exact model."""

    def judge(case, path: Datapath) -> dict[str, int]:
        before, pair = case.before, case.inputs[1]
        state = exact._State(
            register=before["register"],
            event=bool(before["event"]),
            dropped=bool(before["inexact"]),
            nan=bool(before["nan"]),
            plus_inf=bool(before["positive_inf"]),
            minus_inf=bool(before["negative_inf"]),
        )
        a, b = (pair[name] if pair[f"{name}_token"] else 0 for name in "ab")
        total = 0
        for term in range(path.dot):
            patterns = [
                word >> (term * fmt.width) & ((1 << fmt.width) - 1)
                for word, fmt in ((a, path.a), (b, path.b))
            ]
            numbers = path.a.decode(patterns[0]), path.b.decode(patterns[1])
            total += exact._product(state, *numbers, path, 0)
        exact._add_summand(state, total, path.window)
        nan = state.nan or (state.plus_inf and state.minus_inf)
        return {
            "register": state.register,
            "event": int(state.event),
            "inexact": int(state.dropped),
            "nan": int(nan),
            "positive_inf": int(state.plus_inf and not nan),
            "negative_inf": int(state.minus_inf and not nan),
        }

    return judge


@pytest.fixture(scope="session")
def differ() -> Callable[..., bool]:
    """Whether two sums differ in what matters: after an event the register may be worth nothing."""

    def compare(one: Mapping[str, int], other: Mapping[str, int], path: Datapath) -> bool:
        free = path.window.overflow is Overflow.NAN and one["event"] and other["event"]
        return any(one[name] != other[name] for name in one if name != "register" or not free)

    return compare


@pytest.fixture
def replayed(tmp_path) -> Callable[..., dict[str, int]]:
    """The sum that Icarus brings out of a device's Verilog in a counterexample's cycles."""
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        pytest.skip("needs Icarus Verilog: apt-get install iverilog")
    z3 = pytest.importorskip("z3")
    from hwgen.flow.proof_device import device_latency, read_sum, whole
    from hwgen.flow.proof_specification import Sum

    def replay(verilog: str, case, path: Datapath) -> dict[str, int]:
        (tmp_path / "replay.v").write_text(verilog + _bench(verilog, case), encoding="utf-8")
        output = ""
        for command in (
            ["iverilog", "-g2005", "-o", "replay", "replay.v"],
            ["vvp", "-n", "replay"],
        ):
            result = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
            )
            assert (result.returncode, result.stderr) == (0, ""), command
            output = result.stdout
        words = [z3.BitVecVal(int(line, 2), len(line)) for line in output.split()]
        terms = read_sum(whole(words[1 + device_latency(path) :], path), path)
        values = {field.name: z3.simplify(getattr(terms, field.name)) for field in fields(Sum)}
        register = values.pop("register").as_signed_long()
        return {"register": register} | {name: int(z3.is_true(x)) for name, x in values.items()}

    return replay


def _bench(verilog: str, case) -> str:
    """A module that sets the device's registers, drives its inputs and prints ``drain_out``."""
    header = verilog[verilog.rindex("\nmodule ") :]
    header = header[: header.index(");") + 1]
    ports = [port for port in _PORT.findall(header) if port[2] != "clk"]
    lines = [
        f"  {'reg' if direction == 'input' else 'wire'} {size}{name};"
        for direction, size, name in ports
    ]
    connections = ", ".join(f".{name}({name})" for _, _, name in ports)
    lines += [f"  reg clk = 0;\n  step device (.clk(clk), {connections});", "  initial begin #1;"]
    lines += [f"    device.{name} = {_constant(value)};" for name, value in case.registers.items()]
    for cycle, inputs in enumerate(case.inputs):
        lines += [f"    clk = 0; #1 clk = {min(cycle, 1)}; #1;"]
        lines += [f"    {name} = {_constant(value)};" for name, value in inputs.items()]
        lines += ['    #1 $display("%b", drain_out);']
    lines += ["  end", "endmodule"]
    return "\nmodule replay;\n" + "\n".join(lines) + "\n"


def _constant(value: int) -> str:
    return f"{max(1, value.bit_length())}'h{value:x}"
