"""The forwarding database of a bridge: which port each MAC was seen at (net/bridge/br_fdb.c).

Entries learned from frames age; those of the bridge and its ports are permanent and mean "for this machine".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.timer import Timer
from emulator.packet.address import format_mac

if TYPE_CHECKING:
    from emulator.kernel.link.bridge import Bridge, BridgePort

AGEING_TIME = 300.0
CAPACITY = 16_384


class FdbEntry:
    """One MAC. `port` is None for the bridge's own; `local` entries are this machine's, `static` ones do not age."""

    __slots__ = ("local", "mac", "port", "static", "updated")

    def __init__(self, mac: bytes, port: BridgePort | None, updated: float, *, local: bool, static: bool) -> None:
        self.mac = mac
        self.port = port
        self.updated = updated
        self.local = local
        self.static = static

    @property
    def address(self) -> int:
        """The MAC as an int."""
        return int.from_bytes(self.mac, "big")

    def __str__(self) -> str:
        """Print as `bridge fdb` does."""
        where = "" if self.port is None else f" dev {self.port.link.name} master {self.port.bridge.name}"
        kind = " permanent" if self.local else " static" if self.static else ""
        return f"{format_mac(self.address)}{where}{kind}"


class Fdb:
    """The table of one bridge. Iterating gives the live entries, permanent ones first."""

    __slots__ = ("_entries", "_kernel", "_sweep", "ageing_time", "learned", "overflows")

    def __init__(self, bridge: Bridge) -> None:
        self._kernel = bridge.netns.kernel
        self._entries: dict[bytes, FdbEntry] = {}
        self._sweep: Timer | None = None
        self.ageing_time = AGEING_TIME
        self.learned = 0
        self.overflows = 0  # addresses not learned because the table was full

    def __iter__(self) -> Iterator[FdbEntry]:
        live = [entry for entry in self._entries.values() if not self._expired(entry)]
        live.sort(key=lambda entry: not entry.local)
        return iter(live)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, mac: bytes) -> FdbEntry | None:
        """Return the entry of a MAC, or None if it is unknown or too old."""
        entry = self._entries.get(mac)
        if entry is None or entry.static or not self._expired(entry):
            return entry
        self._forget(entry)
        return None

    def learn(self, mac: bytes, port: BridgePort) -> None:
        """Note that a frame from `mac` came in at `port`; a station that moved is found at its new port."""
        now = self._kernel.now
        entry = self._entries.get(mac)
        if entry is not None:
            if entry.port is not port and not entry.local:
                entry.port = port
            entry.updated = now
            return
        if self.learned >= CAPACITY:
            self.overflows += 1
            return
        self._entries[mac] = FdbEntry(mac, port, now, local=False, static=False)
        self.learned += 1
        if self._sweep is None and self.ageing_time > 0:
            self._sweep = self._kernel.schedule(self.ageing_time, self._age)

    def add(self, mac: bytes, port: BridgePort | None, *, local: bool = False) -> None:
        """Add a permanent (`local`) or static entry."""
        old = self._entries.get(mac)
        if old is not None:
            if old.local:
                return
            self._forget(old)
        self._entries[mac] = FdbEntry(mac, port, self._kernel.now, local=local, static=True)

    def remove(self, mac: bytes) -> bool:
        """Remove an entry. True if it was there."""
        entry = self._entries.get(mac)
        if entry is None:
            return False
        self._forget(entry)
        return True

    def remove_port(self, port: BridgePort) -> None:
        """Forget everything about a port that goes away."""
        for entry in [entry for entry in self._entries.values() if entry.port is port]:
            self._forget(entry)

    def flush(self) -> None:
        """`bridge fdb flush`: forget what was learned."""
        for entry in [entry for entry in self._entries.values() if not entry.static]:
            self._forget(entry)

    def _expired(self, entry: FdbEntry) -> bool:
        return not entry.static and self._kernel.now >= entry.updated + self.ageing_time

    def _forget(self, entry: FdbEntry) -> None:
        del self._entries[entry.mac]
        if not entry.static:
            self.learned -= 1

    def _age(self) -> None:
        """Drop old entries, so that the table does not grow with stations that went away."""
        self._sweep = None
        for entry in [entry for entry in self._entries.values() if self._expired(entry)]:
            self._forget(entry)
        if self.learned:
            oldest = min(entry.updated for entry in self._entries.values() if not entry.static)
            delay = max(oldest + self.ageing_time - self._kernel.now, 1.0)
            self._sweep = self._kernel.schedule(delay, self._age)
