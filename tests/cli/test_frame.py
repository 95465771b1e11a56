"""The command line's frame: help, exit codes, and errors as one line."""

from __future__ import annotations

import errno
import importlib
import subprocess
import sys
import types

import click
import pytest
from click.testing import CliRunner

import hwgen
from hwgen.cli import _VERBS, cli
from hwgen.errors import FormatError, ToolError, UnsupportedError

HWGEN = [sys.executable, "-c", "import hwgen.cli; hwgen.cli.main()"]


def run(*words: str):
    return CliRunner().invoke(cli, words)


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make the verb ``formats`` raise ``error``."""

    @click.command("formats")
    def command():
        raise error

    monkeypatch.setitem(sys.modules, "hwgen.cli.formats", types.SimpleNamespace(command=command))


def test_version_is_the_package_version():
    assert run("--version").output == f"hwgen {hwgen.__version__}\n"


def test_help_lists_every_verb_with_its_line():
    output = run("--help").output
    for name, verb in _VERBS.items():
        assert f"  {name}" in output
        assert verb.help in output


@pytest.mark.parametrize("verb", _VERBS)
def test_every_listed_verb_exists_and_its_help_has_an_example(verb):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"hwgen {verb} " in result.output
    assert "--json" in result.output


@pytest.mark.parametrize("verb", _VERBS)
def test_a_verb_s_module_holds_its_command(verb):
    assert importlib.import_module(_VERBS[verb].module).command.name == verb


def test_without_a_verb_help_is_shown_and_it_counts_as_misuse():
    result = run()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Verbs:" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FormatError("no such format"), 2, "hwgen: error: no such format\n"),
        (UnsupportedError("not\n  built"), 2, "hwgen: error: not built\n"),
        (
            ToolError("icarus failed", hint="install it"),
            1,
            "hwgen: error: icarus failed; install it\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "build/x"),
            1,
            "hwgen: error: build/x: No space left on device\n",
        ),
        (OSError("odd"), 1, "hwgen: error: odd\n"),
        (click.UsageError("wrong"), 2, "hwgen: error: wrong; see hwgen formats --help\n"),
        (click.Abort(), 130, "hwgen: interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_with_its_exit_code(monkeypatch, error, code, line):
    raising(monkeypatch, error)
    result = run("formats")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", line)


def test_an_interrupt_exits_130_without_a_traceback(monkeypatch):
    raising(monkeypatch, KeyboardInterrupt())
    result = run("formats")
    assert result.exit_code == 130
    assert result.stderr.split() == ["hwgen:", "interrupted"]


def test_a_fault_of_hwgen_itself_keeps_its_traceback(monkeypatch):
    raising(monkeypatch, ZeroDivisionError("a bug"))
    assert isinstance(run("formats").exception, ZeroDivisionError)


def test_verbose_adds_what_the_tool_said(monkeypatch):
    error = ToolError("nextpnr failed", command="nextpnr-ecp5 x", version="0.11", log="a\nb\n")
    raising(monkeypatch, error)
    result = run("--verbose", "formats")
    assert result.exit_code == 1
    assert result.stderr == (
        "hwgen: error: nextpnr failed\n"
        "command: nextpnr-ecp5 x\nversion: 0.11\nits last output:\na\nb\n"
    )


def test_without_verbose_the_line_says_how_to_see_more(monkeypatch):
    raising(monkeypatch, ToolError("nextpnr failed", log="a\nb\n"))
    stderr = run("formats").stderr
    assert stderr.count("\n") == 1
    assert "hwgen --verbose formats" in stderr


def test_a_command_may_exit_with_a_status(monkeypatch):
    raising(monkeypatch, click.exceptions.Exit(1))
    assert run("formats").exit_code == 1


def test_a_reader_that_leaves_early_causes_no_noise():
    process = subprocess.Popen(
        [*HWGEN, "formats"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1


def test_misuse_of_the_real_program_is_one_line_and_exit_2():
    result = subprocess.run([*HWGEN, "fromats"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("hwgen: error: no verb 'fromats'; did you mean formats?")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["formats"], ["generate", "--help"]], ids=" ".join)
def test_small_verbs_load_neither_circuits_nor_tools(words):
    program = (
        "import sys, hwgen.cli\n"
        "try: hwgen.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'amaranth', 'cocotb', 'pyosys', 'scipy'} & set(sys.modules)\n"
        "print(*heavy, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert result.stderr.split() == []


def test_importing_hwgen_is_cheap():
    program = "import sys, hwgen; print('numpy' in sys.modules, 'amaranth' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", [name for name in hwgen.__all__ if name != "__version__"])
def test_the_facade_s_names_come_from_their_homes(name):
    assert getattr(hwgen, name) is getattr(importlib.import_module(hwgen._HOMES[name]), name)


def test_the_facade_has_nothing_else():
    assert dir(hwgen) == sorted(hwgen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'gem'"):
        _ = hwgen.gem
