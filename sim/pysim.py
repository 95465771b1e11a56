"""Benches in Amaranth's own simulator: one way to run a component, and stream helpers.

A testbench is an async function of the simulation's context. Values before a clock edge come from
``await ctx.tick().sample(...)``, values after it from ``ctx.get``.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

__all__ = ["Axis", "Beat", "Testbench", "pipeline", "receive", "send", "simulate", "wait"]

CLOCK_PERIOD = 1e-6  # seconds; only the cycle counts mean something

Testbench = Callable[[Any], Awaitable[None]]


def simulate(
    dut: wiring.Component,
    *testbenches: Testbench,
    reset: Signal | None = None,
    vcd: str | Path | None = None,
    max_cycles: int = 10_000,
) -> None:
    """Run testbenches on a clocked component until all of them have ended.

    Parameters
    ----------
    dut : Component
    testbenches : async functions of the simulation's context
    reset : Signal, optional
        Resets the component while it is 1; driven by a testbench.
    vcd : str or Path, optional
        Where to write the waveforms.
    max_cycles : int
        A run that takes longer fails.

    Raises
    ------
    TimeoutError
        If the testbenches have not ended after ``max_cycles`` cycles.
    """

    async def watchdog(ctx) -> None:
        for _ in range(max_cycles):
            await ctx.tick()
        raise TimeoutError(f"the testbenches have not ended after {max_cycles} cycles")

    # With a domain of its own, a component may also be a purely combinational one.
    top = Module()
    top.domains.sync = domain = ClockDomain()
    top.submodules.dut = dut
    if reset is not None:
        top.d.comb += domain.rst.eq(reset)
    simulator = Simulator(top)
    simulator.add_clock(CLOCK_PERIOD)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    simulator.add_testbench(watchdog, background=True)
    with nullcontext() if vcd is None else simulator.write_vcd(str(vcd)):
        simulator.run()


def pipeline(
    dut: wiring.Component,
    stimulus: Sequence[Sequence[int]],
    *,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    latency: int,
) -> list[tuple[Any, ...]]:
    """Feed one row of input values a cycle; return the outputs that each gives ``latency`` later.

    Parameters
    ----------
    dut : Component
    stimulus : sequence of rows
        One value for every input.
    inputs, outputs : sequences of values of the component
    latency : int
        Cycles from a row to its outputs, 0 or more.
    """
    results: list[tuple[Any, ...]] = []

    async def testbench(ctx) -> None:
        for cycle in range(len(stimulus) + latency):
            if cycle < len(stimulus):
                for signal, value in zip(inputs, stimulus[cycle], strict=True):
                    ctx.set(signal, value)
            _, _, *values = await ctx.tick().sample(*outputs)
            if cycle >= latency:
                results.append(tuple(values))

    simulate(dut, testbench, max_cycles=len(stimulus) + latency + 2)
    return results


async def wait(ctx, cycles: int) -> None:
    """Let ``cycles`` clock edges pass."""
    for _ in range(cycles):
        await ctx.tick()


@dataclass(frozen=True, slots=True)
class Axis:
    """The signals of an AXI4-Stream port of a component, by its name."""

    component: wiring.Component
    name: str

    def __getattr__(self, signal: str) -> Signal:
        return getattr(self.component, f"{self.name}_{signal}")


@dataclass(frozen=True, slots=True)
class Beat:
    """A beat that was taken, and the cycle in which it was."""

    cycle: int
    data: int
    last: int
    user: int


async def send(
    ctx, port: Axis, beats: Iterable[tuple[int, bool]], *, rng: random.Random, stalls: float = 0.0
) -> list[int]:
    """Offer beats of (tdata, tlast) until each is taken; return the cycles in which they were.

    Parameters
    ----------
    rng : Random
    stalls : float
        Probability, in each cycle, that the next beat is not offered yet.
    """
    taken = []
    cycle = 0
    for data, last in beats:
        while rng.random() < stalls:
            await ctx.tick()
            cycle += 1
        ctx.set(port.tdata, data)
        ctx.set(port.tlast, last)
        ctx.set(port.tvalid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(port.tready)
            cycle += 1
        ctx.set(port.tvalid, 0)
        taken.append(cycle - 1)
    return taken


async def receive(
    ctx, port: Axis, count: int, *, rng: random.Random, stalls: float = 0.0
) -> list[Beat]:
    """Take ``count`` beats; ``stalls`` is the probability of a cycle without tready."""
    beats: list[Beat] = []
    cycle = 0
    while len(beats) < count:
        ready = rng.random() >= stalls
        ctx.set(port.tready, ready)
        _, _, valid, data, last, user = await ctx.tick().sample(
            port.tvalid, port.tdata, port.tlast, port.tuser
        )
        if valid and ready:
            beats.append(Beat(cycle, data, last, user))
        cycle += 1
    ctx.set(port.tready, 0)
    return beats
