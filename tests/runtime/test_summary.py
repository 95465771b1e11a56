"""What a run came to: counters of many processes added up, and what is said about them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from hwgen.errors import ToolError
from hwgen.runtime.session import RunSettings
from hwgen.runtime.summary import ArrayUse, numpy_advice, read_summary
from hwgen.spec.datapath import Datapath

SETTINGS = RunSettings(datapath=Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9"))
NONE = (0, 0, 0, 0, 0)


def counters(*records: tuple, device: tuple[int, ...] = NONE, used: int | None = None) -> bytes:
    """Return a file of counters, as the library lays it out (room for more records than used)."""
    count = len(records) if used is None else used
    head = struct.pack("<8sIIII", b"hwgenrun", 2, 96, count, 0) + struct.pack("<5Q", *device)
    return head + b"".join(struct.pack("<40s6Qd", *record) for record in records) + bytes(96)


def record(
    symbol: str,
    *,
    served: tuple[int, int] = (0, 0),
    native: tuple[int, int] = (0, 0),
    failed: int = 0,
    seconds: float = 0,
    error: float = 0,
) -> tuple:
    return (symbol.encode(), *served, *native, failed, int(seconds * 1e9), error)


def summary(folder: Path, **files: bytes):
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return read_summary(folder)


def test_the_symbols_of_all_processes_are_added_up_most_work_first(tmp_path):
    one = counters(record("ddot_", served=(1, 4)), record("sgemm_", served=(2, 100), seconds=1.5))
    two = counters(record("sgemm_", native=(3, 50), failed=1, error=0.5))
    found = summary(tmp_path, counters_10=one, counters_11=two)
    assert found.processes == 2
    assert [use.symbol for use in found.symbols] == ["sgemm_", "ddot_"]
    use = found.symbols[0]
    assert (use.served_calls, use.served_flops, use.native_calls, use.native_flops) == (
        2,
        100,
        3,
        50,
    )
    assert (use.failed_calls, use.seconds, use.max_error) == (1, 1.5, 0.5)
    assert use.served_share == pytest.approx(100 / 150)
    assert found.total.served_flops == 104


def test_a_process_that_execs_another_program_counts_once(tmp_path):
    files = {"counters_10": counters(record("dgemm_", served=(1, 2)))}
    files["counters_10_1"] = counters(record("dgemm_", served=(1, 3)))
    found = summary(tmp_path, **files)
    assert found.processes == 1
    assert found.total.served_flops == 5


@pytest.mark.parametrize("content", [b"", bytes(20), bytes(5000)], ids=["empty", "cut", "zeros"])
def test_a_file_that_a_crash_left_unfinished_counts_nothing(content, tmp_path):
    found = summary(tmp_path, counters_10=content)
    assert found.symbols == ()


def test_only_records_in_use_are_read(tmp_path):
    content = counters(record("a", served=(1, 1)), record("b", served=(1, 1)), used=1)
    assert [use.symbol for use in summary(tmp_path, counters_10=content).symbols] == ["a"]


def test_counters_of_another_version_are_refused(tmp_path):
    content = bytearray(counters())
    content[8] = 3
    with pytest.raises(ToolError, match=r"version 3 .* reads version 2 .* reinstall"):
        summary(tmp_path, counters_10=bytes(content))


def test_cycles_of_all_processes_are_added_up(tmp_path):
    # 3 cycles of 4 take operands; 48 MACs of 8 x 8 places of 2 in 40 cycles are of use.
    one = counters(record("sgemm_", served=(1, 64)), device=(30, 20, 8, 8, 2))
    two = counters(record("sgemm_", served=(1, 32)), device=(10, 10, 8, 8, 2))
    found = summary(tmp_path, counters_1=one, counters_2=two, counters_3=counters())
    assert found.array == ArrayUse(rows=8, cols=8, dot=2, cycles=40, beats=30)
    assert found.array.utilisation == 0.75
    assert found.array.useful(found.total.served_flops) == 48 / (128 * 40)
    assert found.array.seconds(20) == 2e-6


def test_an_array_that_did_nothing_divides_by_nothing():
    array = ArrayUse(rows=8, cols=8, dot=1, cycles=0, beats=0)
    assert (array.utilisation, array.useful(0)) == (0, 0)


def test_notes_of_all_processes_are_added_up(tmp_path):
    note = {"what": "numpy.linalg.inv", "why": "LAPACK", "calls": 2}
    other = {"what": "numpy.linalg.qr", "why": "LAPACK", "calls": 1}
    jax = {"what": "jaxlib", "why": "XLA", "calls": 0}
    (tmp_path / "unreachable.1.json").write_text(json.dumps([note, jax]))
    (tmp_path / "unreachable.2.json").write_text(json.dumps([note, other]))
    (tmp_path / "unreachable.3.json").write_text("[{")
    found = read_summary(tmp_path)
    assert found.warnings(SETTINGS)[1:] == [
        "not reached: numpy.linalg.inv (4 calls), numpy.linalg.qr (1 call): LAPACK",
        "not reached: jaxlib: XLA",
    ]


def test_no_call_at_all_is_said_with_possible_reasons(tmp_path):
    found = summary(tmp_path)
    assert found.warnings(SETTINGS)[0].startswith(
        "no BLAS call was seen: the program multiplies no"
    )
    assert found.warnings(SETTINGS, ["x is linked statically"]) == [
        "no BLAS call was seen: x is linked statically"
    ]


def test_a_run_that_was_served_wholly_has_no_warning(tmp_path):
    found = summary(tmp_path, counters_1=counters(record("sgemm_", served=(1, 2))))
    assert found.warnings(SETTINGS, ["x is linked statically"]) == []


@pytest.mark.parametrize(
    ("symbol", "failed", "change", "reason"),
    [
        ("scipy_cblas_dgemm64_", 0, {"precisions": "s"}, "--precisions"),
        ("cblas_gemm_bf16bf16f32", 0, {"precisions": "sdcz"}, "--precisions"),
        ("sbgemm_", 0, {"precisions": "sdcz"}, "--precisions"),
        ("dsdot_", 0, {"precisions": "dcz"}, "--precisions"),
        ("dgemm_", 0, {"min_mnk": 9}, "--min-mnk"),
        ("dgemm_", 0, {"min_mnk": 9, "only": ("k>8",)}, "--min-mnk or --only"),
        ("dgemm_", 1, {"only": ("k>8",)}, "failed, --only"),
        ("dgemm_", 3, {}, "failed"),
        ("dgemm_", 0, {}, "illegal arguments"),
    ],
)
def test_native_calls_have_a_reason(symbol, failed, change, reason, tmp_path):
    content = counters(record(symbol, native=(3, 30), failed=failed))
    found = summary(tmp_path, counters_1=content)
    settings = RunSettings(datapath=SETTINGS.datapath, **change)
    assert found.reason(found.symbols[0], settings) == reason
    first = found.warnings(settings)[0]
    assert first == f"nothing was served: all 3 BLAS calls ran natively because of {reason}"


def test_a_partly_native_run_is_never_silent(tmp_path):
    content = counters(record("sgemm_", served=(9, 750), native=(1, 250), failed=1))
    assert summary(tmp_path, counters_1=content).warnings(SETTINGS) == [
        "partly native: 1 BLAS call with 25.00% of the operations ran natively because of failed",
        "1 BLAS call failed in hwgen's arithmetic and ended natively",
    ]


def test_a_datapath_that_numpy_does_not_start_on_comes_with_advice():
    assert numpy_advice(SETTINGS.datapath) == ""
    narrow = Datapath.parse(a="fixed:1,7", acc="exact:terms=4", out="fp32")
    assert numpy_advice(narrow).startswith("1*1 + 1*1 is 1.96")
    assert "--min-mnk 3" in numpy_advice(narrow)


def test_the_dictionary_is_json_and_errors_are_there_only_if_compared(tmp_path):
    content = counters(
        record("sgemm_", served=(1, 200), error=float("inf")), device=(100, 50, 2, 2, 1)
    )
    found = summary(tmp_path, counters_1=content)
    plain = found.to_dict(SETTINGS, mhz=50)
    json.dumps(plain, allow_nan=False)
    assert plain["symbols"][0]["max_error"] is None
    assert plain["array"] == {
        "rows": 2,
        "cols": 2,
        "dot": 1,
        "cycles": 100,
        "beats": 50,
        "utilisation": 0.5,
        "useful": 0.25,
        "mhz": 50,
        "seconds": 2e-6,
    }
    checked = RunSettings(datapath=SETTINGS.datapath, check=True)
    assert found.to_dict(checked)["total"]["max_error"] == "infinite"
