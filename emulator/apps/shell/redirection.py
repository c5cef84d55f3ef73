"""Redirections: which open file a descriptor means, for one command or from now on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.apps.environment import ResolveError
from emulator.apps.services import service_port
from emulator.apps.shell.flow import ShellError
from emulator.apps.shell.streams import Connection, Endless, FileOutput, Stream, Text
from emulator.apps.shell.syntax import Redirection

if TYPE_CHECKING:
    from emulator.apps.shell.interpreter import Interpreter

_OWN = re.compile(r"/dev/(stdin|stdout|stderr)|(?:/dev/fd|/proc/self/fd)/([0-9]{1,4})")
_CONNECTION = re.compile(r"/dev/tcp/([^/]+)/([^/]+)")
_NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}
_BLOCK = 4_096

Undo = list[tuple[int, Stream | None]]
"""What descriptors meant before, in the order of the changes."""


class RedirectionError(ShellError):
    """A file that cannot be opened; the command is not run."""


async def redirect(shell: Interpreter, redirections: Iterable[Redirection]) -> Undo:
    """Redirect, and return what undoes it. RedirectionError, and everything is as before."""
    undo: Undo = []
    try:
        for redirection in redirections:
            for number, stream in await _streams(shell, redirection):
                before = shell.descriptors.get(number)
                if before is not None:
                    before.references += 1  # it must not close while it can still be meant again
                undo.append((number, before))
                shell.descriptors.put(number, stream)
    except BaseException:
        restore(shell, undo)
        raise
    return undo


def restore(shell: Interpreter, undo: Undo) -> None:
    """Have descriptors mean what they meant before."""
    for number, stream in reversed(undo):
        shell.descriptors.put(number, stream)
        if stream is not None:
            stream.references -= 1


def keep(undo: Undo) -> None:
    """Let a redirection stay, as `exec` does."""
    for _, stream in undo:
        if stream is not None:
            stream.references -= 1
            if not stream.references:
                stream.close()


async def _streams(shell: Interpreter, redirection: Redirection) -> list[tuple[int, Stream | None]]:
    number, operator = redirection.descriptor, redirection.operator
    if redirection.document is not None:
        text = await shell.expander.text(redirection.document.word)
        return [(number, Text(text.encode("utf-8", "surrogateescape")))]
    target = await shell.expander.text(redirection.target)
    if operator == "<<<":
        return [(number, Text(f"{target}\n".encode("utf-8", "surrogateescape")))]
    if operator in {"<&", ">&"} and (target == "-" or target.isdigit()):
        return [(number, None if target == "-" else _same(shell, target))]
    if operator in {"&>", "&>>", ">&"}:
        stream = await _written(shell, target, append=operator == "&>>")
        return [(1, stream), (2, stream)]
    if operator in {"<", "<&"}:
        return [(number, await _read(shell, target))]
    if operator == ">" and shell.has("C") and target != "/dev/null":
        status = await shell.session.files.status(shell.path(target))
        if status is not None and not status.is_device:
            raise RedirectionError(f"can't create {target}: File exists", 1)
    return [(number, await _written(shell, target, append=operator in {">>", "<>"}))]


def _same(shell: Interpreter, number: str) -> Stream:
    stream = shell.descriptors.get(int(number[:9]))
    if stream is None:
        raise RedirectionError(f"{number}: Bad file descriptor", 1)
    return stream


def _own(shell: Interpreter, path: str) -> Stream | None:
    match = _OWN.fullmatch(path)
    if match is None:
        return None
    return _same(shell, str(_NUMBERS[match[1]]) if match[1] else match[2])


async def _special(shell: Interpreter, path: str, target: str) -> Stream | None:
    """Return what a path of the shell's own means: a descriptor, or in bash a connection."""
    match = _CONNECTION.fullmatch(path)
    if match is None or shell.name.rpartition("/")[2] != "bash":
        return _own(shell, path)
    port = service_port(match[2], "tcp")
    try:
        if port is None:
            raise ResolveError("Servname not supported for ai_socktype")
        stream = await shell.session.invocation.network.open_tcp_stream(match[1], port)
    except ResolveError as error:
        raise RedirectionError(f"{target}: {error if port is None else error.reason}", 1) from None
    except OSError as error:
        shell.complain(_reason(error), "connect")
        raise RedirectionError(f"{target}: {_reason(error)}", 1) from None
    return Connection(stream, shell.session.nursery.start_soon)


async def _read(shell: Interpreter, target: str) -> Stream:
    path = shell.path(target)
    own = await _special(shell, path, target)
    if own is not None:
        return own
    files = shell.session.files
    if path in {"/dev/zero", "/dev/urandom", "/dev/random"}:
        return Endless(lambda: files.random(path, _BLOCK))
    try:
        return Text(await files.read(path))
    except FileNotFoundError:
        raise RedirectionError(f"can't open {target}: no such file", 1) from None
    except OSError as error:
        raise RedirectionError(f"can't open {target}: {_reason(error)}", 1) from None


async def _written(shell: Interpreter, target: str, *, append: bool) -> Stream:
    path = shell.path(target)
    own = await _special(shell, path, target)
    if own is not None:
        return own
    try:
        file = await shell.session.files.open(path, append=append)
    except FileNotFoundError:
        raise RedirectionError(f"can't create {target}: nonexistent directory", 1) from None
    except OSError as error:
        raise RedirectionError(f"can't create {target}: {_reason(error)}", 1) from None
    return Stream() if file is None else FileOutput(file)


def _reason(error: OSError) -> str:
    return error.strerror or os.strerror(error.errno or 0)
