"""How often ICMP errors are sent: one bucket for all, one for each destination, as Linux fills and empties them.

net/ipv4/icmp.c (icmp_global_allow, icmpv4_xrlim_allow), inetpeer.c (inet_peer_xrlim_allow), route.c (ip_error,
ip_rt_send_redirect). Times are in jiffies of Linux's usual 250 Hz, so that the buckets round as its do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.sysctl import HZ

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

BURST_FACTOR = 6
PEER_LIMIT = 4096
DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
HIGHEST_TYPE = 18


class _Peer:
    """What one destination was sent (struct inet_peer)."""

    __slots__ = ("last", "redirects", "tokens")

    def __init__(self, now: int) -> None:
        self.tokens = 0
        self.last = now - 60 * HZ
        self.redirects = 0


class IcmpLimit:
    """The buckets of one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._kernel = netns.kernel
        self._sysctl = netns.sysctl
        self._credit = 0
        self._stamp = self._jiffies() - HZ
        self._peers: dict[int, _Peer] = {}

    def exempt(self, kind: int, code: int) -> bool:
        """Whether a message is not limited: path MTU discovery, and types outside net.ipv4.icmp_ratemask."""
        if kind > HIGHEST_TYPE or (kind == DESTINATION_UNREACHABLE and code == FRAGMENTATION_NEEDED):
            return True
        return not 1 << kind & self._sysctl.number("net.ipv4.icmp_ratemask")

    def allow_global(self) -> bool:
        """Whether net.ipv4.icmp_msgs_per_sec has room; `consume_global` then takes a random part of it."""
        if self._credit > 0:
            return True
        now = self._jiffies()
        delta = min(now - self._stamp, HZ)
        added = self._sysctl.number("net.ipv4.icmp_msgs_per_sec") * delta // HZ
        if delta < HZ // 50 or not added:
            return False
        self._stamp = now
        self._credit = min(self._credit + added, self._sysctl.number("net.ipv4.icmp_msgs_burst"))
        return True

    def consume_global(self) -> None:
        """Take 0 to 2 credits, so that nobody can count our messages from outside."""
        self._credit -= self._kernel.random.randrange(0, 3)

    def allow_peer(self, daddr: int) -> bool:
        """Whether net.ipv4.icmp_ratelimit lets another message go to this destination.

        With 0 all may go, but each empties the bucket that `allow_route_error` looks into too, as in Linux. The bucket
        is filled, and cut to its size, only when the clock has ticked.
        """
        interval = self._sysctl.number("net.ipv4.icmp_ratelimit") * HZ // 1000
        peer = self._peer(daddr)
        if peer.last == self._jiffies():
            return self._take(peer, interval)
        return self._spend(peer, interval, BURST_FACTOR * interval)

    def allow_route_error(self, daddr: int) -> bool:
        """Whether net.ipv4.route.error_cost and error_burst let another "unreachable" go."""
        cost = self._sysctl.number("net.ipv4.route.error_cost")
        return self._spend(self._peer(daddr), cost, self._sysctl.number("net.ipv4.route.error_burst"))

    def allow_redirect(self, daddr: int) -> bool:
        """Whether another redirect may go: ever more seldom, and after nine only when silence has passed."""
        peer, now = self._peer(daddr), self._jiffies()
        load = self._sysctl.number("net.ipv4.route.redirect_load")
        if now > peer.last + self._sysctl.number("net.ipv4.route.redirect_silence"):
            peer.tokens = peer.redirects = 0
        if peer.redirects >= self._sysctl.number("net.ipv4.route.redirect_number"):
            peer.last = now
            return False
        if peer.redirects and now <= peer.last + (load << peer.redirects):
            return False
        peer.last = now
        peer.redirects += 1
        return True

    def _spend(self, peer: _Peer, cost: int, burst: int) -> bool:
        now = self._jiffies()
        peer.tokens = min(peer.tokens + now - peer.last, burst)
        peer.last = now
        return self._take(peer, cost)

    @staticmethod
    def _take(peer: _Peer, cost: int) -> bool:
        if peer.tokens < cost:
            return False
        peer.tokens -= cost
        return True

    def _peer(self, daddr: int) -> _Peer:
        peer = self._peers.get(daddr)
        if peer is None:
            if len(self._peers) >= PEER_LIMIT:
                del self._peers[next(iter(self._peers))]
            peer = self._peers[daddr] = _Peer(self._jiffies())
        return peer

    def _jiffies(self) -> int:
        return int(self._kernel.now * HZ)
