"""``hwgen report``: an exploration as a page, a summary, or plots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwgen.cli.console import json_option, print_json, working
from hwgen.errors import HwgenError

if TYPE_CHECKING:
    from hwgen.explore.records import Exploration
    from hwgen.report import Plots

__all__ = ["command"]

_FORMATS = ("html", "md")


@click.command("report")
@click.argument("exploration", type=click.Path(path_type=Path), metavar="EXPLORATION")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: beside the exploration]",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    help="A page, or a summary in Markdown.  [default: as FILE's ending, else html]",
)
@click.option(
    "--svg",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write the plots as SVG files too.",
)
@json_option
def command(
    exploration: Path, output: Path | None, style: str | None, folder: Path | None, as_json: bool
) -> None:
    """Write what an exploration found as one page that needs nothing else.

    EXPLORATION is the folder that hwgen tailor made, or the exploration.json in it. The page holds
    its plots and its program: it reads on a phone and without a network.

    \b
    Examples:
    hwgen report build/tailored
    hwgen report build/swe/exploration.json -o swe.html
    hwgen report build/swe/exploration.json --format md --svg plots
    """
    if exploration.is_dir():
        exploration = exploration / "exploration.json"
    if style is None:
        ending = output.suffix.lower() if output is not None else ""
        style = "md" if ending in (".md", ".markdown") else "html"
    if output is None:
        output = exploration.with_suffix(f".{style}")
    _check(exploration, output, folder)
    from hwgen.report import draw_plots, html_page, load, markdown_summary

    found = load(exploration)
    plots = None
    if style == "html" or folder is not None:
        with working("drawing the plots"):
            plots = draw_plots(found)
    files = {} if folder is None else _write_plots(folder, plots)
    if style == "html":
        text = html_page(found, plots)
    else:
        pictures = plots.pictures if plots is not None else []
        text = markdown_summary(found, [(_link(files[p.name], output), p) for p in pictures])
    _write(output, text)
    _print(found, [output, *files.values()], as_json=as_json)


def _check(exploration: Path, output: Path, folder: Path | None) -> None:
    """Refuse what cannot be written, before anything is read."""
    if output.is_dir():
        raise HwgenError(f"{output} is a folder; name a file with -o")
    if not output.parent.is_dir():
        raise HwgenError(f"no folder {output.parent}; make it, or name another file with -o")
    if output.exists() and exploration.exists() and output.samefile(exploration):
        raise HwgenError(f"{output} is the exploration itself; name another file with -o")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise HwgenError(f"{folder} is a file; name a folder with --svg")
    if folder is not None and not folder.parent.is_dir():
        raise HwgenError(f"no folder {folder.parent}; make it, or name another one with --svg")


def _write_plots(folder: Path, plots: Plots) -> dict[str, Path]:
    """Write every plot; return the files by the plots' names."""
    from hwgen.report import standalone

    folder.mkdir(exist_ok=True)
    files = {picture.name: folder / f"{picture.name}.svg" for picture in plots.pictures}
    for picture in plots.pictures:
        _write(files[picture.name], standalone(picture))
    return files


def _write(path: Path, text: str) -> None:
    """Write a file aside first, so that a half of it is never taken for all."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _link(path: Path, page: Path) -> str:
    """Return the path as seen from the page."""
    return Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix()


def _print(found: Exploration, files: list[Path], *, as_json: bool) -> None:
    if as_json:
        print_json({"designs": len(found.points), "files": [str(path) for path in files]})
        return
    for path in files:
        click.echo(f"{path}  {path.stat().st_size / 1000:.0f} kB")
