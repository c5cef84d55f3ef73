"""What is outside the nodes, as pods, nodes and the hosts there see it, in a simulated cluster."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio
from trio.testing import MockClock

from emulator.api.cloud_section import NODE, CloudConfig, HostConfig
from emulator.api.messages import TraceOutcome
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.world import (
    CONFIG,
    HTTP,
    apply,
    client_address,
    get,
    host_of,
    node_addresses,
    output,
    pod,
    service,
)

HOSTS = (
    HostConfig("laptop", NODE),
    HostConfig("shop.test", image="registry.k8s.io/e2e-test-images/agnhost:2.53", args=("netexec", "--http-port=80")),
)
SHOP, PUBLIC = "198.51.100.100", "198.51.100.2"


@pytest.fixture
async def world() -> AsyncIterator[Cluster]:
    config = msgspec.structs.replace(CONFIG, cloud=CloudConfig(hosts=HOSTS))
    async with Cluster.start(config, simulate=True) as cluster:
        await apply(cluster, pod("web-a", "node-a", "web"), pod("web-b", "node-b", "web"))
        await apply(cluster, service("web", "web", spec="type: NodePort"))
        yield cluster


async def test_pods_nodes_and_hosts_reach_the_internet(world: Cluster, autojump_clock: MockClock) -> None:
    nodes = await node_addresses(world)
    places = {"pod": world.pod("web-a"), "node": world.node("node-b"), "host": world.host("laptop")}
    for place in places.values():
        assert await client_address(place, SHOP) == PUBLIC
        assert "1 received" in await output(place, "ping", "-c", "1", "1.1.1.1")
        await trio.sleep(6)  # such errors to one address are limited, after a burst, to one a second, as on Linux
        assert "Destination Net Unreachable" in (await place.exec("ping", "-c", "1", "8.8.8.8")).stdout
        assert await host_of(place, "shop.test") == "shop.test"
        assert "NXDOMAIN" in await output(place, "dig", "nowhere.test")
    hops = await output(places["pod"], "traceroute", "-n", SHOP)
    assert [line.split()[1] for line in hops.splitlines()[1:]] == ["10.244.0.1", "172.18.0.1", "198.51.100.1", SHOP]
    seen = await output(world.host("gateway"), "conntrack", "-L", "-p", "tcp")
    sources = {line.split("src=")[1].split()[0] for line in seen.splitlines()}
    assert sources == {nodes["node-a"], nodes["node-b"], await world.host("laptop").address()}


async def test_every_pod_knows_names_short_dotted_and_outside(world: Cluster, autojump_clock: MockClock) -> None:
    await apply(world, pod("web-c", "node-c", "web"))
    webs = {"web-a", "web-b", "web-c"}
    for name in sorted(webs):
        place = world.pod(name)
        for host in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "shop.test"):
            answer = await output(place, "curl", "-s", f"http://{host}:80/hostname")
            assert answer in (webs if host.startswith("web") else {"shop.test"}), host
        assert await output(place, "dig", "+short", "shop.test") == f"{SHOP}\n"
        assert await output(place, "dig", "+short", "+search", "web") != ""
        assert f"PING shop.test ({SHOP})" in await output(place, "ping", "-c", "1", "shop.test")


async def test_what_the_internet_sends_to_the_load_balancers_pool_ends_at_the_gateway(
    world: Cluster, autojump_clock: MockClock
) -> None:
    """There is no load balancer yet; a packet must not go to and fro until its TTL is used up."""
    said = (await world.host("shop.test").exec("ping", "-c", "1", "203.0.113.77")).stdout
    assert f"From {PUBLIC} icmp_seq=1 Destination Host Unreachable" in said


async def test_hosts_beside_the_nodes_reach_node_ports_and_pods(world: Cluster, autojump_clock: MockClock) -> None:
    laptop, nodes = world.host("laptop"), await node_addresses(world)
    port = (await world.get("Service", "web", "default"))["spec"]["ports"][0]["nodePort"]
    found = {await host_of(laptop, nodes["node-c"], port) for _ in range(20)}
    assert found == {"web-a", "web-b"}
    # By the gateway's routes to pods, and unchanged: between nodes and pods nothing is translated.
    address = await world.pod("web-a").address()
    assert await client_address(laptop, address, HTTP) == await laptop.address()
    # From the internet private addresses lead nowhere.
    outcome = await world.host("shop.test").exec("curl", "-sS", f"http://{address}:{HTTP}/")
    assert outcome.exit_status == 7


async def test_a_packet_is_followed_to_a_host_and_back(world: Cluster, autojump_clock: MockClock) -> None:
    there = await world.trace("web-a", SHOP, port=80)
    assert there.result.outcome is TraceOutcome.REPLIED
    translations = [(step.machine, step.netns) for step in there.steps if step.kind == "nat"]
    assert translations == [("node-a", "root"), ("cloud", "gateway"), ("cloud", "gateway"), ("node-a", "root")]
    back = await world.trace("host/laptop", "1.1.1.1", protocol="udp", port=9)
    assert back.result.outcome is TraceOutcome.REFUSED


async def test_sockets_of_hosts_are_lent(world: Cluster, autojump_clock: MockClock) -> None:
    laptop = world.host("laptop")
    async with await laptop.open_tcp_stream("shop.test", 80) as stream:
        await stream.send_all(b"GET /hostname HTTP/1.0\r\n\r\n")
        data = b""
        while more := await stream.receive_some():
            data += more
    assert data.endswith(b"shop.test")
    with await world.host("resolver").udp_socket(7000) as server, await world.pod("web-b").udp_socket() as client:
        await client.send_to(b"hello", ("1.1.1.1", 7000))
        payload, source = await server.receive()
        assert (payload, source[0]) == (b"hello", PUBLIC)
        await server.send_to(b"answer", source)
        assert (await client.receive())[0] == b"answer"


async def test_the_cloud_may_die_and_come_back(world: Cluster, autojump_clock: MockClock) -> None:
    simulation = world.simulation
    assert simulation is not None
    web = await world.pod("web-b").address()
    simulation.kill_cloud()
    await trio.sleep(1)
    assert await host_of(world.pod("web-a"), web, HTTP) == "web-b"
    refused = await world.pod("web-a").exec("curl", "-sS", "--max-time", "2", f"http://{SHOP}/")
    assert refused.exit_status != 0
    simulation.start_cloud()
    await trio.sleep(3)
    assert await get(world.pod("web-a"), f"http://{SHOP}/hostname") == "shop.test"
    # A controller that is started anew is told of it again.
    simulation.kill_controller()
    await trio.sleep(1)
    simulation.start_controller()
    await world.wait_ready()
    assert await get(world.pod("web-a"), f"http://{SHOP}/hostname") == "shop.test"


async def test_without_an_internet_addresses_beyond_are_not_there(autojump_clock: MockClock) -> None:
    config = msgspec.structs.replace(CONFIG, cloud=CloudConfig(internet=False))
    async with Cluster.start(config, simulate=True) as cluster:
        outcome = await cluster.node("node-a").exec("curl", "-sS", f"http://{SHOP}/")
        assert "No route to host" in outcome.stderr or outcome.exit_status == 7
        assert (await cluster.status()).hosts == ()
