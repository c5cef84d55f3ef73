"""What nftables mode has for each service port: chains with their rules, affinity sets, and elements of the maps.

Source: pkg/proxy/nftables/proxier.go (`syncProxyRules`, `writeServiceToEndpointRules`), v1.35.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from emulator.kube.proxy.endpoint_selection import Selection
from emulator.kube.proxy.nftables import names
from emulator.kube.proxy.nftables.fixed import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    MARK_CHAIN,
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
    REJECT_CHAIN,
    SERVICE_IPS,
    SERVICE_NODE_PORTS,
)
from emulator.kube.proxy.service_port import Endpoint, ServicePort
from emulator.kube.proxy.settings import ProxyNode, ProxySettings

ElementKey = tuple[str, str]
"""The name of a set or map, and the key in it as nft takes it ("10.96.0.1 . tcp . 80")."""


class ElementValue(Struct, frozen=True):
    """What stands behind a key: a verdict ("" in a set), and the comment of the key."""

    verdict: str = ""
    comment: str = ""


class PortRules(Struct, frozen=True):
    """All that one service port has in the table.

    `chains`: the rules of each chain, in kube-proxy's order. `affinity`: sets with their timeout in seconds.
    """

    chains: Mapping[str, tuple[str, ...]] = {}
    affinity: Mapping[str, int] = {}
    elements: Mapping[ElementKey, ElementValue] = {}


def port_rules(port: ServicePort, selection: Selection, node: ProxyNode, settings: ProxySettings) -> PortRules:
    """Return what `port` has on `node`."""
    rules = _PortWriter(port, selection, node, settings)
    affinity = dict.fromkeys(rules.affinity_sets(), port.affinity_seconds) if port.affinity_seconds else {}
    return PortRules(dict(rules.chains()), affinity, dict(rules.elements()))


class _PortWriter:
    """Writes the rules and elements of one service port."""

    def __init__(self, port: ServicePort, selection: Selection, node: ProxyNode, settings: ProxySettings) -> None:
        self._port = port
        self._selection = selection
        self._node = node
        self._settings = settings
        self._cluster = names.cluster_policy_chain(port.name)
        self._local = names.local_policy_chain(port.name)
        self._external = names.external_chain(port.name)
        self._firewall = names.firewall_chain(port.name)
        # Made once: a chain's name is a hash, and stands in several rules.
        self._endpoints = {endpoint: names.endpoint_chain(port.name, endpoint) for endpoint in selection.all_reachable}
        some = selection.exist_anywhere
        self._internal_served = bool(selection.local) if port.internal_local else some
        self._external_served = bool(selection.local) if port.external_local else some
        # With endpoints on other nodes only, pods and the node itself are still led to them.
        self._external_used = some and port.accessible
        # Unlike in iptables mode, a firewall does not need endpoints.
        self._firewall_used = bool(port.load_balancer_ips and port.source_ranges)

    @property
    def _local_sources(self) -> str:
        """The network whose addresses count as local; "" where nothing tells local traffic."""
        return self._node.pod_cidr if self._settings.detect_local else ""

    def affinity_sets(self) -> list[str]:
        """Return the names of the sets that remember each endpoint's clients."""
        return [names.affinity_set(self._port.name, endpoint) for endpoint in self._endpoints]

    def chains(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield each chain with its rules: of endpoints, then those that lead there."""
        selection = self._selection
        for endpoint, chain in self._endpoints.items():
            yield chain, tuple(self._endpoint(endpoint))
        if selection.cluster and self._port.uses_cluster_endpoints:
            yield self._cluster, (*self._masquerade_internal(self._cluster), *self._spread(selection.cluster))
        if selection.local and self._port.uses_local_endpoints:
            yield self._local, (*self._masquerade_internal(self._local), *self._spread(selection.local))
        if self._external_used:
            yield self._external, tuple(self._external_rules())
        if self._firewall_used:
            yield self._firewall, (f"ip saddr != {{ {' , '.join(self._allowed_sources())} }} drop",)

    def _masquerade_internal(self, chain: str) -> Iterator[str]:
        """What comes from outside by the ClusterIP: its replies must come back through this node."""
        internal = self._local if self._port.internal_local else self._cluster
        if chain != internal or not self._internal_served:
            return
        if self._settings.masquerade_all:
            yield f"ip daddr {self._port.cluster_ip} jump {MARK_CHAIN}"
        elif self._local_sources:
            yield f"ip daddr {self._port.cluster_ip} ip saddr != {self._local_sources} jump {MARK_CHAIN}"

    def _spread(self, endpoints: Sequence[Endpoint]) -> Iterator[str]:
        name = self._port.name
        chains = [self._endpoints[endpoint] for endpoint in endpoints]
        if self._port.affinity_seconds:
            for chain, endpoint in zip(chains, endpoints, strict=True):
                yield f"ip saddr @{names.affinity_set(name, endpoint)} goto {chain}"
        choices = " , ".join(f"{number} : goto {chain}" for number, chain in enumerate(chains))
        yield f"numgen random mod {len(chains)} vmap {{ {choices} }}"

    def _external_rules(self) -> Iterator[str]:
        if not self._port.external_local:
            yield f"jump {MARK_CHAIN}"
        else:
            # A pod's traffic is treated as if it went out to the balancer and came back: by neither policy.
            if self._local_sources:
                yield f'ip saddr {self._local_sources} goto {self._cluster} comment "short-circuit pod traffic"'
            yield f'fib saddr type local jump {MARK_CHAIN} comment "masquerade local traffic"'
            yield f'fib saddr type local goto {self._cluster} comment "short-circuit local traffic"'
        if self._external_served:
            yield f"goto {self._local if self._port.external_local else self._cluster}"

    def _allowed_sources(self) -> Iterator[str]:
        yield from self._port.source_ranges
        primary = self._node.addresses[0] if self._node.addresses else ""
        networks = [ipaddress.IPv4Network(text) for text in self._port.source_ranges]
        if primary and any(ipaddress.IPv4Address(primary) in network for network in networks):
            # Where the balancer's address is one of the node's own, its traffic to it has that address as source.
            yield from self._port.load_balancer_ips

    def _endpoint(self, endpoint: Endpoint) -> Iterator[str]:
        yield f"ip saddr {endpoint.ip} jump {MARK_CHAIN}"  # hairpin: else the reply would go straight to itself
        if self._port.affinity_seconds:
            yield f"update @{names.affinity_set(self._port.name, endpoint)} {{ ip saddr }}"
        yield f"meta l4proto {self._port.protocol} dnat to {endpoint}"

    def elements(self) -> Iterator[tuple[ElementKey, ElementValue]]:
        """Yield the elements of the set and the maps."""
        port = self._port
        yield (CLUSTER_IPS, port.cluster_ip), ElementValue()
        if self._internal_served:
            chain = self._local if port.internal_local else self._cluster
            yield (SERVICE_IPS, self._destination(port.cluster_ip)), ElementValue(f"goto {chain}")
        else:
            yield (NO_ENDPOINT_SERVICES, self._destination(port.cluster_ip)), self._refusal()
        for address in (*port.external_ips, *port.load_balancer_ips):
            yield from self._external_elements((SERVICE_IPS, NO_ENDPOINT_SERVICES), self._destination(address))
        if self._firewall_used:
            for address in port.load_balancer_ips:
                yield (FIREWALL_IPS, self._destination(address)), ElementValue(f"goto {self._firewall}")
        if port.node_port:
            key = f"{port.protocol} . {port.node_port}"
            yield from self._external_elements((SERVICE_NODE_PORTS, NO_ENDPOINT_NODE_PORTS), key)

    def _external_elements(self, maps: tuple[str, str], key: str) -> Iterator[tuple[ElementKey, ElementValue]]:
        """Where endpoints are on other nodes only, both maps have the key: what is not led on is dropped."""
        serving, refusing = maps
        if self._external_used:
            yield (serving, key), ElementValue(f"goto {self._external}")
        if not self._external_served:
            yield (refusing, key), self._refusal()

    def _destination(self, address: str) -> str:
        return f"{address} . {self._port.protocol} . {self._port.port}"

    def _refusal(self) -> ElementValue:
        """Drop where only other nodes have endpoints, reject where there is none in the cluster."""
        verdict = "drop" if self._selection.exist_anywhere else f"goto {REJECT_CHAIN}"
        return ElementValue(verdict, str(self._port.name))
