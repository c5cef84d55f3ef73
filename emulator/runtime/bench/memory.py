"""What a process has of the machine's memory, as Linux tells it (proc_pid_smaps(5), smaps_rollup)."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

_LINE = re.compile(r"^(Rss|Pss|Private_Clean|Private_Dirty): +([0-9]+) kB$", re.MULTILINE)


class ProcessMemory(Struct, frozen=True, kw_only=True):
    """Mebibytes (2^20 bytes) of one process.

    `pss` has what it shares with n processes as an n-th of it, `private` only what it shares with none, `rss` all.
    """

    name: str
    pid: int
    pss: float
    private: float
    rss: float


def read_memory(name: str, pid: int) -> ProcessMemory | None:
    """Measure a process; None where it has ended or the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    size = {key: int(kibibytes) / 1024 for key, kibibytes in _LINE.findall(text)}
    if len(size) < 4:
        return None
    private = size["Private_Clean"] + size["Private_Dirty"]
    return ProcessMemory(name=name, pid=pid, pss=size["Pss"], private=private, rss=size["Rss"])
