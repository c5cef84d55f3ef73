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


class _Index:
    """Connections by a key. Of several with one key the last entered is found, as in the kernel's chains."""

    __slots__ = ("_older", "newest")

    def __init__(self) -> None:
        self.newest: dict[Key, IpvsConnection] = {}
        self._older: dict[Key, list[IpvsConnection]] = {}  # those behind the newest of their key; seldom any

    def __iter__(self) -> Iterator[IpvsConnection]:
        yield from self.newest.values()
        for behind in self._older.values():
            yield from behind

    def add(self, key: Key, connection: IpvsConnection) -> None:
        """Enter a connection."""
        before = self.newest.get(key)
        if before is not None:
            self._older.setdefault(key, []).append(before)
        self.newest[key] = connection

    def remove(self, key: Key, connection: IpvsConnection) -> None:
        """Take one out, if it is there."""
        behind = self._older.get(key, [])
        if self.newest.get(key) is not connection:
            if connection in behind:
                behind.remove(connection)
        elif behind:
            self.newest[key] = behind.pop()
        else:
            del self.newest[key]
        if key in self._older and not behind:
            del self._older[key]

    def clear(self) -> None:
        """Forget all."""
        self.newest.clear()
        self._older.clear()


class ConnectionTable:
    """The entries of one namespace. Iterates over templates, then connections. `expire` is called at their time."""

    def __init__(self, kernel: Kernel, expire: Callable[[IpvsConnection], None]) -> None:
        self._kernel = kernel
        self._expire = expire
        self._in = _Index()
        self._out = _Index()
        self._templates = _Index()
        self._queue: list[tuple[float, int, IpvsConnection]] = []
        self._sequence = 0
        self._timer: Timer | None = None

    def __iter__(self) -> Iterator[IpvsConnection]:
        return iter([*self._templates, *self._out])

    # Lookups

    def find_in(self, protocol: int, caddr: int, cport: int, vaddr: int, vport: int) -> IpvsConnection | None:
        """Return the connection of a packet from a client to a service."""
        return self._in.newest.get((protocol, caddr, cport, vaddr, vport))

    def find_out(self, protocol: int, saddr: int, sport: int, daddr: int, dport: int) -> IpvsConnection | None:
        """Return the connection that a packet is an answer of."""
        return self._out.newest.get((protocol, saddr, sport, daddr, dport))

    def find_template(self, protocol: int, network: int, vaddr: int, vport: int) -> IpvsConnection | None:
        """Return the template of a client network for a service."""
        return self._templates.newest.get((protocol, network, 0, vaddr, vport))

    # Changes

    def add(self, connection: IpvsConnection) -> None:
        """Enter a connection or a template."""
        if connection.template:
            self._templates.add(connection.in_key, connection)
            return
        if connection.cport:  # a packet without a source port matches no entry (IP_VS_CONN_F_NO_CPORT)
            self._in.add(connection.in_key, connection)
        self._out.add(connection.out_key, connection)

    def remove(self, connection: IpvsConnection) -> None:
        """Take one out; a packet that has it goes on with it."""
        if connection.template:
            self._templates.remove(connection.in_key, connection)
            return
        if connection.cport:
            self._in.remove(connection.in_key, connection)
        self._out.remove(connection.out_key, connection)

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
