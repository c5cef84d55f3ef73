"""A script that comes through standard input: typed at a prompt, or piped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.apps.shell import execution
from emulator.apps.shell.flow import Interrupted, LoopBreak, ShellError
from emulator.apps.shell.parser import parse
from emulator.apps.shell.syntax import Script, ShellSyntaxError

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_INTERRUPTED = 130
_SYNTAX = 2
_LONGEST = 1 << 20  # bytes of one command


async def run_input(shell: Interpreter) -> int:
    """Run commands as they come, up to the end of the input. At a prompt errors and Ctrl-C end the command only."""
    while True:
        try:
            script = await _next_command(shell)
            if script is None:
                break
            shell.status = await execution.run(shell, script) if script.items else shell.status
        except Interrupted:
            if not shell.is_interactive:
                raise
            shell.print("\n", 2)
            shell.status = _INTERRUPTED
        except LoopBreak:
            continue
        except ShellError as error:
            if not shell.is_interactive:
                raise
            shell.complain(str(error))
            shell.status = error.status
    if shell.is_interactive:
        shell.print("\n", 2)
    return shell.status


async def _next_command(shell: Interpreter) -> Script | None:
    """Read lines until they are whole commands; None at the end of the input. ShellError where they are none."""
    text = ""
    while True:
        _show_prompt(shell, "PS2" if text else "PS1")
        line = b""

        async def read_line() -> int:
            nonlocal line
            stream = shell.descriptors.get(0)
            line = await stream.read_line() if stream is not None else b""
            return 0

        await shell.block(read_line)
        await shell.between()
        text += line.decode("utf-8", "surrogateescape")
        try:
            if not line and not text:
                return None
            return parse(text, more_may_come=bool(line))
        except ShellSyntaxError as error:
            if not error.incomplete or not line or len(text) > _LONGEST:
                raise ShellError(str(error), _SYNTAX) from None


def _show_prompt(shell: Interpreter, name: str) -> None:
    if not shell.is_interactive:
        return
    folder = shell.directory
    home = shell.variables.get("HOME")
    if home and home != "/" and (folder == home or folder.startswith(f"{home}/")):
        folder = "~" + folder[len(home) :]
    values = {"\\w": folder, "\\$": "#", "\\h": shell.session.invocation.hostname, "\\u": "root", "\\W": folder}
    prompt = shell.variables.get(name) or ""
    for mark, value in values.items():
        prompt = prompt.replace(mark, value)
    shell.print(prompt, 2)
