"""What name servers know: the cluster's objects, or names that a caller made in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from emulator.api.objects.endpointslice import EndpointSlice
    from emulator.api.objects.service import Service
    from emulator.packet.dns_record import Record


class DnsAnswer(Struct, frozen=True):
    """What a zone says of a name and a type. No records of a name that exists is NODATA, of one that does not NXDOMAIN.

    `authoritative` is False for names outside the zone: somebody else must be asked. `authority` is what goes with an
    answer without records: the zone's SOA, which tells how long the answer may be kept (RFC 2308).
    """

    records: tuple[Record, ...]
    exists: bool
    authoritative: bool = True
    authority: tuple[Record, ...] = ()


class Zone(Protocol):
    """Names that a caller made in Python: what a name server outside of clusters answers from."""

    def lookup(self, name: str, record_type: int) -> DnsAnswer:
        """Look up a full name ("web.default.svc.cluster.local.") of a type as `packet.dns` numbers it."""


class ServiceDirectory(Protocol):
    """What the cluster's DNS server knows of the cluster, by the keys that names have; all in lower case."""

    @property
    def synced(self) -> bool:
        """Whether everything that there is was heard of."""

    async def wait_synced(self) -> None:
        """Wait until it was."""

    @property
    def serial(self) -> int:
        """When something last changed, seconds since the epoch."""

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace exists."""

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service."""

    def slices(self, namespace: str, service: str) -> Sequence[EndpointSlice]:
        """Return the slices of a Service."""

    def services_at(self, family: int, address: int) -> Sequence[Service]:
        """Return the Services that have a cluster address (family 4 or 6)."""

    def slices_at(self, family: int, address: int) -> Sequence[EndpointSlice]:
        """Return the slices that have an endpoint of this address."""
