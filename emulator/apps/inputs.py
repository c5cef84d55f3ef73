"""What text tools read: standard input and files, as they come, and the lines in them."""

from __future__ import annotations

import posixpath
from collections import deque
from typing import Self

from emulator.apps.environment import Invocation
from emulator.apps.filesystem import Files

_ENDLESS = frozenset({"/dev/zero", "/dev/urandom", "/dev/random"})


def files_of(invocation: Invocation) -> Files:
    """Return the files of a command's container; of one that has none of its own, those that its network makes."""
    return invocation.files or Files(invocation.network, invocation.hostname, clock=invocation.wall_clock)


def path_of(invocation: Invocation, name: str) -> str:
    """Return the absolute path of a file's name."""
    return posixpath.normpath(posixpath.join(invocation.directory, name))


class Chunks:
    """The bytes of a file as they come, or of standard input for "-". OSError."""

    def __init__(self, invocation: Invocation, name: str = "-") -> None:
        self._invocation = invocation
        self._path = path_of(invocation, name)
        self._is_input = name == "-" or self._path in {"/dev/stdin", "/dev/fd/0"}
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = b""
        if self._is_input:
            data = await self._invocation.stdin.read()
        elif not self._ended:
            data = await files_of(self._invocation).read(self._path)
            self._ended = self._path not in _ENDLESS
        if not data:
            raise StopAsyncIteration
        return data


class Lines:
    """Lines with their newline, which the last one may be without. OSError."""

    def __init__(self, invocation: Invocation, name: str = "-") -> None:
        self._chunks = Chunks(invocation, name)
        self._whole: deque[bytes] = deque()
        self._rest = b""
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._whole and not self._ended:
            try:
                first, *others = (self._rest + await anext(self._chunks)).split(b"\n")
            except StopAsyncIteration:
                self._ended = True
                if self._rest:
                    self._whole.append(self._rest)
                break
            self._whole.extend(line + b"\n" for line in [first, *others][:-1])
            self._rest = others[-1] if others else first
        if not self._whole:
            raise StopAsyncIteration
        return self._whole.popleft()


class TextLines:
    """Lines without their newline, as text. OSError."""

    def __init__(self, invocation: Invocation, name: str = "-") -> None:
        self._lines = Lines(invocation, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return (await anext(self._lines)).removesuffix(b"\n").decode("utf-8", "surrogateescape")
