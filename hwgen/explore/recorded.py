"""Operands of the user's program, to measure energy with: some of a product of each call site.

The preloaded library (``runtime/csrc/blas/profile_operands.c``) writes one ``operands.<pid>.<n>`` a
call site into the run's folder, at the site's first product.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.explore.profile import Profile, SiteProfile

__all__ = ["Recording", "largest_recording"]

# The layout of hw_operands (csrc/blas/profile_operands.c); float64 elements of A and of B follow.
_HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("symbol", "S40"),
        *((name, "<i8") for name in ("m", "n", "k", "rows", "terms", "cols")),
    ]
)
_MAGIC = b"hwoperan"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """Some rows of A and some columns of B of a product of the program.

    Parameters
    ----------
    site : str
        Name of the call site.
    share : float
        The site's part of all MACs.
    a : (rows, terms) array of float64
    b : (terms, cols) array of float64
    """

    site: str
    share: float
    a: np.ndarray
    b: np.ndarray

    @property
    def digest(self) -> str:
        """Short, of the operands."""
        digest = hashlib.sha256(repr((self.a.shape, self.b.shape)).encode())
        for values in (self.a, self.b):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        packed = {name: _packed(getattr(self, name)) for name in ("a", "b")}
        return {"site": self.site, "share": self.share, **packed}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Recording:
        """Return what :meth:`to_dict` was made of."""
        operands = {name: _unpacked(table[name]) for name in ("a", "b")}
        return cls(site=table["site"], share=table["share"], **operands)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``a.npy`` and ``b.npy``, as ``hwgen synth --operands`` takes them."""
        paths = folder / "a.npy", folder / "b.npy"
        for path, values in zip(paths, (self.a, self.b), strict=True):
            np.save(path, values)
        return paths


def largest_recording(folder: Path, profile: Profile) -> Recording | None:
    """Return the operands that a run left of the call site with the most work, if there are any."""
    whole = sum(site.macs for site in profile.sites)
    for site in profile.sites:
        for path in sorted(folder.glob("operands.*")):
            found = _read(path, site, whole)
            if found is not None:
                return found
    return None


def _read(path: Path, site: SiteProfile, whole: int) -> Recording | None:
    """The operands in a file; None if they are another site's, or cannot be used."""
    data = path.read_bytes()
    if len(data) < _HEADER.itemsize:
        return None  # the process ended while it was made
    header = np.frombuffer(data, _HEADER, count=1)[0]
    symbol = header["symbol"].decode("ascii", "replace")
    key = symbol, *(int(header[name]) for name in ("m", "n", "k"))
    if header["magic"] != _MAGIC or key != (site.symbol, site.m, site.n, site.k):
        return None
    rows, terms, cols = (int(header[name]) for name in ("rows", "terms", "cols"))
    count = (rows + cols) * terms
    if not count or len(data) != _HEADER.itemsize + 8 * count:
        return None
    numbers = np.frombuffer(data, "<f8", offset=_HEADER.itemsize)
    numbers = np.where(np.isfinite(numbers), numbers, 0.0)
    a, b = numbers[: rows * terms], numbers[rows * terms :]
    share = site.macs / max(1, whole)
    return Recording(
        site=site.name, share=share, a=a.reshape(rows, terms), b=b.reshape(terms, cols)
    )


def _packed(values: np.ndarray) -> str:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return base64.b64encode(zlib.compress(stream.getvalue(), 6)).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(text))), allow_pickle=False)
