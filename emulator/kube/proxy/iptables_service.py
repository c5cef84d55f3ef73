"""The rules of iptables mode for each service port: what leads to it, how it spreads, what happens when it is empty.

Source: pkg/proxy/iptables/proxier.go (`syncProxyRules`, `writeServiceToEndpointRules`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from emulator.kube.proxy import names
from emulator.kube.proxy.endpoint_selection import Selection
from emulator.kube.proxy.service_port import Endpoint, ServicePort
from emulator.kube.proxy.settings import ProxyNode, ProxySettings


class ServiceRules:
    """Collects the rules of all service ports, in kube-proxy's order. `nat_chains` are those to declare."""

    def __init__(self, node: ProxyNode, settings: ProxySettings, *, with_comments: bool) -> None:
        self.nat_chains: list[str] = []
        self.nat: list[str] = []
        self.filter: list[str] = []
        self._node = node
        self._settings = settings
        self._with_comments = with_comments

    def add(self, port: ServicePort, selection: Selection) -> None:
        """Add one service port's rules."""
        chains = _Chains(port, selection)
        self._declare(port, selection, chains)
        self._dispatch(port, selection, chains)
        if chains.internal_served:
            self._cluster_ip_masquerade(port, chains.internal)
        if chains.external_used:
            self._external(port, selection, chains)
        if chains.firewall_used:
            self._firewall(port, chains)
        self._spread(port, chains.cluster, selection.cluster)
        self._spread(port, chains.local, selection.local)
        for endpoint in selection.all_reachable:
            self._endpoint(port, endpoint)

    # The comment's quotes are written only where it holds a blank, as kube-proxy's own text has it.
    def _comment(self, text: str) -> str:
        if not self._with_comments:
            return ""
        quoted = f'"{text}"' if " " in text else text
        return f"-m comment --comment {quoted} "

    def _declare(self, port: ServicePort, selection: Selection, chains: _Chains) -> None:
        needed = (
            (chains.cluster, selection.cluster),
            (chains.local, selection.local),
            (chains.external, chains.external_used),
            (chains.firewall, chains.firewall_used),
        )
        self.nat_chains += [chain for chain, used in needed if used]
        self.nat_chains += [_endpoint_chain(port, endpoint) for endpoint in selection.all_reachable]

    def _dispatch(self, port: ServicePort, selection: Selection, chains: _Chains) -> None:
        """Lead each of the port's addresses to its chain, and refuse what nothing stands behind.

        External policy Local without a local endpoint has both: pods and the node itself are still led to the other
        nodes' endpoints, and what was not rewritten by then is refused.
        """
        self._lead(port, port.cluster_ip, "cluster IP", chains.internal if chains.internal_served else "")
        if not chains.internal_served:
            self._refuse("KUBE-SERVICES", port, _match(port, port.cluster_ip), selection)
        load_balancer_target = chains.firewall if chains.firewall_used else chains.external
        for addresses, what, target in (
            (port.external_ips, "external IP", chains.external),
            (port.load_balancer_ips, "loadbalancer IP", load_balancer_target),
        ):
            for address in addresses:
                self._lead(port, address, what, target if chains.external_used else "")
                if not chains.external_served:
                    self._refuse("KUBE-EXTERNAL-SERVICES", port, _match(port, address), selection)
        if chains.firewall_used:
            comment = self._comment(f"{port.name} traffic not accepted by {chains.firewall}")
            self.filter += [
                f"-A KUBE-PROXY-FIREWALL {comment}{_match(port, address)} -j DROP" for address in port.load_balancer_ips
            ]
        if port.node_port:
            self._node_port(port, chains, selection)
        if port.health_check_node_port:
            comment = self._comment(f"{port.name} health check node port")
            self.filter.append(
                f"-A KUBE-NODEPORTS {comment}-m tcp -p tcp --dport {port.health_check_node_port} -j ACCEPT"
            )

    def _lead(self, port: ServicePort, address: str, what: str, target: str) -> None:
        if target:
            comment = self._comment(f"{port.name} {what}")
            self.nat.append(f"-A KUBE-SERVICES {comment}{_match(port, address)} -j {target}")

    def _refuse(self, chain: str, port: ServicePort, match: str, selection: Selection) -> None:
        """REJECT where no endpoint exists at all, DROP where only other nodes have some."""
        verdict, why = (
            ("DROP", "has no local endpoints") if selection.exist_anywhere else ("REJECT", "has no endpoints")
        )
        self.filter.append(f"-A {chain} {self._comment(f'{port.name} {why}')}{match} -j {verdict}")

    def _node_port(self, port: ServicePort, chains: _Chains, selection: Selection) -> None:
        match = f"-m {port.protocol} -p {port.protocol} --dport {port.node_port}"
        if chains.external_used:
            self.nat.append(f"-A KUBE-NODEPORTS {self._comment(str(port.name))}{match} -j {chains.external}")
        if not chains.external_served:
            self._refuse("KUBE-EXTERNAL-SERVICES", port, f"-m addrtype --dst-type LOCAL {match}", selection)

    def _external(self, port: ServicePort, selection: Selection, chains: _Chains) -> None:
        chain, name = chains.external, port.name
        if not port.external_local:
            comment = self._comment(f"masquerade traffic for {name} external destinations")
            self.nat += [f"-A {chain} {comment}-j KUBE-MARK-MASQ", f"-A {chain} -j {chains.cluster}"]
            return
        if self._settings.detect_local and self._node.pod_cidr:
            comment = self._comment(f"pod traffic for {name} external destinations")
            self.nat.append(f"-A {chain} {comment}-s {self._node.pod_cidr} -j {chains.cluster}")
        local = "-m addrtype --src-type LOCAL"
        comment = self._comment(f"masquerade LOCAL traffic for {name} external destinations")
        self.nat.append(f"-A {chain} {comment}{local} -j KUBE-MARK-MASQ")
        comment = self._comment(f"route LOCAL traffic for {name} external destinations")
        self.nat.append(f"-A {chain} {comment}{local} -j {chains.cluster}")
        if selection.local:
            self.nat.append(f"-A {chain} -j {chains.local}")

    def _firewall(self, port: ServicePort, chains: _Chains) -> None:
        comment = self._comment(f"{port.name} loadbalancer IP")
        networks = [ipaddress.IPv4Network(text) for text in port.source_ranges]
        self.nat += [f"-A {chains.firewall} {comment}-s {network} -j {chains.external}" for network in networks]
        primary = self._node.addresses[0] if self._node.addresses else ""
        if primary and any(ipaddress.IPv4Address(primary) in network for network in networks):
            # The node's own traffic to the balancer's address has that address as its source in IPVS-like set-ups.
            self.nat += [
                f"-A {chains.firewall} {comment}-s {address} -j {chains.external}" for address in port.load_balancer_ips
            ]
        comment = self._comment(f"other traffic to {port.name} will be dropped by KUBE-PROXY-FIREWALL")
        self.nat.append(f"-A {chains.firewall} {comment}".rstrip())

    def _cluster_ip_masquerade(self, port: ServicePort, chain: str) -> None:
        comment = self._comment(f"{port.name} cluster IP")
        match = _match(port, port.cluster_ip)
        if self._settings.masquerade_all:
            self.nat.append(f"-A {chain} {comment}{match} -j KUBE-MARK-MASQ")
        elif self._settings.detect_local and self._node.pod_cidr:
            self.nat.append(f"-A {chain} {comment}{match} ! -s {self._node.pod_cidr} -j KUBE-MARK-MASQ")

    def _spread(self, port: ServicePort, chain: str, endpoints: Sequence[Endpoint]) -> None:
        if port.affinity_seconds:
            for endpoint in endpoints:
                target = _endpoint_chain(port, endpoint)
                comment = self._comment(f"{port.name} -> {endpoint}")
                self.nat.append(
                    f"-A {chain} {comment}-m recent --name {target} --rcheck"
                    f" --seconds {port.affinity_seconds} --reap -j {target}"
                )
        for index, endpoint in enumerate(endpoints):
            comment = self._comment(f"{port.name} -> {endpoint}")
            left = len(endpoints) - index
            chance = f"-m statistic --mode random --probability {1 / left:0.10f} " if left > 1 else ""
            self.nat.append(f"-A {chain} {comment}{chance}-j {_endpoint_chain(port, endpoint)}")

    def _endpoint(self, port: ServicePort, endpoint: Endpoint) -> None:
        chain = _endpoint_chain(port, endpoint)
        comment = self._comment(str(port.name))
        self.nat.append(f"-A {chain} {comment}-s {endpoint.ip} -j KUBE-MARK-MASQ")
        remember = f"-m recent --name {chain} --set " if port.affinity_seconds else ""
        self.nat.append(
            f"-A {chain} {comment}{remember}-m {port.protocol} -p {port.protocol} -j DNAT --to-destination {endpoint}"
        )


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

    def __init__(self, port: ServicePort, selection: Selection) -> None:
        identity = (str(port.name), port.protocol)
        self.cluster = names.cluster_policy_chain(*identity)
        self.local = names.local_policy_chain(*identity)
        self.external = names.external_chain(*identity)
        self.firewall = names.firewall_chain(*identity)
        self.internal = self.local if port.internal_local else self.cluster
        self.internal_served = bool(selection.local) if port.internal_local else selection.exist_anywhere
        self.external_served = bool(selection.local) if port.external_local else selection.exist_anywhere
        self.external_used = selection.exist_anywhere and port.accessible
        self.firewall_used = bool(self.external_used and port.load_balancer_ips and port.source_ranges)


def _endpoint_chain(port: ServicePort, endpoint: Endpoint) -> str:
    return names.endpoint_chain(str(port.name), port.protocol, str(endpoint))


def _match(port: ServicePort, address: str) -> str:
    return f"-m {port.protocol} -p {port.protocol} -d {address} --dport {port.port}"
