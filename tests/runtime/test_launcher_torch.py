"""PyTorch under ``hwgen run``: what it multiplies reaches BLAS, to the last product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HWGEN = (sys.executable, "-c", "import hwgen.cli; hwgen.cli.main()")
# Keeps every product of float32 numbers of usual size nearly exact.
DATAPATH = ("--a", "fp32", "--acc", "window:msb=30,lsb=-80,ovf=12")

PROGRAM = """
import json, os, sys
import torch
import torch.nn.functional as F

log, results = sys.argv[1], {}

def macs():
    if not os.path.exists(log):
        return 0
    calls = [json.loads(line) for line in open(log)]
    return sum(c["m"] * c["n"] * c["k"] * c["batch"] for c in calls if c["ran"] == "c")

def case(name, function, *shapes, leaf=True):
    torch.manual_seed(1)
    operands = [torch.randn(*shape).to(dtype).requires_grad_(leaf) for shape in shapes]
    before = macs()
    value = function(*operands)
    if leaf:
        value.double().pow(2).sum().backward()
    numbers = [value.detach(), *(x.grad for x in operands if leaf)]
    flat = torch.cat([x.double().flatten() for x in numbers]).tolist()
    results[f"{name} {dtype}"] = {"macs": macs() - before, "values": flat}

def autocast(x, w, b):
    with torch.autocast("cpu", torch.bfloat16):
        return F.linear(x, w, b)

TINY = (5, 2, 4), (5, 2, 3), (5, 3, 4)
for dtype in (torch.float32, torch.bfloat16):
    case("linear", F.linear, (8, 20), (6, 20), (6,))
    case("product", torch.matmul, (3, 4, 8), (8, 6))
    case("batch", torch.bmm, (4, 16, 32), (4, 32, 16))
    case("tiny batch", torch.bmm, (5, 2, 3), (5, 3, 4))
    case("added batch", torch.baddbmm, *TINY)
    case("in place", lambda c, a, b: c.addmm_(a, b), (4, 6), (4, 5), (5, 6), leaf=False)
    case("batch in place", lambda c, a, b: c.baddbmm_(a, b, beta=2), *TINY, leaf=False)
    case("vector", torch.addmv, (6,), (6, 20), (20,), leaf=False)
    case("vector in place", lambda c, a, b: c.addmv_(a, b), (6,), (6, 20), (20,), leaf=False)
    padded = lambda x, w, b: F.conv2d(x, w, b, padding=1)
    case("convolution", padded, (2, 4, 8, 8), (6, 4, 3, 3), (6,))
    case("groups", lambda x, w: F.conv2d(x, w, groups=2, stride=2), (2, 4, 9, 9), (6, 2, 3, 3))
    case("signal", F.conv1d, (2, 4, 16), (6, 4, 3))
    case("volume", F.conv3d, (2, 2, 5, 5, 5), (3, 2, 3, 3, 3))
    if dtype == torch.float32:
        case("transposed", F.conv_transpose2d, (2, 4, 5, 5), (4, 6, 3, 3))
        case("autocast", autocast, (8, 20), (6, 20), (6,))
    if hasattr(F, "scaled_dot_product_attention"):
        case("attention", F.scaled_dot_product_attention, *[(2, 2, 8, 4)] * 3)
print(json.dumps(results))
"""

# Multiplications of each case, forward and backward.
MACS = {
    "linear": 3 * 8 * 20 * 6,
    "product": 3 * 3 * 4 * 8 * 6,
    "batch": 3 * 4 * 16 * 32 * 16,
    "tiny batch": 3 * 5 * 2 * 3 * 4,
    "added batch": 3 * 5 * 2 * 3 * 4,
    "in place": 4 * 5 * 6,
    "batch in place": 5 * 2 * 3 * 4,
    "vector": 6 * 20,
    "vector in place": 6 * 20,
    "convolution": 3 * 2 * 6 * 4 * 9 * 64,
    "groups": 3 * 2 * 6 * 2 * 9 * 16,
    "signal": 3 * 2 * 6 * 4 * 3 * 14,
    "volume": 3 * 2 * 3 * 2 * 27 * 27,
    "transposed": 3 * 2 * 4 * 25 * 6 * 9,
    "autocast": 3 * 8 * 20 * 6,
    "attention": 6 * 4 * 8 * 8 * 4,
}


def pythons() -> list[str]:
    """Return interpreters that know PyTorch."""
    candidates = [sys.executable, shutil.which("python3"), "/usr/bin/python3"]
    found = []
    for candidate in dict.fromkeys(candidates):
        if candidate is None or not Path(candidate).exists():
            continue
        command = [
            candidate,
            "-c",
            "import importlib.util as u; exit(u.find_spec('torch') is None)",
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found.append(candidate)
    return found


@pytest.mark.slow
def test_every_product_of_pytorch_is_served_and_right(blas_library, tmp_path):
    if not (interpreters := pythons()):
        pytest.skip("needs PyTorch, in this Python or in the system's")
    for number, python in enumerate(interpreters):
        log = tmp_path / f"{number}.json"
        program = [python, "-W", "ignore", "-c", PROGRAM, str(log)]
        native = subprocess.run(program, capture_output=True, text=True, check=True)
        command = [*HWGEN, "run", *DATAPATH, "--log", str(log), "--", *program]
        served = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ}
        )
        assert "warning" not in served.stderr
        compare(json.loads(native.stdout), json.loads(served.stdout))


def compare(native: dict, served: dict) -> None:
    assert set(native) == set(served) != set()
    for name, result in served.items():
        case, dtype = name.rsplit(" ", 1)
        assert (name, result["macs"]) == (name, MACS[case])
        assert native[name]["macs"] == 0
        # bf16 keeps 8 bits; PyTorch's own kernels round sums at other places.
        tolerance = 1e-5 if dtype == "torch.float32" and case != "autocast" else 0.05
        largest = max(map(abs, native[name]["values"]))
        assert result["values"] == pytest.approx(native[name]["values"], abs=tolerance * largest)
