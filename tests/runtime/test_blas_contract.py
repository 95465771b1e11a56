"""BLAS' contract holds for every routine, served or not (blas_cases.py holds the calls)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import blas_cases
import pytest
from blas_run import WIDE_64, BlasRun, blas_library

CASES = [function.__name__ for function in blas_cases.CASES]
# Plain loops round at every step.
EXACT_CASES = [name for name in CASES if not name.startswith("rounding_")]


def run_cases(folder: Path, **settings: object) -> tuple[dict[str, str], BlasRun]:
    run = BlasRun(folder, WIDE_64, **settings)
    # Loaded, not preloaded: then there is no original behind the symbols.
    del run.environment["LD_PRELOAD"]
    done = run.run(sys.executable, blas_cases.__file__, blas_library())
    return json.loads(done.stdout), run


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return run_cases(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def on_loops(tmp_path_factory):
    return run_cases(tmp_path_factory.mktemp("loops"), min_mnk=10**6)


@pytest.mark.parametrize("name", CASES)
def test_a_served_call_keeps_the_contract(served, name):
    assert served[0][name] == ""


@pytest.mark.parametrize("name", EXACT_CASES)
def test_plain_loops_keep_the_contract_where_there_is_no_blas(on_loops, name):
    assert on_loops[0][name] == ""


def test_all_calls_were_served(served):
    uses = served[1].uses()
    assert len(uses) > 40
    assert {name for name, use in uses.items() if use.native_calls or use.failed_calls} == set()


def test_no_call_on_plain_loops_was_served(on_loops):
    uses = on_loops[1].uses()
    assert len(uses) > 40
    assert {name for name, use in uses.items() if use.served_calls} == set()
    assert all(re.match(r"(scipy_)?(cblas_)?[sdcz]|cblas_gemm", name) for name in uses)
