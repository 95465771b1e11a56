"""Products on a device have the bits of the kernels; its faults never reach the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from blas_run import SOURCES, BlasRun, blas_library, compile_c
from device_designs import make_build

from hwgen.runtime.description import describe
from hwgen.runtime.device import compile_device
from hwgen.runtime.library import library_path
from hwgen.runtime.summary import read_summary
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

BF16 = {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "fp32"}
DATAPATHS = {
    "bf16": BF16,
    "mixed": {"a": "int4", "b": "bf16", "acc": "window:msb=9,lsb=-20,ovf=8", "out": "bf16"},
    "int8_has_no_nan": {"a": "int8", "acc": "int:32"},
    "posit16": {"a": "posit16", "acc": "window:msb=9,lsb=-20,ovf=8"},
    "mxfp4": {"a": "mxfp4", "acc": "window:msb=20,lsb=-40,ovf=8"},
    "scales": {"a": "mxfp4:block=8", "acc": "window:msb=20,lsb=-30,ovf=4,per=block"},
    "fma": {"a": "bf16", "acc": "fma:fp32,lanes=4"},
    "dot": {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9,dot=3"},
    "fp64": {"a": "fp64", "acc": "window:msb=20,lsb=-100,ovf=20", "out": "fp64"},
}
PRODUCTS = """
rng = np.random.default_rng(3)
a, b = rng.standard_normal((11, 37)) * 3, rng.standard_normal((37, 13))
a[4, 2], b[3, 7] = np.nan, np.inf
results = []
for kind in 'fd':
    x, y = a.astype(kind), b.astype(kind)
    results += [x @ y, y.T @ x.T, x @ x.T, x @ y[:, 0], x[0] @ y, x[:1] @ y[:, :1]]
    results += [(x + 1j * x[::-1]) @ (y - 2j * y)]
np.savez(__import__('sys').argv[1], *results)
"""


@pytest.fixture(scope="module")
def fake_device(tmp_path_factory) -> Path:
    blas_library()
    kernels = library_path("hwgen")
    return compile_c(
        tmp_path_factory.mktemp("device"),
        "fake_device",
        (Path(__file__).parent / "fake_device.c").read_text("utf-8"),
        *("-shared", "-fPIC", f"-I{SOURCES}", "-Wall", "-Wextra", "-Werror"),
        *(str(kernels), f"-Wl,-rpath,{kernels.parent}"),
    )


def device_run(folder: Path, device: Path, datapath: dict, fault: str = "", **settings) -> BlasRun:
    folder.mkdir(exist_ok=True)
    run = BlasRun(folder, datapath, device=device, **settings)
    path = Datapath.parse(**datapath)
    run.environment |= {"FAKE_DATAPATH": describe(path), "FAKE_DOT": str(path.dot)}
    run.environment["FAKE_DEVICE"] = fault
    return run


def save_products(run: BlasRun) -> bytes:
    path = run.folder / "results.npz"
    run.python(PRODUCTS.replace("__import__('sys').argv[1]", repr(str(path))))
    return path.read_bytes()


@pytest.mark.parametrize("name", DATAPATHS)
def test_a_device_gives_the_bits_of_the_kernels(tmp_path, fake_device, name):
    (tmp_path / "kernels").mkdir()
    on_kernels = BlasRun(tmp_path / "kernels", DATAPATHS[name])
    on_device = device_run(tmp_path / "device", fake_device, DATAPATHS[name], log=True)
    assert save_products(on_device) == save_products(on_kernels)
    assert {line["ran"] for line in on_device.log()} == {"rtl"}
    assert not any(use.failed_calls for use in on_device.uses().values())


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", ["bf16", "scales", "dot"])
def test_the_circuit_itself_gives_the_bits_of_the_kernels(tmp_path, name):
    blas_library()
    build = make_build(Design(datapath=Datapath.parse(**DATAPATHS[name]), rows=3, cols=2), tmp_path)
    device = compile_device(build.folder)
    run = device_run(tmp_path / "device", device, DATAPATHS[name], assert_same=True)
    save_products(run)
    array = read_summary(run.folder).array
    assert (array.rows, array.cols) == (3, 2)
    assert 0 < array.beats <= array.cycles
    assert not any(use.failed_calls or use.native_calls for use in run.uses().values())


def test_assert_finds_nothing_wrong_with_a_right_device(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, assert_same=True)
    save_products(run)
    assert sum(use.served_calls for use in run.uses().values()) > 10


def test_assert_stops_the_program_where_a_bit_differs(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, "wrong", assert_same=True, min_mnk=3)
    done = run.python("np.ones((4, 4), 'f4') @ np.ones((4, 4), 'f4')", check=False)
    assert done.returncode < 0
    assert "scipy_cblas_sgemm64_: device and kernels differ at row 0, column 0" in done.stderr


def test_the_work_of_the_array_is_counted(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, min_mnk=3)
    run.python("np.ones((4, 6), 'f4') @ np.ones((6, 11), 'f4')")
    array = read_summary(tmp_path).array
    # 2 x 3 tiles of 6 terms.
    assert (array.rows, array.cols, array.beats, array.cycles) == (3, 5, 36, 43)


FAULTY = """
a = np.full((4, 4), 2, 'f4')
for _ in range(3):
    c = a @ a
    assert (c == 16).all(), c
"""


def test_a_device_that_does_not_open_is_told_once(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, "closed", min_mnk=3, log=True)
    done = run.python(FAULTY)
    told = done.stderr.splitlines()
    assert len(told) == 2
    assert "cannot open the device in" in told[0]
    assert told[0].endswith("it is broken")
    assert "scipy_cblas_sgemm64_ (m=4 n=4 k=4): the device failed; computed natively" in told[1]
    use = run.uses()["scipy_cblas_sgemm64_"]
    assert (use.served_calls, use.native_calls, use.failed_calls) == (0, 3, 3)
    assert {line["reason"] for line in run.log()} == {"the device failed", "min_mnk"}


def test_a_device_that_fails_on_the_way_leaves_the_rest_to_the_original(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, "broken", min_mnk=3)
    run.python(FAULTY)
    use = run.uses()["scipy_cblas_sgemm64_"]
    assert (use.served_calls, use.native_calls, use.failed_calls) == (1, 2, 2)


def test_a_fault_amid_a_routine_is_finished_natively(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, DATAPATHS["fp64"], "broken", min_mnk=3, log=True)
    # Two blocks of rows, in place: the first one is the device's.
    source = """
import ctypes, os
library = ctypes.CDLL(None)
a, b = np.triu(np.arange(1.0, 1601).reshape(40, 40)), np.ones((40, 2))
expected = (a[:, :, None] * b).sum(1)
n, two, one = ctypes.c_int64(40), ctypes.c_int64(2), ctypes.c_double(1)
call = [141, 121, 111, 131, n, two, one, ctypes.c_void_p(a.ctypes.data), n]
library.cblas_dtrmm64_(101, *call, ctypes.c_void_p(b.ctypes.data), two)
assert np.array_equal(b, expected)
"""
    run.python(source)
    use = run.uses()["cblas_dtrmm64_"]
    assert (use.served_calls, use.native_calls, use.failed_calls) == (1, 0, 1)
    assert run.log()[-1]["reason"] == "finished natively"


def test_calls_of_several_threads_take_turns(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, "slow", min_mnk=3)
    run.python(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "a = np.ones((9, 9), 'f4')\n"
        "with ThreadPoolExecutor(4) as pool: list(pool.map(lambda _: a @ a[::-1], range(40)))"
    )
    assert run.uses()["scipy_cblas_sgemm64_"].served_calls == 40


def test_a_forked_child_opens_the_device_anew(tmp_path, fake_device):
    run = device_run(tmp_path, fake_device, BF16, min_mnk=3)
    run.python(
        "import os; a = np.ones((3, 4), 'f4'); b = np.ones((4, 5), 'f4'); a @ b\n"
        "child = os.fork()\n"
        "c = a @ b; assert (c == 4).all()\n"
        "if child: assert os.waitpid(child, 0)[1] == 0"
    )
    array = read_summary(tmp_path).array
    assert array.beats == 2 * 4 + 4
