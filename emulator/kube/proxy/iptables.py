"""kube-proxy's iptables mode: the text that it gives to `iptables-restore --noflush` on one node.

The text carries everything the node needs; the kernel part loads it atomically and knows nothing of Services.
Source: pkg/proxy/iptables/proxier.go (`syncProxyRules`), v1.35.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emulator.kube.proxy.endpoint_selection import Selection, select_endpoints
from emulator.kube.proxy.iptables_fixed import (
    FIXED_FILTER_CHAINS,
    FIXED_NAT_CHAINS,
    fixed_filter_rules,
    fixed_nat_rules,
    jump_rules,
    node_port_dispatch,
)
from emulator.kube.proxy.iptables_service import ServiceRules
from emulator.kube.proxy.proxier import Writes
from emulator.kube.proxy.service_port import Endpoint, ServicePort, ServicePortName
from emulator.kube.proxy.settings import LARGE_CLUSTER_ENDPOINTS, ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker

ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"


class IptablesProxy:
    """Turns the state of the cluster into restore texts; remembers which chains it wrote, to delete them later."""

    def __init__(self, node: ProxyNode, settings: ProxySettings) -> None:
        self.node = node
        self.settings = settings
        self._written: frozenset[str] = frozenset()
        self._jumps_installed = False

    def sync(self, services: ServiceTracker, now: float) -> Writes:
        """Return the text for `iptables-restore --noflush` that makes the node's rules what they should be now."""
        del now
        services.take_changes()
        # Without it the kernel takes no packet from 127.0.0.1 that goes on to another machine.
        sysctls = ((ROUTE_LOCALNET, 1),) if self.settings.localhost_node_ports and not self._jumps_installed else ()
        return Writes(sysctls=sysctls, iptables=self.text(services.ports, services.endpoints))

    def next_sync(self) -> float | None:
        """Return None: nothing here waits."""
        return None

    def text(
        self,
        ports: Mapping[ServicePortName, ServicePort],
        endpoints: Mapping[ServicePortName, Sequence[Endpoint]],
    ) -> str:
        """Return the restore text for these service ports."""
        rules = self._service_rules(ports, endpoints)
        nat_chains = frozenset(rules.nat_chains)
        stale = sorted(self._written - nat_chains)
        lines = [] if self._jumps_installed else ["*mangle", ":KUBE-PROXY-CANARY - [0:0]", "COMMIT"]
        lines += ["*filter"]
        lines += [f":{chain} - [0:0]" for chain in FIXED_FILTER_CHAINS]
        lines += [] if self._jumps_installed else jump_rules("filter", self.settings)
        lines += rules.filter + fixed_filter_rules(self.settings)
        lines += ["COMMIT", "*nat"]
        lines += [f":{chain} - [0:0]" for chain in (*FIXED_NAT_CHAINS, *rules.nat_chains, *stale)]
        lines += [] if self._jumps_installed else jump_rules("nat", self.settings)
        lines += fixed_nat_rules(self.settings) + rules.nat + node_port_dispatch(self.node, self.settings)
        lines += [f"-X {chain}" for chain in stale]
        lines += ["COMMIT", ""]
        self._written = nat_chains
        self._jumps_installed = True
        return "\n".join(lines)

    def forget(self) -> None:
        """Start anew after somebody flushed the tables: the next sync installs the jumps again."""
        self._written = frozenset()
        self._jumps_installed = False

    def cleanup(self) -> Writes:
        """Return the text that takes away this mode's chains and the jumps to them."""
        mangle = ["*mangle", ":KUBE-PROXY-CANARY - [0:0]", "-X KUBE-PROXY-CANARY", "COMMIT"]
        lines = [] if not self._jumps_installed else mangle
        for table, chains in (("filter", FIXED_FILTER_CHAINS), ("nat", (*FIXED_NAT_CHAINS, *sorted(self._written)))):
            lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
            if self._jumps_installed:
                lines += [
                    rule.replace("-I ", "-D ", 1).replace(" 1 ", " ", 1) for rule in jump_rules(table, self.settings)
                ]
            lines += [*(f"-X {chain}" for chain in chains), "COMMIT"]
        self.forget()
        return Writes(iptables="\n".join((*lines, "")))

    def _service_rules(
        self,
        ports: Mapping[ServicePortName, ServicePort],
        endpoints: Mapping[ServicePortName, Sequence[Endpoint]],
    ) -> ServiceRules:
        selections = dict(self._selections(ports, endpoints))
        total = sum(len(endpoints.get(name, ())) for name in ports)
        rules = ServiceRules(self.node, self.settings, with_comments=total <= LARGE_CLUSTER_ENDPOINTS)
        for name in sorted(ports):
            rules.add(ports[name], selections[name])
        return rules

    def _selections(
        self,
        ports: Mapping[ServicePortName, ServicePort],
        endpoints: Mapping[ServicePortName, Sequence[Endpoint]],
    ) -> Iterable[tuple[ServicePortName, Selection]]:
        for name, port in ports.items():
            yield (
                name,
                select_endpoints(port, endpoints.get(name, ()), node_name=self.node.name, zone=self.node.zone),
            )
