"""What an exploration found: the points, the data that they were judged on, and how it was made.

A report reads these records and nothing else; they are plain JSON on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError

__all__ = ["LARGEST", "CallSite", "Exploration", "Histogram", "Point", "SiteDesign"]

# 2 adds fields, and has metrics as the program printed them; in 1 larger was always better.
VERSION = 2
_READ = (1, VERSION)
LARGEST = 1e308  # stands for what is larger, since JSON has no infinities


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How often each binary exponent occurred: ``2**e <= |x| < 2**(e + 1)``.

    Parameters
    ----------
    first : int
        Exponent of the first count.
    counts : list of int
    zeros : int
        Numbers that were 0.
    """

    first: int
    counts: list[int]
    zeros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSite:
    """What was seen at one place of the program, or of one shape of matrix product.

    Parameters
    ----------
    name : str
        A symbol and shape, or the name of a layer.
    calls, macs : int
    terms : int
        The largest K.
    a, b, products, sums : Histogram
        Of operands, products and partial sums.
    largest_total : float
        The largest sum of the magnitudes of an element's products (an L1 norm).
    cancellation : float
        The largest ratio of that to the magnitude of the element itself.
    """

    name: str
    calls: int
    macs: int
    terms: int
    a: Histogram
    b: Histogram
    products: Histogram
    sums: Histogram
    largest_total: float
    cancellation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One datapath and what is known of it; None is not measured.

    Parameters
    ----------
    name : str
        Short, for plots.
    a, b, acc, out : str
        The datapath in the words that users type; ``acc`` resolved to numbers.
    baseline : bool
        A conventional unit that savings are stated against.
    width : int
        Bits of the accumulator.
    bound : float
        Proven bound of the error, from ranges.
    error : float
        Worst error seen in the program, relative to the largest result of its product.
    site_errors : dict of str to float
        The same for each call site by its name; None where it was infinite. A site that is not
        there was not compared.
    metric : float
        What the user's metric gave.
    acceptable : bool
        Whether tolerance or metric is met.
    energy_pj : float
        Per MAC, glitches counted, the final rounding included; the mean over the stimuli.
    energies : dict of str to float
        The same by kind of stimulus.
    area_um2 : float
        Of an element, by the products that it takes a cycle.
    fmax_mhz : float
    front : bool
        Not dominated by another acceptable point, in energy and error (or metric).
    chosen : bool
        The recommended one.
    notes : list of str
        What a reader must know, such as "range events in 3 of 400 calls".
    """

    name: str
    a: str
    b: str
    acc: str
    out: str
    baseline: bool = False
    width: int | None = None
    bound: float | None = None
    error: float | None = None
    metric: float | None = None
    acceptable: bool | None = None
    energy_pj: float | None = None
    area_um2: float | None = None
    fmax_mhz: float | None = None
    front: bool = False
    chosen: bool = False
    notes: list[str] = field(default_factory=list)
    site_errors: dict[str, float | None] = field(default_factory=dict)
    energies: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDesign:
    """What one call site would need by itself, beside the one window for all: an estimate.

    Parameters
    ----------
    name : str
        The call site's.
    share : float
        Its part of all MACs, 0 to 1.
    acc : str
        The recommended window, narrowed by as much as the site's data need less; the recommended
        one itself where the energy of another is not known.
    width : int
    energy_pj : float
        Per MAC, measured.
    """

    name: str
    share: float
    acc: str
    width: int
    energy_pj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """All of it.

    Parameters
    ----------
    title : str
    command : list of str
        The program that was run.
    tolerance : float
        Allowed error, if that was asked for.
    metric_name : str
        What the user's metric measures, if one was given.
    metric_smaller_is_better : bool
    native_metric : float
        The metric of the unchanged program.
    library : str
        Cell library that energy and area hold for.
    points : list of Point
    call_sites : list of CallSite
    commands : list of str
        How to do it again.
    versions : dict of str to str
    seconds : float
        What the exploration took.
    rows, cols : int
        Of the array that the recommended design was generated with.
    site_designs : list of SiteDesign
        Most work first; empty where one window for all wastes nothing or nothing is known.
    site_saving : float
        Estimated part of the recommended design's energy that a design for each call site would
        save.
    """

    title: str
    command: list[str]
    points: list[Point]
    call_sites: list[CallSite]
    commands: list[str]
    versions: dict[str, str]
    tolerance: float | None = None
    metric_name: str | None = None
    native_metric: float | None = None
    library: str | None = None
    seconds: float | None = None
    metric_smaller_is_better: bool = False
    rows: int | None = None
    cols: int | None = None
    site_designs: list[SiteDesign] = field(default_factory=list)
    site_saving: float | None = None

    def write(self, path: Path) -> None:
        """Write JSON, aside first and then in place."""
        aside = path.with_name(f"{path.name}.part")
        aside.write_text(
            json.dumps({"version": VERSION} | asdict(self), indent=1, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Exploration:
        """Read what :meth:`write` wrote, in this version or an earlier one.

        Raises
        ------
        HwgenError
            If the file cannot be read or holds something else.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if table.pop("version") not in _READ:
                raise KeyError("version")
            return cls(
                **table
                | {
                    "points": [Point(**point) for point in table["points"]],
                    "call_sites": [_call_site(site) for site in table["call_sites"]],
                    "site_designs": [
                        SiteDesign(**design) for design in table.get("site_designs", [])
                    ],
                }
            )
        except OSError as error:
            raise HwgenError(
                f"cannot read {path}: {error.strerror}; name a folder made by hwgen tailor, or its"
                " exploration.json"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HwgenError(
                f"{path} holds no exploration of this version of hwgen; make it with hwgen tailor"
            ) from error


def _call_site(table: Mapping[str, Any]) -> CallSite:
    histograms = {name: Histogram(**table[name]) for name in ("a", "b", "products", "sums")}
    return CallSite(**{**table, **histograms})
