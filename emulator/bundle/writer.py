"""`emulator replay -w`: what the node sent, one pcapng file a link."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from emulator.bundle.row import Output
from emulator.errors import PodwireError
from emulator.packet.capture import Direction
from emulator.packet.linktype import ETHERNET, RAW
from emulator.packet.pcapng import enhanced_packet, interface_description, section_header

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_THERE = "is there already, and is not overwritten; remove it, or name another directory"


class WriteError(PodwireError):
    """A capture file that cannot be written; what was written of it ends with a whole packet."""


class Writer:
    """The files of one directory, made as links send; use it with `with`."""

    def __init__(self, directory: Path, links: Iterable[str] = ()) -> None:
        """Make the directory. WriteError at once if it has a file of one of these links: nothing is overwritten."""
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{directory}: {error.strerror}") from None
        for link in links:
            if os.path.lexists(directory / f"{link}.pcapng"):
                raise WriteError(f"{directory / f'{link}.pcapng'}: {_THERE}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def write(self, outputs: Sequence[Output]) -> None:
        """Add frames to the files of their links. WriteError, after which each file is whole up to its last packet."""
        for each in outputs:
            file = self._files.get(each.link) or self._open(each)
            self._append(file, each.link, enhanced_packet(each.time, each.frame, direction=Direction.OUTBOUND))

    def _open(self, first: Output) -> BinaryIO:
        """Begin a link's file. What is there already, a symbolic link too, is left alone."""
        path = self._path(first.link)
        try:
            descriptor = os.open(path, _FLAGS, 0o644)
        except OSError as error:
            reason = _THERE if error.errno == errno.EEXIST else error.strerror
            raise WriteError(f"{path}: {reason}") from None
        file = os.fdopen(descriptor, "wb", buffering=0)
        self._files[first.link] = file
        linktype = ETHERNET if first.ethernet else RAW
        self._append(file, first.link, section_header() + interface_description(linktype, first.link))
        return file

    def _path(self, link: str) -> Path:
        if "/" in link or "\0" in link or link in ("", ".", ".."):
            raise WriteError(f"{link!r} cannot be the name of a file")
        return self._directory / f"{link}.pcapng"

    def _append(self, file: BinaryIO, link: str, data: bytes) -> None:
        end = file.tell()
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            file.truncate(end)
            raise WriteError(f"{self._path(link)}: {error.strerror}; it ends with the packet before") from None
