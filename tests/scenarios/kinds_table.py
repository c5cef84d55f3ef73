"""The table of Services whose answer depends on more than their policy, in every mode and from every place.

Topology, readiness, named ports, source ranges; affinity and names in DNS. Two zones: node-a and node-b, node-c.
`flow_table` has kinds and policies, and whom the servers see as their client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import trio

from emulator.api.cluster_file import NodeConfig
from emulator.api.objects.meta import Object
from emulator.kube.proxy.configuration import KEY, config_map
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.flow import (
    DROPPED,
    REFUSED,
    Answer,
    Source,
    node_source,
    outside_source,
    pod_source,
    tcp,
    udp,
)
from tests.scenarios.flow_table import SCTP_PORT, VIPS, Ask
from tests.scenarios.world import HTTP, UDP, apply, host_of, node_addresses, output, pod, settle, vip

ZONES = {"node-a": "west", "node-b": "west", "node-c": "east"}
NODES = tuple(NodeConfig(name, zone) for name, zone in ZONES.items())
LEAST_TRIES, MOST_TRIES = 4, 40
ALL = "web-a,web-b,web-c"
AFFINITY, AFFINITY_ROUNDS = 100, 12
"""Seconds; and how often each client may be forgotten until it has met two servers."""
FORGOTTEN = 600
"""Seconds after which nobody remembers a client. IPVS keeps the template as long as connections hang on it, and a UDP
"connection" stays for 300 s, a TCP one in TIME_WAIT for 120 (net/netfilter/ipvs/ip_vs_conn.c `ip_vs_conn_expire`)."""
NODE_PORT = 30080
PROXY, DENIED = "203.0.113.21", "203.0.113.22"

# Columns: who asks, or through which node the host outside sends. A cell: which pods answer, all of them and no others.
# near and self are on node-a; the Services' endpoints are web-a, web-b, web-c, each on its node.
# zone, node: trafficDistribution PreferSameZone, PreferSameNode. spread: PreferSameNode of web-a and web-c, so that
# node-b takes its zone's. unready: publishNotReadyAddresses. named: both pods by the same names of other numbers;
# by-number: the same Service's second TCP port, where only odd-a listens and odd-b's host answers with a RST.
# sliced: no selector; its EndpointSlice, written by hand, has one endpoint ready and one not.
# proxied: ipMode Proxy, so that no kube-proxy catches the address: it leaves for the gateway, which knows no better;
# proxied-port: its node port; bridge: that at the address of node-b's bridge.
# denied: loadBalancerSourceRanges without nodes and hosts outside.
EXPECTED = """
destination   near          beside        far           self          node-a        node-b        node-c        outside-a     outside-c
zone          web-a,web-b   web-a,web-b   web-c         web-a,web-b   web-a,web-b   web-a,web-b   web-c         web-a,web-b   web-c
node          web-a         web-b         web-c         web-a         web-a         web-b         web-c         web-a         web-c
spread        web-a         web-a         web-c         web-a         web-a         web-a         web-c         web-a         web-c
unready       shy           shy           shy           shy           shy           shy           shy           shy           shy
hidden        refused       refused       refused       refused       refused       refused       refused       -             -
named         odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b   odd-a,odd-b
by-number     odd-a,refused odd-a,refused odd-a,refused odd-a,refused odd-a,refused odd-a,refused odd-a,refused odd-a,refused odd-a,refused
sliced        web-b         web-b         web-b         web-b         web-b         web-b         web-b         web-b         web-b
proxied       dropped       dropped       dropped       dropped       dropped       dropped       dropped       dropped       dropped
proxied-port  all           all           all           all           all           all           all           all           all
denied        all           all           all           all           dropped       dropped       dropped       dropped       dropped
loopback      -             -             -             -             all           all           all           -             -
bridge        all           all           all           all           all           all           all           -             -
"""  # noqa: E501

# Only iptables mode has node ports on 127.0.0.1: IPVS has no virtual server there, nftables' set no such address, nor
# any other than the node's first (pkg/proxy/nftables/proxier.go, `nodePortAddresses`).
DIFFERENCES = {
    ("nftables", "loopback"): REFUSED,
    ("nftables", "bridge"): REFUSED,
    ("ipvs", "loopback"): REFUSED,
}

NARROW = "nodePortAddresses: [10.244.0.0/16]\n"
"""Has node ports on the addresses of the nodes' bridges alone."""
NARROW_EXPECTED = """
destination   near          far           self          node-a        node-b        node-c        outside-a
proxied-port  refused       refused       refused       refused       refused       refused       refused
loopback      -             -             -             refused       refused       refused       -
bridge        all           all           all           all           all           all           -
"""


def service(name: str, spec: str, *, app: str = "web", targets: Sequence[int | str] = (HTTP, UDP, SCTP_PORT)) -> str:
    """A Service of port 80 of each protocol."""
    selector = f"selector: {{{app if ':' in app else f'app: {app}'}}}, " if app else ""
    node_port = f", nodePort: {NODE_PORT}" if name == "proxied" else ""
    more = f", {{name: by-number, port: 82, targetPort: {HTTP}}}" if name == "named" else ""
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{{selector}{spec}{", " if spec else ""}ports: [
  {{name: http, port: 80, targetPort: {targets[0]}{node_port}}},
  {{name: ask, port: 80, targetPort: {targets[1]}, protocol: UDP{node_port}}},
  {{name: assoc, port: 80, targetPort: {targets[2]}, protocol: SCTP{node_port}}}{more}]}}
"""


BALANCER = "type: LoadBalancer, loadBalancerIP:"
SERVICES = "".join(
    (
        service("zone", "trafficDistribution: PreferSameZone"),
        service("node", "trafficDistribution: PreferSameNode"),
        service("spread", "trafficDistribution: PreferSameNode", app="spread: wide"),
        service("unready", "publishNotReadyAddresses: true", app="shy"),
        service("hidden", "", app="shy"),
        service("named", "", app="odd", targets=("http", "ask", "assoc")),
        service("sliced", "", app=""),
        service("proxied", f"{BALANCER} {PROXY}"),
        service("denied", f"{BALANCER} {DENIED}, loadBalancerSourceRanges: [192.0.2.0/24, 10.244.0.0/16]"),
        service("headless", "clusterIP: None"),
        service(
            "sticky", f"sessionAffinity: ClientIP, sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {AFFINITY}}}}}"
        ),
    )
)
ALIASES = """
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: named.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: www.example.org}
"""


ASK_PORT = f"    - {{name: ask, containerPort: {UDP}, protocol: UDP}}\n"
NAMED_SCTP = f"    - {{name: assoc, containerPort: {SCTP_PORT}, protocol: SCTP}}\n"


def pods() -> str:
    """All pods but the one that never gets ready."""
    text = "".join(pod(f"web-{name[-1]}", name, "web") for name in ("node-a", "node-b", "node-c"))
    for name in ("web-a", "web-c"):
        text = text.replace(f"name: {name}\n  labels: {{app: web", f"name: {name}\n  labels: {{spread: wide, app: web")
    text += pod("near", "node-a") + pod("beside", "node-b") + pod("far", "node-c") + pod("odd-a", "node-a", "odd")
    text = text.replace(ASK_PORT, ASK_PORT + NAMED_SCTP)
    other = pod("odd-b", "node-b", "odd").replace(ASK_PORT, ASK_PORT + NAMED_SCTP)
    for port in (HTTP, UDP, SCTP_PORT):
        other = other.replace(str(port), str(port + 1000))
    return text + other


SHY = pod("shy", "node-b").replace(
    "  containers:", "  readinessGates: [{conditionType: example.org/never}]\n  containers:"
)


def hand_written(ready: str, unready: str) -> str:
    """The EndpointSlice of the Service without a selector."""
    return f"""
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: sliced-1, labels: {{kubernetes.io/service-name: sliced}}}}
addressType: IPv4
endpoints:
- {{addresses: [{ready}]}}
- {{addresses: [{unready}], conditions: {{ready: false}}}}
ports:
- {{name: http, port: {HTTP}}}
- {{name: ask, port: {UDP}, protocol: UDP}}
- {{name: assoc, port: {SCTP_PORT}, protocol: SCTP}}
"""


@dataclass(frozen=True, slots=True)
class World:
    """One cluster in one mode: where flows start, and the node that each is balanced by."""

    cluster: Cluster
    sources: Mapping[str, Source]
    nodes: Mapping[str, str]
    addresses: Mapping[str, str]

    def enter(self, name: str) -> Source:
        """Return a source; a host outside sends through the node that its name says."""
        if name.startswith("outside") and self.cluster.simulation is not None:
            for network in VIPS:
                self.cluster.simulation.hosts["outside"].add_route(network, self.nodes["node-" + name[-1]])
        return self.sources[name]

    async def wrong(self, protocol: str, ask: Ask, target: str, name: str, cell: str) -> str:
        """Return what is wrong with a cell; empty if nothing is."""
        if (target, protocol) in (("by-number", "udp"), ("by-number", "sctp")):
            return ""
        if (protocol, cell) == ("sctp", REFUSED) and target in ("loopback", "bridge", "proxied-port"):
            return ""  # not by a port: the node itself, which the INIT reaches, does not know the protocol
        seen = await self._outcomes(ask, target, name, set(cell.split(",")))
        return "" if seen == set(cell.split(",")) else f"{protocol} {target} from {name}: {seen} instead of {cell}"

    async def _outcomes(self, ask: Ask, target: str, name: str, expected: set[str]) -> set[str]:
        """Return what came of enough flows to meet everybody, and one who must not answer."""
        if REFUSED in expected:
            await trio.sleep(1)  # ICMP errors to one host are limited to one a second after a burst, as on Linux
        found: set[str] = set()
        for tried in range(1 if expected <= {DROPPED, REFUSED} else MOST_TRIES):
            if (tried >= LEAST_TRIES and found >= expected) or not found <= expected:
                break
            found.add(await self.who(ask, target, name))
        return found

    async def who(self, ask: Ask, target: str, name: str) -> str:
        """Return the pod that answers one flow, or why none does."""
        outcome = await ask(self.enter(name), *self.destination(target))
        return outcome.pod if isinstance(outcome, Answer) else outcome

    def destination(self, target: str) -> tuple[str, int]:
        """Return address and port. Node ports are asked of node-b: all nodes balance them alike."""
        if target == "loopback":
            return "127.0.0.1", NODE_PORT
        if target == "proxied-port":
            return self.nodes["node-b"], NODE_PORT
        if target == "bridge":
            return self.sources["beside"].address.rpartition(".")[0] + ".1", NODE_PORT
        return (self.addresses["named"], 82) if target == "by-number" else (self.addresses[target], 80)


async def fill(cluster: Cluster) -> World:
    """Apply everything and find out where it is."""
    await apply(cluster, pods(), SERVICES, ALIASES)
    names = ("near", "beside", "far", "web-a", "web-b", "web-c")
    sources = {name: await pod_source(cluster, name) for name in names}
    await cluster.apply(SHY + hand_written(sources["web-b"].address, sources["web-c"].address))
    ingress = {"ingress": [{"ip": PROXY, "ipMode": "Proxy"}]}
    await cluster.update_status("Service", "proxied", "default", {"loadBalancer": ingress})
    await cluster.wait_for(
        "Pod",
        lambda found: any(it["metadata"]["name"] == "shy" and it.get("status", {}).get("podIP") for it in found),
        "default",
    )
    await settle()
    nodes = await node_addresses(cluster)
    sources |= {name: node_source(cluster, name, address) for name, address in nodes.items()}
    sources["self"] = sources["web-a"]
    sources |= dict.fromkeys(("outside-a", "outside-c"), outside_source(cluster))
    addresses = {"proxied": PROXY, "denied": DENIED}
    for name in ("zone", "node", "spread", "unready", "hidden", "named", "sliced", "sticky"):
        addresses[name] = await vip(cluster, name)
    return World(cluster, sources, nodes, addresses)


def narrow_configuration(mode: str) -> Object:
    """Return kube-proxy's configuration with `NARROW`."""
    return config_map(mode) | {"data": {KEY: f"mode: {mode}\n{NARROW}"}}


def cells(mode: str, *, narrow: bool = False) -> list[tuple[str, str, str]]:
    """Return (target, source, cell) of every cell that says something, as `mode` has it."""
    header, *rows = (line.split() for line in (NARROW_EXPECTED if narrow else EXPECTED).strip().splitlines())
    other = {} if narrow else DIFFERENCES
    return [
        (target, name, other.get((mode, target), ALL if cell == "all" else cell))
        for target, *row in rows
        for name, cell in zip(header[1:], row, strict=True)
        if cell != "-"
    ]


async def check_affinity(world: World, mode: str, protocols: Mapping[str, Ask]) -> None:
    """A client keeps its endpoint until it has been silent for the timeout; then it may get any."""
    # Four clients through node-a, two through node-c: round robin over three servers would give each of a multiple of
    # three the same one for ever.
    clients = ("near", "self", "node-a", "outside-a", "far", "node-c")
    met: dict[tuple[str, str], set[str]] = {(name, protocol): set() for name in clients for protocol in protocols}

    async def ask_all() -> dict[tuple[str, str], str]:
        return {(name, protocol): await world.who(protocols[protocol], "sticky", name) for name, protocol in met}

    for round_ in range(AFFINITY_ROUNDS):
        first = await ask_all()
        for key, name in first.items():
            assert name.startswith("web-"), (mode, key, name)
            met[key].add(name)
        if round_ == 0:
            for silence in (0, 1, AFFINITY / 2, AFFINITY - 5, AFFINITY - 5):  # each connection starts the time anew
                await trio.sleep(silence)
                assert await ask_all() == first, (mode, silence)
        if all(len(names) > 1 for names in met.values()):
            return
        await trio.sleep(FORGOTTEN if mode == "ipvs" else AFFINITY + 1)
    raise AssertionError((mode, met))


async def check_names(world: World) -> None:
    """A headless Service is its pods' addresses, an ExternalName another name; kube-proxy knows of neither."""
    cluster = world.cluster
    own = {world.sources[f"web-{letter}"].address for letter in "abc"}
    for client in ("near", "beside", "far", "web-a"):
        said = await output(cluster.pod(client), "nslookup", "headless.default.svc.cluster.local")
        assert {line.split()[-1] for line in said.splitlines() if line.startswith("Address:")} - DNS == own
    for letter in "abc":
        for ask, port in ((tcp, HTTP), (udp, UDP)):
            for client in ("near", "beside", "far", "web-a", "node-a", "node-c"):
                source, server = world.sources[client], world.sources[f"web-{letter}"]
                answer = await ask(source, server.address, port)
                assert isinstance(answer, Answer), (client, letter, answer)
                assert answer.pod == f"web-{letter}"
                assert answer.client == source.address or client.startswith("node")
    near = cluster.pod("near")
    said = await output(near, "nslookup", "alias.default.svc.cluster.local")
    assert "canonical name = named.default.svc.cluster.local" in said
    assert world.addresses["named"] in said
    assert await host_of(near, "alias") in ("odd-a", "odd-b")
    said = (await near.exec("nslookup", "elsewhere.default.svc.cluster.local")).stdout
    assert "canonical name = www.example.org" in said
    for name in ("node-a", "node-c"):
        for command in ("iptables-save", "nft list ruleset"):
            rules = await output(cluster.node(name), *command.split())
            assert not any(kind in rules for kind in ("default/headless", "default/alias", "default/elsewhere"))


DNS = {"10.96.0.10#53", "10.96.0.10:53"}
"""The name server, which nslookup says first."""


SERVERS = ("web-a", "web-b", "web-c", "shy", "odd-a", "odd-b")
