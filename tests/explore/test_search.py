"""Searches: over a made-up program, and over a real one that is as small as can be."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hwgen.errors import HwgenError, ToolError
from hwgen.explore import search as module
from hwgen.explore.cache import Cache, program_digest
from hwgen.explore.candidates import Candidate, parse_operands
from hwgen.explore.judge import Goal
from hwgen.explore.outcome import chosen_point, exploration, proven_point
from hwgen.explore.profile import Profile, SiteProfile
from hwgen.explore.records import Exploration, Histogram
from hwgen.explore.search import Search, Settings
from hwgen.explore.trial import Metric, Task

ACCURACY = Metric(pattern=r"accuracy: (\S+)")
APP = """
import numpy as np, pathlib
pathlib.Path("runs").open("a").write("x")
r = np.random.default_rng(1)
a, b = r.normal(size=(9, 20)).astype(np.float32), r.normal(size=(20, 7)).astype(np.float32)
c = a @ b
print(f"accuracy: {1 - np.abs(c - np.float64(a) @ np.float64(b)).max():.4f}")
"""


def energy(words: dict[str, str], liberty: str | None) -> dict[str, object]:
    """Stand for a measurement: wider is dearer."""
    candidate = Candidate(operands=parse_operands(words["a"])[0], acc=words["acc"])
    wide = 40.0 if candidate.baseline else 0.0
    return {
        "energy_pj": candidate.width + wide,
        "area_um2": 10.0 * candidate.width,
        "fmax_mhz": 100.0,
        "library": "made up",
    }


def made_profile() -> Profile:
    one = Histogram(first=0, counts=[9])
    site = SiteProfile(
        **dict.fromkeys(("a", "b", "products", "sums"), one),
        symbol="cblas_sgemm",
        m=8,
        n=4,
        k=20,
        calls=1,
        macs=1260,
        terms=20,
        special_a=0,
        special_b=0,
        samples=1,
        largest_a=3.0,
        largest_b=3.0,
        largest_product=7.5,
        largest_total=30.0,
        cancellation=4.0,
        largest_result=12.0,
        least_result=12.0,
        lowest_a=-30,
        lowest_b=-30,
    )
    return Profile.merged(("program",), [site])


class MadeProgram:
    """A program that needs lsb <= -9 and a sign bit at 2**4, and counts its runs."""

    def __init__(self) -> None:
        self.runs: list[dict[str, str] | None] = []
        self.change: dict[str, object] = {}

    def __call__(self, task: Task) -> dict[str, object]:
        self.runs.append(task.datapath)
        result = {
            "status": 0,
            "seconds": 0.1,
            "error": 0.0,
            "served": 3,
            "native": 0,
            "failed": 0,
            "output": "accuracy: 0.95\n",
            "errors": "",
            "profile": None,
        }
        if task.datapath is None:
            return result | {"profile": made_profile().to_dict()} | self.change
        candidate = Candidate(
            operands=parse_operands(task.datapath["a"])[0], acc=task.datapath["acc"]
        )
        if candidate.baseline:
            return result | {"error": 2.0**-20}
        window = candidate.window
        if window.msb + window.ovf < 4:
            return result | {"error": None, "output": "accuracy: nan\n"}
        accuracy = 0.95 if window.lsb <= -9 else 0.5
        return result | {"error": 2.0**window.lsb, "output": f"accuracy: {accuracy}\n"}


@pytest.fixture
def program(monkeypatch) -> MadeProgram:
    made = MadeProgram()
    monkeypatch.setattr(module, "run_trial", made)
    return made


def settings(goal: Goal, formats: str = "bf16", **change: object) -> Settings:
    task = Task(program=("program",), folder=".", datapath=None)
    values = {"task": task, "digest": "d", "operands": tuple(parse_operands(formats)), "goal": goal}
    return Settings(**{**values, "designs": 4, **change})


def found(folder: Path, asked: Settings, measure=energy):
    with ThreadPoolExecutor(2) as executor:
        return Search(asked, Cache(folder / "cache"), executor, measure).run()


def records(result, asked: Settings) -> Exploration:
    return exploration(
        result, program=("program",), goal=asked.goal, margin=2.0, commands=["x"], seconds=1.0
    )


TOLERANCE = Goal(tolerance=2.0**-9)
METRIC = Goal(metric=ACCURACY, lose=0.01)


@pytest.mark.parametrize("goal", [TOLERANCE, METRIC], ids=["tolerance", "metric"])
def test_the_cheapest_datapath_that_does_is_chosen(tmp_path, program, goal):
    asked = settings(goal)
    result = records(found(tmp_path, asked), asked)
    chosen = chosen_point(result.points)
    assert re.search("lsb=-9,", chosen.acc)
    assert chosen.width == 4 + 9 + 1
    assert all(point.acceptable for point in result.points if point.front)
    (baseline,) = (point for point in result.points if point.baseline)
    assert baseline.energy_pj > chosen.energy_pj
    # A record that a report can read.
    result.write(tmp_path / "exploration.json")
    assert Exploration.read(tmp_path / "exploration.json") == result


def test_no_design_of_the_front_is_beaten_by_another(tmp_path, program):
    asked = settings(TOLERANCE, "bf16,fp16", designs=8)
    points = records(found(tmp_path, asked), asked).points
    front = [point for point in points if point.front]
    assert len(front) >= 6
    for point in front:
        for other in points:
            if other.acceptable and other.energy_pj is not None and other is not point:
                better = other.energy_pj < point.energy_pj and other.error <= point.error
                assert not better


def test_safe_searches_give_up_no_range(tmp_path, program):
    asked = settings(TOLERANCE, safe=True)
    points = records(found(tmp_path, asked), asked).points
    assert chosen_point(points).notes[0].startswith("proven: no range event")
    assert all(point.bound is not None for point in points if not point.baseline)


def test_the_price_of_a_proven_range_is_known(tmp_path, program):
    asked = settings(TOLERANCE)
    points = records(found(tmp_path, asked), asked).points
    proven, chosen = proven_point(points), chosen_point(points)
    assert proven.notes == ["proven: no range event in data up to 2 times as large"]
    assert "larger sums" in chosen.notes[0]
    assert proven.energy_pj > chosen.energy_pj
    assert "lsb=-9," in proven.acc


def test_a_second_search_measures_nothing(tmp_path, program):
    asked = settings(TOLERANCE)
    first = found(tmp_path, asked)
    runs = len(program.runs)

    def refuse(words, liberty):
        raise AssertionError("measured again")

    second = found(tmp_path, asked, refuse)
    assert len(program.runs) == runs
    assert records(second, asked).points == records(first, asked).points


def test_a_damaged_result_is_measured_again(tmp_path, program):
    asked = settings(TOLERANCE)
    found(tmp_path, asked)
    runs = len(program.runs)
    for path in list((tmp_path / "cache").glob("trial-*"))[:2]:
        path.write_text('{"result')
    found(tmp_path, asked)
    assert len(program.runs) == runs + 2


def test_another_program_shares_no_result(tmp_path, program):
    found(tmp_path, settings(TOLERANCE))
    runs = len(program.runs)
    found(tmp_path, settings(TOLERANCE, digest="other"))
    assert len(program.runs) == 2 * runs


def test_an_energy_that_cannot_be_measured_loses_no_other(tmp_path, program):
    def some(words, liberty):
        if "fma" in words["acc"]:
            raise ToolError("the netlist computes something else")
        return energy(words, liberty)

    asked = settings(TOLERANCE)
    result = found(tmp_path, asked, some)
    assert chosen_point(records(result, asked).points) is not None
    assert result.notes == ["bf16 fma:fp32,lanes=3: no energy: the netlist computes something else"]

    def none(words, liberty):
        raise ToolError("no library of cells")

    with pytest.raises(ToolError, match="no library of cells"):
        found(tmp_path / "other", asked, none)


def test_formats_that_do_not_do_are_told(tmp_path, program):
    asked = settings(Goal(tolerance=2.0**-40))
    result = found(tmp_path, asked)
    assert chosen_point(records(result, asked).points) is None or result.notes == []


def test_narrower_windows_of_single_call_sites_are_told(tmp_path, program):
    from hwgen.explore.candidates import Sizes
    from hwgen.explore.outcome import site_notes

    (site,) = made_profile().sites
    small = SiteProfile(
        **{name: getattr(site, name) for name in SiteProfile.__dataclass_fields__}
        | {"k": 2, "terms": 2, "largest_total": 2.0, "largest_product": 1.0, "macs": 10}
    )
    profile = Profile.merged((), [site, small])
    sizes = Sizes(operands=parse_operands("bf16")[0], profile=profile, margin=2.0)
    lines = site_notes(profile, sizes, 1e-3)
    assert len(lines) == 3
    assert re.search(r"one window for all call sites takes \d+ bits", lines[0])
    assert "(+0)" in lines[1]
    assert re.search(r"\(-\d+\)$", lines[2])


@pytest.mark.parametrize(
    ("change", "goal", "message"),
    [
        ({"status": 3, "errors": "no such file: x"}, TOLERANCE, "status 3; it said: no such file"),
        ({"status": -1}, TOLERANCE, "took longer than"),
        ({"profile": {"profile": 1, "program": [], "sites": []}}, TOLERANCE, "no matrix product"),
        ({"output": "done\n"}, METRIC, r"no finite number .* \(its last line: 'done'\)"),
        ({"output": "accuracy: nan\n"}, METRIC, "no finite number"),
    ],
)
def test_programs_that_no_search_can_serve_are_refused(tmp_path, program, change, goal, message):
    program.change = change
    with pytest.raises(HwgenError, match=message):
        found(tmp_path, settings(goal))


def test_a_program_with_other_numbers_each_time_is_refused(tmp_path, monkeypatch):
    made = MadeProgram()

    def restless(task):
        result = made(task)
        if task.datapath is None:
            result["profile"]["sites"][0]["largest_a"] = float(len(made.runs))
            result["output"] = f"accuracy: 0.{len(made.runs)}\n"
        return result

    monkeypatch.setattr(module, "run_trial", restless)
    for number, goal in enumerate((TOLERANCE, METRIC)):
        with pytest.raises(HwgenError, match="other numbers each time .* fix its random seeds"):
            found(tmp_path / str(number), settings(goal))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either --tolerance, or --metric"),
        ({"tolerance": 0.1, "metric": ACCURACY}, "either --tolerance, or --metric"),
        ({"tolerance": -1.0}, "tolerance is -1"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"metric": ACCURACY, "lose": -0.1}, "lose is -0.1"),
    ],
)
def test_goals_that_are_none_are_refused(values, message):
    with pytest.raises(HwgenError, match=message):
        Goal(**values)


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "no regular expression"), ("x", "no group")]
)
def test_metrics_that_are_none_are_refused(pattern, message):
    with pytest.raises(HwgenError, match=message):
        Metric(pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"accuracy: ([0-9.]+)", "accuracy"),
        (r"^final top-1 acc\.? *= *(\S+)", "final top-1 acc"),
        (r"(\d+) errors", "metric"),
        (r"[Ll]oss\s+(\S+)", "oss"),
    ],
)
def test_a_metric_is_called_by_the_words_before_it(pattern, name):
    assert Metric(pattern=pattern).name == name
    assert Metric(pattern=pattern, called="top-1").name == "top-1"


def test_a_smaller_metric_may_be_better(tmp_path, program):
    metric = Metric(pattern=r"accuracy: (\S+)", smaller_is_better=True)
    goal = Goal(metric=metric, lose=0.0)
    asked = settings(goal)
    result = records(found(tmp_path, asked), asked)
    assert result.metric_smaller_is_better
    assert result.native_metric == 0.95
    # The number is what the program printed: 0.5 is better here.
    assert chosen_point(result.points).metric == 0.5


def test_energies_are_measured_with_the_operands_recorded(tmp_path, program):
    import numpy as np

    from hwgen.explore.recorded import Recording

    recording = Recording(site="s", share=0.5, a=np.ones((2, 3)), b=np.ones((3, 2)))
    program.change = {"operands": recording.to_dict()}
    asked = settings(TOLERANCE)
    taken = []

    def measured(words, liberty, operands=None):
        taken.append(operands)
        return energy(words, liberty)

    result = found(tmp_path, asked, measured)
    assert taken == len(taken) * [recording.to_dict()]
    assert result.recording.digest == recording.digest
    # Other operands are another measurement.
    program.change = {"operands": {**recording.to_dict(), "a": recording.to_dict()["b"]}}
    count = len(taken)
    found(tmp_path, settings(TOLERANCE, digest="other"), measured)
    assert len(taken) == 2 * count


def test_the_last_match_of_a_metric_counts():
    metric = Metric(pattern=r"loss (\S+)", smaller_is_better=True)
    assert metric.read("loss 3\nloss 2.5\n") == 2.5
    assert metric.read("loss nan") is metric.read("gain 3") is metric.read("loss ?") is None
    assert metric.loss(2.0, 2.5) == 0.5


def test_a_digest_changes_with_the_files_that_are_named(tmp_path):
    (tmp_path / "x.py").write_text("1")
    first = program_digest(("python", "x.py"), tmp_path)
    assert first == program_digest(("python", "x.py"), tmp_path)
    (tmp_path / "x.py").write_text("2")
    assert len({first, program_digest(("python", "x.py"), tmp_path)}) == 2
    assert program_digest(("a", "bc"), tmp_path) != program_digest(("ab", "c"), tmp_path)


# --- a real program -------------------------------------------------------------------------------

DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from test_search import real_search
real_search({folder!r})
"""


def real_search(folder: str):
    """Tailor the small application, with energies made up."""
    path = Path(folder)
    task = Task(program=(sys.executable, "app.py"), folder=folder, datapath=None, min_mnk=3)
    asked = settings(
        Goal(metric=ACCURACY, lose=0.05),
        task=task,
        digest=program_digest(task.program, path),
        designs=2,
    )
    return asked, found(path, asked)


@pytest.fixture
def app(blas_library, tmp_path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_a_search_that_was_killed_goes_on_where_it_was(app):
    text = DRIVER.format(tests=str(Path(__file__).parent), folder=str(app))
    process = subprocess.Popen([sys.executable, "-c", text], env=dict(os.environ))
    deadline = time.monotonic() + 120
    while len(list((app / "cache").glob("trial-*.json"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)  # the trials under way end with it
    kept = len(list((app / "cache").glob("*-*.json")))
    started = len((app / "runs").read_text())
    assert started - kept <= 2  # as many as ran at once
    asked, result = real_search(str(app))
    runs = len((app / "runs").read_text())
    assert runs - started == 2 + len(result.measured) - kept
    chosen = chosen_point(records(result, asked).points)
    assert chosen.metric >= result.native_metric - 0.05
    assert chosen.width < 20
    for path in (app / "cache").glob("trial-*.json"):
        assert json.loads(path.read_text())["result"]["served"] == 2
