"""What Kubernetes' e2e framework gives its network tests, over a simulated cluster.

After test/e2e/framework/network/utils.go and test/e2e/network/service.go: the same pods (agnhost `netexec` and
`serve-hostname`), ports, commands and counts of tries.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
import trio

from emulator.api.messages import Object
from emulator.runtime.cluster.cluster import Cluster, ExecOutcome

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
NODES = ("node-a", "node-b", "node-c")

ENDPOINT_HTTP, ENDPOINT_UDP = 8083, 8081
TEST_CONTAINER_HTTP = 9080
CLUSTER_HTTP, CLUSTER_UDP = 80, 90
TRIES = 30
AFFINITY_CONFIRM = 15
every_mode = pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"], indirect=True)

REACHABLE_WITHIN = 120.0
"""Seconds (ServiceReachabilityShortPollTimeout), of the mock clock."""


def container(*args: str, name: str = "agnhost-container", **spec: Any) -> dict[str, Any]:
    return {"name": name, "image": AGNHOST, "args": list(args), **spec}


def pod(
    name: str, *args: str, labels: Mapping[str, str] | None = None, ports: Sequence[Any] = (), **spec: Any
) -> Object:
    """NewAgnhostPod: `pause` unless told otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [container(*(args or ("pause",)), ports=list(ports))], **spec},
    }


def hostnames(name: str, replicas: int = 3, *args: str, port: int = 9376) -> Object:
    """A workload of `serve-hostname`, as the Service tests have one (StartServeHostnameService)."""
    labels = {"name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container(*(args or ("serve-hostname",)), ports=[{"containerPort": port}])]},
            },
        },
    }


def service(name: str, selector: Mapping[str, str] | None = None, *ports: Mapping[str, Any], **spec: Any) -> Object:
    body = {**({"selector": dict(selector)} if selector is not None else {}), "ports": list(ports), **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


class Framework:
    """A cluster, in the words of the tests."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def create(self, *objects: Object) -> None:
        """Apply, and wait until pods are ready and every kube-proxy has had time to hear of it."""
        await self.cluster.apply(list(objects))
        await self.cluster.wait_ready()
        await trio.sleep(1)

    async def service(self, name: str) -> dict[str, Any]:
        """A Service's spec."""
        spec: dict[str, Any] = (await self.cluster.get("Service", name, "default"))["spec"]
        return spec

    async def pods(self, selector: str) -> dict[str, str]:
        """Names and addresses of pods."""
        pods = await self.cluster.objects("Pod", "default", selector=selector)
        return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}

    async def node_address(self, node: str = "node-b") -> str:
        return next(each.address for each in (await self.cluster.status()).nodes if each.name == node)

    async def run(self, place: str, *command: str, stdin: bytes | None = None) -> ExecOutcome:
        """RunHostCmd: a command in a pod, or on "node/NAME"."""
        kind, _, name = place.partition("/")
        where = self.cluster.node(name) if kind == "node" else self.cluster.pod(place)
        return await where.exec(*command, stdin=stdin)

    async def eventually(self, check: Callable[[], Awaitable[bool]], what: str) -> None:
        """Poll each second."""
        deadline = trio.current_time() + REACHABLE_WITHIN
        while trio.current_time() < deadline:
            if await check():
                return
            await trio.sleep(1)
        raise AssertionError(f"not within {REACHABLE_WITHIN:.0f} s: {what}")

    # Reaching a Service

    async def curl(self, place: str, host: str, port: int, path: str = "/") -> str:
        """What curl gets; empty where it fails."""
        url = f"http://{host}:{port}{path}"
        return (
            await self.run(place, "curl", "-g", "-q", "-s", "--connect-timeout", "2", "--max-time", "15", url)
        ).stdout

    async def hosts(self, place: str, host: str, port: int, tries: int = 12) -> set[str]:
        """Who answers in so many requests; "" stands for those that failed."""
        return {await self.curl(place, host, port) for _ in range(tries)}

    async def reaches(self, place: str, host: str, port: int, expected: set[str]) -> None:
        """Verify that each of the expected pods, and nobody else, answers (verifyServeHostnameServiceUp)."""
        found: set[str] = set()
        deadline = trio.current_time() + REACHABLE_WITHIN
        while trio.current_time() < deadline:
            found = await self.hosts(place, host, port)
            if found == expected:
                return
            await trio.sleep(1)
        raise AssertionError(f"{place} to {host}:{port}: {found} answer, not {expected}")

    async def connects(self, place: str, host: str, port: int) -> None:
        """Something answers over TCP (testReachabilityOverServiceName: `echo hostName | nc -v -t -w 2`)."""

        async def answers() -> bool:
            outcome = await self.run(place, "nc", "-v", "-t", "-w", "2", host, str(port), stdin=b"hostName\n")
            return outcome.exit_status == 0 and outcome.stdout.strip() != ""

        await self.eventually(answers, f"{place} connects to {host}:{port}")

    async def is_refused(self, place: str, host: str, port: int) -> None:
        """Verify that a connection is refused, not dropped (`agnhost connect`, REFUSED)."""

        async def refused() -> bool:
            outcome = await self.run(place, "agnhost", "connect", "--timeout=3s", f"{host}:{port}")
            return outcome.exit_status != 0 and outcome.stderr.strip() == "REFUSED"

        await self.eventually(refused, f"{place} is refused by {host}:{port}")

    async def is_unreachable(self, place: str, host: str, port: int) -> None:
        """Verify that nothing answers any more (verifyServeHostnameServiceDown)."""

        async def silent() -> bool:
            return (
                await self.run(place, "curl", "-g", "-s", "--connect-timeout", "2", f"http://{host}:{port}")
            ).exit_status != 0

        await self.eventually(silent, f"nothing answers {place} at {host}:{port}")


class NetworkingTest(Framework):
    """NewNetworkingTestConfig: a netserver on each node, Services over them, a test container and one of the host's."""

    async def set_up(self) -> None:
        selector = {"selector-nettest": "true"}
        ports = [
            {"name": "http", "containerPort": ENDPOINT_HTTP},
            {"name": "udp", "containerPort": ENDPOINT_UDP, "protocol": "UDP"},
        ]
        netexec = ("netexec", f"--http-port={ENDPOINT_HTTP}", f"--udp-port={ENDPOINT_UDP}")
        servers = [
            pod(f"netserver-{index}", *netexec, labels=selector, ports=ports, nodeName=node)
            for index, node in enumerate(NODES)
        ]
        service_ports = (
            {"name": "http", "port": CLUSTER_HTTP, "targetPort": ENDPOINT_HTTP},
            {"name": "udp", "port": CLUSTER_UDP, "targetPort": ENDPOINT_UDP, "protocol": "UDP"},
        )
        affinity = {"type": "NodePort", "sessionAffinity": "ClientIP"}
        client = ("netexec", f"--http-port={TEST_CONTAINER_HTTP}", f"--udp-port={ENDPOINT_UDP}")
        await self.create(
            *servers,
            service("node-port-service", selector, *service_ports, type="NodePort"),
            service("session-affinity-service", selector, *service_ports, **affinity),
            pod("test-container-pod", *client, nodeName="node-a"),
            pod("host-test-container-pod", hostNetwork=True, nodeName="node-a"),
        )
        self.endpoints = await self.pods("selector-nettest=true")

    async def target(self, name: str = "node-port-service") -> tuple[str, dict[str, int]]:
        """A Service's address, and its node ports by the names of its ports."""
        spec = await self.service(name)
        return spec["clusterIP"], {port["name"]: port["nodePort"] for port in spec["ports"]}

    async def dial(self, container: str, protocol: str, host: str, port: int, tries: int = 1) -> dict[str, list[str]]:
        """Have a netexec pod ask another host (`/dial`), and return its answer."""
        address, own = (
            (self.endpoints[container], ENDPOINT_HTTP)
            if container in self.endpoints
            else (await self.cluster.pod(container).address(), TEST_CONTAINER_HTTP)
        )
        query = urlencode({"request": "hostname", "protocol": protocol, "host": host, "port": port, "tries": tries})
        outcome = await self.run(
            "host-test-container-pod", "curl", "-g", "-q", "-s", f"http://{address}:{own}/dial?{query}"
        )
        answer: dict[str, list[str]] = json.loads(outcome.stdout)
        return answer

    async def dials_all(
        self, container: str, protocol: str, host: str, port: int, expected: set[str] | None = None
    ) -> None:
        """Dial until each of the expected hosts has answered, and nobody else (DialFromContainer)."""
        wanted = {*self.endpoints} if expected is None else expected
        found: set[str] = set()
        each = 10  # tries of one request
        for _ in range(0, len(self.endpoints) ** 2 + TRIES, each):
            answer = await self.dial(container, protocol, host, port, each)
            found |= {*answer.get("responses", [])}
            if found == wanted:
                return
            await trio.sleep(0.5)
        raise AssertionError(f"{container} dialing {protocol} {host}:{port}: {found} answered, not {wanted}")

    async def node_dials_all(self, protocol: str, host: str, port: int, expected: set[str]) -> None:
        """The same from a pod of the host's network (DialFromNode): curl, or a datagram by nc."""
        found: set[str] = set()
        for _ in range(len(self.endpoints) ** 2 + TRIES):
            if protocol == "http":
                answer = await self.curl("host-test-container-pod", host, port, "/hostName")
            else:
                command = ("nc", "-w", "1", "-u", host, str(port))
                answer = (await self.run("host-test-container-pod", *command, stdin=b"hostName\n")).stdout
            found |= {answer.strip()} - {""}
            if found == expected:
                return
        raise AssertionError(f"host dialing {protocol} {host}:{port}: {found} answered, not {expected}")
