"""A design: a datapath laid out as an array. Every other part of hwgen starts from this value."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from hwgen.errors import SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.keywords import KEYWORDS

__all__ = ["NO_START", "STARTS", "Design"]

MAX_SIDE = 1024
MAX_NAME = 200  # the longest derived names have about 140 characters
FORMAT_VERSION = 1
_IDENTIFIER = rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}"
_KEYS = ("hwgen", "a", "b", "acc", "out", "rows", "cols", "name", "start", "target", "freq")
NO_START = "none"
STARTS = (NO_START, "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A systolic array of ``rows`` x ``cols`` processing elements.

    Parameters
    ----------
    datapath : Datapath
    rows, cols : int
        Array size, 1 to 1024 each; row i of the array makes row i of C.
    name : str, optional
        Verilog name of the top module; derived from the parameters by default.
    start : {"none", "raw"}
        What a block's sums are added to: nothing, or raw registers that a third input stream
        brings (``s_axis_c``), so that sums split over K merge. Window accumulators only.

    Raises
    ------
    SpecError
        If a size is out of range, the name is no Verilog identifier or a reserved word, or the
        accumulator has no register to load.
    """

    datapath: Datapath
    rows: int
    cols: int
    name: str = ""
    start: str = NO_START

    def __post_init__(self) -> None:
        for what, value in (("rows", self.rows), ("cols", self.cols)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise SpecError(f"{what} is {value!r}; it must be an integer")
            if not 1 <= value <= MAX_SIDE:
                raise SpecError(f"{what} is {value}; allowed is 1 to {MAX_SIDE}")
        self._check_start()
        if not self.name:
            object.__setattr__(self, "name", _derived_name(self))
        if not isinstance(self.name, str) or not re.fullmatch(_IDENTIFIER, self.name):
            raise SpecError(
                f"name is {self.name!r}; it must start with a letter and hold letters, digits and _"
                f" only, at most {MAX_NAME} characters"
            )
        if self.name in KEYWORDS:
            raise SpecError(
                f"name is {self.name!r}, a reserved word of (System)Verilog; choose another"
            )

    def _check_start(self) -> None:
        if self.start not in STARTS:
            raise SpecError(f"start is {self.start!r}; allowed is {' or '.join(STARTS)}")
        if self.starts and self.datapath.float_sum is not None:
            raise SpecError(
                f"start = {self.start} loads a raw register and acc is {self.datapath.acc}, which"
                " has none to load; use window: or exact:, or leave start out and add C outside"
            )
        if self.starts and self.datapath.block_terms:
            raise SpecError(
                f"start = {self.start} goes with per=product only; leave per=block out, or start"
                " out and add C outside"
            )

    @property
    def a_bits(self) -> int:
        """Bits of the elements in a beat of A: of each row, ``datapath.dot`` successive terms."""
        return self.rows * self.datapath.dot * self.datapath.a.width

    @property
    def b_bits(self) -> int:
        """Bits of the elements in a beat of B."""
        return self.cols * self.datapath.dot * self.datapath.b.width

    @property
    def macs_per_cycle(self) -> int:
        """Products that the array's elements take in one cycle, at most."""
        return self.rows * self.cols * self.datapath.dot

    def beats(self, terms: int) -> int:
        """Beats of a block of so many terms: the last one is filled up with zeros."""
        return -(-terms // self.datapath.dot)

    @property
    def starts(self) -> bool:
        """Whether blocks have start values."""
        return self.start != NO_START

    def to_toml(self) -> str:
        """Return the complete, normalised design as TOML text."""
        path = self.datapath
        return tomli_w.dumps(
            {
                "hwgen": FORMAT_VERSION,
                "name": self.name,
                "a": path.a.name,
                "b": path.b.name,
                "acc": str(path.acc),
                "out": path.out_name,
                "rows": self.rows,
                "cols": self.cols,
            }
            | self._pipeline_table()
            | ({"start": self.start} if self.starts else {})
        )

    def _pipeline_table(self) -> dict[str, str | float]:
        """What chooses the pipeline; nothing for the default."""
        pipeline = self.datapath.pipeline
        table: dict[str, str | float] = {"target": pipeline.target} if pipeline.target else {}
        return table | ({"freq": pipeline.freq_mhz} if pipeline.freq_mhz else {})

    @classmethod
    def from_toml(cls, text: str, *, source: str = "design") -> Design:
        """Read a design from TOML text; raises SpecError naming ``source`` on any fault."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{source} is not valid TOML: {error}") from None
        unknown = [key for key in table if key not in _KEYS]
        if unknown:
            raise SpecError(
                f"{source} has unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}"
            )
        missing = [key for key in ("a", "acc", "rows", "cols") if key not in table]
        if missing:
            raise SpecError(f"{source} lacks {missing[0]!r}; a, acc, rows and cols are required")
        version = table.get("hwgen", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise SpecError(f"{source} has hwgen = {version!r}; this hwgen reads {FORMAT_VERSION}")
        freq = table.get("freq")
        if freq is not None and (isinstance(freq, bool) or not isinstance(freq, int | float)):
            raise SpecError(f"{source} has freq = {freq!r}; it must be a number of MHz")
        for key in ("a", "b", "acc", "out", "name", "target", "start"):
            if key in table and not isinstance(table[key], str):
                raise SpecError(f"{source} has {key} = {table[key]!r}; it must be a string")
        return cls(
            datapath=Datapath.parse(
                a=table["a"],
                b=table.get("b"),
                acc=table["acc"],
                out=table.get("out"),
                target=table.get("target"),
                freq=freq,
            ),
            rows=table["rows"],
            cols=table["cols"],
            name=table.get("name", ""),
            start=table.get("start", NO_START),
        )

    @classmethod
    def load(cls, path: str | Path) -> Design:
        """Read a design file, or the ``design.toml`` of a build folder."""
        path = Path(path)
        if path.is_dir():
            path = path / "design.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SpecError(
                f"cannot read the design {path}: {reason};"
                " give a TOML file or a folder made by hwgen generate"
            ) from None
        return cls.from_toml(text, source=str(path))

    @property
    def digest(self) -> str:
        """SHA-256 of the normalised design, in hexadecimal."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()


def _register_name(path: Datapath) -> str:
    if path.float_sum is None:
        dot = f"_dot{path.dot}" if path.dot > 1 else ""
        return f"w{path.window.width}" + ("_per_block" if path.block_terms else "") + dot
    return str(path.float_sum).replace("lanes=", "l")


def _derived_name(design: Design) -> str:
    path = design.datapath
    operands = [path.a.name] if path.a == path.b else [path.a.name, path.b.name]
    words = [
        "gemm",
        f"{design.rows}x{design.cols}",
        *operands,
        _register_name(path),
        path.out_name,
        *(["start"] if design.starts else []),
    ]
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words))
