"""What came of the requests of one client to one target: counts, latencies, who answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from emulator.api.messages.load import LoadTally
from emulator.apps.load.histogram import Histogram


class Tally:
    """Counts as they grow. `latencies` are of the requests that succeeded."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "endpoints",
        "errors",
        "latencies",
        "retried",
        "sent",
        "unsent",
    )

    def __init__(self) -> None:
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()
        self.latencies = Histogram()
        self.bytes_sent = 0
        self.bytes_received = 0
        self.connections = 0
        self.retried = 0
        self.unsent = 0

    @property
    def succeeded(self) -> int:
        """Requests that were answered well."""
        return self.latencies.count

    @property
    def failed(self) -> int:
        """Requests that were not."""
        return self.errors.total()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been counted."""
        return not (self.sent or self.failed or self.succeeded or self.unsent or self.connections)

    def message(self, client: int, target: int) -> LoadTally:
        """Return the counts as a message."""
        latencies = self.latencies
        return LoadTally(
            client=client,
            target=target,
            sent=self.sent,
            errors=dict(self.errors),
            endpoints=dict(self.endpoints),
            latencies=tuple(latencies.counts.items()),
            longest=latencies.longest,
            total=latencies.total,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            connections=self.connections,
            retried=self.retried,
            unsent=self.unsent,
        )

    def take(self, client: int, target: int) -> LoadTally:
        """Return the counts as a message, and begin anew from nothing."""
        message = self.message(client, target)
        self.__init__()  # type: ignore[misc]
        return message

    def add(self, part: LoadTally) -> None:
        """Add what a message tells."""
        self.sent += part.sent
        self.errors.update(part.errors)
        self.endpoints.update(part.endpoints)
        self.latencies.add(part.latencies, part.longest, part.total)
        self.bytes_sent += part.bytes_sent
        self.bytes_received += part.bytes_received
        self.connections += part.connections
        self.retried += part.retried
        self.unsent += part.unsent

    @classmethod
    def sum(cls, parts: Iterable[Tally]) -> Tally:
        """Add up tallies."""
        result = cls()
        for part in parts:
            result.add(part.message(0, 0))
        return result
