"""The bridge plugin: a veth a pod into the node's bridge cbr0, and a route a node to the others' pods.

Source: containernetworking/plugins, plugins/main/bridge; kindnet for the routes; ip-masq-agent for the way out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from msgspec import Struct

from emulator.api.objects.node import Node
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.bridge import Bridge
from emulator.kernel.link.link import Link
from emulator.kernel.link.veth import pair
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.kube.cni.host_local import HostLocal

if TYPE_CHECKING:
    from emulator.kube.cni.portmap import PortMap, PortMapping

BRIDGE_NAME = "cbr0"
POD_LINK = "eth0"


class NodeNetwork(Struct, frozen=True):
    """What the plugin must know of the node and its cluster."""

    node_name: str
    pod_cidr: IPv4Network
    cluster_pod_cidr: IPv4Network
    node_network: IPv4Network


class BridgePlugin:
    """Plugs pods of one node into its bridge. `root` is the node's own namespace, `uplink` its link to other nodes."""

    def __init__(self, kernel: Kernel, root: Netns, uplink: Link, network: NodeNetwork) -> None:
        self._kernel = kernel
        self._root = root
        self._uplink = uplink
        self._network = network
        self._addresses = HostLocal(network.pod_cidr)
        self._port_map: PortMap | None = None
        self._bridge = Bridge(root, BRIDGE_NAME, _mac(f"{network.node_name}/{BRIDGE_NAME}"), uplink.mtu)
        self._bridge.set_up()
        gateway = int(self._addresses.gateway)
        root.add_address(
            self._bridge, gateway, network.pod_cidr.prefixlen, broadcast=int(network.pod_cidr.broadcast_address)
        )
        root.netfilter.restore(_masquerade_rules(network), noflush=True)

    def set_up_pod(
        self, uid: str, namespace: str, name: str, wanted: str = "", host_ports: Sequence[PortMapping] = ()
    ) -> tuple[Netns, str]:
        """Make the pod's namespace and return it with its address; `wanted` is used if it is free.

        What comes to its `host_ports` of the node goes on to it.
        Raises AddressesExhaustedError, and then leaves nothing behind.
        """
        address = self._addresses.allocate(uid, IPv4Address(wanted) if wanted else None)
        netns = Netns(self._kernel, f"cni-{uid}")
        host_link = "veth" + hashlib.sha256(f"{namespace}/{name}/{uid}".encode()).hexdigest()[:8]
        host, inside = pair(
            self._root, host_link, netns, POD_LINK, _mac(f"{uid}/host"), _mac(f"{uid}/pod"), self._uplink.mtu
        )
        self._bridge.add_port(host).hairpin = True
        host.set_up()
        inside.set_up()
        network = self._network.pod_cidr
        netns.add_address(inside, int(address), network.prefixlen, broadcast=int(network.broadcast_address))
        netns.fib.add(Route(0, 0, link=inside, gateway=int(self._addresses.gateway)))
        if host_ports:
            self._host_ports().add(uid, str(address), host_ports)
        return netns, str(address)

    def tear_down_pod(self, uid: str) -> None:
        """Remove the pod's namespace, with it both ends of its veth, and give its address back."""
        if self._port_map is not None:
            self._port_map.remove(uid)
        netns = self._kernel.namespaces.get(f"cni-{uid}")
        if netns is not None:
            netns.close()
        self._addresses.release(uid)

    def sync_routes(self, nodes: Iterable[Node]) -> None:
        """Make the routes to the pods of all other nodes what they should be: `POD_CIDR via NODE_IP dev eth0`."""
        wanted = set()
        for node in nodes:
            if node.metadata.name != self._network.node_name and node.spec.pod_cidr and node.status.internal_ip:
                cidr = IPv4Network(node.spec.pod_cidr)
                via = int(IPv4Address(node.status.internal_ip))
                wanted.add(Route(int(cidr.network_address), cidr.prefixlen, link=self._uplink, gateway=via))
        present = {
            route for route in self._root.fib.routes() if route.link is self._uplink and self._is_pod_route(route)
        }
        for route in present - wanted:
            self._root.fib.remove(route)
        for route in wanted - present:
            self._root.fib.add(route)

    def _host_ports(self) -> PortMap:
        if self._port_map is None:
            from emulator.kube.cni.portmap import PortMap

            self._port_map = PortMap(self._root, BRIDGE_NAME, str(self._network.pod_cidr), BRIDGE_NAME)
        return self._port_map

    def _is_pod_route(self, route: Route) -> bool:
        return bool(route.gateway) and IPv4Address(route.destination) in self._network.cluster_pod_cidr


def _mac(identity: str) -> int:
    """Return a locally administered unicast address that is the same at every start."""
    number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6])
    return (number & ~(1 << 40)) | 1 << 41


def _masquerade_rules(network: NodeNetwork) -> str:
    """Traffic that leaves the cluster takes the node's address; between pods and nodes nothing is translated."""
    local = '-m comment --comment "ip-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN'
    return "\n".join(
        (
            "*nat",
            ":IP-MASQ - [0:0]",
            '-A POSTROUTING -m comment --comment "ip-masq-agent: ensure nat POSTROUTING directs all non-LOCAL'
            ' destination traffic to our custom IP-MASQ chain" -m addrtype ! --dst-type LOCAL -j IP-MASQ',
            f"-A IP-MASQ -d {network.cluster_pod_cidr} {local}",
            f"-A IP-MASQ -d {network.node_network} {local}",
            '-A IP-MASQ -m comment --comment "ip-masq-agent: outbound traffic is subject to MASQUERADE'
            ' (must be last in chain)" -j MASQUERADE',
            "COMMIT",
            "",
        )
    )
