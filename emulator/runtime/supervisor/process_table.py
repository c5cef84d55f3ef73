"""The processes of a cluster as their supervisor sees them: who runs, who ended, and when to start whom again."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.api.messages import ProcessStatus
from emulator.runtime.supervisor.processes import ProcessStarted, StartProcess

STABLE = 10.0
"""Seconds after which a process counts as healthy, so that its next end is again the first."""

_FIRST_DELAY = 0.1
_LAST_DELAY = 10.0


class Backoff:
    """When to start again what ended: at once the first time, then later and later. Times are on one clock."""

    def __init__(self) -> None:
        self.failures = 0  # ends in a row, each soon after its start
        self._started_at = 0.0

    def started(self, now: float) -> None:
        """Note a start."""
        self._started_at = now

    def ended(self, now: float) -> float:
        """Note an end; return the seconds to wait before the next start."""
        self.failures = 1 if now - self._started_at >= STABLE else self.failures + 1
        return self.delay

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        if self.failures < 2:
            return 0.0
        return float(min(_LAST_DELAY, _FIRST_DELAY * 2 ** min(self.failures - 2, 20)))


class ProcessRecord:
    """One process: how it is started, and how it fares. Times are on the supervisor's clock."""

    def __init__(self, role: str, request: StartProcess) -> None:
        self.role = role
        self.request = request
        self.pid = 0
        self.state = "starting"
        self.starts = 0
        self.attempts = 0  # requests to start it; one that waits for its time is void when another was made
        self.backoff = Backoff()
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
        self.backoff.started(now)

    def ended(self, reason: str, now: float) -> float:
        """Note that it ended, or could not be started; return after how many seconds to start it again."""
        self.pid = 0
        self.state = "restarting"
        self.last_exit = reason
        return self.backoff.ended(now)

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
