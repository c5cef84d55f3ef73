"""Pods come, go and turn unready under traffic: connections that are there live on, new ones go only where they may."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio
from trio.testing import MockClock

from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.cluster.remote_sockets import RemoteStream
from tests.scenarios.world import CONFIG, apply, ask, host_of, named, pod, service, settle, socket_of, vip

GATE = "example.org/serving"
NAMES = ("web-a", "web-b")
CALLS = 12


@pytest.fixture(params=list(MODES))
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A cluster in each mode of kube-proxy."""
    config = msgspec.structs.replace(CONFIG, proxy_mode=request.param)
    async with Cluster.start(config, simulate=True) as started:
        yield started


def gated(name: str, node: str) -> str:
    """A pod that somebody else declares ready, by a condition in its status: what readiness gates are for."""
    return pod(name, node, "web").replace(
        "  containers:", f"  readinessGates: [{{conditionType: {GATE}}}]\n  containers:"
    )


async def declare(cluster: Cluster, name: str, *, ready: bool) -> None:
    """Say whether a gated pod is ready, and wait until all nodes know."""
    status = (await cluster.get("Pod", name, "default"))["status"]
    others = [condition for condition in status["conditions"] if condition["type"] != GATE]
    conditions = [*others, {"type": GATE, "status": str(ready)}]
    await cluster.update_status("Pod", name, "default", status | {"conditions": conditions})
    await settle()


async def hostname(stream: RemoteStream) -> str:
    """Ask over a connection that stays open."""
    await stream.send_all(b"GET /hostname HTTP/1.1\r\nHost: x\r\n\r\n")
    said = b""
    while not said.endswith(NAMES_ENDS):
        said += await stream.receive_some()
    return said.rpartition(b"\r\n\r\n")[2].decode()


NAMES_ENDS = tuple(name.encode() for name in NAMES)


async def test_an_unready_pod_keeps_its_connections_and_gets_no_new_ones(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    await cluster.apply(gated("web-a", "node-a") + gated("web-b", "node-b") + service("web", "web"))
    await apply_when_placed(cluster)
    for name in NAMES:
        await declare(cluster, name, ready=True)
    client, address = cluster.pod("client"), await vip(cluster, "web")
    streams = {}
    async with socket_of(cluster, "client") as socket:
        first = await ask(socket, "hostname", address, 81)
        while len(streams) < len(NAMES):
            stream = await client.open_tcp_stream(address, 80)
            streams[await hostname(stream)] = stream
        await declare(cluster, first, ready=False)
        [other] = {*NAMES} - {first}
        assert await hostname(streams[first]) == first, "an established connection is nobody's business but its own"
        assert {await host_of(client, address) for _ in range(CALLS)} == {other}
        assert await ask(socket, "hostname", address, 81) == other, "the stale UDP entry was cleared"
        await declare(cluster, other, ready=False)
        with pytest.raises(ConnectionRefusedError):
            await client.open_tcp_stream(address, 80)
        for name, stream in streams.items():
            assert await hostname(stream) == name
        await declare(cluster, first, ready=True)
        assert {await host_of(client, address) for _ in range(CALLS)} == {first}
        assert await ask(socket, "hostname", address, 81) == first


async def apply_when_placed(cluster: Cluster) -> None:
    """Add a client; the gated pods have addresses by then."""
    await cluster.apply(pod("client", "node-c"))
    await cluster.wait_for(
        "Pod", lambda pods: len(pods) == 3 and all(p.get("status", {}).get("podIP") for p in pods), "default"
    )
    await settle()


DEPLOYMENT = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: netexec, image: "registry.k8s.io/e2e-test-images/agnhost:VERSION", args: [netexec],
         ports: [{name: http, containerPort: 8080}, {name: ask, containerPort: 8081, protocol: UDP}]}
"""


async def test_new_connections_during_a_rolling_update_meet_living_pods(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    """A request that begins after all nodes have heard of a change is answered by a pod that is there."""
    await apply(cluster, DEPLOYMENT.replace("VERSION", "2.52"), service("web", "web"), pod("client", "node-a"))
    client, address = cluster.pod("client"), await vip(cluster, "web")
    before = named(await cluster.objects("Pod", "default", selector="app=web"))
    await cluster.apply(DEPLOYMENT.replace("VERSION", "2.53"))
    with trio.fail_after(60):
        while True:
            await settle()
            there = named(await cluster.objects("Pod", "default", selector="app=web"))
            assert await host_of(client, address) in there
            if not there & before and len(there) == 3:
                break
    assert {await host_of(client, address) for _ in range(30)} == there
