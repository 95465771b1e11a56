"""hwgen: numerically-tailored matrix-multiply hardware, and the bit-exact model of it.

>>> import hwgen
>>> dp = hwgen.Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9", out="fp32")
>>> c = hwgen.gemm(a, b, dp)
>>> hwgen.generate(hwgen.Design(datapath=dp, rows=8, cols=8), "build/demo")

What stands here is the public interface. Each name is imported when it is first used, so that
``import hwgen`` is cheap and the circuits' library is loaded only by what builds circuits.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwgen.emit import generate
    from hwgen.errors import FormatError, HwgenError, SpecError, ToolError, UnsupportedError
    from hwgen.runtime import gemm, gemm_bits
    from hwgen.spec.datapath import Datapath
    from hwgen.spec.design import Design

__version__ = "0.1.0"

__all__ = [
    "Datapath",
    "Design",
    "FormatError",
    "HwgenError",
    "SpecError",
    "ToolError",
    "UnsupportedError",
    "__version__",
    "gemm",
    "gemm_bits",
    "generate",
]

_HOMES = {
    "Datapath": "hwgen.spec.datapath",
    "Design": "hwgen.spec.design",
    "FormatError": "hwgen.errors",
    "HwgenError": "hwgen.errors",
    "SpecError": "hwgen.errors",
    "ToolError": "hwgen.errors",
    "UnsupportedError": "hwgen.errors",
    "gemm": "hwgen.runtime",
    "gemm_bits": "hwgen.runtime",
    "generate": "hwgen.emit",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hwgen' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
