"""Starting programs: their exit status, signals, and what cannot be started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hwgen.runtime.launcher import StartError, find_program, launch

# Tests may run where signals are ignored, as under nohup, and programs inherit that.
DEFAULTS = """
import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, signal.SIG_DFL)
"""

LAUNCH = f"""{DEFAULTS}
import os, sys
from hwgen.runtime.launcher import launch
status = launch(sys.argv[1:], os.environ)
print("status", status)
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os; os.abort()", 134),
    ],
    ids=["success", "failure", "killed", "aborted"],
)
def test_the_program_s_exit_status_is_returned_as_a_shell_has_it(program, status):
    assert launch(python(program), os.environ) == status


def test_the_program_gets_the_environment_and_no_signal_is_blocked_in_it():
    program = (
        "import os, signal;"
        "mask = signal.pthread_sigmask(signal.SIG_BLOCK, []);"
        "raise SystemExit(0 if os.environ['WORD'] == 'x' and not mask else 1)"
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert launch(python(program), {**os.environ, "WORD": "x"}) == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


WAITING = f"{DEFAULTS}import time; print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_from_elsewhere_reaches_the_program_and_the_launcher_goes_on(number):
    with subprocess.Popen(
        [*python(LAUNCH), *python(WAITING)], stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"status {128 + number}\n"
    assert process.returncode == 0


def test_a_signal_to_the_whole_group_reaches_the_program_once():
    program = (
        "import signal, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 1\n"
        "while time.monotonic() < end: time.sleep(0.05)\n"
        "raise SystemExit(len(seen))\n"
    )
    # The sender must be in the group, as timeout and make are.
    sender = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
        "process.stdout.readline()\n"
        "os.killpg(0, signal.SIGINT)\n"
        "print(process.stdout.read())\n"
    )
    command = [*python(sender), *python(LAUNCH), *python(program)]
    done = subprocess.run(
        command, capture_output=True, text=True, process_group=0, timeout=60, check=True
    )
    assert done.stdout.strip() == "status 1"


def test_a_program_is_found_by_its_path_and_in_the_path():
    assert find_program(sys.executable, {}) == Path(sys.executable)
    assert find_program("sh", os.environ).name == "sh"


@pytest.mark.parametrize(
    ("name", "mode", "status", "advice"),
    [
        ("missing", None, 127, "nowhere in PATH"),
        ("./missing", None, 127, "no such file"),
        ("train.py", 0o644, 126, "write python train.py"),
        ("tool", 0o755, 126, "write ./tool"),
        (".", None, 126, "a folder"),
    ],
)
def test_what_cannot_be_run_gets_a_shell_s_status_and_advice(
    name, mode, status, advice, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if mode is not None:
        Path(name).touch()
        Path(name).chmod(mode)
    with pytest.raises(StartError, match=advice) as caught:
        find_program(name, os.environ)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("echo hi\n", 126, "a script needs a first line"),
        ("#!/no/such/shell\n", 127, "its interpreter is missing"),
    ],
)
def test_a_script_that_does_not_start_says_why(text, status, message, tmp_path):
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(0o755)
    with pytest.raises(StartError, match=message) as caught:
        launch([str(script)], os.environ)
    assert caught.value.status == status
