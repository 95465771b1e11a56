"""Every step of the sum is the specified one: for all pairs of patterns and all sums before."""

from __future__ import annotations

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")
pytest.importorskip("pyosys", reason="needs Yosys: pip install 'hwgen[synth]'")

from hwgen.errors import ToolError, UnsupportedError
from hwgen.flow.proof import STATEMENTS, prove_step
from hwgen.spec.datapath import Datapath

# Narrow windows that drop bits, round, and are left by products and by sums, in every manner.
SMALL = {
    "e2m1-exact": {"a": "e2m1", "acc": "exact:terms=4096"},
    "e2m1-nan": {"a": "e2m1", "acc": "window:msb=3,lsb=0,ovf=1"},
    "e2m1-even-saturate": {
        "a": "e2m1",
        "acc": "window:msb=3,lsb=0,ovf=1,round=even,overflow=saturate",
    },
    "e2m1-odd-wrap": {"a": "e2m1", "acc": "window:msb=3,lsb=0,ovf=1,round=odd,overflow=wrap"},
    "e2m1-stochastic": {
        "a": "e2m1",
        "acc": "window:msb=3,lsb=0,ovf=0,round=stochastic,seed=1,bits=4",
    },
    "e4m3-even": {"a": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=1,round=even"},
    "e4m3-int4": {"a": "e4m3", "b": "int4", "acc": "window:msb=5,lsb=-3,ovf=2,overflow=saturate"},
    "e5m2-nan": {"a": "e5m2", "acc": "window:msb=-3,lsb=-8,ovf=3"},
    "e5m2-even-saturate": {
        "a": "e5m2",
        "acc": "window:msb=3,lsb=-8,ovf=0,round=even,overflow=saturate",
    },
    "int8-int32": {"a": "int8", "acc": "int:32"},
    "int8-int20-saturate": {"a": "int8", "acc": "int:20,overflow=saturate"},
    "int8-even": {"a": "int8", "acc": "window:msb=12,lsb=3,ovf=2,round=even"},
    "int8-stochastic": {
        "a": "int8",
        "acc": "window:msb=12,lsb=3,ovf=2,round=stochastic,seed=1,bits=8",
    },
    "uint1": {"a": "uint:1", "acc": "int:3"},
    "e2m1-dot2-saturate": {
        "a": "e2m1",
        "acc": "window:msb=3,lsb=0,ovf=1,round=even,overflow=saturate,dot=2",
    },
    "e2m1-dot3-wrap": {"a": "e2m1", "acc": "window:msb=2,lsb=1,ovf=0,overflow=wrap,dot=3"},
    "e2m1-dot2-stochastic": {
        "a": "e2m1",
        "acc": "window:msb=3,lsb=0,ovf=0,round=stochastic,seed=1,bits=4,dot=2",
    },
    "int4-dot2": {"a": "int4", "acc": "int:12,overflow=saturate,dot=2"},
    "uint4-int8": {"a": "uint4", "b": "int8", "acc": "window:msb=9,lsb=2,ovf=1,overflow=saturate"},
}
LARGE = {
    "e4m3-saturate": {"a": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=1,overflow=saturate"},
    "e4m3-even-saturate": {
        "a": "e4m3",
        "acc": "window:msb=6,lsb=-2,ovf=2,round=even,overflow=saturate",
    },
    "e4m3-wrap": {"a": "e4m3", "acc": "window:msb=3,lsb=-6,ovf=1,overflow=wrap"},
    "e4m3-even-wrap": {"a": "e4m3", "acc": "window:msb=0,lsb=-5,ovf=0,round=even,overflow=wrap"},
    "e4m3-stochastic": {
        "a": "e4m3",
        "acc": "window:msb=3,lsb=-6,ovf=1,round=stochastic,seed=1,bits=4,overflow=saturate",
    },
    "e4m3-exact": {"a": "e4m3", "acc": "exact:terms=4096"},
    "e5m2-exact": {"a": "e5m2", "acc": "exact:terms=4096"},
    "int8-dot2": {"a": "int8", "acc": "int:20,dot=2"},
    "e2m1-dot2-exact": {"a": "e2m1", "acc": "exact:terms=64,dot=2"},
    "e5m2-dot2": {"a": "e5m2", "acc": "window:msb=-3,lsb=-8,ovf=3,dot=2"},
    "posit8-even": {"a": "posit8", "acc": "window:msb=5,lsb=-8,ovf=1,round=even"},
    "posit8-quire": {"a": "posit8", "acc": "exact"},
    "bf16": {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9"},
    "bf16-even": {"a": "bf16", "acc": "window:msb=10,lsb=-29,ovf=8,round=even"},
    "bf16-saturate": {"a": "bf16", "acc": "window:msb=5,lsb=-10,ovf=2,overflow=saturate"},
}


def prove(names: dict[str, str]) -> None:
    verdicts = list(prove_step(Datapath.parse(**names)))
    assert [verdict.statement for verdict in verdicts] == list(STATEMENTS)
    assert [verdict for verdict in verdicts if not verdict.holds] == []


@pytest.mark.parametrize("names", SMALL.values(), ids=SMALL)
def test_a_step_is_the_specified_one(names):
    prove(names)


@pytest.mark.slow
@pytest.mark.parametrize("names", LARGE.values(), ids=LARGE)
def test_a_step_that_takes_longer_to_prove_is_the_specified_one(names):
    prove(names)


@pytest.mark.parametrize(
    "names",
    [{"a": "posit16", "acc": "window:msb=5,lsb=-8,ovf=1"}, {"a": "bf16", "acc": "fma:fp32"}],
    ids=lambda names: f"{names['a']}-{names['acc']}",
)
def test_what_is_not_specified_is_refused(names):
    with pytest.raises(UnsupportedError, match="no proof of a="):
        next(prove_step(Datapath.parse(**names)))


def test_a_proof_that_takes_too_long_is_given_up():
    with pytest.raises(ToolError, match="came to no end"):
        next(prove_step(Datapath.parse(**LARGE["bf16"]), limit_s=0.001))
