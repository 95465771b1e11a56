"""How the kernels are called: threads, forks, the caller's rounding mode, what is refused."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest
from kernel_cases import assert_same, check, moderate_bits

import hwgen
from hwgen.errors import SpecError, ToolError
from hwgen.runtime import describe, gemm_bits, instruction_sets
from hwgen.runtime.library import kernels, library_path, read_datapath
from hwgen.spec.datapath import Datapath

WINDOW = {"a": "bf16", "acc": "window:msb=10,lsb=-12,ovf=8", "out": "fp32"}
PATHS = [
    WINDOW,
    {"a": "fp32", "acc": "exact"},
    {"a": "bf16", "acc": "fma:fp32"},
    {"a": "int:60", "acc": "int:90", "out": "int:60"},
    {"a": "bf16", "acc": "window:msb=10,lsb=-12,ovf=8,round=stochastic", "out": "fp32"},
]
IDS = [" ".join(names.values()) for names in PATHS]


@pytest.mark.parametrize("names", PATHS, ids=IDS)
@pytest.mark.parametrize("threads", [0, 2, 3, 40])
def test_the_number_of_threads_changes_no_bit(names, threads, rng):
    datapath = Datapath.parse(**names)
    a = moderate_bits(datapath.a, (200, 9), rng)
    b = moderate_bits(datapath.b, (9, 400), rng)
    one = gemm_bits(a, b, datapath, threads=1)
    many = gemm_bits(a, b, datapath, threads=threads)
    for single, several in zip(one, many, strict=True):
        assert np.array_equal(single, several)


def test_several_threads_may_call_at_once(rng):
    datapath = Datapath.parse(**WINDOW)
    a, b = moderate_bits(datapath.a, (120, 50), rng), moderate_bits(datapath.b, (50, 210), rng)
    expected, _ = gemm_bits(a, b, datapath)
    wrong = []

    def call() -> None:
        for _ in range(10):
            bits, _ = gemm_bits(a, b, datapath, threads=2)
            if not np.array_equal(bits, expected):
                wrong.append(bits)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


FORK = """
import os
import numpy as np
import hwgen
datapath = hwgen.Datapath.parse(a="fp32", acc="window:msb=20,lsb=-20,ovf=9")
a = np.ones((300, 300))
assert (hwgen.gemm(a, a, datapath, threads=2) == 300).all()
child = os.fork()
assert (hwgen.gemm(a, a, datapath, threads=2) == 300).all()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_has_threads_of_its_own():
    subprocess.run(
        [sys.executable, "-W", "ignore:This process", "-c", FORK], check=True, timeout=60
    )


@pytest.mark.skipif(sys.platform != "linux", reason="sets the rounding mode through glibc")
@pytest.mark.parametrize("names", PATHS, ids=IDS)
def test_the_callers_rounding_mode_is_kept_and_does_not_matter(names, rng):
    datapath = Datapath.parse(**names)
    a, b = moderate_bits(datapath.a, (20, 60), rng), moderate_bits(datapath.b, (60, 30), rng)
    expected = gemm_bits(a, b, datapath)
    library = ctypes.CDLL("libm.so.6")
    upward = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
    try:
        assert library.fesetround(upward) == 0
        given = gemm_bits(a, b, datapath)
        kept = library.fegetround()
    finally:
        library.fesetround(0)
    assert kept == upward
    for got, want in zip(given, expected, strict=True):
        assert np.array_equal(got, want)


FLUSHED = [
    ("fp64", "fma:fp64", -1030),
    ("fp32", "fma:fp32", -135),
    ("fp64", "window:msb=-960,lsb=-999,ovf=9", -1030),
]


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="sets MXCSR through glibc"
)
@pytest.mark.parametrize(("fmt", "acc", "scale"), FLUSHED)
def test_subnormals_that_the_caller_has_flushed_count(fmt, acc, scale, instructions, rng):
    """Flush to zero and denormals are zero, as programs linked with -ffast-math set them."""
    datapath = Datapath.parse(a=fmt, acc=acc)
    a = datapath.a.from_float(np.ldexp(rng.standard_normal((20, 60)), scale))
    b = datapath.b.from_float(np.ldexp(rng.standard_normal((60, 30)), 40))
    expected = gemm_bits(a, b, datapath)
    library = ctypes.CDLL("libm.so.6")
    found, flushed, kept = (ctypes.create_string_buffer(32) for _ in range(3))  # fenv_t
    library.fegetenv(found)
    control = int.from_bytes(found.raw[28:], "little") | 0x8040
    flushed.raw = found.raw[:28] + control.to_bytes(4, "little")
    try:
        library.fesetenv(flushed)
        given = gemm_bits(a, b, datapath, engine=instructions)
        library.fegetenv(kept)
    finally:
        library.fesetenv(found)
    assert kept.raw[28:] == flushed.raw[28:]
    assert_same(given, expected)


def test_instruction_sets_are_known_and_end_with_the_portable_one():
    assert instruction_sets()[-1] == "portable"
    assert set(instruction_sets()) <= {"avx512", "avx2", "portable"}


def test_faulty_calls_are_refused():
    datapath = Datapath.parse(**WINDOW)
    ones = np.ones((2, 2), dtype=np.uint16)
    with pytest.raises(SpecError, match="unknown engine 'c:mmx'; known here are c, c:"):
        gemm_bits(ones, ones, datapath, engine="c:mmx")
    with pytest.raises(SpecError, match="threads is -1"):
        gemm_bits(ones, ones, datapath, threads=-1)
    with pytest.raises(SpecError, match=r"lanes is \(0, 1\)"):
        gemm_bits(ones, ones, datapath, lanes=(0, 1))
    with pytest.raises(SpecError, match="the columns of a"):
        gemm_bits(np.ones((2, 3), dtype=np.uint16), ones, datapath)
    with pytest.raises(ToolError, match=r"libhwgen_none.* was not found"):
        library_path("hwgen_none")


def test_the_facade_has_the_kernels():
    datapath = hwgen.Datapath.parse(**WINDOW)
    assert (hwgen.gemm(np.ones((3, 4)), np.ones((4, 5)), datapath) == 4).all()
    for engine in ("c", "numpy", "exact"):
        bits, _ = hwgen.gemm_bits(
            np.full((1, 2), 0x3F80), np.full((2, 1), 0x4000), datapath, engine=engine
        )
        assert bits.tolist() == [[0x40800000]]


def test_noncontiguous_and_wider_patterns_are_taken(rng):
    datapath = Datapath.parse(**WINDOW)
    a = moderate_bits(datapath.a, (40, 30), rng).astype(np.int64)
    b = moderate_bits(datapath.b, (60, 50), rng)
    check(a[::2, ::-1], b[::2].T[::3].T, datapath, "c")


GOOD = describe(Datapath.parse(**WINDOW))
FMA_RAW = "fma 8 23 1; out raw"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("hwgen 1", "hwgen 2", "out of range"),
        ("hwgen 1; ", "", "a section is missing"),
        ("window", "windows", "a word is unknown"),
        ("float 8 7", "float 8 x", "malformed"),
        ("float 8 7", "float 8 70", "out of range"),
        ("window 10 -12 8", "window 10 12 0", "width is out of range"),
        ("zero nan 0 0", "zero nan 0 0 16", "need block-scaled operands"),
        ("zero nan 0 0", "zero nan 0 0 0 2 9", "too many words"),
        ("zero nan 0 0", "zero nan 0 0 0 17", "out of range"),
        ("zero nan 0 0", "zero nan 0 0 16 2", "scale blocks are added one at a time"),
        ("out ", "a float 8 7 ieee infinity; out ", "a section stands twice"),
        ("a float 8 7 ieee infinity", "a block e8m0 4 block e8m0 4 posit 8 2", "cannot stand here"),
        ("a float 8 7 ieee infinity", "a block e8m0 4 posit 8 2", "the element of a block"),
        ("a float 8 7 ieee infinity", "a block e8m0 4 float 11 52 ieee infinity", "the element"),
        ("a float 8 7 ieee infinity", "a block e8m0 4 float 6 1 none saturate", "the element"),
        ("a float 8 7 ieee infinity", "a block e4m3 4 float 4 3 nan saturate", "the element"),
        ("a float 8 7 ieee infinity", "a block e4m3 4 fixed 2 2 signed", "the element"),
        ("a float 8 7 ieee infinity", "a fixed 60 60 signed", "too wide"),
        ("a float 8 7 ieee infinity", "a posit 8", "a word is missing"),
        (
            "window 10 -12 8 zero nan 0 0; out float 8 23 ieee infinity",
            "fma 8 23 1; out raw",
            "a float",
        ),
        ("hwgen 1", "hwgen 1;" + 2000 * " ", "too long"),
    ],
)
def test_a_faulty_description_is_refused_with_its_fault(old, new, problem):
    assert old in GOOD
    with pytest.raises(ToolError, match=problem):
        read_datapath(GOOD.replace(old, new, 1))


def test_a_description_may_end_like_a_line_and_be_freed():
    error = ctypes.create_string_buffer(100)
    datapath = kernels().hwgen_datapath_read((GOOD + "\n").encode(), error, 100)
    assert datapath
    kernels().hwgen_datapath_free(datapath)
