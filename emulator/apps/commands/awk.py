"""awk: see `apps.awk`."""

from __future__ import annotations

import re
from contextlib import suppress

from emulator.apps.awk.lexer import AwkError, unescape
from emulator.apps.awk.machine import Machine, Numeric, number
from emulator.apps.awk.program import Exit, Item, Next, parse
from emulator.apps.environment import Invocation
from emulator.apps.inputs import TextLines, files_of, path_of
from emulator.apps.options import UsageError
from emulator.apps.options import parse as parse_options
from emulator.apps.regular_expression import ExpressionError

_FAILED = 2
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


async def main(invocation: Invocation) -> int:
    """Run `awk [-F SEPARATOR] [-v NAME=VALUE]... (PROGRAM | -f FILE) [FILE]...`; exit status 0, `exit`'s, or 2."""
    try:
        options = parse_options(invocation.argv[1:], "F:v:f:", mixed=False)
        operands = list(options.operands)
        files = files_of(invocation)
        texts = [await files.read(path_of(invocation, name)) for name in options.all("f")]
        sources = [text.decode("utf-8", "replace") for text in texts]
        if not sources:
            if not operands:
                raise UsageError("usage: awk [-F fs][-v var=value][prog | -f progfile][file ...]")
            sources = [operands.pop(0)]
        items = parse("\n".join(sources))
    except (UsageError, AwkError) as error:
        invocation.write_error(f"awk: {error}\n")
        return _FAILED
    except OSError as error:
        invocation.write_error(f"awk: can't open file {error.filename}: {error.strerror}\n")
        return _FAILED
    machine = Machine(invocation.write)
    if "F" in options:
        separator = options.get("F")
        machine.variables["FS"] = "\t" if separator == "t" else unescape(separator)
    for text in options.all("v"):
        name, _, value = text.partition("=")
        machine.variables[name] = Numeric(unescape(value))
    machine.arrays["ENVIRON"] = {name: Numeric(value) for name, value in invocation.environ.items()}
    try:
        return await _run(invocation, machine, items, operands)
    except (AwkError, ExpressionError) as error:
        invocation.write_error(f"awk: {error}\n")
        return _FAILED


async def _run(invocation: Invocation, machine: Machine, items: list[Item], names: list[str]) -> int:
    status = 0
    try:
        _do(machine, [item for item in items if item.when == "BEGIN"])
        if any(item.when != "BEGIN" for item in items):
            status = await _read(invocation, machine, [item for item in items if not item.when], names)
    except Exit as ended:
        status = ended.status
    try:
        _do(machine, [item for item in items if item.when == "END"])
    except Exit as ended:
        status = ended.status
    await invocation.drain()
    return status


async def _read(invocation: Invocation, machine: Machine, items: list[Item], names: list[str]) -> int:
    status = 0
    assigned = [name for name in names if _ASSIGNMENT.match(name)]
    for name in names if len(names) > len(assigned) else [*assigned, "-"]:
        if name in assigned:
            variable, _, value = name.partition("=")
            machine.variables[variable] = Numeric(unescape(value))
            continue
        machine.variables["FILENAME"], machine.variables["FNR"] = name if name != "-" else "", 0.0
        try:
            async for line in TextLines(invocation, name):
                machine.variables["NR"] = number(machine.variables["NR"]) + 1
                machine.variables["FNR"] = number(machine.variables["FNR"]) + 1
                machine.take(line)
                with suppress(Next):
                    _do(machine, items)
                await invocation.drain()
        except OSError as error:
            invocation.write_error(f"awk: can't open file {name}: {error.strerror}\n")
            status = _FAILED
    return status


def _do(machine: Machine, items: list[Item]) -> None:
    for item in items:
        if item.applies(machine):
            item.action(machine)
