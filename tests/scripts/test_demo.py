"""The demonstration runs, on a small array and without place and route, and says what it found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.sim
def test_the_demonstration_agrees_with_the_model(tmp_path):
    build = tmp_path / "demo"
    result = _run("--rows", "2", "--cols", "3", "--no-synth", "-o", str(build))
    assert result.returncode == 0, result.stderr
    assert "equal bit for bit" in result.stdout
    assert "of 450 test images" in result.stdout
    for place in ("rtl", "tb", "sim", "manifest.json"):
        assert (build / place).exists()
        assert str(build / place) in result.stdout.replace("\n", "")


def test_a_mistake_is_one_line(tmp_path):
    result = _run("--rows", "0", "--no-synth", "-o", str(tmp_path / "demo"))
    assert result.returncode == 2
    assert result.stderr.strip() == "demo: error: rows is 0; allowed is 1 to 1024"
    assert not (tmp_path / "demo").exists()
