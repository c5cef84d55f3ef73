"""Runs the tree: lists, pipelines, compound commands. Simple commands are in `simple`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.conditional import evaluate as evaluate_conditional
from emulator.apps.shell.flow import LoopBreak, LoopContinue, ShellExit
from emulator.apps.shell.pattern import compile_pattern
from emulator.apps.shell.redirection import RedirectionError, redirect, restore
from emulator.apps.shell.simple import run_simple
from emulator.apps.shell.streams import Pipe, Stream, Text
from emulator.apps.shell.syntax import (
    AndOr,
    Case,
    Command,
    Conditional,
    For,
    Function,
    Group,
    If,
    Loop,
    Pipeline,
    Redirected,
    Script,
    SimpleCommand,
    Subshell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.apps.shell.interpreter import Interpreter

_ENDS_ON_FAILURE = (SimpleCommand, Subshell, Conditional)


async def run(shell: Interpreter, script: Script) -> int:
    """Run a list and return the status of its last command."""
    status = 0
    for item in script.items:
        if shell.has("n") and not shell.is_interactive:
            break
        if item.background:
            _start(shell, item)
            status = 0
        else:
            status = await _and_or(shell, item)
        shell.status = status
    return status


@contextmanager
def _tested(shell: Interpreter, *, when: bool = True) -> Iterator[None]:
    """Run something whose failure is an answer: `set -e` leaves it alone."""
    shell.tested += when
    try:
        yield
    finally:
        shell.tested -= when


async def _and_or(shell: Interpreter, item: AndOr) -> int:
    with _tested(shell, when=bool(item.rest)):
        status = await _pipeline(shell, item.first)
    for index, (operator, pipeline) in enumerate(item.rest):
        if (operator == "&&") == (status == 0):
            shell.status = status
            with _tested(shell, when=index < len(item.rest) - 1):
                status = await _pipeline(shell, pipeline)
    return status


async def _pipeline(shell: Interpreter, pipeline: Pipeline) -> int:
    with _tested(shell, when=pipeline.negated):
        if len(pipeline.commands) == 1:
            status = await command(shell, pipeline.commands[0])
        else:
            status = await _piped(shell, pipeline.commands)
    if pipeline.negated:
        return int(not status)
    ends = len(pipeline.commands) > 1 or isinstance(_inner(pipeline.commands[0]), _ENDS_ON_FAILURE)
    if status and ends and not shell.tested and shell.has("e"):
        raise ShellExit(status)
    return status


def _inner(found: Command) -> Command:
    return _inner(found.command) if isinstance(found, Redirected) else found


async def _piped(shell: Interpreter, commands: tuple[Command, ...]) -> int:
    """Run all stages at once, each in a subshell. The status is the last one's."""
    statuses = [0] * len(commands)

    processes = shell.session.stages(len(commands), background=shell.process.background)

    async def run_stage(index: int, child: Interpreter) -> None:
        process = processes[index]
        statuses[index] = await child.run_as(process, partial(command, child, commands[index]))
        shell.session.forget(process)

    async with trio.open_nursery() as nursery:
        reader: Stream | None = None
        children: list[Interpreter] = []
        for index in range(len(commands)):
            child = shell.fork()
            children.append(child)
            if reader is not None:
                child.descriptors.put(0, reader)
            if index < len(commands) - 1:
                pipe = Pipe()
                child.descriptors.put(1, pipe.writer)
                reader = pipe.reader
        for index, child in enumerate(children):
            nursery.start_soon(run_stage, index, child)
    await shell.between()
    if shell.has("pipefail"):
        return next((status for status in reversed(statuses) if status), 0)
    return statuses[-1]


def _start(shell: Interpreter, item: AndOr) -> None:
    """Run a list in the background, its input empty."""
    process = shell.session.process(background=True)
    child = shell.fork()
    child.descriptors.put(0, Text(b""))
    shell.last_job = process.pid
    shell.remember(process)
    shell.session.nursery.start_soon(child.run_as, process, partial(_and_or, child, item))


async def command(shell: Interpreter, found: Command) -> int:
    """Run one command and return its status."""
    match found:
        case SimpleCommand():
            return await run_simple(shell, found)
        case Redirected():
            return await _redirected(shell, found)
        case Subshell():
            return await _subshell(shell, found)
        case Group():
            return await run(shell, found.body)
        case If():
            return await _if(shell, found)
        case Loop():
            return await _loop(shell, found)
        case For():
            return await _for(shell, found)
        case Case():
            return await _case(shell, found)
        case Conditional():
            shell.line = found.line
            await shell.session.spend()
            return await evaluate_conditional(shell, found)
        case Function():
            shell.functions[found.name] = found.body
            return 0


async def _redirected(shell: Interpreter, found: Redirected) -> int:
    try:
        undo = await redirect(shell, found.redirections)
    except RedirectionError as error:
        shell.complain(str(error))
        return error.status
    try:
        return await command(shell, found.command)
    finally:
        restore(shell, undo)


async def _subshell(shell: Interpreter, found: Subshell) -> int:
    process = shell.session.process(background=shell.process.background)
    child = shell.fork()
    status = await child.run_as(process, partial(run, child, found.body))
    shell.session.forget(process)
    await shell.between()
    return status


async def _if(shell: Interpreter, found: If) -> int:
    for condition, body in found.clauses:
        with _tested(shell):
            status = await run(shell, condition)
        if not status:
            return await run(shell, body)
    return await run(shell, found.otherwise) if found.otherwise is not None else 0


async def _loop(shell: Interpreter, found: Loop) -> int:
    status = 0

    async def turn() -> bool:
        nonlocal status
        with _tested(shell):
            met = await run(shell, found.condition) == 0
        if met == found.ends_on:
            return False
        status = 0
        status = await run(shell, found.body)
        return True

    while await _turn(shell, turn):
        await shell.session.spend()
        await shell.between()
    return status


async def _turn(shell: Interpreter, turn: Callable[[], Awaitable[bool]]) -> bool:
    """Take one turn of a loop; return whether there is to be another."""
    shell.loops += 1
    try:
        return await turn()
    except LoopBreak as flow:
        if flow.levels > 1:
            flow.levels -= 1
            raise
        return isinstance(flow, LoopContinue)
    finally:
        shell.loops -= 1


async def _for(shell: Interpreter, found: For) -> int:
    values = shell.arguments if found.words is None else await shell.expander.fields(found.words)
    status = 0

    async def turn() -> bool:
        nonlocal status
        status = 0  # that of `break` and `continue`
        status = await run(shell, found.body)
        return True

    for value in values:
        shell.assign(found.name, value)
        if not await _turn(shell, turn):
            break
        await shell.session.spend()
    return status


async def _case(shell: Interpreter, found: Case) -> int:
    text = await shell.expander.text(found.word)
    status, falls = 0, False
    for item in found.items:
        if not falls:
            for word in item.patterns:
                if compile_pattern(await shell.expander.runs(word)).fullmatch(text):
                    break
            else:
                continue
        status = await run(shell, item.body)
        falls = item.falls_through
        if not falls:
            break
    return status
