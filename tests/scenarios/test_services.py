"""Services as clients meet them: by name and VIP, from everywhere, with and without endpoints."""

import pytest
import trio
from trio.testing import MockClock

from emulator.runtime.cluster.cluster import Cluster, Place
from tests.scenarios.world import (
    HTTP,
    addresses,
    apply,
    ask,
    client_address,
    connections,
    get,
    host_of,
    is_translated,
    named,
    node_addresses,
    output,
    pod,
    service,
    settle,
    socket_of,
    vip,
)

WEB = "".join(pod(f"web-{letter}", f"node-{letter}", app="web") for letter in "abc") + service("web", "web")
CALLS = 25
"""Enough that each of three endpoints is chosen: it fails once in 3 * (2/3)^25, and the seed is fixed."""


async def answering(place: Place, address: str, port: int = 80) -> set[str]:
    return {await host_of(place, address, port) for _ in range(CALLS)}


async def test_every_endpoint_answers_by_name_and_vip_from_every_place(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await apply(cluster, WEB, pod("client", "node-a"))
    address = await vip(cluster, "web")
    endpoints = await addresses(cluster, "app=web")
    assert {*endpoints} == {"web-a", "web-b", "web-c"}
    for place in (cluster.pod("client"), cluster.pod("web-b")):
        assert await answering(place, "web") == {*endpoints}
        assert await answering(place, address) == {*endpoints}
    assert await answering(cluster.node("node-b"), address) == {*endpoints}
    fully_qualified = (
        "web.default",
        "web.default.svc",
        "web.default.svc.cluster.local",
        "web.default.svc.cluster.local.",
    )
    for name in fully_qualified:
        assert await host_of(cluster.pod("client"), name) in endpoints


async def test_udp_service_answers_from_every_endpoint(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, WEB, pod("client", "node-a"))
    found = set()
    for _ in range(CALLS):
        async with socket_of(cluster, "client") as client:
            found.add(await ask(client, "hostname", "web", 81))
            assert await ask(client, "clientip", "web", 81) == (
                f"{await cluster.pod('client').address()}:{client.local_address[1]}"
            )
    assert found == {"web-a", "web-b", "web-c"}


async def test_udp_client_with_one_port_stays_with_its_endpoint(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Conntrack holds the binding: the choice is made for a connection, not for a datagram."""
    await apply(cluster, WEB, pod("client", "node-a"))
    async with socket_of(cluster, "client") as client:
        assert len({await ask(client, "hostname", "web", 81) for _ in range(CALLS)}) == 1


async def test_a_pod_keeps_its_address_through_a_vip_and_a_node_is_masqueraded(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """A VIP translates the destination alone for pods; what comes from nodes is masqueraded, or replies go astray."""
    await apply(cluster, pod("far", "node-b"), service("far", "far"), pod("client", "node-a"))
    address = await vip(cluster, "far")
    assert await client_address(cluster.pod("client"), address) == await cluster.pod("client").address()
    nodes = await node_addresses(cluster)
    assert await client_address(cluster.node("node-a"), address) == nodes["node-a"]
    gateway = (await cluster.pod("far").address()).rpartition(".")[0] + ".1"
    assert await client_address(cluster.node("node-b"), address) == gateway
    found = [pair for pair in await connections(cluster, "node-a", "tcp") if pair[0]["dst"] == address]
    replies = {reply["src"] for _, reply in found}
    assert replies == {await cluster.pod("far").address()}
    assert all(is_translated(*pair) for pair in found)
    # The node at the other end sees an ordinary connection to the pod.
    from_client = [
        pair
        for pair in await connections(cluster, "node-b", "tcp")
        if pair[0]["src"] == await cluster.pod("client").address()
    ]
    assert from_client
    assert not any(is_translated(*pair) for pair in from_client)


async def test_a_pod_reaches_itself_through_its_vip(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Hairpin: masqueraded to the bridge's address, or the pod would answer itself past the NAT."""
    await apply(cluster, pod("self", "node-a"), service("mirror", "self"))
    place, address = cluster.pod("self"), await vip(cluster, "mirror")
    gateway = (await place.address()).rpartition(".")[0] + ".1"
    assert await host_of(place, "mirror") == "self"
    assert await client_address(place, address) == gateway
    async with socket_of(cluster, "self") as client:
        assert (await ask(client, "clientip", address, 81)).rpartition(":")[0] == gateway
    assert await client_address(place, await place.address(), HTTP) == await place.address()


async def test_headless_service_is_its_pods_addresses(cluster: Cluster, autojump_clock: MockClock) -> None:
    web = "".join(pod(f"web-{letter}", f"node-{letter}", app="web") for letter in "abc")
    await apply(cluster, web, service("web", "web", address="None"), pod("client", "node-a"))
    answer = await output(cluster.pod("client"), "dig", "+short", "web.default.svc.cluster.local")
    assert {*answer.split()} == {*(await addresses(cluster, "app=web")).values()}
    # Without a VIP nothing is translated, and so the pods' own port counts.
    assert await host_of(cluster.pod("client"), "web", HTTP) in {"web-a", "web-b", "web-c"}
    saved = await output(cluster.node("node-a"), "iptables-save", "-t", "nat")
    assert "default/web:" not in saved


async def test_service_without_endpoints_refuses_at_once(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(cluster, service("empty", "nobody"), pod("client", "node-a"))
    address = await vip(cluster, "empty")
    assert "has no endpoints" in await output(cluster.node("node-a"), "iptables-save", "-t", "filter")
    for place in (cluster.pod("client"), cluster.node("node-a")):
        start = trio.current_time()
        outcome = await place.exec("curl", "-sS", f"http://{address}/")
        assert outcome.exit_status == 7
        assert "Connection refused" in outcome.stderr or "Couldn't connect to server" in outcome.stderr
        assert trio.current_time() - start < 0.1
    # An unconnected socket of Linux hears of no ICMP error; a connected one does.
    with await cluster.pod("client").udp_socket() as client, trio.move_on_after(1) as waited:
        await client.send_to(b"hostname", (address, 81))
        await client.receive()
    assert waited.cancelled_caught
    answer = (await cluster.trace("client", address, protocol="udp", port=81)).result.message
    assert answer == "Connection refused: ICMP port unreachable from 10.244.0.1"
    assert [pair for pair in await connections(cluster, "node-a") if pair[0]["dst"] == address] == []


async def test_an_unready_pod_is_no_endpoint_until_it_is_ready(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Its readiness gate is open: Kubernetes counts the pod as not ready whatever its containers say."""
    gated = pod("gated", "node-a").replace(
        "  containers:", "  readinessGates: [{conditionType: example.org/in}]\n  containers:"
    )
    await cluster.apply(gated + service("gated", "gated") + pod("client", "node-b"))
    await cluster.wait_for("Pod", lambda pods: all(pod.get("status", {}).get("podIP") for pod in pods), "default")
    await settle()
    slices = await cluster.objects("EndpointSlice", "default")
    conditions = [
        endpoint["conditions"]["ready"]
        for slice_ in slices
        for endpoint in slice_.get("endpoints") or ()
        if "gated" in str(slice_)
    ]
    assert conditions == [False]
    with pytest.raises(ConnectionRefusedError):
        await cluster.pod("client").open_tcp_stream("gated", 80)


async def test_endpoints_follow_scaling_and_deletion(cluster: Cluster, autojump_clock: MockClock) -> None:
    deployment = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 1
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      containers:
      - {name: netexec, image: registry.k8s.io/e2e-test-images/agnhost, args: [netexec],
         ports: [{name: http, containerPort: 8080}, {name: ask, containerPort: 8081, protocol: UDP}]}
"""
    await apply(cluster, deployment, service("many", "many"), pod("client", "node-a"))
    client, address = cluster.pod("client"), await vip(cluster, "many")
    for replicas in (1, 3, 2):
        await cluster.scale("Deployment", "many", replicas)
        await cluster.wait_for("Pod", lambda pods, n=replicas: len(pods) == n, selector="app=many")  # type: ignore[misc]
        await cluster.wait_ready()
        await settle()
        assert await answering(client, address) == named(await cluster.objects("Pod", selector="app=many"))
    await cluster.delete("Service", "many", "default")
    await settle()
    assert address not in await output(cluster.node("node-a"), "iptables-save")
    outcome = await client.exec("curl", "-sS", "http://many/")
    assert outcome.exit_status == 6, "its name has gone too"


async def test_named_ports_follow_each_pods_own_number(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Pods of one Service may give one name to different ports; each gets its own slice."""
    other = pod("other", "node-b", app="web").replace(str(HTTP), "9090")
    await apply(cluster, pod("one", "node-a", app="web"), other, service("web", "web"), pod("client", "node-c"))
    assert await answering(cluster.pod("client"), "web") == {"one", "other"}


async def test_containers_of_a_pod_share_localhost(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(
        cluster,
        """
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  containers:
  - {name: front, image: registry.k8s.io/e2e-test-images/agnhost, args: [netexec, --http-port=8080]}
  - {name: back, image: hashicorp/http-echo, args: ["-text=from the back", "-listen=127.0.0.1:5678"]}
""",
        pod("client", "node-a"),
    )
    shared = cluster.pod("shared")
    assert (await get(shared, "http://127.0.0.1:5678/")).strip() == "from the back"
    # The front container itself asks its neighbour.
    dialled = await get(shared, "http://localhost:8080/dial?host=127.0.0.1&port=5678&request=/&protocol=http&tries=1")
    assert "from the back" in dialled
    # What listens on localhost only is not reached from elsewhere.
    with pytest.raises(ConnectionRefusedError):
        await cluster.pod("client").open_tcp_stream(await shared.address(), 5678)


async def test_second_container_on_a_port_fails_and_says_so(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.apply("""
apiVersion: v1
kind: Pod
metadata: {name: clash}
spec:
  containers:
  - {name: first, image: nginx}
  - {name: second, image: httpd}
""")
    (clash,) = await cluster.wait_for("Pod", lambda pods: "address already in use" in str(pods), "default")
    states = {status["name"]: status for status in clash["status"]["containerStatuses"]}
    assert states["first"]["ready"]
    second = states["second"]
    assert not second["ready"]
    state = second["state"].get("waiting") or second["state"]["terminated"]
    last = second["lastState"].get("terminated") or second["state"]["terminated"]
    assert last["exitCode"] == 1
    assert "address already in use" in last["message"]
    assert state["reason"] in ("CrashLoopBackOff", "Error")
    assert "nginx" in await get(cluster.pod("clash"), "http://localhost/")


async def test_session_affinity_keeps_a_client_with_its_endpoint(cluster: Cluster, autojump_clock: MockClock) -> None:
    await apply(
        cluster,
        "".join(pod(f"web-{letter}", f"node-{letter}", app="web") for letter in "abc"),
        service("web", "web", spec="sessionAffinity: ClientIP"),
        *(pod(f"client-{index}", "node-a") for index in range(4)),
    )
    for index in range(4):
        assert len(await answering(cluster.pod(f"client-{index}"), "web")) == 1


async def test_a_port_that_the_service_has_not_goes_nowhere(cluster: Cluster, autojump_clock: MockClock) -> None:
    """In iptables mode nothing matches an unknown port of a VIP: the packet is routed on, to where no such VIP is."""
    await apply(cluster, WEB, pod("client", "node-a"))
    outcome = await cluster.pod("client").exec(
        "curl", "-sS", "--max-time", "2", f"http://{await vip(cluster, 'web')}:8/"
    )
    assert outcome.exit_status == 7
    seen = await output(cluster.host("gateway"), "conntrack", "-L")
    assert f"dst={await vip(cluster, 'web')}" in seen


async def test_a_vip_answers_no_ping(cluster: Cluster, autojump_clock: MockClock) -> None:
    """It is on no link: only the ports of its rules exist."""
    await apply(cluster, WEB, pod("client", "node-a"))
    outcome = await cluster.pod("client").exec("ping", "-c", "1", "-W", "1", await vip(cluster, "web"))
    assert outcome.exit_status == 1


async def test_connections_outlive_the_service_that_led_them(cluster: Cluster, autojump_clock: MockClock) -> None:
    """Rules are for first packets; kube-proxy clears no TCP entries."""
    await apply(cluster, WEB, pod("client", "node-a"))
    async with await cluster.pod("client").open_tcp_stream("web", 80) as stream:
        await cluster.delete("Service", "web", "default")
        await settle()
        await stream.send_all(b"GET /hostname HTTP/1.0\r\nHost: web\r\n\r\n")
        assert b"200 OK" in await stream.receive_some()
