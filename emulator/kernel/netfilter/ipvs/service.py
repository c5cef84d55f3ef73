"""Virtual services and their real servers (`struct ip_vs_service`, `struct ip_vs_dest`)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from emulator.kernel.netfilter.conntrack.tuple import SCTP, TCP, UDP
from emulator.kernel.netfilter.ipvs.statistics import Statistics
from emulator.packet.address import format_ipv4

if TYPE_CHECKING:
    from emulator.kernel.netfilter.ipvs.scheduler.base import Scheduler

PROTOCOL_NAMES = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
ALL_ONES = 0xFFFFFFFF


class Forwarding(enum.Enum):
    """How packets get to a real server; the value is what `ipvsadm` lists."""

    MASQUERADE = "Masq"
    TUNNEL = "Tunnel"
    ROUTE = "Route"


class ServiceKey(NamedTuple):
    """What names a service: protocol, address and port; or a firewall mark, with zeros for the rest."""

    protocol: int
    address: int
    port: int
    fwmark: int = 0

    def __str__(self) -> str:
        if self.fwmark:
            return f"FWM {self.fwmark}"
        return f"{PROTOCOL_NAMES[self.protocol]} {format_ipv4(self.address)}:{self.port}"


class ServiceOptions(Struct, frozen=True, kw_only=True):
    """What `-A` and `-E` say. `persistent`: seconds that a template lasts, 0: none. `scheduler_flags`: bits 1, 2, 4."""

    scheduler: str = "wlc"
    persistent: int = 0
    netmask: int = ALL_ONES
    one_packet: bool = False
    scheduler_flags: int = 0


class ServerOptions(Struct, frozen=True, kw_only=True):
    """What `-a` and `-e` say of a real server. Thresholds are of connections; 0 is none."""

    weight: int = 1
    forwarding: Forwarding = Forwarding.ROUTE
    upper_threshold: int = 0
    lower_threshold: int = 0


class Service:
    """One virtual service. `destinations` has the newest first, as the kernel's list."""

    __slots__ = ("by_address", "destinations", "key", "options", "scheduler", "statistics")

    def __init__(self, key: ServiceKey, options: ServiceOptions, now: float) -> None:
        self.key = key
        self.options = options
        self.destinations: list[Destination] = []
        self.by_address: dict[tuple[int, int], Destination] = {}
        self.scheduler: Scheduler
        self.statistics = Statistics(now)


class Destination:
    """One real server of one service. `port` 0 keeps the port that was asked for.

    `last_weight` is the last one that was not zero, or the first: what Maglev hashing goes by, so that a server that
    takes nothing new for a while keeps its places. `references`: connections that go to it, templates too.
    """

    __slots__ = (
        "active", "address", "available", "forwarding", "idle_since", "inactive", "last_weight", "lower_threshold",
        "overloaded", "persistent", "port", "references", "service", "statistics", "upper_threshold", "weight",
    )  # fmt: skip

    def __init__(self, service: Service, address: int, port: int, now: float) -> None:
        self.service = service
        self.address = address
        self.port = port
        self.weight = self.last_weight = 0
        self.forwarding = Forwarding.MASQUERADE
        self.upper_threshold = self.lower_threshold = 0
        self.active = self.inactive = self.persistent = 0
        self.references = 0
        self.available = False
        self.overloaded = False
        self.statistics = Statistics(now)
        self.idle_since = now

    def __str__(self) -> str:
        return f"{format_ipv4(self.address)}:{self.port}"

    def update(self, options: ServerOptions, *, added: bool) -> None:
        """Take over what a command says (`__ip_vs_update_dest`)."""
        self.weight = options.weight
        if added or options.weight:
            self.last_weight = options.weight
        self.forwarding = options.forwarding
        self.available = True
        if not options.upper_threshold or options.upper_threshold > self.upper_threshold:
            self.overloaded = False
        self.upper_threshold = options.upper_threshold
        self.lower_threshold = options.lower_threshold

    def note_more(self) -> None:
        """One more connection: it may have reached its upper threshold (`ip_vs_bind_dest`)."""
        if self.upper_threshold and self.active + self.inactive >= self.upper_threshold:
            self.overloaded = True

    def note_fewer(self) -> None:
        """One less: under the lower threshold, or three quarters of the upper one, it takes new ones again."""
        total = self.active + self.inactive
        if self.lower_threshold:
            self.overloaded &= total >= self.lower_threshold
        elif self.upper_threshold:
            self.overloaded &= total * 4 >= self.upper_threshold * 3
        else:
            self.overloaded = False
