"""test/e2e/network/networking.go and test/e2e/common/network/networking.go: the granular checks of Networking.

Each test has the name of Kubernetes' own in its docstring; [Conformance] marks those of the conformance list.
"""

import pytest
from trio.testing import MockClock

from tests.scenarios.conformance.framework import (
    CLUSTER_HTTP,
    CLUSTER_UDP,
    ENDPOINT_HTTP,
    ENDPOINT_UDP,
    NetworkingTest,
    every_mode,
    service,
)

PORTS = {"http": (ENDPOINT_HTTP, CLUSTER_HTTP), "udp": (ENDPOINT_UDP, CLUSTER_UDP)}
protocols = pytest.mark.parametrize("protocol", ["http", "udp"])


@protocols
async def test_intra_pod(config: NetworkingTest, protocol: str, autojump_clock: MockClock) -> None:
    """Granular Checks: Pods should function for intra-pod communication: http, udp [Conformance]."""
    for name, address in config.endpoints.items():
        await config.dials_all("test-container-pod", protocol, address, PORTS[protocol][0], {name})


@protocols
async def test_node_pod(config: NetworkingTest, protocol: str, autojump_clock: MockClock) -> None:
    """Granular Checks: Pods should function for node-pod communication: http, udp [Conformance]."""
    for name, address in config.endpoints.items():
        await config.node_dials_all(protocol, address, PORTS[protocol][0], {name})


@every_mode
@protocols
async def test_services(config: NetworkingTest, protocol: str, autojump_clock: MockClock) -> None:
    """Granular Checks: Services should function for pod-Service, endpoint-Service, node-Service: http, udp."""
    address, node_ports = await config.target()
    node, everybody = await config.node_address(), {*config.endpoints}
    for host, port in ((address, PORTS[protocol][1]), (node, node_ports[protocol])):
        await config.dials_all("test-container-pod", protocol, host, port)
        await config.dials_all("netserver-0", protocol, host, port)
        await config.node_dials_all(protocol, host, port, everybody)


async def test_two_services_of_one_selector(config: NetworkingTest, autojump_clock: MockClock) -> None:
    """Granular Checks: Services should function for multiple endpoint-Services with same selector."""
    http = {"name": "http", "port": CLUSTER_HTTP, "targetPort": ENDPOINT_HTTP}
    await config.create(service("second", {"selector-nettest": "true"}, http, type="NodePort"))
    first, node = await config.target(), await config.node_address()
    second = await config.target("second")
    for address, ports in (first, second):
        await config.dials_all("netserver-0", "http", address, CLUSTER_HTTP)
        await config.dials_all("netserver-0", "http", node, ports["http"])
    await config.cluster.delete("Service", "node-port-service", "default")
    await config.is_unreachable("test-container-pod", node, first[1]["http"])
    await config.dials_all("netserver-0", "http", second[0], CLUSTER_HTTP)
    await config.dials_all("netserver-0", "http", node, second[1]["http"])


@protocols
async def test_endpoints_and_node_ports_change(
    config: NetworkingTest, protocol: str, autojump_clock: MockClock
) -> None:
    """Granular Checks: Services should update endpoints; should update nodePort: http, udp [Slow]."""
    address, node_ports = await config.target()
    node = await config.node_address()
    await config.dials_all("test-container-pod", protocol, address, PORTS[protocol][1])
    await config.cluster.delete("Pod", "netserver-1", "default")

    async def is_gone() -> bool:
        return "netserver-1" not in await config.pods("selector-nettest=true")

    await config.eventually(is_gone, "the pod ends")
    rest = {*config.endpoints} - {"netserver-1"}
    await config.dials_all("test-container-pod", protocol, address, PORTS[protocol][1], rest)
    await config.dials_all("test-container-pod", protocol, node, node_ports[protocol], rest)
    await config.cluster.delete("Service", "node-port-service", "default")
    for port in node_ports.values():
        await config.is_unreachable("test-container-pod", node, port)
    assert (await config.dial("test-container-pod", protocol, node, node_ports[protocol])).get("responses", []) == []


@every_mode
@protocols
async def test_client_ip_affinity(config: NetworkingTest, protocol: str, autojump_clock: MockClock) -> None:
    """Granular Checks: Services should function for client IP based session affinity: http, udp [LinuxOnly]."""
    address, _ = await config.target("session-affinity-service")
    first = await config.dial("test-container-pod", protocol, address, PORTS[protocol][1])
    (host,) = first["responses"]
    assert host in config.endpoints
    for _ in range(15):
        again = await config.dial("test-container-pod", protocol, address, PORTS[protocol][1])
        assert again["responses"] == [host]


@protocols
async def test_large_requests(config: NetworkingTest, protocol: str, autojump_clock: MockClock) -> None:
    """Granular Checks: Services should be able to handle large requests: http, udp."""
    message = "42" * 500 if protocol == "http" else "n" * 2_000
    address, _ = await config.target()
    client = await config.cluster.pod("test-container-pod").address()
    url = f"http://{client}:9080/dial?request=echo?msg={message}&protocol={protocol}&host={address}"
    if protocol == "udp":
        url = f"http://{client}:9080/dial?request=echo%20{message}&protocol=udp&host={address}"
    url += f"&port={PORTS[protocol][1]}&tries=1"
    outcome = await config.run("host-test-container-pod", "curl", "-g", "-q", "-s", url)
    assert outcome.stdout.strip() == f'{{"responses":["{message}"]}}'
