"""The table of every kind, policy and protocol of Services from every place, in every mode of kube-proxy.

`test_flows` holds simulated clusters to it, `tests/end_to_end/test_flows` one of real processes. Three nodes; endpoints
on node-a and node-b, none on node-c. A cell of `EXPECTED` is what kube-proxy documents (facts: pkg/proxy/topology.go,
iptables/proxier.go); `DIFFERENCES` has where a mode is known to do otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.flow import (
    DROPPED,
    REFUSED,
    Answer,
    Outcome,
    Source,
    node_source,
    outside_source,
    pod_source,
)
from tests.scenarios.world import HTTP, UDP, apply, node_addresses, pod

LEAST_TRIES, MOST_TRIES = 4, 40
"""Flows a cell: as many as it takes to meet both endpoints, and enough to meet one that must not answer."""
SCTP_PORT = 9000

# Sources: a pod beside an endpoint, a pod on node-c, an endpoint itself, a node with and one without an endpoint, a pod
# of node-c that asks node-a by its address, a host outside that sends through node-a or through node-c.
# Cells: who answers (all, or `near`: those on the node that balances), and what they see: the client's own address, or
# the node's (masq). A pod that is led to itself is always masqueraded. `-`: makes no sense for this destination.
# A host outside is not told of a REJECT in FORWARD: the node's way to a VIP that nobody rewrote is its default route,
# back to where the packet came from, so it sends a redirect first, and that uses up the peer's allowance of errors
# (net/ipv4/route.c `ip_rt_send_redirect`; seen in the real kernel).
EXPECTED = """
destination         same       other      self       node-a     node-c     remote     outside-a  outside-c
cluster             all/own    all/own    all/own    all/masq   all/masq   -          all/masq   all/masq
cluster-local       near/own   dropped    near/own   near/masq  dropped    -          near/masq  dropped
cluster-slices      all/own    all/own    all/own    all/masq   all/masq   -          all/masq   all/masq
cluster-empty       refused    refused    refused    refused    refused    -          dropped    dropped
node-port           all/masq   all/masq   all/masq   all/masq   all/masq   all/masq   all/masq   all/masq
node-port-local     all/own    all/own    all/own    all/masq   all/masq   near/own   near/own   dropped
node-port-empty     refused    refused    refused    refused    refused    refused    refused    refused
external            all/masq   all/masq   all/masq   all/masq   all/masq   -          all/masq   all/masq
external-local      all/own    all/own    all/own    all/masq   all/masq   -          near/own   dropped
external-empty      refused    refused    refused    refused    refused    -          dropped    dropped
balancer            all/masq   all/masq   all/masq   all/masq   all/masq   -          all/masq   all/masq
balancer-local      all/own    all/own    all/own    all/masq   all/masq   -          near/own   dropped
balancer-ranges     dropped    dropped    dropped    dropped    dropped    -          all/masq   all/masq
ranges-node-port    all/masq   all/masq   all/masq   all/masq   all/masq   all/masq   all/masq   all/masq
"""

# What a mode is known to do otherwise: rows of mode, destination, sources and cell.
#
# iptables: KUBE-EXTERNAL-SERVICES is not jumped to from OUTPUT: what a node itself sends goes out, and nobody answers.
# ipvs: all addresses are the node's own (kube-ipvs0), so that nothing for them is routed back with a redirect, and a
# virtual server without real servers answers port unreachable, whatever the policy. External policy Local knows no
# short way for pods and nodes: they get the node's endpoints, too, without masquerading. The source address of a node
# is the one that it asks (`vip`); other nodes have it as well, and drop what comes from it as a martian. Where the node
# has no endpoint the cluster's are taken, unmasqueraded: an INIT arrives, but the answer goes past the node (`astray`).
DIFFERENCES = """
iptables  external-empty   node-a,node-c           dropped
ipvs      cluster-local    other,node-c,outside-c  refused
ipvs      cluster-empty    outside-a,outside-c     refused
ipvs      external-empty   outside-a,outside-c     refused
ipvs      node-port-local  same,self,node-a        near/own
ipvs      external-local   same,self               near/own
ipvs      external-local   node-a                  near/vip
ipvs      external-local   node-c                  dropped
ipvs      balancer-local   same,self               near/own
ipvs      balancer-local   node-a                  near/vip
ipvs      balancer-local   node-c                  dropped
ipvs      node-port-local  outside-c               astray/own
ipvs      external-local   outside-c               astray/own
ipvs      balancer-local   outside-c               astray/own
"""

EXTERNAL_IP, EXTERNAL_LOCAL_IP, EXTERNAL_EMPTY_IP = "198.51.100.10", "198.51.100.11", "198.51.100.12"
BALANCER_IP, BALANCER_LOCAL_IP, RANGES_IP = "203.0.113.10", "203.0.113.11", "203.0.113.12"
VIPS = ("10.96.0.0/12", "198.51.100.0/24", "203.0.113.0/24")
CLIENT = "172.18.0.1"
"""The outside host: the node network's gateway."""


def service(name: str, spec: str = "", *, app: str = "web", node_port: int = 0) -> str:
    """A Service of all three protocols; the node port is one number, too."""
    selector = f"selector: {{app: {app}}}, " if app else ""
    asked = f", nodePort: {node_port}" if node_port else ""
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{{selector}{spec}{", " if spec else ""}ports: [
  {{name: http, port: 80, targetPort: {HTTP}{asked}}},
  {{name: ask, port: 80, targetPort: {UDP}, protocol: UDP{asked}}},
  {{name: assoc, port: 80, targetPort: {SCTP_PORT}, protocol: SCTP{asked}}}]}}
"""


LOCAL = "externalTrafficPolicy: Local"
SERVICES = "".join(
    (
        service("cluster"),
        service("cluster-local", "internalTrafficPolicy: Local"),
        service("cluster-slices", app=""),
        service("cluster-empty", app="nobody"),
        service("node-port", "type: NodePort", node_port=30001),
        service("node-port-local", f"type: NodePort, {LOCAL}", node_port=30002),
        service("node-port-empty", "type: NodePort", app="nobody", node_port=30003),
        service("external", f"externalIPs: [{EXTERNAL_IP}]"),
        service("external-local", f"externalIPs: [{EXTERNAL_LOCAL_IP}], {LOCAL}"),
        service("external-empty", f"externalIPs: [{EXTERNAL_EMPTY_IP}]", app="nobody"),
        service("balancer", f"type: LoadBalancer, loadBalancerIP: {BALANCER_IP}"),
        service("balancer-local", f"type: LoadBalancer, loadBalancerIP: {BALANCER_LOCAL_IP}, {LOCAL}"),
        service(
            "balancer-ranges",
            f"type: LoadBalancer, loadBalancerIP: {RANGES_IP}, loadBalancerSourceRanges: [{CLIENT}/32]",
            node_port=30004,
        ),
    )
)


def hand_written(addresses: list[str]) -> str:
    """The EndpointSlice of the Service without a selector."""
    endpoints = ", ".join(f"{{addresses: [{address}]}}" for address in addresses)
    return f"""
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: cluster-slices-1, labels: {{kubernetes.io/service-name: cluster-slices}}}}
addressType: IPv4
endpoints: [{endpoints}]
ports:
- {{name: http, port: {HTTP}}}
- {{name: ask, port: {UDP}, protocol: UDP}}
- {{name: assoc, port: {SCTP_PORT}, protocol: SCTP}}
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a flow starts, and the node that balances it."""

    source: Source
    node: str
    via: str = ""  # the node through which a host outside sends


Ask = Callable[[Source, str, int], Awaitable[Outcome]]


class World:
    """One cluster with all Services."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nodes: dict[str, str] = {}
        self.pods: dict[str, Source] = {}
        self.entries: dict[str, Entry] = {}
        self.addresses: dict[str, str] = {}

    async def fill(self) -> None:
        """Apply everything and find out where it is."""
        names = {"web-a": "node-a", "web-b": "node-b", "near": "node-a", "far": "node-c"}
        pods = "".join(pod(name, node, "web" if name.startswith("web") else "") for name, node in names.items())
        await apply(self.cluster, pods, SERVICES)
        self.pods = {name: await pod_source(self.cluster, name) for name in names}
        await apply(self.cluster, hand_written([self.pods[name].address for name in ("web-a", "web-b")]))
        self.nodes = await node_addresses(self.cluster)
        self.entries = {
            "same": Entry(self.pods["near"], "node-a"),
            "other": Entry(self.pods["far"], "node-c"),
            "self": Entry(self.pods["web-a"], "node-a"),
            "node-a": Entry(node_source(self.cluster, "node-a", self.nodes["node-a"]), "node-a"),
            "node-c": Entry(node_source(self.cluster, "node-c", self.nodes["node-c"]), "node-c"),
            "remote": Entry(self.pods["far"], "node-a"),
        }
        outside = outside_source(self.cluster)
        self.entries |= {f"outside-{node[-1]}": Entry(outside, node, node) for node in ("node-a", "node-c")}
        for obj in await self.cluster.objects("Service", "default"):
            spec, status = obj["spec"], obj.get("status") or {}
            ingress = status.get("loadBalancer", {}).get("ingress") or [{}]
            self.addresses[obj["metadata"]["name"]] = (
                ingress[0].get("ip") or next(iter(spec.get("externalIPs") or ()), "") or spec["clusterIP"]
            )

    def enter(self, name: str) -> Entry:
        """Return where the source `name` is, with a host outside sent the right way."""
        entry = self.entries[name]
        if entry.via and self.cluster.simulation is not None:
            for network in VIPS:
                self.cluster.simulation.hosts["outside"].add_route(network, self.nodes[entry.via])
        return entry

    def destination(self, target: str, entry: Entry) -> tuple[str, int]:
        """Return the address and port of a target: node ports are asked of the node that balances."""
        node_ports = {"node-port": 30001, "node-port-local": 30002, "node-port-empty": 30003, "ranges-node-port": 30004}
        if target in node_ports:
            return self.nodes[entry.node], node_ports[target]
        return self.addresses[target], 80

    def expected(self, cell: str, entry: Entry, protocol: str, address: str) -> set[Outcome]:
        """Return all that may come of a cell, and must."""
        if cell in (REFUSED, DROPPED):
            return {cell}
        who, seen = cell.split("/")
        if who == "astray" and protocol != "sctp":
            return {DROPPED}
        found: set[Outcome] = set()
        for name, node in (("web-a", "node-a"), ("web-b", "node-b")):
            if who == "near" and node != entry.node:
                continue
            masqueraded = seen == "masq" or entry.source is self.pods[name]
            own = address if seen == "vip" else entry.source.address
            found.add(Answer(name, self.masquerade(entry.node, node) if masqueraded else own))
        return found

    def masquerade(self, node: str, endpoint_node: str) -> str:
        """Return the address that `node` gives to what it masquerades: that of the link that leads to the endpoint."""
        if node != endpoint_node:
            return self.nodes[node]
        return self.pods["web-a" if node == "node-a" else "web-b"].address.rpartition(".")[0] + ".1"

    async def wrong(self, protocol: str, ask: Ask, target: str, name: str, cell: str) -> str:
        """Return what is wrong with a cell; empty if nothing is."""
        entry = self.enter(name)
        address, port = self.destination(target, entry)
        expected = self.expected(cell, entry, protocol, address)
        if REFUSED in expected:
            await trio.sleep(1)  # ICMP errors to one host are limited to one a second after a burst, as on Linux
        found: set[Outcome] = set()
        for tried in range(1 if expected <= {DROPPED, REFUSED} else MOST_TRIES):
            if (tried >= LEAST_TRIES and found >= expected) or not found <= expected:
                break
            found.add(await ask(entry.source, address, port))
        return "" if found == expected else f"{protocol} {target} from {name}: {found} instead of {cell} {expected}"


def cells(mode: str) -> list[tuple[str, str, str]]:
    """Return (target, source, cell) of every cell that says something, as `mode` has it."""
    header, *rows = (line.split() for line in EXPECTED.strip().splitlines())
    other = {
        (target, source): cell
        for in_mode, target, sources, cell in (line.split() for line in DIFFERENCES.strip().splitlines())
        for source in sources.split(",")
        if in_mode == mode
    }
    found = []
    for target, *row in rows:
        for source, cell in zip(header[1:], row, strict=True):
            if cell != "-":
                found.append((target, source, other.get((target, source), cell)))
    return found
