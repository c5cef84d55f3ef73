"""hostPort: the portmap plugin's rules lead from a node's port to the pod, and the scheduler keeps such pods apart."""

from __future__ import annotations

from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster

from .world import HTTP, UDP, apply, ask, client_address, get, node_addresses, output, pod, settle

EDGE = f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: edge, labels: {{app: edge}}}}
spec:
  nodeName: node-b
  terminationGracePeriodSeconds: 0
  containers:
  - name: netexec
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port={HTTP}, --udp-port={UDP}]
    ports:
    - {{containerPort: {HTTP}, hostPort: 8888}}
    - {{containerPort: {UDP}, hostPort: 8889, protocol: UDP}}
    - {{containerPort: {HTTP}, hostPort: 8890, hostIP: 127.0.0.1}}
"""
FOUR = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replicas: 4
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: nginx, ports: [{containerPort: 80, hostPort: 9000}]}]
"""
REFUSED = 7


async def test_a_host_port_leads_to_its_pod_from_everywhere(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, pod("client", "node-a"), EDGE)
    client, node = cluster.pod("client"), cluster.node("node-b")
    addresses = await node_addresses(cluster)
    own = await client.address()
    host = f"{addresses['node-b']}:8888"
    assert await get(client, f"http://{host}/hostname") == "edge"
    assert await client_address(client, addresses["node-b"], 8888) == own  # not masqueraded: it comes from elsewhere
    with await client.udp_socket() as socket:
        assert await ask(socket, "hostname", addresses["node-b"], 8889) == "edge"
    # The node's own loopback (route_localnet), and the pod itself, which the bridge sends back to it.
    assert await get(node, "http://127.0.0.1:8888/hostname") == "edge"
    assert await get(cluster.pod("edge"), f"http://{host}/hostname") == "edge"
    # hostIP restricts; other nodes have no such port.
    assert await get(node, "http://127.0.0.1:8890/hostname") == "edge"
    for elsewhere in (f"{addresses['node-b']}:8890", f"{addresses['node-a']}:8888"):
        assert (await client.exec("curl", "-sS", f"http://{elsewhere}/")).exit_status == REFUSED

    await cluster.delete("Pod", "edge", "default")
    await settle()
    assert (await client.exec("curl", "-sS", f"http://{host}/")).exit_status == REFUSED
    assert "CNI-DN-" not in await output(node, "iptables-save", "-t", "nat")


async def test_pods_that_want_one_port_are_on_different_nodes(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply(FOUR)
    await settle()
    pods = await cluster.objects("Pod", "default", selector="app=front")
    placed = [entry for entry in pods if entry["spec"].get("nodeName")]
    (waiting,) = [entry for entry in pods if entry not in placed]
    assert sorted(entry["spec"]["nodeName"] for entry in placed) == ["node-a", "node-b", "node-c"]
    (condition,) = [entry for entry in waiting["status"]["conditions"] if entry["type"] == "PodScheduled"]
    reason = "node(s) didn't have free ports for the requested pod ports"
    assert condition["message"] == f"0/3 nodes are available: 3 {reason}."

    await cluster.delete("Pod", placed[0]["metadata"]["name"], "default")
    await settle()
    now = await cluster.get("Pod", waiting["metadata"]["name"], "default")
    assert now["spec"]["nodeName"] == placed[0]["spec"]["nodeName"]


async def test_one_port_of_several_addresses_and_protocols(cluster: Cluster, autojump_clock: MockClock) -> None:
    """HostPort: no conflict between pods with same hostPort but different hostIP and protocol [Conformance]."""
    address = (await node_addresses(cluster))["node-b"]
    ports = {
        "loopback": f"{{containerPort: {HTTP}, hostPort: 54323, hostIP: 127.0.0.1}}",
        "outside": f"{{containerPort: {HTTP}, hostPort: 54323, hostIP: {address}}}",
        "datagrams": f"{{containerPort: {UDP}, hostPort: 54323, hostIP: {address}, protocol: UDP}}",
    }
    selector = "nodeSelector: {kubernetes.io/hostname: node-b}"
    declared = f"{{name: http, containerPort: {HTTP}}}"
    pods = [pod(name, "node-b").replace("nodeName: node-b", selector) for name in ports]
    await apply(
        cluster,
        pod("client", "node-a"),
        *(text.replace(declared, port) for text, port in zip(pods, ports.values(), strict=True)),
    )
    client, node = cluster.pod("client"), cluster.node("node-b")
    assert await get(node, "http://127.0.0.1:54323/hostname") == "loopback"
    assert await get(client, f"http://{address}:54323/hostname") == "outside"
    with await client.udp_socket() as socket:
        assert await ask(socket, "hostname", address, 54323) == "datagrams"
