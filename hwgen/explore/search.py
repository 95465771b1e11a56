"""The search itself: native runs, trials on many datapaths at once, energies of what does.

Stages go from cheap to dear. What is measured is kept at once, so that a search can be killed at
any moment; only the trials under way are lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from hwgen.errors import HwgenError, SpecError, ToolError
from hwgen.explore.cache import Cache
from hwgen.explore.candidates import Candidate, Operands, Sizes
from hwgen.explore.descent import Descent, Start, descend, spread
from hwgen.explore.judge import Goal, Judgement, same_numbers
from hwgen.explore.profile import Profile
from hwgen.explore.recorded import Recording
from hwgen.explore.trial import Task, Trial, run_trial

__all__ = ["Found", "Measured", "Progress", "Search", "Settings"]

_START_AT = 1 / 16  # of the tolerance
_MOST_LOGGED = 200_000  # calls of a trial whose errors are told by site: some 40 MB of text
_TRIALS_A_DESCENT, _ENERGIES_A_DESCENT = 18, 7  # guesses, until a descent is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to search.

    Parameters
    ----------
    task : Task
        The native run.
    digest : str
        Of the program (:func:`hwgen.explore.cache.program_digest`).
    operands : tuple of Operands
    goal : Goal
    margin : float
        Of the safe windows.
    safe : bool
        Try no window with less range than that.
    designs : int
        How many lsb to try for each choice of operands at the least, and how many energies to
        measure.
    liberty : str, optional
    jobs : int
        Processes that trials run on.
    """

    task: Task
    digest: str
    operands: tuple[Operands, ...]
    goal: Goal
    margin: float = 2.0
    safe: bool = False
    designs: int = 6
    liberty: str | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search is.

    Parameters
    ----------
    trials, energies : tuple of two ints
        Done, and about how many there will be.
    seconds_left : float or None
    """

    trials: tuple[int, int]
    energies: tuple[int, int]
    seconds_left: float | None


@dataclass(slots=True, kw_only=True)
class Measured:
    """A candidate and what is known of it."""

    candidate: Candidate
    judgement: Judgement
    energy: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search found.

    Parameters
    ----------
    profile : Profile
    native_metric : float or None
    recording : Recording or None
        Operands of the program that energies were measured with too.
    measured : list of Measured
    notes : list of str
        Formats that were left out, and why.
    """

    profile: Profile
    native_metric: float | None
    recording: Recording | None = None
    measured: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Branch:
    """A descent under way: the batch that it waits for."""

    sizes: Sizes
    descent: Descent
    batch: list[Candidate] = field(default_factory=list)
    verdicts: dict[Candidate, bool] = field(default_factory=dict)
    over: bool = False


class Search:
    """One search.

    Parameters
    ----------
    settings : Settings
    cache : Cache
    executor : Executor
        Runs trials and energies, on this machine or others.
    measure : callable
        Takes a datapath's words, the library and, where the program's operands were recorded, a
        recording in plain values; returns plain values with ``energy_pj``.
    progress : callable, optional
        Called with a :class:`Progress` now and then.
    """

    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        executor: Executor,
        measure: Callable[..., dict[str, Any]],
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._executor = executor
        self._measure = measure
        self._progress = progress
        self._waiting: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._unmeasured: list[Exception] = []
        self._branches: list[_Branch] = []
        self._by_site = False
        self._found: Found
        self._measured: dict[Candidate, Measured] = {}
        self._seconds: dict[str, list[float]] = {"trial": [], "energy": []}
        self._asked = {"trial": 0, "energy": 0}

    def run(self) -> Found:
        """Search to the end.

        Raises
        ------
        HwgenError
            If the program fails natively, computes other numbers each time, calls no BLAS, or does
            not print the metric; or if no formats could be tried.
        ToolError
            If no energy can be measured, or a process of the pool was killed.
        """
        native = self._native()
        self._found = Found(
            profile=Profile.from_dict(native.profile or {}),
            native_metric=self._settings.goal.native_metric(native),
            recording=None if native.operands is None else Recording.from_dict(native.operands),
        )
        self._by_site = sum(site.calls for site in self._found.profile.sites) <= _MOST_LOGGED
        for operands in self._settings.operands:
            self._start(operands)
        if not self._branches:
            raise HwgenError("no formats could be tried: " + "; ".join(self._found.notes))
        for branch in self._branches:
            self._advance(branch)
        try:
            self._work()
        except BrokenExecutor:
            raise ToolError(
                "a process that ran a trial was killed, perhaps for want of memory",
                hint="start again with fewer --jobs; what was measured is kept",
            ) from None
        # In an order that does not depend on which trial ended first.
        order = {operands: place for place, operands in enumerate(self._settings.operands)}
        self._found.measured = sorted(
            self._measured.values(),
            key=lambda one: (order[one.candidate.operands], one.candidate.acc),
        )
        return self._found

    def energies(self, candidates: Sequence[Candidate]) -> dict[Candidate, float]:
        """Return energies of more candidates, as the search's own; of those that have one.

        After :meth:`run`, while the executor still runs.
        """
        asked = [
            Measured(candidate=one, judgement=Judgement(does=True, error=None, metric=None))
            for one in candidates
        ]
        for one in asked:
            self._ask_energy(one)
        while self._waiting:
            done, _ = wait(self._waiting, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                self._waiting.pop(future)(future)
        return {one.candidate: one.energy["energy_pj"] for one in asked if one.energy is not None}

    def _work(self) -> None:
        """Take results and ask for more, until nothing is under way."""
        while self._waiting:
            done, _ = wait(self._waiting, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                self._waiting.pop(future)(future)
            self._tell()
        if self._unmeasured and not any(one.energy for one in self._measured.values()):
            raise self._unmeasured[0]

    # --- native runs -----------------------------------------------------------------------------

    def _native(self) -> Trial:
        """Run the program natively, twice, and refuse what no search can make sense of."""
        keys = [(*self._program_key(), turn) for turn in (1, 2)]
        kept = [self._cache.get("native", key) for key in keys]
        runs = [
            self._executor.submit(run_trial, self._settings.task) if table is None else None
            for table in kept
        ]
        tables = []
        for key, table, run in zip(keys, kept, runs, strict=True):
            if run is not None:
                table = run.result()
                self._refuse(Trial(**table))
                self._cache.put("native", key, table)
            tables.append(table)
        first, second = (Trial(**table) for table in tables)
        if difference := same_numbers(first, second, self._settings.goal):
            raise HwgenError(
                f"the program computes other numbers each time it runs: {difference}; fix its"
                " random seeds, so that what a design changes can be told from chance"
            )
        return first

    def _refuse(self, trial: Trial) -> None:
        if trial.status:
            what = f"failed natively, with status {trial.status}"
            if trial.status < 0:
                what = f"took longer than {self._settings.task.timeout:g} s natively"
            last = trial.errors.strip().splitlines()[-1:]
            said = f"; it said: {last[0]}" if last else ""
            raise HwgenError(f"the program {what}{said}")
        if not (trial.profile or {}).get("sites"):
            raise HwgenError(
                "the program called no matrix product in BLAS that could be seen, so there is"
                " nothing to tailor; hwgen run shows what it calls and what cannot be reached"
            )
        self._settings.goal.native_metric(trial)

    def _program_key(self) -> tuple[object, ...]:
        task = self._settings.task
        return self._settings.digest, task.min_mnk, task.only, task.precisions, task.record

    # --- descents --------------------------------------------------------------------------------

    def _start(self, operands: Operands) -> None:
        settings = self._settings
        sizes = Sizes(operands=operands, profile=self._found.profile, margin=settings.margin)
        tolerance = settings.goal.tolerance
        # What the operands' own rounding takes of it is not known yet: leave most of it to that.
        allowed = None if tolerance is None else tolerance * _START_AT
        try:
            safe = sizes.window(allowed)
            tight = sizes.window(allowed, margin=1)
        except SpecError as error:
            self._found.notes.append(f"{operands.text}: {error}")
            return
        lsb = min(safe.lsb, tight.msb)
        safe, tight = replace(safe, lsb=lsb), replace(tight, lsb=lsb)
        start = Start(operands=operands, safe=safe, tight=safe if settings.safe else tight)
        together = max(1, settings.jobs // max(1, len(settings.operands)))
        descent = descend(start, together=together, designs=settings.designs)
        self._branches.append(_Branch(sizes=sizes, descent=descent))

    def _advance(self, branch: _Branch) -> None:
        """Hand a descent its verdicts and ask for what it wants next."""
        while True:
            verdicts = [branch.verdicts[candidate] for candidate in branch.batch]
            try:
                # A generator is started with None.
                branch.batch = branch.descent.send(verdicts if branch.batch else None)  # type: ignore[arg-type]
            except StopIteration:
                self._end(branch)
                return
            missing = [one for one in dict.fromkeys(branch.batch) if not self._known(branch, one)]
            for candidate in missing:
                self._try(branch, candidate)
            if missing:
                return

    def _known(self, branch: _Branch, candidate: Candidate) -> bool:
        if candidate in branch.verdicts:
            return True
        table = self._cache.get("trial", self._trial_key(candidate))
        if table is None:
            return False
        self._asked["trial"] += 1
        self._take(branch, candidate, table)
        return True

    def _trial_key(self, candidate: Candidate) -> tuple[object, ...]:
        return (*self._program_key(), *candidate.words.values())

    def _try(self, branch: _Branch, candidate: Candidate) -> None:
        task = self._settings.task
        began = time.monotonic()
        emulated = replace(task, datapath=candidate.words, by_site=self._by_site)
        self._asked["trial"] += 1

        def finished(future: Future[dict[str, Any]]) -> None:
            table = future.result()
            self._cache.put("trial", self._trial_key(candidate), table)
            self._seconds["trial"].append(time.monotonic() - began)
            self._take(branch, candidate, table)
            if all(one in branch.verdicts for one in branch.batch):
                self._advance(branch)

        self._waiting[self._executor.submit(run_trial, emulated)] = finished

    def _take(self, branch: _Branch, candidate: Candidate, table: dict[str, Any]) -> None:
        judgement = self._settings.goal.judge(Trial(**table), self._found.native_metric)
        branch.verdicts[candidate] = judgement.does
        self._measured[candidate] = Measured(candidate=candidate, judgement=judgement)

    def _end(self, branch: _Branch) -> None:
        """Note what came of a descent and have the energies of its best measured."""
        branch.over = True
        operands = branch.sizes.operands
        tried = [self._measured[candidate] for candidate in branch.verdicts]
        if not any(one.judgement.does for one in tried if not one.candidate.baseline):
            first = tried[0].judgement
            why = "; ".join(first.notes) or f"error {first.error:.3g}, metric {first.metric}"
            self._found.notes.append(
                f"{operands.text}: even a window that drops next to nothing does not do ({why})"
            )
        for one in _worth_measuring(tried, branch.sizes, self._settings.designs):
            self._ask_energy(one)

    # --- energies --------------------------------------------------------------------------------

    def _ask_energy(self, one: Measured) -> None:
        words, liberty = one.candidate.words, self._settings.liberty
        recording = self._found.recording
        key = (*words.values(), liberty, recording and recording.digest)
        operands = () if recording is None else (recording.to_dict(),)
        self._asked["energy"] += 1
        table = self._cache.get("energy", key)
        if table is not None:
            one.energy = table
            return
        began = time.monotonic()

        def finished(future: Future[dict[str, Any]]) -> None:
            try:
                table = future.result()
            except (HwgenError, ToolError) as error:
                # One that cannot be measured is no reason to lose the others.
                self._unmeasured.append(error)
                self._found.notes.append(f"{one.candidate.name}: no energy: {error}")
                return
            self._cache.put("energy", key, table)
            self._seconds["energy"].append(time.monotonic() - began)
            one.energy = table

        self._waiting[self._executor.submit(self._measure, words, liberty, *operands)] = finished

    # --- progress --------------------------------------------------------------------------------

    def _tell(self) -> None:
        if self._progress is None:
            return
        running = [branch for branch in self._branches if not branch.over]
        guesses = {
            "trial": sum(max(2, _TRIALS_A_DESCENT - len(one.verdicts)) for one in running),
            "energy": _ENERGIES_A_DESCENT * len(running),
        }
        done = {"trial": len(self._measured), "energy": 0}
        done["energy"] = sum(one.energy is not None for one in self._measured.values())
        expected = {kind: max(done[kind], self._asked[kind]) for kind in done}
        expected["trial"] = max(expected["trial"], done["trial"] + guesses["trial"])
        expected["energy"] += guesses["energy"]
        self._progress(
            Progress(
                trials=(done["trial"], expected["trial"]),
                energies=(done["energy"], expected["energy"]),
                seconds_left=self._seconds_left(done, expected),
            )
        )

    def _seconds_left(self, done: dict[str, int], expected: dict[str, int]) -> float | None:
        left = 0.0
        for kind, seconds in self._seconds.items():
            if not seconds and kind == "trial":
                return None
            usual = sum(seconds) / len(seconds) if seconds else 10.0
            left += (expected[kind] - done[kind]) * usual
        return left / self._settings.jobs


def _worth_measuring(tried: Sequence[Measured], sizes: Sizes, most: int) -> list[Measured]:
    """Some of what does and is no wider than anything else as good, from cheap to accurate.

    And the narrowest of those whose range is proven, and baselines.
    """
    baselines = [one for one in tried if one.candidate.baseline]
    rest = [one for one in tried if not one.candidate.baseline and one.judgement.does]
    rest.sort(key=lambda one: (one.candidate.width, one.candidate.acc))
    kept = [one for one in rest if not any(_better(other, one) for other in rest)]
    proven = [one for one in rest if sizes.covers(one.candidate.window)]
    chosen = [*(kept[place] for place in spread(0, len(kept) - 1, most) if kept), *proven[:1]]
    return baselines + list({one.candidate: one for one in chosen}.values())


def _better(one: Measured, other: Measured) -> bool:
    """Whether one is as good in every respect that is known before energy, and better in one."""
    marks = [_marks(each) for each in (one, other)]
    return marks[0] != marks[1] and all(x <= y for x, y in zip(*marks, strict=True))


def _marks(one: Measured) -> tuple[float, ...]:
    window, judgement = one.candidate.window, one.judgement
    error = float("inf") if judgement.error is None else judgement.error
    return window.width, window.summand_bits, error
