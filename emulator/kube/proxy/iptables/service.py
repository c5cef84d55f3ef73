"""The rules of iptables mode for one service port: what leads to it, how it spreads, what happens when it is empty.

Source: pkg/proxy/iptables/proxier.go (`syncProxyRules`, `writeServiceToEndpointRules`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from emulator.kube.proxy import names
from emulator.kube.proxy.endpoint_selection import Selection
from emulator.kube.proxy.service_port import Endpoint, ServicePort
from emulator.kube.proxy.settings import ProxyNode, ProxySettings


class Shared(IntEnum):
    """The chains in which rules of many service ports stand."""

    SERVICES = 0  # nat
    NODE_PORTS = 1  # nat
    REFUSED = 2  # filter KUBE-SERVICES
    REFUSED_FROM_OUTSIDE = 3
    HEALTH_CHECKS = 4
    FIREWALL = 5


SHARED_CHAINS = (
    ("nat", "KUBE-SERVICES"),
    ("nat", "KUBE-NODEPORTS"),
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "KUBE-NODEPORTS"),
    ("filter", "KUBE-PROXY-FIREWALL"),
)
"""Table and name of each `Shared`."""


class PortRules(Struct, frozen=True):
    """What one service port has in the tables.

    `own`: the text of each nat chain that is only this port's, by the chain's name: a line `-A CHAIN …` a rule, without
    the last newline. `shared`: for each shared chain that it is in, its rules there in order, without `-A CHAIN`.
    """

    own: dict[str, str]
    shared: dict[Shared, tuple[str, ...]]


class PortWriter:
    """Writes the rules of service ports for one node.

    In large clusters the rules of endpoints, which are most, have no comments (`appendServiceCommentLocked`).
    """

    def __init__(self, node: ProxyNode, settings: ProxySettings, *, large: bool = False) -> None:
        self.node = node
        self.settings = settings
        self.large = large
        self.pod_cidr = node.pod_cidr if settings.detect_local else ""
        """What counts as traffic of this node's pods; empty if nothing does."""

    def rules(self, port: ServicePort, selection: Selection) -> PortRules:
        """Return one service port's rules."""
        made = _Port(self, port, selection)
        return PortRules(
            {chain: "\n".join(lines) for chain, lines in made.own.items()},
            {shared: tuple(lines) for shared, lines in made.shared.items()},
        )


# kube-proxy's own text has quotes only where a comment holds a blank.
def _comment(text: str) -> str:
    return f'-m comment --comment "{text}" '


class _Port:
    """One service port while its rules are written, in kube-proxy's order."""

    def __init__(self, writer: PortWriter, port: ServicePort, selection: Selection) -> None:
        self.own: dict[str, list[str]] = {}
        self.shared: dict[Shared, list[str]] = {}
        self._writer = writer
        self._port = port
        self._name = str(port.name)
        self._protocol = port.protocol
        self._selection = selection
        self._chains = chains = _Chains(self._name, port, selection)
        self._endpoint_chains = {
            str(endpoint): names.endpoint_chain(self._name, self._protocol, str(endpoint))
            for endpoint in selection.all_reachable
        }
        self._dispatch()
        if chains.internal_served:
            self._cluster_ip_masquerade(chains.internal)
        if chains.external_used:
            self._external()
        if chains.firewall_used:
            self._firewall()
        self._spread(chains.cluster, selection.cluster)
        self._spread(chains.local, selection.local)
        for endpoint in selection.all_reachable:
            self._endpoint(endpoint)

    def _append(self, chain: str, rule: str) -> None:
        self.own.setdefault(chain, []).append(f"-A {chain} {rule}")

    def _share(self, shared: Shared, rule: str) -> None:
        self.shared.setdefault(shared, []).append(rule)

    def _match(self, address: str) -> str:
        return f"-m {self._protocol} -p {self._protocol} -d {address} --dport {self._port.port}"

    def _dispatch(self) -> None:
        """Lead each of the port's addresses to its chain, and refuse what nothing stands behind.

        External policy Local without a local endpoint has both: pods and the node itself are still led to the other
        nodes' endpoints, and what was not rewritten by then is refused.
        """
        port, chains = self._port, self._chains
        self._lead(port.cluster_ip, "cluster IP", chains.internal if chains.internal_served else "")
        if not chains.internal_served:
            self._refuse(Shared.REFUSED, self._match(port.cluster_ip))
        load_balancer_target = chains.firewall if chains.firewall_used else chains.external
        for addresses, what, target in (
            (port.external_ips, "external IP", chains.external),
            (port.load_balancer_ips, "loadbalancer IP", load_balancer_target),
        ):
            for address in addresses:
                self._lead(address, what, target if chains.external_used else "")
                if not chains.external_served:
                    self._refuse(Shared.REFUSED_FROM_OUTSIDE, self._match(address))
        if chains.firewall_used:
            comment = _comment(f"{self._name} traffic not accepted by {chains.firewall}")
            for address in port.load_balancer_ips:
                self._share(Shared.FIREWALL, f"{comment}{self._match(address)} -j DROP")
        if port.node_port:
            self._node_port()
        if port.health_check_node_port:
            comment = _comment(f"{self._name} health check node port")
            rule = f"{comment}-m tcp -p tcp --dport {port.health_check_node_port} -j ACCEPT"
            self._share(Shared.HEALTH_CHECKS, rule)

    def _lead(self, address: str, what: str, target: str) -> None:
        if target:
            comment = _comment(f"{self._name} {what}")
            self._share(Shared.SERVICES, f"{comment}{self._match(address)} -j {target}")

    def _refuse(self, shared: Shared, match: str) -> None:
        """REJECT where no endpoint exists at all, DROP where only other nodes have some."""
        verdict, why = (
            ("DROP", "has no local endpoints") if self._selection.exist_anywhere else ("REJECT", "has no endpoints")
        )
        self._share(shared, f"{_comment(f'{self._name} {why}')}{match} -j {verdict}")

    def _node_port(self) -> None:
        chains = self._chains
        match = f"-m {self._protocol} -p {self._protocol} --dport {self._port.node_port}"
        if chains.external_used:
            self._share(Shared.NODE_PORTS, f"-m comment --comment {self._name} {match} -j {chains.external}")
        if not chains.external_served:
            self._refuse(Shared.REFUSED_FROM_OUTSIDE, f"-m addrtype --dst-type LOCAL {match}")

    def _external(self) -> None:
        chain, name = self._chains.external, self._name
        if not self._port.external_local:
            comment = _comment(f"masquerade traffic for {name} external destinations")
            self._append(chain, f"{comment}-j KUBE-MARK-MASQ")
            self._append(chain, f"-j {self._chains.cluster}")
            return
        if self._writer.pod_cidr:
            comment = _comment(f"pod traffic for {name} external destinations")
            self._append(chain, f"{comment}-s {self._writer.pod_cidr} -j {self._chains.cluster}")
        local = "-m addrtype --src-type LOCAL"
        comment = _comment(f"masquerade LOCAL traffic for {name} external destinations")
        self._append(chain, f"{comment}{local} -j KUBE-MARK-MASQ")
        comment = _comment(f"route LOCAL traffic for {name} external destinations")
        self._append(chain, f"{comment}{local} -j {self._chains.cluster}")
        if self._selection.local:
            self._append(chain, f"-j {self._chains.local}")

    def _firewall(self) -> None:
        firewall, external = self._chains.firewall, self._chains.external
        comment = _comment(f"{self._name} loadbalancer IP")
        networks = [ipaddress.IPv4Network(text) for text in self._port.source_ranges]
        for network in networks:
            self._append(firewall, f"{comment}-s {network} -j {external}")
        addresses = self._writer.node.addresses
        if addresses and any(ipaddress.IPv4Address(addresses[0]) in network for network in networks):
            # The node's own traffic to the balancer's address has that address as its source in IPVS-like set-ups.
            for address in self._port.load_balancer_ips:
                self._append(firewall, f"{comment}-s {address} -j {external}")
        comment = _comment(f"other traffic to {self._name} will be dropped by KUBE-PROXY-FIREWALL")
        self._append(firewall, comment.rstrip())

    def _cluster_ip_masquerade(self, chain: str) -> None:
        if not self._writer.settings.masquerade_all and not self._writer.pod_cidr:
            return
        source = "" if self._writer.settings.masquerade_all else f" ! -s {self._writer.pod_cidr}"
        comment = _comment(f"{self._name} cluster IP")
        self._append(chain, f"{comment}{self._match(self._port.cluster_ip)}{source} -j KUBE-MARK-MASQ")

    def _spread(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        seconds = self._port.affinity_seconds
        if seconds:
            for endpoint in endpoints:
                target = self._endpoint_chains[str(endpoint)]
                comment = self._endpoint_comment(endpoint)
                recent = f"-m recent --name {target} --rcheck --seconds {seconds} --reap"
                self._append(chain, f"{comment}{recent} -j {target}")
        for index, endpoint in enumerate(endpoints):
            comment = self._endpoint_comment(endpoint)
            left = len(endpoints) - index
            chance = f"-m statistic --mode random --probability {1 / left:0.10f} " if left > 1 else ""
            self._append(chain, f"{comment}{chance}-j {self._endpoint_chains[str(endpoint)]}")

    def _endpoint_comment(self, endpoint: Endpoint) -> str:
        return "" if self._writer.large else _comment(f"{self._name} -> {endpoint}")

    def _endpoint(self, endpoint: Endpoint) -> None:
        chain, protocol = self._endpoint_chains[str(endpoint)], self._protocol
        comment = "" if self._writer.large else f"-m comment --comment {self._name} "
        self._append(chain, f"{comment}-s {endpoint.ip} -j KUBE-MARK-MASQ")
        remember = f"-m recent --name {chain} --set " if self._port.affinity_seconds else ""
        self._append(chain, f"{comment}{remember}-m {protocol} -p {protocol} -j DNAT --to-destination {endpoint}")


class _Chains:
    """The chains of one service port: where each sort of traffic enters, and which of them are needed."""

    __slots__ = (
        "cluster",
        "external",
        "external_served",
        "external_used",
        "firewall",
        "firewall_used",
        "internal",
        "internal_served",
        "local",
    )

    def __init__(self, name: str, port: ServicePort, selection: Selection) -> None:
        self.cluster, self.local, self.external, self.firewall = names.port_chains(name, port.protocol)
        self.internal = self.local if port.internal_local else self.cluster
        self.internal_served = bool(selection.local) if port.internal_local else selection.exist_anywhere
        self.external_served = bool(selection.local) if port.external_local else selection.exist_anywhere
        self.external_used = selection.exist_anywhere and port.accessible
        self.firewall_used = bool(self.external_used and port.load_balancer_ips and port.source_ranges)
