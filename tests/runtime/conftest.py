"""Fixtures of the C kernels' tests."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from hwgen.runtime import instruction_sets


def pytest_generate_tests(metafunc):
    """Run what asks for an instruction set with every one that this machine has."""
    if "instructions" in metafunc.fixturenames:
        metafunc.parametrize("instructions", [f"c:{name}" for name in instruction_sets()])


@pytest.fixture
def rng(request) -> np.random.Generator:
    """Random numbers that are the same in every run of a test."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
