"""The command line: ``hwgen VERB ...``.

Each verb is one module of this package and is imported when it is used, so that ``hwgen --help``
and small verbs start at once. This module holds what all verbs share: the list of verbs, and the
rule that every error a user can cause is one line on stderr.

Exit codes: 0 done, 1 it failed, 2 misuse, 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click
from click.exceptions import NoArgsIsHelpError

from hwgen import __version__
from hwgen.errors import HwgenError, ToolError

__all__ = ["cli", "main"]

FAILED, MISUSE, INTERRUPTED = 1, 2, 130


class _Verb(NamedTuple):
    """Where a verb lives, and its line in ``hwgen --help``."""

    module: str
    help: str


# The command in each module is called ``command``.
_VERBS = {
    "generate": _Verb("hwgen.cli.generate", "Write a design's Verilog, manifest and testbench."),
    "simulate": _Verb(
        "hwgen.cli.simulate", "Run the written Verilog against the model, bit by bit."
    ),
    "synth": _Verb("hwgen.cli.synth", "Synthesise, place and route; report area and speed."),
    "run": _Verb("hwgen.cli.run", "Run a program, its matrix products in a design's arithmetic."),
    "tailor": _Verb("hwgen.cli.tailor", "Find the cheapest design on which a program still works."),
    "size": _Verb("hwgen.cli.size", "Find the narrowest accumulator that is safe for your data."),
    "report": _Verb("hwgen.cli.report", "Show what an exploration found, as a page or a summary."),
    "formats": _Verb("hwgen.cli.formats", "List the number formats, or describe some of them."),
}


class _ToolFailed(click.ClickException):
    """A ToolError on its way out: its line, and if wanted what the tool said."""

    def __init__(self, error: ToolError, *, verbose: bool, verb: str | None) -> None:
        message = str(error)
        if error.log and not verbose:
            message += f"; hwgen --verbose {verb} ... shows its last output"
        super().__init__(message)
        said = (
            ("command: ", error.command),
            ("version: ", error.version),
            ("its last output:\n", error.log.rstrip()),
        )
        self.details = [title + text for title, text in said if text and verbose]


class _Hwgen(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = _VERBS.get(cmd_name)
        return None if verb is None else importlib.import_module(verb.module).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _VERBS and not name.startswith("-"):
            close = difflib.get_close_matches(name, _VERBS, n=1)
            guess = f"did you mean {close[0]}?" if close else f"known are {', '.join(_VERBS)}"
            raise click.UsageError(f"no verb {name!r}; {guess}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The base class would import every verb for its short help.
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in _VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ToolError as error:
            verb = ctx.invoked_subcommand
            raise _ToolFailed(error, verbose=ctx.params["verbose"], verb=verb) from error

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> None:  # type: ignore[override]
        """Run the command line and exit."""
        extra.update(prog_name="hwgen", standalone_mode=False)
        sys.exit(self._run(args, extra))

    def _run(self, args: Sequence[str] | None, extra: dict[str, Any]) -> int:
        try:
            status = super().main(args, **extra)
            if sys.stdout is not None:  # None if the caller closed it
                sys.stdout.flush()
        except NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help(), err=True)
            return MISUSE
        except _ToolFailed as error:
            return _report(error.message, FAILED, details=error.details)
        except click.ClickException as error:
            return _report(_with_help(error), MISUSE)
        except click.Abort:
            return _report("interrupted", INTERRUPTED)
        except HwgenError as error:
            return _report(str(error), MISUSE)
        except BrokenPipeError:
            # The reader has seen enough. Python flushes once more at exit: let that go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except OSError as error:
            reason = error.strerror or str(error)
            return _report(f"{error.filename}: {reason}" if error.filename else reason, FAILED)
        return status if isinstance(status, int) else 0


def _with_help(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    ctx = getattr(error, "ctx", None)
    return f"{message}; see {ctx.command_path} --help" if ctx is not None else message


def _report(message: str, status: int, *, details: Sequence[str] = ()) -> int:
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    click.echo(f"hwgen: {'' if status == INTERRUPTED else 'error: '}{line}", err=True)
    for detail in details:
        click.echo(detail, err=True)
    return status


@click.group(
    cls=_Hwgen,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--verbose", is_flag=True, help="If a tool fails, show its command and last output.")
def cli(verbose: bool) -> None:
    """Generate matrix-multiply hardware in your own arithmetic, simulate it and measure it.

    \b
    hwgen generate --a bf16 --acc window:msb=5,lsb=-30,ovf=9 --rows 8 --cols 8 -o build/demo
    hwgen simulate build/demo
    hwgen synth build/demo --target ecp5
    """


def main() -> None:
    """Entry point of the ``hwgen`` program."""
    cli.main()
