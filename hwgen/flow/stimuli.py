"""What circuits are fed with while their energy is measured, and how wrong their results are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwgen.errors import HwgenError
from hwgen.formats import Format
from hwgen.formats.fixed import FixedPoint
from hwgen.model import INVALID, gemm_bits, operand_beats, pack_beats
from hwgen.spec.datapath import Datapath

__all__ = ["KINDS", "Stimulus", "draw", "recorded", "relative_error"]

KINDS = ("gaussian", "relu", "skewed")
_ERROR_SIDE = 32  # rows and columns of the product that the error is taken over


@dataclass(frozen=True, slots=True, eq=False)
class Stimulus:
    """Operands of several blocks, each a matrix product as large as the array.

    Attributes
    ----------
    kind : str
        One of ``KINDS``, or "recorded".
    seed : int
        0 for recorded ones.
    a : (blocks, rows, k) array of patterns
    b : (blocks, k, cols) array of patterns
    error : float
        See :func:`relative_error`.
    """

    kind: str
    seed: int
    a: np.ndarray
    b: np.ndarray
    error: float | None

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self.a)

    @property
    def terms(self) -> int:
        """Terms of a block."""
        return self.a.shape[2]

    def lines(self, datapath: Datapath) -> dict[str, list[str]]:
        """Beats of the streams "a" and "b" in hexadecimal, tlast above tdata."""
        found: dict[str, list[str]] = {"a": [], "b": []}
        for a, b in zip(self.a, self.b, strict=True):
            a_beats, b_beats = operand_beats(a, b, datapath.dot)
            for side, beats, fmt in (("a", a_beats, datapath.a), ("b", b_beats, datapath.b)):
                last = 1 << -(-beats.shape[1] * fmt.width // 8) * 8
                words = pack_beats(beats, fmt.width)
                words[-1] |= last
                found[side] += [f"{word:x}" for word in words]
        return found

    def expected(self, datapath: Datapath) -> list[tuple[str, str, str]]:
        """Results of all blocks, row by row: tlast, tuser and tdata in hexadecimal."""
        rows, cols = self.a.shape[1], self.b.shape[2]
        digits = [-(-bits // 4) for bits in (3 * cols, -(-cols * datapath.out_width // 8) * 8)]
        found = []
        for a, b in zip(self.a, self.b, strict=True):
            bits, status = gemm_bits(a, b, datapath)
            users, words = pack_beats(status, 3), pack_beats(bits, datapath.out_width)
            for row, (user, word) in enumerate(zip(users, words, strict=True)):
                last = int(row == rows - 1)
                found.append((f"{last:x}", f"{user:0{digits[0]}x}", f"{word:0{digits[1]}x}"))
        return found


def draw(
    kind: str, seed: int, datapath: Datapath, *, rows: int, cols: int, terms: int, blocks: int
) -> Stimulus:
    """Draw operands.

    Parameters
    ----------
    kind : str
        "gaussian": both normal. "relu": a normal with its negative half zero, as after ReLU, b
        normal. "skewed": both positive, exponentially distributed.
    seed : int
        The same seed gives the same operands.
    datapath : Datapath
        Their standard deviation is 1, or a quarter of the format's largest number where that is
        less, or where the format is fixed point.
    rows, cols, terms, blocks : int
        Sizes.
    """
    if kind not in KINDS:
        raise HwgenError(f"unknown stimulus {kind!r}; known are {', '.join(KINDS)}")
    random = np.random.default_rng([seed, KINDS.index(kind)])
    a = _patterns(random, kind, "a", datapath, (blocks, rows, terms))
    b = _patterns(random, kind, "b", datapath, (blocks, terms, cols))
    wide = _patterns(random, kind, "a", datapath, (1, _ERROR_SIDE, terms))[0]
    tall = _patterns(random, kind, "b", datapath, (1, terms, _ERROR_SIDE))[0]
    return Stimulus(kind, seed, a, b, relative_error(wide, tall, datapath))


def _patterns(
    random: np.random.Generator, kind: str, side: str, datapath: Datapath, shape: tuple[int, ...]
) -> np.ndarray:
    fmt: Format = getattr(datapath, side)
    values = random.exponential(size=shape) if kind == "skewed" else random.normal(size=shape)
    if kind == "relu" and side == "a":
        values = np.maximum(values, 0.0)
    scale = float(fmt.max_finite) / 4
    if not isinstance(fmt, FixedPoint):
        scale = min(1.0, scale)
    return fmt.from_float(scale * values, axis=2 if side == "a" else 1)


def recorded(
    a_file: Path, b_file: Path, datapath: Datapath, *, rows: int, cols: int, blocks: int
) -> Stimulus:
    """Read operands as real numbers: a of shape (m, k) and b of shape (k, n) in .npy files.

    Tiles of the product, row by row of tiles, become blocks; as many as are asked for, from the
    first tile again where there are too few. Rows and columns that fill no tile are left out.

    Raises
    ------
    HwgenError
        If files do not fit together or hold no numbers, or the product is smaller than the array.
    """
    a, b = _loaded(a_file), _loaded(b_file)
    if a.shape[1] != b.shape[0]:
        raise HwgenError(
            f"{a_file} has shape {a.shape} and {b_file} has shape {b.shape}; the columns of the"
            " first must be as many as the rows of the second"
        )
    if a.shape[0] < rows or b.shape[1] < cols:
        raise HwgenError(
            f"the product of {a_file} and {b_file} is {a.shape[0]} x {b.shape[1]}, less than the"
            f" array's {rows} x {cols}; record more rows and columns"
        )
    a_bits, b_bits = datapath.a.from_float(a, axis=1), datapath.b.from_float(b, axis=0)
    tiles = [
        (row, col)
        for row in range(0, a.shape[0] - rows + 1, rows)
        for col in range(0, b.shape[1] - cols + 1, cols)
    ]
    chosen = [tiles[index % len(tiles)] for index in range(blocks)]
    some = slice(0, _ERROR_SIDE)
    return Stimulus(
        "recorded",
        0,
        np.stack([a_bits[row : row + rows] for row, _ in chosen]),
        np.stack([b_bits[:, col : col + cols] for _, col in chosen]),
        relative_error(a_bits[some], b_bits[:, some], datapath),
    )


def _loaded(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HwgenError(f"cannot read {path}: {error}; give an array in a .npy file") from None
    if values.ndim != 2 or values.dtype.kind not in "biuf" or 0 in values.shape:
        raise HwgenError(
            f"{path} holds an array of shape {values.shape} and type {values.dtype};"
            " due is a matrix of real numbers"
        )
    return values.astype(np.float64)


def relative_error(a: np.ndarray, b: np.ndarray, datapath: Datapath) -> float | None:
    """Error of a product of patterns against float64.

    The root mean square of what the results differ by from the product of the same operands in
    float64, over the root mean square of that product; None where a result is invalid, or a raw
    register wider than float64's significand.
    """
    bits, status = gemm_bits(a, b, datapath)
    exact = datapath.a.to_float(a) @ datapath.b.to_float(b)
    if (status & INVALID).any():
        return None
    if datapath.out is None:
        return None if datapath.window.width > 53 else _raw_error(bits, exact, datapath)
    return _ratio(datapath.out.to_float(bits) - exact, exact)


def _raw_error(bits: np.ndarray, exact: np.ndarray, datapath: Datapath) -> float:
    spare = 64 - datapath.window.width
    signed = (bits.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> spare
    return _ratio(np.ldexp(signed.astype(np.float64), datapath.window.lsb) - exact, exact)


def _ratio(difference: np.ndarray, exact: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(exact**2)))
    return float(np.sqrt(np.mean(difference**2))) / size if size else 0.0
