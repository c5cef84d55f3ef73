"""The processes of a cluster as their supervisor sees them: who runs, who ended, and when to start whom again."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.api.messages import ProcessStatus
from emulator.runtime.supervisor.processes import ProcessExited, ProcessStarted, StartProcess

STABLE = 10.0
"""Seconds after which a process counts as healthy, so that its next end is again the first."""

_FIRST_DELAY = 0.1
_LAST_DELAY = 10.0


class ProcessRecord:
    """One process: how it is started, and how it fares. Times are on the supervisor's clock."""

    def __init__(self, role: str, request: StartProcess) -> None:
        self.role = role
        self.request = request
        self.pid = 0
        self.state = "starting"
        self.starts = 0
        self.failures = 0  # ends in a row, each soon after its start
        self.started_at = 0.0
        self.last_exit = ""

    @property
    def name(self) -> str:
        """The process's name."""
        return self.request.name

    def started(self, event: ProcessStarted, now: float) -> None:
        """Note that it runs."""
        self.pid = event.pid
        self.state = "running"
        self.starts += 1
        self.started_at = now

    def exited(self, event: ProcessExited, now: float) -> float:
        """Note its end; return after how many seconds to start it again: 0 at first, then longer and longer."""
        self.failed(str(event))
        if now - self.started_at >= STABLE:
            self.failures = 1
        return self.delay()

    def failed(self, reason: str) -> None:
        """Note that it ended, or could not be started."""
        self.pid = 0
        self.state = "restarting"
        self.last_exit = reason
        self.failures += 1

    def delay(self) -> float:
        """Seconds to wait before the next start."""
        if self.failures < 2:
            return 0.0
        return float(min(_LAST_DELAY, _FIRST_DELAY * 2 ** (self.failures - 2)))

    def status(self, now: float) -> ProcessStatus:
        """Return what `emulator status` shows."""
        return ProcessStatus(
            name=self.name,
            role=self.role,
            pid=self.pid,
            state=self.state,
            restarts=max(0, self.starts - 1),
            uptime=now - self.started_at if self.pid else 0.0,
            last_exit=self.last_exit,
        )


class ProcessTable:
    """All processes, by name."""

    def __init__(self) -> None:
        self._records: dict[str, ProcessRecord] = {}

    def add(self, role: str, request: StartProcess) -> ProcessRecord:
        """Add a process that is to run."""
        record = self._records[request.name] = ProcessRecord(role, request)
        return record

    def __getitem__(self, name: str) -> ProcessRecord:
        return self._records[name]

    def __iter__(self) -> Iterator[ProcessRecord]:
        return iter(self._records.values())
