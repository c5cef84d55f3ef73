"""Health check node ports and kube-proxy's own, as a load balancer outside the cluster sees them."""

from collections.abc import AsyncIterator

import pytest
from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.cluster.outside import OutsideHost
from tests.scenarios.world import CONFIG, apply, node_addresses, output, pod, service, settle

PORT = 30500
LOCAL = f"type: LoadBalancer\n  externalTrafficPolicy: Local\n  healthCheckNodePort: {PORT}"


@pytest.fixture
async def outside() -> AsyncIterator[tuple[Cluster, OutsideHost]]:
    async with Cluster.start(CONFIG, simulate=True, hosts=("balancer",)) as cluster:
        assert cluster.simulation is not None
        yield cluster, cluster.simulation.hosts["balancer"]


async def answer(host: OutsideHost, node: str, port: int, path: str = "/") -> str:
    """The status that a GET meets, or curl's exit status after a minus."""
    command = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2", f"http://{node}:{port}{path}")
    said, status = await host.exec(*command)
    return said if status == 0 else f"-{status}"


async def test_each_node_tells_whether_it_has_endpoints(
    outside: tuple[Cluster, OutsideHost], autojump_clock: MockClock
) -> None:
    cluster, host = outside
    await apply(
        cluster, pod("web-a", "node-a", "web"), pod("web-b", "node-b", "web"), service("web", "web", spec=LOCAL)
    )
    nodes = await node_addresses(cluster)

    async def answers(port: int = PORT) -> list[str]:
        return [await answer(host, nodes[name], port) for name in sorted(nodes)]

    assert await answers() == ["200", "200", "503"]
    said, _ = await host.exec("curl", "-si", f"http://{nodes['node-a']}:{PORT}/any/path")
    assert "X-Load-Balancing-Endpoint-Weight: 1\r\n" in said
    assert '"localEndpoints": 1' in said
    assert "health check node port" in await output(cluster.node("node-a"), "iptables-save", "-t", "filter")
    await cluster.delete("Pod", "web-b", "default", grace=0)
    await settle()
    assert await answers() == ["200", "503", "503"]
    # Another Service may have the port as soon as this one has not.
    await cluster.apply(service("web", "web", spec="type: ClusterIP"))
    await settle()
    assert await answers() == ["-7", "-7", "-7"]
    await apply(cluster, service("other", "web-b", spec=LOCAL))
    assert await answers() == ["503", "503", "503"]
    await cluster.delete("Service", "other", "default")
    await settle()
    assert await answers() == ["-7", "-7", "-7"]


async def test_kube_proxy_answers_for_itself(outside: tuple[Cluster, OutsideHost], autojump_clock: MockClock) -> None:
    cluster, host = outside
    address = (await node_addresses(cluster))["node-a"]
    for path in ("/healthz", "/livez"):
        assert await answer(host, address, 10256, path) == "200"
    assert await answer(host, address, 10256, "/") == "404"
    assert '"status":{"IPv4":{' in (await host.exec("curl", "-s", f"http://{address}:10256/healthz"))[0]
    assert (
        await output(
            cluster.node("node-a"), "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "localhost:10256/livez"
        )
        == "200"
    )
    # The cluster autoscaler is about to take the node away.
    node = await cluster.get("Node", "node-a")
    taint = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}
    await cluster.apply([node | {"spec": node["spec"] | {"taints": [taint]}}])
    await settle()
    assert await answer(host, address, 10256, "/healthz") == "503"
    assert await answer(host, address, 10256, "/livez") == "200"
