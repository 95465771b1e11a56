"""From a design to area, timing and energy in standard cells, as a whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from energy_cells import TEXT

from hwgen.errors import HwgenError, ToolError, UnsupportedError
from hwgen.flow import asic
from hwgen.flow.asic import Conditions, estimate_asic, find_library
from hwgen.flow.targets import load_target
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

pytestmark = [pytest.mark.synth, pytest.mark.sim, pytest.mark.usefixtures("gate_tools")]

SMALL = Conditions(terms=8, macs=16, seeds=1)


@pytest.fixture
def liberty(tmp_path) -> Path:
    folder = tmp_path / "a library"
    folder.mkdir()
    (folder / "tiny.lib").write_text(TEXT, encoding="utf-8")
    return folder / "tiny.lib"


def design(rows: int = 1, cols: int = 1, **names: str) -> Design:
    path = Datapath.parse(**(names or {"a": "int4", "acc": "int:12"}))
    return Design(datapath=path, rows=rows, cols=cols)


def test_a_small_element_is_mapped_simulated_and_weighed(tmp_path, liberty):
    report = estimate_asic(design(), tmp_path / "out", liberty=liberty, conditions=SMALL)
    pe, rounder = report.parts
    assert (report.library, report.voltage, report.scope) == ("tiny", 2.0, "pe")
    assert set(pe.cells) <= {"INV", "NAND2", "XOR2", "BUF", "DFF"}
    # Two operands and the token, a product, its end token, the sum and the drain register.
    assert pe.flip_flops == pe.cells["DFF"] >= 2 * 4 + 1 + 8 + 1 + 2 * 12
    assert pe.area == sum(
        count * {"INV": 4, "NAND2": 9, "XOR2": 16, "BUF": 6, "DFF": 25}[cell]
        for cell, count in pe.cells.items()
    )
    assert pe.fmax_mhz == pytest.approx(1e3 / pe.period_ns, rel=1e-3)
    assert report.kinds == ("gaussian", "relu", "skewed")
    assert rounder.name == "rounder"
    for figure in report.energies:
        assert (figure.macs, figure.cycles, figure.error) == (16, 16, 0.0)
        # 2 V, 40 fF and 0.4 pJ inside a flip-flop, and the wires.
        assert figure.mac.clock > pe.flip_flops * (4 * 0.04 + 0.4)
        assert 0 < figure.mac.settled < figure.mac.nets + figure.mac.cells
        assert figure.dot_product_pj == pytest.approx(
            8 * figure.mac.dynamic + figure.rounding.dynamic
        )
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert written == json.loads(report.to_json())
    assert written["energies"][0]["mac_pj"]["dynamic"] == report.energies[0].mac.dynamic
    assert (tmp_path / "out" / "library.lib").is_symlink()


def test_the_same_seed_gives_the_same_energy(tmp_path, liberty):
    options = {"liberty": liberty, "kinds": ["relu"], "conditions": SMALL}
    first = estimate_asic(design(), tmp_path / "first", **options)
    again = estimate_asic(design(), tmp_path / "again", **options)
    assert first.energies == again.energies


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [(r"~\((g\d+\.n\d+) & ", r"~(~\1 & "), (r"<= g", "<= ~g"), (r" \^ ", " | ")],
    ids=["gate", "register", "exclusive or"],
)
def test_a_faulty_netlist_is_refused(tmp_path, liberty, monkeypatch, pattern, replacement):
    whole = asic.gates_verilog

    def faulty(netlist, edges, *, module, seed):
        text = whole(netlist, edges, module=module, seed=seed)
        if not module.startswith("pe"):
            return text
        faults = list(re.finditer(pattern, text))
        middle = faults[len(faults) // 2]
        return text[: middle.start()] + middle.expand(replacement) + text[middle.end() :]

    monkeypatch.setattr(asic, "gates_verilog", faulty)
    with pytest.raises(ToolError, match="does not compute what its RTL does, so no energy is told"):
        estimate_asic(
            design(), tmp_path / "out", liberty=liberty, kinds=["gaussian"], conditions=SMALL
        )
    assert not (tmp_path / "out" / "report.json").exists()


def test_results_that_are_not_the_models_are_refused(tmp_path, liberty, monkeypatch):
    emitted = asic.emit_verilog

    def negating(lane: Design) -> str:
        # The same fault in RTL and netlist: only the model can tell.
        text, count = re.subn(r"(?m)^(  assign bits = )(.*);$", r"\1~(\2);", emitted(lane))
        assert count
        return text

    monkeypatch.setattr(asic, "emit_verilog", negating)
    with pytest.raises(ToolError, match="are not the golden model's, so no energy is told"):
        estimate_asic(
            design(), tmp_path / "out", liberty=liberty, kinds=["gaussian"], conditions=SMALL
        )


def test_a_whole_array_is_measured_through_its_streams(tmp_path, liberty):
    report = estimate_asic(
        design(rows=2, cols=2),
        tmp_path / "out",
        liberty=liberty,
        scope="array",
        kinds=["gaussian"],
        conditions=SMALL,
    )
    (core,), (figure,) = report.parts, report.energies
    assert core.name == "core"
    assert (figure.macs, figure.cycles, figure.rounding) == (64, 16, None)
    assert figure.rounded_mac_pj == figure.mac.dynamic
    assert sum(core.registers.values()) == core.flip_flops
    assert {"mesh", "admission", "column_buffers"} <= set(core.registers)


def test_recorded_operands_are_taken_tile_by_tile(tmp_path, liberty):
    random = np.random.default_rng(1)
    np.save(tmp_path / "a.npy", random.integers(-8, 8, (3, 5)))
    np.save(tmp_path / "b.npy", random.integers(-8, 8, (5, 4)))
    report = estimate_asic(
        design(),
        tmp_path / "out",
        liberty=liberty,
        operands=(tmp_path / "a.npy", tmp_path / "b.npy"),
        conditions=SMALL,
    )
    (figure,) = report.energies
    assert (figure.stimulus, figure.terms, figure.macs, figure.error) == ("recorded", 5, 20, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        {"a": "e2m1", "acc": "exact"},
        {"a": "bf16", "acc": "window:msb=7,lsb=-22,ovf=2"},
        {"a": "bf16", "acc": "fma:fp32,lanes=3"},
        {"a": "int8", "acc": "window:msb=14,lsb=6,ovf=3,round=stochastic", "out": "raw"},
    ],
    ids=["e2m1", "bf16", "fma", "stochastic"],
)
def test_elements_of_all_kinds_are_measured_in_the_default_library(tmp_path, names):
    if not any(path.is_file() for path in asic.OSU018_FILES):
        pytest.skip("needs OSU's cells: apt-get install qflow-tech-osu018")
    conditions = Conditions(terms=16, macs=48, seeds=1)
    report = estimate_asic(design(**names), tmp_path / "out", conditions=conditions)
    for figure in report.energies:
        assert figure.mac.zero_delay < figure.mac.dynamic
        assert figure.error is not None
        assert figure.error < 0.1


def test_synthesis_for_fpgas_says_where_asic_is():
    with pytest.raises(UnsupportedError, match="'asic' is no FPGA; call .*estimate_asic"):
        load_target("asic")


def test_a_missing_default_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(asic, "OSU018_FILES", (tmp_path / "none.lib",))
    with pytest.raises(ToolError, match="apt-get install qflow-tech-osu018"):
        find_library()
    with pytest.raises(HwgenError, match="there is no Liberty file .*other.lib"):
        find_library(tmp_path / "other.lib")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scope": "chip"}, "scope is 'chip'; known are pe, array"),
        ({"kinds": ["sine"]}, "unknown stimulus 'sine'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    tmp_path, liberty, options, message
):
    with pytest.raises(HwgenError, match=message):
        estimate_asic(design(), tmp_path / "out", liberty=liberty, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": 0}, "terms is 0; allowed is a whole number from 1"),
        ({"seeds": 2.5}, "seeds is 2.5"),
        ({"freq_mhz": 0}, "freq is 0"),
        ({"slew_ns": -1}, "slew is -1"),
    ],
)
def test_wrong_conditions_are_refused(options, message):
    with pytest.raises(HwgenError, match=message):
        Conditions(**options)


def test_a_library_without_a_flip_flop_is_told_from_what_is_left_unmapped(tmp_path, liberty):
    text = TEXT[: TEXT.index("  cell (DFF)")] + "}\n"
    liberty.write_text(text, encoding="utf-8")
    with pytest.raises((ToolError, UnsupportedError), match=r"unmapped|yosys failed"):
        estimate_asic(design(), tmp_path / "out", liberty=liberty, conditions=SMALL)
