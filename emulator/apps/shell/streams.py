"""The descriptors of a shell and its commands: pipes between them, files, what goes out and comes in.

Writing never waits, as a command's `write` never does; `drain` waits while the reader is behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import trio

from emulator.apps.environment import Input, TcpStream
from emulator.apps.filesystem import File

PIPE_SIZE = 65_536  # bytes that wait in a pipe before its writers do, as on Linux (pipe(7))


class Stream:
    """An open file, shared by all descriptors that were made of it; it closes with the last of them."""

    def __init__(self) -> None:
        self.references = 0
        self._ahead = b""

    async def read(self) -> bytes:
        """Return some bytes, b"" at the end."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            await trio.lowlevel.checkpoint()
            return data
        return await self._receive()

    async def read_line(self) -> bytes:
        """Return bytes up to and with a newline, or those before the end."""
        line = bytearray()
        while True:
            data = await self.read()
            end = data.find(b"\n") + 1
            if end:
                self._ahead = data[end:]
                return bytes(line + data[:end])
            line += data
            if not data:
                return bytes(line)

    async def read_some(self, count: int) -> bytes:
        """Return `count` bytes, or fewer where a line or the input ends."""
        line = await self.read_line()
        self._ahead = line[count:] + self._ahead
        return line[:count]

    async def _receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    def write(self, data: bytes) -> None:
        """Take bytes. BrokenPipeError where nobody reads any more, OSError of a file."""

    async def drain(self) -> None:
        """Wait while too much is unread."""
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The last descriptor is gone."""


class Source(Stream):
    """Standard input as it was given to the shell."""

    def __init__(self, stdin: Input) -> None:
        super().__init__()
        self._stdin = stdin

    async def _receive(self) -> bytes:
        return await self._stdin.read()


class Sink(Stream):
    """Output as it was given to the shell."""

    def __init__(self, write: Callable[[str], None], drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._write = write
        self._drain = drain

    def write(self, data: bytes) -> None:
        """Hand bytes on, as text that can be made bytes again."""
        self._write(data.decode("utf-8", "surrogateescape"))

    async def drain(self) -> None:
        """Wait while the reader is behind."""
        await self._drain()


class Text(Stream):
    """Something to read: a file as it was when it was opened, a here-document."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._ahead = data


class Endless(Stream):
    """/dev/zero and /dev/urandom."""

    def __init__(self, draw: Callable[[], bytes]) -> None:
        super().__init__()
        self._draw = draw

    async def _receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._draw()


class FileOutput(Stream):
    """A file that is written."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file

    def write(self, data: bytes) -> None:
        """Add to the file. OSError(ENOSPC)."""
        self._file.write(data)


class Connection(Stream):
    """bash's /dev/tcp/HOST/PORT. `spawn` starts what has to wait: sending what is left, and closing."""

    def __init__(self, stream: TcpStream, spawn: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        super().__init__()
        self._stream = stream
        self._spawn = spawn
        self._unsent = bytearray()

    async def _receive(self) -> bytes:
        await self._send()
        try:
            return await self._stream.receive_some()
        except trio.BrokenResourceError:
            return b""

    def write(self, data: bytes) -> None:
        """Take bytes; `drain` sends them."""
        self._unsent += data

    async def drain(self) -> None:
        """Send what was written. BrokenPipeError."""
        try:
            await self._send()
        except trio.BrokenResourceError:
            raise BrokenPipeError from None

    async def _send(self) -> None:
        data, self._unsent = bytes(self._unsent), bytearray()
        await self._stream.send_all(data)

    def close(self) -> None:
        """Send the rest and close."""
        self._spawn(self._finish)

    async def _finish(self) -> None:
        try:
            with suppress(trio.BrokenResourceError):
                await self._send()
        finally:
            await self._stream.aclose()


class Pipe:
    """What is written at one end is read at the other."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = trio.Event()
        self._no_writers = False
        self._no_readers = False
        self.reader: Stream = _PipeReader(self)
        self.writer: Stream = _PipeWriter(self)

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def receive(self) -> bytes:
        """Wait for bytes; b"" when the other end is closed."""
        await trio.lowlevel.checkpoint()
        while not self._chunks and not self._no_writers:
            await self._changed.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._change()
        return data

    def send(self, data: bytes) -> None:
        """Put bytes in. BrokenPipeError."""
        if self._no_readers:
            raise BrokenPipeError
        if data:
            self._chunks.append(data)
            self._size += len(data)
            self._change()

    async def drain(self) -> None:
        """Wait until there is room. BrokenPipeError."""
        await trio.lowlevel.checkpoint()
        while self._size > PIPE_SIZE and not self._no_readers:
            await self._changed.wait()
        if self._no_readers:
            raise BrokenPipeError

    def end_writing(self) -> None:
        """Nobody writes any more."""
        self._no_writers = True
        self._change()

    def end_reading(self) -> None:
        """Nobody reads any more."""
        self._no_readers = True
        self._chunks.clear()
        self._change()


class _PipeReader(Stream):
    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    async def _receive(self) -> bytes:
        return await self._pipe.receive()

    def close(self) -> None:
        self._pipe.end_reading()


class _PipeWriter(Stream):
    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        self._pipe.send(data)

    async def drain(self) -> None:
        await self._pipe.drain()

    def close(self) -> None:
        self._pipe.end_writing()


class Descriptors:
    """The open files of one process, by number."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}

    def get(self, number: int) -> Stream | None:
        """Return an open file, None where the number is of none."""
        return self._streams.get(number)

    def put(self, number: int, stream: Stream | None) -> None:
        """Make a number mean an open file, or nothing; what it meant before is closed."""
        if stream is not None:
            stream.references += 1
        before = self._streams.pop(number, None)
        if stream is not None:
            self._streams[number] = stream
        if before is not None:
            _release(before)

    def copy(self) -> Descriptors:
        """Return the descriptors of a child."""
        child = Descriptors()
        for number, stream in self._streams.items():
            child.put(number, stream)
        return child

    def close(self) -> None:
        """Close all."""
        for number in [*self._streams]:
            self.put(number, None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._streams)


def _release(stream: Stream) -> None:
    stream.references -= 1
    if not stream.references:
        stream.close()
