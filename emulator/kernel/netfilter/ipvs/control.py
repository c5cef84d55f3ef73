"""The services of one namespace: lookups, and what `ipvsadm` changes (ip_vs_ctl.c)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.conntrack.tuple import TCP
from emulator.kernel.netfilter.ipvs.error import (
    INVALID,
    NO_SCHEDULER,
    NO_SERVER,
    NO_SERVICE,
    OUT_OF_RANGE,
    SERVER_EXISTS,
    SERVICE_EXISTS,
    SERVICE_NOT_DEFINED,
    IpvsError,
)
from emulator.kernel.netfilter.ipvs.scheduler import SCHEDULERS
from emulator.kernel.netfilter.ipvs.service import Destination, ServerOptions, Service, ServiceKey, ServiceOptions
from emulator.kernel.routing.route import RouteType

if TYPE_CHECKING:
    from emulator.kernel.netns import Netns

FTP, FTP_DATA = 21, 20
TRASH_TIME = 120.0  # seconds that a deleted real server is remembered once nothing goes to it
_FEWEST_TRASH = 64
_ONE_MACHINES = frozenset({RouteType.LOCAL, RouteType.UNICAST})

TrashKey = tuple[ServiceKey, int, int]


class Services:
    """By key, one dict lookup whatever their number. Iterates in the order in which they were added."""

    def __init__(self, netns: Netns) -> None:
        self._netns = netns
        self._by_key: dict[ServiceKey, Service] = {}
        self._wildcards = 0  # services for every port
        self._ftp = 0
        self._servers: Counter[tuple[int, int, int]] = Counter()  # how many real servers have a place
        # Real servers that were deleted: one that comes back while connections still go to it is the same again.
        self._trash: dict[TrashKey, Destination] = {}
        self._prune_at = _FEWEST_TRASH

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Service]:
        return iter(list(self._by_key.values()))

    def get(self, key: ServiceKey) -> Service | None:
        """Return the service that has exactly this key."""
        return self._by_key.get(key)

    def find(self, fwmark: int, protocol: int, address: int, port: int) -> Service | None:
        """Return the service that a packet is for (`ip_vs_service_find`).

        By its mark; its address and port; of FTP for the data connections; of all ports.
        """
        if fwmark:
            found = self._by_key.get(ServiceKey(0, 0, 0, fwmark))
            if found is not None:
                return found
        found = self._by_key.get(ServiceKey(protocol, address, port))
        if found is None and self._ftp and protocol == TCP and (port == FTP_DATA or self._unprivileged(port)):
            found = self._by_key.get(ServiceKey(protocol, address, FTP))
        if found is None and self._wildcards:
            found = self._by_key.get(ServiceKey(protocol, address, 0))
        return found

    def is_server(self, protocol: int, address: int, port: int) -> bool:
        """Whether a packet comes from a real server of some service (`ip_vs_has_real_service`)."""
        return (protocol, address, port) in self._servers

    def _unprivileged(self, port: int) -> bool:
        return port >= self._netns.sysctl.number("net.ipv4.ip_unprivileged_port_start")

    # Services

    def add(self, key: ServiceKey, options: ServiceOptions) -> Service:
        """`-A`."""
        if key in self._by_key:
            raise IpvsError(SERVICE_EXISTS)
        kind = SCHEDULERS.get(options.scheduler)
        if kind is None:
            raise IpvsError(NO_SCHEDULER)
        service = Service(key, options, self._netns.kernel.now)
        service.scheduler = kind(service)
        self._by_key[key] = service
        self._count(key, 1)
        return service

    def edit(self, key: ServiceKey, options: ServiceOptions) -> None:
        """`-E`. Another scheduler begins anew; connections and templates stay as they are."""
        service = self._need(key, NO_SERVICE)
        kind = SCHEDULERS.get(options.scheduler)
        if kind is None:
            raise IpvsError(NO_SCHEDULER)
        service.options = options
        if type(service.scheduler) is not kind:
            service.scheduler = kind(service)

    def delete(self, key: ServiceKey) -> None:
        """`-D`. Connections stay, and have no real server any more."""
        service = self._need(key, NO_SERVICE)
        del self._by_key[key]
        self._count(key, -1)
        for destination in service.destinations:
            self._discard(destination)
        service.destinations = []
        service.by_address = {}

    def clear(self) -> None:
        """`-C`."""
        for key in list(self._by_key):
            self.delete(key)

    def zero(self, key: ServiceKey | None) -> None:
        """`-Z`: count from zero again, for one service and its real servers or for all."""
        now = self._netns.kernel.now
        for service in [self._need(key, NO_SERVICE)] if key is not None else list(self._by_key.values()):
            service.statistics.reset(now)
            for destination in service.destinations:
                destination.statistics.reset(now)

    def _need(self, key: ServiceKey, message: str) -> Service:
        service = self._by_key.get(key)
        if service is None:
            raise IpvsError(message)
        return service

    def _count(self, key: ServiceKey, step: int) -> None:
        if key.port == FTP:
            self._ftp += step
        elif not key.port:
            self._wildcards += step

    # Real servers

    def add_server(self, key: ServiceKey, address: int, port: int, options: ServerOptions) -> None:
        """`-a`. One that was deleted a moment ago comes back with its connections and counters."""
        service = self._need(key, SERVICE_NOT_DEFINED)
        _check_thresholds(options)
        if (address, port) in service.by_address:
            raise IpvsError(SERVER_EXISTS)
        destination = self._from_trash(service, address, port)
        if destination is None:
            if self._netns.fib.address_type(address) not in _ONE_MACHINES:
                raise IpvsError(INVALID)
            destination = Destination(service, address, port, self._netns.kernel.now)
        destination.update(options, added=True)
        service.destinations.insert(0, destination)
        service.by_address[address, port] = destination
        self._servers[key.protocol, address, port] += 1
        service.scheduler.added(destination)

    def edit_server(self, key: ServiceKey, address: int, port: int, options: ServerOptions) -> None:
        """`-e`."""
        service = self._need(key, SERVICE_NOT_DEFINED)
        _check_thresholds(options)
        destination = service.by_address.get((address, port))
        if destination is None:
            raise IpvsError(NO_SERVER)
        destination.update(options, added=False)
        service.scheduler.updated(destination)

    def delete_server(self, key: ServiceKey, address: int, port: int) -> None:
        """`-d`."""
        service = self._need(key, SERVICE_NOT_DEFINED)
        destination = service.by_address.pop((address, port), None)
        if destination is None:
            raise IpvsError(NO_SERVER)
        place = service.destinations.index(destination)
        del service.destinations[place]
        self._discard(destination)
        service.scheduler.removed(destination, place)

    def _discard(self, destination: Destination) -> None:
        destination.available = False
        place = (destination.service.key.protocol, destination.address, destination.port)
        self._servers[place] -= 1
        if not self._servers[place]:
            del self._servers[place]
        if not destination.references:
            destination.idle_since = self._netns.kernel.now
        self._trash[_trash_key(destination.service, destination.address, destination.port)] = destination
        if len(self._trash) >= self._prune_at:
            self._trash = {key: each for key, each in self._trash.items() if not self._is_over(each)}
            self._prune_at = max(_FEWEST_TRASH, 2 * len(self._trash))

    def _from_trash(self, service: Service, address: int, port: int) -> Destination | None:
        destination = self._trash.pop(_trash_key(service, address, port), None)
        if destination is None or self._is_over(destination):
            return None
        if destination.service is not service:  # the service was deleted too, and added again
            destination.service = service
            destination.statistics.reset(self._netns.kernel.now)
        return destination

    def _is_over(self, destination: Destination) -> bool:
        return not destination.references and self._netns.kernel.now >= destination.idle_since + TRASH_TIME


def _trash_key(service: Service, address: int, port: int) -> TrashKey:
    return service.key, address, port


def _check_thresholds(options: ServerOptions) -> None:
    if options.lower_threshold > options.upper_threshold:
        raise IpvsError(OUT_OF_RANGE)
