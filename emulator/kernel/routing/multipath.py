"""Which way of a route with many ways a flow takes (fib_multipath_hash of net/ipv4/route.c, fib_select_multipath).

net.ipv4.fib_multipath_hash_policy: 0 addresses, 1 also protocol and ports, 2 the addresses inside a tunnel, 3 the
fields of fib_multipath_hash_fields. Equal flows take equal ways; fib_multipath_hash_seed makes it the same ways as
another machine's with that seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.jhash import jhash2
from emulator.kernel.neigh import NudState
from emulator.kernel.routing.fib_rule import Flow
from emulator.kernel.routing.flow_keys import FlowKeys, dissect, flow_hash, icmp_subject
from emulator.kernel.routing.route import NextHop, Route
from emulator.kernel.skb import Skb

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

LAYER3, LAYER4, INNER, CUSTOM = 0, 1, 2, 3
_INNER_SHIFT = 6  # the inner packet's fields are the outer's, six bits higher
_FIELDS = 0x3F
SOURCE, DESTINATION, PROTOCOL, SPORT, DPORT = 1, 2, 4, 16, 32  # fib_multipath_hash_fields
_INVALID = frozenset({NudState.NONE, NudState.INCOMPLETE, NudState.FAILED})


class Multipath:
    """The choice in one namespace."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._number = netns.sysctl.number

    @property
    def asks_neighbours(self) -> bool:
        """Whether choices depend on ARP's success, so that they must not be remembered."""
        return self._netns.fib.multipath and bool(self._number("net.ipv4.fib_multipath_use_neigh"))

    def identity(self, skb: Skb) -> object:
        """Return all that `hash_received` looks at: packets with equal identities take equal ways."""
        policy = self._number("net.ipv4.fib_multipath_hash_policy")
        if policy == LAYER3:
            return icmp_subject(skb)
        if policy == LAYER4:
            return dissect(skb)
        return dissect(skb), dissect(skb, inner=True)

    def choose(self, route: Route, value: int, saddr: int = 0) -> NextHop | None:
        """Return the way for a hash of 31 bits; with `saddr` rather one that sends from it. None if none is usable."""
        best, best_score = None, -1
        use_neighbours = self._number("net.ipv4.fib_multipath_use_neigh")
        for hop, bound in upper_bounds(route):
            if use_neighbours and not self._reachable(hop):
                continue
            score = 2 if saddr and hop.link is not None and self._source(route, hop) == saddr else 0
            score += value <= bound
            if score > best_score:
                best, best_score = hop, score
        return best

    def hash_received(self, skb: Skb) -> int:
        """Hash a received packet for `choose`."""
        policy, seed = self._number("net.ipv4.fib_multipath_hash_policy"), self._seed()
        if policy == LAYER4:
            value = flow_hash(dissect(skb), seed)
        elif policy == INNER:
            value = flow_hash(FlowKeys(*dissect(skb, inner=True)[:2]), seed)
        elif policy == CUSTOM:
            value = self._hash_fields(skb, seed)
        else:
            value = flow_hash(FlowKeys(*icmp_subject(skb)), seed)
        return value >> 1

    def hash_sent(self, flow: Flow) -> int:
        """Hash a flow of this machine's own for `choose`."""
        policy, seed = self._number("net.ipv4.fib_multipath_hash_policy"), self._seed()
        keys = FlowKeys(flow.saddr, flow.daddr, flow.protocol, flow.sport, flow.dport)
        if policy == CUSTOM:
            fields = self._number("net.ipv4.fib_multipath_hash_fields") & _FIELDS
            return flow_hash(_only(keys, fields), seed) >> 1 if fields else 0
        return flow_hash(keys if policy == LAYER4 else FlowKeys(flow.saddr, flow.daddr), seed) >> 1

    def _hash_fields(self, skb: Skb, seed: int) -> int:
        fields = self._number("net.ipv4.fib_multipath_hash_fields")
        outer_fields, inner_fields = fields & _FIELDS, fields >> _INNER_SHIFT & _FIELDS
        outer = inner = 0
        encapsulated = True  # until the outer packet was looked at
        if outer_fields:
            keys = dissect(skb)
            encapsulated = keys.encapsulated
            outer = flow_hash(_only(keys, outer_fields), seed)
        if encapsulated and inner_fields:
            keys = dissect(skb, inner=True)
            if keys.encapsulated:
                inner = flow_hash(_only(keys, inner_fields), seed)
        return jhash2((outer, inner), 0)

    def _seed(self) -> int:
        return self._number("net.ipv4.fib_multipath_hash_seed") or self._netns.kernel.multipath_seed

    def _source(self, route: Route, hop: NextHop) -> int:
        return 0 if hop.link is None else self._netns.select_address(hop.link, hop.gateway, route.scope)

    def _reachable(self, hop: NextHop) -> bool:
        """Whether ARP has not failed for the gateway; one that was never asked counts as reachable (fib_good_nh)."""
        if hop.link is None or not hop.gateway:
            return True
        entry = self._netns.neighbours.get(hop.link, hop.gateway)
        return entry is None or entry.state not in _INVALID


def upper_bounds(route: Route) -> list[tuple[NextHop, int]]:
    """Return the usable ways with the highest hash of each: shares of 2**31 by weight (fib_rebalance)."""
    hops = [hop for hop in route.nexthops if hop.usable]
    total = sum(hop.weight for hop in hops)
    bounds, reached = [], 0
    for hop in hops:
        reached += hop.weight
        bounds.append((hop, ((reached << 31) + total // 2) // total - 1))
    return bounds


def _only(keys: FlowKeys, fields: int) -> FlowKeys:
    return FlowKeys(
        keys.saddr if fields & SOURCE else 0,
        keys.daddr if fields & DESTINATION else 0,
        keys.protocol if fields & PROTOCOL else 0,
        keys.sport if fields & SPORT else 0,
        keys.dport if fields & DPORT else 0,
    )
