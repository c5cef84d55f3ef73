"""What breaks, and what goes on: nodes and controller that die and return, bad wires, endpoints that vanish."""

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import EXEC, NODE_STATUS, ControlError, Empty, ExecParams
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.cluster.simulation import Simulation
from emulator.runtime.control.client import ConnectionLostError, ControlClient
from emulator.runtime.underlay.memory import Conditions
from tests.scenarios.world import (
    CONFIG,
    HTTP,
    NODES,
    addresses,
    apply,
    ask,
    connections,
    get,
    host_of,
    output,
    pod,
    service,
    settle,
    socket_of,
    vip,
)

WEB = "".join(pod(f"web-{letter}", f"node-{letter}", app="web") for letter in "abc") + service("web", "web")
LEASE = 4.0
"""Seconds after which a silent node's endpoints are withdrawn; stated in docs/architecture.md."""


def simulation(cluster: Cluster) -> Simulation:
    assert cluster.simulation is not None
    return cluster.simulation


async def test_others_forward_while_a_node_is_dead_and_it_comes_back(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await apply(cluster, WEB, pod("client", "node-a"))
    before = await addresses(cluster)
    client = cluster.pod("client")
    async with await client.open_tcp_stream(before["web-b"], HTTP) as stream:
        simulation(cluster).kill_node("node-c")
        # At once: what does not touch the dead node is not disturbed, not even for a moment.
        start = trio.current_time()
        for name in ("web-a", "web-b"):
            assert await host_of(client, before[name], HTTP) == name
        assert trio.current_time() - start < 0.1
        await trio.sleep(LEASE + 1)
        assert {await host_of(client, "web") for _ in range(20)} == {"web-a", "web-b"}
        await stream.send_all(b"GET /hostname HTTP/1.0\r\n\r\n")
        assert b"200 OK" in await stream.receive_some()
    simulation(cluster).start_node("node-c")
    await cluster.wait_ready()
    await settle()
    assert await addresses(cluster) == before
    assert {await host_of(client, "web") for _ in range(25)} == {"web-a", "web-b", "web-c"}


async def test_every_node_may_die_in_turn(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Nothing of a node's life is lost with it: pods, addresses, rules and routes are made again."""
    await apply(cluster, WEB, pod("client", "node-a"))
    before, address = await addresses(cluster), await vip(cluster, "web")
    saved = {node: await _rules(cluster, node) for node in NODES}
    for node in NODES:
        simulation(cluster).kill_node(node)
        await trio.sleep(0.2)
        simulation(cluster).start_node(node)
        await cluster.wait_ready()
        await trio.sleep(LEASE + 1)
        await cluster.wait_ready()
        await settle()
        assert {await host_of(cluster.pod("client"), address) for _ in range(25)} == {"web-a", "web-b", "web-c"}
    assert await addresses(cluster) == before
    assert {node: await _rules(cluster, node) for node in NODES} == saved


async def _rules(cluster: Cluster, node: str) -> list[str]:
    """A node's rules, without the comments that have times."""
    saved = await output(cluster.node(node), "iptables-save")
    return [line.partition(" [")[0] for line in saved.splitlines() if not line.startswith("#")]


async def test_a_dead_controller_is_not_missed_and_loses_nothing(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB, pod("client", "node-a"))
    before, address = await addresses(cluster), await vip(cluster, "web")
    uids = {found["metadata"]["uid"] for found in await cluster.objects("Pod")}
    client = cluster.pod("client")
    async with await client.open_tcp_stream("web", 80) as stream, cluster.connect_node("node-a") as node_a:
        simulation(cluster).kill_controller()
        await trio.sleep(10 * LEASE)
        with pytest.raises((ControlError, ConnectionLostError, OSError)):
            await cluster.status()
        # Longer than any lease: nodes keep what they know, and what runs goes on.
        await stream.send_all(b"GET /hostname HTTP/1.0\r\n\r\n")
        assert b"200 OK" in await stream.receive_some()
        assert await _exec(node_a, "client", "curl", "-s", f"http://{address}/hostname") in before
        assert await _exec(node_a, "client", "curl", "-s", "http://web/hostname") in before
    simulation(cluster).start_controller()
    await trio.sleep(10)
    await cluster.wait_ready()
    await settle()
    assert await addresses(cluster) == before
    assert await vip(cluster, "web") == address
    assert {found["metadata"]["uid"] for found in await cluster.objects("Pod")} == uids
    assert {await host_of(client, "web") for _ in range(25)} == {"web-a", "web-b", "web-c"}
    # It decides again: a new Service gets an address, and another one than those that are held.
    await apply(cluster, service("more", "web"))
    assert await vip(cluster, "more") not in {address, await vip(cluster, "kube-dns", "kube-system")}
    assert await host_of(client, "more") in before


async def test_controller_and_node_may_die_together(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB, pod("client", "node-a"))
    before = await addresses(cluster)
    simulation(cluster).kill_controller()
    simulation(cluster).kill_node("node-b")
    await trio.sleep(1)
    simulation(cluster).start_node("node-b")  # it waits for its controller
    await trio.sleep(1)
    simulation(cluster).start_controller()
    await trio.sleep(10)
    await cluster.wait_ready()
    await settle()
    assert await addresses(cluster) == before
    assert {await host_of(cluster.pod("client"), "web") for _ in range(25)} == {"web-a", "web-b", "web-c"}


async def _exec(client: ControlClient, pod_name: str, *command: str) -> str:
    """Run a command on a node that is known, without the controller."""
    params = ExecParams(command=command, namespace="default", pod=pod_name)
    async with client.stream(EXEC, params) as exchange:
        written = b"".join([output.data async for output in exchange])
    return written.decode()


@pytest.mark.parametrize("seed", range(3))
async def test_bad_wires_cost_time_but_no_request(autojump_clock: MockClock, seed: int) -> None:
    """5 % of all datagrams lost, doubled and overtaken: TCP and the clients' retries make good for it."""
    bad = Conditions(loss=0.05, duplication=0.05, reorder=0.05, delay=0.0005, jitter=0.0005)
    async with Cluster.start(CONFIG, simulate=True, seed=seed, conditions=bad) as cluster:
        await apply(cluster, WEB, pod("client", "node-a"))
        client = cluster.pod("client")
        for _ in range(15):
            assert await host_of(client, "web") in {"web-a", "web-b", "web-c"}
        large = "x" * 12_000
        for name, address in (await addresses(cluster, "app=web")).items():
            assert await get(client, f"http://{address}:{HTTP}/echo?msg={large}") == large, name
        assert sum([await _lost(cluster, node) for node in NODES]) > 0, "the wire was to be bad"


async def _lost(cluster: Cluster, node: str) -> int:
    async with cluster.connect_node(node) as client:
        status = await client.call(NODE_STATUS, Empty())
    assert status.faults == 0, "no packet may cause an exception"
    return status.underlay.lost


async def test_cut_wire_heals(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Two nodes that cannot reach each other: each still reaches the third, and a connection outlives the cut."""
    await apply(cluster, WEB, pod("client", "node-a"))
    address = await addresses(cluster)
    network = simulation(cluster).network
    client = cluster.pod("client")
    async with await client.open_tcp_stream(address["web-b"], HTTP) as stream:
        cut = frozenset((("127.0.0.1", 1), ("127.0.0.1", 2)))
        network.cut.add(cut)
        assert await host_of(client, address["web-c"], HTTP) == "web-c"
        outcome = await client.exec("curl", "-sS", "--max-time", "2", f"http://{address['web-b']}:{HTTP}/")
        assert outcome.exit_status == 28
        await stream.send_all(b"GET /hostname HTTP/1.0\r\n\r\n")
        await trio.sleep(5)
        network.cut.remove(cut)
        with trio.fail_after(60):
            assert b"200 OK" in await stream.receive_some()
    assert await host_of(client, address["web-b"], HTTP) == "web-b"


async def test_fault_row_28_stale_udp_entries_are_cleared_and_live_ones_stay(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """Clients that never change their port: those of the endpoint that goes are led elsewhere, the others stay."""
    await apply(cluster, WEB, pod("client", "node-a"))
    address, endpoint = await vip(cluster, "web"), await addresses(cluster, "app=web")
    sockets = [await cluster.pod("client").udp_socket() for _ in range(9)]
    chosen = [await ask(socket, "hostname", address, 81) for socket in sockets]
    assert {*chosen} == {*endpoint}
    await cluster.delete("Pod", "web-b", "default", grace=0)
    await settle()
    entries = [pair for pair in await connections(cluster, "node-a", "udp") if pair[0]["dst"] == address]
    assert {reply["src"] for _, reply in entries} == {endpoint["web-a"], endpoint["web-c"]}
    now = [await ask(socket, "hostname", address, 81) for socket in sockets]
    for old, new in zip(chosen, now, strict=True):
        assert new == old if old != "web-b" else new in {"web-a", "web-c"}
    for socket in sockets:
        socket.close()


async def test_udp_entry_from_before_the_first_endpoint_does_not_hold_a_client_back(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """What a Service without endpoints refused left no entry, so that the client is served once there is one."""
    await apply(cluster, service("late", "late"), pod("client", "node-a"))
    address = await vip(cluster, "late")
    async with socket_of(cluster, "client", 4000) as client:
        await client.send_to(b"hostname", (address, 81))
        await settle()
        await apply(cluster, pod("late", "node-b"))
        assert await ask(client, "hostname", address, 81) == "late"


async def test_tcp_connection_to_a_deleted_pod_ends(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Its address has nobody: the next segment meets a host that does not answer, and new ones go elsewhere."""
    await apply(cluster, WEB, pod("client", "node-a"))
    endpoint = await addresses(cluster, "app=web")
    async with await cluster.pod("client").open_tcp_stream(endpoint["web-b"], HTTP):
        await cluster.delete("Pod", "web-b", "default", grace=0)
        await settle()
        found = {await host_of(cluster.pod("client"), "web") for _ in range(20)}
        assert found == {"web-a", "web-c"}
        # The node takes its neighbour for reachable for 15 to 45 s more (base_reachable_time).
        await trio.sleep(45)
        with pytest.raises(OSError, match="No route to host"):
            await cluster.pod("client").open_tcp_stream(endpoint["web-b"], HTTP)
