"""test/e2e/network/endpointslice.go, endpointslicemirroring.go and the Services without selectors of service.go.

Each test has the name of Kubernetes' own in its docstring; [Conformance] marks those of the conformance list.
"""

from typing import Any

from trio.testing import MockClock

from emulator.api.messages import Object
from tests.scenarios.conformance.framework import Framework, every_mode, pod, service

EXEC = pod("execpod", nodeName="node-a")


async def slices(framework: Framework, name: str) -> list[Any]:
    selector = f"kubernetes.io/service-name={name}"
    return await framework.cluster.objects("EndpointSlice", "default", selector=selector)


def hand_written(name: str, address: str, port: int) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-custom", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
    }


async def test_slices_of_a_selector(framework: Framework, autojump_clock: MockClock) -> None:
    """EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service [Conformance].

    And: should create and delete Endpoints and EndpointSlices for a Service with a selector specified.
    """
    ports = [{"name": "example-name", "containerPort": 3000}]
    for name in ("pod1", "pod2"):
        await framework.create(pod(name, labels={"foo": "bar"}, ports=ports))
    by_name = {"name": "example", "port": 80, "targetPort": "example-name"}
    by_number = {"name": "number", "port": 81, "targetPort": 3001}
    await framework.create(service("example", {"foo": "bar"}, by_name, by_number))
    (found,) = await slices(framework, "example")
    addresses = {each["addresses"][0]: each for each in found["endpoints"]}
    assert {*addresses} == {*(await framework.pods("foo=bar")).values()}
    assert {(port["name"], port["port"]) for port in found["ports"]} == {("example", 3000), ("number", 3001)}
    assert all(each["conditions"]["ready"] and each["targetRef"]["kind"] == "Pod" for each in addresses.values())
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    await framework.create(service("empty", {"foo": "nobody"}, by_number))
    assert [each.get("endpoints") or [] for each in await slices(framework, "empty")] == [[]]
    for name in ("example", "empty"):
        await framework.cluster.delete("Service", name, "default")
        await framework.eventually(lambda: _none(framework, name), "the slices go with their Service")  # noqa: B023


async def _none(framework: Framework, name: str) -> bool:
    return await slices(framework, name) == []


@every_mode
async def test_service_without_selector(framework: Framework, autojump_clock: MockClock) -> None:
    """EndpointSlice should support a Service with hand-written slices; endpoints of one Service may be anywhere."""
    server = pod("server", "netexec", "--http-port=8080", nodeName="node-c")
    await framework.create(server, service("bare", None, {"port": 80, "targetPort": 9999}), EXEC)
    address = (await framework.service("bare"))["clusterIP"]
    await framework.is_refused("execpod", address, 80)
    await framework.create(hand_written("bare", await framework.cluster.pod("server").address(), 8080))
    assert await framework.curl("execpod", address, 80, "/hostname") == "server"
    await framework.create(hand_written("bare", "10.244.99.99", 8080))
    assert await framework.curl("execpod", address, 80, "/hostname") == ""
    await framework.cluster.delete("EndpointSlice", "bare-custom", "default")
    await framework.is_refused("execpod", address, 80)


async def test_mirroring(framework: Framework, autojump_clock: MockClock) -> None:
    """EndpointSliceMirroring should mirror a custom Endpoints resource through create update delete [Conformance]."""
    server = pod("server", "netexec", "--http-port=8080", nodeName="node-c")
    await framework.create(server, service("mirrored", None, {"port": 80}), EXEC)
    endpoints: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "mirrored"}}
    for address in (await framework.cluster.pod("server").address(), "10.244.99.99"):
        endpoints["subsets"] = [{"addresses": [{"ip": address}], "ports": [{"port": 8080, "protocol": "TCP"}]}]
        await framework.create(endpoints)
        (found,) = await slices(framework, "mirrored")
        assert [each["addresses"] for each in found["endpoints"]] == [[address]]
        answer = await framework.curl("execpod", "mirrored", 80, "/hostname")
        assert answer == ("" if address == "10.244.99.99" else "server")
    await framework.cluster.delete("Endpoints", "mirrored", "default")
    await framework.eventually(lambda: _none(framework, "mirrored"), "the mirror goes")


async def test_terminating_endpoints(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should fallback to terminating endpoints when there are no ready endpoints."""
    args = ("netexec", "--http-port=80", "--delay-shutdown", "100")
    leaving = pod("leaving", *args, labels={"app": "leaving"}, nodeName="node-b", terminationGracePeriodSeconds=120)
    await framework.create(leaving, service("leaving", {"app": "leaving"}, {"port": 80}), EXEC)
    assert await framework.curl("execpod", "leaving", 80, "/hostname") == "leaving"
    await framework.cluster.delete("Pod", "leaving", "default")
    await framework.eventually(lambda: _is_terminating(framework), "the endpoint is said to terminate")
    assert await framework.curl("execpod", "leaving", 80, "/hostname") == "leaving"
    await framework.is_refused("execpod", "leaving", 80)


async def _is_terminating(framework: Framework) -> bool:
    found = [each for slice_ in await slices(framework, "leaving") for each in slice_.get("endpoints") or []]
    return [each["conditions"] for each in found] == [{"ready": False, "serving": True, "terminating": True}]
