"""Built-ins about processes: `wait`, `kill`, `trap`, `jobs`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio

from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.process import SIGNALS, Process, signal_name
from emulator.apps.shell.quoting import single_quoted

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_UNKNOWN = 127


async def wait(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `wait [PID | %JOB]...`: the status of the last one; without operands 0, when all have ended."""
    await trio.lowlevel.checkpoint()
    if len(words) == 1:
        return await shell.block(partial(_all_ended, shell))
    status = 0
    for word in words[1:]:
        process = _job(shell, word)
        if process is None:
            status = _UNKNOWN
            continue
        status = await shell.block(partial(_ended, process))
        if process.ended.is_set():
            shell.jobs.pop(process.pid, None)
            shell.session.forget(process)
    return status


async def _all_ended(shell: Interpreter) -> int:
    for process in [*shell.jobs.values()]:
        await process.ended.wait()
        shell.jobs.pop(process.pid, None)
        shell.session.forget(process)
    return 0


async def _ended(process: Process) -> int:
    await process.ended.wait()
    return process.status


def _job(shell: Interpreter, word: str) -> Process | None:
    if word.startswith("%"):
        jobs = [*shell.jobs.values()]
        index = int(word[1:]) if word[1:].isdigit() else len(jobs)
        return jobs[index - 1] if 0 < index <= len(jobs) else None
    return shell.jobs.get(int(word)) if word.isdigit() else None


async def kill(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `kill [-SIGNAL] PID...` or `kill -l`."""
    await trio.lowlevel.checkpoint()
    operands = list(words[1:])
    name: str | None = "TERM"
    if operands[:1] == ["-l"]:
        for signal, number in SIGNALS.items():
            shell.print(f"{number:2d}) {signal}\n")
        return 0
    if operands and operands[0] in {"-s", "-n"}:
        name = signal_name(operands[1]) if len(operands) > 1 else None
        operands = operands[2:]
    elif operands and operands[0].startswith("-") and operands[0] != "--":
        name = signal_name(operands.pop(0)[1:])
    if name is None:
        shell.complain("bad signal name")
        return 1
    status = 0
    for word in operands:
        if word != "--" and not _signal(shell, word, name):
            shell.complain(f"can't kill pid {word}: No such process")
            status = 1
    await shell.between()
    return status


def _signal(shell: Interpreter, word: str, name: str) -> bool:
    job = _job(shell, word)
    processes = [job] if job is not None else [shell.session.processes.get(int(word))] if word.isdigit() else []
    found = [process for process in processes if process is not None and not process.ended.is_set()]
    for process in found:
        if name != "EXIT":  # signal 0 only asks
            process.signal(name)
    return bool(found)


async def trap(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `trap [ACTION SIGNAL...]`: `-` is the default, "" ignores; alone it lists the traps."""
    await trio.lowlevel.checkpoint()
    operands = [*words[1:]]
    if operands[:1] == ["--"]:
        operands.pop(0)
    if not operands:
        for name, commands in shell.traps.items():
            shell.print(f"trap -- {single_quoted(commands)} {name}\n")
        return 0
    action: str | None = None
    if len(operands) > 1 or not operands[0].isdigit():
        action = operands.pop(0)
    status = 0
    for word in operands:
        signal = signal_name(word)
        if signal is None:
            shell.complain(f"line {shell.line}: {word}: invalid signal specification", "trap")
            status = 1
        elif action is None or action == "-":
            shell.traps.pop(signal, None)
        else:
            shell.traps[signal] = action
    if not operands:
        raise ShellError("trap: usage: trap [ACTION] SIGNAL...", 1)
    return status


async def list_jobs(shell: Interpreter, words: Sequence[str]) -> int:
    """Run `jobs [-p]`."""
    await trio.lowlevel.checkpoint()
    for index, process in enumerate([*shell.jobs.values()], 1):
        state = "Done" if process.ended.is_set() else "Running"
        mark = "+" if process.pid == shell.last_job else " "
        shell.print(f"{process.pid}\n" if "-p" in words else f"[{index}] {mark} {state}\n")
    return 0
