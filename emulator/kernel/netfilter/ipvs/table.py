"""IPVS's connection table: lookups from either side by one dict each, and the queue of ends (ip_vs_conn.c)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.ipvs.connection import IpvsConnection
    from emulator.kernel.timer import Timer

Key = tuple[int, int, int, int, int]


class ConnectionTable:
    """The entries of one namespace, in the order in which they were entered. `expire` is called at their time."""

    def __init__(self, kernel: Kernel, expire: Callable[[IpvsConnection], None]) -> None:
        self._kernel = kernel
        self._expire = expire
        # The last entered of equal ones is found first, as at the head of the kernel's chains.
        self._in: dict[Key, list[IpvsConnection]] = {}
        self._out: dict[Key, list[IpvsConnection]] = {}
        self._templates: dict[Key, list[IpvsConnection]] = {}
        self._entries: dict[int, IpvsConnection] = {}
        self._queue: list[tuple[float, int, IpvsConnection]] = []
        self._sequence = 0
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[IpvsConnection]:
        return iter(list(self._entries.values()))

    # Lookups

    def find_in(self, protocol: int, caddr: int, cport: int, vaddr: int, vport: int) -> IpvsConnection | None:
        """Return the connection of a packet from a client to a service."""
        found = self._in.get((protocol, caddr, cport, vaddr, vport))
        return found[-1] if found else None

    def find_out(self, protocol: int, saddr: int, sport: int, daddr: int, dport: int) -> IpvsConnection | None:
        """Return the connection that a packet is an answer of."""
        found = self._out.get((protocol, saddr, sport, daddr, dport))
        return found[-1] if found else None

    def find_template(self, protocol: int, network: int, vaddr: int, vport: int) -> IpvsConnection | None:
        """Return the template of a client network for a service."""
        found = self._templates.get((protocol, network, 0, vaddr, vport))
        return found[-1] if found else None

    # Changes

    def add(self, connection: IpvsConnection) -> None:
        """Enter a connection or a template."""
        key = (connection.protocol, connection.caddr, connection.cport, connection.vaddr, connection.vport)
        if connection.template:
            self._templates.setdefault(key, []).append(connection)
        else:
            if connection.cport:  # a packet without a source port matches no entry (IP_VS_CONN_F_NO_CPORT)
                self._in.setdefault(key, []).append(connection)
            self._out.setdefault(connection.out_key, []).append(connection)
        self._entries[id(connection)] = connection

    def remove(self, connection: IpvsConnection) -> None:
        """Take one out; a packet that has it goes on with it."""
        key = (connection.protocol, connection.caddr, connection.cport, connection.vaddr, connection.vport)
        if connection.template:
            _take(self._templates, key, connection)
        else:
            _take(self._in, key, connection)
            _take(self._out, connection.out_key, connection)
        self._entries.pop(id(connection), None)

    # Time

    def renew(self, connection: IpvsConnection) -> None:
        """Let it end `timeout` from now."""
        connection.deadline = deadline = self._kernel.now + connection.timeout
        if not connection.queued or deadline < connection.queued:
            self._enqueue(connection)
            if self._queue[0][2] is connection:
                self._arm()

    def clear(self) -> None:
        """Forget everything, because the namespace goes away."""
        for each in (self._in, self._out, self._templates):
            each.clear()
        self._entries.clear()
        self._queue.clear()
        self._arm()

    def _enqueue(self, connection: IpvsConnection) -> None:
        connection.queued = connection.deadline
        self._sequence += 1
        heapq.heappush(self._queue, (connection.deadline, self._sequence, connection))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue:
            self._timer = self._kernel.schedule(max(0.0, self._queue[0][0] - self._kernel.now), self._run)

    def _run(self) -> None:
        now = self._kernel.now
        self._timer = None
        queue = self._queue
        while queue and queue[0][0] <= now:
            place, _, connection = heapq.heappop(queue)
            if connection.dead or place != connection.queued:
                continue
            connection.queued = 0.0
            if connection.deadline > now:
                self._enqueue(connection)
            else:
                self._expire(connection)
        self._arm()


def _take(table: dict[Key, list[IpvsConnection]], key: Key, connection: IpvsConnection) -> None:
    found = table.get(key)
    if found is not None and connection in found:
        found.remove(connection)
        if not found:
            del table[key]
