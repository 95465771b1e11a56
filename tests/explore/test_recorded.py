"""Operands that a profile keeps of the program, and errors told call site by call site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwgen.explore.profile import Profile, read_folder, site_name
from hwgen.explore.recorded import Recording, largest_recording
from hwgen.explore.trial import Task, run_trial
from hwgen.runtime.session import RunSettings, environment

MAKE = """
import numpy as np
def make(seed, m, n):
    return np.random.default_rng(seed).normal(size=(m, n)).astype(np.float32)
"""
pytestmark = pytest.mark.usefixtures("blas_library")

NAMES: dict = {}
exec(MAKE, NAMES)
make = NAMES["make"]


def recorded(folder: Path, source: str, *, record: bool = True) -> Recording | None:
    """Run Python code natively with a profile, and read what it left."""
    settings = RunSettings(profile=True, record=record, min_mnk=3)
    (folder / "config").write_text(settings.config(), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-c", MAKE + source],
        env={**environment(folder, os.environ), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=60,
    )
    return largest_recording(folder, Profile.merged((), read_folder(folder)))


@pytest.mark.parametrize(("m", "k", "n"), [(5, 7, 3), (100, 40, 70), (33, 900, 1), (1, 64, 200)])
def test_operands_are_rows_and_columns_of_the_programs(tmp_path, m, k, n):
    found = recorded(tmp_path, f"make(1, {m}, {k}) @ make(2, {k}, {n})")
    a, b = make(1, m, k), make(2, k, n)
    rows, terms, cols = min(m, 32), min(k, 512), min(n, 32)
    left = a[[i * m // rows for i in range(rows)], :terms]
    right = b[:terms, [j * n // cols for j in range(cols)]]
    # NumPy asks for the transposed product where that suits it.
    pairs = [(left, right), (right.T, left.T)]
    assert any(
        found.a.shape == x.shape and (found.a == x).all() and (found.b == y).all() for x, y in pairs
    )
    assert found.share == 1.0


def test_operands_are_of_the_site_with_the_most_work_and_of_its_first_product(tmp_path):
    code = """
make(1, 4, 5) @ make(2, 5, 4)
for seed in range(3):
    make(10 + seed, 40, 50) @ make(20 + seed, 50, 40)
"""
    found = recorded(tmp_path, code)
    assert found.site.endswith("k=50")
    assert 0.99 < found.share < 1
    assert set(found.a.ravel()) <= set(make(10, 40, 50).astype(np.float64).ravel())


def test_infinities_and_nan_become_zeros(tmp_path):
    code = """
x = make(1, 6, 5); x[0, 0] = np.inf; x[3, 2] = np.nan
with np.errstate(all="ignore"):
    x @ make(2, 5, 4)
"""
    found = recorded(tmp_path, code)
    assert np.isfinite(found.a).all()
    assert np.isfinite(found.b).all()
    assert sorted([(found.a == 0).sum(), (found.b == 0).sum()]) == [0, 2]


def test_nothing_is_kept_where_it_is_not_asked_for(tmp_path):
    assert recorded(tmp_path, "make(1, 9, 9) @ make(2, 9, 9)", record=False) is None
    assert list(tmp_path.glob("operands.*")) == []


def test_files_that_were_cut_short_are_left_out(tmp_path):
    code = "make(1, 9, 9) @ make(2, 9, 9)"
    recorded(tmp_path, code)
    (path,) = tmp_path.glob("operands.*")
    whole = path.read_bytes()
    profile = Profile.merged((), read_folder(tmp_path))
    for length in (0, 50, 96, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert largest_recording(tmp_path, profile) is None


def test_a_recording_passes_through_json_and_files(tmp_path):
    import json

    found = recorded(tmp_path, "make(1, 6, 5) @ make(2, 5, 4)")
    again = Recording.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.digest == found.digest
    assert (again.site, again.share) == (found.site, found.share)
    for path, values in zip(again.save(tmp_path), (found.a, found.b), strict=True):
        assert (np.load(path) == values).all()


def test_the_digest_tells_operands_apart(tmp_path):
    one = Recording(site="s", share=1.0, a=np.ones((2, 3)), b=np.ones((3, 2)))
    other = Recording(site="s", share=1.0, a=np.ones((3, 2)), b=np.ones((2, 3)))
    assert one.digest != other.digest


APP = f"""{MAKE}
for _ in range(3):
    make(1, 20, 30) @ make(2, 30, 20)
make(3, 9, 400) @ (1000 * make(4, 400, 11))
"""


def trial(tmp_path: Path, **change: object) -> dict:
    (tmp_path / "app.py").write_text(APP)
    task = {"program": (sys.executable, "app.py"), "folder": str(tmp_path), "min_mnk": 3}
    return run_trial(Task(**{"datapath": None, **task, **change}))


def test_a_native_trial_brings_operands_where_they_are_asked_for(tmp_path):
    assert trial(tmp_path)["operands"] is None
    found = Recording.from_dict(trial(tmp_path, record=True)["operands"])
    assert found.site.endswith("k=400")
    assert 0.4 < found.share < 0.6


def test_errors_are_told_by_call_site(tmp_path):
    words = {"a": "bf16", "b": "bf16", "acc": "window:msb=4,lsb=-20,ovf=6", "out": "fp32"}
    found = trial(tmp_path, datapath=words, by_site=True)
    small, large = sorted(found["site_errors"], key=lambda name: int(name.rpartition("=")[2]))
    assert small == site_name("cblas_sgemm", 20, 20, 30) or "k=30" in small
    assert 0 < found["site_errors"][small] < 0.05
    # A thousand times as large, the other one leaves the register.
    assert "k=400" in large
    assert found["site_errors"][large] is None
    assert found["error"] is None
    assert trial(tmp_path, datapath=words)["site_errors"] is None


def test_names_of_call_sites_are_those_of_profiles(tmp_path):
    recorded(tmp_path, "make(1, 19, 7) @ make(2, 7, 33)")
    (site,) = read_folder(tmp_path)
    assert site.name in (site_name(site.symbol, 19, 33, 7), site_name(site.symbol, 33, 19, 7))
