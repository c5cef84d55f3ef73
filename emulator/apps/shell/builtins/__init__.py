"""The commands that are the shell's own, by name; each is `async def (shell, words) -> status`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from emulator.apps.shell.builtins import control, environment, jobs, output, reading, status, variables

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

Builtin: TypeAlias = "Callable[[Interpreter, Sequence[str]], Awaitable[int]]"

_BUILTINS: Mapping[str, Builtin] = MappingProxyType(
    {
        ".": control.source,
        ":": status.succeed,
        "[": status.test,
        "break": control.leave_loop,
        "cd": environment.change_directory,
        "command": control.command,
        "continue": control.leave_loop,
        "echo": output.echo,
        "eval": control.evaluate,
        "exec": control.execute,
        "exit": control.leave_shell,
        "export": variables.export,
        "false": status.fail,
        "getopts": reading.get_options,
        "hash": status.succeed,
        "jobs": jobs.list_jobs,
        "kill": jobs.kill,
        "let": status.let,
        "local": variables.make_local,
        "printf": output.print_formatted,
        "pwd": environment.print_directory,
        "read": reading.read,
        "readonly": variables.make_read_only,
        "return": control.leave_function,
        "set": environment.set_options,
        "shift": environment.shift,
        "source": control.source,
        "test": status.test,
        "times": status.times,
        "trap": jobs.trap,
        "true": status.succeed,
        "type": control.describe,
        "ulimit": environment.limits,
        "umask": environment.mask,
        "unset": variables.unset,
        "wait": jobs.wait,
    }
)


def find(name: str) -> Builtin | None:
    """Return a built-in, None if there is none of that name."""
    return _BUILTINS.get(name)
