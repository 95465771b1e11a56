"""The random numbers of stochastic rounding over arrays (definition: :mod:`hwgen.spec.dither`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.spec.accumulator import Rounding, Window
from hwgen.spec.dither import Side, initial_state, lane_masks, step

__all__ = ["RandomWords", "random_words"]


@dataclass(frozen=True, slots=True)
class RandomWords:
    """The words of both sides, of which each product takes the exclusive or."""

    rows: np.ndarray  # (k, m) uint32
    columns: np.ndarray  # (k, n) uint32

    def tile(self, tall: slice, wide: slice) -> RandomWords:
        """Return the words of some rows and columns."""
        return RandomWords(self.rows[:, tall], self.columns[:, wide])

    def of_products(self, k: int) -> np.ndarray:
        """Return the (m, n) numbers that the products of step k are rounded with."""
        return np.bitwise_xor.outer(self.rows[k], self.columns[k])


def random_words(
    window: Window, shape: tuple[int, int, int], lanes: tuple[int, int]
) -> RandomWords | None:
    """Return the words for a product of ``shape`` (m, k, n); None where none are needed.

    Row i takes the words of lane ``i % lanes[0]``, column j those of lane ``j % lanes[1]``.
    """
    if window.rounding is not Rounding.STOCHASTIC:
        return None
    rows, terms, columns = shape
    return RandomWords(
        rows=_side(window, Side.A, terms, rows, lanes[0]),
        columns=_side(window, Side.B, terms, columns, lanes[1]),
    )


def _side(window: Window, side: Side, terms: int, count: int, lanes: int) -> np.ndarray:
    states = np.empty((terms, 1), dtype=np.uint32)
    state = initial_state(window.seed, side)
    for k in range(terms):
        states[k] = state
        state = step(state)
    masks = np.array(
        [lane_masks(side, lane, window.random_bits) for lane in range(min(count, lanes))],
        dtype=np.uint32,
    ).reshape(-1, window.random_bits)
    words = np.zeros((terms, len(masks)), dtype=np.uint32)
    for place, mask in enumerate(masks.T):
        parity = np.bitwise_count(states & mask) & np.uint8(1)
        words |= parity.astype(np.uint32) << np.uint32(place)
    return words[:, np.arange(count) % lanes]
