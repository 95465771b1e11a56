"""FPGA families as data: how to synthesise for one, what its cells count as, which devices it has.

One TOML file a family lies in the folder ``targets``; adding one needs no code as long as Yosys
maps it and, for timing, nextpnr places it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources

from hwgen.errors import HwgenError, UnsupportedError
from hwgen.flow.records import Area

__all__ = ["Device", "Target", "load_target", "target_names"]

_KINDS = ("lut", "carry", "ff", "dsp", "bram", "lutram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One part of a family.

    Parameters
    ----------
    name : str
        What users type.
    synthesis, place : tuple of str
        Arguments for Yosys' synthesis command and for nextpnr.
    capacity : mapping
        How many of each scarce resource it has.
    automatic : bool
        Whether it may be chosen when the user names no device.
    """

    name: str
    synthesis: tuple[str, ...]
    place: tuple[str, ...]
    capacity: Mapping[str, int]
    automatic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A family of devices.

    Parameters
    ----------
    name, title : str
        What users type, and what it is in words.
    synthesis : str
        Yosys command that maps to its cells, hierarchy kept.
    place : str
        nextpnr's name of the family; empty if there is no place and route.
    default_freq_mhz : float
        The clock frequency requested unless the user gives one.
    fill : float
        The share of a device that may be used.
    counts : mapping
        By kind of area, the patterns of the cell types that belong to it.
    resources : mapping
        nextpnr's names of scarce resources, and ours.
    devices : tuple of Device
        Smallest first.
    notes : tuple of str
        What the counts mean.
    multiplier_registers : str
        The flip-flop cell that goes into the multipliers' own registers before placement; empty if
        none does.
    """

    name: str
    title: str
    synthesis: str
    place: str
    default_freq_mhz: float
    fill: float
    counts: Mapping[str, tuple[str, ...]]
    resources: Mapping[str, str]
    devices: tuple[Device, ...]
    notes: tuple[str, ...]
    multiplier_registers: str = ""

    def area(self, cells: Mapping[str, int]) -> Area:
        """Sum cell counts by kind."""
        sums = {
            kind: sum(
                count
                for cell, count in cells.items()
                if any(fnmatchcase(cell, pattern) for pattern in patterns)
            )
            for kind, patterns in self.counts.items()
        }
        return Area(cells=dict(cells), **sums)

    def device(self, name: str) -> Device:
        """Return the device called ``name``; upper and lower case are the same."""
        for device in self.devices:
            if device.name.lower() == name.lower():
                return device
        if not self.devices:
            raise HwgenError(f"target {self.name} takes no device, but {name!r} was given")
        known = ", ".join(device.name for device in self.devices)
        raise HwgenError(f"target {self.name} has no device {name!r}; known are {known}")

    def need(self, used: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scarce resources among ``used`` (nextpnr's names) by our names."""
        return {ours: used.get(theirs, 0) for theirs, ours in self.resources.items()}

    def smallest(self, used: Mapping[str, int], *, only: Device | None = None) -> Device:
        """Return the smallest device that holds ``used`` (by nextpnr's names of resources).

        Raises
        ------
        UnsupportedError
            If none does, or ``only`` does not.
        """
        need = self.need(used)
        # A device the user names may be filled to the brim.
        fill = 1.0 if only is not None else self.fill
        candidates = [only] if only else [device for device in self.devices if device.automatic]
        for device in candidates:
            if all(count <= _limit(device, kind, fill) for kind, count in need.items()):
                return device
        largest = candidates[-1]
        which = f"{'device' if only else 'the largest device'} {largest.name}"
        short = " and ".join(
            f"{count} {kind} but {which} has {largest.capacity[kind]}"
            for kind, count in need.items()
            if count > _limit(largest, kind, fill)
        )
        usable = f", of which {fill:.0%} can be filled" if fill < 1 else ""
        raise UnsupportedError(
            f"the design needs {short}{usable}; build fewer rows or columns,"
            f" {'leave the device out' if only else 'choose another family'},"
            " or only count cells with target xcup"
        )


def _limit(device: Device, kind: str, fill: float) -> int:
    """How many of a resource may be used; only logic slows the tools down when it runs short."""
    return int(device.capacity[kind] * (fill if kind in ("LUT", "LC", "FF") else 1.0))


def target_names() -> tuple[str, ...]:
    """Return the names of all targets."""
    files = resources.files("hwgen.flow").joinpath("targets").iterdir()
    return tuple(sorted(file.name[:-5] for file in files if file.name.endswith(".toml")))


def load_target(name: str) -> Target:
    """Return the target called ``name``.

    Raises
    ------
    UnsupportedError
        If there is none; the message lists those there are.
    """
    known = target_names()
    if name == "asic":
        raise UnsupportedError(
            "target 'asic' is no FPGA; call hwgen.flow.asic.estimate_asic, or hwgen synth"
        )
    if name not in known:
        raise UnsupportedError(f"unknown target {name!r}; known are {', '.join(known)}")
    file = resources.files("hwgen.flow").joinpath("targets", f"{name}.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return Target(
        name=name,
        title=table["title"],
        synthesis=table["synthesis"],
        place=table.get("place", ""),
        default_freq_mhz=table["default_freq_mhz"],
        fill=table.get("fill", 1.0),
        multiplier_registers=table.get("multiplier_registers", ""),
        counts={kind: tuple(table["count"][kind]) for kind in _KINDS},
        resources=table.get("resources", {}),
        devices=tuple(
            Device(
                name=device["name"],
                synthesis=tuple(device.get("synthesis", ())),
                place=tuple(device["place"]),
                capacity=device["capacity"],
                automatic=device.get("automatic", True),
            )
            for device in table.get("devices", ())
        ),
        notes=tuple(table.get("notes", ())),
    )
