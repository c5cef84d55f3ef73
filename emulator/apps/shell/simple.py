"""Simple commands: their words become arguments, and a function, a built-in or a program runs with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from emulator.apps.shell import builtins
from emulator.apps.shell.builtin_names import SPECIAL
from emulator.apps.shell.flow import FunctionReturn, ShellError
from emulator.apps.shell.parser import assignment_of
from emulator.apps.shell.program import run_program
from emulator.apps.shell.quoting import quoted
from emulator.apps.shell.redirection import RedirectionError, keep, redirect, restore
from emulator.apps.shell.syntax import Assignment, SimpleCommand, Word

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_DECLARATIONS = frozenset({"export", "local", "readonly"})
_DEEPEST_CALLS = 60


async def run_simple(shell: Interpreter, found: SimpleCommand) -> int:
    """Run a simple command and return its status."""
    shell.line = found.line
    await shell.between()
    shell.substitution_status = 0
    words = await _arguments(shell, found.words)
    if not words:
        return await _assign_only(shell, found)
    name = words[0]
    function = shell.functions.get(name)
    builtin = builtins.find(name)
    special = name in SPECIAL and function is None
    try:
        undo = await redirect(shell, found.redirections)
    except RedirectionError as error:
        if special:
            raise
        shell.complain(str(error))
        return error.status
    if name == "exec" and special and len(words) == 1:
        keep(undo)
        undo = []
    try:
        values = await _values(shell, found.assignments)
        _trace(shell, [f"{key}={value}" for key, value in values.items()], words)
        if builtin is not None and (special or function is None):
            await shell.session.spend()
            status = await _run_builtin(shell, builtin, words, values, lasting=special)
            await shell.between()  # `wait` may be through because a signal came
            return status
        if function is not None:
            return await call(shell, words, values)
        return await run_program(shell, words, shell.variables.environment() | values)
    finally:
        restore(shell, undo)


async def _arguments(shell: Interpreter, words: Sequence[Word]) -> list[str]:
    """Expand words; the arguments of `export` and its like are not split where they assign."""
    if not words or words[0].bare not in _DECLARATIONS:
        return await shell.expander.fields(words)
    fields: list[str] = []
    for word in words:
        assignment = assignment_of(word)
        if assignment is None:
            fields += await shell.expander.fields([word])
        else:
            text = await shell.expander.text(assignment.value, after_colons=True)
            fields.append(f"{assignment.name}={text}")
    return fields


async def _values(shell: Interpreter, assignments: Sequence[Assignment]) -> dict[str, str]:
    values: dict[str, str] = {}
    for assignment in assignments:
        before = values.get(assignment.name, shell.variables.get(assignment.name)) or ""
        text = await shell.expander.text(assignment.value, after_colons=True)
        values[assignment.name] = before + text if assignment.appends else text
    return values


async def _assign_only(shell: Interpreter, found: SimpleCommand) -> int:
    """Set variables; the status is that of the last command substitution."""
    await shell.session.spend()
    for assignment in found.assignments:
        for name, value in (await _values(shell, [assignment])).items():
            _trace(shell, [f"{name}={value}"], [])
            shell.assign(name, value)
    try:
        undo = await redirect(shell, found.redirections)
    except RedirectionError as error:
        shell.complain(str(error))
        return error.status
    restore(shell, undo)
    return shell.substitution_status


def _trace(shell: Interpreter, assignments: Sequence[str], words: Sequence[str]) -> None:
    """Print a command as `set -x` does."""
    if not shell.has("x"):
        return
    shown = [f"{name}={quoted(value)}" for name, _, value in (each.partition("=") for each in assignments)]
    with suppress(OSError):
        prefix = shell.variables.get("PS4")
        shell.print(("+ " if prefix is None else prefix) + " ".join([*shown, *map(quoted, words)]) + "\n", 2)


async def _run_builtin(
    shell: Interpreter, builtin: builtins.Builtin, words: Sequence[str], values: Mapping[str, str], *, lasting: bool
) -> int:
    """Run a built-in. Assignments before a special one last; before another they are gone with it."""
    before = {name: shell.variables.of(name) for name in values}
    for name, value in values.items():
        shell.variables.set(name, value, exported=not lasting)
    try:
        status = await builtin(shell, words)
        await shell.drain()
    except BrokenPipeError:
        raise
    except OSError as error:
        shell.complain(f"write error: {error.strerror}", words[0])
        status = 1
    finally:
        if not lasting:
            shell.variables.put_back(before)
    return status


async def call(shell: Interpreter, words: Sequence[str], values: Mapping[str, str]) -> int:
    """Call a function with arguments."""
    from emulator.apps.shell.execution import command

    if shell.calls >= _DEEPEST_CALLS:
        raise ShellError(f"{words[0]}: functions call one another too deep")
    arguments, loops = shell.arguments, shell.loops
    shell.arguments, shell.loops = tuple(words[1:]), 0
    shell.calls += 1
    shell.variables.enter()
    try:
        for name, value in values.items():
            shell.variables.make_local(name)
            shell.variables.set(name, value, exported=True)
        await shell.session.spend()
        return await command(shell, shell.functions[words[0]])
    except FunctionReturn as flow:
        if type(flow) is not FunctionReturn:
            raise
        return flow.status
    finally:
        shell.variables.leave()
        shell.calls -= 1
        shell.arguments, shell.loops = arguments, loops
