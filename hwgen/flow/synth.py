"""From a build folder to a synthesis report: the order of the steps and the files they leave.

All files of a run lie in one folder; ``report.json`` is removed first and written last, so that a
run that failed or was cut off never looks complete.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.flow.multipliers import absorb_registers
from hwgen.flow.nextpnr import (
    Routed,
    pack_arguments,
    parse_report,
    parse_utilisation,
    place_arguments,
)
from hwgen.flow.records import Area, Placement, SeedResult, Step, SynthesisReport
from hwgen.flow.targets import Device, Target, load_target
from hwgen.flow.tools import Runner, Tool, find_nextpnr, find_yosys
from hwgen.flow.wrapper import HARNESS, INSTANCE, Port, serial_harness
from hwgen.flow.yosys import parse_counts, synthesis_script

__all__ = ["Progress", "synthesize"]

# What emission calls the parts worth mapping once, the large ones: PEs and rounders.
_REPEATED = r"(?:pe|round(?:_\w+)?)"
_MAX_SEEDS = 100
_MAX_FREQ_MHZ = 2000.0
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASS = re.compile(r"^[\d.]+ Executing (.+?) pass")
_PHASES = (
    ("Info: Running main analytical placer", "placing"),
    ("Info: Running simulated annealing placer", "refining the placement"),
    ("Info: Routing..", "routing"),
)
_STALE = (
    *("report.json", "core.v", "harness.v", "synth.ys"),
    *("netlist.json", "counts.json", "counts_all.json"),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is under way: a ``step``, what it is at, and whether it is over."""

    step: str
    detail: str
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """What a build folder says of its design."""

    name: str
    top: str
    digest: str
    rows: int
    cols: int
    ports: tuple[Port, ...]
    verilog: Path


def synthesize(
    build: str | Path,
    target: str,
    *,
    freq_mhz: float | None = None,
    seeds: int = 3,
    device: str | None = None,
    place: bool = True,
    flat: bool = False,
    jobs: int | None = None,
    output: str | Path | None = None,
    yosys: str | None = None,
    nextpnr: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SynthesisReport:
    """Synthesise a build for an FPGA family and, where the family has it, place and route it.

    Parameters
    ----------
    build : path
        A folder written by ``hwgen generate``.
    target : str
        "ecp5", "ice40" or "xcup"; see :func:`hwgen.flow.target_names`.
    freq_mhz : float, optional
        Requested clock frequency in MHz; the target's own by default, which is high, so that fmax
        is what the design can do. Synthesis makes logic no faster than this.
    seeds : int
        How many placements to make, 1 to 100, with seeds 1, 2, ...
    device : str, optional
        A device of the family; the smallest that fits by default.
    place : bool
        Whether to place and route the core, in a serial harness.
    flat : bool
        Map every PE and rounder by itself: a few per cent fewer cells for several times the time.
    jobs : int, optional
        Placements at a time; one a processor by default.
    output : path, optional
        Folder for report.json, logs and netlists; BUILD/synth/TARGET by default.
    yosys, nextpnr : str, optional
        Native programs to use instead of the Python packages.
    progress : callable, optional
        Called with a :class:`Progress` whenever there is something new; one call at a time, though
        not always from the calling thread.

    Returns
    -------
    SynthesisReport
        As written to report.json.

    Raises
    ------
    HwgenError
        If an argument is wrong, the folder is no build or cannot be written, or nothing fits.
    ToolError
        If a tool is missing or fails.
    """
    chosen = load_target(target)
    only = chosen.device(device) if device is not None else None
    freq_mhz = _checked_frequency(freq_mhz, chosen)
    _check_count("seeds", seeds, _MAX_SEEDS)
    jobs = min(seeds, os.cpu_count() or 1) if jobs is None else jobs
    _check_count("jobs", jobs, _MAX_SEEDS)
    source = _load_build(Path(build))
    tool = find_yosys(yosys)
    place = place and bool(chosen.place)
    placer = find_nextpnr(chosen.place, nextpnr) if place else None
    folder = Path(output) if output is not None else Path(build) / "synth" / target
    run = _Run(_prepared(folder), chosen, source, progress)
    area, harness = run.synthesise(tool, only=only, wrapped=place, flat=flat, freq_mhz=freq_mhz)
    placement = None
    if placer is not None:
        placement = run.place(placer, only=only, freq_mhz=freq_mhz, seeds=seeds, jobs=jobs)
    report = SynthesisReport(
        name=source.name,
        top=source.top,
        digest=source.digest,
        rows=source.rows,
        cols=source.cols,
        target=target,
        title=chosen.title,
        flat=flat,
        area=area,
        harness=harness,
        placement=placement,
        notes=chosen.notes,
        tools={entry.name: entry.version for entry in (tool, placer) if entry is not None},
        steps=tuple(run.steps),
    )
    _write_aside(folder / "report.json", report.to_json())
    return report


class _Run:
    """One run in one folder: keeps the steps made and passes progress on."""

    def __init__(
        self,
        folder: Path,
        target: Target,
        build: _Build,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.steps: list[Step] = []
        self._folder = folder
        self._target = target
        self._build = build
        self._progress = progress
        self._runner = Runner(folder)
        self._lock = threading.Lock()

    def synthesise(
        self, tool: Tool, *, only: Device | None, wrapped: bool, flat: bool, freq_mhz: float
    ) -> tuple[Area, Area | None]:
        """Run Yosys; return the area of the core and of the harness."""
        build, target = self._build, self._target
        # A copy: Yosys takes no path with spaces, and the folder stays complete in itself.
        shutil.copyfile(build.verilog, self._folder / "core.v")
        sources = ["core.v"]
        if wrapped:
            text = serial_harness(build.ports, core=build.top)
            (self._folder / "harness.v").write_text(text, encoding="utf-8")
            sources.append("harness.v")
        # Devices that may be chosen for the user share their synthesis arguments.
        device = only or next(iter(target.devices), None)
        script = synthesis_script(
            " ".join([target.synthesis, *(device.synthesis if device else ())]),
            sources=sources,
            core=build.top,
            freq_mhz=freq_mhz,
            shared=() if flat else _shared_modules(build),
            harness=HARNESS if wrapped else "",
        )
        (self._folder / "synth.ys").write_text(script, encoding="utf-8")
        self._tool("synthesis", tool, ["synth.ys"], log="yosys.log", notice=_yosys_pass)
        cells = dict(parse_counts(self._folder / "counts.json", build.top))
        if not wrapped:
            return target.area(cells), None
        total = parse_counts(self._folder / "counts_all.json", HARNESS)
        added = {cell: total[cell] - cells.get(cell, 0) for cell in total}
        if target.multiplier_registers:
            # Those of the core alone: the harness stays what it is in every design.
            netlist = self._folder / "netlist.json"
            moved = absorb_registers(netlist, inside=f"{INSTANCE}.")
            cells[target.multiplier_registers] -= moved
        return target.area(cells), target.area({cell: n for cell, n in added.items() if n})

    def place(
        self, tool: Tool, *, only: Device | None, freq_mhz: float, seeds: int, jobs: int
    ) -> Placement:
        """Choose the device, place and route with every seed, and sum up."""
        device = self._choose_device(tool, only)
        pool = ThreadPoolExecutor(max_workers=jobs)
        try:
            futures = [
                pool.submit(self._place_once, tool, device, freq_mhz, seed)
                for seed in range(1, seeds + 1)
            ]
            # The first failure ends the wait; those that stopping the others causes do not count.
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
            routed = [future.result() for future in futures]
        except BaseException:
            self._runner.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        results = [one.fmax_mhz for one in routed]
        middle = routed[results.index(statistics.median_low(results))]
        return Placement(
            device=device.name,
            requested_mhz=freq_mhz,
            seeds=tuple(SeedResult(seed=1 + i, fmax_mhz=fmax) for i, fmax in enumerate(results)),
            median_mhz=round(statistics.median(results), 2),
            min_mhz=min(results),
            max_mhz=max(results),
            critical_path=middle.critical_path,
            used=self._target.need(middle.used),
            available=device.capacity,
        )

    def _choose_device(self, tool: Tool, only: Device | None) -> Device:
        """Pack for the largest device, which tells the true need; take the smallest that fits."""
        largest = only or [device for device in self._target.devices if device.automatic][-1]
        arguments = pack_arguments(largest.place, top=HARNESS)
        self._tool("packing", tool, arguments, log="pack.log", notice=lambda line: None)
        log = (self._folder / "pack.log").read_text(encoding="utf-8")
        return self._target.smallest(parse_utilisation(log), only=only)

    def _place_once(self, tool: Tool, device: Device, freq_mhz: float, seed: int) -> Routed:
        report = f"seed{seed}.json"
        arguments = place_arguments(
            device.place, top=HARNESS, freq_mhz=freq_mhz, seed=seed, report=report
        )
        step = f"place and route {device.name}, seed {seed}"
        self._tool(step, tool, arguments, log=f"seed{seed}.log", notice=_nextpnr_phase)
        return parse_report(self._folder / report, instance=INSTANCE)

    def _tool(
        self,
        step: str,
        tool: Tool,
        arguments: list[str],
        *,
        log: str,
        notice: Callable[[str], str | None],
    ) -> None:
        """Run one tool as one step."""

        def on_line(line: str) -> None:
            detail = notice(line)
            if detail:
                with self._lock:
                    self._tell(Progress(step, detail))

        with self._lock:
            self._tell(Progress(step, "started"))
        seconds = self._runner.run(tool, arguments, log=log, on_line=on_line)
        command = " ".join([tool.typed, *arguments])
        with self._lock:
            self.steps.append(Step(name=step, command=command, seconds=round(seconds, 2)))
            self._tell(Progress(step, f"{seconds:.1f} s", finished=True))

    def _tell(self, news: Progress) -> None:
        if self._progress is not None:
            self._progress(news)


def _shared_modules(build: _Build) -> list[str]:
    """Name the parts that emission writes once and an array repeats, registers at their edges."""
    text = build.verilog.read_text(encoding="utf-8")
    return re.findall(rf"^module ({build.top}_{_REPEATED})\b", text, re.MULTILINE)


def _yosys_pass(line: str) -> str | None:
    match = _PASS.match(line)
    return match.group(1) if match else None


def _nextpnr_phase(line: str) -> str | None:
    return next((phase for start, phase in _PHASES if line.startswith(start)), None)


def _checked_frequency(freq_mhz: float | None, target: Target) -> float:
    if freq_mhz is None:
        return target.default_freq_mhz
    if isinstance(freq_mhz, bool) or not isinstance(freq_mhz, int | float):
        raise HwgenError(f"freq is {freq_mhz!r}; it must be a number of MHz")
    if not 1 <= freq_mhz <= _MAX_FREQ_MHZ:
        raise HwgenError(f"freq is {freq_mhz:g} MHz; allowed is 1 to {_MAX_FREQ_MHZ:g}")
    return float(freq_mhz)


def _check_count(what: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise HwgenError(f"{what} is {value!r}; allowed is a whole number from 1 to {most}")


def _load_build(folder: Path) -> _Build:
    """Read the manifest of a build folder."""
    again = "give a folder made by hwgen generate"
    if not folder.is_dir():
        raise HwgenError(f"there is no folder {folder}; {again}")
    path = folder / "manifest.json"
    try:
        table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        build = _Build(
            name=str(table["name"]),
            top=str(table["top"]),
            digest=str(table["digest"]),
            rows=int(table["rows"]),
            cols=int(table["cols"]),
            ports=tuple(
                Port(
                    name=str(port["name"]),
                    direction=str(port["direction"]),
                    width=int(port["width"]),
                )
                for port in table["ports"]
            ),
            verilog=folder / "rtl" / f"{table['name']}.v",
        )
    except FileNotFoundError:
        raise HwgenError(f"{folder} holds no manifest.json; {again}") from None
    except OSError as error:
        raise HwgenError(f"cannot read {path}: {error.strerror}; {again}") from None
    except KeyError as error:
        raise HwgenError(f"{path} lacks {error.args[0]!r}; generate the build again") from None
    except (ValueError, TypeError) as error:
        raise HwgenError(f"{path} is no manifest ({error}); generate the build again") from None
    if not _IDENTIFIER.fullmatch(build.top):
        raise HwgenError(f"{path} names the top {build.top!r}, which is no Verilog identifier")
    if not build.verilog.is_file():
        raise HwgenError(f"{build.verilog} is missing; generate the build again")
    return build


def _prepared(folder: Path) -> Path:
    """Make the output folder ready, without what an earlier run left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in [*(folder / name for name in _STALE), *folder.glob("seed*.json")]:
            path.unlink(missing_ok=True)
        _write_aside(folder / "yosys.log", "")
    except OSError as error:
        raise HwgenError(
            f"cannot write to {folder}: {error.strerror}; choose another output folder"
        ) from None
    return folder.resolve()


def _write_aside(path: Path, text: str) -> None:
    """Write a file that is never seen half-written."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
