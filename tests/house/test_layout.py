"""The house stays tidy: folders, sizes, scripts, requirements, nothing tracked that is remade."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {".ci", "constraints", "docs", "hwgen", "scripts", "sim", "tests"}
TOP_FILES = {".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
RESULTS = Path("docs/experiments")
MAX_LINES = 500
MAX_FUNCTION_LINES = 60
# What hwgen, a simulator or a compiler writes; each is made again from the sources.
GENERATED = (
    ".v",
    ".vcd",
    ".fst",
    ".vvp",
    ".json",
    ".so",
    ".o",
    ".a",
    ".pyc",
    ".npy",
    ".bit",
    ".svf",
)


def tracked_files() -> list[Path]:
    """The files of the repository: tracked, or new and not ignored."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    paths = [Path(name) for name in names.decode().split("\0") if name]
    return sorted(path for path in paths if (ROOT / path).exists())


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def test_the_top_level_holds_what_the_design_lists():
    files = tracked_files()
    assert {path.parts[0] for path in files if len(path.parts) > 1} <= FOLDERS
    assert {path.name for path in files if len(path.parts) == 1} <= TOP_FILES


def test_no_package_is_an_empty_room():
    packages = {path.parent for path in python_files() if path.name == "__init__.py"}
    bare = [
        str(package)
        for package in sorted(packages)
        if not any(
            path != package / "__init__.py" and package in path.parents for path in python_files()
        )
    ]
    assert bare == []


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in python_files() if path.parts[0] in ("hwgen", "sim")}
    assert [
        str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()
    ] == []


def test_tests_are_found_by_unique_names():
    names = [path.name for path in python_files() if path.parts[0] == "tests"]
    assert sorted({name for name in names if names.count(name) > 1 and name != "conftest.py"}) == []


def test_files_stay_short():
    lengths = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in python_files()
    }
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function less its docstring, which may be as long as it needs to be."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def test_functions_stay_short():
    long = []
    for path in python_files():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = code_lines(node)
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_nothing_generated_is_tracked():
    generated = [path for path in tracked_files() if path.suffix in GENERATED]
    # Experiments' results are kept: what they cost is hours.
    kept = {path for path in generated if path.parent == RESULTS and path.suffix == ".json"}
    assert [str(path) for path in generated if path not in kept] == []
    assert all((ROOT / path).stat().st_size < 60_000 for path in kept)


def test_every_file_is_text():
    binary = [str(path) for path in tracked_files() if b"\0" in (ROOT / path).read_bytes()]
    assert binary == []


def test_no_file_names_a_machine_or_a_registry():
    # Built from parts, so that this file does not hold what it looks for.
    words = [
        "/tmp/" + "w",
        "/work" + "/",
        "/root" + "/",
        "pypi" + ".org",
        "python" + "hosted",
        "deb.debian" + ".org",
    ]
    words += ["/ho" + "me/", "--index" + "-url", "--extra-index" + "-url", "--find" + "-links"]
    pattern = re.compile("|".join(re.escape(word) for word in words))
    found = []
    for path in tracked_files():
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        found += [f"{path}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


def shell_scripts() -> list[Path]:
    folders = (ROOT / "scripts", ROOT / ".ci")
    paths = (path for folder in folders for path in folder.iterdir() if path.is_file())
    return sorted(path for path in paths if path.read_bytes().startswith(b"#!"))


def test_the_promised_scripts_exist():
    names = {str(path.relative_to(ROOT)) for path in shell_scripts()}
    assert {".ci/run", "scripts/demo", "scripts/setup", "scripts/test"} <= names


@pytest.mark.parametrize("path", shell_scripts(), ids=lambda path: path.name)
def test_a_script_is_executable_and_parses(path):
    assert os.access(path, os.X_OK)
    if "bash" in path.read_text(encoding="utf-8").splitlines()[0]:
        check = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
        assert (check.returncode, check.stderr) == (0, "")


def requirement_lines() -> list[tuple[str, str]]:
    """Each requirement of pyproject.toml with the line above it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0].splitlines()
    requirement = re.compile(r'\s*(?:requires = \[)?"[A-Za-z][A-Za-z0-9-]* ?[~=<>!]')
    return [
        (line, above)
        for above, line in zip(lines, lines[1:], strict=False)
        if requirement.match(line)
    ]


def test_each_requirement_has_a_comment_and_a_bound():
    lines = requirement_lines()
    assert len(lines) >= 15
    assert [line for line, above in lines if not above.lstrip().startswith("#")] == []
    assert [line for line, _ in lines if "~=" not in line] == []
