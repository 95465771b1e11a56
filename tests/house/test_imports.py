"""The import rule: a file knows its own folder and lower floors only (design section 2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FLOORS = {
    "hwgen.errors": 0,
    "hwgen.words": 0,
    "hwgen.formats": 1,
    "hwgen.spec": 2,
    "hwgen.model": 3,
    "hwgen.rtl": 3,
    "hwgen.plan": 3,
    "hwgen.emit": 4,
    "hwgen.lower": 4,
    "hwgen.flow": 5,
    "hwgen.runtime": 5,
    "sim": 5,
    "hwgen.explore": 6,
    "hwgen.train": 6,
    "hwgen.report": 7,
    "hwgen.cli": 8,
    # The facade of the public interface. Nothing inside may use it (the version apart).
    "hwgen": 9,
}

# What a package may not import itself, whatever its floor.
FORBIDDEN = {
    "hwgen.formats": ("amaranth",),
    "hwgen.spec": ("amaranth",),
    "hwgen.model": ("amaranth",),
    "hwgen.rtl": ("numpy",),
    "hwgen.plan": ("amaranth",),
    "hwgen.report": ("subprocess",),
}

FILES = sorted(path for folder in ("hwgen", "sim") for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The package or floor-0 module that ``module`` lives in; None outside the project."""
    parts = module.split(".")
    for length in (2, 1):
        room = ".".join(parts[:length])
        if len(parts) >= length and room in FLOORS:
            return room
    return None


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, inside functions too, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            elif node.module in ("hwgen", "sim"):
                # `from hwgen import formats` imports a package, not the facade.
                for alias in node.names:
                    if alias.name != "__version__":
                        yield node.lineno, f"{node.module}.{alias.name}"
            else:
                yield node.lineno, node.module


def violations(module: str, source: str) -> list[str]:
    room = room_of(module)
    if room is None or (room == "hwgen" and module != "hwgen"):
        return [f"{module} stands outside the folders of the design"]
    found = []
    for line, target in imported_modules(ast.parse(source)):
        where = f"{module}:{line}: "
        if target.startswith("."):
            found.append(f"{where}{module} imports {target}; write the absolute name")
            continue
        other = room_of(target)
        if other is None:
            if target.split(".")[0] in FORBIDDEN.get(room, ()):
                found.append(f"{where}{room} may not know {target}")
        elif other != room and 0 < FLOORS[other] >= FLOORS[room]:
            # The modules of floor 0 share one folder.
            found.append(
                f"{where}{room} (floor {FLOORS[room]}) imports {other} (floor {FLOORS[other]})"
            )
    return found


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_imports_lower_floors_only(path):
    assert violations(module_name(path), path.read_text(encoding="utf-8")) == []


def test_importing_the_facade_imports_no_other_package():
    source = (ROOT / "hwgen" / "__init__.py").read_text(encoding="utf-8")
    eager = ast.Module(
        [node for node in ast.parse(source).body if not _is_lazy(node)], type_ignores=[]
    )
    assert [name for _, name in imported_modules(eager) if room_of(name)] == []


def _is_lazy(node: ast.stmt) -> bool:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.FunctionDef)


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        (
            "hwgen.model.gemm",
            "import hwgen.flow",
            "hwgen.model (floor 3) imports hwgen.flow (floor 5)",
        ),
        (
            "hwgen.spec.design",
            "def f():\n    from hwgen.rtl.pe import Pe",
            "hwgen.spec (floor 2) imports hwgen.rtl (floor 3)",
        ),
        (
            "hwgen.rtl.pe",
            "from hwgen.model import accumulator",
            "hwgen.rtl (floor 3) imports hwgen.model (floor 3)",
        ),
        ("hwgen.formats.ieee", "from hwgen import spec", "imports hwgen.spec (floor 2)"),
        (
            "hwgen.words",
            "import hwgen.formats",
            "hwgen.words (floor 0) imports hwgen.formats (floor 1)",
        ),
        ("hwgen.rtl.pe", "import sim.driver", "hwgen.rtl (floor 3) imports sim (floor 5)"),
        ("hwgen.emit", "import hwgen", "hwgen.emit (floor 4) imports hwgen (floor 9)"),
        ("hwgen.emit", "from hwgen import gemm", "hwgen.emit (floor 4) imports hwgen (floor 9)"),
        ("hwgen.formats.ieee", "import amaranth.hdl", "hwgen.formats may not know amaranth.hdl"),
        ("hwgen.model.gemm", "from amaranth import Signal", "hwgen.model may not know amaranth"),
        ("hwgen.rtl.pe", "def f():\n    import numpy as np", "hwgen.rtl may not know numpy"),
        ("hwgen.report.page", "import subprocess", "hwgen.report may not know subprocess"),
        ("hwgen.rtl.pe", "from . import mesh", "write the absolute name"),
        ("hwgen.attic.old", "", "stands outside the folders of the design"),
    ],
)
def test_the_rule_catches(module, source, message):
    found = violations(module, source)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hwgen.cli.synth", "import hwgen.flow.yosys, subprocess, numpy"),
        ("hwgen.rtl.pe", "from hwgen.rtl.mesh import Mesh\nfrom hwgen.spec import timing"),
        ("hwgen.emit.manifest", "from hwgen import __version__"),
        ("hwgen.words", "from hwgen.errors import HwgenError"),
        ("hwgen", "def f():\n    import hwgen.cli"),
    ],
)
def test_the_rule_allows(module, source):
    assert violations(module, source) == []
