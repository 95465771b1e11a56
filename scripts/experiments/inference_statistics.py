"""How sure a share of right answers is, and the difference of two shares of the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Difference", "wilson"]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson(right: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0 to 1: E. B. Wilson, JASA 22, 1927."""
    share, square = right / count, _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Right answers before and after, of the same images.

    Parameters
    ----------
    both, lost, won, neither : int
        Images that were right in both, only before, only after, in neither.
    """

    both: int
    lost: int
    won: int
    neither: int

    @classmethod
    def of(cls, before: np.ndarray, after: np.ndarray) -> Difference:
        """Count two boolean arrays, which say of each image whether it was right."""
        return cls(
            both=int((before & after).sum()),
            lost=int((before & ~after).sum()),
            won=int((~before & after).sum()),
            neither=int((~before & ~after).sum()),
        )

    @property
    def count(self) -> int:
        """Images."""
        return self.both + self.lost + self.won + self.neither

    @property
    def points(self) -> float:
        """Accuracy lost, in points of a hundred; negative if won."""
        return 100 * (self.lost - self.won) / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the loss, in points: R. G. Newcombe, Statist. Med. 17, 1998, method 10."""
        count = self.count
        first, second = self.both + self.lost, self.both + self.won
        low1, high1 = wilson(first, count)
        low2, high2 = wilson(second, count)
        share1, share2 = first / count, second / count
        related = self._correlation(first, second)
        down, up = share1 - low1, high2 - share2
        below = math.sqrt(max(0.0, down * down - 2 * related * down * up + up * up))
        up, down = high1 - share1, share2 - low2
        above = math.sqrt(max(0.0, up * up - 2 * related * up * down + down * down))
        return self.points - 100 * below, self.points + 100 * above

    def _correlation(self, first: int, second: int) -> float:
        """Phi with that paper's correction for continuity; 0 where it is not defined."""
        margins = first * (self.count - first) * second * (self.count - second)
        if not margins:
            return 0.0
        product = self.both * self.neither - self.lost * self.won
        if product > 0:
            product = max(0.0, product - self.count / 2)
        return product / math.sqrt(margins)
