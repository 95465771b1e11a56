"""``hwgen run --profile`` and ``hwgen size --profile``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.explore.profile import Profile

APP = "import numpy as np; x = np.full((6, 6), 1.5, np.float32); print((x @ x)[0, 0])"


def hwgen(*words: object):
    return CliRunner().invoke(cli, [*map(str, words)])


@pytest.fixture
def profile(blas_library, tmp_path) -> Path:
    """The profile of a product whose every element is 6 * 2.25."""
    path = tmp_path / "p.json"
    summary = tmp_path / "s.json"
    words = ("--min-mnk", 3, "--profile", path, "--summary", summary, "--quiet")
    done = hwgen("run", *words, "--", sys.executable, "-c", APP)
    assert done.exit_code == 0, done.output
    record = json.loads(summary.read_text())
    assert (record["datapath"], record["backend"], record["warnings"]) == ("native", "native", [])
    assert record["total"]["served_calls"] == 0
    return path


def test_a_program_without_a_design_runs_natively_and_is_profiled(profile):
    (site,) = Profile.read(profile).sites
    assert (site.macs, site.terms, site.largest_product) == (216, 6, 2.25)
    assert site.largest_total == pytest.approx(13.5, rel=1e-3)
    assert (site.lowest_a, site.least_result, site.cancellation) == (-1, 13.5, 1.0)


def test_with_a_design_the_profile_is_of_the_run_on_it(tmp_path, profile):
    acc = "window:msb=5,lsb=-30,ovf=9"
    code = f"{APP}; print((x @ x @ x)[0, 0])"
    words = ("--min-mnk", 3, "--a", "bf16", "--acc", acc, "--profile", tmp_path / "q.json")
    done = hwgen("run", *words, "--quiet", "--", sys.executable, "-c", code)
    assert done.exit_code == 0, done.output
    assert Profile.read(tmp_path / "q.json").sites[0].calls == 3


def test_a_window_is_sized_for_the_data_of_a_program(profile):
    done = hwgen("size", "--a", "bf16", "--profile", profile, "--margin", 1)
    # 2.25 below 2**2, sums below 2**4, multiples of 2**-2.
    assert re.search(r"accumulator +window:msb=1,lsb=-2,ovf=3\n", done.stdout), done.output
    wider = hwgen("size", "--a", "bf16", "--profile", profile, "--tolerance", "0.01", "--relative")
    assert re.search(r"accumulator +window:msb=2,lsb=-\d,ovf=3\n", wider.stdout), wider.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--a", "bf16"), "missing --terms"),
        (("--a", "bf16", "--terms", "3", "--margin", "2"), "--margin belongs to --profile"),
        (("--a", "bf16", "--terms", "3", "--profile", "x"), "--terms does not go with --profile"),
        (("--a", "bf16", "--profile", "no-such-file"), "cannot read no-such-file"),
    ],
)
def test_options_that_do_not_go_together_are_told(words, message):
    done = hwgen("size", *words)
    assert done.exit_code != 0
    assert message in done.output + str(done.exception)


def test_a_profile_that_could_not_be_written_is_refused_first(tmp_path):
    done = hwgen("run", "--profile", tmp_path / "no" / "p.json", "--", "true")
    assert done.exit_code != 0
    assert "change --profile" in done.output + str(done.exception)


@pytest.mark.parametrize("option", ["--check", "--assert", "--backend=rtl"])
def test_what_needs_a_design_is_refused_without_one(tmp_path, option):
    done = hwgen("run", "--profile", tmp_path / "p.json", option, "--", "true")
    assert done.exit_code != 0
    assert "give a design" in done.output or "give --design" in done.output
