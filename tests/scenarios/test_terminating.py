"""Pods that are told to end and still serve: who may go on with them, and who is led to them for want of others.

Source: pkg/proxy/topology.go (ProxyTerminatingEndpoints), pkg/proxy/conntrack/cleanup.go.
"""

import msgspec
import pytest
import trio
from trio.testing import MockClock

from emulator.kube.proxy.modes import MODES
from emulator.runtime.cluster.cluster import Cluster
from tests.scenarios.flow import REFUSED, Answer, Source, outside_source, pod_source, tcp
from tests.scenarios.test_come_and_go import hostname
from tests.scenarios.world import CONFIG, apply, ask, host_of, node_addresses, pod, service, settle, socket_of, vip

PAUSE = 30
"""Seconds for which a pod serves after it was told to end."""
CALLS = 12
NODE_PORT = 30080


def lasting(name: str, node: str) -> str:
    """A pod of `web` that is in no hurry to end."""
    text = pod(name, node, "web").replace("spec:\n", f"spec:\n  terminationGracePeriodSeconds: {2 * PAUSE}\n", 1)
    return text.replace("    ports:", f"    lifecycle: {{preStop: {{sleep: {{seconds: {PAUSE}}}}}}}\n    ports:", 1)


LOCAL = f"""
---
apiVersion: v1
kind: Service
metadata: {{name: local}}
spec: {{type: NodePort, externalTrafficPolicy: Local, selector: {{app: web}},
  ports: [{{port: 80, targetPort: http, nodePort: {NODE_PORT}}}]}}
"""


async def told_to_end(cluster: Cluster, name: str) -> None:
    await cluster.delete("Pod", name, "default")
    await settle()


async def names_of(source: Source, address: str, port: int) -> set[str]:
    """Who answers a dozen new connections."""
    outcomes = [await tcp(source, address, port) for _ in range(CALLS)]
    return {outcome.pod if isinstance(outcome, Answer) else outcome for outcome in outcomes}


@pytest.mark.parametrize("mode", list(MODES))
async def test_who_is_led_to_pods_that_end(mode: str, autojump_clock: MockClock) -> None:
    config = msgspec.structs.replace(CONFIG, proxy_mode=mode)
    async with Cluster.start(config, simulate=True, hosts=("outside",)) as cluster:
        await apply(
            cluster,
            lasting("web-a", "node-a") + lasting("web-b", "node-b") + pod("client", "node-c"),
            service("web", "web") + LOCAL,
        )
        client, address = cluster.pod("client"), await vip(cluster, "web")
        source, outside = await pod_source(cluster, "client"), outside_source(cluster)
        node_a = (await node_addresses(cluster))["node-a"]
        streams = {}
        async with socket_of(cluster, "client") as socket:
            first = await ask(socket, "hostname", address, 81)
            [other] = {"web-a", "web-b"} - {first}
            while len(streams) < 2:
                stream = await client.open_tcp_stream(address, 80)
                streams[await hostname(stream)] = stream

            await told_to_end(cluster, first)
            assert await hostname(streams[first]) == first, "a connection goes on to the end of its pod"
            assert await names_of(source, address, 80) == {other}, "while another is ready, new ones go there"
            if mode == "ipvs":  # a UDP server goes at once; what comes next finds it gone and only ends the entry
                await socket.send_to(b"hostname", (address, 81))
                assert await ask(socket, "hostname", address, 81) == other
            else:
                assert await ask(socket, "hostname", address, 81) == first, "an entry to a pod that serves is not stale"

            await trio.sleep(10)
            await told_to_end(cluster, other)
            assert await names_of(source, address, 80) == {"web-a", "web-b"}, "none is ready: who serves is taken"
            assert await names_of(outside, node_a, NODE_PORT) == {"web-a"}, "policy Local, by itself, too"

            await trio.sleep(PAUSE - 5)  # the first has ended, not yet the other
            assert await host_of(client, address) == other
            assert await ask(socket, "hostname", address, 81) == other, "now it is stale"
            assert await hostname(streams[other]) == other

            await trio.sleep(PAUSE)
            assert await names_of(source, address, 80) == {REFUSED}
            assert await streams[first].receive_some() == b"", "its program closed it when it ended"


@pytest.mark.parametrize("mode", list(MODES))
async def test_a_ready_pod_elsewhere_is_no_help_to_policy_local(mode: str, autojump_clock: MockClock) -> None:
    """The local set falls back by itself: node-a's own pod ends, and goes on to get what comes from outside."""
    config = msgspec.structs.replace(CONFIG, proxy_mode=mode)
    async with Cluster.start(config, simulate=True, hosts=("outside",)) as cluster:
        await apply(cluster, lasting("web-a", "node-a") + lasting("web-b", "node-b"), LOCAL)
        outside, nodes = outside_source(cluster), await node_addresses(cluster)
        await told_to_end(cluster, "web-a")
        assert await names_of(outside, nodes["node-a"], NODE_PORT) == {"web-a"}
        assert await names_of(outside, nodes["node-b"], NODE_PORT) == {"web-b"}
