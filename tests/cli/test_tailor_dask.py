"""``hwgen tailor --dask``: trials and energies on the workers of a cluster within this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hwgen.cli import cli
from hwgen.errors import ToolError
from hwgen.explore import element_energy, pools
from hwgen.explore.outcome import chosen_point
from hwgen.explore.records import Exploration

pytestmark = [
    # Dask's own: of asyncio, of sockets that close late, of ports that are taken.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
]
APP = """
import numpy as np, pathlib
pathlib.Path("runs").open("a").write("x")
r = np.random.default_rng(1)
a, b = r.normal(size=(9, 20)).astype(np.float32), r.normal(size=(20, 7)).astype(np.float32)
a @ b
"""


def energy(words: dict[str, str], liberty: str | None, operands: object = None) -> dict:
    """Stand for a measurement: wider is dearer."""
    acc = dict(part.split("=") for part in words["acc"].partition(":")[2].split(",") if "=" in part)
    window = "msb" in acc  # the others are fused units, with or without lanes
    wide = float(int(acc["msb"]) + int(acc["ovf"]) - int(acc["lsb"])) if window else 90.0
    known = {"energy_pj": wide, "area_um2": wide, "fmax_mhz": 100.0, "library": "made up"}
    return known | {"energies": {"recorded": wide} if operands else {}}


@pytest.fixture
def address(blas_library, monkeypatch, tmp_path):
    """The address of a scheduler with two workers."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(element_energy, "measure_element", energy)
    monkeypatch.setattr(element_energy, "check_library", lambda liberty: None)
    monkeypatch.chdir(tmp_path)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with distributed.LocalCluster(
        **options, protocol="tcp", host="127.0.0.1", dashboard_address=None, silence_logs=40
    ) as cluster:
        yield cluster.scheduler_address.removeprefix("tcp://")


def tailor(address: str):
    words = ["--tolerance", "0.02", "--formats", "bf16", "--designs", "2", "-o", "out"]
    command = ["tailor", *words, "--dask", address, "--", sys.executable, "app.py"]
    return CliRunner().invoke(cli, command)


def test_a_search_on_a_cluster_finds_a_design_and_keeps_what_it_measured(address):
    Path("app.py").write_text(APP)
    done = tailor(address)
    assert done.exit_code == 0, done.output
    result = Exploration.read(Path("out/exploration.json"))
    chosen = chosen_point(result.points)
    assert chosen.error <= 0.02
    assert chosen.energies == {"recorded": chosen.energy_pj}
    assert (Path("out/design") / "manifest.json").is_file()
    runs = len(Path("runs").read_text())
    assert runs == 2 + len(result.points)
    # All of it was kept here, where the search was started.
    assert tailor(address).exit_code == 0
    assert len(Path("runs").read_text()) == runs
    assert Exploration.read(Path("out/exploration.json")).points == result.points


def test_a_program_with_other_numbers_each_time_is_refused(address):
    Path("app.py").write_text(APP.replace("default_rng(1)", "default_rng()"))
    done = tailor(address)
    assert done.exit_code == 2
    assert "other numbers each time" in done.output


def test_a_program_that_fails_on_a_worker_is_told(address):
    Path("app.py").write_text("raise SystemExit('it is broken')")
    done = tailor(address)
    assert done.exit_code == 2
    assert "with status 1; it said: it is broken" in done.output


def test_an_address_where_nobody_answers_is_told(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(pools, "_CONNECT_S", 1)
    with (
        pytest.raises(ToolError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9"),
        pools.pool(1, "127.0.0.1:9"),
    ):
        pass
