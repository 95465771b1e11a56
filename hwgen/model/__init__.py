"""The golden model: what the generated hardware computes, bit for bit."""

from __future__ import annotations

from hwgen.model.blocks import (
    Block,
    beat_bytes,
    operand_beats,
    pack_beats,
    tile,
    unpack_beats,
    untile,
)
from hwgen.model.gemm import gemm, gemm_bits
from hwgen.model.rounding import INEXACT, INVALID, OVERFLOW

__all__ = [
    "INEXACT",
    "INVALID",
    "OVERFLOW",
    "Block",
    "beat_bytes",
    "gemm",
    "gemm_bits",
    "operand_beats",
    "pack_beats",
    "tile",
    "unpack_beats",
    "untile",
]
