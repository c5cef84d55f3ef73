"""What one route says, and what a lookup answers: the values that the fib holds and the IP layer goes by."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emulator.errors import PodwireError
from emulator.kernel.drop import DropReason
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.link.link import Link
    from emulator.kernel.neigh import Neighbour

TABLE_UNSPEC = 0
TABLE_DEFAULT = 253
TABLE_MAIN = 254
TABLE_LOCAL = 255
TABLE_NAMES = {TABLE_DEFAULT: "default", TABLE_MAIN: "main", TABLE_LOCAL: "local"}
TOS_MASK = 0x1C  # of a TOS, what rules and routes are compared with (INET_DSCP_LEGACY_TOS_MASK)


class RouteError(PodwireError):
    """A route or rule that Linux would refuse; `errno` says how, the text is iproute2's."""

    def __init__(self, number: int, message: str) -> None:
        self.errno = number
        super().__init__(message)


class RouteType(enum.Enum):
    """What happens to packets for a destination (include/uapi/linux/rtnetlink.h)."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    THROW = "throw"


# As in `netfilter/hook.py`: members by their names in C, for every packet's way.
RTN_UNICAST: Final = RouteType.UNICAST
RTN_LOCAL: Final = RouteType.LOCAL
RTN_BROADCAST: Final = RouteType.BROADCAST
RTN_MULTICAST: Final = RouteType.MULTICAST

FAILURES = {
    RouteType.BLACKHOLE: DropReason.IP_ROUTE_BLACKHOLE,
    RouteType.UNREACHABLE: DropReason.IP_ROUTE_UNREACHABLE,
    RouteType.PROHIBIT: DropReason.IP_ROUTE_PROHIBIT,
}
NOWHERE_TYPES = frozenset({*FAILURES, RouteType.THROW})  # routes without a link


class Scope(enum.IntEnum):
    """How far away a destination is; a gateway must be nearer than what is behind it."""

    UNIVERSE = 0
    SITE = 200
    LINK = 253
    HOST = 254
    NOWHERE = 255

    def __str__(self) -> str:
        return "global" if self is Scope.UNIVERSE else self.name.lower()


@dataclass(frozen=True, slots=True)
class NextHop:
    """One way of a route: `gateway` 0 is on link. Of a multipath route's flows it takes `weight` (1 to 256) shares."""

    link: Link | None = None
    gateway: int = 0
    weight: int = 1
    onlink: bool = False
    gateway_scope: Scope = field(default=Scope.LINK, compare=False)

    @property
    def next_hop(self) -> int:
        """Who packets are given to, 0 for the destination itself; a gateway that is not on the link is not used."""
        return self.gateway if self.gateway_scope is Scope.LINK else 0

    @property
    def on_link(self) -> bool:
        """Whether what is behind it is this link's own, for the checks on senders (nhc_scope)."""
        return not self.gateway or self.gateway_scope >= Scope.HOST

    @property
    def dead(self) -> bool:
        """Whether its link is down (RTNH_F_DEAD): it takes no packets."""
        return self.link is None or not self.link.up

    @property
    def linkdown(self) -> bool:
        """Whether its link has no carrier (RTNH_F_LINKDOWN): only ignore_routes_with_linkdown makes it unused."""
        return self.link is None or not self.link.carrier

    @property
    def usable(self) -> bool:
        """Whether lookups may answer with it (fib_lookup_good_nhc)."""
        link = self.link
        if link is None or not link.up:
            return False
        return link.carrier or not link.netns.ignores_linkdown(link)


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `gateway` and `source` are 0 where there is none; `mtu` 0 means the link's.

    A multipath route has `nexthops` (two or more) and neither `link` nor `gateway` of its own. `metrics` are the other
    metrics by ip(8)'s names, in the order of enum RTAX_*; `locked` names those that TCP and PMTU discovery must keep.
    `rtt` is in eighths of a millisecond, `rttvar` in quarters, as Linux keeps them. `tos` 0 matches all packets.
    """

    destination: int
    prefix_length: int
    type: RouteType = RouteType.UNICAST
    link: Link | None = None
    gateway: int = 0
    source: int = 0
    scope: Scope = Scope.UNIVERSE
    metric: int = 0
    table: int = TABLE_MAIN
    protocol: str = "boot"
    onlink: bool = False
    mtu: int = 0
    tos: int = 0
    nexthops: tuple[NextHop, ...] = ()
    metrics: tuple[tuple[str, int | str], ...] = ()
    locked: frozenset[str] = frozenset()
    gateway_scope: Scope = field(default=Scope.LINK, compare=False)  # of the route by which the gateway is reached

    @property
    def hops(self) -> tuple[NextHop, ...]:
        """Its ways, whether one or many; none for a route that leads nowhere."""
        if self.nexthops or self.type in NOWHERE_TYPES:
            return self.nexthops
        return (NextHop(self.link, self.gateway, 1, self.onlink, self.gateway_scope),)

    def uses(self, link: Link) -> bool:
        """Whether one of its ways is through a link (fib_info_nh_uses_dev)."""
        return self.link is link or any(hop.link is link for hop in self.nexthops)

    def number(self, name: str) -> int:
        """Return a metric, 0 if it is not set."""
        return next((value for known, value in self.metrics if known == name and isinstance(value, int)), 0)

    def format(self, *, show_table: bool = False) -> str:
        """Return the line that `ip route` prints for it, without the trailing blank; of many ways all in one line."""
        from emulator.kernel.routing.route_text import route_line

        return route_line(self, show_table=show_table)

    def __str__(self) -> str:
        return self.format()


class RouteResult:
    """Where packets for one destination go. Valid while `generation` is the fib's.

    `gateway` 0 means that the destination itself is on the link; `source` is the preferred source address; `mtu` is the
    route's, the learned path's or the link's. `error` says why, where `type` is UNREACHABLE. `redirect`: the sender
    could use the gateway itself. `neighbour` caches the next hop's entry.
    """

    __slots__ = ("error", "gateway", "generation", "link", "mtu", "neighbour", "redirect", "route", "source", "type")

    def __init__(
        self,
        kind: RouteType,
        link: Link,
        generation: int,
        *,
        gateway: int = 0,
        source: int = 0,
        route: Route | None = None,
    ) -> None:
        self.type = kind
        self.link = link
        self.generation = generation
        self.gateway = gateway
        self.source = source
        self.route = route
        self.mtu = route.mtu if route is not None and route.mtu else link.mtu
        self.error: DropReason | None = None
        self.redirect = False
        self.neighbour: Neighbour | None = None

    def __repr__(self) -> str:
        return (
            f"<{self.type.value} dev {self.link.name} via {format_ipv4(self.gateway)} src {format_ipv4(self.source)}>"
        )
