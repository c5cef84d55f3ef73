"""Neighbours: the MAC of each next hop, found by ARP, and what waits for it (net/core/neighbour.c, net/ipv4/arp.c).

States, timers and retries are Linux's. `Neighbour.header` is the finished Ethernet header while the entry is good, so a
forwarded packet pays one attribute test.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from emulator.kernel.drop import DropReason
from emulator.kernel.skb import Skb
from emulator.kernel.timer import Timer
from emulator.kernel.trace import StepKind
from emulator.packet.address import BROADCAST_MAC, format_ipv4, format_mac, mac_to_bytes, multicast_mac

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.netns import Netns

HOST_UNREACHABLE = 1
DESTINATION_UNREACHABLE = 3

_ETHERTYPE_IPV4 = b"\x08\x00"
_REACHABLE_REDRAW = 300.0  # neigh_periodic_work draws a new reachable time this often
_TRUESIZE_OVERHEAD = 256  # sizeof(struct sk_buff), rounded
_SHARED_INFO = 384  # headroom and struct skb_shared_info
_SMALL_HEAD = 576  # buffers up to this come from skb_small_head_cache


class NudState(enum.Enum):
    """Neighbour unreachability detection's states (include/uapi/linux/neighbour.h)."""

    NONE = 0x00
    INCOMPLETE = 0x01
    REACHABLE = 0x02
    STALE = 0x04
    DELAY = 0x08
    PROBE = 0x10
    FAILED = 0x20
    NOARP = 0x40
    PERMANENT = 0x80


_CONNECTED = frozenset({NudState.REACHABLE, NudState.NOARP, NudState.PERMANENT})
_FIXED = frozenset({NudState.NOARP, NudState.PERMANENT})
_TIMED = frozenset({NudState.INCOMPLETE, NudState.REACHABLE, NudState.DELAY, NudState.PROBE})


class Neighbour:
    """One next hop on one link. `mac` is None while it is unknown; times are seconds on the machine's clock."""

    __slots__ = (
        "address", "confirmed", "dead", "header", "link", "mac", "probes", "queue", "queue_bytes", "state", "timer",
        "updated", "used",
    )  # fmt: skip

    def __init__(self, link: Link, address: int, now: float) -> None:
        self.link = link
        self.address = address
        self.mac: int | None = None
        self.state = NudState.NONE
        self.header: bytes | None = None  # set only in a connected state
        self.confirmed = self.updated = self.used = now
        self.probes = 0
        self.queue: deque[Skb] = deque()
        self.queue_bytes = 0
        self.timer: Timer | None = None
        self.dead = False

    def __str__(self) -> str:
        """Print as `ip neigh` does."""
        mac = "" if self.mac is None else f" lladdr {format_mac(self.mac)}"
        return f"{format_ipv4(self.address)} dev {self.link.name}{mac} {self.state.name}"

    def frame_header(self) -> bytes:
        """Return the Ethernet header of an IPv4 packet to it. The MAC must be known."""
        return mac_to_bytes(self.mac or 0) + self.link.mac_bytes + _ETHERTYPE_IPV4


class Neighbours:
    """The neighbour table of a namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._kernel = netns.kernel
        self._entries: dict[tuple[Link, int], Neighbour] = {}
        self._reachable_time = 0.0
        self._reachable_drawn = float("-inf")
        self.assume: Callable[[Link, int], int] | None = None  # tells MACs in place of ARP, where nobody can be asked
        self._periodic: Timer | None = None  # looks for entries nobody uses, while there are many

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, link: Link, address: int) -> Neighbour | None:
        """Return the entry, or None."""
        return self._entries.get((link, address))

    def find(self, link: Link, address: int) -> Neighbour | None:
        """Return the entry, made if need be. None if the table is full (net.ipv4.neigh.default.gc_thresh3)."""
        if link.loopback:  # one entry does for all its addresses (__ipv4_neigh_lookup_noref)
            address = 0
        entry = self._entries.get((link, address))
        if entry is not None:
            return entry
        if not self._make_room():
            return None
        entry = self._entries[link, address] = Neighbour(link, address, self._kernel.now)
        self._construct(entry)
        self._watch_size()
        return entry

    def add(self, link: Link, address: int, mac: int, state: NudState = NudState.PERMANENT) -> Neighbour:
        """`ip neigh replace ADDRESS lladdr MAC nud STATE dev LINK`."""
        entry = self.find(link, address) or Neighbour(link, address, self._kernel.now)
        self._entries[link, address] = entry
        self._set(entry, state, mac)
        self._flush_queue(entry)
        return entry

    def remove(self, link: Link, address: int) -> bool:
        """`ip neigh del`. True if it was there."""
        entry = self._entries.pop((link, address), None)
        if entry is not None:
            self._kill(entry)
        return entry is not None

    def flush_link(self, link: Link) -> None:
        """Forget every entry of a link that goes down or away."""
        for key in [key for key in self._entries if key[0] is link]:
            self._kill(self._entries.pop(key))

    def link_changed(self, link: Link) -> None:
        """Rebuild the headers of a link whose own MAC changed."""
        for entry in self:
            if entry.link is link:
                self._index_header(entry)

    def confirm(self, entry: Neighbour) -> None:
        """Upper layers saw progress through it (dst_confirm): it stays REACHABLE."""
        entry.confirmed = self._kernel.now

    def output(self, skb: Skb, entry: Neighbour) -> None:
        """Send an IPv4 packet to a neighbour, or queue it until ARP has an answer."""
        if skb.trace is not None:
            self._trace(skb, entry)
        header = entry.header
        if header is not None or self._usable(entry, skb):
            skb.data[0:14] = header if header is not None else entry.frame_header()
            entry.link.transmit(skb)

    def update(self, entry: Neighbour, mac: int, state: NudState, *, override: bool = True) -> None:
        """Take in what ARP said (neigh_update): `override` lets it replace a MAC that is known already."""
        now = self._kernel.now
        if entry.state in _FIXED:
            return
        known = entry.mac is not None and entry.state not in (NudState.INCOMPLETE, NudState.FAILED, NudState.NONE)
        if known and mac != entry.mac and not override:
            return
        if state in _CONNECTED:
            entry.confirmed = now
        if known and mac == entry.mac and state is NudState.STALE:
            return  # an unchanged address is no reason to distrust the entry
        if mac != entry.mac and state not in _CONNECTED:
            entry.confirmed = now - 2 * self._number("base_reachable_time_ms") / 1000
        self._set(entry, state, mac)
        self._flush_queue(entry)

    def _usable(self, entry: Neighbour, skb: Skb) -> bool:
        """Decide on a packet for an entry that is not connected (neigh_event_send). True: send it with its MAC."""
        entry.used = self._kernel.now
        state = entry.state
        if state is NudState.DELAY or state is NudState.PROBE:
            return True
        if state is NudState.STALE:
            self._set(entry, NudState.DELAY, entry.mac)
            return True
        self._enqueue(entry, skb)
        if state is not NudState.INCOMPLETE:
            entry.probes = self._number("ucast_solicit")
            self._set(entry, NudState.INCOMPLETE, None)
            self._probe(entry)
        return False

    def _enqueue(self, entry: Neighbour, skb: Skb) -> None:
        size = _true_size(skb)
        limit = self._number("unres_qlen_bytes")
        while entry.queue and entry.queue_bytes + size > limit:
            oldest = entry.queue.popleft()
            entry.queue_bytes -= _true_size(oldest)
            self._netns.drop(oldest, DropReason.NEIGH_QUEUEFULL)
        entry.queue.append(skb)
        entry.queue_bytes += size

    def _probe(self, entry: Neighbour) -> None:
        """Ask once, for the newest packet that waits, and come again after retrans_time (neigh_probe, arp_solicit)."""
        unicast = entry.probes < self._number("ucast_solicit")
        skb = entry.queue[-1] if entry.queue else None
        traced = next((waiting for waiting in entry.queue if waiting.trace is not None), None)
        self._netns.arp.solicit(entry, entry.mac if unicast else None, skb, traced)
        entry.probes += 1
        self._arm(entry, max(self._number("retrans_time_ms") / 1000, 0.01))

    def _on_timer(self, entry: Neighbour) -> None:
        """Move to the next state when a time runs out (neigh_timer_handler)."""
        entry.timer = None
        now = self._kernel.now
        state = entry.state
        if state is NudState.REACHABLE:
            self._reachable_ended(entry, now)
        elif state is NudState.DELAY:
            if now <= entry.confirmed + self._delay_time():
                self._set(entry, NudState.REACHABLE, entry.mac)
            else:
                entry.probes = 0
                self._set(entry, NudState.PROBE, entry.mac)
                self._probe(entry)
        elif state is NudState.PROBE or state is NudState.INCOMPLETE:
            limit = self._number("ucast_solicit")
            if state is NudState.INCOMPLETE:
                limit += self._number("mcast_solicit")
            if entry.probes >= limit:
                self._fail(entry)
            else:
                self._probe(entry)

    def _reachable_ended(self, entry: Neighbour, now: float) -> None:
        confirmed_until = entry.confirmed + self._reachable()
        if now < confirmed_until:
            self._arm(entry, confirmed_until - now)
        elif now <= entry.used + self._delay_time():
            self._set(entry, NudState.DELAY, entry.mac)
        else:
            self._set(entry, NudState.STALE, entry.mac)

    def _fail(self, entry: Neighbour) -> None:
        """Give up: tell the senders of what waits (neigh_invalidate, arp_error_report)."""
        self._set(entry, NudState.FAILED, None)
        for skb in self._take_queue(entry):
            self._netns.drop(skb, DropReason.NEIGH_FAILED, address=format_ipv4(entry.address), link=entry.link.name)
            self._netns.icmp.send_error(skb, DESTINATION_UNREACHABLE, HOST_UNREACHABLE)

    def _flush_queue(self, entry: Neighbour) -> None:
        if entry.mac is not None and entry.queue:
            for skb in self._take_queue(entry):
                self.output(skb, entry)

    def _take_queue(self, entry: Neighbour) -> list[Skb]:
        waiting = list(entry.queue)
        entry.queue.clear()
        entry.queue_bytes = 0
        return waiting

    def _set(self, entry: Neighbour, state: NudState, mac: int | None) -> None:
        """Enter a state: its timer, and the header if it is a good one."""
        now = self._kernel.now
        entry.state = state
        entry.mac = mac
        entry.updated = now
        self._index_header(entry)
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        if state is NudState.REACHABLE:
            self._arm(entry, max(entry.confirmed + self._reachable() - now, 0.001))
        elif state is NudState.DELAY:
            self._arm(entry, self._delay_time())

    @staticmethod
    def _index_header(entry: Neighbour) -> None:
        entry.header = entry.frame_header() if entry.state in _CONNECTED and entry.mac is not None else None

    def _arm(self, entry: Neighbour, delay: float) -> None:
        entry.timer = self._kernel.schedule(delay, lambda: self._on_timer(entry))

    def _construct(self, entry: Neighbour) -> None:
        """Fill in what needs no ARP (arp_constructor): groups, broadcasts, links without ARP."""
        from emulator.kernel.routing.route import RouteType

        kind = self._netns.fib.address_type(entry.address)
        if not entry.link.arp:
            self._set(entry, NudState.NOARP, entry.link.mac)
        elif kind is RouteType.MULTICAST:
            self._set(entry, NudState.NOARP, multicast_mac(entry.address))
        elif kind is RouteType.BROADCAST:
            self._set(entry, NudState.NOARP, BROADCAST_MAC)
        elif self.assume is not None:
            self._set(entry, NudState.REACHABLE, self.assume(entry.link, entry.address))

    def _make_room(self) -> bool:
        """Keep the table under gc_thresh3: drop the least recently used entries that nobody needs (neigh_forced_gc)."""
        limit = self._number("gc_thresh3")
        if len(self._entries) < limit:
            return True
        needed = (NudState.PERMANENT, NudState.INCOMPLETE)
        spare = [entry for entry in self._entries.values() if entry.state not in needed]
        spare.sort(key=lambda entry: (entry.state is NudState.REACHABLE, entry.used))
        for entry in spare[: max(1, limit // 8)]:
            del self._entries[entry.link, entry.address]
            self._kill(entry)
        return len(self._entries) < limit

    def _watch_size(self) -> None:
        """Look for unused entries every half reachable time, once there are gc_thresh1 of them."""
        if self._periodic is None and len(self._entries) >= self._number("gc_thresh1"):
            delay = self._number("base_reachable_time_ms") / 2000
            self._periodic = self._kernel.schedule(delay, self._collect_garbage)

    def _collect_garbage(self) -> None:
        """Forget entries that failed or that nobody used for gc_stale_time (neigh_periodic_work)."""
        self._periodic = None
        if len(self._entries) < self._number("gc_thresh1"):
            return
        before = self._kernel.now - self._number("gc_stale_time")
        for key, entry in list(self._entries.items()):
            if entry.state is NudState.PERMANENT or entry.state in _TIMED:
                continue
            if entry.state is NudState.FAILED or max(entry.used, entry.confirmed) <= before:
                del self._entries[key]
                self._kill(entry)
        if any(entry.state is not NudState.PERMANENT for entry in self._entries.values()):
            self._watch_size()

    def close(self) -> None:
        """Stop looking, because the namespace goes away."""
        if self._periodic is not None:
            self._periodic.cancel()

    def _kill(self, entry: Neighbour) -> None:
        entry.dead = True
        entry.header = None
        if entry.timer is not None:
            entry.timer.cancel()
        for skb in self._take_queue(entry):
            self._netns.drop(skb, DropReason.NEIGH_FAILED)

    def _reachable(self) -> float:
        """Seconds an entry stays REACHABLE: 0.5 to 1.5 times base_reachable_time, drawn anew every 300 s."""
        now = self._kernel.now
        if now - self._reachable_drawn >= _REACHABLE_REDRAW:
            self._reachable_drawn = now
            base = self._number("base_reachable_time_ms") / 1000
            self._reachable_time = base * (0.5 + self._kernel.random.random())
        return self._reachable_time

    def _delay_time(self) -> float:
        return float(self._number("delay_first_probe_time"))

    def _number(self, name: str) -> int:
        return self._netns.sysctl.number(f"net.ipv4.neigh.default.{name}")

    def _trace(self, skb: Skb, entry: Neighbour) -> None:
        skb.step(
            self._netns,
            StepKind.NEIGHBOUR,
            address=format_ipv4(entry.address),
            link=entry.link.name,
            state=entry.state.name,
            mac="" if entry.mac is None else format_mac(entry.mac),
        )


def _true_size(skb: Skb) -> int:
    """What Linux accounts for a queued packet: its sk_buff and a buffer, a small one or a power of two."""
    need = len(skb.data) + _SHARED_INFO
    buffer = _SMALL_HEAD if need <= _SMALL_HEAD else 1 << (need - 1).bit_length()
    return buffer + _TRUESIZE_OVERHEAD
