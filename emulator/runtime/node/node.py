"""One node: a machine whose root namespace has the NIC to other nodes, a kubelet, a kube-proxy, a control socket.

The same code is a process of its own in the product and a task among others in a simulated cluster.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network

import trio

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.api.messages import GET, ControlError, ErrorCode, GetParams, NodeRegistration
from emulator.api.objects.meta import Object
from emulator.api.objects.node import Node
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.link.nic import Nic
from emulator.kernel.netns import Netns
from emulator.kernel.routing.route import Route
from emulator.kube import cloud_lease
from emulator.kube.cni.bridge import BridgePlugin, NodeNetwork
from emulator.kube.ipam import dns_address
from emulator.kube.proxy import configuration
from emulator.kube.proxy.health import ServiceChecks
from emulator.kube.proxy.modes import make_proxier
from emulator.kube.proxy.service_port import ServicePortName
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.sysctls import conntrack_sysctls
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.packet.address import format_ipv4, format_mac
from emulator.runtime.control.server import serve
from emulator.runtime.machine.controller_link import ControllerLink, Subscription
from emulator.runtime.machine.flow_table import FlowTable
from emulator.runtime.machine.machine import Machine
from emulator.runtime.machine.object_cache import ObjectCache
from emulator.runtime.machine.peers import cloud_peers, node_peers, on_change
from emulator.runtime.machine.setting import MachineSetting, run_process
from emulator.runtime.machine.traces import TraceBoard
from emulator.runtime.node.endpoints import EndpointNames
from emulator.runtime.node.health_server import HealthServer, NodeFollower
from emulator.runtime.node.kubelet.environment import ServiceLinks
from emulator.runtime.node.kubelet.event_writer import EventWriter
from emulator.runtime.node.kubelet.pods import PodRunner
from emulator.runtime.node.kubelet.running_pod import PodHost
from emulator.runtime.node.kubelet.status_writer import StatusWriter
from emulator.runtime.node.names import ClusterDirectory
from emulator.runtime.node.served_ports import ServedPorts
from emulator.runtime.node.service_proxy import ServiceProxy
from emulator.runtime.node.services import NodeParts, NodeServices
from emulator.runtime.programs import find_command, find_program
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from emulator.runtime.supervisor import arguments
from emulator.runtime.supervisor.arguments import NodeArguments
from emulator.runtime.supervisor.processes import Inherited

ROOT = "root"
UPLINK = "eth0"

_SYSCTLS = (
    ("net.ipv4.ip_forward", 1),
    ("net.bridge.bridge-nf-call-iptables", 1),
)


class NodeMachine:
    """The machine of one node, from its start to its end."""

    def __init__(self, setting: MachineSetting, node: NodeConfig, *, own_process: bool = False) -> None:
        """`own_process`: nothing but this node is in the process."""
        self._setting = setting
        self._node = node
        self._own_process = own_process
        name = node.name
        kernel = Kernel(name, setting.random, trio.current_time())
        self.machine = Machine(kernel, setting.underlay, setting.log, setting.wall_offset)
        self.root = Netns(kernel, ROOT)
        for knob, value in _SYSCTLS:
            self.root.sysctl.set(knob, value)
        self.uplink = Nic(self.root, UPLINK, nic_mac(setting.config.name, name))
        self.uplink.set_up()
        self.machine.attach(self.uplink)
        self.cache = ObjectCache()
        self.traces = TraceBoard()
        self.machine.on_steps = self.traces.record
        self.link = ControllerLink(
            setting.connect, self._registration(), _subscriptions(name), self.cache, setting.random, setting.log
        )

    async def run(self, *, task_status: trio.TaskStatus[NodeServices] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; started when its control socket is served."""
        started_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.machine.run)
            nursery.start_soon(self.link.run)
            node = view((await self.link.registered()).node, Node)
            pods, proxy = await self._begin(node, nursery)
            parts = NodeParts(
                name=node.metadata.name,
                epoch=self._setting.epoch,
                machine=self.machine,
                pods=pods,
                network=NetnsNetwork(self.machine, self.root, _node_resolver(node, self._setting.config)),
                traces=self.traces,
                flows=FlowTable(self.machine),
                endpoints=EndpointNames(self.root, self.cache),
                proxy=proxy,
                is_connected=lambda: self.link.connected,
                find_command=find_command,
                started_at=started_at,
            )
            services = NodeServices(parts)
            nursery.start_soon(serve, self._setting.listener, services.methods(self._setting.log))
            task_status.started(services)

    async def _begin(self, node: Node, nursery: trio.Nursery) -> tuple[PodRunner, ServiceProxy]:
        """Build what the registration told the sizes of: addresses, bridge, kubelet and kube-proxy."""
        setting = self._setting
        self.machine.enter()
        network = setting.config.node_network
        address = IPv4Address(node.status.internal_ip)
        self.root.add_address(self.uplink, int(address), network.prefixlen, broadcast=int(network.broadcast_address))
        self.root.fib.add(Route(0, 0, link=self.uplink, gateway=int(network.network_address) + 1))
        plugin = BridgePlugin(self.machine.kernel, self.root, self.uplink, _node_network(node, setting.config))
        writer = StatusWriter(self.link, setting.log)
        links = ServiceLinks(lambda: self.cache.views("Service", Service))
        self.cache.subscribe(["Service"], links.clear)
        host = PodHost(
            node_name=node.metadata.name,
            host_ip=str(address),
            root=self.root,
            cluster_dns=str(dns_address(setting.config.service_cidr)),
            nameservers=setting.config.cloud.nameservers,
            directory=ClusterDirectory(self.cache, self.machine.wall_clock),
            get_object=self._get_object,
            find_program=partial(find_program, app_path=setting.config.app_path, alone=self._own_process),
            find_command=find_command,
            served_ports=ServedPorts(node.metadata.name, self.cache),
            service_links=links.of,
        )
        events = EventWriter(self.link, node.metadata.name, self.machine.wall_clock, setting.log)
        pods = PodRunner(self.machine, host, plugin, setting.log, writer.put, events.put)
        proxy = self._kube_proxy(node, nursery)
        nursery.start_soon(writer.run)
        nursery.start_soon(events.run)
        await nursery.start(pods.run)
        nursery.start_soon(on_change, self.cache, "Pod", lambda: pods.sync(self.cache.objects("Pod")))
        nursery.start_soon(on_change, self.cache, "Node", lambda: self._sync_nodes(plugin))
        nursery.start_soon(on_change, self.cache, "Lease", self._sync_peers)
        return pods, proxy

    async def _get_object(self, kind: str, namespace: str, name: str) -> Object | None:
        """Ask the controller for an object, as soon as it is there; None if there is no such object."""
        try:
            result = await self.link.call(GET, GetParams(kind=kind, namespace=namespace, name=name))
        except ControlError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        return result.object

    def _kube_proxy(self, node: Node, nursery: trio.Nursery) -> ServiceProxy:
        """Start kube-proxy and the ports on which it answers load balancers and probes."""
        setting, name = self._setting, node.metadata.name
        addresses = (node.status.internal_ip, *_other_addresses(self.root, node.status.internal_ip))
        proxy_node = ProxyNode(name, addresses, node.spec.pod_cidr, node.zone)
        settings = ProxySettings(service_cidrs=(str(setting.config.service_cidr),))
        proxy = ServiceProxy(
            self.machine,
            self.root,
            lambda mode, where, how: make_proxier(mode, where, how, self.root),
            setting.config.proxy_mode,
            proxy_node,
            self.cache,
            setting.log,
            settings=settings,
            sysctls=conntrack_sysctls(settings),
        )
        checks = ServiceChecks(name)
        network = NetnsNetwork(self.machine, self.root, _node_resolver(node, self._setting.config))
        server = HealthServer(network, checks, proxy.health, self.machine.wall_clock, setting.log)

        def follow(changed: frozenset[ServicePortName], services: ServiceTracker) -> None:
            if checks.update(changed, services):
                server.changed()

        proxy.on_synced = follow
        self.cache.follow(("Node",), NodeFollower(name, proxy.health))
        nursery.start_soon(proxy.run)
        nursery.start_soon(server.run)
        return proxy

    def _sync_nodes(self, plugin: BridgePlugin) -> None:
        """Follow the registry: who the peers are, and where their pods are."""
        nodes = self.cache.views("Node", Node)
        self.machine.enter()
        plugin.sync_routes(nodes)
        self._sync_peers()

    def _sync_peers(self) -> None:
        log = self._setting.log
        nodes, leases = self.cache.views("Node", Node), self.cache.objects("Lease")
        self._setting.underlay.set_peers([*node_peers(nodes, log), *cloud_peers(leases, log)])

    def _registration(self) -> NodeRegistration:
        setting = self._setting
        host, port = setting.underlay.address
        return NodeRegistration(
            name=setting.name,
            instance=setting.instance,
            underlay_host=host,
            underlay_port=port,
            mac=format_mac(self.uplink.mac),
            pid=os.getpid(),
            zone=self._node.zone,
            labels=dict(self._node.labels),
        )


def _other_addresses(root: Netns, primary: str) -> Iterator[str]:
    """Yield the node's addresses but the first, and those of loopback: node ports may be asked for at any of them."""
    for link in root.links.values():
        addresses = (format_ipv4(own.address) for own in link.addresses if link is not root.loopback)
        yield from (address for address in addresses if address != primary)


def main(inherited: Inherited) -> None:
    """Be the process of a node, until a signal ends it."""
    given = arguments.decode(inherited.arguments, NodeArguments)
    node = next(node for node in given.config.nodes if node.name == given.name)

    async def run(setting: MachineSetting) -> None:
        await NodeMachine(setting, node, own_process=True).run()

    run_process(inherited, node.name, given.config, given.controller, run)


def _subscriptions(name: str) -> Sequence[Subscription]:
    own_pods = Subscription("Pod", f"spec.nodeName={name}")
    proxy = Subscription("ConfigMap", f"metadata.name={configuration.NAME}", configuration.NAMESPACE)
    cloud = Subscription("Lease", f"metadata.name={cloud_lease.NAME}", cloud_lease.NAMESPACE)
    of_all = [Subscription(kind) for kind in ("Namespace", "Node", "Service", "EndpointSlice")]
    return (*of_all, proxy, own_pods, cloud)


def nic_mac(cluster: str, node: str) -> int:
    """Return a locally administered address that a node has at each of its starts."""
    number = int.from_bytes(hashlib.sha256(f"{cluster}/{node}/{UPLINK}".encode()).digest()[:6])
    return number & ~(1 << 40) | 1 << 41


def _node_network(node: Node, config: ClusterConfig) -> NodeNetwork:
    return NodeNetwork(
        node_name=node.metadata.name,
        pod_cidr=IPv4Network(node.spec.pod_cidr),
        cluster_pod_cidr=config.pod_cidr,
        node_network=config.node_network,
    )


def _node_resolver(node: Node, config: ClusterConfig) -> ResolverSettings:
    hosts = {"localhost": "127.0.0.1", node.metadata.name: node.status.internal_ip}
    return ResolverSettings(config.cloud.nameservers, hosts=hosts)
