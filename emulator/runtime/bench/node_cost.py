"""What one packet costs a node's process, measured inside one process: no sockets, no trio, the kernel alone.

Two nodes as a cluster has them: pods behind a bridge, kube-proxy's rules in the root namespace. UDP goes from a pod on
one through a VIP to a pod on the other; each node's processor time is measured by itself, a batch of packets at a time.
"""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

from msgspec import Struct

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.node import Node
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.socket.udp import UdpSocket
from emulator.kube.cni.bridge import BridgePlugin, NodeNetwork
from emulator.kube.proxy.apply import apply_writes
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.runtime.bench.cluster import BenchError
from emulator.runtime.bench.spread import Spread

BATCH = 50
PAYLOAD = bytes(64)

_PORT = 53
_BUDGET = 1_000  # frames a turn
_PODS = IPv4Network("10.244.0.0/16")
_NODES = IPv4Network("172.18.0.0/16")
_VIPS = IPv4Address("10.96.1.0")
_SYSCTLS = (("net.ipv4.ip_forward", 1), ("net.bridge.bridge-nf-call-iptables", 1))


class NodeCost(Struct, frozen=True, kw_only=True):
    """Microseconds of processor time a packet costs a node, the spread over batches, with the rules of some Services.

    `sender` is the node of the sending pod, from the pod's socket to the NIC (pod's hooks, bridge, all hooks, DNAT,
    the entry of conntrack, routing); `receiver` the other one, from the NIC to the pod's socket. `first` is a new
    connection's first packet, `later` one of an established connection. `loading`: milliseconds for all rules.
    """

    services: int
    rules: int
    loading: float
    sender_first: Spread
    sender_later: Spread
    receiver_first: Spread
    receiver_later: Spread


class _Node:
    """A machine with a bridge for pods and a NIC."""

    def __init__(self, number: int, nodes: list[Node]) -> None:
        node = nodes[number]
        name, address = node.metadata.name, IPv4Address(node.status.internal_ip)
        self.kernel = Kernel(name, Random(number))
        self.root = Netns(self.kernel, "root")
        for knob, value in _SYSCTLS:
            self.root.sysctl.set(knob, value)
        self.nic = Nic(self.root, "eth0", 0x0200_0000_0001 + number)
        self.nic.set_up()
        self.root.add_address(self.nic, int(address), _NODES.prefixlen)
        network = NodeNetwork(name, IPv4Network(node.spec.pod_cidr), _PODS, _NODES)
        self.plugin = BridgePlugin(self.kernel, self.root, self.nic, network)
        self.plugin.sync_routes(nodes)
        self.proxy = IptablesProxy(ProxyNode(name, (str(address),), node.spec.pod_cidr, ""), ProxySettings())

    def run(self) -> None:
        """Do all there is to do."""
        while self.kernel.run(0.0, _BUDGET):
            pass

    def take_frames(self) -> list[bytes]:
        """Return what the NIC sends."""
        frames = [frame for frame, _, _ in self.nic.transmit_queue]
        self.nic.transmit_queue.clear()
        return frames


class _Pair:
    """Two nodes and a wire; a client's pod on the first, two servers' pods on the second."""

    def __init__(self, services: int) -> None:
        nodes = [_node(number) for number in range(2)]
        self.near, self.far = (_Node(number, nodes) for number in range(2))
        self.client, _ = self.near.plugin.set_up_pod("client", "default", "client")
        self.servers: list[UdpSocket] = []
        addresses = []
        for name in ("server-0", "server-1"):
            netns, address = self.far.plugin.set_up_pod(name, "default", name)
            self.servers.append(netns.sockets.udp())
            self.servers[-1].bind(("0.0.0.0", _PORT))
            addresses.append(address)
        self.vip = (str(_VIPS + services - 1), _PORT)
        began = time.process_time()
        self._load_rules(services, addresses)
        self.loading = (time.process_time() - began) / 2

    def _load_rules(self, services: int, addresses: list[str]) -> None:
        objects = [service_objects(number, addresses) for number in range(services)]
        views = [view(service, Service) for service, _ in objects]
        slices = [view(endpoint_slice, EndpointSlice) for _, endpoint_slice in objects]
        for node in (self.near, self.far):
            apply_writes(node.root, node.proxy.sync(ServiceTracker(views, slices), 0.0))

    @property
    def rules(self) -> int:
        """How many rules a node has."""
        tables = self.near.root.netfilter.tables.values()
        return sum(len(chain.rules) for table in tables for chain in table.chains.values())

    def settle(self) -> None:
        """Carry frames both ways until no node has any."""
        busy = True
        while busy:
            busy = False
            for node, other in ((self.near, self.far), (self.far, self.near)):
                node.run()
                for frame in node.take_frames():
                    other.nic.receive_frame(frame)
                    busy = True

    def connection(self) -> UdpSocket:
        """Return a client's socket whose connection is established: a datagram there, one back."""
        socket = self.client.sockets.udp()
        socket.send_to(PAYLOAD, self.vip)
        self.settle()
        for server in self.servers:
            while (datagram := server.receive()) is not None:
                server.send_to(PAYLOAD, datagram.source)
        self.settle()
        if socket.receive() is None:
            raise BenchError("no answer came through the VIP")
        return socket

    def batch(self, sockets: list[UdpSocket]) -> tuple[float, float]:
        """Send a datagram from each socket; return the microseconds that one cost each node."""
        began = time.process_time()
        for socket in sockets:
            socket.send_to(PAYLOAD, self.vip)
        self.near.run()
        sent = time.process_time()
        frames = self.near.take_frames()
        between = time.process_time()
        for frame in frames:
            self.far.nic.receive_frame(frame)
        self.far.run()
        received = time.process_time()
        delivered = sum(_drain(server) for server in self.servers)
        if delivered != len(sockets):
            raise BenchError(f"{delivered} of {len(sockets)} packets were delivered inside one process")
        return (sent - began) / len(sockets) * 1e6, (received - between) / len(sockets) * 1e6


def measure_node_cost(services: int, packets: int) -> NodeCost:
    """Measure with the rules of so many Services; `packets` of each sort. Raises BenchError if one gets lost."""
    pair = _Pair(services)
    pair.connection()  # resolves addresses, warms the code up
    batches = max(1, packets // BATCH)
    first = [pair.batch([pair.client.sockets.udp() for _ in range(BATCH)]) for _ in range(batches)]
    established = pair.connection()
    later = [pair.batch([established] * BATCH) for _ in range(batches)]
    return NodeCost(
        services=services,
        rules=pair.rules,
        loading=pair.loading * 1e3,
        sender_first=Spread.of(near for near, _ in first),
        sender_later=Spread.of(near for near, _ in later),
        receiver_first=Spread.of(far for _, far in first),
        receiver_later=Spread.of(far for _, far in later),
    )


def _drain(server: UdpSocket) -> int:
    count = 0
    while server.receive() is not None:
        count += 1
    return count


def _node(number: int) -> Node:
    return view(
        {
            "metadata": {"name": f"node-{number}"},
            "spec": {"podCIDR": f"10.244.{number}.0/24"},
            "status": {"addresses": [{"type": "InternalIP", "address": f"172.18.0.{number + 2}"}]},
        },
        Node,
    )


def service_objects(number: int, addresses: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a Service of one UDP port and the EndpointSlice of its pods."""
    metadata = {"name": f"service-{number}", "namespace": "default"}
    port = {"name": "dns", "port": _PORT, "protocol": "UDP"}
    service = {"metadata": metadata, "spec": {"clusterIP": str(_VIPS + number), "ports": [port]}}
    endpoint_slice = {
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": metadata["name"]}},
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [{"addresses": [address], "nodeName": "node-1"} for address in addresses],
    }
    return service, endpoint_slice
