"""What only IPVS mode does: servers that go gracefully, nodes that are kept from a balancer, tables that come back."""

import msgspec
import pytest
import trio
from trio.testing import MockClock

from emulator.api.cluster_file import ClusterConfig
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import (
    CONFIG,
    HTTP,
    addresses,
    apply,
    ask,
    client_address,
    host_of,
    output,
    pod,
    service,
    settle,
    socket_of,
    vip,
)

WEB = pod("web-a", "node-a", app="web") + pod("web-b", "node-b", app="web")
REQUEST = b"GET /hostname HTTP/1.1\r\nHost: web\r\n\r\n"


@pytest.fixture
def cluster_config() -> ClusterConfig:
    return msgspec.structs.replace(CONFIG, proxy_mode="ipvs")


async def weights(cluster: Cluster, node: str, server: str) -> dict[str, str]:
    """Weights of the real servers of a virtual one, by address."""
    found: dict[str, str] = {}
    ours = False
    for line in (await output(cluster.node(node), "ipvsadm", "-Ln")).splitlines():
        words = line.split()
        if words[0] == "->":
            if ours:
                found[words[1].partition(":")[0]] = words[3]
        else:
            ours = " ".join(words[:2]) == server
    return found


async def host_behind(stream: trio.abc.Stream) -> str:
    """Ask by a connection that stays open which pod is at its other end."""
    await stream.send_all(REQUEST)
    received = b""
    while not received.endswith((b"web-a", b"web-b")):
        more = await stream.receive_some()
        assert more, received
        received += more
    return received[-5:].decode()


async def test_a_connection_outlives_its_real_server(cluster: Cluster, autojump_clock: MockClock):
    await apply(cluster, WEB, service("web", "web"), pod("client", "node-c"))
    address = await vip(cluster, "web")
    pods = await addresses(cluster, "app=web")
    client, server = cluster.pod("client"), f"TCP {address}:80"
    assert await weights(cluster, "node-c", server) == dict.fromkeys(pods.values(), "1")
    async with await client.open_tcp_stream(address, 80) as stream:
        chosen = await host_behind(stream)
        other = next(name for name in pods if name != chosen)
        await cluster.apply(pod(chosen, "node-" + chosen[-1], app="no-longer-web"))
        await settle()
        assert await weights(cluster, "node-c", server) == {pods[chosen]: "0", pods[other]: "1"}
        assert await weights(cluster, "node-a", server) == {pods[other]: "1"}  # nobody is connected by that node
        assert {await host_of(client, address) for _ in range(6)} == {other}
        await trio.sleep(70)
        assert await host_behind(stream) == chosen
    await trio.sleep(200)  # TIME_WAIT, and the next look
    assert await weights(cluster, "node-c", server) == {pods[other]: "1"}


async def test_udp_leaves_its_real_server_at_once(cluster: Cluster, autojump_clock: MockClock):
    await apply(cluster, WEB, service("web", "web"), pod("client", "node-c"))
    address = await vip(cluster, "web")
    async with socket_of(cluster, "client") as socket:
        first = await ask(socket, "hostname", address, 81)
        assert await ask(socket, "hostname", address, 81) == first
        await cluster.apply(pod(first, "node-" + first[-1], app="no-longer-web"))
        await settle()
        found = set()
        for _ in range(3):
            with trio.move_on_after(5):
                found.add(await ask(socket, "hostname", address, 81))
        assert found == {"web-a", "web-b"} - {first}


async def test_a_balancer_lets_in_whom_it_is_for(cluster: Cluster, autojump_clock: MockClock):
    ranges = 'type: LoadBalancer\n  loadBalancerSourceRanges: ["10.244.0.0/16"]'
    await apply(cluster, WEB, service("web", "web", spec=ranges), pod("client", "node-c"))
    balancer = (await cluster.get("Service", "web", "default"))["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert await host_of(cluster.pod("client"), balancer) in ("web-a", "web-b")
    refused = await cluster.node("node-a").exec("curl", "-sS", "--max-time", "2", f"http://{balancer}/")
    assert refused.exit_status == 28
    counters = await output(cluster.node("node-a"), "iptables", "-nvxL", "KUBE-IPVS-OUT-FILTER")
    assert int(counters.splitlines()[2].split()[0]) > 0
    assert await host_of(cluster.node("node-a"), await vip(cluster, "web")) in ("web-a", "web-b")


async def test_a_pod_that_meets_itself_is_masqueraded(cluster: Cluster, autojump_clock: MockClock):
    await apply(cluster, pod("web-a", "node-a", app="web"), service("web", "web"))
    gateway = (await addresses(cluster))["web-a"].rpartition(".")[0] + ".1"
    assert await client_address(cluster.pod("web-a"), "web") == gateway
    assert await client_address(cluster.pod("web-a"), (await addresses(cluster))["web-a"], HTTP) != gateway


async def test_what_somebody_flushes_is_back(cluster: Cluster, autojump_clock: MockClock):
    await apply(cluster, WEB, service("web", "web"), pod("client", "node-c"))
    address = await vip(cluster, "web")
    for command in ("ipvsadm -C", "iptables -t nat -F", f"ip address del {address}/32 dev kube-ipvs0"):
        await output(cluster.node("node-c"), *command.split())
        await trio.sleep(31)
        assert await host_of(cluster.pod("client"), address) in ("web-a", "web-b")
        assert await host_of(cluster.node("node-c"), address) in ("web-a", "web-b")
    links = await output(cluster.node("node-c"), "ip", "-br", "addr", "show", "kube-ipvs0")
    assert f"{address}/32" in links


async def test_the_host_is_not_reached_by_an_address_of_a_service(cluster: Cluster, autojump_clock: MockClock):
    await apply(cluster, WEB, service("web", "web"), pod("client", "node-c"))
    refused = await cluster.pod("client").exec("nc", "-z", "-w", "3", await vip(cluster, "web"), "10256")
    assert refused.exit_status == 1
