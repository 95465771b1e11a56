"""The arithmetic at speed: C kernels with the golden model's bits, and what runs on them."""

from __future__ import annotations

from hwgen.runtime.description import describe
from hwgen.runtime.gemm import gemm, gemm_bits
from hwgen.runtime.library import instruction_sets

__all__ = ["describe", "gemm", "gemm_bits", "instruction_sets"]
