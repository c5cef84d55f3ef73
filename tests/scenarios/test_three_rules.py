"""Kubernetes' three rules of networking, over every pair, and what a node shows of them."""

from itertools import product

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import (
    HTTP,
    NODES,
    UDP,
    addresses,
    apply,
    ask,
    client_address,
    connections,
    is_translated,
    node_addresses,
    output,
    pod,
    socket_of,
)

PODS = {f"{letter}{number}": f"node-{letter}" for letter, number in product("abc", (1, 2))}
"""Two pods a node: pairs on one node and across."""


async def test_every_pod_and_node_reaches_every_pod_without_nat(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, *(pod(name, node) for name, node in PODS.items()))
    address = await addresses(cluster)
    assert len({*address.values()}) == len(PODS)
    for source, target in product(PODS, PODS):
        place = cluster.pod(source)
        assert await client_address(place, address[target], HTTP) == address[source]
        async with socket_of(cluster, source) as socket:
            seen = await ask(socket, "clientip", address[target], UDP)
            assert seen == f"{address[source]}:{socket.local_address[1]}"
        await output(place, "ping", "-c", "1", "-W", "2", address[target])
    await _check_nodes(cluster, address)
    await _check_conntrack(cluster, address)


async def _check_nodes(cluster: Cluster, address: dict[str, str]) -> None:
    """A node takes the address of the link towards the pod: the bridge's for its own pods, else that of its NIC."""
    nodes = await node_addresses(cluster)
    for node, target in product(NODES, PODS):
        place = cluster.node(node)
        bridge = address[target].rpartition(".")[0] + ".1"
        expected = bridge if PODS[target] == node else nodes[node]
        assert await client_address(place, address[target], HTTP) == expected
        await output(place, "ping", "-c", "1", "-W", "2", address[target])


async def _check_conntrack(cluster: Cluster, address: dict[str, str]) -> None:
    """Every pair was seen by the nodes at both of its ends, by all three protocols, and never translated."""
    for node in NODES:
        local = {address[name] for name, home in PODS.items() if home == node}
        for protocol in ("tcp", "udp", "icmp"):
            found = await connections(cluster, node, protocol)
            between_pods = [pair for pair in found if {pair[0]["src"], pair[0]["dst"]} <= {*address.values()}]
            assert not any(is_translated(*pair) for pair in between_pods)
            seen = {(original["src"], original["dst"]) for original, _ in between_pods}
            pairs = {(one, two) for one, two in product(address.values(), repeat=2) if one != two}
            assert seen == {pair for pair in pairs if {*pair} & local}
        from_nodes = [pair for pair in await connections(cluster, node) if pair[0]["dst"] in address.values()]
        assert not any(is_translated(*pair) for pair in from_nodes)


async def test_pods_reach_every_node_by_its_address(cluster: Cluster, autojump_clock: MockClock) -> None:
    """The third side: what runs on nodes is reached too, and sees the pod's own address."""
    manifest = "".join(
        f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: host-{node}}}
spec:
  nodeName: {node}
  hostNetwork: true
  containers:
  - {{name: netexec, image: registry.k8s.io/e2e-test-images/agnhost, args: [netexec]}}
"""
        for node in NODES
    )
    await apply(cluster, manifest, *(pod(name, node) for name, node in PODS.items()))
    address = await addresses(cluster)
    nodes = await node_addresses(cluster)
    assert {address[f"host-{node}"] for node in NODES} == {*nodes.values()}
    for source, node in product(PODS, NODES):
        assert await client_address(cluster.pod(source), nodes[node], HTTP) == address[source]
        await output(cluster.pod(source), "ping", "-c", "1", "-W", "2", nodes[node])


async def test_a_node_lists_the_namespaces_of_its_pods(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, *(pod(name, node) for name, node in PODS.items()))
    for node in NODES:
        pods = [pod for pod in await cluster.objects("Pod") if pod["spec"]["nodeName"] == node]
        listed = {line.split()[0] for line in (await output(cluster.node(node), "ip", "netns")).splitlines()}
        assert listed == {f"cni-{pod['metadata']['uid']}" for pod in pods}


async def test_the_bridge_learns_where_pods_are(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, pod("one", "node-a"), pod("two", "node-a"))
    await output(cluster.pod("one"), "ping", "-c", "1", await cluster.pod("two").address())
    for name in ("one", "two"):
        mac = _mac(await output(cluster.pod(name), "ip", "link", "show", "eth0"))
        entries = [line for line in (await _fdb(cluster)) if line.startswith(f"{mac} ")]
        (line,) = entries
        uid = (await cluster.get("Pod", name, "default"))["metadata"]["uid"]
        link = line.split()[2]
        assert "permanent" not in line
        assert "master cbr0" in line
        assert f"link-netns cni-{uid}" in await output(cluster.node("node-a"), "ip", "link", "show", link)


async def _fdb(cluster: Cluster) -> list[str]:
    return (await output(cluster.node("node-a"), "bridge", "fdb")).splitlines()


def _mac(text: str) -> str:
    return text.partition("link/ether ")[2].split()[0]


async def test_arp_resolves_when_it_is_needed(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Same node: the other pod's own MAC. Another node: the bridge's, and the nodes resolve each other."""
    await apply(cluster, pod("one", "node-a"), pod("two", "node-a"), pod("far", "node-b"))
    one, address = cluster.pod("one"), await addresses(cluster)
    assert await output(one, "ip", "neigh") == ""
    await output(one, "ping", "-c", "1", address["two"])
    mac = _mac(await output(cluster.pod("two"), "ip", "link", "show", "eth0"))
    assert (await output(one, "ip", "neigh")).split() == [address["two"], "dev", "eth0", "lladdr", mac, "REACHABLE"]
    await output(one, "ping", "-c", "1", address["far"])
    bridge = _mac(await output(cluster.node("node-a"), "ip", "link", "show", "cbr0"))
    gateway = address["one"].rpartition(".")[0] + ".1"
    assert f"{gateway} dev eth0 lladdr {bridge} REACHABLE" in await output(one, "ip", "neigh")
    node_b = (await node_addresses(cluster))["node-b"]
    uplink = _mac(await output(cluster.node("node-b"), "ip", "link", "show", "eth0"))
    assert f"{node_b} dev eth0 lladdr {uplink} REACHABLE" in await output(cluster.node("node-a"), "ip", "neigh")


async def test_unanswered_arp_fails_as_linux_has_it(cluster: Cluster, autojump_clock: MockClock) -> None:
    """An address that nobody has: three requests, a second apart, then the entry has failed and the sender knows."""
    await apply(cluster, pod("one", "node-a"))
    one = cluster.pod("one")
    unused = (await one.address()).rpartition(".")[0] + ".77"
    outcome = await one.exec("ping", "-c", "1", "-W", "5", unused)
    assert outcome.exit_status == 1
    assert f"From {await one.address()} icmp_seq=1 Destination Host Unreachable" in outcome.stdout
    assert f"{unused} dev eth0 FAILED" in await output(one, "ip", "neigh")
