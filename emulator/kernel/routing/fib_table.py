"""One routing table: routes by prefix, the longest match first (net/ipv4/fib_trie.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.routing.route import NOWHERE_TYPES, TOS_MASK, Route
from emulator.packet.address import MASKS

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link


class Table:
    """Routes by prefix length and network; of equal prefixes the highest TOS first, then the lowest metric."""

    __slots__ = ("_by_length", "_by_source", "_lengths", "special")

    def __init__(self) -> None:
        self.special: list[Route] = []  # those with several ways or a TOS: they need more than addresses to decide
        self._by_length: dict[int, dict[int, list[Route]]] = {}
        self._by_source: dict[int, list[Route]] = {}  # those that prefer a source address
        self._lengths: tuple[tuple[int, dict[int, list[Route]]], ...] = ()

    def __iter__(self) -> Iterator[Route]:
        """Routes in `ip route`'s order: by network, of one network the longer prefix first."""
        entries = (
            (network, -length, routes) for length, by in self._by_length.items() for network, routes in by.items()
        )
        for _, _, routes in sorted(entries, key=lambda entry: entry[:2]):
            yield from routes

    def __len__(self) -> int:
        return sum(len(routes) for by in self._by_length.values() for routes in by.values())

    def lookup(
        self, daddr: int, out_link: Link | None = None, scope: int = 0, tos: int = 0, *, any_carrier: bool = False
    ) -> Route | None:
        """Return the longest match: through `out_link` if one is asked for, of scope `scope` or narrower.

        `any_carrier`: ignore_routes_with_linkdown does not count (FIB_LOOKUP_IGNORE_LINKSTATE).
        """
        for mask, networks in self._lengths:
            routes = networks.get(daddr & mask)
            if routes is None:
                continue
            for route in routes:
                if (route.tos and route.tos != tos & TOS_MASK) or route.scope < scope:
                    continue
                if route.type in NOWHERE_TYPES or _has_way(route, out_link, any_carrier):
                    return route
        return None

    def same_prefix(self, route: Route) -> list[Route]:
        """Routes for exactly this prefix."""
        return self._by_length.get(route.prefix_length, {}).get(route.destination, [])

    def with_source(self, address: int) -> tuple[Route, ...]:
        """Routes whose preferred source address this is."""
        return tuple(self._by_source.get(address, ()))

    def insert(self, route: Route, *, first: bool = False) -> None:
        """Add a route behind those of the same prefix, TOS and metric, or before them."""
        networks = self._by_length.get(route.prefix_length)
        if networks is None:
            networks = self._by_length[route.prefix_length] = {}
            self._index()
        routes = networks.setdefault(route.destination, [])
        key = (-route.tos, route.metric)
        position = sum((-other.tos, other.metric) < key or (not first and (-other.tos, other.metric) == key)
                       for other in routes)  # fmt: skip
        routes.insert(position, route)
        self._note(route)

    def replace(self, old: Route, new: Route) -> None:
        """Put a route of the same prefix in the place of another."""
        routes = self._by_length[old.prefix_length][old.destination]
        routes[routes.index(old)] = new
        self._unnote(old)
        self._note(new)

    def delete(self, route: Route) -> None:
        """Take a route out; it must be in."""
        networks = self._by_length[route.prefix_length]
        routes = networks[route.destination]
        routes.remove(route)
        self._unnote(route)
        if not routes:
            del networks[route.destination]
        if not networks:
            del self._by_length[route.prefix_length]
            self._index()

    def _note(self, route: Route) -> None:
        if _is_special(route):
            self.special.append(route)
        if route.source:
            self._by_source.setdefault(route.source, []).append(route)

    def _unnote(self, route: Route) -> None:
        if _is_special(route):
            self.special.remove(route)
        if route.source:
            self._by_source[route.source].remove(route)
            if not self._by_source[route.source]:
                del self._by_source[route.source]

    def _index(self) -> None:
        lengths = sorted(self._by_length, reverse=True)
        self._lengths = tuple((MASKS[length], self._by_length[length]) for length in lengths)


def _is_special(route: Route) -> bool:
    return bool(route.nexthops or route.tos)


def _has_way(route: Route, out_link: Link | None, any_carrier: bool) -> bool:
    """Whether a route leads somewhere now, through `out_link` if one is asked for (fib_lookup_good_nhc)."""
    if not route.nexthops:
        link = route.link
        if out_link is not None and link is not None and link is not out_link:
            return False
        return link is None or any_carrier or link.carrier or not link.up or not link.netns.ignores_linkdown(link)
    return any(
        (out_link is None or hop.link is out_link) and (hop.usable or (any_carrier and not hop.dead))
        for hop in route.nexthops
    )
