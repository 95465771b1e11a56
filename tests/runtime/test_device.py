"""The emitted Verilog inside this process gives the model's bits, in the cycles of the formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from device_designs import DATAPATHS, make_build, make_design, model_cycles, random_blocks

from hwgen.emit.folder import Build
from hwgen.errors import FormatError, SpecError
from hwgen.flow.patterns import random_patterns
from hwgen.model import gemm_bits
from hwgen.model.blocks import terms_of
from hwgen.runtime.device import Device, compile_device, device_gemm_bits
from hwgen.spec.timing import timing

pytestmark = pytest.mark.sim

SIZES = ((2, 2), (4, 3))


@pytest.fixture(autouse=True)
def cache(request, monkeypatch) -> None:
    """A cache that outlives the test run: names in it change with what they are made from."""
    monkeypatch.setenv("HWGEN_CACHE", str(request.config.cache.mkdir("hwgen")))


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> Callable[..., Build]:
    """Return a function that generates a build, or finds it already generated."""
    builds: dict[str, Build] = {}

    def find(name: str, rows: int, cols: int) -> Build:
        design = make_design(name, rows, cols)
        if design.digest not in builds:
            builds[design.digest] = make_build(design, tmp_path_factory.mktemp("build"))
        return builds[design.digest]

    return find


# Each datapath on one of the arrays every day, and on the other now and then.
_CASES = [
    pytest.param(
        (name, rows, cols), id=f"{name}-{rows}x{cols}", marks=[pytest.mark.slow] * (place % 2)
    )
    for first, name in enumerate(DATAPATHS)
    for place, (rows, cols) in enumerate(SIZES, start=first)
]


@pytest.fixture(params=_CASES)
def device(request, make) -> Iterator[tuple[Build, Device]]:
    build = make(*request.param)
    with Device(compile_device(build.folder), build.design) as opened:
        yield build, opened


def check(build: Build, a: np.ndarray, b: np.ndarray, c: np.ndarray, status: np.ndarray) -> None:
    design = build.design
    for i in range(len(a)):
        x, y = (terms_of(beats[i], design.datapath.dot) for beats in (a, b))
        bits, flags = gemm_bits(x.T, y, design.datapath, lanes=(design.rows, design.cols))
        np.testing.assert_array_equal(c[i], bits, f"block {i} of {a.shape}")
        np.testing.assert_array_equal(status[i], flags, f"block {i} of {a.shape}")
        assert c.dtype == bits.dtype


def test_bits_and_status_are_the_models(device):
    build, opened = device
    rng = np.random.default_rng(1)
    for terms in range(1, 41):
        a, b = random_blocks(build.design, 3, terms, rng)
        check(build, a, b, *opened.run(a, b))


def test_cycles_are_those_of_the_array_model(device):
    build, opened = device
    when = timing(build.design)
    rng = np.random.default_rng(2)
    full = when.full_rate_block
    lengths = {1, 2, 3, when.lanes + 1, max(1, full - 1), full, full + 1, 3 * full + 1}
    for blocks, terms in [(1, 5), *((6, terms) for terms in sorted(lengths))]:
        before = opened.state()
        a, b = random_blocks(build.design, blocks, terms, rng)
        check(build, a, b, *opened.run(a, b))
        after = opened.state()
        cycles = after.cycles - before.cycles
        assert cycles == model_cycles(build.design, a, b), (blocks, terms)
        assert after.beats - before.beats == blocks * terms
        if blocks == 1:
            assert cycles == when.cycles(terms, build.design.rows)


def test_long_blocks_keep_the_array_busy(make):
    build = make("e4m3", 4, 3)
    blocks, terms = 200, timing(build.design).full_rate_block
    with Device(compile_device(build.folder), build.design) as opened:
        a, b = random_blocks(build.design, blocks, terms, np.random.default_rng(3))
        check(build, a, b, *opened.run(a, b))
        state = opened.state()
    rest = timing(build.design).cycles(terms, 4) - terms
    assert (state.beats, state.cycles) == (blocks * terms, blocks * terms + rest)
    assert state.macs == 12 * state.beats
    assert state.utilisation == state.beats / state.cycles
    assert state.seconds(100) == pytest.approx(state.cycles * 1e-8)


@pytest.mark.parametrize("name", ["bf16", "raw131", "mxfp4", "dot"])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (5, 7, 4), (4, 3, 3), (9, 40, 13)])
def test_a_product_of_any_size_is_tiled(make, name, m, k, n):
    build = make(name, *SIZES[list(DATAPATHS).index(name) % 2])
    path = build.design.datapath
    rng = np.random.default_rng(4)
    a = random_patterns(path.a, (m, k), rng, specials=True)
    b = random_patterns(path.b, (k, n), rng, specials=True)
    c, status, state = device_gemm_bits(build.folder, a, b)
    bits, flags = gemm_bits(a, b, path)
    np.testing.assert_array_equal(c, bits)
    np.testing.assert_array_equal(status, flags)
    assert state.digest == build.design.digest
    blocks = -(-m // build.design.rows) * -(-n // build.design.cols)
    assert state.beats == blocks * build.design.beats(k)
    assert state.macs == state.beats * build.design.rows * build.design.cols * path.dot


def test_a_product_may_take_several_runs(make, monkeypatch):
    monkeypatch.setattr("hwgen.runtime.device._STAGE_BYTES", 300)
    build = make("bf16", 2, 2)
    rng = np.random.default_rng(5)
    a, b = (random_patterns(build.design.datapath.a, shape, rng) for shape in ((7, 9), (9, 5)))
    c, status, _ = device_gemm_bits(build.folder, a, b)
    bits, flags = gemm_bits(a, b, build.design.datapath)
    np.testing.assert_array_equal(c, bits)
    np.testing.assert_array_equal(status, flags)


def test_a_device_serves_several_threads(make):
    build = make("bf16", 2, 2)
    rng = np.random.default_rng(6)
    work = [random_blocks(build.design, 4, terms, rng) for terms in range(1, 30)]
    with Device(compile_device(build.folder), build.design) as opened:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda pair: opened.run(*pair), work))
        assert opened.state().beats == sum(a.shape[0] * a.shape[1] for a, _ in work)
    for (a, b), result in zip(work, results, strict=True):
        check(build, a, b, *result)


def test_devices_of_one_library_and_of_several_do_not_meet(make):
    builds = [make("bf16", 2, 2), make("bf16", 2, 2), make("int8", 2, 2)]
    opened = [Device(compile_device(build.folder), build.design) for build in builds]
    rng = np.random.default_rng(7)
    for terms in (5, 9):
        for build, device in zip(builds, opened, strict=True):
            a, b = random_blocks(build.design, 2, terms, rng)
            check(build, a, b, *device.run(a, b))
    assert {device.state().beats for device in opened} == {28}
    for device in opened:
        device.close()


def test_what_does_not_fit_is_refused(make):
    build = make("bf16", 2, 2)
    good = np.zeros((1, 3, 2), np.uint16)
    with Device(compile_device(build.folder), build.design) as opened:
        for a, b in (
            (good[0], good),
            (good, good[:, :2]),
            (good[..., :1], good),
            (good[:, :0],) * 2,
        ):
            with pytest.raises(SpecError, match=r"must be \(blocks, beats, 2\)"):
                opened.run(a, b)
        assert opened.state().cycles == 0
        assert opened.state().utilisation == 0
    with pytest.raises(SpecError, match="the device is closed"):
        opened.run(good, good)
    opened.close()
    with pytest.raises(SpecError, match="every dimension must be at least 1"):
        device_gemm_bits(build.folder, good[0, :, :0], good[0, :0])
    with pytest.raises(FormatError, match="no pattern of bf16"):
        device_gemm_bits(build.folder, np.full((2, 2), 1 << 16), good[0, :2])
