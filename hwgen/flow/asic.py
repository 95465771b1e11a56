"""From a design to area, timing and energy in standard cells: the order of the steps.

The parts are mapped with Yosys onto the cells of a Liberty library, their netlists shadow the
running core that they were made from (:mod:`hwgen.flow.gate_bench`), and edges are counted while
they do. Nothing is said about energy unless every output of every cycle was that of the RTL, and
every result that of the golden model.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hwgen.emit import emit_verilog
from hwgen.errors import HwgenError, ToolError, UnsupportedError
from hwgen.flow.asic_records import AsicPart, AsicReport, EnergyFigure
from hwgen.flow.cell_library import Library
from hwgen.flow.cell_mapping import ADDERS_FILE, adders_verilog, mapping_script
from hwgen.flow.energy import Energy, clock_energy, measured_energy
from hwgen.flow.gate_bench import Schedule, Shadow, bench_verilog, compile_bench, run_bench
from hwgen.flow.gate_netlist import GateNetlist, Wires, read_netlist
from hwgen.flow.gate_simulation import Toggles, gates_verilog, read_toggles
from hwgen.flow.gate_timing import Edges, longest_path, typical_edges
from hwgen.flow.opensta import find_opensta, run_opensta
from hwgen.flow.records import Step
from hwgen.flow.stimuli import KINDS, Stimulus, draw, recorded
from hwgen.flow.synth import Progress
from hwgen.flow.tools import Runner, Tool, find_yosys
from hwgen.spec.design import Design

__all__ = ["OSU018_FILES", "SCOPES", "Conditions", "estimate_asic", "find_library"]

SCOPES = ("pe", "array")
# Where Debian's package qflow-tech-osu018 puts it, and where scripts/setup unpacks that.
OSU018_FILES = tuple(
    Path(prefix) / "share/qflow/tech/osu018/osu018_stdcells.lib" for prefix in ("/usr", sys.prefix)
)
_LIBRARY = "library.lib"
_CONSTRAINTS = "abc.constr"
_LOAD_FF = 20  # at outputs, for buffers and sizes
_MAX_SEEDS = 100
_MARGIN = 1.1  # of the simulation's clock over the longest path
_NOTES = (
    "energy is dynamic, with glitches: gates have their own delays; zero-delay leaves these out",
    "no clock tree: the clock's energy is that of one net to all flip-flops and inside them",
    "wires are an assumption: a length to each pin driven, in sides of a mean cell",
    "error: rms difference to float64 over the rms result, of a 32 x 32 product of the same kind",
)
_SCOPE_NOTES = {
    "pe": (
        "an element as emitted, with operand and drain registers, nothing coming from below;"
        " rounding is one result, between zeros, and one cycle of the rounder's clock"
    ),
    "array": "the whole core as emitted, streams at full rate, buffers made of flip-flops",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is asked for, and what no tool tells.

    Parameters
    ----------
    freq_mhz : float
        Logic that is faster than this is mapped for area.
    slew_ns : float
        Of the clock's and of inputs' edges.
    wires : Wires
    terms : int
        Products of one dot product.
    macs : int
        Products that each element computes while measuring, at the least.
    seeds : int
        Stimuli of each kind, with seeds 1, 2, ...
    """

    freq_mhz: float = 200.0
    slew_ns: float = 0.1
    wires: Wires = field(default_factory=Wires)
    terms: int = 128
    macs: int = 384
    seeds: int = 2

    def __post_init__(self) -> None:
        for what, value, most in (
            ("terms", self.terms, 1 << 20),
            ("macs", self.macs, 1 << 24),
            ("seeds", self.seeds, _MAX_SEEDS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise HwgenError(f"{what} is {value!r}; allowed is a whole number from 1 to {most}")
        if not 0 < self.freq_mhz <= 1e5:
            raise HwgenError(f"freq is {self.freq_mhz!r}; it must be a number of MHz above 0")
        if not 0 < self.slew_ns <= 100:
            raise HwgenError(f"slew is {self.slew_ns!r}; it must be a number of ns above 0")


@dataclass(frozen=True, slots=True, eq=False)
class _Mapped:
    """A mapped part and the shadow that it simulates as."""

    name: str
    netlist: GateNetlist
    edges: Edges
    shadow: Shadow


def find_library(liberty: str | Path | None = None) -> Path:
    """Return the Liberty file that is named, or OSU's 0.18 um library.

    Raises
    ------
    HwgenError
        If the file named is not there.
    ToolError
        If none is named and the library is not installed.
    """
    if liberty is not None:
        if not Path(liberty).is_file():
            raise HwgenError(f"there is no Liberty file {liberty}; name a .lib file")
        return Path(liberty).resolve()
    found = next((path for path in OSU018_FILES if path.is_file()), None)
    if found is None:
        raise ToolError(
            f"the standard cells that asic uses by default are not installed ({OSU018_FILES[0]} is"
            " missing)",
            hint="install them with: apt-get install qflow-tech-osu018; or name another library",
        )
    return found


def estimate_asic(
    design: Design,
    folder: Path,
    *,
    liberty: str | Path | None = None,
    scope: str = "pe",
    kinds: Sequence[str] | None = None,
    operands: tuple[Path, Path] | None = None,
    conditions: Conditions | None = None,
    yosys: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> AsicReport:
    """Map a design onto standard cells and measure what it takes.

    Parameters
    ----------
    design : Design
    folder : Path
        For report.json, netlists and logs; made here.
    liberty : path, optional
        A Liberty file with tables of timing and internal power; OSU's 0.18 um cells by default.
    scope : {"pe", "array"}
        An element and a rounder by themselves, or the whole core.
    kinds : sequence of str, optional
        Stimuli, of ``KINDS``; by default all of them, or none beside recorded operands.
    operands : tuple of two paths, optional
        Recorded operands, a stimulus too: .npy files of a, (m, k), and b, (k, n).
    conditions : Conditions, optional
    yosys : str, optional
        A native yosys to use instead of the Python package.
    progress : callable, optional
        Called with a :class:`~hwgen.flow.synth.Progress` as each step begins and ends.

    Returns
    -------
    AsicReport
        As written to report.json.

    Raises
    ------
    HwgenError
        If an argument is wrong, the library cannot be used, or the folder cannot be written.
    ToolError
        If a tool or the default library is missing, a tool fails, or a netlist computes something
        else than its RTL.
    """
    if scope not in SCOPES:
        raise HwgenError(f"scope is {scope!r}; known are {', '.join(SCOPES)}")
    if design.starts:
        raise UnsupportedError(
            "energy is not measured of designs with start values; measure the one without them"
        )
    conditions = conditions or Conditions()
    stimuli = _stimuli(design if scope == "array" else _lane(design), kinds, operands, conditions)
    library = Library.read(find_library(liberty))
    run = _Run(_prepared(folder), library, conditions, find_yosys(yosys), progress)
    mapped = run.map_parts(design, scope)
    parts = tuple(run.part(one) for one in mapped)
    energies = run.measure(design if scope == "array" else _lane(design), mapped, stimuli)
    report = AsicReport(
        name=design.name,
        digest=design.digest,
        rows=design.rows,
        cols=design.cols,
        datapath=str(design.datapath),
        library=library.name,
        voltage=library.voltage,
        scope=scope,
        parts=parts,
        energies=energies,
        assumptions=_assumptions(conditions),
        notes=(*_NOTES, _SCOPE_NOTES[scope]),
        tools=run.tools,
        steps=tuple(run.steps),
    )
    aside = folder / "report.json.part"
    aside.write_text(report.to_json(), encoding="utf-8")
    aside.replace(folder / "report.json")
    return report


def _assumptions(conditions: Conditions) -> dict[str, float]:
    table = asdict(conditions)
    return table | table.pop("wires")


def _lane(design: Design) -> Design:
    """The same datapath with one element, whose parts are those of any array."""
    return Design(datapath=design.datapath, rows=1, cols=1, name="core")


def _stimuli(
    design: Design,
    kinds: Sequence[str] | None,
    operands: tuple[Path, Path] | None,
    conditions: Conditions,
) -> list[Stimulus]:
    """One block to fill the pipeline, those that are measured, and one that keeps it full."""
    sides = {"rows": design.rows, "cols": design.cols}
    found = []
    if operands is not None:
        count = recorded(*operands, design.datapath, **sides, blocks=1).terms
        blocks = 2 + math.ceil(conditions.macs / count)
        found = [recorded(*operands, design.datapath, **sides, blocks=blocks)]
    if kinds is None:
        kinds = KINDS if operands is None else ()
    blocks = 2 + math.ceil(conditions.macs / conditions.terms)
    return found + [
        draw(kind, seed, design.datapath, **sides, terms=conditions.terms, blocks=blocks)
        for kind in kinds
        for seed in range(1, conditions.seeds + 1)
    ]


def _prepared(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").unlink(missing_ok=True)
    except OSError as error:
        raise HwgenError(
            f"cannot write to {folder}: {error.strerror}; choose another output folder"
        ) from None
    return folder.resolve()


class _Run:
    """One run in one folder."""

    def __init__(
        self,
        folder: Path,
        library: Library,
        conditions: Conditions,
        yosys: Tool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.steps: list[Step] = []
        self.tools = {yosys.name: yosys.version}
        self._folder = folder
        self._library = library
        self._conditions = conditions
        self._yosys = yosys
        self._sta = find_opensta()
        self._runner = Runner(folder)
        self._progress = progress
        self._verilog = ""
        self._compiled = ""  # the testbench that was compiled last
        link = folder / _LIBRARY
        link.unlink(missing_ok=True)
        # A link and no copy: libraries stay where they are. Yosys takes no path with spaces.
        link.symlink_to(library.path)
        constraints = f"set_driving_cell {library.buffer}\nset_load {_LOAD_FF} [all_outputs]\n"
        (folder / _CONSTRAINTS).write_text(constraints, encoding="utf-8")
        adders = adders_verilog(library)
        (folder / ADDERS_FILE).write_text(adders, encoding="utf-8")
        self._has_adders = bool(adders)

    def map_parts(self, design: Design, scope: str) -> list[_Mapped]:
        """Emit, map and read the parts."""
        lane = design if scope == "array" else _lane(design)
        self._verilog = emit_verilog(lane)
        (self._folder / "core.v").write_text(self._verilog, encoding="utf-8")
        if scope == "array":
            return [self._map("core", design.name, part="", clock="aclk")]
        return [
            self._map("pe", f"{lane.name}_pe", part="mesh.pe_0_0", clock="clk"),
            self._map("rounder", f"{lane.name}_round", part="rounders.lanes_0", clock="clk"),
        ]

    def _map(self, name: str, module: str, *, part: str, clock: str) -> _Mapped:
        script = mapping_script(
            self._verilog,
            module,
            freq_mhz=self._conditions.freq_mhz,
            library=self._library,
            liberty=_LIBRARY,
            constraints=_CONSTRAINTS,
            adders=self._has_adders,
        )
        (self._folder / f"{name}.ys").write_text(script, encoding="utf-8")
        self._tell(f"mapping {name}")
        seconds = self._runner.run(self._yosys, [f"{name}.ys"], log=f"{name}.yosys.log")
        self._done(f"mapping {name}", f"{self._yosys.typed} {name}.ys", seconds)
        netlist = read_netlist(
            self._folder / f"{module}.json", module, self._library, wires=self._conditions.wires
        )
        edges = typical_edges(netlist, slew_ns=self._conditions.slew_ns)
        gates = f"{name}_gates"
        text = gates_verilog(netlist, edges, module=gates, seed=1)
        (self._folder / f"{gates}.v").write_text(text, encoding="utf-8")
        shadow = Shadow(prefix=name, module=gates, part=part, ports=netlist.ports, clock=clock)
        return _Mapped(name, netlist, edges, shadow)

    def part(self, mapped: _Mapped) -> AsicPart:
        """Area and timing of a part."""
        netlist, slew = mapped.netlist, self._conditions.slew_ns
        timing = "hwgen's estimate"
        if self._sta is None:
            path = longest_path(netlist, slew_ns=slew)
        else:
            timing = self._sta.version
            self.tools[self._sta.name] = self._sta.version
            path = run_opensta(
                self._sta, self._runner, self._folder, netlist, _LIBRARY, slew_ns=slew
            )
        return AsicPart(
            name=mapped.name,
            area=round(netlist.area, 3),
            cells=netlist.cells,
            flip_flops=len(netlist.flip_flops),
            registers=_registers(netlist),
            leakage_uw=netlist.leakage_nw / 1e3,
            period_ns=round(path.period_ns, 4),
            fmax_mhz=round(1e3 / path.period_ns, 2),
            timing=timing,
            critical_path=path.nets,
        )

    def measure(
        self, design: Design, mapped: list[_Mapped], stimuli: list[Stimulus]
    ) -> tuple[EnergyFigure, ...]:
        """Simulate every stimulus and weigh what was counted."""
        return tuple(self._measured(design, mapped, stimulus) for stimulus in stimuli)

    def _measured(self, design: Design, mapped: list[_Mapped], stimulus: Stimulus) -> EnergyFigure:
        step = f"simulating {stimulus.kind}, seed {stimulus.seed}"
        self._tell(step)
        seconds = self._simulate(design, mapped, stimulus)
        self._done(step, "vvp -n bench.vvp", seconds)
        voltage = self._library.voltage
        found: dict[str, tuple[Energy, Toggles]] = {}
        for one in mapped:
            toggles = read_toggles(self._folder, one.name, one.netlist)
            found[one.name] = measured_energy(one.netlist, one.edges, toggles, voltage), toggles
        blocks = stimulus.blocks - 2
        macs = blocks * stimulus.terms * design.rows * design.cols
        whole, toggles = found[mapped[0].name]
        rounding = None
        if "rounder" in found:
            rounding = self._rounding(mapped[1], found["rounder"][0], blocks)
        return EnergyFigure(
            stimulus=stimulus.kind,
            seed=stimulus.seed,
            terms=stimulus.terms,
            macs=macs,
            cycles=toggles.cycles,
            mac=whole.scaled(1 / macs),
            rounding=rounding,
            error=stimulus.error,
        )

    def _rounding(self, rounder: _Mapped, energy: Energy, results: int) -> Energy:
        """One result's energy; of the clock's, which ticks all the time, that of one cycle."""
        once = energy.scaled(1 / results)
        clock = clock_energy(rounder.netlist, rounder.edges, self._library.voltage)
        return Energy(nets=once.nets, cells=once.cells, clock=clock, settled=once.settled)

    def _simulate(self, design: Design, mapped: list[_Mapped], stimulus: Stimulus) -> float:
        """Run the testbench; refuse results that are not the golden model's."""
        for side, lines in stimulus.lines(design.datapath).items():
            (self._folder / f"{side}.hex").write_text("\n".join(lines) + "\n", encoding="ascii")
        slew = self._conditions.slew_ns
        slowest = max(longest_path(one.netlist, slew_ns=slew).period_ns for one in mapped)
        registers = [delay for one in mapped for delay in _register_delays(one)]
        entering = sum(registers) / len(registers) if registers else slew
        beats = design.beats(stimulus.terms)
        schedule = Schedule(
            beats=stimulus.blocks * beats,
            rows=stimulus.blocks * design.rows,
            first=beats,
            last=(stimulus.blocks - 1) * beats,
            period_ps=2 * math.ceil(500 * _MARGIN * (slowest + entering)),
            input_ps=max(1, round(1e3 * entering)),
        )
        text = bench_verilog(design, [one.shadow for one in mapped], schedule)
        seconds = 0.0
        if text != self._compiled:
            (self._folder / "bench.v").write_text(text, encoding="utf-8")
            gates = [f"{one.shadow.module}.v" for one in mapped]
            seconds = compile_bench(self._runner, ["bench.v", *gates, "core.v"])
            self._compiled = text
        seconds += run_bench(self._runner, self._folder)
        results = (self._folder / "results.txt").read_text(encoding="ascii").splitlines()
        due = stimulus.expected(design.datapath)
        if [tuple(line.split()) for line in results] != due:
            raise ToolError(
                f"the RTL's results on the {stimulus.kind} stimulus are not the golden model's,"
                " so no energy is told",
                hint="please report this design as a fault of hwgen",
            )
        return seconds

    def _tell(self, step: str) -> None:
        if self._progress is not None:
            self._progress(Progress(step, "started"))

    def _done(self, step: str, command: str, seconds: float) -> None:
        self.steps.append(Step(name=step, command=command, seconds=round(seconds, 2)))
        if self._progress is not None:
            self._progress(Progress(step, f"{seconds:.1f} s", finished=True))


def _registers(netlist: GateNetlist) -> dict[str, int]:
    """Flip-flops by the part of the netlist's source that they are in, most first."""
    found: Counter[str] = Counter()
    for one in netlist.flip_flops:
        name = netlist.names.get(one.driven[0], "")
        found[name.partition(".")[0] if "." in name else ""] += 1
    return dict(found.most_common())


def _register_delays(mapped: _Mapped) -> list[float]:
    """Delays of the flip-flops' outputs: how late inputs from outside come, too."""
    return [
        sum(mapped.edges.delays[net]) / 2 for one in mapped.netlist.flip_flops for net in one.driven
    ]
