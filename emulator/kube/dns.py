"""The names of a cluster: what its DNS server answers for Services and pods, and what a pod's resolver is told.

Source: the Kubernetes DNS specification 1.1.0 (github.com/kubernetes/dns, docs/specification.md), CoreDNS's kubernetes
plugin, pkg/kubelet/network/dns/dns.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from emulator.api.objects.endpointslice import Endpoint, EndpointSlice
from emulator.api.objects.pod import Pod
from emulator.api.objects.service import Service
from emulator.errors import WireError
from emulator.packet.address import ipv4_to_int
from emulator.packet.dns_record import AAAA, ANY, CNAME, NS, PTR, SOA, SRV, TXT, A, Record, Soa, Srv, reverse_name

DOMAIN = "cluster.local"
TTL = 30
"""Seconds, as kubeadm's Corefile has it (`ttl 30`)."""
SCHEMA_VERSION = b"1.1.0"
MAX_ALIASES = 8
"""CNAMEs followed for one answer, as CoreDNS's upstream lookup does; a loop ends there."""


class Answer(Struct, frozen=True):
    """Records of a name; `exists` tells NODATA from NXDOMAIN; not authoritative: the name is another zone's."""

    records: tuple[Record, ...]
    exists: bool
    authoritative: bool = True


class ClusterZone:
    """A snapshot of the cluster's names, made from its Services and EndpointSlices."""

    def __init__(self, services: Iterable[Service], slices: Iterable[EndpointSlice], domain: str = DOMAIN) -> None:
        self.domain = domain
        self._names: dict[str, list[Record]] = {}
        by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
        for slice_ in slices:
            if slice_.address_type == "IPv4":
                by_service.setdefault((slice_.metadata.namespace, slice_.service_name), []).append(slice_)
        for service in services:
            key = (service.metadata.namespace, service.metadata.name)
            for record in self._service(service, by_service.get(key, [])):
                self._add(record)
        for record in self._apex():
            self._add(record)
        self._share_weights()
        self._above = set(self._names_above())

    def lookup(self, name: str, record_type: int) -> Answer:
        """Look up a full name; letters' case does not matter."""
        return self._lookup(name, record_type, MAX_ALIASES)

    def _lookup(self, name: str, record_type: int, aliases: int) -> Answer:
        wanted = name.lower().rstrip(".") + "."
        if not self._inside(wanted):
            return Answer((), exists=False, authoritative=False)
        dashed = self._dashed_pod(wanted)
        records = self._names.get(wanted, [dashed] if dashed else [])
        if not records:
            return Answer((), exists=wanted in self._above)
        found = [record for record in records if record_type in (record.type, ANY)]
        if not found and record_type in (A, AAAA):
            found = [*dict.fromkeys(self._through_alias(records, record_type, aliases))]  # a circle says each once
        return Answer(tuple(found), exists=True)

    def _apex(self) -> Iterator[Record]:
        """Yield what the zone says of itself: its server, and the version of the specification that it follows."""
        yield self.authority()
        yield Record(f"{self.domain}.", NS, TTL, f"ns.dns.{self.domain}.")
        yield Record(f"dns-version.{self.domain}.", TXT, TTL, (SCHEMA_VERSION,))

    def _share_weights(self) -> None:
        """Share the weight of 100 among the SRV records of one name."""
        for name, records in self._names.items():
            count = sum(record.type == SRV for record in records)
            if count > 1:
                self._names[name] = [_weighted(record, 100 // count) for record in records]

    def _names_above(self) -> Iterator[str]:
        """Yield the names that have no records but stand above some (RFC 8020), and the zone's own frame."""
        yield from (f"svc.{self.domain}.", f"pod.{self.domain}.")
        for name in self._names:
            above = name
            while above.endswith(f".{self.domain}."):
                above = above.partition(".")[2]
                yield above

    def authority(self) -> Record:
        """Return the SOA record that negative answers carry, as CoreDNS makes it."""
        soa = Soa(f"ns.dns.{self.domain}.", f"hostmaster.{self.domain}.", 1, 7200, 1800, 86400, TTL)
        return Record(f"{self.domain}.", SOA, TTL, soa)

    def _inside(self, name: str) -> bool:
        if name.endswith(".in-addr.arpa."):
            return name in self._names
        return name == f"{self.domain}." or name.endswith(f".{self.domain}.")

    def _through_alias(self, records: list[Record], record_type: int, aliases: int) -> Iterator[Record]:
        """Follow the CNAME of an ExternalName Service; its target is resolved here only if it is ours."""
        for record in records:
            if record.type == CNAME:
                yield record
                if isinstance(record.data, str) and aliases:
                    yield from self._lookup(record.data, record_type, aliases - 1).records

    def _dashed_pod(self, name: str) -> Record | None:
        """Answer `10-244-1-2.default.pod.cluster.local` for any address (CoreDNS: `pods insecure`)."""
        suffix = f".pod.{self.domain}."
        parts = name.removesuffix(suffix).split(".")
        if not name.endswith(suffix) or len(parts) != 2:
            return None
        try:
            return Record(name, A, TTL, ipv4_to_int(parts[0].replace("-", ".")))
        except WireError:
            return None

    def _add(self, record: Record) -> None:
        known = self._names.setdefault(record.name.lower(), [])
        if record not in known:
            known.append(record)

    def _service(self, service: Service, slices: list[EndpointSlice]) -> Iterator[Record]:
        name = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self.domain}."
        if service.spec.type == "ExternalName":
            yield Record(name, CNAME, TTL, service.spec.external_name.rstrip(".") + ".")
        elif service.spec.is_headless:
            for endpoint, slice_ in self._endpoints(service, slices):
                yield from _endpoint_records(name, endpoint, slice_)
        elif service.spec.cluster_ip:
            address = ipv4_to_int(service.spec.cluster_ip)
            yield Record(name, A, TTL, address)
            yield Record(reverse_name(address), PTR, TTL, name)
            for port in service.spec.ports:
                if port.name:
                    service_name = f"_{port.name}._{port.protocol.lower()}.{name}"
                    yield Record(service_name, SRV, TTL, Srv(0, 100, port.port, name))
            for endpoint, _ in self._endpoints(service, slices):
                yield from _host_records(name, endpoint)  # CoreDNS knows single endpoints of these Services too

    def _endpoints(self, service: Service, slices: list[EndpointSlice]) -> Iterator[tuple[Endpoint, EndpointSlice]]:
        for slice_ in slices:
            for endpoint in slice_.endpoints:
                if endpoint.conditions.ready or service.spec.publish_not_ready_addresses:
                    yield endpoint, slice_


def _host_name(name: str, text: str, endpoint: Endpoint) -> str:
    return f"{endpoint.hostname or text.replace('.', '-')}.{name}"


def _host_records(name: str, endpoint: Endpoint) -> Iterator[Record]:
    for text in endpoint.addresses:
        address, host = ipv4_to_int(text), _host_name(name, text, endpoint)
        yield Record(host, A, TTL, address)
        if endpoint.hostname:
            yield Record(reverse_name(address), PTR, TTL, host)


def _endpoint_records(name: str, endpoint: Endpoint, slice_: EndpointSlice) -> Iterator[Record]:
    """Yield what an endpoint adds to the name of its headless Service."""
    yield from _host_records(name, endpoint)
    for text in endpoint.addresses:
        yield Record(name, A, TTL, ipv4_to_int(text))
        host = _host_name(name, text, endpoint)
        for port in slice_.ports:
            if port.name and port.port:
                yield Record(f"_{port.name}._{port.protocol.lower()}.{name}", SRV, TTL, Srv(0, 100, port.port, host))


def _weighted(record: Record, weight: int) -> Record:
    if not isinstance(record.data, Srv):
        return record
    return replace(record, data=replace(record.data, weight=max(1, weight)))


class ResolverConfig(Struct, frozen=True):
    """A pod's /etc/resolv.conf."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    options: tuple[tuple[str, str], ...]

    @property
    def ndots(self) -> int:
        """How many dots a name needs to be asked for as it is first (resolv.conf(5): 1 unless told)."""
        return next((int(value) for name, value in self.options if name == "ndots" and value.isdigit()), 1)

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        if self.options:
            lines.append("options " + " ".join(f"{name}:{value}" if value else name for name, value in self.options))
        return "\n".join(lines) + "\n"


def pod_resolver(pod: Pod, cluster_dns: str, node_nameservers: tuple[str, ...] = ()) -> ResolverConfig:
    """Return the resolver of a pod by its `dnsPolicy` and `dnsConfig`."""
    spec = pod.spec
    nameservers: tuple[str, ...]
    search: tuple[str, ...] = ()
    options: dict[str, str] = {}
    policy = spec.dns_policy
    if policy == "ClusterFirst" and spec.host_network:
        policy = "Default"
    if policy in {"ClusterFirst", "ClusterFirstWithHostNet"}:
        nameservers = (cluster_dns,)
        search = (f"{pod.metadata.namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN)
        options["ndots"] = "5"
    else:
        nameservers = node_nameservers if policy == "Default" else ()
    options |= {option.name: option.value or "" for option in spec.dns_config.options}
    return ResolverConfig(
        tuple(dict.fromkeys((*nameservers, *spec.dns_config.nameservers)))[:3],
        tuple(dict.fromkeys((*search, *spec.dns_config.searches)))[:32],
        tuple(options.items()),
    )


def pod_hosts(pod: Pod, address: str) -> dict[str, str]:
    """Return a pod's /etc/hosts, name to address."""
    hosts = {"localhost": "127.0.0.1"}
    for alias in pod.spec.host_aliases:
        hosts |= dict.fromkeys(alias.hostnames, alias.ip)
    hostname = pod.spec.hostname or pod.metadata.name
    hosts[hostname] = address
    if pod.spec.subdomain:
        hosts[f"{hostname}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{DOMAIN}"] = address
    return hosts
