"""How a matrix product of any size becomes blocks on an array, and elements become stream beats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.errors import FormatError, SpecError
from hwgen.formats import pattern_dtype

__all__ = [
    "Block",
    "beat_bytes",
    "beats_of",
    "operand_beats",
    "pack_beats",
    "terms_of",
    "tile",
    "unpack_beats",
    "untile",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Block:
    """The operands of one block, padded with zero patterns to the array's size.

    Parameters
    ----------
    row, col : int
        Where in C the block's upper left element belongs.
    a : (rows, k) array of patterns
    b : (k, cols) array of patterns
        Beats of the streams: :func:`operand_beats`.
    """

    row: int
    col: int
    a: np.ndarray
    b: np.ndarray


def beat_bytes(lanes: int, width: int) -> int:
    """Return the bytes of a beat of ``lanes`` elements of ``width`` bits."""
    return -(-lanes * width // 8)


def operand_beats(a: np.ndarray, b: np.ndarray, dot: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the elements of a block's beats.

    Parameters
    ----------
    a : (rows, k) array of patterns
    b : (k, cols) array of patterns
    dot : int
        D, products that the array's elements add at once: so many terms make a beat.

    Returns
    -------
    a_beats : (beats, rows * dot) array of patterns
        ``ceil(k / dot)`` beats. Beat i holds terms i * D to i * D + D - 1 of row 0, then those of
        row 1, and so on; zeros fill up the last one.
    b_beats : (beats, cols * dot) array of patterns
        The same of columns.
    """
    return beats_of(a.T, dot), beats_of(b, dot)


def beats_of(terms: np.ndarray, dot: int) -> np.ndarray:
    """Return (beats, lanes * dot) elements of an operand of shape (k, lanes)."""
    if dot == 1:
        return terms
    padded = np.pad(terms, ((0, -len(terms) % dot), (0, 0)))
    groups = padded.reshape(-1, dot, terms.shape[1])
    return groups.swapaxes(1, 2).reshape(len(groups), -1)


def terms_of(beats: np.ndarray, dot: int) -> np.ndarray:
    """Return the (beats * dot, lanes) operand of (beats, lanes * dot) elements."""
    if dot == 1:
        return beats
    groups = beats.reshape(len(beats), -1, dot)
    return groups.swapaxes(1, 2).reshape(len(beats) * dot, -1)


def pack_beats(elements: np.ndarray, width: int) -> list[int]:
    """Pack elements into tdata words, element 0 in the low bits, zeros above the last one.

    Parameters
    ----------
    elements : (beats, lanes) array of unsigned patterns
        Or (beats, lanes, words) uint64 for elements wider than 64 bits, lowest word first.
    width : int
        Bits of an element.

    Returns
    -------
    list of int
        One word of ``8 * beat_bytes(lanes, width)`` bits a beat.

    Raises
    ------
    SpecError
        If the shape is neither of these, or the words are not as many as ``width`` needs.
    FormatError
        If an element needs more than ``width`` bits.
    """
    elements = np.asarray(elements)
    words = -(-width // 64)
    if elements.ndim == 2 and words == 1:
        elements = elements[..., np.newaxis]
    if elements.ndim != 3 or elements.shape[2] != words:
        raise SpecError(
            f"elements of {width} bits have shape {elements.shape};"
            f" it must be (beats, lanes{'' if words == 1 else f', {words}'})"
        )
    beats, lanes, _ = elements.shape
    wide = elements.astype("<u8")
    top_bits = width - 64 * (words - 1)
    if top_bits < 64 and (wide[..., -1] >> np.uint64(top_bits)).any():
        raise FormatError(
            f"an element needs more than its {width} bits; allowed is 0 to 2**{width}-1"
        )
    octets = np.ascontiguousarray(wide).view(np.uint8).reshape(beats, lanes, 8 * words)
    bits = np.unpackbits(octets, axis=2, count=width, bitorder="little")
    packed = np.packbits(bits.reshape(beats, lanes * width), axis=1, bitorder="little")
    return [int.from_bytes(beat.tobytes(), "little") for beat in packed]


def unpack_beats(beats: Sequence[int], lanes: int, width: int) -> np.ndarray:
    """Take tdata words apart, the reverse of :func:`pack_beats`; padding bits are ignored.

    Returns
    -------
    (beats, lanes) array of the narrowest unsigned dtype
        Or (beats, lanes, ceil(width/64)) uint64 for elements wider than 64 bits.
    """
    size = beat_bytes(lanes, width)
    mask = (1 << (8 * size)) - 1
    octets = np.frombuffer(
        b"".join((beat & mask).to_bytes(size, "little") for beat in beats), dtype=np.uint8
    ).reshape(len(beats), size)
    bits = np.unpackbits(octets, axis=1, count=lanes * width, bitorder="little")
    words = -(-width // 64)
    padded = np.zeros((len(beats), lanes, 64 * words), dtype=np.uint8)
    padded[..., :width] = bits.reshape(len(beats), lanes, width)
    elements = np.packbits(padded, axis=2, bitorder="little").view("<u8").astype(np.uint64)
    return elements if words > 1 else elements[..., 0].astype(pattern_dtype(width))


def tile(a_bits: np.ndarray, b_bits: np.ndarray, rows: int, cols: int) -> Iterator[Block]:
    """Cut a product of an (m, k) by a (k, n) matrix into blocks for a ``rows`` x ``cols`` array.

    Blocks come in row-major order of their place in C, ceil(m / rows) * ceil(n / cols) of them.

    Raises
    ------
    SpecError
        If the shapes do not fit, or a dimension is 0 (a block takes at least one beat).
    """
    a_bits, b_bits = np.asarray(a_bits), np.asarray(b_bits)
    shapes = f"a has shape {a_bits.shape} and b has shape {b_bits.shape}"
    if a_bits.ndim != 2 or b_bits.ndim != 2:
        raise SpecError(f"{shapes}; both must be matrices (two dimensions)")
    if a_bits.shape[1] != b_bits.shape[0]:
        raise SpecError(f"{shapes}; the columns of a must be as many as the rows of b")
    if 0 in a_bits.shape or 0 in b_bits.shape:
        raise SpecError(f"{shapes}; every dimension must be at least 1 to run on the array")
    return _blocks(a_bits, b_bits, rows, cols)


def _blocks(a_bits: np.ndarray, b_bits: np.ndarray, rows: int, cols: int) -> Iterator[Block]:
    for row in range(0, a_bits.shape[0], rows):
        part = a_bits[row : row + rows]
        a = np.pad(part, ((0, rows - part.shape[0]), (0, 0)))
        for col in range(0, b_bits.shape[1], cols):
            part = b_bits[:, col : col + cols]
            b = np.pad(part, ((0, 0), (0, cols - part.shape[1])))
            yield Block(row=row, col=col, a=a, b=b)


def untile(results: Iterable[np.ndarray], m: int, n: int) -> np.ndarray:
    """Assemble an (m, n) matrix from block results in the order of :func:`tile`, less the padding.

    Parameters
    ----------
    results : iterable of (rows, cols) or (rows, cols, words) arrays
    m, n : int
        Size of C, at least 1 each.

    Raises
    ------
    SpecError
        If there are too few or too many results for the size.
    """
    blocks = list(results)
    if not blocks:
        raise SpecError(f"there are no block results for a matrix of shape ({m}, {n})")
    rows, cols = blocks[0].shape[:2]
    across = -(-n // cols)
    needed = -(-m // rows) * across
    if len(blocks) != needed:
        raise SpecError(
            f"there are {len(blocks)} results of shape ({rows}, {cols}); a matrix of shape"
            f" ({m}, {n}) takes {needed}"
        )
    whole = [np.concatenate(blocks[i : i + across], axis=1) for i in range(0, needed, across)]
    return np.concatenate(whole, axis=0)[:m, :n]
