"""To which ports of its pods Services lead, as a node's stand-ins ask for it."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from emulator.api.objects.meta import Object
from emulator.runtime.machine.object_cache import ObjectCache
from emulator.runtime.node.served_ports import PodPorts, ServedPorts

WEB = ("default", "web-1")


def slice_of(name: str, *ports: tuple[str, int], pods: tuple[str, ...] = ("web-1",), node: str = "node-a") -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default"},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1"], "nodeName": node, "targetRef": {"kind": "Pod", "name": pod}} for pod in pods
        ],
        "ports": [{"protocol": protocol, "port": port} for protocol, port in ports],
    }


def test_ports_come_and_go_with_the_slices_that_have_the_pod() -> None:
    cache = ObjectCache()
    cache.put("EndpointSlice", slice_of("first", ("TCP", 5000)))
    ports = ServedPorts("node-a", cache)
    assert ports.of(WEB) == {("TCP", 5000)}  # of slices that were there before the first question
    cache.put("EndpointSlice", slice_of("second", ("UDP", 53), ("TCP", 5000), pods=("web-1", "web-2")))
    assert ports.of(WEB) == {("TCP", 5000), ("UDP", 53)}
    cache.put("EndpointSlice", slice_of("second", ("UDP", 54), pods=("web-2",)))
    assert ports.of(WEB) == {("TCP", 5000)}
    assert ports.of(("default", "web-2")) == {("UDP", 54)}
    cache.remove("EndpointSlice", slice_of("first"))
    assert ports.of(WEB) == frozenset()
    cache.put("EndpointSlice", slice_of("elsewhere", ("TCP", 80), node="node-b"))
    assert ports.of(WEB) == frozenset()


def test_what_other_containers_bind_is_left_to_them() -> None:
    """They may start later: after its node came back a pod is in slices before its containers run."""
    cache = ObjectCache()
    cache.put("EndpointSlice", slice_of("first", ("TCP", 9100), ("TCP", 80), ("UDP", 80)))
    assert PodPorts(ServedPorts("node-a", cache), WEB, frozenset({("TCP", 9100)})).now() == {("TCP", 80), ("UDP", 80)}


async def test_whoever_waits_hears_of_changes_of_its_own_pod_only() -> None:
    cache = ObjectCache()
    ports = ServedPorts("node-a", cache)
    ports.of(WEB)
    heard: list[str] = []

    async def wait() -> None:
        await ports.changed(WEB)
        heard.append("changed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        cache.put("EndpointSlice", slice_of("other", ("TCP", 80), pods=("web-2",)))
        await wait_all_tasks_blocked()
        assert heard == []
        cache.put("EndpointSlice", slice_of("mine", ("TCP", 80)))
    assert heard == ["changed"]
