"""The hook in Python programs: what it notes, and that it is not felt otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwgen.runtime.session import HOOK


def run(program: str, folder: Path, *paths: Path, hooked: bool = True) -> str:
    """Run a Python program with the hook; returns what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "HWGEN_RUN"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [HOOK, *paths]))
    if hooked:
        environment["HWGEN_RUN"] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def notes(folder: Path) -> list[dict]:
    return [
        entry
        for path in sorted(folder.glob("unreachable.*.json"))
        for entry in json.loads(path.read_text())
    ]


def package(folder: Path, name: str, text: str = "") -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


def test_a_plain_program_has_no_trace_of_it(tmp_path):
    program = "import sys; print([p for p in sys.path if 'hook' in p], sorted(sys.modules))"
    path, modules = run(program, tmp_path).split("] ", 1)
    assert path == "["
    assert "pathlib" not in modules
    assert "json" not in modules
    assert list(tmp_path.iterdir()) == []


def test_outside_a_run_it_does_nothing(tmp_path):
    paths = package(tmp_path / "modules", "jaxlib")
    assert run(
        "import sys, jaxlib; print('hwgen_hook' in sys.modules)", tmp_path, paths, hooked=False
    )
    assert notes(tmp_path) == []


def test_another_sitecustomize_still_runs_and_stays(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("greeting = 'hello'\n")
    program = "import sitecustomize; print(sitecustomize.greeting)"
    assert run(program, tmp_path, tmp_path) == "hello"
    assert run(program, tmp_path, tmp_path, hooked=False) == "hello"


@pytest.mark.parametrize("name", ["jaxlib", "onnxruntime", "tensorflow", "cupy"])
def test_packages_out_of_reach_are_noted_once_they_are_imported(name, tmp_path):
    paths = package(tmp_path / "modules", name, "value = 3\n")
    assert run(f"import {name}, {name} as again; print(again.value)", tmp_path, paths) == "3"
    (note,) = notes(tmp_path)
    assert note["what"] == name
    assert note["why"].startswith("imported")


def test_looking_for_a_package_is_not_importing_it(tmp_path):
    paths = package(tmp_path / "modules", "jaxlib")
    program = "import importlib.util as u; print(u.find_spec('jaxlib').name, u.find_spec('cupy'))"
    assert run(program, tmp_path, paths) == "jaxlib None"
    assert notes(tmp_path) == []


def test_a_note_survives_a_program_that_dies(tmp_path):
    paths = package(tmp_path / "modules", "jaxlib")
    run("import os, jaxlib; os._exit(0)", tmp_path, paths)
    assert len(notes(tmp_path)) == 1


def test_a_note_may_hold_any_text(tmp_path):
    text = 'a "b" \\ \n é'
    run(f"import hwgen_hook; hwgen_hook.note({text!r}, 'because', 2)", tmp_path)
    assert notes(tmp_path) == [{"what": text, "why": "because", "calls": 2}]


def test_a_note_goes_to_the_run_whatever_becomes_of_the_environment(tmp_path):
    paths = package(tmp_path / "modules", "jaxlib")
    (tmp_path / "elsewhere").mkdir()
    program = f"import os; os.chdir({str(tmp_path / 'elsewhere')!r}); os.environ.clear()"
    run(f"{program}; import jaxlib", tmp_path, paths)
    assert len(notes(tmp_path)) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_forked_child_does_not_repeat_its_parent_s_notes(tmp_path):
    paths = package(tmp_path / "modules", "jaxlib")
    program = "import os, jaxlib; pid = os.fork(); pid and os.waitpid(pid, 0)"
    run(program, tmp_path, paths)
    assert len(notes(tmp_path)) == 1


def test_a_package_that_cannot_be_routed_is_noted_and_works(tmp_path):
    # Called torch, but with nothing in it.
    paths = package(tmp_path / "modules", "torch", "value = 3\n")
    assert run("import torch; print(torch.value)", tmp_path, paths) == "3"
    (note,) = notes(tmp_path)
    assert note["what"] == "torch"
    assert note["why"].startswith("its products are not routed: ")


def test_calls_of_numpy_s_lapack_are_counted_and_give_the_same(tmp_path):
    program = (
        "import numpy as np\n"
        "a = np.array([[2.0, 0], [0, 4]])\n"
        "print(np.linalg.inv(a).tolist(), np.linalg.inv(a)[0, 0], np.linalg.svd(a)[1].tolist())\n"
        "np.linalg.norm(a)\n"
        "try: np.linalg.inv(a * 0)\n"
        "except np.linalg.LinAlgError: print('singular')\n"
    )
    assert run(program, tmp_path) == "[[0.5, 0.0], [0.0, 0.25]] 0.5 [4.0, 2.0]\nsingular"
    found = {note["what"]: note["calls"] for note in notes(tmp_path)}
    assert found == {"numpy.linalg.inv": 3, "numpy.linalg.svd_f": 1}


@pytest.mark.parametrize(
    ("end", "calls"),
    [("os.fork() and os.wait()", 2), ("os.fork() or inv(eye(2)); os._exit(0)", 2)],
    ids=["ended", "cut_off"],
)
def test_calls_of_numpy_s_lapack_are_counted_in_the_process_that_makes_them(tmp_path, end, calls):
    program = "import os; from numpy import eye; from numpy.linalg import inv; inv(eye(2))"
    run(f"{program}; {'inv(eye(2)); ' if 'wait' in end else ''}{end}", tmp_path)
    assert sum(note["calls"] for note in notes(tmp_path)) == calls
