"""Simulation benches: what runs inside a Verilog simulator, under cocotb.

``hwgen simulate`` starts :mod:`sim.launch`, which compiles the emitted Verilog and runs
:mod:`sim.bench` in the simulator. Nothing here knows number formats: beats go in, rows come out,
both as integers.
"""
