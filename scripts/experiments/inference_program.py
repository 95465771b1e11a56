"""The program that is evaluated: its Python, its weights, and what its answers rest on."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from inference_data import DataError, save_digits
from inference_trials import Program

from hwgen.errors import HwgenError, ToolError

__all__ = ["digits_program", "find_python", "folder_program"]

HERE = Path(__file__).resolve().parent
_SOURCES = ("inference_app.py", "inference_data.py", "inference_models.py")


def find_python(named: str | None) -> str:
    """Return a Python that has PyTorch.

    Raises
    ------
    ToolError
        If none has.
    """
    candidates = [named] if named else [sys.executable, shutil.which("python3"), "/usr/bin/python3"]
    known = [name for name in dict.fromkeys(candidates) if name and shutil.which(name)]
    for name in known:
        command = [name, "-c", "import importlib.util as u; exit(u.find_spec('torch') is None)"]
        if not subprocess.run(command, check=False).returncode:
            return name
    raise ToolError(
        f"PyTorch is not installed for {' or '.join(known) or named}",
        hint="pip install torch, or apt-get install python3-torch; or name a Python by --python",
    )


def digits_program(
    python: str, options: argparse.Namespace, told: Callable[[str], None]
) -> Program:
    """Return what answers the digits; its networks are trained if they are not in the cache.

    Raises
    ------
    HwgenError
        If scikit-learn is missing, or training fails.
    """
    sources = _sources()
    training = [f"--epochs={options.epochs}"] if options.epochs else []
    training += [f"--models={options.models}"] if options.models else []
    name = hashlib.sha256(" ".join([sources, *training]).encode()).hexdigest()[:16]
    pixels, weights = options.cache / "digits.npz", options.cache / f"{name}.pt"
    if not pixels.exists():
        try:
            save_digits(pixels)
        except DataError as error:
            raise HwgenError(str(error)) from None
    words = [python, str(HERE / "inference_app.py")]
    files = ["--data", str(pixels), "--weights", str(weights)]
    if not weights.exists():
        told("training")
        if subprocess.run([*words, "train", *files, *training], check=False).returncode:
            raise HwgenError("training failed")
    chosen = _chosen(options)
    identity = f"{sources} {hashlib.sha256(weights.read_bytes()).hexdigest()} {chosen}"
    return Program(words=(*words, "evaluate", *files, *chosen), identity=identity)


def folder_program(
    python: str, options: argparse.Namespace, told: Callable[[str], None]
) -> Program:
    """Return what answers the pictures of a folder, with the weights that lie there."""
    place = options.folder.resolve()
    told(f"pictures and weights of {options.folder}")
    weights = [file.stat() for file in sorted(place.glob("*.pth"))]
    stamps = [(file.st_size, file.st_mtime_ns) for file in weights]
    words = (python, str(HERE / "inference_app.py"), "folder", "--folder", str(place))
    chosen = _chosen(options)
    identity = f"{_sources()} {place} {stamps} {chosen}"
    return Program(words=(*words, *chosen), identity=identity)


def _sources() -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def _chosen(options: argparse.Namespace) -> list[str]:
    models = ["--models", options.models] if options.models else []
    return [*models, *(["--images", str(options.images)] if options.images else [])]
