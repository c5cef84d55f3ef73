"""test/e2e/network/conntrack.go: UDP clients that keep their port while the pods behind a Service change.

Each test has the name of Kubernetes' own in its docstring.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from emulator.runtime.cluster.remote_sockets import RemoteUdp
from tests.scenarios.conformance.framework import Framework, every_mode, pod, service

UDP = {"name": "udp", "port": 80, "targetPort": 80, "protocol": "UDP"}
CLIENT_PORT = 12_345
WITHIN = 30.0

kinds = pytest.mark.parametrize("kind", ["NodePort", "ClusterIP"])


class Client:
    """The client pod: one datagram a second from one port (`nc -u -p 12345 -w 5`), and who has answered."""

    def __init__(self, socket: RemoteUdp) -> None:
        self.answers: list[str] = []
        self._socket = socket

    async def ask(self, host: str, port: int) -> None:
        while True:
            await self._socket.send_to(b"hostname", (host, port))
            await trio.sleep(1)

    async def listen(self) -> None:
        while True:
            try:
                self.answers.append((await self._socket.receive())[0].decode())
            except OSError:
                continue  # told that the port is closed, or a rule rejects

    async def hears(self, host: str) -> None:
        """Wait until a host answers from now on."""
        self.answers.clear()
        with trio.fail_after(WITHIN):
            while host not in self.answers:  # noqa: ASYNC110 - who asks and who listens is told by nobody
                await trio.sleep(0.5)


@asynccontextmanager
async def client(framework: Framework, kind: str) -> AsyncIterator[Client]:
    spec = await framework.service("svc-udp")
    target = (spec["clusterIP"], 80)
    if kind == "NodePort":
        target = (await framework.node_address("node-a"), spec["ports"][0]["nodePort"])
    with await framework.cluster.pod("pod-client").udp_socket(CLIENT_PORT) as socket:
        asking = Client(socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asking.ask, *target)
            nursery.start_soon(asking.listen)
            yield asking
            nursery.cancel_scope.cancel()


def server(name: str, **spec: object) -> dict[str, object]:
    return pod(name, "netexec", "--udp-port=80", labels={"app": "udp-server"}, nodeName="node-b", **spec)


@every_mode
@kinds
async def test_server_pod_cycles(framework: Framework, kind: str, autojump_clock: MockClock) -> None:
    """Conntrack should be able to preserve UDP traffic when server pod cycles for a NodePort, ClusterIP service."""
    await framework.create(
        service("svc-udp", {"app": "udp-server"}, UDP, type=kind), pod("pod-client", nodeName="node-a")
    )
    async with client(framework, kind) as asking:  # it asks before there is anybody: those entries must go
        await trio.sleep(5)
        assert asking.answers == []
        await framework.create(server("pod-server-1"))
        await asking.hears("pod-server-1")
        await framework.create(server("pod-server-2"))
        await framework.cluster.delete("Pod", "pod-server-1", "default", grace=0)
        await asking.hears("pod-server-2")


@kinds
async def test_initial_unready_endpoints(framework: Framework, kind: str, autojump_clock: MockClock) -> None:
    """Conntrack should be able to preserve UDP traffic when initial unready endpoints get ready."""
    unready = server("pod-server-1")
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 10, "periodSeconds": 1}
    unready["spec"]["containers"][0]["readinessProbe"] = probe  # type: ignore[index]
    await framework.cluster.apply(
        [service("svc-udp", {"app": "udp-server"}, UDP, type=kind), unready, pod("pod-client", nodeName="node-a")]
    )
    await framework.cluster.wait_for("Pod", lambda pods: any(_runs(each, "pod-client") for each in pods))
    async with client(framework, kind) as asking:
        await trio.sleep(3)
        assert asking.answers == []
        await asking.hears("pod-server-1")


def _runs(pod: dict[str, object], name: str) -> bool:
    return pod["metadata"]["name"] == name and pod.get("status", {}).get("phase") == "Running"  # type: ignore[index, attr-defined]
