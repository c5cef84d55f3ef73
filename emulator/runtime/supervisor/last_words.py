"""What a process that ended said last: the reason that `emulator status` and a failed start show."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from emulator.runtime.state_directory import StateDirectory
from emulator.runtime.supervisor.processes import ProcessExited

_TAIL = 8_192
"""Bytes at the end of a log that are read: a line of the last words is rarely longer."""


def reason_of(event: ProcessExited, directory: StateDirectory) -> str:
    """How a process ended, and its last words where it ended by itself with a failure."""
    return str(event) if event.status <= 0 else f"{event}: {last_words(directory, event.name)}"


def last_words(directory: StateDirectory, name: str) -> str:
    """The last line of a process's log, a record's message alone; or why there is none."""
    try:
        lines = _tail(directory.log(name)).split("\n")
        space = os.statvfs(directory.path)
    except OSError:
        return "it left no log"
    if not space.f_bavail:
        return f"no space is left on the disk of {directory.path}"
    return next((_message(line) for line in reversed(lines) if line.strip()), "its log is empty")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().decode(errors="replace")


def _message(line: str) -> str:
    """Return the message of a record of the structured log; other lines are a traceback's."""
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line.strip()
    return str(record.get("message", line)) if isinstance(record, dict) else line
