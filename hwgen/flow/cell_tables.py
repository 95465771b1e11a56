"""Look-up tables of a Liberty library: delay, transition or energy over slew and load."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from hwgen.errors import HwgenError
from hwgen.flow.liberty import Group

__all__ = ["Table", "Template", "read_table", "read_templates"]

# What an axis of a table stands for. Constraints have two slews: the constrained pin's takes the
# place of the slew, the clock's that of the load.
_AXES = {
    "input_net_transition": "slew",
    "input_transition_time": "slew",
    "constrained_pin_transition": "slew",
    "total_output_net_capacitance": "load",
    "related_pin_transition": "load",
}
_VARIABLES = ("variable_1", "variable_2", "variable_3")


@dataclass(frozen=True, slots=True)
class Template:
    """What the axes of a table are, each "slew" or "load", and their points by default."""

    axes: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Values over slew and load; an axis of one point means that the value does not depend on it.

    Attributes
    ----------
    slews : tuple of float
        Ascending, in ns.
    loads : tuple of float
        Ascending, in pF; in constraints the clock's slews, in ns.
    values : tuple of tuple of float
        A row a slew.
    """

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, slew: float, load: float) -> float:
        """Interpolate, beyond the table extrapolate, linearly in each direction."""
        row, high_row, part = _place(self.slews, slew)
        column, high_column, share = _place(self.loads, load)
        low, high = self.values[row], self.values[high_row]
        below = low[column] + share * (low[high_column] - low[column])
        above = high[column] + share * (high[high_column] - high[column])
        return below + part * (above - below)


def _place(points: tuple[float, ...], value: float) -> tuple[int, int, float]:
    """The points around a value, and how far it lies from the lower to the upper one."""
    if len(points) == 1:
        return 0, 0, 0.0
    low = min(max(bisect_right(points, value) - 1, 0), len(points) - 2)
    return low, low + 1, (value - points[low]) / (points[low + 1] - points[low])


def read_templates(library: Group) -> Mapping[str, Template]:
    """Read the templates of a library's tables.

    Those with an axis that is neither slew nor load are left out; a table that uses one is refused.
    """
    templates = {"scalar": Template((), ())}
    for group in library.named("lu_table_template", "power_lut_template"):
        variables = [group.simple[name] for name in _VARIABLES if name in group.simple]
        axes = tuple(_AXES[variable] for variable in variables if variable in _AXES)
        if len(axes) < len(variables) or len(set(axes)) < len(axes) or not group.arguments:
            continue
        templates[group.arguments[0]] = Template(axes, _points(group, len(axes)))
    return templates


def _points(group: Group, count: int) -> tuple[tuple[float, ...], ...]:
    """The points of a group's axes; empty where it does not give them."""
    found = (group.numbers(f"index_{axis + 1}") for axis in range(count))
    return tuple(tuple(lists[0]) if lists else () for lists in found)


def read_table(
    group: Group, templates: Mapping[str, Template], *, time: float, load: float, value: float
) -> Table:
    """Read one table.

    Parameters
    ----------
    group : Group
        As ``cell_rise``.
    templates : mapping
    time, load, value : float
        What the library's units of slew, of load and of the values are in ours.

    Raises
    ------
    HwgenError
        If its template is unknown or its size does not fit.
    """
    name = group.arguments[0] if group.arguments else "scalar"
    template = templates.get(name)
    if template is None:
        raise HwgenError(
            f"line {group.line}: the table {group.name} uses the template {name!r},"
            " which is not there or is not over slew and load"
        )
    own = _points(group, len(template.axes))
    points = [mine or default for mine, default in zip(own, template.points, strict=True)]
    scales = {"slew": time, "load": load}
    axes = {
        axis: tuple(point * scales[axis] for point in line)
        for axis, line in zip(template.axes, points, strict=True)
    }
    rows = [[number * value for number in row] for row in group.numbers("values")]
    flat = [number for row in rows for number in row]
    slews, loads = axes.get("slew", (0.0,)), axes.get("load", (0.0,))
    _check(group, flat, slews, loads)
    if template.axes[:1] == ("load",):
        # The first axis is the slower one.
        matrix = [flat[index :: len(slews)] for index in range(len(slews))]
    else:
        matrix = [flat[index : index + len(loads)] for index in range(0, len(flat), len(loads))]
    return Table(slews, loads, tuple(tuple(row) for row in matrix))


def _check(group: Group, flat: list[float], *axes: tuple[float, ...]) -> None:
    for axis in axes:
        if not axis or any(low >= high for low, high in zip(axis, axis[1:], strict=False)):
            raise HwgenError(f"line {group.line}: an axis of {group.name} does not ascend")
    if len(flat) != len(axes[0]) * len(axes[1]):
        raise HwgenError(
            f"line {group.line}: {group.name} holds {len(flat)} values;"
            f" its axes have {len(axes[0])} and {len(axes[1])} points"
        )
