"""The inference experiment: its plan, its search, its statistics, and who computed the products."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
from pathlib import Path

import inference_data
import numpy as np
import pytest
from inference_page import write_page
from inference_plan import STARTS, Case, paper_cases, paper_windows
from inference_program import digits_program, find_python
from inference_search import Search
from inference_statistics import Difference, wilson
from inference_trials import Trials, check_summary

from hwgen.errors import HwgenError, ToolError
from hwgen.explore.cache import Cache
from hwgen.spec.accumulator import Overflow, Window, parse_accumulator

APP = Path(inference_data.__file__).with_name("inference_app.py")


def summary(**changes) -> dict:
    total = {"served_flops": 200, "served_calls": 4, "native_calls": 1, "native_flops": 4}
    return {"total": {**total, "failed_calls": 0, **changes}, "unreachable": []}


def test_the_paper_has_27_windows_each_a_step_from_a_start():
    windows = paper_windows()
    assert len(windows) == len(set(windows)) == 27
    for window in windows:
        steps = [
            sum(getattr(window, name) != getattr(start, name) for name in ("ovf", "msb", "lsb"))
            for start in STARTS
        ]
        assert min(steps) <= 1
    cases = paper_cases("fp32")
    assert len({case.accumulator for case in cases}) == 54
    assert {case.window.overflow for case in cases} == {Overflow.NAN, Overflow.SATURATE}


def test_every_multiplication_must_have_been_served():
    assert check_summary(summary(), macs=100) == 4
    for changes in ({"served_flops": 198}, {"failed_calls": 1}, {"native_flops": 6}):
        with pytest.raises(HwgenError, match="not everything"):
            check_summary(summary(**changes), macs=100)
    lost = {**summary(), "unreachable": [{"what": "torch: oneDNN", "why": "", "calls": 1}]}
    with pytest.raises(HwgenError, match="oneDNN"):
        check_summary(lost, macs=100)


@pytest.mark.parametrize(("top", "lsb", "msb"), [(3, -7, 1), (0, -20, -1), (12, 3, 11)])
def test_the_search_finds_the_narrowest_window(top, lsb, msb):
    def loss(case: Case) -> float:
        window = parse_accumulator(case.accumulator)
        enough = window.msb + window.ovf >= top and window.lsb <= lsb and window.msb >= msb
        return 0.0 if enough else 50.0

    search = Search(operands="fp32", overflow=Overflow.NAN, worst_loss=loss, allowed=1.0)
    assert search.narrowest() == Window(ovf=top - msb, msb=msb, lsb=lsb)


def test_the_search_says_when_nothing_serves():
    search = Search(
        operands="e4m3", overflow=Overflow.NAN, worst_loss=lambda case: 2.0, allowed=1.0
    )
    with pytest.raises(HwgenError, match="even in"):
        search.narrowest()


def test_wilson_gives_the_published_interval():
    # Newcombe, Statist. Med. 17, 1998, 857-872, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_intervals_of_a_difference_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(3)
    shares = np.array([0.90, 0.05, 0.02, 0.03])
    held = 0
    for counts in random.multinomial(400, shares, size=1000):
        low, high = Difference(
            **dict(zip(("both", "lost", "won", "neither"), map(int, counts), strict=True))
        ).interval
        held += low <= 3 <= high
    assert 925 <= held <= 985


def test_a_difference_is_not_certain_where_none_was_seen():
    low, high = Difference(both=1770, lost=0, won=0, neither=27).interval
    assert -0.5 < low < 0 < high < 0.5


def test_folds_hold_out_each_image_once_with_every_class():
    labels = np.repeat(np.arange(10), 37)
    fold = inference_data.folds(labels)
    assert set(fold) == set(range(5))
    counts = [np.bincount(labels[fold == number], minlength=10) for number in range(5)]
    assert np.min(counts) >= 7
    assert np.max(counts) <= 8


def test_cifar_is_read_and_a_file_that_would_run_something_is_not(tmp_path):
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    pixels = np.arange(2 * 3072, dtype=np.int64).astype(np.uint8).reshape(2, 3072)
    batch = {b"data": pixels, b"labels": [3, 8]}
    (place / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    pictures = inference_data.open_pictures(tmp_path)
    assert (pictures.kind, pictures.labels) == ("cifar", [3, 8])
    (found,) = pictures.batches(16)
    assert found.shape == (2, 3, 32, 32)
    assert found[0, 0, 0, 1] == pytest.approx((1 / 255 - 0.4914) / 0.2470)

    class Command:
        def __reduce__(self):
            return os.system, ("true",)

    (place / "test_batch").write_bytes(pickle.dumps({b"data": Command(), b"labels": []}))
    with pytest.raises(inference_data.DataError, match="it holds posix.system"):
        inference_data.open_pictures(tmp_path)


def test_imagenets_tree_is_read_by_the_order_of_its_classes(tmp_path):
    with pytest.raises(inference_data.DataError, match="val/<class>"):
        inference_data.open_pictures(tmp_path)
    image = pytest.importorskip("PIL.Image")
    for number, name in enumerate(("n02", "n01")):
        (tmp_path / "val" / name).mkdir(parents=True)
        picture = image.new("RGB", (300, 200 + 100 * number), (255 * number, 0, 0))
        picture.save(tmp_path / "val" / name / "a.JPEG")
    pictures = inference_data.open_pictures(tmp_path)
    assert pictures.labels == [0, 1]
    (found,) = pictures.batches(4)
    assert found.shape == (2, 3, 224, 224)
    assert found[0, 0].mean() > 2 > -2 > found[1, 0].mean()


@pytest.fixture
def python(blas_library) -> str:
    try:
        return find_python(None)
    except ToolError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_a_folder_without_what_is_needed_is_one_clear_line(python, tmp_path):
    (tmp_path / "val" / "n01").mkdir(parents=True)
    command = [python, str(APP), "folder", "--folder", str(tmp_path), "--models", "resnet18"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("inference_app: error: ")
    assert "val/<class>/*.JPEG" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_networks_answer_under_hwgen_as_natively_until_the_window_is_too_narrow(python, tmp_path):
    pytest.importorskip("sklearn")
    options = argparse.Namespace(cache=tmp_path, models="mlp,vgg", images=60, epochs=10)
    trials = Trials(digits_program(python, options, lambda line: None), Cache(tmp_path))
    native = trials.native()
    assert all(right.mean() > 0.8 for right in native.right.values())
    wide = trials.answers(Case(operands="fp32", accumulator="window:msb=20,lsb=-60,ovf=9"))
    assert wide.served > 0
    for name, right in native.right.items():
        assert (wide.right[name] == right).all()
    narrow = Case(operands="fp32", accumulator="window:msb=-1,lsb=-24,ovf=1")
    saturated = Case(operands="fp32", accumulator=f"{narrow.accumulator},overflow=saturate")
    assert all(invalid.all() for invalid in trials.answers(narrow).invalid.values())
    assert not any(invalid.any() for invalid in trials.answers(saturated).invalid.values())


def test_the_published_page_can_be_made_again_from_its_numbers(tmp_path):
    path = Path(__file__).parents[2] / "docs" / "experiments" / "inference.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 60_000
    write_page(results, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for window in paper_windows():
        triple = f"({window.ovf}, {window.msb}, {window.lsb})".replace("-", "\N{MINUS SIGN}")
        assert triple in text
