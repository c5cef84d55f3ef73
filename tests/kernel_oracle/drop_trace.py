"""Why the real kernel dropped what this process sent: its skb:kfree_skb tracepoint, read in a buffer of our own.

A veth hands a frame over in the sender's own time, so drops of our frames are events of our process; under load a
softirq thread may take over, and then the reason is not seen. tracefs is mounted in a mount namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_KERNEL

_EVENT = re.compile(r"kfree_skb: .*protocol=(\d+).*reason: (\w+)")
_HOLD = "mount -t tracefs tracefs /sys/kernel/tracing && echo ready && exec cat"
IPV4 = 0x0800


class DropTrace:
    """One trace buffer; `take` hands over the reasons since the last call."""

    def __init__(self, instance: Path) -> None:
        self._trace = instance / "trace"

    def take(self) -> list[str]:
        """Return the reasons for dropped IPv4 packets, in order, and forget them."""
        events = _EVENT.findall(self._trace.read_text())
        self._trace.write_text("")
        return [reason for protocol, reason in events if int(protocol) == IPV4]


@contextlib.contextmanager
def drop_trace() -> Iterator[DropTrace]:
    """Trace the drops of this process's frames. Without tracefs the test is skipped, or fails where it must run."""
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _HOLD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            if holder.stdout.readline() != "ready\n":
                give_up = pytest.fail if os.environ.get(REQUIRE_KERNEL) == "1" else pytest.skip
                give_up("tracefs cannot be mounted here")
            instance = Path(f"/proc/{holder.pid}/root/sys/kernel/tracing/instances/pwo-{os.getpid()}")
            event = instance / "events/skb/kfree_skb/enable"
            instance.mkdir()
            try:
                (instance / "set_event_pid").write_text(str(os.getpid()))
                event.write_text("1")
                yield DropTrace(instance)
            finally:
                event.write_text("0")
                instance.rmdir()
        finally:
            holder.stdin.close()
