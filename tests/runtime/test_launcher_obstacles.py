"""Why a program is out of reach, as its file tells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwgen.runtime.obstacles import obstacles

PYTHON = Path(sys.executable)


def compiled(folder: Path, *options: str) -> Path:
    """Compile a program that does nothing; skips without the means."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    source, program = folder / "program.c", folder / "program"
    source.write_text("int main(void) { return 0; }\n")
    command = ["cc", *options, str(source), "-o", str(program)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"cc does not know {' '.join(options)}")
    return program


def test_a_usual_program_has_none():
    assert obstacles(PYTHON, PYTHON) == []


@pytest.mark.parametrize("option", ["-static", "-static-pie"])
def test_a_statically_linked_program_is_named(option, tmp_path):
    program = compiled(tmp_path, option)
    assert obstacles(program, PYTHON) == [
        f"{program} is linked statically, with all libraries inside"
    ]


def test_a_script_is_judged_by_its_interpreter(tmp_path):
    program = compiled(tmp_path, "-static")
    script = tmp_path / "script"
    script.write_text(f"#!{program} -x\n")
    assert "linked statically" in obstacles(script, PYTHON)[0]
    script.write_text("#!/usr/bin/env -S sh\n")
    assert obstacles(script, PYTHON) == []


def test_a_program_with_rights_of_its_own_is_named(tmp_path, monkeypatch):
    program = tmp_path / "program"
    shutil.copy(PYTHON, program)
    program.chmod(0o4755)
    assert obstacles(program, PYTHON) == []  # it is ours, so the rights are the same
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert "setuid" in obstacles(program, PYTHON)[0]


def test_a_program_for_another_processor_is_named(tmp_path):
    head = bytearray(PYTHON.read_bytes()[:64])
    head[18:20] = (0x1234).to_bytes(2, "little")
    head[56:58] = bytes(2)  # no segments
    program = tmp_path / "program"
    program.write_bytes(head)
    assert "another kind of processor" in obstacles(program, PYTHON)[0]


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!\n", b"#!/no/such\n", b"text"])
def test_what_is_no_program_has_none(content, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(content)
    assert obstacles(program, PYTHON) == []
