"""`sh`: its command line, scripts, and what it is at a prompt."""

from __future__ import annotations

from functools import partial

import trio

from emulator.apps.environment import Invocation
from emulator.apps.filesystem import Files
from emulator.apps.shell.builtins.environment import change_options
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.interpreter import Interpreter
from emulator.apps.shell.process import Processor, Session, shared_processor
from emulator.apps.shell.program import DEFAULT_PATH
from emulator.apps.shell.prompt import run_input
from emulator.apps.shell.streams import Descriptors, Sink, Source
from emulator.apps.shell.variables import Variables

_USAGE = 2


async def main(invocation: Invocation) -> int:
    """Run `sh [-c SCRIPT [NAME [ARGUMENT]...] | FILE [ARGUMENT]... | -s]`; without operands its input is the script."""
    files = invocation.files or Files(invocation.network, invocation.hostname, clock=invocation.wall_clock)
    try:
        with shared_processor() as processor:
            return await _main(invocation, files, processor)
    except ShellError as error:
        invocation.write_error(f"{invocation.argv[0]}: {error}\n")
        return error.status


async def _main(invocation: Invocation, files: Files, processor: Processor) -> int:
    status = 0
    async with trio.open_nursery() as nursery:
        session = Session(invocation, files, nursery, processor)
        shell = Interpreter(session, invocation.argv[0], _variables(invocation), _descriptors(invocation))
        session.processes[shell.process.pid] = shell.process
        invocation.on_interrupt(session.interrupt)
        invocation.on_terminate(lambda: shell.process.signal("TERM"))
        status = await shell.run_as(shell.process, partial(_run, shell))
        if invocation.pid == 1 or invocation.terminal:
            nursery.cancel_scope.cancel()  # as the kernel ends all when process 1 ends, and a terminal that closes
    return status


def _variables(invocation: Invocation) -> Variables:
    variables = Variables(invocation.environ)
    variables.set("PWD", invocation.directory, exported=True)
    variables.set("IFS", " \t\n")
    for name, value in {
        "PATH": DEFAULT_PATH,
        "PS1": "\\w \\$ ",
        "PS2": "> ",
        "PS4": "+ ",
        "OPTIND": "1",
        "PPID": "0",
    }.items():
        if variables.get(name) is None:
            variables.set(name, value)
    return variables


def _descriptors(invocation: Invocation) -> Descriptors:
    descriptors = Descriptors()
    descriptors.put(0, Source(invocation.stdin))
    descriptors.put(1, Sink(invocation.write, invocation.drain))
    descriptors.put(2, Sink(invocation.write_error, invocation.drain))
    return descriptors


async def _run(shell: Interpreter) -> int:
    operands = list(shell.session.invocation.argv[1:])
    flags: set[str] = set()
    while operands and operands[0][:1] in {"-", "+"} and len(operands[0]) > 1:
        word = operands.pop(0)
        if word in {"--", "--login", "--noprofile", "--norc", "--posix"}:
            if word == "--":
                break
            continue
        letters = "".join(letter for letter in word[1:] if letter not in "csil")
        flags |= {*word[1:]} & {*"csil"}
        if letters:
            change_options(shell, word[0] + letters, operands)
    if "c" in flags:
        if not operands:
            shell.complain("-c requires an argument")
            return _USAGE
        text = operands.pop(0)
        if operands:
            shell.name = operands.pop(0)
        shell.arguments = tuple(operands)
        return await shell.run_text(text)
    if operands and "s" not in flags:
        return await _run_file(shell, operands)
    shell.arguments = tuple(operands)
    shell.is_interactive = "i" in flags or shell.session.invocation.terminal
    return await run_input(shell)


async def _run_file(shell: Interpreter, operands: list[str]) -> int:
    path = operands[0]
    try:
        data = await shell.session.files.read(shell.path(path))
    except OSError as error:
        shell.complain(f"can't open '{path}': {error.strerror}")
        return _USAGE
    shell.name, shell.arguments = path, tuple(operands[1:])
    return await shell.run_text(data.decode("utf-8", "surrogateescape"))
