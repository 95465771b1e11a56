"""A standard-cell library: what the cells of a Liberty file do, weigh and take.

Units of everything read: ns, pF, V, pJ, nW; areas as the library has them, as a rule um^2. Energy
tables are in the unit of capacitance times that of voltage squared (*Liberty User Guide*,
``internal_power``), which is also what the energy of a switched load comes out in.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import HwgenError, UnsupportedError
from hwgen.flow.cell_function import Function, parse_function
from hwgen.flow.cell_tables import Table, Template, read_table, read_templates
from hwgen.flow.liberty import Group, read_liberty

__all__ = ["Arc", "Cell", "FlipFlop", "Library", "Pin", "Power", "Setup"]

_QUANTITY = re.compile(r"\s*([\d.eE+-]*)\s*([a-zA-Z]+)\s*")
_TIME = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0, "ps": 1e-3, "fs": 1e-6}
_CAPACITANCE = {"f": 1e12, "nf": 1e3, "pf": 1.0, "ff": 1e-3}
_POWER = {"w": 1e9, "mw": 1e6, "uw": 1e3, "nw": 1.0, "pw": 1e-3, "fw": 1e-6}
_VOLTAGE = {"v": 1.0, "mv": 1e-3}
# Arcs through which an edge passes; the others are constraints or belong to three-state outputs.
_PASSING = ("combinational", "rising_edge", "falling_edge")
_SENSES = {"positive_unate": (True, False), "negative_unate": (False, True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """How an edge passes from an input to an output.

    Attributes
    ----------
    pin : str
        The input.
    same, opposite : bool
        Whether an edge goes over into one of the same, of the opposite direction.
    rise, fall : Table or None
        Delays of the output's edges, in ns.
    rise_slew, fall_slew : Table or None
        Slews of the output's edges, in ns.
    """

    pin: str
    same: bool
    opposite: bool
    rise: Table | None
    fall: Table | None
    rise_slew: Table | None
    fall_slew: Table | None


@dataclass(frozen=True, slots=True)
class Setup:
    """How long before the clock's edge an input must stand still, in ns, by its own edge."""

    rise: Table | None
    fall: Table | None


@dataclass(frozen=True, slots=True)
class Power:
    """Internal energy of one edge, in pJ, the mean of the tables given.

    ``pin`` is the input whose edge causes it; empty where the edge is the pin's own.
    """

    pin: str
    tables: tuple[Table, ...]

    def at(self, slew: float, load: float) -> float:
        """Energy of one edge."""
        return sum(table.at(slew, load) for table in self.tables) / len(self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One pin: ``capacitance`` in pF, ``function`` of an output."""

    name: str
    output: bool
    capacitance: float
    function: Function | None
    arcs: tuple[Arc, ...]
    setups: tuple[Setup, ...]
    powers: tuple[Power, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipFlop:
    """What a cell stores: ``state`` and ``inverse`` name it in its outputs' functions."""

    state: str
    inverse: str
    next_state: Function
    clock: str
    rising: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell; ``flip_flop`` is None for one without memory."""

    name: str
    area: float
    leakage_nw: float
    pins: Mapping[str, Pin]
    flip_flop: FlipFlop | None

    @property
    def inputs(self) -> tuple[Pin, ...]:
        """Its input pins."""
        return tuple(pin for pin in self.pins.values() if not pin.output)

    @property
    def outputs(self) -> tuple[Pin, ...]:
        """Its output pins."""
        return tuple(pin for pin in self.pins.values() if pin.output)


class Library:
    """The cells of a Liberty file; each is looked at when it is asked for.

    Parameters
    ----------
    group : Group
        The ``library`` group.
    path : Path
        Where it came from.

    Attributes
    ----------
    name : str
    path : Path
    voltage : float
        In V.
    unused : tuple of str
        Cells that the library says not to use.

    Raises
    ------
    HwgenError
        If units or voltage are missing or unknown, or no cell has tables of energy.
    """

    def __init__(self, group: Group, path: Path) -> None:
        self.path = path
        self.name = group.arguments[0] if group.arguments else path.stem
        self._templates: Mapping[str, Template] = read_templates(group)
        self._time = _unit(group, group.simple.get("time_unit", "1ns"), _TIME)
        self._load = _load_unit(group)
        self._power = _unit(group, group.simple.get("leakage_power_unit", "1nW"), _POWER)
        volt = _unit(group, group.simple.get("voltage_unit", "1V"), _VOLTAGE)
        self.voltage = volt * _voltage(group)
        self._energy = self._load * volt * volt
        self._leakage = group.number("default_cell_leakage_power", 0.0)
        self._groups = {cell.arguments[0]: cell for cell in group.named("cell") if cell.arguments}
        self._cells: dict[str, Cell] = {}
        if not self._groups:
            raise HwgenError(f"the library {path} holds no cells")
        if not any(_has_power(cell) for cell in self._groups.values()):
            raise HwgenError(
                f"the library {path} has no tables of internal power, so that no energy can be"
                " told; give one that has internal_power groups"
            )
        self.unused = tuple(
            name
            for name, cell in self._groups.items()
            if cell.simple.get("dont_use", "").lower() == "true"
        )

    def usable(self) -> Iterator[Cell]:
        """Yield the cells that may be used and are of a kind that is read."""
        for name in self._groups:
            if name not in self.unused:
                with contextlib.suppress(HwgenError):
                    yield self.cell(name)

    @property
    def buffer(self) -> str:
        """The smallest cell that hands on its one input; empty if there is none."""
        found = []
        for cell in self.usable():
            pins = [pin.name for pin in cell.inputs]
            functions = [pin.function for pin in cell.outputs]
            if len(pins) == len(functions) == 1 and functions[0] == Function("pin", pins[0]):
                found.append((cell.area, cell.name))
        return min(found)[1] if found else ""

    @classmethod
    def read(cls, path: Path) -> Library:
        """Read a Liberty file; raises HwgenError as the constructor and the reader do."""
        return cls(read_liberty(path), path)

    def cell(self, name: str) -> Cell:
        """Return a cell.

        Raises
        ------
        UnsupportedError
            If it stores something in another way than a plain flip-flop, or is no logic.
        HwgenError
            If there is no such cell, or what is written about it does not fit together.
        """
        if name not in self._cells:
            if name not in self._groups:
                raise HwgenError(f"the library {self.path} has no cell {name!r}")
            try:
                self._cells[name] = self._read(name, self._groups[name])
            except UnsupportedError as error:
                raise UnsupportedError(f"cell {name} of {self.path}: {error}") from None
            except HwgenError as error:
                raise HwgenError(f"cell {name} of {self.path}: {error}") from None
        return self._cells[name]

    def _read(self, name: str, group: Group) -> Cell:
        kinds = ("latch", "latch_bank", "ff_bank", "statetable", "bus", "bundle")
        for other in group.named(*kinds):
            raise UnsupportedError(
                f"it has a {other.name} group; cells of plain logic and of one flip-flop are read"
            )
        pins = {pin.name: pin for pin in map(self._pin, group.named("pin"))}
        flip_flop = _flip_flop(group)
        known = set(pins)
        if flip_flop is not None:
            known |= {flip_flop.state, flip_flop.inverse}
        for pin in pins.values():
            if pin.output and pin.function is None:
                raise UnsupportedError(f"its output {pin.name} has no function")
            if pin.function is not None and not known.issuperset(pin.function.pins):
                raise HwgenError(f"the function of {pin.name} names what is no pin")
        cell = Cell(
            name=name,
            area=group.number("area", 0.0),
            leakage_nw=self._power * self._cell_leakage(group),
            pins=pins,
            flip_flop=flip_flop,
        )
        if cell.inputs and not any(pin.powers for pin in pins.values()):
            raise HwgenError("it has no internal_power; give a library whose cells have")
        return cell

    def _cell_leakage(self, group: Group) -> float:
        states = [state.number("value", 0.0) for state in group.named("leakage_power")]
        mean = sum(states) / len(states) if states else self._leakage
        return group.number("cell_leakage_power", mean)

    def _pin(self, group: Group) -> Pin:
        name = group.arguments[0] if group.arguments else ""
        direction = group.simple.get("direction", "")
        if direction not in ("input", "output"):
            raise UnsupportedError(f"its pin {name} is of direction {direction!r}")
        if "three_state" in group.simple:
            raise UnsupportedError(f"its output {name} has three states")
        rise = group.number("rise_capacitance", 0.0)
        mean = (rise + group.number("fall_capacitance", rise)) / 2
        function = group.simple.get("function")
        timing = list(group.named("timing"))
        return Pin(
            name=name,
            output=direction == "output",
            capacitance=self._load * (mean or group.number("capacitance", 0.0)),
            function=None if function is None else parse_function(function),
            arcs=tuple(arc for one in timing for arc in self._arcs(one)),
            setups=tuple(self._setup(one) for one in timing if _is_setup(one)),
            powers=self._powers(group),
        )

    def _arcs(self, group: Group) -> Iterable[Arc]:
        kind = group.simple.get("timing_type", "combinational")
        if kind not in _PASSING:
            return
        same, opposite = _SENSES.get(group.simple.get("timing_sense", ""), (True, True))
        for pin in group.simple.get("related_pin", "").split():
            yield Arc(
                pin=pin,
                same=same if kind == "combinational" else kind == "rising_edge",
                opposite=opposite if kind == "combinational" else kind == "falling_edge",
                rise=self._table(group, "cell_rise", self._time),
                fall=self._table(group, "cell_fall", self._time),
                rise_slew=self._table(group, "rise_transition", self._time),
                fall_slew=self._table(group, "fall_transition", self._time),
            )

    def _setup(self, group: Group) -> Setup:
        return Setup(
            *(
                self._table(group, name, self._time, load=self._time)
                for name in ("rise_constraint", "fall_constraint")
            )
        )

    def _table(
        self, group: Group, name: str, value: float, *, load: float | None = None
    ) -> Table | None:
        for table in group.named(name):
            return read_table(
                table,
                self._templates,
                time=self._time,
                load=self._load if load is None else load,
                value=value,
            )
        return None

    def _powers(self, group: Group) -> tuple[Power, ...]:
        """Internal energies: of several conditions the mean, of several supplies the sum."""
        found: dict[tuple[str, str], list[Table]] = {}
        for one in group.named("internal_power"):
            tables = [
                table
                for name in ("rise_power", "fall_power", "power")
                if (table := self._table(one, name, self._energy)) is not None
            ]
            supply = one.simple.get("related_pg_pin", "")
            for pin in one.simple.get("related_pin", "").split() or [""]:
                found.setdefault((pin, supply), []).extend(tables)
        return tuple(Power(pin, tuple(tables)) for (pin, _), tables in found.items() if tables)


def _is_setup(group: Group) -> bool:
    return group.simple.get("timing_type", "").startswith("setup_")


def _has_power(cell: Group) -> bool:
    return any(True for pin in cell.named("pin") for _ in pin.named("internal_power"))


def _flip_flop(group: Group) -> FlipFlop | None:
    stores = list(group.named("ff"))
    if not stores:
        return None
    if len(stores) > 1:
        raise UnsupportedError("it has several ff groups; one is read")
    store = stores[0]
    for kind in ("clear", "preset", "clocked_on_also"):
        if kind in store.simple:
            raise UnsupportedError(f"its flip-flop has {kind}; ones with a clock alone are read")
    try:
        clock = parse_function(store.simple["clocked_on"])
        next_state = parse_function(store.simple["next_state"])
    except KeyError as error:
        raise HwgenError(f"its ff group lacks {error.args[0]}") from None
    rising = clock.operator == "pin"
    if not rising and (clock.operator != "~" or clock.terms[0].operator != "pin"):
        raise UnsupportedError("its flip-flop's clock is a function of several pins")
    names = (*store.arguments, "", "")
    return FlipFlop(
        state=names[0],
        inverse=names[1],
        next_state=next_state,
        clock=clock.pins[0],
        rising=rising,
    )


def _unit(group: Group, text: str, scales: Mapping[str, float]) -> float:
    match = _QUANTITY.fullmatch(text)
    scale = scales.get(match[2].lower()) if match else None
    try:
        if match is None or scale is None:
            raise ValueError
        return scale * float(match[1] or 1)
    except ValueError:
        raise HwgenError(
            f"the library {', '.join(group.arguments)} has the unit {text!r};"
            f" known are {', '.join(scales)}"
        ) from None


def _load_unit(group: Group) -> float:
    values = group.complex.get("capacitive_load_unit")
    if not values:
        raise HwgenError(f"the library {', '.join(group.arguments)} lacks capacitive_load_unit")
    return _unit(group, "".join(values[-1]), _CAPACITANCE)


def _voltage(group: Group) -> float:
    conditions = {one.arguments[:1]: one for one in group.named("operating_conditions")}
    chosen = conditions.get((group.simple.get("default_operating_conditions", ""),))
    voltage = group.number("nom_voltage", 0.0)
    if chosen is not None:
        voltage = chosen.number("voltage", voltage)
    if voltage <= 0:
        raise HwgenError(f"the library {', '.join(group.arguments)} does not tell its voltage")
    return voltage
