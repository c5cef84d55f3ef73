"""Programs of a shell: which one a name means, and one run of it as a process over the shell's descriptors."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from emulator.apps import commands
from emulator.apps.environment import Command, Input
from emulator.apps.filesystem import PROGRAM_FOLDERS
from emulator.apps.shell.process import Process
from emulator.apps.shell.streams import Descriptors

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

NOT_FOUND, NOT_EXECUTABLE = 127, 126
DEFAULT_PATH = ":".join(PROGRAM_FOLDERS)
_HOME_OF_PROGRAMS = "/usr/bin"
_FAILED = 1


async def find_program(shell: Interpreter, name: str) -> tuple[str, Command | None]:
    """Return a program's path, "" if there is none, and its command; a script has none of its own."""
    if "/" in name:
        path = shell.path(name)
        if posixpath.dirname(path) in {*PROGRAM_FOLDERS, "/"} and (command := commands.find(path)) is not None:
            return path, command
        return (path if await shell.session.files.status(path) is not None else ""), None
    path_list = shell.variables.get("PATH")
    for folder in (DEFAULT_PATH if path_list is None else path_list).split(":"):
        if folder in PROGRAM_FOLDERS and (command := commands.find(name)) is not None:
            return f"{_HOME_OF_PROGRAMS}/{name}", command
        path = shell.path(posixpath.join(folder or ".", name))
        status = await shell.session.files.status(path)
        if status is not None and not status.is_folder and status.mode & 0o111:
            return path, None
    return "", None


async def run_program(
    shell: Interpreter, words: Sequence[str], environ: Mapping[str, str], *, replaces: bool = False
) -> int:
    """Run a program, or a file that is a script, as a process. With `replaces` it takes the shell's place, for signals.

    Status 127 where there is none, 126 where it cannot be run.
    """
    await shell.session.spend(program=True)
    path, command = await find_program(shell, words[0])
    if not path:
        shell.complain(f"{words[0]}: not found")
        return NOT_FOUND
    if command is None:
        status = await shell.session.files.status(path)
        if status is None or status.is_folder or not status.mode & 0o111:
            shell.complain(f"{words[0]}: Permission denied")
            return NOT_EXECUTABLE
        words = ("sh", path, *words[1:])
        command = commands.find("sh")
        assert command is not None
    process = shell.session.process(background=shell.process.background)
    if replaces:
        shell.replaced_by = process
    status_of = await _Run(shell, process).run(command, tuple(words), environ)
    shell.session.forget(process)
    await shell.between()
    return status_of


class _Run:
    """One run of a program."""

    def __init__(self, shell: Interpreter, process: Process) -> None:
        self._shell = shell
        self._process = process
        self._descriptors = shell.descriptors.copy()
        self._handlers: dict[str, Callable[[], None]] = {}
        process.catch = self._catch

    async def run(self, command: Command, words: tuple[str, ...], environ: Mapping[str, str]) -> int:
        """Run it to its end; an error of the system's is its own, and ends it with 1."""
        shell, status = self._shell, 0
        invocation = replace(
            shell.session.invocation,
            argv=words,
            stdin=_Stdin(self._descriptors),
            write=self._writer(1),
            write_error=self._writer(2),
            drain=self._drain,
            on_interrupt=lambda act: self._handlers.__setitem__("INT", act),
            on_terminate=lambda act: self._handlers.__setitem__("TERM", act),
            environ=environ,
            files=shell.session.files,
            directory=shell.directory,
            pid=self._process.pid,
        )
        try:
            with self._process.scope:
                status = await command(invocation)
        except OSError as error:
            invocation.write_error(f"{words[0]}: {error.strerror or error}\n")
            status = _FAILED
        finally:
            self._descriptors.close()
            self._process.end(status)
        return self._process.status

    def _catch(self, name: str) -> bool:
        handler = self._handlers.get(name)
        if handler is not None:
            handler()
        return handler is not None

    def _writer(self, number: int) -> Callable[[str], None]:
        stream = self._descriptors.get(number)

        def write(text: str) -> None:
            if stream is not None:
                try:
                    stream.write(text.encode("utf-8", "surrogateescape"))
                except BrokenPipeError:
                    self._process.signal("PIPE")

        return write

    async def _drain(self) -> None:
        for number in (1, 2):
            stream = self._descriptors.get(number)
            if stream is not None:
                try:
                    await stream.drain()
                except BrokenPipeError:
                    self._process.signal("PIPE")
        await trio.lowlevel.checkpoint()


class _Stdin(Input):
    """What descriptor 0 gives; nothing where it is closed."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    async def read(self) -> bytes:
        stream = self._descriptors.get(0)
        if stream is None:
            await trio.lowlevel.checkpoint()
            return b""
        return await stream.read()
