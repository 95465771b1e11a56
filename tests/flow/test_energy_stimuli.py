"""Stimuli: what they look like, what they are in beats, and how wrong results are."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.flow.stimuli import KINDS, draw, recorded, relative_error
from hwgen.spec.datapath import Datapath

BF16 = Datapath.parse(a="bf16", acc="window:msb=7,lsb=-22,ovf=2")
INT8 = Datapath.parse(a="int8", acc="int:32")


def drawn(kind: str, datapath: Datapath = BF16, seed: int = 1, rows: int = 2, cols: int = 3):
    return draw(kind, seed, datapath, rows=rows, cols=cols, terms=64, blocks=4)


def test_the_kinds_are_what_they_are_called():
    values = {
        kind: (BF16.a.to_float(one.a), BF16.b.to_float(one.b))
        for kind in KINDS
        for one in [drawn(kind)]
    }
    assert all(a.shape == (4, 2, 64) and b.shape == (4, 64, 3) for a, b in values.values())
    a, b = values["gaussian"]
    assert abs(a.mean()) < 0.2 < 0.8 < a.std() < 1.2
    assert abs(b.mean()) < 0.2
    a, b = values["relu"]
    assert 0.4 < (a == 0).mean() < 0.6
    assert a.min() == 0 > b.min()
    a, b = values["skewed"]
    assert min(a.min(), b.min()) > 0
    assert np.median(a) < 0.8 * a.mean()


def test_fixed_point_operands_fill_their_range():
    values = INT8.a.to_float(drawn("gaussian", INT8).a)
    assert 25 < values.std() < 40


def test_seeds_differ_and_repeat():
    assert np.array_equal(drawn("relu").a, drawn("relu").a)
    assert not np.array_equal(drawn("relu").a, drawn("relu", seed=2).a)
    assert not np.array_equal(drawn("relu").b, drawn("gaussian").b)


def test_beats_and_results_are_those_of_the_streams():
    one = drawn("gaussian", INT8)
    lines = one.lines(INT8)
    assert [len(lines[side]) for side in "ab"] == [4 * 64, 4 * 64]
    last = int(lines["b"][63], 16)
    assert last >> 24 == 1
    assert [last >> 8 * lane & 0xFF for lane in range(3)] == one.b[0, 63].tolist()
    assert int(lines["b"][62], 16) >> 24 == 0
    rows = one.expected(INT8)
    a, b = (fmt.astype(np.int8).astype(np.int64) for fmt in (one.a, one.b))
    assert [row[0] for row in rows] == ["0", "1"] * 4
    word = int(rows[5][2], 16)
    assert word & 0xFFFFFFFF == int((a[2] @ b[2])[1, 0]) & 0xFFFFFFFF
    assert {row[1] for row in rows} == {"000"}


def test_the_error_is_that_of_the_results():
    one = drawn("skewed", rows=8, cols=8)
    fine = relative_error(one.a[0], one.b[0], BF16)
    coarse = Datapath.parse(a="bf16", acc="window:msb=7,lsb=-6,ovf=2")
    assert fine < 1e-7 < 1e-4 < relative_error(one.a[0], one.b[0], coarse) < 0.1
    assert drawn("gaussian", INT8).error == 0.0


def test_the_error_of_an_invalid_result_is_none():
    narrow = Datapath.parse(a="bf16", acc="window:msb=0,lsb=-8,ovf=1")
    assert drawn("skewed", narrow).error is None


def test_the_error_of_a_raw_register_is_that_of_its_value():
    raw = Datapath.parse(a="bf16", acc="window:msb=7,lsb=-22,ovf=2", out="raw")
    assert 0 < drawn("gaussian", raw).error < 1e-6


def test_recorded_operands_become_tiles(tmp_path):
    a, b = np.arange(12.0).reshape(4, 3), np.arange(15.0).reshape(3, 5)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    files = tmp_path / "a.npy", tmp_path / "b.npy"
    one = recorded(*files, INT8, rows=2, cols=2, blocks=5)
    assert (one.kind, one.blocks, one.terms, one.error) == ("recorded", 5, 3, 0.0)
    assert np.array_equal(one.a[1], a[:2])
    assert np.array_equal(one.b[1], b[:, 2:4])
    assert np.array_equal(one.a[2], a[2:])
    assert np.array_equal(one.b[4], b[:, :2])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((4, 3)), np.zeros((2, 4)), "columns of the first must be as many"),
        (np.zeros((1, 3)), np.zeros((3, 4)), "less than the array's 2 x 2"),
        (np.zeros(4), np.zeros((3, 4)), "due is a matrix of real numbers"),
        (np.zeros((4, 3), complex), np.zeros((3, 4)), "due is a matrix of real numbers"),
    ],
)
def test_recorded_operands_that_do_not_fit_are_refused(tmp_path, a, b, message):
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    with pytest.raises(HwgenError, match=message):
        recorded(tmp_path / "a.npy", tmp_path / "b.npy", INT8, rows=2, cols=2, blocks=1)


def test_a_recording_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    for name in ("none.npy", "text.npy"):
        with pytest.raises(HwgenError, match=f"cannot read .*{name}"):
            recorded(tmp_path / name, tmp_path / name, INT8, rows=1, cols=1, blocks=1)
