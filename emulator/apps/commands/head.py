"""head and tail: the first or last lines or bytes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

import trio

from emulator.apps.environment import Invocation
from emulator.apps.inputs import Chunks, Lines, files_of, path_of
from emulator.apps.options import Options, UsageError, parse

_LONG = ("lines=", "bytes=", "quiet", "verbose", "follow")
_ALIASES = {"lines": "n", "bytes": "c", "quiet": "q", "verbose": "v", "follow": "f", "F": "f"}
_POLL = 1.0
"""Seconds between two looks at a file, with -f."""


async def main(invocation: Invocation) -> int:
    """Run `head` or `tail` `[-n N | -c N] [-q] [FILE]...`; `tail -f` follows. Exit status 0, or 1."""
    name = invocation.argv[0].rpartition("/")[2]
    try:
        options = parse(_modern(invocation.argv[1:]), "n:c:qvfFs:", _LONG, aliases=_ALIASES)
        text = options.get("c") or options.get("n") or "10"
        if re.fullmatch(r"[-+]?[0-9]+", text) is None:
            what = "bytes" if "c" in options else "lines"
            raise UsageError(f"invalid number of {what}: ‘{text}’")
    except UsageError as error:
        invocation.write_error(f"{name}: {error}\n")
        return 1
    status = 0
    names = options.operands or ("-",)
    headers = (len(names) > 1 and "q" not in options) or "v" in options
    for index, each in enumerate(names):
        try:
            if headers:
                shown = "standard input" if each == "-" else each
                invocation.write(("\n" if index else "") + f"==> {shown} <==\n")
            await (_head if name == "head" else _tail)(invocation, each, text, by_bytes="c" in options)
        except OSError as error:
            invocation.write_error(f"{name}: cannot open '{each}' for reading: {error.strerror}\n")
            status = 1
    if name == "tail" and "f" in options and options.operands:
        await _follow(invocation, options)
    return status


def _modern(words: Sequence[str]) -> list[str]:
    """Write `-5` as `-n5`."""
    first = words[0] if words else ""
    return [f"-n{first[1:]}", *words[1:]] if re.fullmatch(r"-[0-9]+", first) else list(words)


async def _head(invocation: Invocation, name: str, text: str, *, by_bytes: bool) -> None:
    count = int(text)
    if count < 0:
        kept = [part async for part in (Chunks if by_bytes else Lines)(invocation, name)]
        await invocation.copy(b"".join(kept)[:count] if by_bytes else b"".join(kept[:count]))
        return
    if not count:
        return
    async for part in (Chunks if by_bytes else Lines)(invocation, name):
        await invocation.copy(part[:count] if by_bytes else part)
        count -= len(part) if by_bytes else 1
        if count <= 0:
            return


async def _tail(invocation: Invocation, name: str, text: str, *, by_bytes: bool) -> None:
    count = abs(int(text))
    source = (Chunks if by_bytes else Lines)(invocation, name)
    if text.startswith("+"):
        skipped = max(0, count - 1)
        async for part in source:
            await invocation.copy(part[skipped:] if by_bytes else part if not skipped else b"")
            skipped = max(0, skipped - (len(part) if by_bytes else 1))
        return
    if by_bytes:
        data = b"".join([part async for part in source])
        await invocation.copy(data[-count:] if count else b"")
        return
    kept: deque[bytes] = deque(maxlen=count)
    async for part in source:
        kept.append(part)
    for part in kept:
        await invocation.copy(part)


async def _follow(invocation: Invocation, options: Options) -> None:
    """Print what is added to files, without end."""
    files = files_of(invocation)
    paths = [path_of(invocation, name) for name in options.operands if name != "-"]
    sizes: dict[str, int] = {}
    while True:
        for path in paths:
            status = await files.status(path)
            if status is None or status.is_device:
                continue
            data = await files.read(path)
            known = sizes.setdefault(path, len(data))
            await invocation.copy(data[known if len(data) >= known else 0 :])
            sizes[path] = len(data)
        await trio.sleep(_POLL)
