"""`emulator replay -w`: what the node sent, one pcapng file a link."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from emulator.bundle.row import Output
from emulator.errors import PodwireError
from emulator.packet.capture import Direction
from emulator.packet.linktype import ETHERNET, RAW
from emulator.packet.pcapng import enhanced_packet, interface_description, section_header

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class WriteError(PodwireError):
    """A capture file that cannot be written; what was written of it ends with a whole packet."""


class Writer:
    """The files of one directory, made as links send; use it with `with`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{directory}: {error.strerror}") from None

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
        """Begin a link's file. Its name has been checked to be no path; a symbolic link in its place is refused."""
        path = self._path(first.link)
        try:
            descriptor = os.open(path, _FLAGS, 0o644)
        except OSError as error:
            reason = "a symbolic link, which is not followed" if error.errno == errno.ELOOP else error.strerror
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
