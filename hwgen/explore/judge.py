"""Whether a trial does: a tolerance on every product, or a loss of the user's metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hwgen.errors import HwgenError
from hwgen.explore.trial import Metric, Trial

__all__ = ["Goal", "Judgement", "same_numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a trial came to.

    Parameters
    ----------
    does : bool
    error, metric : float or None
    site_errors : mapping of str to float or None
        The error by call site, of those that were compared; None for an infinite one.
    notes : tuple of str
        Why it does not, and what else a reader must know.
    """

    does: bool
    error: float | None
    metric: float | None
    notes: tuple[str, ...] = ()
    site_errors: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is asked for: a tolerance, or a metric and how much of it may be lost.

    Parameters
    ----------
    tolerance : float, optional
        Of the error of any product, relative to its largest element.
    metric : Metric, optional
    lose : float
        How much worse the metric may be than the native run's.

    Raises
    ------
    HwgenError
        If neither or both are given, or a number is negative.
    """

    tolerance: float | None = None
    metric: Metric | None = None
    lose: float = 0.0

    def __post_init__(self) -> None:
        if (self.tolerance is None) == (self.metric is None):
            raise HwgenError("give either --tolerance, or --metric with --lose")
        for name, value in (("tolerance", self.tolerance), ("lose", self.lose)):
            if value is not None and not 0 <= value < math.inf:
                raise HwgenError(f"{name} is {value:g}; it must be 0 or more")

    def native_metric(self, trial: Trial) -> float | None:
        """Return the native run's metric; None where a tolerance is asked for.

        Raises
        ------
        HwgenError
            If the program did not print it.
        """
        if self.metric is None:
            return None
        value = self.metric.read(trial.output)
        if value is None:
            last = trial.output.strip().splitlines()[-1:] or ["nothing"]
            raise HwgenError(
                f"--metric {self.metric.pattern!r} finds no finite number in what the program"
                f" prints natively (its last line: {last[0][:80]!r}); change the expression"
            )
        return value

    def judge(self, trial: Trial, native: float | None) -> Judgement:
        """Judge a trial on a datapath; ``native`` is the native run's metric."""
        notes = []
        value = self.metric.read(trial.output) if self.metric is not None else None
        if trial.status:
            what = "took too long" if trial.status < 0 else f"ended with status {trial.status}"
            notes.append(f"the program {what}")
        elif trial.failed or not trial.served:
            notes.append(f"{trial.failed} calls failed, {trial.served} were served")
        elif self.metric is not None and value is None:
            notes.append("the metric is missing or no finite number")
        if trial.error is None:
            # A metric may not notice: a wrong answer or two of many. The design is too narrow.
            notes.append("range events: NaN or infinity in a product")
        does = not notes
        if does and self.metric is not None:
            assert value is not None and native is not None
            # As if the digits were decimal: 0.9756 - 0.9656 is not above 0.01.
            does = self.metric.loss(native, value) <= self.lose + 1e-12 * max(abs(native), 1)
        elif does:
            assert self.tolerance is not None
            assert trial.error is not None
            does = trial.error <= self.tolerance
        return Judgement(
            does=does,
            error=trial.error,
            metric=value,
            notes=tuple(notes),
            site_errors=trial.site_errors or {},
        )


def same_numbers(first: Trial, second: Trial, goal: Goal) -> str:
    """Return what differs between two native runs; empty if nothing that matters does."""
    if goal.metric is not None:
        one, other = goal.native_metric(first), goal.native_metric(second)
        return "" if one == other else f"its metric was {one:g} and then {other:g}"
    sites = [_marks(trial) for trial in (first, second)]
    if sites[0] == sites[1]:
        return ""
    changed = sorted(set(sites[0]) ^ set(sites[1]))
    return f"its products differed, among others those of {changed[0][0]}"


def _marks(trial: Trial) -> list[tuple[object, ...]]:
    assert trial.profile is not None
    names = ("symbol", "m", "n", "k", "calls", "largest_a", "largest_b", "largest_product")
    return [tuple(site[name] for name in names) for site in trial.profile["sites"]]
