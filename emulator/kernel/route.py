"""What one route says, and what a lookup answers: the values that the fib holds and the IP layer goes by."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.errors import PodwireError
from emulator.kernel.drop import DropReason
from emulator.packet.address import format_ipv4, format_network

if TYPE_CHECKING:
    from emulator.kernel.link import Link
    from emulator.kernel.neigh import Neighbour

TABLE_DEFAULT = 253
TABLE_MAIN = 254
TABLE_LOCAL = 255
TABLE_NAMES = {TABLE_DEFAULT: "default", TABLE_MAIN: "main", TABLE_LOCAL: "local"}


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
class Route:
    """One route. `gateway` and `source` are 0 where there is none; `mtu` 0 means the link's."""

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

    def format(self, *, show_table: bool = False) -> str:
        """Return the line that `ip route` prints for it, without the trailing blank."""
        words = [] if self.type is RouteType.UNICAST else [self.type.value]
        words.append(_format_destination(self.destination, self.prefix_length))
        if self.gateway:
            words += ["via", format_ipv4(self.gateway)]
        if self.link is not None:
            words += ["dev", self.link.name]
        if show_table and self.table != TABLE_MAIN:
            words += ["table", TABLE_NAMES.get(self.table, str(self.table))]
        if self.protocol != "boot":
            words += ["proto", self.protocol]
        if self.scope is not Scope.UNIVERSE:
            words += ["scope", str(self.scope)]
        if self.source:
            words += ["src", format_ipv4(self.source)]
        if self.metric:
            words += ["metric", str(self.metric)]
        if self.link is not None and self.link.up and not self.link.carrier:
            words.append("linkdown")
        if self.onlink:
            words.append("onlink")
        if self.mtu:
            words += ["mtu", str(self.mtu)]
        return " ".join(words)

    def __str__(self) -> str:
        return self.format()


def _format_destination(destination: int, prefix_length: int) -> str:
    if prefix_length == 0 and destination == 0:
        return "default"
    return format_ipv4(destination) if prefix_length == 32 else format_network(destination, prefix_length)


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
