"""Synthesis, place and route: each a function from files to a record."""

from __future__ import annotations

from hwgen.flow.records import SynthesisReport
from hwgen.flow.simulate import Mismatch, SimulationResult, simulate
from hwgen.flow.synth import Progress, synthesize
from hwgen.flow.targets import target_names

__all__ = [
    "Mismatch",
    "Progress",
    "SimulationResult",
    "SynthesisReport",
    "simulate",
    "synthesize",
    "target_names",
]
